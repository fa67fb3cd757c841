/* Layers that most kernels share. */
#include "block/kernel.h"
#include "tensor/operation.h"
#include <math.h>
#include <string.h>

tensor *linear(struct scope *s, const char *name, tensor *x, int64_t outputs, bool bias)
{
    int64_t inputs = tensor_length(x, -1);
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(outputs, inputs));
    tensor *shift =
        bias ? parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(outputs)) : NULL;
    return tensor_linear(x, weight, shift);
}

tensor *low_rank_linear(struct scope *s, const char *name, tensor *x, int64_t rank, int64_t outputs,
                        bool bias)
{
    if (rank == 0)
        return linear(s, name, x, outputs, bias);
    x = linear(s, part_name(s, "%s_u", name), x, rank, false);
    return linear(s, part_name(s, "%s_v", name), x, outputs, bias);
}

tensor *layer_norm(struct scope *s, const char *name, tensor *x, double epsilon)
{
    int64_t width = tensor_length(x, -1);
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_constant(1), 1, SHAPE(width));
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(width));
    return tensor_layer_norm(x, weight, bias, epsilon);
}

tensor *batch_norm(struct scope *s, const char *name, tensor *x, double epsilon)
{
    const int64_t *shape = SHAPE(tensor_length(x, -1));
    tensor *mean = buffer(s, part_name(s, "%s.running_mean", name), init_constant(0), 1, shape);
    tensor *variance = buffer(s, part_name(s, "%s.running_var", name), init_constant(1), 1, shape);
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_constant(1), 1, shape);
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, shape);
    weight = tensor_multiply(weight, tensor_reciprocal_sqrt(tensor_affine(variance, 1, epsilon)));
    return tensor_add(tensor_multiply(tensor_subtract(x, mean), weight), bias);
}

tensor *rms_norm(struct scope *s, const char *name, tensor *x, double epsilon)
{
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_constant(1), 1, SHAPE(tensor_length(x, -1)));
    return tensor_rms_norm(x, weight, epsilon);
}

tensor *split_heads(tensor *x, int64_t heads)
{
    return tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1], heads, x->shape[2] / heads));
}

tensor *merge_heads(tensor *x)
{
    return tensor_reshape(x, 3, SHAPE(x->shape[0], x->shape[1], x->shape[2] * x->shape[3]));
}

/* The last `count` rows of (previous; x) along time. */
static tensor *last_rows(tensor *previous, tensor *x, int64_t count)
{
    if (x->shape[1] >= count)
        return tensor_slice(x, 1, x->shape[1] - count, count);
    tensor *parts[] = {previous, x};
    tensor *all = tensor_concat(2, parts, 1);
    return tensor_slice(all, 1, all->shape[1] - count, count);
}

tensor *kept_convolution(struct scope *s, const char *name, tensor *x, tensor *weight, tensor *bias)
{
    int64_t size = weight->shape[1];
    tensor *previous = NULL;
    if (s->state && size > 1) {
        previous = state(s, name, 0, 3, SHAPE(x->shape[0], size - 1, x->shape[2]));
        state_set(s, name, last_rows(previous, x, size - 1));
    }
    return tensor_causal_convolution(x, weight, bias, previous);
}

tensor *short_convolution(struct scope *s, const char *name, tensor *x, int64_t size, bool bias)
{
    int64_t channels = x->shape[2];
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_linear(), 3, SHAPE(channels, 1, size));
    tensor *shift =
        bias ? parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(channels)) : NULL;
    return kept_convolution(s, name, x, tensor_reshape(weight, 2, SHAPE(channels, size)), shift);
}

tensor *repeat_heads(tensor *x, int64_t times)
{
    return times > 1 ? tensor_repeat_interleave(x, 2, times) : x;
}

tensor *outer_square(tensor *x)
{
    int64_t rows[TENSOR_MAX_RANK], columns[TENSOR_MAX_RANK], flat[TENSOR_MAX_RANK], n = tensor_length(x, -1);
    for (int i = 0; i < x->rank; i++)
        rows[i] = columns[i] = flat[i] = x->shape[i];
    rows[x->rank] = columns[x->rank - 1] = 1;
    columns[x->rank] = n;
    flat[x->rank - 1] = n * n;
    tensor *products =
        tensor_multiply(tensor_reshape(x, x->rank + 1, rows), tensor_reshape(x, x->rank + 1, columns));
    return tensor_reshape(products, x->rank, flat);
}

tensor *lower_triangle(struct graph *graph, int64_t rows, int64_t columns, int64_t ahead)
{
    tensor *mask = tensor_constant(graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns && j <= i + ahead; j++)
            mask->data[i * columns + j] = 1;
    return mask;
}

tensor *per_head_product(tensor *x, tensor *matrices, bool transposed)
{
    tensor *by_head = tensor_transpose(x, 1, 2);
    by_head = transposed ? tensor_matmul_nt(by_head, matrices) : tensor_matmul(by_head, matrices);
    return tensor_transpose(by_head, 1, 2);
}

tensor *gaussian_kernel(tensor *a, tensor *b)
{
    tensor *of_a = tensor_scale(tensor_sum(tensor_square(a), -1), 0.5);
    tensor *of_b = tensor_transpose(tensor_scale(tensor_sum(tensor_square(b), -1), 0.5), -2, -1);
    tensor *exponent = tensor_subtract(tensor_subtract(tensor_matmul_nt(a, b), of_a), of_b);
    return tensor_exp(tensor_minimum(exponent, tensor_scalar(a->graph, 0))); /* rounding may leave it above */
}

tensor *scaled_identity(struct graph *graph, int64_t size, double c)
{
    tensor *identity = tensor_constant(graph, NULL, 2, SHAPE(size, size));
    for (int64_t i = 0; i < size; i++)
        identity->data[i * size + i] = (real)c;
    return identity;
}

tensor *iterated_inverse(tensor *a, tensor *z, int order, int64_t iterations)
{
    static const double factors[][3] = {{2}, {7, 15, 13}};
    int terms = order == 2 ? 1 : 3;
    tensor *identities[3];
    for (int i = 0; i < terms; i++)
        identities[i] = scaled_identity(a->graph, tensor_length(a, -1), factors[order != 2][i]);
    for (int64_t n = 0; n < iterations; n++) {
        tensor *product = tensor_matmul(a, z), *rest = tensor_subtract(identities[0], product);
        for (int i = 1; i < terms; i++)
            rest = tensor_subtract(identities[i], tensor_matmul(product, rest));
        z = tensor_matmul(order == 2 ? z : tensor_scale(z, 0.25), rest);
    }
    return z;
}

/* round(x) between low and high; the gradient is that of x. */
static tensor *rounded(tensor *x, double low, double high)
{
    return tensor_straight_through(tensor_clamp(tensor_round(tensor_stop_gradient(x)), low, high), x);
}

tensor *ternary_linear(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(outputs, tensor_length(x, -1)));
    x = rms_norm(s, part_name(s, "%s.norm", name), x, 1e-6);
    tensor *largest = tensor_max(tensor_absolute(tensor_stop_gradient(x)), -1);
    tensor *scale = tensor_scale(tensor_reciprocal(tensor_clamp(largest, 1e-5, 1e30)), 127);
    tensor *activations = tensor_divide(rounded(tensor_multiply(x, scale), -128, 127), scale);
    tensor *size = tensor_sum_all(tensor_absolute(tensor_stop_gradient(weight)));
    size = tensor_clamp(tensor_scale(size, 1 / (double)tensor_size(weight)), 1e-5, 1e30);
    tensor *signs = tensor_multiply(rounded(tensor_divide(weight, size), -1, 1), size);
    return tensor_linear(activations, signs, NULL);
}

tensor *token_shift(struct scope *s, const char *name, tensor *x)
{
    if (!s->state)
        return tensor_shift(x, 1, 1);
    tensor *previous = state(s, name, 0, 3, SHAPE(x->shape[0], 1, x->shape[2]));
    state_set(s, name, tensor_slice(x, 1, -1, 1));
    if (x->shape[1] == 1)
        return previous;
    tensor *parts[] = {previous, tensor_slice(x, 1, 0, x->shape[1] - 1)};
    return tensor_concat(2, parts, 1);
}

tensor *token_mix(struct scope *s, const char *name, tensor *x, tensor *before)
{
    tensor *weight = parameter(s, name, init_uniform(0, 1), 3, SHAPE(1, 1, x->shape[2]));
    return tensor_add(before, tensor_multiply(weight, tensor_subtract(x, before)));
}

static tensor *keep_scan(struct scope *s, const char *name, tensor *a, tensor *b,
                         tensor *(*scan)(tensor *a, tensor *b, tensor *initial, tensor **final))
{
    if (!s->state)
        return scan(a, b, NULL, NULL);
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, b->shape, sizeof shape);
    shape[1] = 1;
    tensor *final;
    tensor *h = scan(a, b, state(s, name, 0, b->rank, shape), &final);
    state_set(s, name, final);
    return h;
}

tensor *kept_scan(struct scope *s, const char *name, tensor *a, tensor *b)
{
    return keep_scan(s, name, a, b, tensor_scan);
}

tensor *kept_scan_complex(struct scope *s, const char *name, tensor *a, tensor *b)
{
    return keep_scan(s, name, a, b, tensor_scan_complex);
}

tensor *kept_matrix_scan(struct scope *s, const char *name, tensor *q, tensor *k, tensor *v,
                         struct matrix_scan_options options)
{
    if (!s->state)
        return tensor_matrix_scan(q, k, v, &options);
    tensor *final;
    int64_t heads = q->shape[2] > v->shape[2] ? q->shape[2] : v->shape[2];
    options.initial = state(s, name, 0, 4, SHAPE(q->shape[0], heads, q->shape[3], v->shape[3]));
    options.final = &final;
    tensor *y = tensor_matrix_scan(q, k, v, &options);
    state_set(s, name, final);
    return y;
}

struct linear_sums kept_linear_sums(struct scope *s, const char *name, tensor *q, tensor *k, tensor *v,
                                    tensor *log_decay)
{
    int64_t B = k->shape[0], T = k->shape[1], H = k->shape[2];
    tensor *keep = log_decay ? tensor_reshape(tensor_exp(log_decay), 4, SHAPE(B, T, H, 1)) : NULL;
    const char *sum = part_name(s, "%s.weights", name);
    tensor *z = s->state ? state(s, sum, 0, 4, SHAPE(B, 1, H, k->shape[3])) : NULL;
    tensor *weights = tensor_scan_product(q, keep, k, z, &z);
    if (s->state)
        state_set(s, sum, z);
    struct matrix_scan_options scan = {.log_decay = log_decay};
    return (struct linear_sums){
        .values = kept_matrix_scan(s, part_name(s, "%s.values", name), q, k, v, scan),
        .weights = weights,
    };
}

tensor *whole_linear_product(tensor *q, tensor *k, tensor *v)
{
    tensor *sum = tensor_matmul_tn(tensor_transpose(k, 1, 2), tensor_transpose(v, 1, 2)); /* [B, H, f, e] */
    return tensor_transpose(tensor_matmul(tensor_transpose(q, 1, 2), sum), 1, 2);
}

struct linear_sums whole_linear_sums(tensor *q, tensor *k, tensor *v)
{
    tensor *weights = tensor_sum(tensor_multiply(q, tensor_sum(k, 1)), 3);
    return (struct linear_sums){.values = whole_linear_product(q, k, v), .weights = weights};
}

void add_piece(struct pieces *pieces, tensor *piece)
{
    if (pieces->count == pieces->room) {
        int room = 2 * pieces->room + 8;
        tensor **list = arena_allocate(graph_arena(piece->graph), (size_t)room * sizeof(tensor *));
        for (int i = 0; i < pieces->count; i++)
            list[i] = pieces->list[i];
        *pieces = (struct pieces){list, pieces->count, room};
    }
    pieces->list[pieces->count++] = piece;
}

tensor *join_pieces(const struct pieces *pieces, int axis)
{
    return tensor_concat(pieces->count, pieces->list, axis);
}

tensor *rows_of_block(struct scope *s, const char *name, tensor *rows, int64_t size)
{
    if (!s->state || size == 1)
        return rows;
    int64_t count = s->position % size + rows->shape[1];
    tensor *kept = cache_append(s, name, rows, size - 1);
    return tensor_slice(kept, 1, kept->shape[1] - count, count);
}

tensor *step_by_token(struct scope *s, tensor *x, tensor *(*one)(struct scope *s, tensor *x))
{
    struct pieces rows = {0};
    for (int64_t t = 0; t < x->shape[1]; t++) {
        struct scope at = *s;
        at.position += t;
        add_piece(&rows, one(&at, tensor_slice(x, 1, t, 1)));
    }
    return join_pieces(&rows, 1);
}

tensor *recent_rows(struct scope *s, const char *name, tensor *row, int64_t limit, int64_t count)
{
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, row->shape, sizeof shape);
    shape[1] = limit;
    tensor *rows = state(s, name, 0, row->rank, shape);
    if (limit > 1)
        rows = tensor_concat(2, (tensor *[]){tensor_slice(rows, 1, 1, limit - 1), row}, 1);
    else
        rows = row;
    state_set(s, name, rows);
    return tensor_slice(rows, 1, limit - count, count);
}

tensor *sum_of_earlier_groups(struct scope *s, const char *name, tensor *term, int64_t group)
{
    const char *present_name = part_name(s, "%s.present", name);
    tensor *earlier = state(s, name, 0, term->rank, term->shape);
    tensor *present = state(s, present_name, 0, term->rank, term->shape);
    if (s->position % group == 0) {
        earlier = tensor_add(earlier, present);
        present = term;
    } else {
        present = tensor_add(present, term);
    }
    state_set(s, name, earlier);
    state_set(s, present_name, present);
    return earlier;
}

/* The value of the token before at every t: (first, y_0, .., y_{T-2}). */
static tensor *one_earlier(tensor *first, tensor *y)
{
    if (y->shape[1] == 1)
        return first;
    return tensor_concat(2, (tensor *[]){first, tensor_slice(y, 1, 0, y->shape[1] - 1)}, 1);
}

struct running_maximum kept_running_maximum(struct scope *s, tensor *k, tensor *w)
{
    int64_t length = k->shape[1], channels = k->shape[2];
    const int64_t *shape = SHAPE(k->shape[0], 1, channels);
    tensor *first = s->state ? state(s, "maximum", -1e30, 3, shape) : tensor_full(s->graph, -1e30, 3, shape);
    tensor *scores = k, *elapsed = NULL;
    if (w && w->rank == 3) {
        elapsed = tensor_cumulative_sum(w, 1);
    } else if (w) {
        tensor *time = tensor_reshape(tensor_range(s->graph, 1, length, 1), 3, SHAPE(1, length, 1));
        elapsed = tensor_multiply(time, tensor_reshape(w, 3, SHAPE(1, 1, channels)));
    }
    if (elapsed)
        scores = tensor_subtract(k, elapsed);
    tensor *live = tensor_maximum(tensor_cumulative_max(scores, 1), first);
    live = elapsed ? tensor_add(live, elapsed) : live;
    tensor *maximum = tensor_stop_gradient(live);
    if (s->state)
        state_set(s, "maximum", tensor_slice(maximum, 1, -1, 1));
    return (struct running_maximum){maximum, one_earlier(first, maximum), live};
}

struct running_average kept_running_average(struct scope *s, tensor *k, tensor *v, tensor *w)
{
    static const char *const names[] = {"numerator", "denominator"};
    const int64_t *shape = SHAPE(k->shape[0], 1, k->shape[2]);
    struct running_maximum m = kept_running_maximum(s, k, w);
    tensor *weight = tensor_exp(tensor_subtract(k, m.maximum));
    tensor *decay = tensor_exp(tensor_subtract(w ? tensor_add(m.before, w) : m.before, m.maximum));
    tensor *terms[] = {tensor_multiply(weight, v), weight}, *sums[2], *before[2];
    for (int i = 0; i < 2; i++) {
        tensor *last,
            *first = s->state ? state(s, names[i], 0, 3, shape) : tensor_full(s->graph, 0, 3, shape);
        sums[i] = tensor_scan(decay, terms[i], first, &last);
        before[i] = one_earlier(first, sums[i]);
        if (s->state)
            state_set(s, names[i], last);
    }
    return (struct running_average){sums[0], sums[1], m.maximum, before[0], before[1], m.before};
}

void scaled_copies(struct scope *s, const char *name, tensor *x, int64_t count, tensor **copies)
{
    int64_t width = tensor_length(x, -1);
    tensor *gamma = parameter(s, part_name(s, "%s.gamma", name), init_normal(0.02), 2, SHAPE(count, width));
    tensor *beta = parameter(s, part_name(s, "%s.beta", name), init_constant(0), 2, SHAPE(count, width));
    for (int64_t i = 0; i < count; i++)
        copies[i] = tensor_add(tensor_multiply(x, tensor_slice(gamma, 0, i, 1)), tensor_slice(beta, 0, i, 1));
}

tensor *normal_distribution(tensor *x, double mean, double deviation)
{
    double scale = 1 / (deviation * sqrt(2));
    return tensor_affine(tensor_erf(tensor_affine(x, scale, -mean * scale)), 0.5, 0.5);
}

tensor *laplace_activation(tensor *x)
{
    return normal_distribution(x, sqrt(0.5), sqrt(1 / (4 * M_PI)));
}
