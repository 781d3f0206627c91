// Which backend multiplies fastest is a question of the machine: the newest instructions may lower the clock, and a product that waits for
// memory gains nothing from them. tune() answers it by a measurement, once for each class of products:
//   class = (type of the weights, rows: one, 2 ... 16, more)
// Results never depend on it, as every backend gives the same bits.
#pragma once

#include <chrono>

#include "gemm.hpp"

NIBBLE_BEGIN

/// Scratch bytes for tune(); SIZE_MAX if they do not fit std::ptrdiff_t.
inline std::size_t tune_workspace(std::ptrdiff_t m, packed_weights_view w) noexcept
{
    return m <= 0 ? 0 : (checked_size(gemm_workspace(m, w)) + m * (checked_size(w.k) + w.n) * sizeof(float) + cache_line).value();
}

/// Times products of m rows with w, `rounds` on each usable backend that is not newer than the active one, in turns. The backend with the
/// shortest time runs this class of products from now on, in the whole program, until force_backend() or cap_backend() is called.
/// Do not call while kernels run. workspace: tune_workspace() bytes, aligned for float.
template <class Executor = serial_executor>
inline result<backend> tune(
    packed_weights_view w, std::ptrdiff_t m, span<std::byte> workspace, int rounds = 5, Executor&& executor = Executor {})
{
    if (m < 0 || rounds < 0)
        return status::negative_size;
    if (const status s = check_room(workspace, tune_workspace(m, w)); s != status::ok)
        return s;
    if (w.panels == nullptr)
        return w.n != 0 ? status::null_pointer : status::weights_missing;
    float* const a = reinterpret_cast<float*>(workspace.data());
    float* const c = a + m * w.k;
    const std::size_t floats = static_cast<std::size_t>(m) * static_cast<std::size_t>(w.k + w.n);
    const span<std::byte> scratch(workspace.data() + floats * sizeof(float), workspace.size() - floats * sizeof(float));
    for (std::size_t i = 0; i < floats; ++i)
        a[i] = static_cast<float>(i % 251) - 125.0f;

    std::atomic<unsigned char>& choice = tuned_products[detail::product_class(w.type, m)];
    const unsigned char before = choice.load();
    const int newest = static_cast<int>(active_backend());
    std::chrono::steady_clock::duration best[backend_count];
    for (auto& time : best)
        time = std::chrono::steady_clock::duration::max();
    // One round more than asked for: the first warms up.
    for (int round = 0; round <= rounds; ++round)
        for (int b = newest > 0 ? 1 : 0; b <= newest; ++b) {
            if (check_backend(static_cast<backend>(b)) != status::ok)
                continue;
            choice.store(static_cast<unsigned char>(b + 1));
            const auto began = std::chrono::steady_clock::now();
            const status s = gemm(matrix_view<const float>(a, m, w.k), w, epilogue {}, matrix_view<float>(c, m, w.n), scratch, executor);
            const auto time = std::chrono::steady_clock::now() - began;
            if (s != status::ok) {
                choice.store(before);
                return s;
            }
            if (round > 0 && time < best[b])
                best[b] = time;
        }
    int fastest = newest;
    for (int b = newest; b >= 0; --b)
        if (best[b] < best[fastest])
            fastest = b;
    choice.store(static_cast<unsigned char>(fastest + 1));
    return static_cast<backend>(fastest);
}

NIBBLE_END
