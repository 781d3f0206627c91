// This backend's table. Constant-initialized: nothing of a backend may run before the CPU is known.
NIBBLE_BEGIN
namespace NIBBLE_BACKEND_NAME {

inline constexpr kernel_table table = {
    NIBBLE_STRING(NIBBLE_BACKEND_NAME),
#define NIBBLE_KERNEL(name, args) name,
#include "kernels.inc"
#undef NIBBLE_KERNEL
};

} // namespace NIBBLE_BACKEND_NAME
NIBBLE_END
