// Products of one column. A quad is four numbers.
NIBBLE_BEGIN
namespace scalar {

using activation8 = std::int8_t;
using group_activation8 = activation8;
inline constexpr std::size_t quad_parts = 1;
inline constexpr std::int32_t weight_offset8 = 0;

struct quad {
    std::int8_t v[4];
};
inline quad load_quad(const void* p) noexcept
{
    quad q;
    std::memcpy(q.v, p, 4);
    return q;
}
inline quad spread_quad(const std::int8_t* a) noexcept { return load_quad(a); }
template <std::size_t>
inline quad spread8(const activation8* a) noexcept
{
    return spread_quad(a);
}
inline quad load8(const std::byte* p) noexcept { return load_quad(p); }
template <std::size_t>
inline quad part8(quad w) noexcept
{
    return w;
}
inline ints dot8(ints acc, quad a, quad w) noexcept
{
    return acc + ints(a.v[0] * w.v[0] + a.v[1] * w.v[1] + a.v[2] * w.v[2] + a.v[3] * w.v[3]);
}
inline quad load8_of_group(const std::byte* p, bool) noexcept { return load8(p); }
inline ints dot8_of_group(ints acc, quad a, quad w) noexcept { return dot8(acc, a, w); }

using weights4 = vector;
inline weights4 as_weights4(vector v) noexcept { return v; }
using chain4 = ints;
inline chain4 begin_chain(ints acc) noexcept { return acc; }
inline chain4 dot4(chain4 acc, quad a, weights4 w) noexcept
{
    return acc + ints(a.v[0] * w.v[0] + a.v[1] * w.v[1] + a.v[2] * w.v[2] + a.v[3] * w.v[3]);
}
inline ints end_chain(ints, chain4 chain) noexcept { return chain; }
inline ints dot_wide(ints acc, quad a, vector w) noexcept { return dot8(acc, a, load_quad(w.v)); }

} // namespace scalar
NIBBLE_END
