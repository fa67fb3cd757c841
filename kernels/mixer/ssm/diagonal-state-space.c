/* S4D, the diagonal state-space layer (s4d, section 3.2 and listing 1; state-spaces/s4 models/s4/s4d.py).
 *
 *     A = -exp(log_A_real) + i A_imag, dt = exp(log_dt), C' = C (exp(dt A) - 1) / A         zero-order hold, N / 2 modes
 *     K[c, l] = 2 Re sum_n C'[c, n] exp(dt A[c, n] l),  u = gelu(K * x + D x),  y = GLU(u W + b)
 *
 * The convolution runs by FFT; a step runs the recurrence h_t = exp(dt A) h_{t-1} + x_t, u_t = 2 Re C' h_t. The kernel's
 * Vandermonde product over l = a R + b is one small matrix product per channel: powers of R steps times powers of one. */
#include "block/kernel.h"
#include <math.h>

struct modes {
    tensor *decay, *turn;     /* real and imaginary part of dt A: [D, N/2] */
    tensor *real, *imaginary; /* of C' */
};

static tensor *part(tensor *c, int64_t which)
{
    return tensor_reshape(tensor_slice(c, 2, which, 1), 2, SHAPE(c->shape[0], c->shape[1]));
}

static void log_steps(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)(log(0.001) + log(100) * ((double)i + 0.5) / (double)shape[0]);
}

static void linear_frequencies(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        values[i] = (real)(M_PI * (double)(i % shape[1]));
}

static struct modes discretise(struct scope *s)
{
    int64_t width = s->width, n = option(s, "state") / 2;
    tensor *c = parameter(s, "kernel.C", init_normal(sqrt(0.5)), 3, SHAPE(width, n, 2));
    tensor *log_dt = parameter(s, "kernel.log_dt", init_function(log_steps), 1, SHAPE(width));
    tensor *log_real = parameter(s, "kernel.log_A_real", init_constant(log(0.5)), 2, SHAPE(width, n));
    tensor *a_imaginary =
        parameter(s, "kernel.A_imag", init_function(linear_frequencies), 2, SHAPE(width, n));
    tensor *a_real = tensor_negate(tensor_exp(log_real)),
           *dt = tensor_reshape(tensor_exp(log_dt), 2, SHAPE(width, 1));
    struct modes m = {.decay = tensor_multiply(a_real, dt), .turn = tensor_multiply(a_imaginary, dt)};
    /* C (exp(dt A) - 1) / A */
    tensor *magnitude = tensor_exp(m.decay);
    tensor *re = tensor_affine(tensor_multiply(magnitude, tensor_cos(m.turn)), 1, -1);
    tensor *im = tensor_multiply(magnitude, tensor_sin(m.turn));
    tensor *square = tensor_add(tensor_square(a_real), tensor_square(a_imaginary));
    tensor *hold_re =
        tensor_divide(tensor_add(tensor_multiply(re, a_real), tensor_multiply(im, a_imaginary)), square);
    tensor *hold_im =
        tensor_divide(tensor_subtract(tensor_multiply(im, a_real), tensor_multiply(re, a_imaginary)), square);
    tensor *c_re = part(c, 0), *c_im = part(c, 1);
    m.real = tensor_subtract(tensor_multiply(c_re, hold_re), tensor_multiply(c_im, hold_im));
    m.imaginary = tensor_add(tensor_multiply(c_re, hold_im), tensor_multiply(c_im, hold_re));
    return m;
}

/* exp(dt A l) for l = 0, step, ..: magnitude and angle parts [D, N/2, count]. */
static void powers(const struct modes *m, int64_t count, int64_t step, tensor **re, tensor **im)
{
    int64_t width = m->decay->shape[0], n = m->decay->shape[1];
    tensor *l = tensor_range(m->decay->graph, 0, count, (double)step);
    tensor *magnitude = tensor_exp(tensor_multiply(tensor_reshape(m->decay, 3, SHAPE(width, n, 1)), l));
    tensor *angle = tensor_multiply(tensor_reshape(m->turn, 3, SHAPE(width, n, 1)), l);
    *re = tensor_multiply(magnitude, tensor_cos(angle));
    *im = tensor_multiply(magnitude, tensor_sin(angle));
}

/* K [D, length] */
static tensor *convolution_kernel(const struct modes *m, int64_t length)
{
    int64_t inner = (int64_t)ceil(sqrt((double)length)), outer = (length + inner - 1) / inner;
    int64_t width = m->decay->shape[0], n = m->decay->shape[1];
    tensor *near_re, *near_im, *far_re, *far_im;
    powers(m, inner, 1, &near_re, &near_im);
    powers(m, outer, inner, &far_re, &far_im);
    tensor *c_re = tensor_reshape(m->real, 3, SHAPE(width, n, 1)),
           *c_im = tensor_reshape(m->imaginary, 3, SHAPE(width, n, 1));
    tensor *re = tensor_subtract(tensor_multiply(c_re, far_re), tensor_multiply(c_im, far_im));
    tensor *im = tensor_add(tensor_multiply(c_re, far_im), tensor_multiply(c_im, far_re));
    tensor *left = tensor_concat(2, (tensor *[]){re, tensor_negate(im)}, 1);
    tensor *right = tensor_concat(2, (tensor *[]){near_re, near_im}, 1);
    tensor *k = tensor_reshape(tensor_matmul_tn(left, right), 2, SHAPE(width, outer * inner));
    return tensor_scale(tensor_slice(k, 1, 0, length), 2);
}

/* u_t = 2 Re sum_n C' h_t for the tokens x [B, T, D] after those in the state. */
static tensor *recurrence(struct scope *s, const struct modes *m, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], width = s->width, n = m->decay->shape[1];
    tensor *magnitude = tensor_exp(m->decay);
    tensor *parts[] = {tensor_multiply(magnitude, tensor_cos(m->turn)),
                       tensor_multiply(magnitude, tensor_sin(m->turn))};
    for (int i = 0; i < 2; i++)
        parts[i] = tensor_reshape(parts[i], 5, SHAPE(1, 1, width, n, 1));
    tensor *a = tensor_concat(2, parts, 4);
    tensor *in = tensor_broadcast(tensor_reshape(x, 4, SHAPE(batch, length, width, 1)), 4,
                                  SHAPE(batch, length, width, n));
    in = tensor_pad(tensor_reshape(in, 5, SHAPE(batch, length, width, n, 1)), 4, 0, 1, 0);
    tensor *h_end, *h = tensor_scan_complex(a, in, state(s, "h", 0, 5, SHAPE(batch, 1, width, n, 2)), &h_end);
    state_set(s, "h", h_end);
    tensor *c[] = {tensor_reshape(m->real, 3, SHAPE(width, n, 1)),
                   tensor_negate(tensor_reshape(m->imaginary, 3, SHAPE(width, n, 1)))};
    tensor *weighted = tensor_multiply(h, tensor_concat(2, c, 2));
    return tensor_scale(
        tensor_reshape(tensor_sum(tensor_reshape(weighted, 4, SHAPE(batch, length, width, 2 * n)), 3), 3,
                       SHAPE(batch, length, width)),
        2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    struct modes m = discretise(s);
    tensor *y = s->state ? recurrence(s, &m, x)
                         : tensor_long_convolution(x, convolution_kernel(&m, x->shape[1]), false);
    y = tensor_gelu(tensor_add(y, tensor_multiply(x, parameter(s, "D", init_normal(1), 1, SHAPE(width)))));
    tensor *weight = parameter(s, "output_linear.0.weight", init_linear(), 3, SHAPE(2 * width, width, 1));
    tensor *bias = parameter(s, "output_linear.0.bias", init_constant(0), 1, SHAPE(2 * width));
    y = tensor_linear(y, tensor_reshape(weight, 2, SHAPE(2 * width, width)), bias);
    return tensor_multiply(tensor_slice(y, 2, 0, width), tensor_sigmoid(tensor_slice(y, 2, width, width)));
}

static const char *validate(const struct scope *s)
{
    return option(s, "state") % 2 ? "state counts conjugate pairs twice and must be even" : NULL;
}

KERNEL(diagonal_state_space) = {
    .name = "diagonal-state-space",
    .slot = SLOT_MIXER,
    .variant = "s4d",
    .summary = "a time-invariant diagonal state-space model per channel, run as a long convolution",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 2, 4096, "states of a channel, conjugates counted")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
