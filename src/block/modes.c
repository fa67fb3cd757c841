#include "block/modes.h"
#include "block/filters.h"
#include <math.h>
#include <string.h>

/* ---- Pairs ---- */

struct pair pair_of(tensor *x)
{
    int last = x->rank - 1;
    return (struct pair){tensor_reshape(tensor_slice(x, last, 0, 1), last, x->shape),
                         tensor_reshape(tensor_slice(x, last, 1, 1), last, x->shape)};
}

tensor *pair_joined(struct pair a)
{
    int rank = a.real->rank;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, a.real->shape, sizeof shape);
    shape[rank] = 1;
    tensor *parts[] = {tensor_reshape(a.real, rank + 1, shape), tensor_reshape(a.imaginary, rank + 1, shape)};
    return tensor_concat(2, parts, rank);
}

struct pair pair_product(struct pair a, struct pair b)
{
    return (struct pair){
        tensor_subtract(tensor_multiply(a.real, b.real), tensor_multiply(a.imaginary, b.imaginary)),
        tensor_add(tensor_multiply(a.real, b.imaginary), tensor_multiply(a.imaginary, b.real))};
}

struct pair pair_scaled(struct pair a, tensor *factor)
{
    return (struct pair){tensor_multiply(a.real, factor), tensor_multiply(a.imaginary, factor)};
}

struct pair pair_conjugate(struct pair a)
{
    return (struct pair){a.real, tensor_negate(a.imaginary)};
}

tensor *pair_square(struct pair a)
{
    return tensor_add(tensor_square(a.real), tensor_square(a.imaginary));
}

struct pair pair_quotient(struct pair a, struct pair b)
{
    return pair_scaled(pair_product(a, pair_conjugate(b)), tensor_reciprocal(pair_square(b)));
}

struct pair pair_sum(struct pair a, struct pair b)
{
    return (struct pair){tensor_add(a.real, b.real), tensor_add(a.imaginary, b.imaginary)};
}

struct pair pair_exp(struct pair a)
{
    tensor *magnitude = tensor_exp(a.real);
    return (struct pair){tensor_multiply(magnitude, tensor_cos(a.imaginary)),
                         tensor_multiply(magnitude, tensor_sin(a.imaginary))};
}

struct pair pair_expm1(struct pair a)
{
    tensor *cosine_less_one = tensor_scale(tensor_square(tensor_sin(tensor_scale(a.imaginary, 0.5))), -2);
    tensor *grown = tensor_multiply(tensor_expm1(a.real), tensor_cos(a.imaginary));
    return (struct pair){tensor_add(grown, cosine_less_one),
                         tensor_multiply(tensor_exp(a.real), tensor_sin(a.imaginary))};
}

struct pair pair_repeated(struct pair a, int axis, int64_t times)
{
    if (times == 1)
        return a;
    return (struct pair){tensor_repeat(a.real, axis, times), tensor_repeat(a.imaginary, axis, times)};
}

tensor *pair_linear(struct pair weight, tensor *x)
{
    int64_t outputs = weight.real->shape[0], inputs = weight.real->shape[1];
    tensor *rows = tensor_transpose(pair_joined(weight), 1, 2);
    tensor *y = tensor_linear(x, tensor_reshape(rows, 2, SHAPE(2 * outputs, inputs)), NULL);
    return tensor_reshape(y, 4, SHAPE(x->shape[0], x->shape[1], outputs, 2));
}

tensor *pair_linear_real(struct pair weight, tensor *h)
{
    int64_t outputs = weight.real->shape[0], inputs = weight.real->shape[1];
    tensor *rows = tensor_reshape(pair_joined(pair_conjugate(weight)), 2, SHAPE(outputs, 2 * inputs));
    return tensor_linear(tensor_reshape(h, 3, SHAPE(h->shape[0], h->shape[1], 2 * inputs)), rows, NULL);
}

/* ---- Discretisation ---- */

struct pair zero_order_input(struct pair a, struct pair rate)
{
    return pair_quotient(pair_expm1(rate), a);
}

/* |1 + z/2|^2 / |1 - z/2|^2 = 1 + 2 Re z / |1 - z/2|^2. The angle is that of 1 + z/2 less that of 1 - z/2;
 * the latter lies in the right half plane, the former may have passed to the left. */
struct pair bilinear_rate(struct pair rate)
{
    tensor *half = tensor_scale(rate.imaginary, 0.5);
    tensor *above = tensor_affine(rate.real, 0.5, 1), *below = tensor_affine(rate.real, -0.5, 1);
    tensor *square = tensor_add(tensor_square(below), tensor_square(half));
    tensor *magnitude = tensor_log1p(tensor_divide(tensor_scale(rate.real, 2), square));
    tensor *angle =
        tensor_add(tensor_arctan(tensor_divide(half, above)), tensor_arctan(tensor_divide(half, below)));
    tensor *passed = tensor_greater(tensor_scalar(half->graph, 0), above);
    angle = tensor_add(angle, tensor_scale(tensor_multiply(passed, tensor_sign(half)), M_PI));
    return (struct pair){tensor_scale(magnitude, 0.5), angle};
}

struct pair bilinear_factor(struct pair rate)
{
    struct pair above = {tensor_affine(rate.real, 0.5, 1), tensor_scale(rate.imaginary, 0.5)};
    struct pair below = {tensor_affine(rate.real, -0.5, 1), tensor_scale(rate.imaginary, -0.5)};
    return pair_quotient(above, below);
}

struct pair bilinear_input(tensor *step, struct pair rate)
{
    struct pair below = {tensor_affine(rate.real, -0.5, 1), tensor_scale(rate.imaginary, -0.5)};
    struct pair one = {step, tensor_scalar(step->graph, 0)};
    return pair_quotient(one, below);
}

/* ---- Modes ---- */

/* [C, N] as [C, N, 1]. */
static struct pair with_time(struct pair a)
{
    const int64_t *shape = a.real->shape;
    return (struct pair){tensor_reshape(a.real, 3, SHAPE(shape[0], shape[1], 1)),
                         tensor_reshape(a.imaginary, 3, SHAPE(shape[0], shape[1], 1))};
}

/* exp(rate l) for l = 0, step, ..: [C or 1, N, count]. */
static struct pair powers(struct pair rate, int64_t count, int64_t step)
{
    return pair_exp(pair_scaled(with_time(rate), tensor_range(rate.real->graph, 0, count, (double)step)));
}

tensor *modes_kernel(const struct modes *m, int64_t length)
{
    int64_t inner = (int64_t)ceil(sqrt((double)length)), outer = (length + inner - 1) / inner;
    struct pair near = powers(m->rate, inner, 1);
    struct pair far = pair_product(with_time(m->weight), powers(m->rate, outer, inner));
    tensor *left = tensor_concat(2, (tensor *[]){far.real, tensor_negate(far.imaginary)}, 1);
    tensor *right = tensor_concat(2, (tensor *[]){near.real, near.imaginary}, 1);
    tensor *k = tensor_matmul_tn(left, right);
    return tensor_slice(tensor_reshape(k, 2, SHAPE(k->shape[0], outer * inner)), 1, 0, length);
}

static struct pair for_groups(struct pair a, int64_t size)
{
    if (a.real->shape[0] == 1 || size == 1)
        return a;
    return (struct pair){tensor_repeat_interleave(a.real, 0, size),
                         tensor_repeat_interleave(a.imaginary, 0, size)};
}

/* [C, taps], made at the first token and kept. */
static tensor *kept_kernel(struct scope *s, const char *name, const struct modes *m, int64_t taps)
{
    name = part_name(s, "%s.kernel", name);
    tensor *k = state(s, name, 0, 2, SHAPE(m->weight.real->shape[0], taps));
    if (s->position > 0)
        return k;
    k = modes_kernel(m, taps);
    state_set(s, name, k);
    return k;
}

/* By the kernel: of all tokens, or of the newest `taps`, which are kept when there is a state. */
static tensor *convolution(struct scope *s, const char *name, const struct modes *m, tensor *x, int64_t taps)
{
    int64_t length = x->shape[1];
    tensor *k = s->state ? kept_kernel(s, name, m, taps)
                         : modes_kernel(m, length < taps || taps == 0 ? length : taps);
    if (s->state || k->shape[0] > 1) /* else one for all channels */
        k = tensor_repeat_interleave(k, 0, x->shape[2] / k->shape[0]);
    return kept_long_convolution(s, name, x, k, taps);
}

tensor *kept_modes(struct scope *s, const char *name, const struct modes *m, tensor *x, int64_t taps)
{
    int64_t batch = x->shape[0], length = x->shape[1], channels = x->shape[2], n = m->rate.real->shape[1];
    if (!s->state || taps)
        return convolution(s, name, m, x, taps);
    struct modes each = {for_groups(m->rate, channels / m->weight.real->shape[0]),
                         for_groups(m->weight, channels / m->weight.real->shape[0])};
    tensor *factor = pair_joined(pair_exp(each.rate));
    factor = tensor_reshape(factor, 5, SHAPE(1, 1, factor->shape[0], n, 2));
    tensor *in = tensor_broadcast(tensor_reshape(x, 5, SHAPE(batch, length, channels, 1, 1)), 5,
                                  SHAPE(batch, length, channels, n, 1));
    in = tensor_pad(in, 4, 0, 1, 0);
    tensor *h = kept_scan_complex(s, name, factor, in);
    tensor *weighted = tensor_multiply(h, pair_joined(pair_conjugate(each.weight)));
    weighted = tensor_sum(tensor_reshape(weighted, 4, SHAPE(batch, length, channels, 2 * n)), 3);
    return tensor_reshape(weighted, 3, SHAPE(batch, length, channels));
}

/* ---- Initial values ---- */

void fill_log_steps(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    int64_t size = 1;
    (void)s;
    for (int i = 1; i < rank; i++)
        size *= shape[i];
    for (int64_t i = 0; i < shape[0] * size; i++)
        values[i] = (real)(log(0.001) + log(100) * ((double)(i / size) + 0.5) / (double)shape[0]);
}

void fill_linear_frequencies(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    int64_t size = 1;
    (void)s;
    for (int i = 0; i < rank; i++)
        size *= shape[i];
    for (int64_t i = 0; i < size; i++)
        values[i] = (real)(M_PI * (double)(i % shape[rank - 1]));
}
