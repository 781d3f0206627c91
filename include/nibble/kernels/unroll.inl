// Unrolled loops. Every region has its own: GCC inlines a step into this code only if both are compiled for the same instruction set.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

// step(integral_constant) for 0 ... Count - 1, unrolled so that arrays indexed by it live in registers.
template <class Step, std::size_t... I>
NIBBLE_INLINE void unroll_each(Step& step, std::index_sequence<I...>) noexcept
{
    (step(std::integral_constant<std::size_t, I> {}), ...);
}
template <std::size_t Count, class Step>
NIBBLE_INLINE void unroll(Step step) noexcept
{
    unroll_each(step, std::make_index_sequence<Count> {});
}

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
