// Unrolled loops. Every region has its own: GCC inlines a step into this code only if both are compiled for the same instruction set.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// step(i) for 0 ... Count - 1, with i an integral_constant, unrolled so that arrays indexed by it live in registers. Scalar vectors have
// one lane: the many of a chunk or a panel are looped over, i a std::size_t, which compiles in a fraction of the time.
template <class Step, std::size_t... I>
NIBBLE_INLINE void unroll_each(Step& step, std::index_sequence<I...>) noexcept
{
    (step(std::integral_constant<std::size_t, I> {}), ...);
}
template <std::size_t Count, class Step>
NIBBLE_INLINE void unroll(Step step) noexcept
{
    if constexpr (NIBBLE_ISA == NIBBLE_ISA_SCALAR && Count > 8)
        for (std::size_t i = 0; i < Count; ++i)
            step(i);
    else
        unroll_each(step, std::make_index_sequence<Count> {});
}

// step(a, b) or step(a, b, c) for all a < A, b < B, c < C, the last index fastest. One lambda serves a whole nest of loops: with a lambda
// for each loop, compilers would have as many functions to inline as the nest has steps.
template <std::size_t B, std::size_t C, class Step, std::size_t... I>
NIBBLE_INLINE void unroll_grid_each(Step& step, std::index_sequence<I...>) noexcept
{
    if constexpr (std::is_invocable_v<Step&, std::size_t, std::size_t, std::size_t>)
        (step(I / (B * C), I / C % B, I % C), ...);
    else
        (step(I / C, I % C), ...);
}
template <std::size_t A, std::size_t B, class Step>
NIBBLE_INLINE void unroll_grid(Step step) noexcept
{
    if constexpr (NIBBLE_ISA == NIBBLE_ISA_SCALAR && A * B > 8)
        for (std::size_t i = 0; i < A * B; ++i)
            step(i / B, i % B);
    else
        unroll_grid_each<1, B>(step, std::make_index_sequence<A * B> {});
}
template <std::size_t A, std::size_t B, std::size_t C, class Step>
NIBBLE_INLINE void unroll_grid(Step step) noexcept
{
    if constexpr (NIBBLE_ISA == NIBBLE_ISA_SCALAR && A * B * C > 8)
        for (std::size_t i = 0; i < A * B * C; ++i)
            step(i / (B * C), i / C % B, i % C);
    else
        unroll_grid_each<B, C>(step, std::make_index_sequence<A * B * C> {});
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
