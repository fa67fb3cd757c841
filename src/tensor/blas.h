/* blas.h: OpenBLAS in both precisions, always on one thread: a multi-threaded product changes sums with the
 * number of threads, so parallelism is ours, over fixed tiles. */
#ifndef CLADE_TENSOR_BLAS_H
#define CLADE_TENSOR_BLAS_H

#include "tensor/real.h"
#include <cblas.h>
#include <stdbool.h>
#include <stdint.h>

/* c [m, n] = alpha op(a) op(b) + beta c, all row-major; with beta = 0 c is not read. */
static inline void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, real alpha,
                        const real *a, int64_t lda, const real *b, int64_t ldb, real beta, real *c,
                        int64_t ldc)
{
    enum CBLAS_TRANSPOSE ta = transpose_a ? CblasTrans : CblasNoTrans,
                         tb = transpose_b ? CblasTrans : CblasNoTrans;
#ifdef CLADE_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b,
                (blasint)ldb, beta, c, (blasint)ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b,
                (blasint)ldb, beta, c, (blasint)ldc);
#endif
}

/* y [m] = alpha a x + beta y for a [m, n] row-major (a^T x with transpose, y [n]). */
static inline void gemv(bool transpose, int64_t m, int64_t n, real alpha, const real *a, int64_t lda,
                        const real *x, real beta, real *y)
{
    enum CBLAS_TRANSPOSE t = transpose ? CblasTrans : CblasNoTrans;
#ifdef CLADE_DOUBLE
    cblas_dgemv(CblasRowMajor, t, (blasint)m, (blasint)n, alpha, a, (blasint)lda, x, 1, beta, y, 1);
#else
    cblas_sgemv(CblasRowMajor, t, (blasint)m, (blasint)n, alpha, a, (blasint)lda, x, 1, beta, y, 1);
#endif
}

/* Called by the graph before it runs anything. */
static inline void blas_use_one_thread(void)
{
    static int done;
    if (!done) {
        openblas_set_num_threads(1);
        done = 1;
    }
}

#endif
