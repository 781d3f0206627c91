// GGUF files built by hand, so that every rule can be broken, and one case for each rule: what the reader says to it. The unit test, the
// fuzz target's seeds and the comparison with ggml's own reader use them.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include <nibble/gguf/reader.hpp>

namespace test {

struct gguf_bytes {
    std::vector<std::byte> bytes;

    template <class T>
    gguf_bytes& number(T value)
    {
        const std::size_t at = bytes.size();
        bytes.resize(at + sizeof value);
        std::memcpy(bytes.data() + at, &value, sizeof value);
        return *this;
    }
    gguf_bytes& raw(const std::string& s)
    {
        for (const char c : s)
            bytes.push_back(static_cast<std::byte>(c));
        return *this;
    }
    gguf_bytes& text(const std::string& s) { return number(std::uint64_t(s.size())).raw(s); }
    gguf_bytes& mark(std::uint32_t version, std::uint64_t tensors, std::uint64_t pairs)
    {
        return raw("GGUF").number(version).number(tensors).number(pairs);
    }
    gguf_bytes& u32(const std::string& key, std::uint32_t value) { return text(key).number(4u).number(value); }
    gguf_bytes& tensor(const std::string& name, std::vector<std::int64_t> sizes, std::uint32_t type, std::uint64_t offset)
    {
        text(name).number(std::uint32_t(sizes.size()));
        for (const std::int64_t size : sizes)
            number(size);
        return number(type).number(offset);
    }
    gguf_bytes& data(std::size_t count, std::size_t alignment = 32)
    {
        bytes.resize((bytes.size() + alignment - 1) / alignment * alignment + count);
        return *this;
    }
};

struct gguf_case {
    std::string name;
    std::vector<std::byte> bytes;
    nibble::status lenient, strict;
};

inline gguf_bytes good_gguf()
{
    gguf_bytes w;
    w.mark(3, 2, 5).text("general.architecture").number(8u).text("llama").u32("answer", 42);
    w.text("list").number(9u).number(8u).number(std::uint64_t(2)).text("a").text("bc");
    w.text("numbers")
        .number(9u)
        .number(3u)
        .number(std::uint64_t(3))
        .number(std::int16_t(-1))
        .number(std::int16_t(0))
        .number(std::int16_t(1));
    w.text("flag").number(7u).number(std::uint8_t(1));
    w.tensor("one", {4, 2}, 0, 0).tensor("two", {8}, 1, 32).data(48);
    return w;
}

inline std::vector<gguf_case> gguf_cases()
{
    using nibble::status;
    std::vector<gguf_case> cases;
    const auto add = [&](const char* name, const gguf_bytes& w, status lenient, status strict) {
        cases.push_back({name, w.bytes, lenient, strict});
    };
    const auto both = [&](const char* name, const gguf_bytes& w, status s) { add(name, w, s, s); };
    const auto make = [](std::uint64_t tensors, std::uint64_t pairs) { return gguf_bytes().mark(3, tensors, pairs); };
    const auto array = [&](std::uint32_t type, std::uint64_t count) { return make(0, 1).text("k").number(9u).number(type).number(count); };
    constexpr std::uint64_t one = 1;

    both("good", good_gguf(), status::ok);
    both("empty", gguf_bytes(), status::file_truncated);
    both("nothing in it", make(0, 0), status::ok);
    both("wrong mark", gguf_bytes().raw("GGUX").number(3u), status::file_not_gguf);
    both("version 1", gguf_bytes().mark(1, 0, 0), status::file_version);
    both("version 2", gguf_bytes().mark(2, 0, 1).u32("k", 1), status::ok);
    both("version 4", gguf_bytes().mark(4, 0, 0), status::file_version);
    both("big-endian", gguf_bytes().mark(0x03000000u, 0, 0), status::file_byte_order);
    both("more tensors than bytes", make(~0ull, 0), status::file_truncated);
    both("more pairs than bytes", make(0, ~0ull), status::file_truncated);

    both("alignment 64", make(1, 1).u32("general.alignment", 64).tensor("t", {4}, 0, 0).data(64, 64), status::ok);
    both("alignment 24", make(0, 1).u32("general.alignment", 24), status::file_alignment);
    both("alignment 0", make(0, 1).u32("general.alignment", 0), status::file_alignment);
    both("alignment 13", make(0, 1).u32("general.alignment", 13), status::file_alignment);
    add("alignment 1", make(1, 1).u32("general.alignment", 1).tensor("t", {1}, 24, 0).data(1, 1), status::ok, status::file_alignment);
    add("alignment 4", make(1, 1).u32("general.alignment", 4).tensor("t", {1}, 0, 0).data(4, 4), status::ok, status::file_alignment);
    both("alignment of type i32", make(0, 1).text("general.alignment").number(5u).number(32u), status::file_alignment);
    both("alignment 2^31", make(0, 1).u32("general.alignment", 1u << 31), status::file_limit);

    both("empty key", make(0, 1).u32("", 1), status::file_name_invalid);
    add("key with a space", make(0, 1).u32("a key", 1), status::ok, status::file_name_invalid);
    add("key with an umlaut", make(0, 1).u32("schl\xc3\xbcssel", 1), status::ok, status::file_name_invalid);
    add("key of 65536 bytes", make(0, 1).u32(std::string(65536, 'k'), 1), status::ok, status::file_name_invalid);
    both("duplicate key", make(0, 3).u32("k", 1).u32("l", 1).u32("k", 1), status::file_duplicate);
    both("key cut off", make(0, 1).number(~0ull).raw("kkkkkkkk"), status::file_truncated);
    both("value cut off", make(0, 1).text("kk").number(4u), status::file_truncated);
    both("unknown value type", make(0, 1).text("k").number(13u).number(one), status::file_value_invalid);
    both("bool of 2", make(0, 1).text("kkkkk").number(7u).number(std::uint8_t(2)), status::file_value_invalid);
    both("bool of 2 in an array", array(7, 3).number(std::uint8_t(1)).number(std::uint8_t(0)).number(std::uint8_t(2)),
        status::file_value_invalid);
    add("string not UTF-8", make(0, 1).text("k").number(8u).text("\xff\xfe"), status::ok, status::file_text_invalid);
    add("surrogate in a string", make(0, 1).text("k").number(8u).text("\xed\xa0\x80"), status::ok, status::file_text_invalid);
    both("string longer than the file", make(0, 1).text("k").number(8u).number(1ull << 30), status::file_truncated);
    both("array longer than the file", array(0, 1ull << 60), status::file_truncated);
    both("array of strings longer than the file", array(8, 1ull << 61), status::file_truncated);
    both("array of unknown type", array(13, 0), status::file_value_invalid);
    both("empty array", array(4, 0), status::ok);
    both("nested array", array(9, 2).number(0u).number(one).number(std::uint8_t(7)).number(8u).number(one).text("x"), status::ok);
    gguf_bytes deep = make(0, 1).text("k").number(9u);
    for (int i = 0; i < 100; ++i)
        deep.number(9u).number(one);
    both("arrays nested too deeply", deep.number(0u).number(one).number(one), status::file_limit);

    add("empty tensor name", make(1, 0).tensor("", {4}, 0, 0).data(32), status::ok, status::file_name_invalid);
    both("tensor name of 63 bytes", make(1, 0).tensor(std::string(63, 't'), {4}, 0, 0).data(32), status::ok);
    both("tensor name of 64 bytes", make(1, 0).tensor(std::string(64, 't'), {4}, 0, 0).data(32), status::ok);
    both("tensor name of 65 bytes", make(1, 0).tensor(std::string(65, 't'), {4}, 0, 0).data(32), status::file_name_invalid);
    both("duplicate tensor name", make(2, 0).tensor("t", {4}, 0, 0).tensor("t", {4}, 0, 32).data(64), status::file_duplicate);
    both("no dimensions", make(1, 0).tensor("t", {}, 0, 0).data(32), status::ok);
    both("a dimension of 0", make(1, 0).tensor("t", {4, 0}, 0, 0).data(0), status::ok);
    both("five dimensions", make(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).data(32), status::file_shape_invalid);
    both("2^32 - 1 dimensions", make(1, 0).text("t").number(~0u).number(one).number(one).data(32), status::file_shape_invalid);
    both("a negative dimension", make(1, 0).tensor("t", {-1}, 0, 0).data(32), status::file_shape_invalid);
    both("elements wrap: 2^62 x 4", make(1, 0).tensor("t", {1ll << 62, 4}, 0, 0).data(64), status::file_shape_invalid);
    both("elements wrap: 2^31 x 2^31 x 4", make(1, 0).tensor("t", {1ll << 31, 1ll << 31, 4}, 0, 0).data(64), status::file_shape_invalid);
    both("elements wrap: 2^32 x 2^32", make(1, 0).tensor("t", {1ll << 32, 1ll << 32}, 0, 0).data(64), status::file_shape_invalid);
    both("elements wrap: 2^63-1 x 2 of i8", make(1, 0).tensor("t", {INT64_MAX, 2}, 24, 0).data(64), status::file_shape_invalid);
    both("elements wrap around a 0", make(1, 0).tensor("t", {1ll << 62, 1ll << 62, 0}, 0, 0).data(64), status::file_shape_invalid);
    both("bytes wrap: 2^61 of f64", make(1, 0).tensor("t", {1ll << 61}, 28, 0).data(64), status::file_shape_invalid);
    both("removed type q4_2", make(1, 0).tensor("t", {32}, 4, 0).data(32), status::ok);
    both("removed type q4_0_4_4", make(1, 0).tensor("t", {32}, 31, 0).data(32), status::ok);
    both("type 43", make(1, 0).tensor("t", {32}, 43, 0).data(32), status::ok);
    both("type 2^32 - 1", make(1, 0).tensor("t", {32}, ~0u, 0).data(32), status::ok);
    both("type 43 between others", make(3, 0).tensor("t", {4}, 0, 0).tensor("u", {7, 3}, 43, 32).tensor("v", {4}, 0, 64).data(96),
        status::ok);
    both("type 43 without elements", make(2, 0).tensor("t", {0}, 43, 0).tensor("u", {4}, 0, 0).data(32), status::ok);
    both("type 43 of a negative dimension", make(1, 0).tensor("t", {-32}, 43, 0).data(32), status::file_shape_invalid);
    both("type 43 of 2^32 x 2^32", make(1, 0).tensor("t", {1ll << 32, 1ll << 32}, 43, 0).data(32), status::file_shape_invalid);
    both("type 43 unaligned", make(1, 0).tensor("t", {32}, 43, 8).data(64), status::file_offset_invalid);
    both("type 43 inside another", make(2, 0).tensor("t", {16}, 0, 0).tensor("u", {32}, 43, 32).data(64), status::file_offset_invalid);
    both("type 43 where another is", make(2, 0).tensor("t", {32}, 43, 0).tensor("u", {4}, 0, 0).data(32), status::file_offset_invalid);
    both("type 43 past the end", make(1, 0).tensor("t", {32}, 43, 64).data(64), status::file_truncated);
    both("a row of broken blocks", make(1, 0).tensor("t", {8}, 8, 0).data(64), status::cols_not_whole_blocks);
    both("blocks along columns only", make(1, 0).tensor("t", {16, 2}, 2, 0).data(64), status::cols_not_whole_blocks);
    both("blocks", make(1, 0).tensor("t", {256, 2}, 12, 0).data(288), status::ok);

    both("duplicate key before a broken value", make(0, 2).u32("k", 1).text("k").number(13u).number(one), status::file_duplicate);
    both("duplicate key cut off behind it", make(0, 2).u32("k", 1).text("k").number(4u), status::file_duplicate);
    both("broken value before a duplicate key", make(0, 3).text("k").number(13u).number(0u).u32("l", 1).u32("l", 1),
        status::file_value_invalid);
    both("duplicate alignment", make(0, 2).u32("general.alignment", 32).u32("general.alignment", 13), status::file_duplicate);
    both("duplicate key and a broken tensor", make(1, 2).u32("k", 1).u32("k", 1).tensor("t", {-1}, 0, 0).data(32), status::file_duplicate);
    const auto twice = [&](const char* name, std::vector<std::int64_t> sizes, std::uint32_t type, std::uint64_t offset, std::size_t data) {
        both(name, make(2, 0).tensor("t", {16}, 0, 0).tensor("t", sizes, type, offset).data(data), status::file_duplicate);
    };
    twice("duplicate tensor in the same place", {16}, 0, 0, 64);
    twice("duplicate tensor that overlaps", {16}, 0, 32, 128);
    twice("duplicate tensor unaligned", {16}, 0, 65, 256);
    twice("duplicate tensor past the end", {16}, 0, 1ull << 40, 64);
    twice("duplicate tensor without data", {16}, 0, 64, 0);
    twice("duplicate tensor of negative size", {-16}, 0, 64, 128);
    twice("duplicate tensor of broken blocks", {16}, 2, 64, 128);
    twice("duplicate tensor of type 43", {16}, 43, 64, 128);
    twice("duplicate tensor of five dimensions", {1, 1, 1, 1, 1}, 0, 64, 128);
    both("duplicate tensor behind a broken one", make(3, 0).tensor("s", {-1}, 0, 0).tensor("t", {4}, 0, 0).tensor("t", {4}, 0, 32).data(64),
        status::file_duplicate);
    both("overlap, and data cut off", make(2, 0).tensor("t", {64}, 0, 0).tensor("u", {4}, 0, 32).data(100), status::file_offset_invalid);
    both("unaligned, and data cut off", make(2, 0).tensor("t", {64}, 0, 0).tensor("u", {4}, 0, 257).data(100), status::file_offset_invalid);
    both("three bytes of something else", gguf_bytes().raw("GGM"), status::file_not_gguf);
    both("three bytes", gguf_bytes().raw("GGU"), status::file_truncated);

    both("gap", make(2, 0).tensor("t", {4}, 0, 0).tensor("u", {4}, 0, 64).data(96), status::ok);
    both("out of order", make(2, 0).tensor("t", {4}, 0, 32).tensor("u", {4}, 0, 0).data(64), status::ok);
    both("overlap", make(2, 0).tensor("t", {16}, 0, 0).tensor("u", {4}, 0, 32).data(96), status::file_offset_invalid);
    both("the same place twice", make(2, 0).tensor("t", {4}, 0, 0).tensor("u", {4}, 0, 0).data(32), status::file_offset_invalid);
    both("unaligned", make(1, 0).tensor("t", {4}, 0, 8).data(64), status::file_offset_invalid);
    both("past the end", make(1, 0).tensor("t", {4}, 0, 1ull << 40).data(32), status::file_truncated);
    both("offset at the end of numbers", make(1, 0).tensor("t", {64}, 0, ~31ull).data(32), status::file_truncated);
    both("data cut off", make(1, 0).tensor("t", {64}, 0, 0).data(255), status::file_truncated);
    both("no data at all", make(1, 0).tensor("t", {64}, 0, 0), status::file_truncated);
    both("bytes behind the data", make(1, 0).tensor("t", {4}, 0, 0).data(100), status::ok);
    both("no padding at the end", make(1, 0).tensor("t", {4}, 0, 0).data(16), status::ok);
    return cases;
}

} // namespace test
