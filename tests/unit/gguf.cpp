#include "../gguf_cases.hpp"
#include "../support.hpp"

#include <cstring>
#include <string>

using namespace nibble;

namespace {

// From memory that ends at an unreadable page, so that a read past the end faults; what can be read is read.
status read_guarded(const std::vector<std::byte>& bytes, const gguf_options& options = {})
{
    const test::guarded<std::byte> memory(static_cast<std::ptrdiff_t>(bytes.size()));
    if (!bytes.empty())
        std::memcpy(memory.data(), bytes.data(), bytes.size());
    const auto file = gguf_reader::open(span<const std::byte>(memory.data(), bytes.size()), options);
    if (!file)
        return file.error();
    volatile unsigned sum = 0;
    for (std::size_t i = 0; i < file->pair_count(); ++i) {
        const gguf_pair p = file->pair(i);
        CHECK(file->find(p.key).error() == status::ok);
        for (const char c : p.key)
            sum = sum + static_cast<unsigned char>(c);
        for (const gguf_value& e : p.value)
            sum = sum + static_cast<unsigned>(e.size());
    }
    for (std::size_t i = 0; i < file->tensor_count(); ++i) {
        const gguf_tensor t = file->tensor(i);
        for (const std::byte b : t.data)
            sum = sum + static_cast<unsigned>(b);
        const status named = file->tensor(t.name).error();
        CHECK((is_known(t.type) ? named == status::ok || (options.data_may_be_missing && named == status::file_truncated)
                                : named == status::ggml_type_unknown && t.data.empty()));
    }
    return status::ok;
}

gguf_options strict_options()
{
    gguf_options o;
    o.rules = gguf_rules::strict;
    return o;
}

std::vector<std::byte> written(span<const gguf_pair> pairs, span<const gguf_tensor> tensors)
{
    gguf_memory measure;
    REQUIRE(write_gguf(pairs, tensors, measure) == status::file_not_written); // no room, but it counts
    std::vector<std::byte> bytes(static_cast<std::size_t>(*gguf_file_size(pairs, tensors)));
    gguf_memory memory {bytes};
    REQUIRE(write_gguf(pairs, tensors, memory) == status::ok);
    CHECK(memory.written == bytes.size());
    return bytes;
}

gguf_tensor tensor_of(std::string_view name, ggml_type type, std::int64_t columns, std::int64_t rows, span<const std::byte> data)
{
    gguf_tensor t;
    t.name = name;
    t.type = type;
    t.dimensions = 2;
    t.sizes[0] = columns;
    t.sizes[1] = rows;
    t.data = data;
    return t;
}

} // namespace

TEST_CASE("a GGUF file is read")
{
    const std::vector<std::byte> bytes = test::good_gguf().bytes;
    const auto file = gguf_reader::open(bytes);
    REQUIRE(file.error() == status::ok);
    CHECK(file->version() == 3);
    CHECK(file->alignment() == 32);
    CHECK(file->is_complete());
    CHECK(file->pair_count() == 5);
    CHECK(*file->get<std::uint32_t>("answer") == 42);
    CHECK(*file->find("answer")->unsigned_integer() == 42);
    CHECK(*file->get<std::string_view>("general.architecture") == "llama");
    CHECK(*file->get<bool>("flag"));
    CHECK(file->get<std::uint32_t>("general.architecture").error() == status::file_type_mismatch);
    CHECK(file->get<std::int32_t>("answer").error() == status::file_type_mismatch);
    CHECK(file->get<float>("missing").error() == status::file_key_missing);
    const auto list = file->find("list");
    REQUIRE(list);
    CHECK(list->size() == 2);
    std::string all;
    for (const gguf_value& e : *list)
        all += std::string(*e.get<std::string_view>()) + ";";
    CHECK(all == "a;bc;");
    CHECK(*file->find("numbers")->at<std::int16_t>(0) == -1);
    CHECK(file->find("numbers")->at<std::int16_t>(3).error() == status::shape_mismatch);
    CHECK(file->find("numbers")->at<std::uint16_t>(0).error() == status::file_type_mismatch);
    CHECK((*file->find("numbers")->begin()).unsigned_integer().error() == status::file_type_mismatch);

    CHECK(file->tensor_count() == 2);
    CHECK(file->tensor(1).name == "two");
    const auto one = file->tensor("one");
    REQUIRE(one);
    CHECK(one->sizes[0] == 4);
    CHECK(one->rows() == 2);
    CHECK(one->data.size() == 32);
    CHECK(file->tensor("two")->data.size() == 16);
    CHECK(file->tensor("two")->data.data() == bytes.data() + file->data_offset() + 32);
    CHECK(file->tensor("three").error() == status::file_key_missing);
}

TEST_CASE("each rule of GGUF has its status")
{
    for (const test::gguf_case& c : test::gguf_cases()) {
        INFO(c.name);
        CHECK(std::string(to_string(read_guarded(c.bytes))) == to_string(c.lenient));
        CHECK(std::string(to_string(read_guarded(c.bytes, strict_options()))) == to_string(c.strict));
    }
    CHECK(gguf_reader::open(span<const std::byte>(nullptr, 5)).error() == status::null_pointer);
}

TEST_CASE("a GGUF file cut anywhere, or with any byte changed, is refused or read, and nothing outside it is touched")
{
    const std::vector<std::byte> good = test::good_gguf().bytes;
    gguf_options partial;
    partial.data_may_be_missing = true;
    for (std::size_t length = 0; length < good.size(); ++length) {
        const std::vector<std::byte> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK(read_guarded(cut) == status::file_truncated);
        (void)read_guarded(cut, partial);
    }
    test::random random(1);
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::byte> changed = good;
        changed[random.bits() % changed.size()] = static_cast<std::byte>(random.bits());
        changed[random.bits() % changed.size()] = static_cast<std::byte>(random.bits() % 2 ? 0xff : 0x7f);
        (void)read_guarded(changed, i % 2 ? partial : strict_options());
    }
}

TEST_CASE("a GGUF file without its data can be looked at")
{
    std::vector<std::byte> bytes = test::good_gguf().bytes;
    bytes.resize(bytes.size() - 10);
    gguf_options partial;
    partial.data_may_be_missing = true;
    const auto file = gguf_reader::open(bytes, partial);
    REQUIRE(file);
    CHECK(!file->is_complete());
    CHECK(file->tensor("one").error() == status::ok);
    CHECK(file->tensor("two").error() == status::file_truncated);
    CHECK(file->tensor(1).sizes[0] == 8);
    CHECK(file->tensor(1).data.empty());
}

TEST_CASE("a GGUF tensor of an unknown type says so, the others can be read")
{
    for (const std::uint32_t type : {4u, 33u, 38u, 43u, 1000u, ~0u})
        for (const bool last : {false, true}) {
            test::gguf_bytes w;
            w.mark(3, 3, 0)
                .tensor("a", {4}, 0, 0)
                .tensor("new", {77, 3}, type, last ? 64 : 32)
                .tensor("b", {8}, 24, last ? 32 : 128)
                .data(160);
            const auto file = gguf_reader::open(w.bytes);
            REQUIRE(file);
            CHECK(file->is_complete());
            CHECK(file->tensor("new").error() == status::ggml_type_unknown);
            CHECK((file->tensor(1).sizes[0] == 77 && static_cast<std::uint32_t>(file->tensor(1).type) == type
                   && file->tensor(1).data.empty()));
            CHECK((file->tensor("a")->data.size() == 16 && file->tensor("b")->data.size() == 8));
            ggml_type types[3] = {};
            const gguf_tensor all[]
                = {file->tensor(std::size_t(0)), tensor_of("new.weight", static_cast<ggml_type>(type), 256, 2, {}), file->tensor(2)};
            CHECK(choose_types(recipe::q4_K_M, recipe_model {}, all, false, types) == status::ok);
            CHECK(types[1] == static_cast<ggml_type>(type));
            CHECK(gguf_file_size({}, all).error() == status::ggml_type_unknown);
        }
}

TEST_CASE("GGUF: random files; a name that is there twice is named before all else")
{
    test::random random(9);
    for (int i = 0; i < 3000; ++i) {
        const std::uint32_t pairs = random.bits() % 4, tensors = 1 + random.bits() % 5;
        const std::uint32_t alignment = 8u << random.bits() % 4;
        const bool pair_twice = pairs != 0 && random.bits() % 3 == 0, tensor_twice = !pair_twice && random.bits() % 2 == 0;
        test::gguf_bytes w;
        w.mark(3, tensors + tensor_twice, pairs + pair_twice + 1).u32("general.alignment", alignment);
        for (std::uint32_t p = 0; p < pairs; ++p)
            w.u32("k" + std::to_string(p), p);
        if (pair_twice)
            w.text("k" + std::to_string(random.bits() % pairs)).number(random.bits() % 15).number(random.bits());
        std::vector<std::uint32_t> order(tensors);
        std::uint64_t end = 0;
        std::vector<std::uint64_t> offsets, sizes;
        for (std::uint32_t t = 0; t < tensors; ++t) {
            order[t] = t;
            offsets.push_back(end);
            sizes.push_back(random.bits() % 40);
            end += sizes[t] + gguf_padding(sizes[t], alignment);
        }
        for (std::uint32_t t = tensors; t > 1; --t)
            std::swap(order[t - 1], order[random.bits() % t]);
        const std::uint32_t at = random.bits() % (tensors + 1);
        for (std::uint32_t t = 0; t <= tensors; ++t) {
            if (tensor_twice && t == at) // anywhere, of any type, with any sizes
                w.tensor("t" + std::to_string(random.bits() % tensors), {random.integer(-1, 40), random.integer(0, 3)}, random.bits() % 45,
                    random.bits() % 3 ? random.bits() % 200 : ~0ull - random.bits() % 64);
            if (t < tensors)
                w.tensor("t" + std::to_string(order[t]), {static_cast<std::int64_t>(sizes[order[t]])}, 24, offsets[order[t]]);
        }
        w.data(static_cast<std::size_t>(end), alignment);
        if (pair_twice || tensor_twice) {
            w.bytes.resize(w.bytes.size() - random.bits() % (end + 1)); // some of the data, or none
            CHECK(std::string(to_string(read_guarded(w.bytes))) == to_string(status::file_duplicate));
            continue;
        }
        const auto file = gguf_reader::open(w.bytes);
        REQUIRE(std::string(to_string(file.error())) == "ok");
        for (std::uint32_t t = 0; t < tensors; ++t) {
            const auto found = file->tensor("t" + std::to_string(t));
            REQUIRE(found);
            CHECK(found->data.size() == sizes[t]);
            CHECK((sizes[t] == 0 || found->data.data() == w.bytes.data() + file->data_offset() + offsets[t]));
        }
    }
}

TEST_CASE("limits of the GGUF reader can be set")
{
    const std::vector<std::byte> bytes = test::good_gguf().bytes;
    const auto with = [&](auto change) {
        gguf_options o;
        change(o.limits);
        return gguf_reader::open(bytes, o).error();
    };
    CHECK(with([](gguf_limits&) {}) == status::ok);
    CHECK(with([](gguf_limits& l) { l.pairs = 4; }) == status::file_limit);
    CHECK(with([](gguf_limits& l) { l.tensors = 1; }) == status::file_limit);
    CHECK(with([](gguf_limits& l) { l.string_bytes = 19; }) == status::file_limit);
    CHECK(with([](gguf_limits& l) { l.array_elements = 2; }) == status::file_limit);
    CHECK(with([](gguf_limits& l) { l.nesting = 0; }) == status::file_limit);
}

TEST_CASE("many names are found, and a duplicate among them")
{
    test::gguf_bytes w;
    w.mark(3, 0, 20000);
    for (std::uint32_t i = 0; i < 20000; ++i)
        w.u32("key." + std::to_string(i * 7919 % 20000), i);
    const auto file = gguf_reader::open(w.bytes);
    REQUIRE(file);
    for (std::uint32_t i = 0; i < 20000; i += 37)
        CHECK(*file->get<std::uint32_t>("key." + std::to_string(i * 7919 % 20000)) == i);
    w.bytes[24 + 8 + 4] = std::byte {'1'}; // key.0 becomes key.1
    CHECK(gguf_reader::open(w.bytes).error() == status::file_duplicate);
}

TEST_CASE("what is written is read")
{
    const std::vector<std::string_view> texts {"", "a", "\xc3\xa4"};
    const std::vector<float> floats {1.0f, -0.0f, 0.5f};
    const bool flags[] = {true, false, true};
    const std::vector<std::byte> data(288, std::byte {7});
    const std::vector<gguf_pair> pairs {{"general.architecture", "test"}, {"u8", std::uint8_t(200)}, {"i8", std::int8_t(-3)},
        {"u16", std::uint16_t(60000)}, {"i16", std::int16_t(-3)}, {"u32", 4000000000u}, {"i32", -5}, {"f32", 1.5f}, {"bool", true},
        {"u64", ~0ull}, {"i64", INT64_MIN}, {"f64", 0.1}, {"texts", span<const std::string_view>(texts)},
        {"floats", span<const float>(floats)}, {"flags", span<const bool>(flags)}, {"general.alignment", 64u}};
    std::vector<gguf_tensor> tensors {tensor_of("a", ggml_type::q4_K, 256, 2, data),
        tensor_of("b", ggml_type::f32, 3, 1, {data.data(), 12}), tensor_of("nothing", ggml_type::f32, 0, 1, {})};
    tensors.push_back(tensor_of("c", ggml_type::i8, 5, 1, {data.data(), 5}));
    const std::vector<std::byte> bytes = written(pairs, tensors);
    gguf_options o = strict_options();
    const auto file = gguf_reader::open(bytes, o);
    REQUIRE(std::string(to_string(file.error())) == "ok");
    CHECK(file->alignment() == 64);
    CHECK(*file->get<std::uint8_t>("u8") == 200);
    CHECK(*file->get<std::int64_t>("i64") == INT64_MIN);
    CHECK(*file->get<double>("f64") == 0.1);
    CHECK(*file->get<bool>("bool"));
    CHECK(*file->find("floats")->at<float>(2) == 0.5f);
    CHECK(*file->find("flags")->at<bool>(1) == false);
    CHECK(file->tensor("a")->data.size() == 288);
    CHECK(file->tensor("b")->dimensions == 1); // trailing ones are not written
    CHECK(file->tensor("c")->data[4] == std::byte {7});

    // A file's own content, written again, gives the same bytes.
    std::vector<gguf_pair> again;
    std::vector<gguf_tensor> same;
    for (std::size_t i = 0; i < file->pair_count(); ++i)
        again.push_back(file->pair(i));
    for (std::size_t i = 0; i < file->tensor_count(); ++i)
        same.push_back(file->tensor(i));
    CHECK(written(again, same) == bytes);
}

TEST_CASE("the GGUF writer refuses what nobody could read")
{
    CHECK((gguf_padding(33, 32) == 31 && gguf_padding(64, 32) == 0 && gguf_padding(33, 0) == 0));
    const std::vector<std::byte> data(64);
    const auto refused = [&](const std::vector<gguf_pair>& pairs, const std::vector<gguf_tensor>& tensors) {
        std::vector<std::byte> out(4096, std::byte {1});
        gguf_memory memory {out};
        const status s = write_gguf(pairs, tensors, memory);
        CHECK((s == status::ok || memory.written == 0));
        return s;
    };
    const gguf_tensor good = tensor_of("t", ggml_type::f32, 4, 1, {data.data(), 16});
    CHECK(refused({}, {good}) == status::ok);
    CHECK(refused({{"", 1}}, {}) == status::file_name_invalid);
    CHECK(refused({{"a b", 1}}, {}) == status::file_name_invalid);
    CHECK(refused({{"k", 1}, {"k", 2}}, {}) == status::file_duplicate);
    CHECK(refused({{"k", "\xff"}}, {}) == status::file_text_invalid);
    CHECK(refused({{"general.alignment", 24u}}, {}) == status::file_alignment);
    CHECK(refused({{"general.alignment", 4u}}, {}) == status::file_alignment);
    CHECK(refused({{"general.alignment", 32}}, {}) == status::file_alignment);
    CHECK(refused({}, {good, good}) == status::file_duplicate);
    CHECK(refused({}, {tensor_of("", ggml_type::f32, 4, 1, {data.data(), 16})}) == status::file_name_invalid);
    CHECK(refused({}, {tensor_of(std::string(64, 't'), ggml_type::f32, 4, 1, {data.data(), 16})}) == status::file_name_invalid);
    CHECK(refused({}, {tensor_of("t", ggml_type::f32, 4, 1, {data.data(), 15})}) == status::shape_mismatch);
    CHECK(refused({}, {tensor_of("t", ggml_type::f32, -4, 1, {data.data(), 16})}) == status::file_shape_invalid);
    CHECK(refused({}, {tensor_of("t", ggml_type::q8_0, 4, 1, {data.data(), 16})}) == status::cols_not_whole_blocks);
    CHECK(refused({}, {tensor_of("t", static_cast<ggml_type>(36), 4, 1, {data.data(), 16})}) == status::ggml_type_unknown);
    CHECK(refused({}, {tensor_of("t", ggml_type::f32, -4, 1, {data.data(), 16}), tensor_of("t", ggml_type::f32, 4, 1, {data.data(), 16})})
          == status::file_duplicate);
    const char* const none = nullptr;
    CHECK(refused({{"k", std::string_view(none, 3)}}, {}) == status::null_pointer);
    CHECK(refused({{std::string_view(none, 3), 1}}, {}) == status::null_pointer);
    CHECK(refused({{"k", span<const float>(nullptr, 3)}}, {}) == status::null_pointer);
    CHECK(refused({{"k", span<const std::string_view>(nullptr, 3)}}, {}) == status::null_pointer);
    const std::string_view texts[] = {"", std::string_view(none, 1)};
    CHECK(refused({{"k", span<const std::string_view>(texts)}}, {}) == status::null_pointer);
    CHECK(refused({}, {tensor_of(std::string_view(none, 3), ggml_type::f32, 4, 1, {data.data(), 16})}) == status::null_pointer);
    CHECK(refused({}, {tensor_of("t", ggml_type::f32, 4, 1, {nullptr, 16})}) == status::null_pointer);
    CHECK(refused({{"k", std::string_view()}, {"l", span<const float>()}}, {}) == status::ok);
    CHECK(write_gguf({nullptr, 1}, {}, gguf_memory {}) == status::null_pointer);
    CHECK(write_gguf({}, {nullptr, 1}, gguf_memory {}) == status::null_pointer);
    CHECK(write_gguf({}, {}, gguf_memory {{nullptr, 1000}}) == status::file_not_written);
    CHECK(gguf_alignment({nullptr, 1}).error() == status::null_pointer);
    CHECK(tensor_data_size({nullptr, 1}, {nullptr, 1}).error() == status::null_pointer);
    const std::vector<std::byte> nested = test::gguf_bytes().mark(3, 0, 1).text("k").number(9u).number(9u).number(std::uint64_t(0)).bytes;
    const auto file = gguf_reader::open(nested);
    REQUIRE(file);
    CHECK(refused({file->pair(0)}, {}) == status::file_value_invalid);
    const auto full = [](const std::byte*, std::size_t) noexcept { return false; };
    CHECK(write_gguf({}, {}, full) == status::file_not_written);
}
