#include "../gguf_cases.hpp"
#include "../support.hpp"

#include <cmath>
#include <deque>
#include <map>

using namespace nibble;

namespace {

// The tensors of a llama model; names are kept in `names`.
std::vector<gguf_tensor> llama(std::deque<std::string>& names, std::int64_t layers, std::int64_t width, std::int64_t hidden,
    std::int64_t kv_width, std::int64_t vocabulary, bool tied = false)
{
    std::vector<gguf_tensor> tensors;
    const auto add = [&](const std::string& name, std::int64_t columns, std::int64_t rows) {
        gguf_tensor t;
        names.push_back(name);
        t.name = names.back();
        t.type = rows == 1 ? ggml_type::f32 : ggml_type::f16;
        t.dimensions = 2;
        t.sizes[0] = columns;
        t.sizes[1] = rows;
        tensors.push_back(t);
    };
    add("token_embd.weight", width, vocabulary);
    for (std::int64_t i = 0; i < layers; ++i) {
        const std::string layer = "blk." + std::to_string(i) + ".";
        add(layer + "attn_norm.weight", width, 1);
        add(layer + "attn_q.weight", width, width);
        add(layer + "attn_k.weight", width, kv_width);
        add(layer + "attn_v.weight", width, kv_width);
        add(layer + "attn_output.weight", width, width);
        add(layer + "ffn_norm.weight", width, 1);
        add(layer + "ffn_gate.weight", width, hidden);
        add(layer + "ffn_up.weight", width, hidden);
        add(layer + "ffn_down.weight", hidden, width);
    }
    add("output_norm.weight", width, 1);
    if (!tied)
        add("output.weight", width, vocabulary);
    return tensors;
}

std::vector<ggml_type> types_of(recipe r, const recipe_model& m, const std::vector<gguf_tensor>& tensors, bool importance = false)
{
    std::vector<ggml_type> types(tensors.size());
    REQUIRE(choose_types(r, m, tensors, importance, types) == status::ok);
    return types;
}

ggml_type type_of(const std::string& name, const std::vector<gguf_tensor>& tensors, const std::vector<ggml_type>& types)
{
    for (std::size_t i = 0; i < tensors.size(); ++i)
        if (tensors[i].name == name)
            return types[i];
    return static_cast<ggml_type>(~0u);
}

} // namespace

TEST_CASE("Llama 3 8B in each recipe has its published size")
{
    std::deque<std::string> names;
    const std::vector<gguf_tensor> tensors = llama(names, 32, 4096, 14336, 1024, 128256);
    const recipe_model m {32, 0, 32, 8, false};
    const auto size = [&](recipe r) { return *tensor_data_size(tensors, types_of(r, m, tensors)); };
    CHECK(size(recipe::q4_K_M) == 4912898048u);
    CHECK(size(recipe::q8_0) == 8532934656u);
    CHECK(size(recipe::q6_K) < size(recipe::q8_0));
    CHECK(size(recipe::q4_K_S) < size(recipe::q4_K_M));

    const std::vector<ggml_type> types = types_of(recipe::q4_K_M, m, tensors);
    std::map<ggml_type, int> counts;
    for (const ggml_type t : types)
        ++counts[t];
    CHECK(counts[ggml_type::q6_K] == 2 * 16 + 1);
    CHECK(counts[ggml_type::f32] == 65);
    CHECK(type_of("output.weight", tensors, types) == ggml_type::q6_K);
    CHECK(type_of("token_embd.weight", tensors, types) == ggml_type::q4_K);
    for (const int i : {0, 3, 6, 9, 27, 28, 31})
        CHECK(type_of("blk." + std::to_string(i) + ".ffn_down.weight", tensors, types) == ggml_type::q6_K);
    for (const int i : {4, 5, 7, 26})
        CHECK(type_of("blk." + std::to_string(i) + ".attn_v.weight", tensors, types) == ggml_type::q4_K);
}

TEST_CASE("recipes do not depend on the order of tensors")
{
    std::deque<std::string> names;
    std::vector<gguf_tensor> tensors = llama(names, 24, 512, 1024, 256, 1000);
    const recipe_model m {24, 0, 8, 4, false};
    const std::vector<ggml_type> types = types_of(recipe::q4_K_M, m, tensors);
    std::vector<gguf_tensor> reversed(tensors.rbegin(), tensors.rend());
    std::vector<ggml_type> same = types_of(recipe::q4_K_M, m, reversed);
    CHECK(std::vector<ggml_type>(same.rbegin(), same.rend()) == types);
}

TEST_CASE("columns that are no whole blocks get another type")
{
    std::deque<std::string> names;
    const recipe_model m {8, 0, 8, 8, false};
    std::vector<gguf_tensor> tensors = llama(names, 8, 288, 768, 288, 500);
    std::vector<ggml_type> types = types_of(recipe::q4_K_M, m, tensors);
    CHECK(type_of("blk.3.attn_q.weight", tensors, types) == ggml_type::q5_0);
    CHECK(type_of("blk.0.attn_v.weight", tensors, types) == ggml_type::q8_0);
    CHECK(type_of("blk.2.ffn_down.weight", tensors, types) == ggml_type::q4_K);
    CHECK(type_of("output.weight", tensors, types) == ggml_type::q8_0);
    tensors = llama(names, 8, 40, 64, 40, 500, true);
    std::vector<ggml_type> wanted(tensors.size());
    types.resize(tensors.size());
    REQUIRE(choose_types(recipe::q4_K_M, m, tensors, false, types, wanted) == status::ok);
    CHECK(type_of("token_embd.weight", tensors, wanted) == ggml_type::q8_0);
    CHECK(type_of("token_embd.weight", tensors, types) == ggml_type::f16);
    CHECK(type_of("blk.3.attn_q.weight", tensors, wanted) == ggml_type::q4_K);
    CHECK(type_of("blk.3.attn_q.weight", tensors, types) == ggml_type::f16);
    CHECK(type_of("blk.2.ffn_down.weight", tensors, wanted) == ggml_type::q4_K);
    CHECK(type_of("blk.2.ffn_down.weight", tensors, types) == ggml_type::q5_0);
    for (const recipe_entry& e : recipes) {
        REQUIRE(choose_types(e.which, m, tensors, true, types, wanted) == status::ok);
        for (std::size_t i = 0; i < tensors.size(); ++i) {
            CHECK(tensors[i].sizes[0] % block_elements(types[i]) == 0);
            CHECK((types[i] == wanted[i]) == (tensors[i].sizes[0] % block_elements(wanted[i]) == 0));
        }
    }
    std::vector<ggml_type>& refused = types;
    CHECK(choose_types(recipe::q4_0, m, tensors, false, refused, span<ggml_type>(wanted.data(), 3)) == status::shape_mismatch);
    CHECK(choose_types(static_cast<recipe>(99), m, tensors, false, refused) == status::recipe_unknown);
    CHECK(choose_types(recipe::q4_0, m, tensors, false, span<ggml_type>(refused.data(), 3)) == status::shape_mismatch);
}

TEST_CASE("importance, tied embeddings and experts change recipes")
{
    std::deque<std::string> names;
    const std::vector<gguf_tensor> tensors = llama(names, 16, 512, 1024, 256, 1000, true);
    recipe_model m {16, 0, 8, 4, false};
    CHECK(type_of("token_embd.weight", tensors, types_of(recipe::q4_0, m, tensors)) == ggml_type::q6_K);
    CHECK(type_of("token_embd.weight", tensors, types_of(recipe::q8_0, m, tensors)) == ggml_type::q8_0);
    CHECK(type_of("blk.1.ffn_down.weight", tensors, types_of(recipe::q4_0, m, tensors)) == ggml_type::q4_0);
    CHECK(type_of("blk.1.ffn_down.weight", tensors, types_of(recipe::q4_0, m, tensors, true)) == ggml_type::q4_1);
    CHECK(type_of("blk.3.attn_v.weight", tensors, types_of(recipe::q4_K_S, m, tensors)) == ggml_type::q5_K);
    CHECK(type_of("blk.4.attn_v.weight", tensors, types_of(recipe::q4_K_S, m, tensors)) == ggml_type::q4_K);
    m.experts = 8;
    CHECK(type_of("blk.4.attn_v.weight", tensors, types_of(recipe::q4_K_S, m, tensors)) == ggml_type::q8_0);
    CHECK(type_of("blk.4.attn_output.weight", tensors, types_of(recipe::q4_K_S, m, tensors)) == ggml_type::q5_K);
    CHECK(*find_recipe("Q5_K_M") == recipe::q5_K_M);
    CHECK(*find_recipe("q5_k_m") == recipe::q5_K_M);
    CHECK(*find_recipe("iQ4_Nl") == recipe::iq4_nl);
    for (const char* none : {"Q5_K_X", "Q5_K", "Q5_K_M ", "", "Q5\x1fK_M"})
        CHECK(find_recipe(none).error() == status::recipe_unknown);
}

TEST_CASE("recipes of plain numbers give every matrix of weights the same type, whatever its rows")
{
    std::deque<std::string> names;
    const std::vector<gguf_tensor> tensors = llama(names, 8, 40, 72, 40, 500);
    const recipe_model m {8, 8, 8, 8, true};
    for (const auto& [name, type] : {std::pair {"F16", ggml_type::f16}, {"bf16", ggml_type::bf16}, {"f32", ggml_type::f32}}) {
        const std::vector<ggml_type> types = types_of(*find_recipe(name), m, tensors, true);
        for (std::size_t i = 0; i < tensors.size(); ++i)
            CHECK(types[i] == (tensors[i].sizes[1] == 1 ? tensors[i].type : type));
    }
    CHECK(static_cast<int>(recipe::bf16) == 32);
}

TEST_CASE("recipes of one and two bits have rules of their own")
{
    std::deque<std::string> names;
    const recipe_model m {8, 0, 8, 8, false};
    std::vector<gguf_tensor> tensors = llama(names, 8, 256, 768, 256, 500);
    CHECK(*find_recipe("Q1_0") == recipe::q1_0);
    CHECK(*find_recipe("Q2_0") == recipe::q2_0);
    for (const char* name : {"blk.0.attn_v.weight", "blk.2.ffn_down.weight", "blk.7.attn_output.weight", "token_embd.weight"})
        CHECK(type_of(name, tensors, types_of(recipe::q1_0, m, tensors, true)) == ggml_type::q1_0);
    CHECK(type_of("blk.2.ffn_down.weight", tensors, types_of(recipe::q2_0, m, tensors)) == ggml_type::q2_0);
    CHECK(type_of("token_embd.weight", tensors, types_of(recipe::q2_0, m, tensors)) == ggml_type::q4_K);
    for (const recipe r : {recipe::q1_0, recipe::q2_0})
        CHECK(type_of("output.weight", tensors, types_of(r, m, tensors)) == ggml_type::q6_K);
    tensors = llama(names, 8, 288, 768, 288, 500);
    CHECK(type_of("blk.3.attn_q.weight", tensors, types_of(recipe::q2_0, m, tensors)) == ggml_type::q4_0);
    CHECK(type_of("blk.2.ffn_down.weight", tensors, types_of(recipe::q2_0, m, tensors)) == ggml_type::q2_0);
    CHECK(type_of("blk.3.attn_q.weight", tensors, types_of(recipe::q1_0, m, tensors)) == ggml_type::f16);
}

TEST_CASE("a model's facts come from its metadata")
{
    const std::uint32_t heads[] = {32, 16}, none[] = {0};
    const std::vector<gguf_pair> pairs {{"general.architecture", "llama"}, {"llama.block_count", 80u},
        {"llama.expert_count", std::uint8_t(8)}, {"llama.attention.head_count", span<const std::uint32_t>(heads)},
        {"llama.attention.head_count_kv", span<const std::uint32_t>(none, 0)}};
    std::vector<std::byte> bytes(static_cast<std::size_t>(*gguf_file_size(pairs, {})));
    gguf_memory memory {bytes};
    REQUIRE(write_gguf(pairs, {}, memory) == status::ok);
    const auto file = gguf_reader::open(bytes);
    REQUIRE(file);
    const recipe_model m = recipe_model_of(*file);
    CHECK(m.layers == 80);
    CHECK(m.experts == 8);
    CHECK(m.heads == 32);
    CHECK(m.kv_heads == 0);
    CHECK(!m.falcon);
}

TEST_CASE("both kinds of imatrix files give the same weights")
{
    const float sums[] = {8.0f, 2.0f, 0.0f, 6.0f}, counts[] = {4.0f};
    test::gguf_bytes dat;
    dat.number(2).number(1).raw("x").number(1).number(1).number(5.0f);
    dat.number(5).raw("blk.0").number(4).number(4);
    for (const float f : sums)
        dat.number(f);
    dat.number(10).number(3).raw("abc");
    const auto legacy = imatrix_reader::open(dat.bytes);
    REQUIRE(legacy);
    CHECK(legacy->size() == 2);

    std::vector<gguf_tensor> tensors(2);
    tensors[0].name = "blk.0.in_sum2";
    tensors[0].sizes[0] = 4;
    tensors[0].data = span<const std::byte>(reinterpret_cast<const std::byte*>(sums), sizeof sums);
    tensors[1].name = "blk.0.counts";
    tensors[1].data = span<const std::byte>(reinterpret_cast<const std::byte*>(counts), sizeof counts);
    std::vector<std::byte> bytes(static_cast<std::size_t>(*gguf_file_size({}, tensors)));
    gguf_memory memory {bytes};
    REQUIRE(write_gguf({}, tensors, memory) == status::ok);
    const auto modern = imatrix_reader::open(bytes);
    REQUIRE(modern);
    CHECK(modern->size() == 1);

    for (const imatrix_reader* reader : {&*legacy, &*modern}) {
        float weights[4] = {};
        CHECK(reader->weights("blk.0", 4, 1, weights) == status::ok);
        CHECK(weights[0] == 2.0f);
        CHECK(weights[1] == 0.5f);
        CHECK(weights[2] == 0.0f);
        CHECK(weights[3] == 1.5f);
        CHECK(reader->weights("blk.1", 4, 1, weights) == status::file_key_missing);
        CHECK(reader->weights("blk.0", 3, 1, span<float>(weights, 3)) == status::file_type_mismatch);
        CHECK(reader->weights("blk.0", 4, 2, weights) == status::shape_mismatch);
    }
    CHECK(modern->weights(std::string(64, 'n'), 4, 1, std::vector<float>(4)) == status::file_key_missing);

    // Cut anywhere before its end, it is refused.
    for (std::size_t length = 0; length + 11 < dat.bytes.size(); ++length) {
        const test::guarded<std::byte> cut(static_cast<std::ptrdiff_t>(length));
        if (length != 0)
            std::memcpy(cut.data(), dat.bytes.data(), length);
        CHECK(imatrix_reader::open(span<const std::byte>(cut.data(), length)).error() == status::file_truncated);
    }
    CHECK(imatrix_reader::open(test::gguf_bytes().number(-1).number(0).bytes).error() == status::file_damaged);
    CHECK(imatrix_reader::open(test::gguf_bytes().number(1).number(-5).number(0).bytes).error() == status::file_damaged);
    CHECK(imatrix_reader::open(test::gguf_bytes().number(1).number(1).raw("x").number(1).number(INT32_MAX).bytes).error()
          == status::file_truncated);
    const std::vector<std::byte> infinite
        = test::gguf_bytes().number(1).number(1).raw("x").number(1).number(2).number(1.0f).number(HUGE_VALF).bytes;
    float two[2] = {7.0f, 7.0f};
    CHECK(imatrix_reader::open(infinite)->weights("x", 2, 1, two) == status::not_finite);
    CHECK((two[0] == 7.0f && two[1] == 7.0f)); // nothing is written before all is known to be good
    for (const std::string_view name : {std::string_view(), std::string_view("x")})
        CHECK(modern->weights(name, 2, 1, two) == status::file_key_missing);
}

TEST_CASE("recipes count layers up to the end of their type")
{
    for (std::int64_t n = 0; n < 200; ++n)
        for (std::int64_t i = 0; i < n; ++i)
            CHECK(detail::deserves_more_bits(i, n) == (i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2));
    gguf_tensor t;
    t.name = "blk.0.ffn_down.weight";
    t.sizes[0] = 256;
    t.sizes[1] = 2;
    ggml_type type {};
    recipe_model m;
    m.layers = INT64_MAX;
    CHECK(choose_types(recipe::q4_K_M, m, {&t, 1}, false, {&type, 1}) == status::ok);
    CHECK(type == ggml_type::q6_K);

    gguf_tensor both[2] = {t, t};
    both[1].name = "blk.1.ffn_down.weight";
    both[1].sizes[0] = 33;
    ggml_type types[2] = {ggml_type::i64, ggml_type::i64};
    CHECK(choose_types(recipe::q4_0, m, both, false, types) == status::ok);
    CHECK((types[0] == ggml_type::q4_0 && types[1] == ggml_type::f16));
}
