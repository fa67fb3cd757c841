/* Systems of linear equations, by elimination with row exchanges; in double precision inside, as the matrices are small. */
#include "base/memory.h"
#include "tensor/operation.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A [count, n, n], b [count, n, m]. */
struct solve {
    int64_t count, n, m;
};

static double work_of(const struct solve *s)
{
    return (double)s->count * ((double)(s->n * s->n * s->n) / 1.5 + 2.0 * (double)(s->n * s->n * s->m));
}

/* Exchanges row k of a [n, n] and b [n, m] with the one below that has the largest entry in column k. */
static void choose_pivot(int64_t n, int64_t m, int64_t k, double *a, double *b)
{
    int64_t best = k;
    for (int64_t i = k + 1; i < n; i++)
        if (fabs(a[i * n + k]) > fabs(a[best * n + k]))
            best = i;
    for (int64_t j = 0; j < n && best != k; j++) {
        double swapped = a[k * n + j];
        a[k * n + j] = a[best * n + j], a[best * n + j] = swapped;
    }
    for (int64_t j = 0; j < m && best != k; j++) {
        double swapped = b[k * m + j];
        b[k * m + j] = b[best * m + j], b[best * m + j] = swapped;
    }
}

/* b = a^-1 b; a is used up. A singular a gives infinities or NaN. */
static void eliminate(int64_t n, int64_t m, double *restrict a, double *restrict b)
{
    for (int64_t k = 0; k < n; k++) {
        choose_pivot(n, m, k, a, b);
        for (int64_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            if (factor == 0)
                continue;
            for (int64_t j = k + 1; j < n; j++)
                a[i * n + j] -= factor * a[k * n + j];
            for (int64_t j = 0; j < m; j++)
                b[i * m + j] -= factor * b[k * m + j];
        }
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++)
            for (int64_t j = 0; j < m; j++)
                b[i * m + j] -= a[i * n + k] * b[k * m + j];
        for (int64_t j = 0; j < m; j++)
            b[i * m + j] /= a[i * n + i];
    }
}

/* Copies of a (transposed if asked) and b in double precision, solved; the result is in the second part. */
static double *solved(const struct solve *s, const real *a, bool transposed, const real *b)
{
    int64_t n = s->n, m = s->m;
    double *copy = memory_allocate((size_t)(n * n + n * m + 1) * sizeof *copy), *x = copy + n * n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            copy[i * n + j] = (double)(transposed ? a[j * n + i] : a[i * n + j]);
    for (int64_t i = 0; i < n * m; i++)
        x[i] = (double)b[i];
    eliminate(n, m, copy, x);
    return copy;
}

static void solve_forward(tensor *y)
{
    const struct solve *s = y->attributes;
    const real *a = y->inputs[0]->data, *b = y->inputs[1]->data;
#pragma omp parallel for num_threads(threads_for(work_of(s))) schedule(static)
    for (int64_t k = 0; k < s->count; k++) {
        double *copy = solved(s, a + k * s->n * s->n, false, b + k * s->n * s->m);
        for (int64_t i = 0; i < s->n * s->m; i++)
            y->data[k * s->n * s->m + i] = (real)copy[s->n * s->n + i];
        free(copy);
    }
}

/* db = A^-T dx,  dA = -db x^T */
static void solve_backward(tensor *y)
{
    const struct solve *s = y->attributes;
    const real *a = y->inputs[0]->data, *dy = output_gradient(y);
    real *da = input_gradient(y, 0), *db = input_gradient(y, 1);
    int64_t n = s->n, m = s->m;
#pragma omp parallel for num_threads(threads_for(2 * work_of(s))) schedule(static)
    for (int64_t k = 0; k < s->count; k++) {
        double *copy = solved(s, a + k * n * n, true, dy + k * n * m), *g = copy + n * n;
        const real *x = y->data + k * n * m;
        for (int64_t i = 0; i < n * m && db; i++)
            db[k * n * m + i] += (real)g[i];
        for (int64_t i = 0; i < n && da; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t c = 0; c < m; c++)
                    sum += g[i * m + c] * (double)x[j * m + c];
                da[(k * n + i) * n + j] -= (real)sum;
            }
        free(copy);
    }
}

static const struct operation solve_operation = {"solve", solve_forward, solve_backward,
                                                 SAVES_INPUT(0) | SAVES_OUTPUT, false};

/* x with the leading axes of `shape`. */
static tensor *with_leading(tensor *x, int rank, const int64_t *shape)
{
    int64_t whole[TENSOR_MAX_RANK];
    memcpy(whole, shape, sizeof whole);
    whole[rank - 2] = x->shape[x->rank - 2];
    whole[rank - 1] = x->shape[x->rank - 1];
    return tensor_contiguous(tensor_broadcast(x, rank, whole));
}

tensor *tensor_solve(tensor *a, tensor *b)
{
    const char *name = solve_operation.name;
    require(a->rank >= 2 && a->shape[a->rank - 1] == a->shape[a->rank - 2], a, name,
            "square matrices [.., N, N]");
    require(b->rank >= 2 && b->shape[b->rank - 2] == a->shape[a->rank - 1], b, name,
            "right sides [.., N, M]");
    int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t shape[TENSOR_MAX_RANK], count = 1;
    for (int i = 0; i < rank - 2; i++) {
        int64_t of_a = i - (rank - a->rank) >= 0 ? a->shape[i - (rank - a->rank)] : 1;
        int64_t of_b = i - (rank - b->rank) >= 0 ? b->shape[i - (rank - b->rank)] : 1;
        require(of_a == of_b || of_a == 1 || of_b == 1, b, name, "leading axes that broadcast");
        shape[i] = of_a == 1 ? of_b : of_a;
        count *= shape[i];
    }
    tensor *inputs[] = {with_leading(a, rank, shape), with_leading(b, rank, shape)};
    struct solve s = {count, a->shape[a->rank - 1], b->shape[b->rank - 1]};
    tensor *y = node_create(a->graph, &solve_operation, rank, inputs[1]->shape, 2, inputs, &s, sizeof s);
    node_count(y, work_of(&s), -1);
    return y;
}
