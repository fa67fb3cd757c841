/* Recurrences with a full matrix, h_t = f(W h_{t-1} + b_t): token by token, over tiles of rows. */
#include "tensor/blas.h"
#include "tensor/operation.h"
#include "tensor/vector_math.h"
#include <string.h>

enum {
    ROWS = 16,   /* of b in one iteration of a parallel loop */
    OUTPUTS = 64 /* rows of W likewise */
};

struct recurrence {
    int64_t rows, steps, size, squashed;
    bool varies; /* W has a matrix for each step */
    bool has_initial;
};

static const real *matrix_at(const struct recurrence *r, const real *w, int64_t t)
{
    return r->varies ? w + t * r->size * r->size : w;
}

static double work_of(const struct recurrence *r)
{
    return 2.0 * (double)(r->rows * r->steps * r->size) * (double)r->size;
}

static int64_t tiles_of(const struct recurrence *r)
{
    return (r->rows + ROWS - 1) / ROWS;
}

/* to [count, size] += W from, for rows that lie `step` and `from_step` apart. */
static void advance(const struct recurrence *r, int64_t count, const real *w, const real *from,
                    int64_t from_step, real *to, int64_t step)
{
    int64_t n = r->size;
    if (count == 1)
        gemv(false, n, n, 1, w, n, from, 1, to);
    else
        gemm(false, true, count, n, n, 1, from, from_step, w, n, 1, to, step);
}

static void recurrence_forward(tensor *y)
{
    const struct recurrence *r = y->attributes;
    const real *w = y->inputs[0]->data, *b = y->inputs[1]->data,
               *initial = r->has_initial ? y->inputs[2]->data : NULL;
    real *h = y->data, *final = node_output(y, 1)->data;
    int64_t n = r->size, row = r->steps * n;
#pragma omp parallel for num_threads(threads_for(work_of(r))) schedule(static)
    for (int64_t tile = 0; tile < tiles_of(r); tile++) {
        int64_t first = tile * ROWS, count = r->rows - first < ROWS ? r->rows - first : ROWS;
        memcpy(h + first * row, b + first * row, (size_t)(count * row) * sizeof *h);
        for (int64_t t = 0; t < r->steps; t++) {
            real *now = h + first * row + t * n;
            if (t > 0)
                advance(r, count, matrix_at(r, w, t), now - n, row, now, row);
            else if (initial)
                advance(r, count, matrix_at(r, w, t), initial + first * n, n, now, row);
            for (int64_t i = 0; i < count; i++)
                for (int64_t c = 0; c < r->squashed; c++)
                    now[i * row + c] = real_tanh(now[i * row + c]);
        }
        for (int64_t i = first; i < first + count; i++)
            memcpy(final + i * n, h + i * row + row - n, (size_t)n * sizeof *final);
    }
}

/* dL/d(W h_{t-1} + b_t) of one tile of rows, from dL/dh in `g`, last step first. */
static void sweep_back(const struct recurrence *r, const real *w, const real *h, int64_t count, real *g,
                       real *dinitial)
{
    int64_t n = r->size, row = r->steps * n;
    for (int64_t t = r->steps - 1; t >= 0; t--) {
        real *now = g + t * n, *to = t > 0 ? now - n : dinitial;
        for (int64_t i = 0; i < count; i++)
            for (int64_t c = 0; c < r->squashed; c++)
                now[i * row + c] *= 1 - h[i * row + t * n + c] * h[i * row + t * n + c];
        if (to)
            gemm(false, false, count, n, n, 1, now, row, matrix_at(r, w, t), n, 1, to, t > 0 ? row : n);
    }
}

/* Adds sum g_t h_{t-1}^T over rows and steps to the rows [first, first + count) of dW. */
static void collect_shared(const struct recurrence *r, const real *g, const real *h, const real *initial,
                           int64_t first, int64_t count, real *dw)
{
    int64_t n = r->size, row = r->steps * n;
    real *to = dw + first * n;
    for (int64_t i = 0; i < r->rows; i++)
        gemm(true, false, count, n, r->steps - 1, 1, g + i * row + n + first, n, h + i * row, n, 1, to, n);
    if (initial)
        gemm(true, false, count, n, r->rows, 1, g + first, row, initial, n, 1, to, n);
}

static void collect_weights(tensor *y, const real *g, real *dw)
{
    const struct recurrence *r = y->attributes;
    const real *initial = r->has_initial ? y->inputs[2]->data : NULL;
    int64_t n = r->size, row = r->steps * n, tasks = r->varies ? r->steps : (n + OUTPUTS - 1) / OUTPUTS;
#pragma omp parallel for num_threads(threads_for(work_of(r))) schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        if (!r->varies) {
            int64_t first = task * OUTPUTS, count = n - first < OUTPUTS ? n - first : OUTPUTS;
            collect_shared(r, g, y->data, initial, first, count, dw);
        } else if (task > 0 || initial) {
            const real *before = task > 0 ? y->data + (task - 1) * n : initial;
            gemm(true, false, n, n, r->rows, 1, g + task * n, row, before, task > 0 ? row : n, 1,
                 dw + task * n * n, n);
        }
    }
}

static void recurrence_backward(tensor *y)
{
    const struct recurrence *r = y->attributes;
    const real *w = y->inputs[0]->data, *dy = output_gradient(y),
               *dfinal = output_gradient(node_output(y, 1));
    real *dw = input_gradient(y, 0), *db = input_gradient(y, 1),
         *dinitial = r->has_initial ? input_gradient(y, 2) : NULL;
    int64_t n = r->size, row = r->steps * n;
    real *g = scratch_take(y->graph, (size_t)(r->rows * row));
#pragma omp parallel for num_threads(threads_for(2 * work_of(r))) schedule(static)
    for (int64_t tile = 0; tile < tiles_of(r); tile++) {
        int64_t first = tile * ROWS, count = r->rows - first < ROWS ? r->rows - first : ROWS;
        real *mine = g + first * row;
        for (int64_t i = 0; i < count * row; i++)
            mine[i] = dy ? dy[first * row + i] : 0;
        for (int64_t i = 0; i < count * n && dfinal; i++)
            mine[i / n * row + row - n + i % n] += dfinal[first * n + i];
        sweep_back(r, w, y->data + first * row, count, mine, dinitial ? dinitial + first * n : NULL);
        for (int64_t i = 0; i < count * row && db; i++)
            db[first * row + i] += mine[i];
    }
    if (dw)
        collect_weights(y, g, dw);
    scratch_give(y->graph, g);
}

static const struct operation recurrence_operation = {"recurrence", recurrence_forward, recurrence_backward,
                                                      SAVES_INPUT(0) | SAVES_INPUT(2) | SAVES_OUTPUT, false};

tensor *tensor_recurrence(tensor *w, tensor *b, int64_t squashed, tensor *initial, tensor **final)
{
    const char *name = recurrence_operation.name;
    require(b->rank == 3 && b->shape[1] > 0, b, name, "inputs [B, T, S] with T > 0");
    struct recurrence r = {b->shape[0], b->shape[1], b->shape[2], squashed, w->rank == 3, initial != NULL};
    require((w->rank == 2 || (w->rank == 3 && w->shape[0] == r.steps)) && w->shape[w->rank - 1] == r.size &&
                w->shape[w->rank - 2] == r.size,
            w, name, "a matrix [S, S], or one for each step, of the inputs' width");
    require(squashed >= 0 && squashed <= r.size, b, name, "as many channels as are squashed");
    tensor *inputs[3] = {tensor_contiguous(w), tensor_contiguous(b)};
    if (initial) {
        require(tensor_size(initial) == r.rows * r.size, initial, name,
                "an initial state of one step's shape");
        inputs[2] = tensor_contiguous(initial);
    }
    tensor *y =
        node_create(b->graph, &recurrence_operation, 3, b->shape, initial ? 3 : 2, inputs, &r, sizeof r);
    tensor *last = node_add_output(y, 3, SHAPE(r.rows, 1, r.size));
    node_count(y, work_of(&r), -1);
    if (final)
        *final = last;
    return y;
}
