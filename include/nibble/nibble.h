/* nibble from C (C99 or newer): quantize, pack, multiply, free.
 *
 *   y[i, j] = function(sum over l of x[i, l] * w[j, l] + bias[j])      x: m x k, w: n x k, y: m x n; floats, row-major
 *
 * One C++17 file of the program holds the implementation:
 *   #define NIBBLE_C_IMPLEMENTATION
 *   #include <nibble/nibble.h>
 * Every function that can refuse its input returns a status; nothing is written then. Matrices have a stride, in elements, from row to
 * row. NIBBLE_C_API may be defined as what is to stand before every function, such as __attribute__((visibility("hidden"))).
 */
#ifndef NIBBLE_NIBBLE_H
#define NIBBLE_NIBBLE_H

#include <stddef.h>
#include <stdint.h>

#ifndef NIBBLE_C_API
#define NIBBLE_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* NIBBLE_OK, or a number that only nibble_status_text() gives a meaning. */
typedef int nibble_status;
#define NIBBLE_OK 0

/* What weights are kept as. The first two take groups. */
typedef enum nibble_weight_format { NIBBLE_INT8, NIBBLE_INT4, NIBBLE_FLOAT32, NIBBLE_FLOAT16, NIBBLE_BFLOAT16 } nibble_weight_format;

typedef enum nibble_function { NIBBLE_NONE, NIBBLE_RELU, NIBBLE_GELU, NIBBLE_GELU_TANH, NIBBLE_SILU } nibble_function;

typedef struct nibble_weights nibble_weights; /* packed; constant once made: any number of threads may use it */

/* run(work, count, call, argument) calls call(argument, i) once for every i < count, on any threads, and returns when all calls have. */
typedef struct nibble_threads {
    void (*run)(void* work, size_t count, void (*call)(void* argument, size_t i), void* argument);
    void* work;
} nibble_threads;

NIBBLE_C_API const char* nibble_version(void);                     /* "0.1.0" */
NIBBLE_C_API const char* nibble_status_text(nibble_status status); /* one sentence a person can act on; never NULL */

/* Which kernels run: "scalar", "avx2", "avx512", "avx512vnni", "avx512amx", "neon", "neon_dotprod", "neon_i8mm". */
NIBBLE_C_API const char* nibble_active_backend(void);
NIBBLE_C_API nibble_status nibble_force_backend(const char* name);

/* Rounds float weights to the format's nearest codes (integers: symmetric, one scale a group, or a row of w if group_size is 0) and packs
 * them. On success *weights is to be freed; else it is NULL. */
NIBBLE_C_API nibble_status nibble_quantize_weights(const float* w, ptrdiff_t n, ptrdiff_t k, ptrdiff_t w_stride,
    nibble_weight_format format, ptrdiff_t group_size, nibble_weights** weights);

/* Packs int8 codes, n x k, as they are: weight = scale * (code - zero point). scales and zero_points: n * ceil(k / group_size), or n if
 * group_size is 0; zero_points may be NULL: all 0. */
NIBBLE_C_API nibble_status nibble_pack_int8(const int8_t* codes, ptrdiff_t n, ptrdiff_t k, ptrdiff_t codes_stride, const float* scales,
    const int32_t* zero_points, ptrdiff_t group_size, nibble_weights** weights);

/* The same for codes from 0 to 15 (zero points as well), two a byte, the first in the low half; the stride counts bytes. */
NIBBLE_C_API nibble_status nibble_pack_uint4(const uint8_t* codes, ptrdiff_t n, ptrdiff_t k, ptrdiff_t codes_stride, const float* scales,
    const int32_t* zero_points, ptrdiff_t group_size, nibble_weights** weights);

/* Packed bytes, to be written to disk. nibble_view_weights uses such bytes where they are (a mapped file, say): they must outlive it. */
NIBBLE_C_API const void* nibble_weights_bytes(const nibble_weights* weights, size_t* size);
NIBBLE_C_API nibble_status nibble_view_weights(const void* bytes, size_t size, nibble_weights** weights);

NIBBLE_C_API void nibble_free_weights(nibble_weights* weights); /* NULL is allowed */

/* Scratch bytes that nibble_multiply needs for m rows; SIZE_MAX if they do not fit ptrdiff_t. */
NIBBLE_C_API size_t nibble_workspace(const nibble_weights* weights, ptrdiff_t m);

/* bias: n floats, or NULL. threads: NULL for none. Allocates nothing. */
NIBBLE_C_API nibble_status nibble_multiply(const nibble_weights* weights, const float* x, ptrdiff_t m, ptrdiff_t k, ptrdiff_t x_stride,
    const float* bias, nibble_function function, float* y, ptrdiff_t n, ptrdiff_t y_stride, void* workspace, size_t workspace_size,
    const nibble_threads* threads);

#ifdef __cplusplus
}
#endif

#endif /* NIBBLE_NIBBLE_H */

#if defined(NIBBLE_C_IMPLEMENTATION) && !defined(NIBBLE_C_IMPLEMENTED)
#define NIBBLE_C_IMPLEMENTED
#include "c_api/implementation.hpp"
#endif
