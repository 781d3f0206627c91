#include "../support.hpp"

#include <memory>
#include <string>

using namespace nibble;

namespace {

// Builds a file by hand, so that every rule can be broken.
struct writer {
    std::vector<std::byte> bytes;

    template <class T>
    writer& number(T value)
    {
        const std::size_t at = bytes.size();
        bytes.resize(at + sizeof value);
        std::memcpy(bytes.data() + at, &value, sizeof value);
        return *this;
    }
    writer& text(const std::string& s)
    {
        number(std::uint64_t(s.size()));
        for (const char c : s)
            bytes.push_back(static_cast<std::byte>(c));
        return *this;
    }
    writer& mark(std::uint32_t version, std::uint64_t tensors, std::uint64_t pairs)
    {
        for (const char c : {'G', 'G', 'U', 'F'})
            bytes.push_back(static_cast<std::byte>(c));
        return number(version).number(tensors).number(pairs);
    }
    writer& tensor(const std::string& name, std::vector<std::int64_t> sizes, std::uint32_t type, std::uint64_t offset)
    {
        text(name).number(std::uint32_t(sizes.size()));
        for (const std::int64_t size : sizes)
            number(size);
        return number(type).number(offset);
    }
    writer& data(std::size_t count)
    {
        bytes.resize((bytes.size() + 31) / 32 * 32 + count);
        return *this;
    }
};

// From memory that ends at an unreadable page, so that a read past the end faults.
result<gguf_reader> open_guarded(const std::vector<std::byte>& bytes)
{
    static std::vector<std::unique_ptr<test::guarded<std::byte>>> kept;
    kept.push_back(std::make_unique<test::guarded<std::byte>>(static_cast<std::ptrdiff_t>(bytes.size())));
    if (!bytes.empty())
        std::memcpy(kept.back()->data(), bytes.data(), bytes.size());
    return gguf_reader::open(span<const std::byte>(kept.back()->data(), bytes.size()));
}

std::vector<std::byte> good_file()
{
    writer w;
    w.mark(3, 2, 3).text("general.architecture").number(8u).text("llama").text("answer").number(4u).number(42u);
    w.text("list").number(9u).number(8u).number(std::uint64_t(2)).text("a").text("bc");
    w.tensor("one", {4, 2}, 0, 0).tensor("two", {8}, 1, 32).data(48);
    return w.bytes;
}

status error_of(const writer& w) { return open_guarded(w.bytes).error(); }

} // namespace

TEST_CASE("a GGUF file is read")
{
    const auto file = open_guarded(good_file());
    REQUIRE(file.error() == status::ok);
    CHECK(file->tensor_count() == 2);
    CHECK(*file->u32("answer") == 42);
    const auto architecture = file->string("general.architecture");
    REQUIRE(architecture);
    CHECK(std::string(architecture->data(), architecture->size()) == "llama");
    CHECK(file->u32("general.architecture").error() == status::file_type_mismatch);
    CHECK(file->f32("missing").error() == status::file_key_missing);
    const auto one = file->tensor("one");
    REQUIRE(one);
    CHECK(one->sizes[0] == 4);
    CHECK(one->sizes[1] == 2);
    CHECK(one->data.size() == 32);
    CHECK(file->tensor("two")->data.size() == 16);
    CHECK(file->tensor("three").error() == status::file_key_missing);
}

TEST_CASE("a GGUF file cut anywhere, or with any byte changed, is refused or read, and nothing outside it is touched")
{
    const std::vector<std::byte> good = good_file();
    for (std::size_t length = 0; length < good.size(); ++length) {
        std::vector<std::byte> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK(open_guarded(cut).error() != status::ok);
    }
    test::random random(1);
    volatile std::byte read {};
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::byte> changed = good;
        changed[random.bits() % changed.size()] = static_cast<std::byte>(random.bits());
        changed[random.bits() % changed.size()] = static_cast<std::byte>(random.bits() % 2 ? 0xff : 0x7f);
        const test::guarded<std::byte> memory(static_cast<std::ptrdiff_t>(changed.size()));
        std::memcpy(memory.data(), changed.data(), changed.size());
        const auto file = gguf_reader::open(span<const std::byte>(memory.data(), memory.size()));
        if (!file)
            continue;
        const auto one = file->tensor("one");
        for (std::size_t at = 0; one && at < one->data.size(); ++at)
            read = read ^ one->data[at];
    }
}

TEST_CASE("each broken rule of GGUF has its status")
{
    CHECK(error_of(writer().number(0x46554748u).number(3u)) == status::file_not_gguf);
    CHECK(error_of(writer().mark(1, 0, 0)) == status::file_version);
    CHECK(error_of(writer().mark(4, 0, 0)) == status::file_version);
    CHECK(error_of(writer().mark(3, ~0ull, 0)) == status::file_truncated);
    CHECK(error_of(writer().mark(3, 0, ~0ull)) == status::file_truncated);
    CHECK(error_of(writer().mark(3, 0, 1).text("k").number(4u)) == status::file_truncated);
    CHECK(error_of(writer().mark(3, 0, 1).text("").number(4u).number(1u)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 0, 1).text("k").number(99u).number(1u)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 0, 1).text("kkk").number(7u).number(std::uint8_t(2))) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 0, 1).text("k").number(9u).number(0u).number(1ull << 60)) == status::file_truncated);
    CHECK(error_of(writer().mark(3, 0, 1).text("general.alignment").number(4u).number(24u)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 0, 1).text("general.alignment").number(5u).number(32u)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 1, 0).tensor("t", {1ll << 62, 4}, 0, 0).data(64)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 1, 0).tensor("t", {-1}, 0, 0).data(64)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).data(64)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 1, 0).tensor("t", {4}, 0, 8).data(64)) == status::file_damaged);
    CHECK(error_of(writer().mark(3, 1, 0).tensor("t", {64}, 0, 0).data(64)) == status::file_truncated);
    CHECK(error_of(writer().mark(3, 1, 0).tensor("t", {8}, 8, 0).data(64)) == status::file_damaged);
    writer nested;
    nested.mark(3, 0, 1).text("k");
    for (int i = 0; i < 100; ++i)
        nested.number(9u), nested.number(1ull << 32 | 9u);
    CHECK(error_of(nested) != status::ok);
    CHECK(gguf_reader::open(span<const std::byte>(nullptr, 5)).error() == status::null_pointer);
}
