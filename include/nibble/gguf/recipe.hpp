// Which type each tensor of a model gets in llama.cpp's quantization. Recipes such as Q4_K_M mix types. The rules are those of llama.cpp of
// August 2026. If a tensor's columns do not fit the chosen type's blocks, another type replaces it:
//   q2_0, q2_K, q3_K -> q4_0   q4_K -> q5_0   q5_K -> q5_1   q6_K -> q8_0   iq4_xs -> iq4_nl   and f16 where blocks of 32 do not fit
//   either, as for q1_0, with which llama.cpp refuses such a model
// The size of the result is known beforehand: call choose_types, then tensor_data_size or gguf_file_size.
#pragma once

#include "reader.hpp"
#include "writer.hpp"

NIBBLE_BEGIN_TYPES

/// By their number in the metadata key general.file_type.
enum class recipe : std::uint32_t {
    f32 = 0, ///< this, f16 and bf16: every matrix of weights gets this type
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q8_0 = 7,
    q5_0 = 8,
    q5_1 = 9,
    q2_K = 10,
    q3_K_S = 11,
    q3_K_M = 12,
    q3_K_L = 13,
    q4_K_S = 14,
    q4_K_M = 15,
    q5_K_S = 16,
    q5_K_M = 17,
    q6_K = 18,
    iq4_nl = 25,
    iq4_xs = 30,
    bf16 = 32,
    q1_0 = 40,
    q2_0 = 41,
};

struct recipe_entry {
    recipe which;
    const char* name;
    ggml_type type; // of most tensors
};
inline constexpr recipe_entry recipes[] = {{recipe::q4_0, "Q4_0", ggml_type::q4_0}, {recipe::q4_1, "Q4_1", ggml_type::q4_1},
    {recipe::q5_0, "Q5_0", ggml_type::q5_0}, {recipe::q5_1, "Q5_1", ggml_type::q5_1}, {recipe::q8_0, "Q8_0", ggml_type::q8_0},
    {recipe::q2_K, "Q2_K", ggml_type::q2_K}, {recipe::q3_K_S, "Q3_K_S", ggml_type::q3_K}, {recipe::q3_K_M, "Q3_K_M", ggml_type::q3_K},
    {recipe::q3_K_L, "Q3_K_L", ggml_type::q3_K}, {recipe::q4_K_S, "Q4_K_S", ggml_type::q4_K}, {recipe::q4_K_M, "Q4_K_M", ggml_type::q4_K},
    {recipe::q5_K_S, "Q5_K_S", ggml_type::q5_K}, {recipe::q5_K_M, "Q5_K_M", ggml_type::q5_K}, {recipe::q6_K, "Q6_K", ggml_type::q6_K},
    {recipe::iq4_nl, "IQ4_NL", ggml_type::iq4_nl}, {recipe::iq4_xs, "IQ4_XS", ggml_type::iq4_xs}, {recipe::q1_0, "Q1_0", ggml_type::q1_0},
    {recipe::q2_0, "Q2_0", ggml_type::q2_0}, {recipe::f16, "F16", ggml_type::f16}, {recipe::bf16, "BF16", ggml_type::bf16},
    {recipe::f32, "F32", ggml_type::f32}};

/// What the rules ask about a model.
struct recipe_model {
    std::uint64_t layers = 0;
    std::uint64_t experts = 0;
    std::uint64_t heads = 0, kv_heads = 0;
    bool falcon = false;
};

NIBBLE_END_TYPES

NIBBLE_BEGIN

/// By its name, in capitals or not; recipe_unknown.
inline result<recipe> find_recipe(std::string_view name) noexcept
{
    const auto capital = [](char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
    for (const recipe_entry& e : recipes) {
        const std::string_view known = e.name;
        bool same = name.size() == known.size();
        for (std::size_t i = 0; same && i < name.size(); ++i)
            same = capital(name[i]) == known[i];
        if (same)
            return e.which;
    }
    return status::recipe_unknown;
}

namespace detail {

enum class tensor_role : std::uint8_t { embedding, output, attention_v, attention_k, attention_output, ffn_down, other };

inline bool contains(std::string_view name, std::string_view part) noexcept { return name.find(part) != std::string_view::npos; }

inline tensor_role role_of(std::string_view name) noexcept
{
    if (name == "output.weight")
        return tensor_role::output;
    if (name == "token_embd.weight" || name == "per_layer_token_embd.weight")
        return tensor_role::embedding;
    if (contains(name, "attn_qkv.weight") || contains(name, "attn_kv_b.weight") || contains(name, "attn_v.weight"))
        return tensor_role::attention_v;
    if (contains(name, "attn_k.weight"))
        return tensor_role::attention_k;
    if (contains(name, "attn_output.weight"))
        return tensor_role::attention_output;
    return contains(name, "ffn_down") ? tensor_role::ffn_down : tensor_role::other;
}

/// N of "blk.N.", or -1.
inline std::int64_t layer_of(std::string_view name) noexcept
{
    if (name.substr(0, 4) != "blk.")
        return -1;
    std::int64_t layer = 0;
    std::size_t i = 4;
    for (; i < name.size() && i < 12 && name[i] >= '0' && name[i] <= '9'; ++i)
        layer = layer * 10 + (name[i] - '0');
    return i > 4 && i < name.size() && name[i] == '.' ? layer : -1;
}

/// By layer, then by name: the order in which tensors are counted and llama.cpp writes them.
inline bool tensor_before(std::string_view a, std::string_view b) noexcept
{
    const std::int64_t la = layer_of(a), lb = layer_of(b);
    return la != lb ? la < lb : a < b;
}

/// Matrices of weights, but for those that are small or sensitive.
inline bool is_worth_quantizing(const gguf_tensor& t) noexcept
{
    static constexpr std::string_view kept[]
        = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d",
            "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight",
            "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
            "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
            "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd",
            "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd"};
    if (t.sizes[1] == 1 && t.sizes[2] == 1 && t.sizes[3] == 1)
        return false;
    if (t.name.size() < 6 || t.name.substr(t.name.size() - 6) != "weight" || t.name == "position_embd.weight"
        || t.name == "token_types.weight")
        return false;
    for (const std::string_view part : kept)
        if (contains(t.name, part))
            return false;
    return true;
}

/// The first and the last eighth of the layers, and every third between.
inline bool deserves_more_bits(std::int64_t i, std::int64_t n) noexcept
{
    return i < n / 8 || i >= n / 8 * 7 + n % 8 * 7 / 8 || (i - n / 8) % 3 == 2;
}

/// `i`: how many tensors of the same role come before; `values`: how many there are of role attention_v.
inline ggml_type mixed_type(
    recipe r, ggml_type base, const recipe_model& m, tensor_role role, std::int64_t i, std::int64_t values, bool with_importance) noexcept
{
    const std::int64_t layers = static_cast<std::int64_t>(m.layers);
    const bool grouped = m.kv_heads != 0 && m.heads / m.kv_heads >= 4, eight = m.experts == 8;
    const bool iq4 = r == recipe::iq4_nl || r == recipe::iq4_xs;
    ggml_type type = base;
    switch (role) {
    case tensor_role::attention_v:
        if (r == recipe::q2_K)
            type = grouped ? ggml_type::q4_K : ggml_type::q3_K;
        else if (r == recipe::q3_K_M)
            type = i < 2 ? ggml_type::q5_K : ggml_type::q4_K;
        else if (r == recipe::q3_K_L || (iq4 && grouped) || (r == recipe::q4_K_S && i < 4))
            type = ggml_type::q5_K;
        else if ((r == recipe::q4_K_M || r == recipe::q5_K_M) && deserves_more_bits(i, values))
            type = ggml_type::q6_K;
        // Models of 70 billion parameters: the matrix is small there.
        if (m.layers == 80 && m.heads != m.kv_heads && (type == ggml_type::q3_K || type == ggml_type::q4_K))
            type = ggml_type::q5_K;
        return eight ? ggml_type::q8_0 : type;
    case tensor_role::embedding: return r == recipe::q2_0 ? ggml_type::q4_K : type;
    case tensor_role::attention_k: return eight ? ggml_type::q8_0 : type;
    case tensor_role::ffn_down:
        switch (r) {
        case recipe::q2_K: return ggml_type::q3_K;
        case recipe::q3_K_M:
            return i < layers / 16 ? ggml_type::q5_K : !m.falcon || deserves_more_bits(i, layers) ? ggml_type::q4_K : ggml_type::q3_K;
        case recipe::q3_K_L: return m.falcon ? ggml_type::q4_K : ggml_type::q5_K;
        case recipe::q4_K_M:
            if (m.falcon)
                return i < layers / 16 ? ggml_type::q6_K : deserves_more_bits(i, layers) ? ggml_type::q5_K : ggml_type::q4_K;
            return deserves_more_bits(i, layers) ? ggml_type::q6_K : type;
        case recipe::q5_K_M: return deserves_more_bits(i, layers) ? ggml_type::q6_K : type;
        case recipe::q4_K_S: return !m.falcon && i < layers / 8 ? ggml_type::q5_K : type;
        case recipe::iq4_nl:
        case recipe::iq4_xs: return !with_importance && i < layers / 8 ? ggml_type::q5_K : type;
        case recipe::q4_0: return with_importance && i < layers / 8 ? ggml_type::q4_1 : type;
        case recipe::q5_0: return with_importance && i < layers / 8 ? ggml_type::q5_1 : type;
        default: return type;
        }
    case tensor_role::attention_output:
        if (m.falcon)
            return r == recipe::q3_K_L ? ggml_type::q4_K : type;
        if (eight)
            return r == recipe::q2_K || r == recipe::q3_K_S || r == recipe::q3_K_M || r == recipe::q4_K_S || r == recipe::q4_K_M || iq4
                       ? ggml_type::q5_K
                       : type;
        return r == recipe::q2_K ? ggml_type::q3_K : r == recipe::q3_K_M ? ggml_type::q4_K : r == recipe::q3_K_L ? ggml_type::q5_K : type;
    default: return type;
    }
}

/// The type itself, or what stands in for it where columns are no whole blocks.
inline ggml_type fitting_type(ggml_type type, std::int64_t columns) noexcept
{
    if (columns % block_elements(type) == 0)
        return type;
    switch (type) {
    case ggml_type::q2_0:
    case ggml_type::q2_K:
    case ggml_type::q3_K: type = ggml_type::q4_0; break;
    case ggml_type::q4_K: type = ggml_type::q5_0; break;
    case ggml_type::q5_K: type = ggml_type::q5_1; break;
    case ggml_type::q6_K: type = ggml_type::q8_0; break;
    case ggml_type::iq4_xs: type = ggml_type::iq4_nl; break;
    default: break;
    }
    return columns % block_elements(type) == 0 ? type : ggml_type::f16;
}

} // namespace detail

/// From a file's metadata. What is missing counts as 0; a value for each layer counts as the first layer's.
inline recipe_model recipe_model_of(const gguf_reader& file) noexcept
{
    recipe_model m;
    const result<std::string_view> architecture = file.get<std::string_view>("general.architecture");
    if (!architecture || architecture->size() > 64)
        return m;
    m.falcon = *architecture == "falcon";
    const auto number = [&](std::string_view name) noexcept -> std::uint64_t {
        char key[128];
        std::memcpy(key, architecture->data(), architecture->size());
        std::memcpy(key + architecture->size(), name.data(), name.size());
        const result<gguf_value> found = file.find({key, architecture->size() + name.size()});
        if (!found || (found->type() == gguf_type::array && found->size() == 0))
            return 0;
        const result<std::uint64_t> value
            = found->type() == gguf_type::array ? (*found->begin()).unsigned_integer() : found->unsigned_integer();
        return value && *value < UINT32_MAX ? *value : 0;
    };
    m.layers = number(".block_count");
    m.experts = number(".expert_count");
    m.heads = number(".attention.head_count");
    m.kv_heads = number(".attention.head_count_kv");
    return m;
}

/// The type of each tensor. Tensors that stay as they are keep theirs: vectors, norms, others that are small or sensitive, and those of a
/// type that nibble does not know.
/// with_importance: whether an imatrix will be used. wanted: empty, or as many as tensors: the types that others stand in for where rows
/// are no whole blocks of them.
inline status choose_types(recipe r, const recipe_model& m, span<const gguf_tensor> tensors, bool with_importance, span<ggml_type> types,
    span<ggml_type> wanted = {}) noexcept
{
    if (check(tensors) != status::ok || check(types) != status::ok || check(wanted) != status::ok)
        return status::null_pointer;
    if (types.size() != tensors.size() || (!wanted.empty() && wanted.size() != tensors.size()))
        return status::shape_mismatch;
    const recipe_entry* chosen = nullptr;
    for (const recipe_entry& e : recipes)
        chosen = e.which == r ? &e : chosen;
    if (chosen == nullptr)
        return status::recipe_unknown;
    const ggml_type base = chosen->type;
    std::int64_t values = 0;
    bool tied = true; // the embedding is the output matrix, too
    for (const gguf_tensor& t : tensors) {
        values += detail::role_of(t.name) == detail::tensor_role::attention_v;
        tied = tied && t.name != "output.weight";
    }
    for (std::size_t k = 0; k < tensors.size(); ++k) {
        const gguf_tensor& t = tensors[k];
        ggml_type type = t.type;
        if (is_known(t.type) && detail::is_worth_quantizing(t)) {
            const detail::tensor_role role = detail::role_of(t.name);
            if (!is_quantized(base)) {
                type = base;
            } else if (role == detail::tensor_role::output || (tied && role == detail::tensor_role::embedding)) {
                const bool whole = !m.falcon && t.sizes[0] % block_elements(base) == 0;
                type = !whole || base == ggml_type::q8_0 ? ggml_type::q8_0 : ggml_type::q6_K;
            } else {
                std::int64_t before = 0;
                if (role == detail::tensor_role::ffn_down && m.experts > 1)
                    before = detail::layer_of(t.name);
                else if (role == detail::tensor_role::ffn_down || role == detail::tensor_role::attention_v)
                    for (const gguf_tensor& other : tensors)
                        before += detail::role_of(other.name) == role && detail::tensor_before(other.name, t.name)
                                  && detail::is_worth_quantizing(other);
                type = detail::mixed_type(r, base, m, role, before, values, with_importance);
            }
        }
        types[k] = type == t.type ? type : detail::fitting_type(type, t.sizes[0]);
        if (!wanted.empty())
            wanted[k] = type;
    }
    return status::ok;
}

/// Bytes of all tensors' data in these types, without padding; of a whole file: gguf_file_size.
inline result<std::uint64_t> tensor_data_size(span<const gguf_tensor> tensors, span<const ggml_type> types) noexcept
{
    if (check(tensors) != status::ok || check(types) != status::ok)
        return status::null_pointer;
    if (types.size() != tensors.size())
        return status::shape_mismatch;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        gguf_tensor t = tensors[i];
        t.type = types[i];
        const result<std::uint64_t> bytes = detail::tensor_bytes(t);
        if (!bytes)
            return bytes.error();
        if (*bytes > INT64_MAX - total)
            return status::size_overflow;
        total += *bytes;
    }
    return total;
}

NIBBLE_END
