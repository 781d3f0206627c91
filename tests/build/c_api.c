/* A C99 program: packs the same weights in every format, multiplies with and without threads, gets statuses for bad input. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nibble/nibble.h>

enum { M = 3, N = 37, K = 64 };

static int failures = 0;

static void expect(int good, const char* what)
{
    if (!good) {
        printf("FAILED: %s\n", what);
        ++failures;
    }
}

static size_t calls = 0;

/* The last call first: results do not depend on the order. */
static void backwards(void* work, size_t count, void (*call)(void*, size_t), void* argument)
{
    *(size_t*)work += count;
    while (count-- > 0)
        call(argument, count);
}

static void multiply(const nibble_weights* weights, const float* x, const float* bias, const nibble_threads* threads, float* y)
{
    const size_t size = nibble_workspace(weights, M);
    void* const workspace = malloc(size + 1);
    expect(nibble_multiply(weights, x, M, K, K, bias, NIBBLE_RELU, y, N, N, workspace, size, threads) == NIBBLE_OK, "multiply");
    if (size > 0)
        expect(nibble_multiply(weights, x, M, K, K, bias, NIBBLE_RELU, y, N, N, workspace, size - 1, threads) != NIBBLE_OK,
            "a workspace that is too small is refused");
    free(workspace);
}

int main(void)
{
    static float w[N * K], x[M * K], bias[N], exact[M * N], y[M * N], again[M * N];
    /* The largest error against floats, in percent of the largest result: int8, int4, float, half, bfloat16. */
    static const double allowed[] = {2, 15, 0.001, 0.1, 1};
    static const nibble_weight_format formats[] = {NIBBLE_INT8, NIBBLE_INT4, NIBBLE_FLOAT32, NIBBLE_FLOAT16, NIBBLE_BFLOAT16};
    unsigned state = 1;
    double largest = 0;
    const nibble_threads threads = {backwards, &calls};
    nibble_weights* weights = NULL;
    size_t f, size;
    int i, j, l;

    for (i = 0; i < N * K; ++i)
        w[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0f - 0.5f;
    for (i = 0; i < M * K; ++i)
        x[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0f - 0.5f;
    for (i = 0; i < N; ++i)
        bias[i] = 0.01f * (float)i;
    for (i = 0; i < M; ++i)
        for (j = 0; j < N; ++j) {
            double sum = (double)bias[j];
            for (l = 0; l < K; ++l)
                sum += (double)x[i * K + l] * (double)w[j * K + l];
            exact[i * N + j] = sum > 0 ? (float)sum : 0.0f;
            largest = sum > largest ? sum : largest;
        }

    for (f = 0; f < sizeof formats / sizeof *formats; ++f) {
        double error = 0;
        nibble_weights* mapped = NULL;
        expect(nibble_quantize_weights(w, N, K, K, formats[f], f < 2 ? 32 : 0, &weights) == NIBBLE_OK, "quantize_weights");
        multiply(weights, x, bias, NULL, y);
        for (i = 0; i < M * N; ++i)
            error = fmax(error, fabs((double)y[i] - (double)exact[i]));
        printf("format %d on %s: largest error %.4f %%\n", (int)formats[f], nibble_active_backend(), 100 * error / largest);
        expect(100 * error / largest < allowed[f], "the product is near the exact one");
        if (f == 1)
            expect(100 * error / largest > allowed[0], "int4 is less exact than int8");

        calls = 0;
        multiply(weights, x, bias, &threads, again);
        expect(calls > 0 && memcmp(y, again, sizeof y) == 0, "threads change nothing");
        {
            const void* const bytes = nibble_weights_bytes(weights, &size);
            expect(nibble_view_weights(bytes, size, &mapped) == NIBBLE_OK, "view_weights");
            memset(again, 0, sizeof again);
            multiply(mapped, x, bias, NULL, again);
            expect(memcmp(y, again, sizeof y) == 0, "viewed bytes are the same weights");
            nibble_free_weights(mapped);
            expect(nibble_view_weights(bytes, size - 1, &mapped) != NIBBLE_OK && mapped == NULL, "bytes that are cut off are refused");
        }
        nibble_free_weights(weights);
    }

    { /* Codes of the caller's: 0.5 * (code - 8), one scale a row. */
        static uint8_t pairs[N * K / 2];
        static int8_t codes[N * K];
        static float scales[N];
        static int32_t zero_points[N];
        for (i = 0; i < N * K; ++i) {
            codes[i] = (int8_t)(i * 7 % 16);
            pairs[i / 2] |= (uint8_t)(codes[i] << (i % 2 * 4));
        }
        for (i = 0; i < N; ++i) {
            scales[i] = 0.5f;
            zero_points[i] = 8;
        }
        expect(nibble_pack_int8(codes, N, K, K, scales, zero_points, 0, &weights) == NIBBLE_OK, "pack_int8");
        multiply(weights, x, NULL, NULL, y);
        nibble_free_weights(weights);
        expect(nibble_pack_uint4(pairs, N, K, K / 2, scales, zero_points, 0, &weights) == NIBBLE_OK, "pack_uint4");
        multiply(weights, x, NULL, NULL, again);
        nibble_free_weights(weights);
        expect(memcmp(y, again, sizeof y) == 0 && y[0] + y[1] + y[2] > 0, "codes of 4 bits give what the same codes of 8 bits give");
        zero_points[3] = 16;
        expect(nibble_pack_uint4(pairs, N, K, K / 2, scales, zero_points, 0, &weights) != NIBBLE_OK && weights == NULL,
            "a zero point that is no code is refused");
    }

    expect(nibble_quantize_weights(NULL, N, K, K, NIBBLE_INT8, 0, &weights) != NIBBLE_OK, "null is refused");
    expect(nibble_quantize_weights(w, N, K, K, NIBBLE_INT4, 7, &weights) != NIBBLE_OK, "odd groups of 4 bits are refused");
    expect(nibble_quantize_weights(w, N, K, K, (nibble_weight_format)9, 0, &weights) != NIBBLE_OK, "an unknown format is refused");
    expect(nibble_force_backend("nothing") != NIBBLE_OK, "an unknown backend is refused");
    expect(strlen(nibble_status_text(1)) > 10 && strcmp(nibble_status_text(-5), "unknown status") == 0, "statuses have texts");
    expect(strcmp(nibble_version(), "") != 0, "a version");
    nibble_free_weights(NULL);
    return failures == 0 ? 0 : 1;
}
