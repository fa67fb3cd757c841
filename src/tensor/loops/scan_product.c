#include "tensor/loops/scan_product.h"
#include "tensor/loops/vector.h"
#include <stddef.h>

/* after = keep before + k; its product with q */
static inline real advance(int64_t width, real keep, const real *q, const real *k, const real *before,
                           real *after)
{
    vector sum = vector_fill(0);
    int64_t i = 0;
    for (; i + VECTOR_LANES <= width; i += VECTOR_LANES) {
        vector z = keep * vector_load(before + i) + vector_load(k + i);
        sum += vector_load(q + i) * z;
        vector_store(after + i, z);
    }
    real total = vector_sum(sum);
    for (; i < width; i++) {
        after[i] = keep * before[i] + k[i];
        total += q[i] * after[i];
    }
    return total;
}

static void advance_team(const struct scan_product_team *team, int64_t t, const real *before, real *after,
                         real *y)
{
    int64_t n = team->width, at = t * team->heads;
    for (int64_t h = 0; h < team->count; h++) {
        real sum = advance(n, team->keep ? team->keep[at + h] : 1, team->q + (at * n + h * n),
                           team->k + (at * n + h * n), before + h * n, after + h * n);
        if (y)
            y[at + h] = sum;
    }
}

static void forward(const struct scan_product_team *team, real *z, real *y)
{
    for (int64_t t = 0; t < team->steps; t++)
        advance_team(team, t, z, z, y);
}

/* One head at one step; `at` is its place in y, z the sums before and after. */
static void back_through(const struct scan_product_team *team, int64_t at, const real *restrict before,
                         const real *restrict after, real *restrict g,
                         const struct scan_product_gradients *to)
{
    int64_t n = team->width;
    const real *restrict q = team->q + at * n;
    real dy = to->y ? to->y[at] : 0, keep = team->keep ? team->keep[at] : 1, dkeep = 0;
#pragma omp simd reduction(+ : dkeep)
    for (int64_t i = 0; i < n; i++) {
        g[i] += dy * q[i];
        dkeep += g[i] * before[i];
    }
    for (int64_t i = 0; to->q && i < n; i++)
        to->q[at * n + i] += dy * after[i];
    for (int64_t i = 0; to->k && i < n; i++)
        to->k[at * n + i] += g[i];
    if (to->keep)
        to->keep[at] += dkeep;
    for (int64_t i = 0; i < n; i++)
        g[i] *= keep;
}

static void backward(const struct scan_product_team *team, real *z, real *g,
                     const struct scan_product_gradients *to)
{
    int64_t n = team->width, sums = team->count * n;
    for (int64_t t = 0; t < team->steps; t++)
        advance_team(team, t, z + t * sums, z + (t + 1) * sums, NULL);
    for (int64_t t = team->steps - 1; t >= 0; t--)
        for (int64_t h = 0; h < team->count; h++) {
            const real *before = z + t * sums + h * n;
            back_through(team, t * team->heads + h, before, before + sums, g + h * n, to);
        }
}

LOOPS_TABLE(struct scan_product_loops, scan_product_loops) = {
    .forward = forward,
    .backward = backward,
};
