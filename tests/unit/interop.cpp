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

// As a view and as a copy, which tell of the same array.
status open_npy(const std::string& file)
{
    const status viewed = read_guarded(file, read_npy, [](const array& a) { sink = sum_of(a) + sum_of(a.transposed()); });
    const test::guarded<std::byte> memory(static_cast<std::ptrdiff_t>(file.size()));
    const auto copy = [&](span<const std::byte> bytes) { return copy_npy(bytes, span<std::byte>(memory.data(), memory.size())); };
    const status copied = read_guarded(file, copy, [](const array& a) { sink = sum_of(a); });
    CHECK((copied == viewed || (copied == status::ok && viewed == status::file_byte_order)));
    return viewed;
}

status open_safetensors(const std::string& file)
{
    return read_guarded(file, safetensors_reader::open, [](const safetensors_reader& r) {
        for (std::size_t i = 0; i < r.tensor_count(); ++i) {
            const safetensors_tensor t = r.tensor(i);
            sink = sum_of(t.values);
            const auto found = r.find(t.name);
            CHECK(found.error() == t.error);
            CHECK((!found || found->data.data() == t.values.data.data()));
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

// Code c of 32 codes of 3 bits in three words, as GPTQ's packing places them: the first lowest, 10 codes in a word, and two between words.
void put_3_bits(std::uint32_t* three, std::size_t c, std::uint32_t code)
{
    if (c < 10)
        three[0] |= code << (3 * c);
    else if (c == 10) {
        three[0] |= code << 30;
        three[1] |= code >> 2;
    } else if (c < 21)
        three[1] |= code << (3 * (c - 11) + 1);
    else if (c == 21) {
        three[1] |= code << 31;
        three[2] |= code >> 1;
    } else
        three[2] |= code << (3 * (c - 22) + 2);
}

// rows x columns numbers of `bits` bits in int32s, the first lowest.
template <class At>
std::vector<std::uint32_t> words(std::size_t rows, std::size_t columns, int bits, At at)
{
    const std::size_t b = static_cast<std::size_t>(bits), each = 32 / b, in_row = columns * b / 32;
    std::vector<std::uint32_t> out(rows * in_row);
    for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c)
            if (bits == 3)
                put_3_bits(out.data() + r * in_row + c / 32 * 3, c % 32, at(r, c));
            else
                out[r * in_row + c / each] |= at(r, c) << (c % each * b);
    return out;
}

std::vector<std::byte> bytes_of(const std::vector<std::uint32_t>& numbers)
{
    std::vector<std::byte> bytes(numbers.size() * 4);
    if (!bytes.empty())
        std::memcpy(bytes.data(), numbers.data(), bytes.size());
    return bytes;
}

struct layer {
    std::size_t n, k, group_size;
    int bits;
    std::vector<std::uint32_t> codes, zeros; // k x n, groups x n
    std::vector<half> scales;                // groups x n
    std::vector<std::int32_t> group;         // of each input

    layer(std::size_t outputs, std::size_t inputs, std::size_t size, int b, unsigned first_zero, bool shuffled, std::uint64_t seed = 7)
        : n(outputs), k(inputs), group_size(size), bits(b)
    {
        test::random random(seed);
        const std::size_t groups = (k + size - 1) / size;
        const auto greatest = (1u << bits) - 1;
        for (std::size_t i = 0; i < n * k; ++i)
            codes.push_back(random.bits() & greatest);
        for (std::size_t i = 0; i < n * groups; ++i) {
            zeros.push_back(first_zero + random.bits() % (greatest + 1 - first_zero));
            scales.push_back(to_half(0.01f + 0.001f * static_cast<float>(i % 50)));
        }
        for (std::size_t i = 0; i < k; ++i)
            group.push_back(static_cast<std::int32_t>(i / size));
        for (std::size_t i = k; shuffled && i > 1; --i)
            std::swap(group[i - 1], group[random.bits() % i]);
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
    /// [k * bits / 32, n]: the words of an output stand below each other.
    std::vector<std::byte> gptq_weights() const
    {
        const auto of_outputs = words(n, k, bits, [&](std::size_t j, std::size_t i) { return codes[i * n + j]; });
        const std::size_t each = of_outputs.size() / n;
        std::vector<std::uint32_t> out(of_outputs.size());
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = of_outputs[i % n * each + i / n];
        return bytes_of(out);
    }
    std::vector<std::byte> gptq_zeros(unsigned less) const
    {
        return bytes_of(words(scales.size() / n, n, bits, [&](std::size_t g, std::size_t j) { return zeros[g * n + j] - less; }));
    }
};

template <class Q>
void check_gptq(const layer& l, gptq_version version, bool give_groups)
{
    const std::size_t groups = l.scales.size() / l.n, row = l.k / static_cast<std::size_t>(code_traits<Q>::per_element);
    const auto qweight = l.gptq_weights(), qzeros = l.gptq_zeros(version == gptq_version::v1 ? 1 : 0), scales = l.scale_bytes(),
               g_idx = l.group_bytes();
    checkpoint_layer from {qweight, qzeros, scales};
    from.bits = l.bits;
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
    if constexpr (!std::is_same_v<Q, uint2x4>)
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
    CHECK(open_npy("PK") == status::file_not_npy);
    CHECK(open_npy("\x93NUMP") == status::file_truncated);
    CHECK(open_npy("") == status::file_truncated);
    for (const char major : {'\x00', '\x04', '\x7f'})
        CHECK(open_npy(npy(good, "abcd", major)) == status::file_version);
    for (const char major : {'\x01', '\x02', '\x03'}) {
        std::string minor = npy(good, "abcd", major);
        minor[7] = '\x01';
        CHECK(open_npy(minor) == status::file_version);
        CHECK(open_npy(minor.substr(0, 8)) == status::file_version);
    }
    for (const char* text :
        {"{'descr': '<f4', 'fortran_order': False}", "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
            "{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}", "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)} x", "{'descr': '<f4", "{", "", "{'shape': (99999999999999999999,)}"})
        CHECK(open_npy(npy(text, "abcd")) == status::file_damaged);
    damage(npy(good, "abcd"), open_npy);
    damage(npy("{\"descr\":\">i2\",\"fortran_order\":True,\"shape\":(2L,2)}", "abcdefgh"), open_npy);
    CHECK(npy_header<float>(1, 1, {}).error() == status::buffer_too_small);
    CHECK(npy_header<float>(1, 1, {nullptr, 128}).error() == status::null_pointer);
    CHECK(copy_npy(bytes_of(npy(good, "abcd")), {}).error() == status::buffer_too_small);
    CHECK(copy_npy(bytes_of(npy(good, "abcd")), {nullptr, 4}).error() == status::null_pointer);
}

TEST_CASE(".npy: types as NumPy names them")
{
    const auto type_of = [](const std::string& descr) {
        const auto file = bytes_of(npy("{'descr': " + descr + ", 'fortran_order': False, 'shape': (2,)}", std::string(32, '\1')));
        const auto a = read_npy(file);
        return a ? a->type : element_type::unknown;
    };
    const std::pair<const char*, element_type> known[]
        = {{"'<i1'", element_type::s8}, {"'>i1'", element_type::s8}, {"'|i1'", element_type::s8}, {"'=i1'", element_type::s8},
            {"'i1'", element_type::s8}, {"'<u1'", element_type::u8}, {"'|u1'", element_type::u8}, {"'<b1'", element_type::boolean},
            {"'|b1'", element_type::boolean}, {"'?'", element_type::boolean}, {"'=f4'", element_type::f32}, {"'|f4'", element_type::f32},
            {"'f4'", element_type::f32}, {"\"<f4\"", element_type::f32}, {"u'<f4'", element_type::f32}, {"'f'", element_type::f32},
            {"'<f'", element_type::f32}, {"'float32'", element_type::f32}, {"'=f2'", element_type::f16}, {"'d'", element_type::f64},
            {"'=u2'", element_type::u16}, {"'|i8'", element_type::s64}, {"'<c8'", element_type::c64}, {"'uint64'", element_type::u64}};
    for (const auto& [descr, type] : known) {
        INFO(descr);
        CHECK(type_of(descr) == type);
    }
    const auto status_of = [](const std::string& descr) {
        return open_npy(npy("{'descr': " + descr + ", 'fortran_order': False, 'shape': (2,)}", std::string(64, '\1')));
    };
    for (const char* descr : {"'>f4'", "'>i2'", "'>u8'", "'>c8'", "\">f8\"", "'>d'"}) {
        INFO(descr);
        CHECK(status_of(descr) == status::file_byte_order);
    }
    for (const char* descr : {"('<f4', (2,))", "('<f4', 2)", "[('x', '<f4')]", "[]", "'(2,)f4'", "'2f4'", "'<f4,<f4'", "'<f16'", "'<c16'",
             "'O'", "'|S4'", "'<U2'", "'|V4'", "'<M8[ns]'", "'<f3'", "'<b2'", "''", "'<'", "'>'", "'<float32'", "' f4'", "'f4 '", "'F4'"}) {
        INFO(descr);
        CHECK(status_of(descr) == status::file_type_unknown);
    }
    for (const char* descr : {"<f4", "b'<f4'", "'<f4", "'<f4\"", "None", "4", "'\\x3cf4'", "u '<f4'", "'<f\n4'"}) {
        INFO(descr);
        CHECK(status_of(descr) == status::file_damaged);
    }
}

TEST_CASE(".npy: dictionaries as Python writes them")
{
    const auto shaped = [](const std::string& shape, char major = 1) {
        return open_npy(npy("{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }", std::string(64, 'x'), major));
    };
    for (const char* shape :
        {"()", "(6,)", "(2,3)", "(2,3,)", "( 2 , 3 )", "(2,\n3)", "(2,\t3)", "(2L,3L)", "(2 L,)", "(0L,)", "(00,)", "(0,)"}) {
        INFO(shape);
        CHECK(shaped(shape) == status::ok);
        CHECK(shaped(shape, '\2') == status::ok);
    }
    CHECK(shaped("(2L,)", '\3') == status::file_damaged);
    for (const char* shape : {"(6)", "6", "[6]", "(6L)", "(,)", "(2,,3)", "(2 3)", "(02,)", "(2l,)", "(2LL,)", "(-1,)", "(2.0,)", "('2',)",
             "(2", "(2,", "2,3", "((2,),)", "(2,\v3)", "(None,)"}) {
        INFO(shape);
        CHECK(shaped(shape) == status::file_damaged);
    }
    for (const char* shape : {"(99999999999, 99999999999)", "(9223372036854775808,)", "(99999999999999999999999,)",
             "(0, 99999999999, 99999999999)", "(99999999999, 99999999999, 0)"}) {
        INFO(shape);
        CHECK(shaped(shape) == status::file_shape_invalid);
    }
    std::string ones = "(1,1,1,1,1,1,1,1,1)";
    CHECK(shaped(ones) == status::ok);
    while (std::count(ones.begin(), ones.end(), '1') < 64)
        ones.insert(1, "1,");
    CHECK(shaped(ones) == status::ok);
    CHECK(shaped(ones.insert(1, "1,")) == status::file_limit);

    const std::string all = "'descr': '|u1', 'fortran_order': True, 'shape': (2,)";
    for (const std::string& text : {"{" + all + "}", "{" + all + ",}\n", " \t{" + all + "}", "{\n" + all + "\n}\n\n", "{" + all + "}\r\n",
             std::string("{\"descr\":\"|u1\",\"fortran_order\":False,\"shape\":(2,)}"),
             std::string("{u'descr':'|u1','fortran_order':False,U'shape':(2,)}")}) {
        INFO(text);
        CHECK(open_npy(npy(text, "ab")) == status::ok);
    }
    for (const std::string& text : {"{" + all + ",,}", "{" + all + "}}", "{" + all + "},", "{" + all, all + "}", "{" + all + ", 'more': 1}",
             "{" + all + "}" + '\0', std::string("{'descr':'|u1','fortran_order':1,'shape':(2,)}"),
             std::string("{'descr':'|u1','fortran_order':'True','shape':(2,)}"),
             std::string("{'descr':'|u1','fortran_order':true,'shape':(2,)}"),
             std::string("{'Descr':'|u1','fortran_order':True,'shape':(2,)}"),
             std::string("{'descr' '|u1','fortran_order':True,'shape':(2,)}"),
             std::string("{'descr':'|u1' 'fortran_order':True,'shape':(2,)}")}) {
        INFO(text);
        CHECK(open_npy(npy(text, "ab")) == status::file_damaged);
    }
}

TEST_CASE(".npy: any order of dimensions and of bytes, as a view and as a copy")
{
    test::random random(3);
    for (int i = 0; i < 1500; ++i) {
        const std::uint32_t dimensions = random.bits() % 6;
        const bool fortran = random.bits() % 2 != 0, big = random.bits() % 2 != 0;
        static constexpr std::pair<const char*, std::size_t> types[] = {{"u1", 1}, {"i2", 2}, {"f4", 4}, {"u8", 8}, {"c8", 4}};
        const auto& [descr, part] = types[random.bits() % 5];
        const std::size_t size = descr[0] == 'c' ? 8 : part;
        std::size_t sizes[6] = {}, count = 1;
        std::string shape = "(";
        for (std::uint32_t d = 0; d < dimensions; ++d) {
            sizes[d] = random.bits() % 20 == 0 ? 0 : 1 + random.bits() % 4;
            count *= sizes[d];
            shape += std::to_string(sizes[d]) + ",";
        }
        // Element number e in row-major order has the bytes of e * 2654435761, its parts least significant byte first.
        const auto byte_of
            = [](std::size_t e, std::size_t b) { return static_cast<char>(std::uint64_t(e + 1) * 0x9e3779b97f4a7c15u >> (8 * b)); };
        std::string data(count * size, '\0');
        for (std::size_t e = 0; e < count; ++e) {
            std::size_t left = e, place = 0, stride = 1;
            std::size_t index[6] = {};
            for (std::uint32_t d = dimensions; d-- > 0; left /= sizes[d])
                index[d] = left % sizes[d];
            for (std::uint32_t d = 0; d < dimensions; stride *= sizes[d++])
                place += index[d] * stride;
            for (std::size_t b = 0; b < size; ++b)
                data[(fortran ? place : e) * size + (big ? b / part * part + (part - 1 - b % part) : b)] = byte_of(e, b);
        }
        const auto file = bytes_of(npy(std::string("{'descr': '") + (big ? ">" : "<") + descr
                                           + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ")}",
            data));
        INFO(descr << " " << shape << (fortran ? " Fortran" : "") << (big ? " big" : ""));
        std::vector<std::byte> memory(count * size);
        const auto copy = copy_npy(file, memory);
        REQUIRE(copy);
        CHECK((!copy->column_major && copy->dimensions == dimensions && copy->data.data() == memory.data()
               && copy->data.size() == memory.size()));
        bool same = true;
        for (std::size_t e = 0; e < count; ++e)
            for (std::size_t b = 0; b < size; ++b)
                same = same && memory[e * size + b] == static_cast<std::byte>(byte_of(e, b));
        CHECK(same);
        if (count * size != 0)
            CHECK(copy_npy(file, span<std::byte>(memory.data(), memory.size() - 1)).error() == status::buffer_too_small);
        const auto view = read_npy(file);
        CHECK(view.error() == (big && size > 1 ? status::file_byte_order : status::ok));
        if (!view)
            continue;
        std::size_t long_sides = 0;
        for (std::uint32_t d = 0; d < dimensions; ++d)
            long_sides += sizes[d] > 1;
        CHECK(view->column_major == (fortran && count != 0 && long_sides > 1));
        const array turned = view->transposed(), back = turned.transposed();
        CHECK((turned.data.data() == view->data.data() && back.column_major == view->column_major));
        CHECK((!view->column_major || !turned.column_major));
        for (std::uint32_t d = 0; d < dimensions; ++d)
            CHECK((turned.sizes[d] == static_cast<std::ptrdiff_t>(sizes[dimensions - 1 - d]) && back.sizes[d] == view->sizes[d]));
    }

    // A matrix of the transpose.
    std::vector<float> floats = {0, 10, 1, 11, 2, 12};
    std::string data(24, '\0');
    std::memcpy(&data[0], floats.data(), 24);
    const std::string head = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}";
    const auto file = bytes_of(npy(head + std::string((64 - (10 + head.size()) % 64) % 64, ' '), data));
    const auto a = read_npy(file);
    REQUIRE(a);
    CHECK(a->matrix<float>().error() == status::layout_unsupported);
    const auto m = a->transposed().matrix<float>();
    REQUIRE(m);
    CHECK((m->rows == 3 && m->cols == 2 && (*m)(2, 1) == 12.0f && (*m)(1, 0) == 1.0f));
    std::vector<float> memory(6);
    const auto c = copy_npy(file, span<std::byte>(reinterpret_cast<std::byte*>(memory.data()), 24))->matrix<float>();
    REQUIRE(c);
    CHECK((c->rows == 2 && c->cols == 3 && (*c)(1, 2) == 12.0f && (*c)(0, 1) == 1.0f));
}

TEST_CASE("arrays of bools hold nothing else")
{
    for (const char value : {'\0', '\1', '\2', '\xff'}) {
        const auto file = bytes_of(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", std::string("\1") + value));
        CHECK(read_npy(file)->matrix<bool>().error() == (value == 0 || value == 1 ? status::ok : status::file_value_invalid));
    }
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
    CHECK(open_safetensors(with(a + "," + a, 4)) == status::file_duplicate);
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
    CHECK(open_safetensors(with(tensor("a", "U8", "[9223372036854775808]", "[0,4]"), 4)) == status::file_shape_invalid);
    CHECK(open_safetensors(with(tensor("a", "F4", "[4]", "[0,4]"), 4)) == status::file_offset_invalid);
    CHECK(open_safetensors(with(tensor("a", "F4", "[3]", "[0,2]"), 2)) == status::file_shape_invalid); // half a byte
    CHECK(open_safetensors(with(tensor("a", "U8", "[4]", "[3,7]") + "," + tensor("b", "U8", "[3]", "[1,4]"), 2))
          == status::file_offset_invalid);
    for (const char* half : {"\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\ud83dx", "\\ude00\\ud83d"})
        CHECK(open_safetensors(with(tensor(half, "U8", "[4]", "[0,4]"), 4)) == status::file_text_invalid);
    CHECK(open_safetensors(with(tensor("a\xff", "U8", "[4]", "[0,4]"), 4)) == status::file_text_invalid);
    for (const std::string& text :
        {std::string("{\"a\":1}"), std::string("[]"), std::string("\v{}"), std::string("{} x"), std::string("{"), std::string("{\"a\":{}}"),
            std::string("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}"), std::string("{\"__metadata__\":{\"a\":1}}"),
            std::string("{\"__metadata__\":{\"a\":\"\\x\"}}"), std::string("{\"__metadata__\":{\"a\":\"\\u12"), std::string(""),
            std::string("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],}}"), std::string(500, '{')})
        CHECK(open_safetensors(safetensors(text, "")) == status::file_damaged);
    std::string huge = with(a, 4);
    huge[7] = '\x7f';
    CHECK(open_safetensors(huge) == status::file_limit);
    huge[7] = '\0';
    huge[2] = '\x05';
    CHECK(open_safetensors(huge) == status::file_truncated);
}

TEST_CASE("safetensors: headers as the format's own library reads them")
{
    const auto with_more = [](const std::string& more) {
        return open_safetensors(safetensors("{\"a\":{\"dtype\":\"U8\"," + more + "\"shape\":[1],\"data_offsets\":[0,1]}}", "x"));
    };
    for (const char* header : {" {}", "\n\t\r {}", "{} \n", "{\"__metadata__\":null}", "{\"__metadata__\":{}}",
             "{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", "{\"\\u005f_metadata__\":{\"a\":\"b\"}}"}) {
        INFO(header);
        CHECK(open_safetensors(safetensors(header, "")) == status::ok);
    }
    CHECK(open_safetensors(safetensors("{\"__metadata__\":null,\"__met\\u0061data__\":{}}", "")) == status::file_duplicate);
    CHECK(open_safetensors(safetensors("{\"__metadata__\":{\"a\":null}}", "")) == status::file_damaged);
    CHECK(open_safetensors(safetensors("{\"__metadata__\":[]}", "")) == status::file_damaged);

    // Keys that it does not know, with any value.
    for (const char* value : {"1", "-1", "0", "-0", "1.5", "-0.25e-3", "1E+5", "1e5", "true", "false", "null", "\"x\"", "\"\\n\"", "[]",
             "{}", "[ ]", "[1,[2,{\"a\":[]}],\"x\"]", "{\"a\":{\"b\":1},\"c\":[null]}", "123456789012345678901234567890"}) {
        INFO(value);
        CHECK(with_more(std::string("\"more\":") + value + ",") == status::ok);
        CHECK(with_more(std::string("\"more\" : [ ") + value + " ] ,") == status::ok);
    }
    for (const char* value : {"", "01", "1.", ".5", "-", "+1", "1e", "1e+", "nul", "True", "'x'", "[1,]", "[", "{\"a\"}", "{\"a\":}",
             "{a:1}", "{\"a\":1,}", "[1}", "{\"a\":1]", "1 2", "\"", "\"\\x\"", "\"\n\"", "[\"]", "NaN"}) {
        INFO(value);
        CHECK(with_more(std::string("\"more\":") + value + ",") == status::file_damaged);
    }
    CHECK(with_more("\"more\":\"\\ud800\",") == status::file_text_invalid);
    CHECK(with_more("\"dtype\":\"U8\",") == status::file_duplicate);
    CHECK(with_more("\"d\\u0074ype\":\"U8\",") == status::file_duplicate);
    CHECK(with_more("\"x\":" + std::string(125, '[') + std::string(125, ']') + ",") == status::ok);
    CHECK(with_more("\"x\":" + std::string(126, '[') + std::string(126, ']') + ",") == status::file_limit);
    CHECK(with_more("\"x\":" + std::string(100000, '[')) == status::file_limit);

    // Names with escape sequences are the characters' names.
    const std::pair<const char*, std::string> names[] = {{"a\\n\\t\\r\\b\\f", "a\n\t\r\b\f"}, {"\\\"\\\\\\/", "\"\\/"}, {"\\u0041", "A"},
        {"\\u00e9", "\xc3\xa9"}, {"\\u07FF", "\xdf\xbf"}, {"\\u0800", "\xe0\xa0\x80"}, {"\\uffff", "\xef\xbf\xbf"},
        {"\\uD83D\\ude00", "\xf0\x9f\x98\x80"}, {"\\udbff\\udfff", "\xf4\x8f\xbf\xbf"}, {"\\u0000", std::string(1, '\0')}, {"", ""}};
    for (const auto& [written, meant] : names) {
        INFO(written);
        const auto file = bytes_of(safetensors(std::string("{\"z\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"") + written
                                                   + "\":{\"dt\\u0079pe\":\"\\u0055\\u0038\",\"sh\\u0061pe\":[1],\"data_offsets\":[1,2]}}",
            "xy"));
        const auto r = safetensors_reader::open(file);
        REQUIRE(r);
        CHECK((r->tensor(1).name == meant && r->find(meant)->type == element_type::u8 && r->find(meant)->data[0] == std::byte('y')));
        damage(safetensors(std::string("{\"") + written + "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "x"),
            open_safetensors);
    }
}

TEST_CASE("safetensors: a tensor that cannot be read says so, the others can be read")
{
    const auto file_with = [](const std::string& dtype, const std::string& shape, std::size_t bytes) {
        const std::string end = std::to_string(3 + bytes);
        return bytes_of(
            safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"odd\":{\"dtype\":\"" + dtype
                            + "\",\"shape\":" + shape + ",\"data_offsets\":[3," + end
                            + "]},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" + end + "," + std::to_string(4 + bytes) + "]}}",
                "xyz" + std::string(bytes, 'o') + "w"));
    };
    const auto check = [](const std::vector<std::byte>& file, status odd, std::size_t bytes) {
        const auto r = safetensors_reader::open(file);
        REQUIRE(r);
        CHECK(r->find("odd").error() == odd);
        CHECK((r->tensor(1).error == odd && r->tensor(1).values.data.size() == bytes));
        CHECK((r->find("a")->matrix<std::uint8_t>()->cols == 3 && r->find("b")->data[0] == std::byte('w')));
        (void)open_safetensors(std::string(reinterpret_cast<const char*>(file.data()), file.size()));
    };
    struct odd_type {
        const char* dtype;
        std::size_t bits;
    };
    for (const odd_type& t :
        {odd_type {"F4", 4}, odd_type {"F6_E2M3", 6}, odd_type {"F6_E3M2", 6}, odd_type {"F8_E4M3FNUZ", 8}, odd_type {"F8_E5M2FNUZ", 8}}) {
        INFO(t.dtype);
        check(file_with(t.dtype, "[2,4]", t.bits), status::file_type_unknown, t.bits);
        check(file_with(t.dtype, "[0]", 0), status::file_type_unknown, 0);
        CHECK(safetensors_reader::open(file_with(t.dtype, "[2,4]", t.bits + 1)).error() == status::file_offset_invalid);
    }
    check(file_with("F7_NEW", "[2,4]", 7), status::file_type_unknown, 7); // whatever its bits are
    check(file_with("", "[]", 2), status::file_type_unknown, 2);
    check(file_with("F4", "[2,4]", 4), status::file_type_unknown, 4);
    check(file_with("U8", "[1,1,1,1,1,1,1,1,4]", 4), status::ok, 4);
    CHECK(safetensors_reader::open(file_with("U8", "[1,1,1,1,1,1,1,1,4]", 4))->find("odd")->sizes[8] == 4);
    std::string many = "[2";
    for (int i = 0; i < 63; ++i)
        many += ",1";
    check(file_with("U8", many + "]", 2), status::ok, 2);
    check(file_with("U8", many + ",1]", 2), status::file_limit, 2);
    CHECK(safetensors_reader::open(file_with("U8", many + ",2]", 2)).error() == status::file_offset_invalid);
    check(file_with("U8", "[0,4611686018427387904,4]", 0), status::ok, 0);
}

TEST_CASE("safetensors: random headers; a name that is there twice is named before all else")
{
    test::random random(5);
    const auto space = [&] { return std::string(random.bits() % 4 == 0 ? " \n" : ""); };
    for (int i = 0; i < 3000; ++i) {
        const std::size_t count = 1 + random.bits() % 6;
        std::vector<std::string> names, entries;
        std::vector<std::size_t> ends {0};
        for (std::size_t t = 0; t < count; ++t) {
            names.push_back(std::string(1 + random.bits() % 3, 'n') + std::to_string(t));
            const std::size_t rows = random.bits() % 4, columns = random.bits() % 4;
            ends.push_back(ends.back() + 2 * rows * columns);
            std::string written = names.back();
            if (random.bits() % 3 == 0)
                written.replace(0, 1, random.bits() % 2 ? "\\u006e" : "\\u006E");
            std::string fields[] = {"\"dtype\":" + space() + "\"F16\"",
                "\"shape\"" + space() + ":[" + std::to_string(rows) + space() + "," + std::to_string(columns) + "]",
                "\"data_offsets\":[" + std::to_string(ends[t]) + "," + space() + std::to_string(ends[t + 1]) + "]",
                "\"more\":{\"a\":[1,2]}"};
            for (std::size_t f = 3; f > 0; --f)
                std::swap(fields[f], fields[random.bits() % (f + 1)]);
            entries.push_back("\"" + written + "\":" + space() + "{" + fields[0] + "," + space() + fields[1] + "," + fields[2] + ","
                              + fields[3] + space() + "}");
        }
        std::vector<std::size_t> order(count);
        std::iota(order.begin(), order.end(), std::size_t(0));
        for (std::size_t t = count; t > 1; --t)
            std::swap(order[t - 1], order[random.bits() % t]);
        std::string header = space() + "{" + space();
        for (std::size_t t = 0; t < count; ++t)
            header += (t == 0 ? "" : ",") + entries[order[t]];
        const auto file = bytes_of(safetensors(header + space() + "}" + space(), std::string(ends.back(), 'x')));
        const auto r = safetensors_reader::open(file);
        REQUIRE(r);
        REQUIRE(r->tensor_count() == count);
        for (std::size_t t = 0; t < count; ++t) {
            const auto a = r->find(names[t]);
            REQUIRE(a);
            CHECK((a->type == element_type::f16 && a->dimensions == 2 && a->data.size() == ends[t + 1] - ends[t]));
            CHECK(a->data.data() == file.data() + file.size() - ends.back() + ends[t]);
            CHECK(r->tensor(t).name == names[order[t]]);
        }
        // The name again, in a tensor that lies anywhere, or has other sizes than bytes, or that ends in the middle.
        static constexpr const char* places[]
            = {"[0,0]", "[0,2]", "[2,4]", "[1,3]", "[1000000,1000002]", "[4,2]", "[18446744073709551615,0]"};
        const std::string again = ",\"" + names[random.bits() % count] + "\":{\"dtype\":\"" + (random.bits() % 2 ? "F16" : "F99")
                                  + "\",\"shape\":" + (random.bits() % 2 ? "[1]" : "[4611686018427387904,16]")
                                  + ",\"data_offsets\":" + places[random.bits() % 7];
        const std::string data(random.bits() % 2 ? ends.back() : ends.back() / 2, 'x');
        CHECK(open_safetensors(safetensors(header + again + "}}", data)) == status::file_duplicate);
        CHECK(open_safetensors(safetensors(header + again + "}", data)) == status::file_duplicate);
        CHECK(open_safetensors(safetensors(header + again, data)) == status::file_duplicate);
        std::string changed = safetensors(header + "}", std::string(ends.back(), 'x'));
        for (int c = 0; c < 2; ++c)
            changed[random.bits() % changed.size()] = "\"\\{}[]:,0u\xc3\x7f"[random.bits() % 12];
        (void)open_safetensors(changed);
    }
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

TEST_CASE("GPTQ checkpoints: 2, 3, 4 and 8 bits, random sizes and orders")
{
    test::random random(11);
    for (int i = 0; i < 400; ++i) {
        const bool shuffled = random.bits() % 2 != 0;
        const gptq_version version = random.bits() % 2 != 0 ? gptq_version::v1 : gptq_version::v2;
        const unsigned first = version == gptq_version::v1 ? 1 : 0;
        static constexpr int all_bits[] = {2, 3, 3, 4, 8};
        const int bits = all_bits[random.bits() % 5];
        const std::size_t whole = bits == 3 ? 32 : 32 / static_cast<std::size_t>(bits);
        const std::size_t n = whole * (1 + random.bits() % 3), k = whole * (1 + random.bits() % 7),
                          size = 4 * (1 + random.bits() % (k / 2));
        const layer l(n, k, size, bits, first, shuffled, random.bits());
        INFO(bits << " bits, " << n << " x " << k << ", groups of " << size);
        if (bits == 2 && random.bits() % 2 != 0)
            check_gptq<uint2x4>(l, version, shuffled);
        else if (bits < 8 && random.bits() % 4 != 0)
            check_gptq<uint4x2>(l, version, shuffled);
        else
            check_gptq<std::int8_t>(l, version, shuffled);
    }
}

TEST_CASE("GPTQ checkpoints: a word of 3 bits")
{
    // 32 inputs with the codes 0 to 7 over and over: bytes that can be read off. Outputs are alike.
    constexpr std::uint32_t three[] = {0x88fac688u, 0xc688fac6u, 0xfac688fau};
    std::vector<std::byte> qweight(3 * 32 * 4), qzeros(12), scales(64);
    for (std::size_t w = 0; w < 3; ++w)
        for (std::size_t j = 0; j < 32; ++j)
            std::memcpy(qweight.data() + 4 * (32 * w + j), &three[w], 4);
    std::memcpy(qzeros.data(), three, 12);
    for (std::size_t j = 0; j < 32; ++j)
        std::memcpy(scales.data() + 2 * j, "\x00\x3c", 2);
    std::vector<uint4x2> codes(32 * 16);
    std::vector<float> out(32);
    std::vector<std::int32_t> zero_points(32);
    const matrix_view<uint4x2> to(codes.data(), 32, 16);
    const checkpoint_layer l {qweight, qzeros, scales, {}, 3};
    REQUIRE(from_gptq(l, gptq_version::v2, 32, 32, to, out, zero_points) == status::ok);
    for (int i = 0; i < 32; ++i) {
        CHECK(zero_points[static_cast<std::size_t>(i)] == i % 8);
        CHECK((i % 2 == 0 ? codes[16 * 5 + static_cast<std::size_t>(i) / 2].first()
                          : codes[16 * 5 + static_cast<std::size_t>(i) / 2].second())
              == i % 8);
    }
    CHECK(from_gptq(l, gptq_version::v1, 32, 32, to, out, zero_points) == status::zero_point_out_of_range); // 7 + 1
    std::memset(qzeros.data(), 0, qzeros.size());
    REQUIRE(from_gptq(l, gptq_version::v1, 32, 32, to, out, zero_points) == status::ok);
    CHECK(zero_points[31] == 1);
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
    CHECK(read({qweight, qzeros, infinite, span<const std::byte>(g_idx).subspan(0, 8)}, order) == status::shape_mismatch); // sizes first
    CHECK(from_gptq(good, gptq_version::v1, 64, 33, to, out, zero_points, order) == status::group_size_invalid);
    CHECK(from_gptq(good, gptq_version::v1, 60, 32, to, out, zero_points, order) == status::shape_mismatch);
    for (const int bits : {-1, 1, 5, 6, 7, 8, 16}) {
        checkpoint_layer other = good;
        other.bits = bits;
        CHECK(read(other, order) == status::bits_invalid);
    }
    checkpoint_layer other = good;
    other.bits = 3; // 8 outputs do not fill three int32s
    CHECK(read(other, order) == status::shape_mismatch);
    // Without inputs there is nothing to do, for however many outputs.
    const matrix_view<uint4x2> none(nullptr, PTRDIFF_MAX / 64 * 8, 0);
    const status s = from_gptq(checkpoint_layer {}, gptq_version::v1, 0, 32, none, span<float>(), span<std::int32_t>());
    CHECK((s == status::ok || s == status::size_overflow));
    CHECK(from_awq(checkpoint_layer {}, 0, 32, none, span<float>(), span<std::int32_t>()) == s);
}

TEST_CASE("AWQ checkpoints")
{
    const layer l(16, 70, 32, 4, 0, false); // AWQ packs along the outputs, so that k may be anything
    constexpr std::size_t order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    const auto at = [&](const std::vector<std::uint32_t>& of) {
        return [&](std::size_t r, std::size_t c) { return of[r * 16 + c / 8 * 8 + order[c % 8]]; };
    };
    const auto qweight = bytes_of(words(70, 16, 4, at(l.codes))), qzeros = bytes_of(words(3, 16, 4, at(l.zeros))), scales = l.scale_bytes();
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
    CHECK(from_awq({qweight, qzeros, scales, {}, 8}, 70, 32, to, out, zero_points) == status::bits_invalid);
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
