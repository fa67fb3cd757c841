#include "block/system.h"
#include <math.h>
#include <string.h>

/* Doubles [.., N, n] to [.., N, 2 n] with the power A^n, and that to A^(2 n). */
static tensor *doubled(tensor *columns, tensor **power)
{
    tensor *next = tensor_matmul(*power, columns);
    *power = tensor_matmul(*power, *power);
    return tensor_concat(2, (tensor *[]){columns, next}, columns->rank - 1);
}

tensor *matrix_power(tensor *A, int64_t exponent)
{
    tensor *power = NULL;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            power = power ? tensor_matmul(power, A) : A;
        if (exponent > 1)
            A = tensor_matmul(A, A);
    }
    return power;
}

tensor *krylov(tensor *A, tensor *b, int64_t length)
{
    int last = b->rank - 1;
    tensor *columns = b, *power = A;
    while (2 * columns->shape[last] < length)
        columns = doubled(columns, &power);
    int64_t rest = length - columns->shape[last];
    if (rest == 0)
        return columns;
    tensor *next = tensor_matmul(power, tensor_slice(columns, last, 0, rest));
    return tensor_concat(2, (tensor *[]){columns, next}, last);
}

tensor *system_kernel(const struct system *system, int64_t length)
{
    int64_t h = system->A->shape[0], n = system->A->shape[1], m = system->c->shape[1];
    tensor *near = system->b, *power = system->A;
    while (near->shape[2] * near->shape[2] < length)
        near = doubled(near, &power);
    int64_t inner = near->shape[2], outer = (length + inner - 1) / inner;
    /* c A^(R p) as columns of the transposed system, output by output. */
    tensor *back = tensor_reshape(tensor_transpose(power, 1, 2), 4, SHAPE(h, 1, n, n));
    tensor *far = krylov(back, tensor_reshape(system->c, 4, SHAPE(h, m, n, 1)), outer);
    tensor *k = tensor_matmul_tn(far, tensor_reshape(near, 4, SHAPE(h, 1, n, inner)));
    return tensor_slice(tensor_reshape(k, 3, SHAPE(h, m, outer * inner)), 2, 0, length);
}

tensor *identity_matrix(struct graph *graph, int64_t n)
{
    tensor *one = tensor_constant(graph, NULL, 2, SHAPE(n, n));
    for (int64_t i = 0; i < n; i++)
        one->data[i * n + i] = 1;
    return one;
}

struct system system_bilinear(tensor *A, tensor *b, tensor *c, tensor *dt)
{
    int64_t n = A->shape[A->rank - 1], h = dt->shape[0];
    tensor *one = identity_matrix(A->graph, n), *half = tensor_multiply(tensor_scale(dt, 0.5), A);
    tensor *input = tensor_multiply(dt, b);
    tensor *right = tensor_concat(2, (tensor *[]){tensor_add(one, half), input}, 2);
    tensor *both = tensor_solve(tensor_subtract(one, half), right);
    return (struct system){tensor_reshape(tensor_slice(both, 2, 0, n), 3, SHAPE(h, n, n)),
                           tensor_slice(both, 2, n, 1), c};
}

tensor *system_step(struct scope *s, const struct system *system, tensor *x)
{
    int64_t batch = x->shape[0], h = system->A->shape[0], n = system->A->shape[1], m = system->c->shape[1];
    tensor *now = state(s, "h", 0, 4, SHAPE(batch, h, n, 1));
    struct pieces rows = {0};
    for (int64_t t = 0; t < x->shape[1]; t++) {
        tensor *in = tensor_reshape(tensor_slice(x, 1, t, 1), 4, SHAPE(batch, h, 1, 1));
        now = tensor_add(tensor_matmul(system->A, now), tensor_multiply(system->b, in));
        add_piece(&rows, tensor_reshape(tensor_matmul(system->c, now), 3, SHAPE(batch, 1, h * m)));
    }
    state_set(s, "h", now);
    return join_pieces(&rows, 1);
}

static tensor *recall(struct scope *s, const char *name, int64_t a, int64_t b, int64_t c)
{
    return state(s, name, 0, 3, SHAPE(a, b, c));
}

bool system_recall(struct scope *s, int64_t h, int64_t n, int64_t m, struct system *system)
{
    if (!s->state)
        return false;
    *system = (struct system){recall(s, "A", h, n, n), recall(s, "b", h, n, 1), recall(s, "c", h, m, n)};
    return s->position > 0;
}

void system_keep(struct scope *s, const struct system *system)
{
    if (!s->state)
        return;
    state_set(s, "A", system->A);
    state_set(s, "b", system->b);
    state_set(s, "c", system->c);
}

tensor *kept_recurrence(struct scope *s, const char *name, tensor *w, tensor *b, int64_t squashed)
{
    if (!s->state)
        return tensor_recurrence(w, b, squashed, NULL, NULL);
    tensor *final, *before = state(s, name, 0, 3, SHAPE(b->shape[0], 1, b->shape[2]));
    tensor *h = tensor_recurrence(w, b, squashed, before, &final);
    state_set(s, name, final);
    return h;
}
