/* The diagonal state space layer DSS (dss, proposition 1; ag1988/dss standalone/dss.py).
 *
 *     N modes L of all channels, a[c, n] = (dt_re Re L + i dt_im Im L) with steps exp(log_dt[c]),  W complex
 *     exp:      K[c, l] = Re sum_n W (exp(a) - 1) / L exp(a l),  Re L = -exp(Lambda_log_neg_re)
 *     softmax:  K[c, l] = Re sum_n W / L softmax_l(a l),         L free; the sum over l < T has a closed form
 *     y = act(K * x + D x) Wo + b, several kernels a channel; then perhaps a GLU
 *
 * A mode with Re L > 0 grows, and its softmax counts from the end: exp(-a (T - 1 - l)). Softmax kernels
 * depend on the number of tokens, so a step replays and gives what the parallel form gives for the tokens so
 * far. 1 / z is conj(z) / (|z|^2 + epsilon), in exp conj(L) / max(|L|^2, epsilon). As published, gradients do
 * not see the shift by a (T - 1). */
#include "block/hippo.h"
#include "block/modes.h"
#include <math.h>
#include <string.h>

/* The eigenvalues of the HiPPO matrix's skew part with positive imaginary parts. */
static void fill_hippo_modes(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    static const int64_t most = 256;
    double w[2 * 256], P[2 * 256], B[2 * 256];
    (void)s, (void)rank;
    int64_t n = shape[0] < most ? shape[0] : most;
    hippo_modes(HIPPO_LEGS, 2 * n, w, P, B);
    for (int64_t i = 0; i < shape[0]; i++) {
        values[2 * i] = -0.5;
        values[2 * i + 1] = (real)-w[2 * (i % n) + 1];
    }
}

static struct pair frequencies(struct scope *s)
{
    int64_t n = option(s, "state");
    if (option_is(s, "form", "softmax"))
        return pair_of(parameter(s, "kernel.Lambda", init_function(fill_hippo_modes), 2, SHAPE(n, 2)));
    tensor *log_real = parameter(s, "kernel.Lambda_log_neg_re", init_constant(log(0.5)), 1, SHAPE(n));
    tensor *imaginary = parameter(s, "kernel.Lambda_im", init_function(fill_linear_frequencies), 1, SHAPE(n));
    return (struct pair){tensor_negate(tensor_exp(log_real)), imaginary};
}

/* a [channels of all kernels, N] */
static struct pair rates(struct scope *s, struct pair lambda, int64_t kernels)
{
    int64_t width = s->width;
    bool separate = option(s, "separate_steps");
    tensor *dt = tensor_exp(
        parameter(s, "kernel.log_dt", init_function(fill_log_steps), separate ? 2 : 1, SHAPE(width, 2)));
    struct pair step = {dt, dt};
    if (separate)
        step = pair_of(dt);
    struct pair a = {tensor_multiply(tensor_reshape(step.real, 2, SHAPE(width, 1)), lambda.real),
                     tensor_multiply(tensor_reshape(step.imaginary, 2, SHAPE(width, 1)), lambda.imaginary)};
    return pair_repeated(a, 0, kernels);
}

static struct modes exponential(struct scope *s, struct pair a, struct pair lambda, struct pair w)
{
    tensor *floor = tensor_scalar(s->graph, option_real(s, "epsilon"));
    tensor *square = tensor_maximum(pair_square(lambda), floor);
    struct pair hold = pair_product(pair_expm1(a), pair_conjugate(lambda));
    return (struct modes){a, pair_product(w, pair_scaled(hold, tensor_reciprocal(square)))};
}

/* K [channels, T]: decaying modes from the start and growing ones from the end. */
static tensor *softmax_kernel(struct scope *s, struct pair a, struct pair lambda, struct pair w,
                              int64_t length)
{
    tensor *grows = tensor_greater(lambda.real, tensor_scalar(s->graph, 0)),
           *decays = tensor_affine(grows, -1, 1);
    struct pair rate = pair_scaled(a, tensor_affine(grows, -2, 1));
    struct pair all = pair_scaled(rate, tensor_scalar(s->graph, (double)length));
    struct pair z = pair_product(pair_expm1(all), lambda);
    tensor *square = tensor_affine(pair_square(z), 1, option_real(s, "epsilon"));
    struct pair share = pair_product(pair_expm1(rate), pair_conjugate(z));
    struct pair weight = pair_product(w, pair_scaled(share, tensor_reciprocal(square)));
    struct modes start = {rate, pair_scaled(weight, decays)};
    /* 1, with the gradient of exp(a (T - 1)) against a constant */
    struct pair last = pair_scaled(a, tensor_affine(grows, (double)(length - 1), 0));
    struct pair shift = {tensor_subtract(last.real, tensor_stop_gradient(last.real)),
                         tensor_subtract(last.imaginary, tensor_stop_gradient(last.imaginary))};
    struct modes end = {rate, pair_product(pair_scaled(weight, grows), pair_exp(shift))};
    return tensor_add(modes_kernel(&start, length), tensor_flip(modes_kernel(&end, length), 1));
}

/* The kernels' outputs [B, T, kernels * D], kernel by kernel. */
static tensor *convolve(struct scope *s, tensor *x, int64_t kernels)
{
    int64_t n = option(s, "state"), rows = kernels * s->width, taps = option(s, "length");
    struct pair lambda = frequencies(s), a = rates(s, lambda, kernels);
    tensor *stored = parameter(s, "kernel.W", init_normal(1), 4, SHAPE(kernels, s->width, n, 2));
    struct pair w = pair_of(tensor_reshape(stored, 3, SHAPE(rows, n, 2)));
    int64_t used = taps && taps < x->shape[1] ? taps : x->shape[1];
    tensor *in = tensor_repeat(x, 2, option(s, "bidirectional") ? kernels / 2 : kernels);
    if (option(s, "bidirectional")) {
        /* The second half of the kernels looks ahead, from the next token on. */
        tensor *ahead = tensor_shift(tensor_flip(in, 1), 1, 1);
        in = tensor_concat(2, (tensor *[]){in, ahead}, 2);
    }
    tensor *y;
    if (option_is(s, "form", "softmax")) {
        y = tensor_long_convolution(in, softmax_kernel(s, a, lambda, w, used), false);
    } else {
        struct modes m = exponential(s, a, lambda, w);
        y = kept_modes(s, "h", &m, in, taps);
    }
    if (!option(s, "bidirectional"))
        return y;
    tensor *back = tensor_flip(tensor_slice(y, 2, rows / 2, rows / 2), 1);
    return tensor_add(tensor_slice(y, 2, 0, rows / 2), back);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t channels = option(s, "channels"), width = s->width;
    tensor *y = convolve(s, x, option(s, "bidirectional") ? 2 * channels : channels);
    tensor *D = tensor_reshape(parameter(s, "D", init_normal(1), 2, SHAPE(channels, width)), 1,
                               SHAPE(channels * width));
    y = tensor_add(y, tensor_multiply(tensor_repeat(x, 2, channels), D));
    y = tensor_activation(y, option_choice(s, "activation"));
    if (!option(s, "glu"))
        return linear(s, "output_linear", y, width, true);
    y = linear(s, "output_linear.0", y, 2 * width, true);
    return tensor_multiply(tensor_slice(y, 2, 0, width), tensor_sigmoid(tensor_slice(y, 2, width, width)));
}

static tensor *step(struct scope *s, tensor *x)
{
    return option_is(s, "form", "exp") ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    bool counts = option_is(s, "form", "softmax");
    if (strcmp(name, "causality") == 0)
        return option(s, "bidirectional") ? "bidirectional" : counts ? "approximate" : NULL;
    if (strcmp(name, "state") == 0)
        return option(s, "length") && !counts ? "window-cache" : NULL;
    return strcmp(name, "decode-cost") == 0 && counts ? "replay" : NULL;
}

KERNEL(normalized_diagonal_state_space) = {
    .name = "normalized-diagonal-state-space",
    .slot = SLOT_MIXER,
    .variant = "dss",
    .summary = "a long convolution with a kernel of complex modes, each normalised over the positions or "
               "held between them",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 1, 1024, "modes, shared by the channels"),
                       INTEGER_OPTION("channels", 1, 1, 64, "kernels a channel"),
                       CHOICE_OPTION("form", "exp|softmax", "held between tokens, or normalised over them"),
                       FLAG_OPTION("separate_steps", 1, "steps of their own for real and imaginary parts"),
                       FLAG_OPTION("bidirectional", 0, "half of the kernels look ahead"),
                       INTEGER_OPTION("length", 0, 0, 1 << 24, "taps of the kernel at most; 0: no bound"),
                       CHOICE_OPTION("activation", "gelu|relu|silu|tanh|sigmoid|identity",
                                     "before the output map"),
                       FLAG_OPTION("glu", 0, "the output map ends in a GLU"),
                       REAL_OPTION("epsilon", 1e-7, 0, 1, "bounds the reciprocals")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = step,
};
