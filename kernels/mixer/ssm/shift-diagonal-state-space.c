/* The H3 layer (h3, section 3, algorithm 1; HazyResearch/safari h3.py).
 *
 *     q = x Wq + bq, k = x Wk + bk, v = x Wv + bv            H heads of d channels
 *     k' = Ks * k + Dk k,  Ks[c, l] = sum_j B[c, j] C[c, j + l], l < N         shift state space
 *     S  = K * (k' v^T) + D (k' v^T)                                           d x d products a head
 *     K[h, l] = 2 Re sum_n B C input(dt A) factor(dt A)^l,  A = -exp(inv_A_real) + i A_imag      N / 2 modes
 *     y = (S^T q) Wo + bo
 *
 * For d > 1 the published code hands the heads' channels to Wo with the head as the fastest index. Heads may
 * share `systems` sets of A and B, head h using set h mod systems. With a bound on the kernels' `length` a
 * step convolves the newest inputs. */
#include "block/modes.h"
#include <math.h>
#include <string.h>

static const char *validate(const struct scope *s)
{
    if (option(s, "state") % 2)
        return "state counts conjugate pairs twice and must be even";
    int64_t d = option(s, "head_dim");
    if (s->width % d)
        return "the width is not divisible by head_dim";
    return s->width / d % option_or(s, "systems", s->width / d) ? "the heads are not divisible by systems"
                                                                : NULL;
}

/* B reads the newest input. */
static void fill_first_unit(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        values[i] = i % shape[1] == 0;
}

static tensor *shift_state_space(struct scope *s, tensor *k)
{
    int64_t width = s->width, n = option(s, "state"), taps = option(s, "length");
    tensor *B = parameter(s, "ssm_k_kernel.kernel.B", init_function(fill_first_unit), 2, SHAPE(width, n));
    tensor *C = parameter(s, "ssm_k_kernel.kernel.C", init_normal(1), 3, SHAPE(1, width, n));
    tensor *windows =
        tensor_windows(tensor_pad(tensor_reshape(C, 2, SHAPE(width, n)), 1, 0, n - 1, 0), 1, n, 1);
    tensor *filter = tensor_matmul(windows, tensor_reshape(B, 3, SHAPE(width, n, 1)));
    filter = tensor_reshape(filter, 2, SHAPE(width, n));
    if (taps && taps < n)
        filter = tensor_slice(filter, 1, 0, taps);
    tensor *D = parameter(s, "ssm_k_D", init_normal(1), 1, SHAPE(width));
    return tensor_add(kept_convolution(s, "k", k, tensor_flip(filter, 1), NULL), tensor_multiply(k, D));
}

static struct modes discretise(struct scope *s, int64_t heads)
{
    int64_t n = option(s, "state") / 2, systems = option_or(s, "systems", heads);
    tensor *c = parameter(s, "kernel.kernel.C", init_normal(sqrt(0.5)), 4, SHAPE(1, heads, n, 2));
    tensor *b = parameter(s, "kernel.kernel.B", init_constant(1), 3, SHAPE(systems, n, 2));
    tensor *log_real =
        parameter(s, "kernel.kernel.inv_A_real", init_constant(log(0.5)), 2, SHAPE(systems, n));
    tensor *log_dt = parameter(s, "kernel.kernel.log_dt", init_function(fill_log_steps), 1, SHAPE(heads));
    struct pair a = {
        tensor_negate(tensor_exp(log_real)),
        parameter(s, "kernel.kernel.A_imag", init_function(fill_linear_frequencies), 2, SHAPE(systems, n))};
    a = pair_repeated(a, 0, heads / systems);
    tensor *dt = tensor_reshape(tensor_exp(log_dt), 2, SHAPE(heads, 1));
    struct pair rate = pair_scaled(a, dt), weight = pair_repeated(pair_of(b), 0, heads / systems);
    weight = pair_product(weight, pair_of(tensor_reshape(c, 3, SHAPE(heads, n, 2))));
    bool bilinear = option_is(s, "discretization", "bilinear");
    weight = pair_product(weight, bilinear ? bilinear_input(dt, rate) : zero_order_input(a, rate));
    return (struct modes){bilinear ? bilinear_rate(rate) : rate,
                          pair_scaled(weight, tensor_scalar(s->graph, 2))};
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], d = option(s, "head_dim"), heads = s->width / d;
    tensor *q = linear(s, "q_proj", x, s->width, true);
    tensor *k = shift_state_space(s, linear(s, "k_proj", x, s->width, true));
    tensor *v = linear(s, "v_proj", x, s->width, true);
    tensor *kv = tensor_multiply(tensor_reshape(k, 5, SHAPE(batch, length, heads, d, 1)),
                                 tensor_reshape(v, 5, SHAPE(batch, length, heads, 1, d)));
    struct modes modes = discretise(s, heads);
    tensor *flat = tensor_reshape(kv, 3, SHAPE(batch, length, heads * d * d));
    tensor *S = tensor_reshape(kept_modes(s, "h", &modes, flat, option(s, "length")), 5,
                               SHAPE(batch, length, heads, d, d));
    tensor *D = tensor_reshape(parameter(s, "D", init_normal(1), 1, SHAPE(heads)), 3, SHAPE(heads, 1, 1));
    S = tensor_add(S, tensor_multiply(kv, D));
    tensor *y = tensor_sum(tensor_multiply(S, tensor_reshape(q, 5, SHAPE(batch, length, heads, d, 1))), 3);
    y = tensor_transpose(tensor_reshape(y, 4, SHAPE(batch, length, heads, d)), 2, 3);
    return linear(s, "output_linear", tensor_reshape(y, 3, SHAPE(batch, length, s->width)), s->width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    return option(s, "length") && strcmp(name, "state") == 0 ? "window-cache" : NULL;
}

KERNEL(shift_diagonal_state_space) = {
    .name = "shift-diagonal-state-space",
    .slot = SLOT_MIXER,
    .variant = "h3",
    .summary = "a shift state space over keys, a diagonal one over key-value products, read by queries",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 2, 4096, "states of both; conjugates counted"),
                       INTEGER_OPTION("head_dim", 1, 1, 64, "channels of a head"),
                       INTEGER_OPTION("systems", 0, 0, 1 << 20, "sets of A and B; 0: one a head"),
                       INTEGER_OPTION("length", 0, 0, 1 << 24, "taps of the kernels at most; 0: no bound"),
                       CHOICE_OPTION("discretization", "bilinear|zoh", "of the diagonal state space")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "yes"}, {"short-convolution", "yes"}, {"time", "log-linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
