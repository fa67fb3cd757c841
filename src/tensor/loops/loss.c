#include "tensor/loops/loss.h"
#include "tensor/vector_math.h"

static real log_sum_exp(int64_t n, const real *x)
{
    real largest = -INFINITY, total = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    if (largest == -INFINITY)
        largest = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++)
        total += real_exp_below(x[i] - largest);
    return largest + real_log(total);
}

static void add_softmax(int64_t n, const real *restrict x, real log_sum, real factor, real *restrict dx)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] += factor * real_exp_below(x[i] - log_sum);
}

LOOPS_TABLE(struct loss_loops, loss_loops) = {
    .log_sum_exp = log_sum_exp,
    .add_softmax = add_softmax,
};
