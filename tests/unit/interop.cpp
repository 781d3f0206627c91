// Files and arrays of others: .npy, safetensors, GPTQ and AWQ checkpoints, DLPack, mdspan, std::span.
#include "../support.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#if __has_include(<span>)
#include <span>
#endif
#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
#endif

#include <nibble/interop/dlpack.hpp>
#include <nibble/interop/gptq_awq.hpp>
#include <nibble/interop/mdspan.hpp>
#include <nibble/interop/npy.hpp>
#include <nibble/interop/safetensors.hpp>

using namespace nibble;

namespace {

std::vector<std::byte> bytes_of(const std::string& text)
{
    std::vector<std::byte> bytes(text.size());
    if (!text.empty())
        std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

std::string npy(const std::string& dictionary, const std::string& data, char major = 1)
{
    std::string file = "\x93NUMPY";
    file += major;
    file += '\0';
    for (int i = 0; i < (major == 1 ? 2 : 4); ++i)
        file += static_cast<char>(dictionary.size() >> (8 * i) & 255);
    return file + dictionary + data;
}

std::string safetensors(const std::string& header, const std::string& data)
{
    std::string file;
    for (int i = 0; i < 8; ++i)
        file += static_cast<char>(std::uint64_t(header.size()) >> (8 * i) & 255);
    return file + header + data;
}

// From memory that ends at an unreadable page; what can be read is read.
template <class Open, class Walk>
status read_guarded(const std::string& file, Open open, Walk walk)
{
    const test::guarded<std::byte> memory(static_cast<std::ptrdiff_t>(file.size()));
    if (!file.empty())
        std::memcpy(memory.data(), file.data(), file.size());
    const auto opened = open(span<const std::byte>(memory.data(), file.size()));
    if (opened)
        walk(*opened);
    return opened.error();
}

unsigned sum_of(const array& a)
{
    unsigned sum = 0;
    for (const std::byte b : a.data)
        sum += static_cast<unsigned>(b);
    return sum;
}

volatile unsigned sink;

status open_npy(const std::string& file)
{
    return read_guarded(file, read_npy, [](const array& a) { sink = sum_of(a); });
}

status open_safetensors(const std::string& file)
{
    return read_guarded(file, safetensors_reader::open, [](const safetensors_reader& r) {
        for (std::size_t i = 0; i < r.tensor_count(); ++i) {
            sink = sum_of(r.tensor(i).values);
            CHECK(r.find(r.tensor(i).name)->data.data() == r.tensor(i).values.data.data());
        }
    });
}

/// Every prefix and every changed byte of a file: neither reads outside it, whatever it is taken for.
void damage(const std::string& file, status (*open)(const std::string&))
{
    for (std::size_t length = 0; length < file.size(); ++length)
        CHECK(open(file.substr(0, length)) != status::ok);
    for (std::size_t i = 0; i < file.size(); ++i)
        for (const char c : {'\0', ' ', '"', '\\', '9', '[', '{', '}', '\x7f', '\xff'}) {
            std::string other = file;
            other[i] = c;
            (void)open(other);
        }
}

const std::string two_tensors
    = "{\"__metadata__\":{\"format\":\"pt\",\"a\\\"\\u00e9\":\"\\\\\"}, \"b\": {\"shape\" : [2,3],\"dtype\":\"F32\","
      "\"data_offsets\":[4, 28]},\n\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}  ";

// int32 words that hold `bits`-bit numbers, the first lowest, at(i) the number of place i in a row.
template <class At>
std::vector<std::byte> words(std::size_t rows, std::size_t columns, int bits, At at)
{
    const std::size_t each = static_cast<std::size_t>(32 / bits);
    std::vector<std::uint32_t> out(rows * columns / each);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c)
            out[(r * columns + c) / each] |= at(r, c) << (c % each * static_cast<std::size_t>(bits));
    std::vector<std::byte> bytes(out.size() * 4);
    std::memcpy(bytes.data(), out.data(), bytes.size());
    return bytes;
}

struct layer {
    std::size_t n, k, group_size;
    int bits;
    std::vector<std::uint32_t> codes, zeros; // k x n, groups x n
    std::vector<half> scales;                // groups x n
    std::vector<std::int32_t> group;         // of each input

    layer(std::size_t outputs, std::size_t inputs, std::size_t size, int b, unsigned first_zero, bool shuffled)
        : n(outputs), k(inputs), group_size(size), bits(b)
    {
        test::random random(7);
        const std::size_t groups = (k + size - 1) / size;
        const auto greatest = (1u << bits) - 1;
        for (std::size_t i = 0; i < n * k; ++i)
            codes.push_back(random.bits() & greatest);
        for (std::size_t i = 0; i < n * groups; ++i) {
            zeros.push_back(first_zero + random.bits() % (greatest + 1 - first_zero));
            scales.push_back(to_half(0.01f + 0.001f * static_cast<float>(i % 50)));
        }
        for (std::size_t i = 0; i < k; ++i)
            group.push_back(static_cast<std::int32_t>((shuffled ? (i * 5 + 3) % k : i) / size));
    }
    float weight(std::size_t j, std::size_t i) const
    {
        const std::size_t at = static_cast<std::size_t>(group[i]) * n + j;
        return to_float(scales[at]) * (static_cast<float>(codes[i * n + j]) - static_cast<float>(zeros[at]));
    }
    std::vector<std::byte> scale_bytes() const
    {
        std::vector<std::byte> bytes(scales.size() * 2);
        std::memcpy(bytes.data(), scales.data(), bytes.size());
        return bytes;
    }
    std::vector<std::byte> group_bytes() const
    {
        std::vector<std::byte> bytes(k * 4);
        std::memcpy(bytes.data(), group.data(), bytes.size());
        return bytes;
    }
    /// [k * bits / 32, n]: the words of a column follow each other at a distance of n.
    std::vector<std::byte> gptq_weights() const
    {
        const std::size_t each = static_cast<std::size_t>(32 / bits);
        return words(k / each, n * each, bits, [&](std::size_t r, std::size_t c) { return codes[(r * each + c % each) * n + c / each]; });
    }
    std::vector<std::byte> gptq_zeros(unsigned less) const
    {
        return words(scales.size() / n, n, bits, [&](std::size_t g, std::size_t j) { return zeros[g * n + j] - less; });
    }
};

template <class Q>
void check_gptq(const layer& l, gptq_version version, bool give_groups)
{
    const std::size_t groups = l.scales.size() / l.n, row = l.k / static_cast<std::size_t>(code_traits<Q>::per_element);
    const auto qweight = l.gptq_weights(), qzeros = l.gptq_zeros(version == gptq_version::v1 ? 1 : 0), scales = l.scale_bytes(),
               g_idx = l.group_bytes();
    checkpoint_layer from {qweight, qzeros, scales};
    if (give_groups)
        from.g_idx = g_idx;
    std::vector<Q> codes(l.n * row);
    std::vector<float> out_scales(l.n * groups), w(l.n * l.k);
    std::vector<std::int32_t> zero_points(l.n * groups), order(l.k);
    const auto n = static_cast<std::ptrdiff_t>(l.n), k = static_cast<std::ptrdiff_t>(l.k), size = static_cast<std::ptrdiff_t>(l.group_size);
    const matrix_view<Q> to(codes.data(), n, static_cast<std::ptrdiff_t>(row));
    REQUIRE(from_gptq(from, version, k, size, to, out_scales, zero_points, order) == status::ok);
    const quant_params_view params {granularity::per_group, size, out_scales, zero_points};
    REQUIRE(dequantize(matrix_view<const Q>(to), params, matrix_view<float>(w.data(), n, k)) == status::ok);
    CHECK(packed_weights::make(matrix_view<const Q>(to), k, params).error() == status::ok);
    for (std::size_t j = 0; j < l.n; ++j)
        for (std::size_t i = 0; i < l.k; ++i)
            if (w[j * l.k + i] != l.weight(j, static_cast<std::size_t>(order[i])))
                FAIL("weight (" << j << ", " << i << ")");
}

// What dlpack.h declares, for where it is not.
struct tensor_as_in_dlpack {
    void* data;
    struct {
        int device_type, device_id;
    } device;
    std::int32_t ndim;
    struct {
        std::uint8_t code, bits;
        std::uint16_t lanes;
    } dtype;
    std::int64_t *shape, *strides;
    std::uint64_t byte_offset;
};

template <class Tensor>
void check_dlpack()
{
    std::vector<float> data(60);
    std::iota(data.begin(), data.end(), 0.0f);
    std::int64_t shape[2], strides[2];
    auto t = to_dlpack<Tensor>(matrix_view<float>(data.data(), 5, 10, 12), shape, strides);
    const auto back = from_dlpack<const float>(t);
    REQUIRE(back);
    CHECK((back->rows == 5 && back->cols == 10 && back->stride == 12));
    CHECK((*back)(4, 9) == 57.0f);

    CHECK(from_dlpack<std::int32_t>(t).error() == status::element_type_mismatch);
    CHECK(from_dlpack<half>(t).error() == status::element_type_mismatch);
    t.byte_offset = 8;
    CHECK((*from_dlpack<float>(t))(0, 0) == 2.0f);
    t.byte_offset = 2;
    CHECK(from_dlpack<float>(t).error() == status::misaligned);
    t.byte_offset = 0;
    strides[1] = 2;
    CHECK(from_dlpack<float>(t).error() == status::layout_unsupported);
    t.strides = nullptr; // without gaps
    CHECK(from_dlpack<float>(t)->stride == 10);
    t.ndim = 1;
    CHECK((from_dlpack<float>(t)->rows == 1 && from_dlpack<float>(t)->cols == 5));
    t.ndim = 0;
    CHECK(from_dlpack<float>(t).error() == status::shape_mismatch);
    t.ndim = 2;
    shape[0] = -1;
    CHECK(from_dlpack<float>(t).error() == status::negative_size);
    shape[0] = std::numeric_limits<std::int64_t>::max();
    CHECK(from_dlpack<float>(t).error() == status::size_overflow);
    shape[0] = 5;
    t.device.device_type = static_cast<decltype(t.device.device_type)>(2);
    CHECK(from_dlpack<float>(t).error() == status::layout_unsupported);
    t.device.device_type = static_cast<decltype(t.device.device_type)>(1);
    t.data = nullptr;
    CHECK(from_dlpack<float>(t).error() == status::null_pointer);
}

struct own_mdspan {
    using element_type = int;
    static constexpr std::size_t rank() { return 2; }
    int* data;
    int extents[2], strides[2];
    int extent(std::size_t i) const { return extents[i]; }
    int stride(std::size_t i) const { return strides[i]; }
    int* data_handle() const { return data; }
};

} // namespace

TEST_CASE(".npy: what NumPy writes is read, what is written is read again")
{
    const std::string floats("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40", 12);
    const auto file = bytes_of(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }     \n", floats));
    const auto a = read_npy(file);
    REQUIRE(a);
    CHECK((a->type == element_type::f32 && a->dimensions == 1 && a->sizes[0] == 3));
    float values[3];
    std::memcpy(values, a->data.data(), 12);
    CHECK((values[0] == 1.0f && values[2] == 3.0f));

    std::vector<std::byte> out(128 + 6 * 2);
    REQUIRE(*npy_header<half>(2, 3, out) == 128);
    const auto again = read_npy(out);
    REQUIRE(again);
    CHECK((again->type == element_type::f16 && again->dimensions == 2 && again->sizes[0] == 2 && again->sizes[1] == 3));
    CHECK((again->matrix<half>()->rows == 2 && again->matrix<half>()->cols == 3));
    CHECK(again->matrix<float>().error() == status::element_type_mismatch);
    CHECK(*npy_header<std::uint8_t>(PTRDIFF_MAX / 16, PTRDIFF_MAX / 16, out) == 128);
    CHECK(read_npy(out).error() == status::file_shape_invalid);
    CHECK(npy_header<float>(1, 1, span<std::byte>(out.data(), 127)).error() == status::buffer_too_small);
    CHECK(npy_header<float>(-1, 1, out).error() == status::negative_size);

    for (const char major : {'\x01', '\x02', '\x03'})
        CHECK(open_npy(npy("{'descr': '|i1', 'fortran_order': False, 'shape': ()}", "x", major)) == status::ok);
    CHECK(open_npy(npy("{'shape':(0, 7), 'descr':'<u2', 'fortran_order':False}", "")) == status::ok);
}

TEST_CASE(".npy: broken files are refused")
{
    const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }\n";
    REQUIRE(open_npy(npy(good, "abcd")) == status::ok);
    CHECK(open_npy(npy(good, "abc")) == status::file_truncated);
    CHECK(open_npy("PK\x03\x04 not numpy") == status::file_not_npy);
    CHECK(open_npy(npy(good, "abcd", '\x04')) == status::file_version);
    CHECK(open_npy(npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1), }", "abcd")) == status::file_type_unknown);
    CHECK(open_npy(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }", "abcd")) == status::file_type_unknown);
    CHECK(open_npy(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd")) == status::file_type_unknown);
    CHECK(open_npy(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", "abcd")) == status::layout_unsupported);
    CHECK(open_npy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "abcd")) == status::file_limit);
    CHECK(open_npy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999)}", "")) == status::file_shape_invalid);
    for (const char* text :
        {"{'descr': '<f4', 'fortran_order': False}", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}", "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)} x", "{'descr': '<f4", "{", "", "{'shape': (99999999999999999999,)}"})
        CHECK(open_npy(npy(text, "abcd")) == status::file_damaged);
    damage(npy(good, "abcd"), open_npy);
}

TEST_CASE("safetensors: names, types, shapes and bytes")
{
    std::string data("\1\2\3\4", 4);
    for (int i = 0; i < 6; ++i) {
        const float x = static_cast<float>(i);
        data.append(reinterpret_cast<const char*>(&x), 4);
    }
    std::string file = safetensors(two_tensors, data);
    REQUIRE(open_safetensors(file) == status::ok);
    damage(file, open_safetensors);

    std::vector<std::byte> aligned(file.size() + 64);
    const std::size_t from = 4 - (8 + two_tensors.size()) % 4; // so that b begins at a multiple of 4
    std::transform(file.begin(), file.end(), aligned.begin() + static_cast<std::ptrdiff_t>(from),
        [](char c) { return static_cast<std::byte>(static_cast<unsigned char>(c)); });
    const auto r = safetensors_reader::open(span<const std::byte>(aligned.data() + from, file.size()));
    REQUIRE(r);
    REQUIRE(r->tensor_count() == 2);
    CHECK((r->tensor(0).name == "b" && r->tensor(1).name == "a"));
    const auto b = r->find("b")->matrix<float>();
    REQUIRE(b);
    CHECK((b->rows == 2 && b->cols == 3 && (*b)(1, 2) == 5.0f));
    CHECK(r->find("a")->matrix<std::uint8_t>()->cols == 4);
    CHECK(r->find("c").error() == status::file_key_missing);
    CHECK(r->find("__metadata__").error() == status::file_key_missing);

    std::memmove(aligned.data() + from + 1, aligned.data() + from, file.size());
    const auto moved = safetensors_reader::open(span<const std::byte>(aligned.data() + from + 1, file.size()));
    CHECK(moved->find("b")->matrix<float>().error() == status::misaligned);
    CHECK(open_safetensors(safetensors("{}", "")) == status::ok);
}

TEST_CASE("safetensors: broken files are refused")
{
    const auto tensor = [](const std::string& name, const std::string& dtype, const std::string& shape, const std::string& offsets) {
        return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
    };
    const auto with = [](const std::string& tensors, std::size_t size) { return safetensors("{" + tensors + "}", std::string(size, 'x')); };
    const std::string a = tensor("a", "U8", "[4]", "[0,4]");
    REQUIRE(open_safetensors(with(a, 4)) == status::ok);
    CHECK(open_safetensors(with(a, 3)) == status::file_truncated);
    CHECK(open_safetensors(with(a, 5)) == status::file_offset_invalid); // bytes of nobody
    CHECK(open_safetensors(with(a + "," + a, 4)) == status::file_offset_invalid);
    CHECK(open_safetensors(with(tensor("a", "U8", "[0]", "[0,0]") + "," + tensor("a", "U8", "[4]", "[0,4]"), 4)) == status::file_duplicate);
    CHECK(open_safetensors(with(a + "," + tensor("b", "U8", "[4]", "[3,7]"), 7)) == status::file_offset_invalid);
    CHECK(open_safetensors(with(a + "," + tensor("b", "U8", "[4]", "[5,9]"), 9)) == status::file_offset_invalid);
    CHECK(open_safetensors(with(tensor("a", "U8", "[4]", "[4,0]"), 4)) == status::file_offset_invalid);
    CHECK(open_safetensors(with(tensor("a", "F32", "[4]", "[0,4]"), 4)) == status::file_offset_invalid);
    CHECK(open_safetensors(with(tensor("a", "F32", "[4611686018427387904,4]", "[0,4]"), 4)) == status::file_shape_invalid);
    CHECK(open_safetensors(with(tensor("a", "U8", "[-4]", "[0,4]"), 4)) == status::file_damaged);
    CHECK(open_safetensors(with(tensor("a", "U8", "[04]", "[0,4]"), 4)) == status::file_damaged);
    CHECK(open_safetensors(with(tensor("a", "U8", "[99999999999999999999]", "[0,4]"), 4)) == status::file_damaged);
    CHECK(open_safetensors(with(tensor("a", "U8", "[4]", "[0,4,4]"), 4)) == status::file_limit);
    CHECK(open_safetensors(with(tensor("a", "U8", "[4]", "[0]"), 4)) == status::file_damaged);
    CHECK(open_safetensors(with(tensor("a", "U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4)) == status::file_limit);
    CHECK(open_safetensors(with(tensor("a", "F4", "[4]", "[0,4]"), 4)) == status::file_type_unknown);
    CHECK(open_safetensors(with(tensor("a\\n", "U8", "[4]", "[0,4]"), 4)) == status::file_name_invalid);
    CHECK(open_safetensors(with(tensor("a\xff", "U8", "[4]", "[0,4]"), 4)) == status::file_text_invalid);
    for (const std::string& text :
        {std::string("{\"a\":1}"), std::string("[]"), std::string(" {}"), std::string("{} x"), std::string("{"), std::string("{\"a\":{}}"),
            std::string("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}"), std::string("{\"__metadata__\":{\"a\":1}}"),
            std::string("{\"__metadata__\":{\"a\":\"\\x\"}}"), std::string("{\"__metadata__\":{\"a\":\"\\u12"), std::string(""),
            std::string("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"more\":1}}"), std::string(500, '{')})
        CHECK(open_safetensors(safetensors(text, "")) == status::file_damaged);
    std::string huge = with(a, 4);
    huge[7] = '\x7f';
    CHECK(open_safetensors(huge) == status::file_limit);
    huge[7] = '\0';
    huge[2] = '\x05';
    CHECK(open_safetensors(huge) == status::file_truncated);
}

TEST_CASE("GPTQ checkpoints: both versions, 4 and 8 bits, inputs in any order")
{
    for (const bool shuffled : {false, true})
        for (const gptq_version version : {gptq_version::v1, gptq_version::v2}) {
            const unsigned first = version == gptq_version::v1 ? 1 : 0; // version 1 cannot store a zero point of 0
            check_gptq<uint4x2>(layer(16, 96, 32, 4, first, shuffled), version, shuffled);
            check_gptq<uint4x2>(layer(8, 72, 32, 4, first, shuffled), version, true); // the last group is shorter
            check_gptq<std::int8_t>(layer(8, 64, 16, 8, first, shuffled), version, shuffled);
        }
}

TEST_CASE("GPTQ checkpoints: the zero points of the two versions differ by one")
{
    // A layer of one word a row: all codes 8, stored zero points 7. Version 1 makes 8 of them, so that the weights are 0.
    std::vector<std::byte> qweight(8 * 4, std::byte(0x88)), qzeros(4, std::byte(0x77)), scales(16);
    for (std::size_t i = 0; i < 8; ++i)
        std::memcpy(scales.data() + 2 * i, "\x00\x3c", 2); // 1.0
    std::vector<uint4x2> codes(8 * 4);
    std::vector<float> out(8), w(64);
    std::vector<std::int32_t> zero_points(8);
    const matrix_view<uint4x2> to(codes.data(), 8, 4);
    for (const gptq_version version : {gptq_version::v1, gptq_version::v2}) {
        REQUIRE(from_gptq(checkpoint_layer {qweight, qzeros, scales}, version, 8, 8, to, out, zero_points) == status::ok);
        CHECK(zero_points[5] == (version == gptq_version::v1 ? 8 : 7));
        REQUIRE(
            dequantize(matrix_view<const uint4x2>(to), {granularity::per_group, 8, out, zero_points}, matrix_view<float>(w.data(), 8, 8))
            == status::ok);
        CHECK(w[13] == (version == gptq_version::v1 ? 0.0f : 1.0f));
    }
    qzeros[2] = std::byte(0xf7);
    zero_points[0] = -5;
    CHECK(from_gptq(checkpoint_layer {qweight, qzeros, scales}, gptq_version::v1, 8, 8, to, out, zero_points)
          == status::zero_point_out_of_range);
    CHECK(zero_points[0] == -5);
    CHECK(from_gptq(checkpoint_layer {qweight, qzeros, scales}, gptq_version::v2, 8, 8, to, out, zero_points) == status::ok);
    CHECK(zero_points[5] == 15);
}

TEST_CASE("GPTQ checkpoints: tensors that do not fit are refused")
{
    const layer l(8, 64, 32, 4, 1, true);
    const auto qweight = l.gptq_weights(), qzeros = l.gptq_zeros(1), scales = l.scale_bytes();
    auto g_idx = l.group_bytes();
    std::vector<uint4x2> codes(8 * 32);
    std::vector<float> out(16);
    std::vector<std::int32_t> zero_points(16), order(64);
    const matrix_view<uint4x2> to(codes.data(), 8, 32);
    const auto read = [&](const checkpoint_layer& from, span<std::int32_t> ordered) {
        return from_gptq(from, gptq_version::v1, 64, 32, to, out, zero_points, ordered);
    };
    const checkpoint_layer good {qweight, qzeros, scales, g_idx};
    REQUIRE(read(good, order) == status::ok);
    CHECK(read(good, {}) == status::layout_unsupported);
    CHECK(read(good, span<std::int32_t>(order.data(), 63)) == status::shape_mismatch);
    for (int i = 0; i < 4; ++i) {
        checkpoint_layer bad = good;
        span<const std::byte>& tensor = i == 0 ? bad.qweight : i == 1 ? bad.qzeros : i == 2 ? bad.scales : bad.g_idx;
        tensor = tensor.subspan(0, tensor.size() - 1);
        CHECK(read(bad, order) == status::shape_mismatch);
    }
    g_idx[0] = std::byte(2);
    CHECK(read(good, order) == status::group_index_invalid); // there is no such group
    g_idx[3] = std::byte(0x80);
    CHECK(read(good, order) == status::group_index_invalid);
    g_idx[3] = std::byte(0);
    g_idx[0] = l.group[0] == 0 ? std::byte(1) : std::byte(0);
    CHECK(read(good, order) == status::group_index_invalid); // one group has 33 inputs
    auto infinite = scales;
    infinite[1] = std::byte(0x7c);
    infinite[0] = std::byte(0);
    CHECK(read({qweight, qzeros, infinite}, order) == status::scale_invalid);
    CHECK(from_gptq(good, gptq_version::v1, 64, 33, to, out, zero_points, order) == status::group_size_invalid);
    CHECK(from_gptq(good, gptq_version::v1, 60, 32, to, out, zero_points, order) == status::shape_mismatch);
}

TEST_CASE("AWQ checkpoints")
{
    const layer l(16, 70, 32, 4, 0, false); // AWQ packs along the outputs, so that k may be anything
    constexpr std::size_t order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    const auto at = [&](const std::vector<std::uint32_t>& of) {
        return [&](std::size_t r, std::size_t c) { return of[r * 16 + c / 8 * 8 + order[c % 8]]; };
    };
    const auto qweight = words(70, 16, 4, at(l.codes)), qzeros = words(3, 16, 4, at(l.zeros)), scales = l.scale_bytes();
    std::vector<uint4x2> codes(16 * 35);
    std::vector<float> out(48), w(16 * 70);
    std::vector<std::int32_t> zero_points(48);
    const matrix_view<uint4x2> to(codes.data(), 16, 35);
    REQUIRE(from_awq({qweight, qzeros, scales}, 70, 32, to, out, zero_points) == status::ok);
    REQUIRE(dequantize(matrix_view<const uint4x2>(to), {granularity::per_group, 32, out, zero_points}, matrix_view<float>(w.data(), 16, 70))
            == status::ok);
    for (std::size_t j = 0; j < 16; ++j)
        for (std::size_t i = 0; i < 70; ++i)
            if (w[j * 70 + i] != l.weight(j, i))
                FAIL("weight (" << j << ", " << i << ")");
    CHECK(from_awq({qweight, qzeros, scales}, 72, 32, to, out, zero_points) == status::shape_mismatch);
    CHECK(from_awq({qweight, qzeros, scales}, 70, 0, to, out, zero_points) == status::group_size_invalid);
}

TEST_CASE("DLPack tensors become matrices and back")
{
    check_dlpack<tensor_as_in_dlpack>();
#if defined(DLPACK_VERSION)
    check_dlpack<DLTensor>();
#endif
}

TEST_CASE("mdspan and std::span")
{
    int data[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    CHECK((*to_matrix_view(own_mdspan {data, {3, 3}, {4, 1}}))(2, 1) == 9);
    CHECK(to_matrix_view(own_mdspan {data, {3, 3}, {1, 4}}).error() == status::layout_unsupported);
    CHECK(to_matrix_view(own_mdspan {data, {3, 3}, {2, 1}}).error() == status::stride_too_small);
#if defined(__cpp_lib_span)
    const std::span<int> theirs(data);
    const span<const int> ours(theirs);
    const std::span<const int> back(ours);
    CHECK((back.data() == data && back.size() == 12));
#endif
#if defined(__cpp_lib_mdspan)
    const auto view = to_matrix_view(to_mdspan(matrix_view<int>(data, 3, 3, 4)));
    REQUIRE(view);
    CHECK((view->rows == 3 && view->cols == 3 && view->stride == 4 && (*view)(2, 1) == 9));
#endif
}
