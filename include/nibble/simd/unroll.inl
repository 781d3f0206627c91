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

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
