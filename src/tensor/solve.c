/* Systems of linear equations by LAPACK, which comes with OpenBLAS; in double precision inside, as the
 * matrices are small. */
#include "tensor/blas.h"
#include "tensor/operation.h"
#include <f77blas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

/* A [count, n, n], b [count, n, m]. */
struct solve {
    int64_t count, n, m;
};

static double work_of(const struct solve *s)
{
    return (double)s->count * ((double)(s->n * s->n * s->n) / 1.5 + 2.0 * (double)(s->n * s->n * s->m));
}

/* Room of one thread: a matrix and two sets of right sides, by columns as LAPACK has them. */
struct room {
    double *a, *b, *x;
    blasint *rows;
};

static size_t room_size(const struct solve *s)
{
    return (size_t)(s->n * s->n + 2 * s->n * s->m + s->n) * (sizeof(double) / sizeof(real));
}

static struct room room_of(const struct solve *s, real *scratch)
{
    double *a = (double *)(void *)(scratch + (size_t)omp_get_thread_num() * room_size(s));
    double *b = a + s->n * s->n, *x = b + s->n * s->m;
    return (struct room){a, b, x, (blasint *)(void *)(x + s->n * s->m)};
}

/* Rows [n, m] as columns, or as they are. */
static void read_matrix(int64_t n, int64_t m, bool by_columns, const real *from, double *to)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++)
            to[by_columns ? j * n + i : i * m + j] = (double)from[i * m + j];
}

/* room->b = a^-1 b, or a^-T b; room->a is used up. NaN if a is singular. */
static void solve(const struct solve *s, const real *a, bool transposed, const real *b, struct room *room)
{
    blasint n = (blasint)s->n, m = (blasint)s->m, failed = 0;
    read_matrix(s->n, s->n, !transposed, a, room->a);
    read_matrix(s->n, s->m, true, b, room->b);
    BLASFUNC(dgesv)(&n, &m, room->a, &n, room->rows, room->b, &n, &failed);
    for (int64_t i = 0; failed && i < s->n * s->m; i++)
        room->b[i] = NAN;
}

static void solve_forward(tensor *y)
{
    const struct solve *s = y->attributes;
    const real *a = y->inputs[0]->data, *b = y->inputs[1]->data;
    int threads = threads_for(work_of(s));
    real *scratch = scratch_take(y->graph, (size_t)threads * room_size(s));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < s->count; k++) {
        struct room room = room_of(s, scratch);
        real *x = y->data + k * s->n * s->m;
        solve(s, a + k * s->n * s->n, false, b + k * s->n * s->m, &room);
        for (int64_t i = 0; i < s->n; i++)
            for (int64_t j = 0; j < s->m; j++)
                x[i * s->m + j] = (real)room.b[j * s->n + i];
    }
    scratch_give(y->graph, scratch);
}

/* db = A^-T dx,  dA = -db x^T */
static void solve_backward(tensor *y)
{
    const struct solve *s = y->attributes;
    const real *a = y->inputs[0]->data, *dy = output_gradient(y);
    real *da = input_gradient(y, 0), *db = input_gradient(y, 1);
    int64_t n = s->n, m = s->m;
    int threads = threads_for(2 * work_of(s));
    real *scratch = scratch_take(y->graph, (size_t)threads * room_size(s));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t k = 0; k < s->count; k++) {
        struct room room = room_of(s, scratch);
        solve(s, a + k * n * n, true, dy + k * n * m, &room);
        for (int64_t i = 0; i < n && db; i++)
            for (int64_t j = 0; j < m; j++)
                db[(k * n + i) * m + j] += (real)room.b[j * n + i];
        if (!da)
            continue;
        read_matrix(n, m, true, y->data + k * n * m, room.x);
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)n, (blasint)n, (blasint)m, 1, room.b,
                    (blasint)n, room.x, (blasint)n, 0, room.a, (blasint)n);
        for (int64_t i = 0; i < n * n; i++)
            da[k * n * n + i] -= (real)room.a[i];
    }
    scratch_give(y->graph, scratch);
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
