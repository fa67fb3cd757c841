/* The Mamba-2 block (mamba2, sections 6 and 7; mamba_ssm/modules/mamba2.py).
 *
 *     (z0, x0, z, xBC, dt) = x Wi,  (x, B, C) = silu(conv(xBC)),  dt = softplus(dt + dt_bias),
 *         A = -exp(A_log)
 *     S_t = exp(dt_t A) S_{t-1} + dt_t B_t x_t^T,  y_t = S_t^T C_t + D x_t
 *         per head; B, C shared by groups of heads
 *     y = RMSNorm_group(y * silu(z)),  out = [silu(z0) * x0 | y] Wo
 *
 * z0 and x0 are empty unless `ssm_width` leaves channels of the inner width to a gated MLP. Without `rmsnorm`
 * y is only gated. */
#include "block/kernel.h"
#include <math.h>

static int64_t inner_width(const struct scope *s)
{
    return (int64_t)(option_real(s, "expand") * (double)s->width);
}

static int64_t ssm_width(const struct scope *s)
{
    return option_or(s, "ssm_width", inner_width(s));
}

static const char *validate(const struct scope *s)
{
    int64_t d = option(s, "head_dim");
    if (ssm_width(s) < 1)
        return "expand leaves no channel";
    if (ssm_width(s) % d || ssm_width(s) > inner_width(s))
        return "the inner width (or ssm_width, at most as large) must be divisible by head_dim";
    if (ssm_width(s) / d % option(s, "groups") || ssm_width(s) % option(s, "groups"))
        return "the number of heads must be divisible by groups";
    return option_real(s, "dt_maximum") < option_real(s, "dt_minimum") ? "dt_maximum is below dt_minimum"
                                                                       : NULL;
}

static void log_range(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)log(1 + 15 * ((double)i + 0.5) / (double)shape[0]);
}

static tensor *step_sizes(struct scope *s, tensor *raw, int64_t heads)
{
    tensor *dt = tensor_softplus(
        tensor_add(raw, parameter(s, "dt_bias", init_function(fill_step_biases), 1, SHAPE(heads))));
    bool bounded = option_real(s, "dt_minimum") > 0 || option_real(s, "dt_maximum") < 1e30;
    return bounded ? tensor_clamp(dt, option_real(s, "dt_minimum"), option_real(s, "dt_maximum")) : dt;
}

/* y * silu(z), normalised over each group's channels if there is a norm. */
static tensor *gated_norm(struct scope *s, tensor *y, tensor *z, int64_t width)
{
    y = tensor_multiply(y, tensor_silu(z));
    if (!option(s, "rmsnorm"))
        return y;
    tensor *groups = tensor_rms_norm(split_heads(y, option(s, "groups")), NULL, option_real(s, "epsilon"));
    return tensor_multiply(merge_heads(groups),
                           parameter(s, "norm.weight", init_constant(1), 1, SHAPE(width)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t n = option(s, "state"), groups = option(s, "groups"), d = option(s, "head_dim"),
            width = ssm_width(s);
    int64_t heads = width / d, mlp = inner_width(s) - width, mixed = width + 2 * groups * n;
    tensor *all = linear(s, "in_proj", x, 2 * mlp + width + mixed + heads, option(s, "bias"));
    tensor *z = tensor_slice(all, 2, 2 * mlp, width);
    tensor *xBC = tensor_silu(short_convolution(s, "conv1d", tensor_slice(all, 2, 2 * mlp + width, mixed),
                                                option(s, "conv"), option(s, "conv_bias")));
    tensor *u = split_heads(tensor_slice(xBC, 2, 0, width), heads);
    tensor *B = split_heads(tensor_slice(xBC, 2, width, groups * n), groups);
    tensor *C = split_heads(tensor_slice(xBC, 2, width + groups * n, groups * n), groups);
    tensor *dt = step_sizes(s, tensor_slice(all, 2, 2 * mlp + width + mixed, heads), heads);
    tensor *A = tensor_negate(tensor_exp(parameter(s, "A_log", init_function(log_range), 1, SHAPE(heads))));
    struct matrix_scan_options scan = {.log_decay = tensor_multiply(dt, A), .strength = dt};
    tensor *y = kept_matrix_scan(s, "S", C, B, u, scan);
    bool per_channel = option(s, "skip_per_channel");
    tensor *D = parameter(s, "D", init_constant(1), 1, SHAPE(per_channel ? width : heads));
    y = tensor_add(y, tensor_multiply(u, tensor_reshape(D, 2, SHAPE(heads, per_channel ? d : 1))));
    y = gated_norm(s, merge_heads(y), z, width);
    if (mlp) {
        tensor *gate = tensor_silu(tensor_slice(all, 2, 0, mlp));
        y = tensor_concat(2, (tensor *[]){tensor_multiply(gate, tensor_slice(all, 2, mlp, mlp)), y}, 2);
    }
    return linear(s, "out_proj", y, s->width, option(s, "bias"));
}

KERNEL(state_space_duality) = {
    .name = "state-space-duality",
    .slot = SLOT_MIXER,
    .variant = "mamba2",
    .summary = "a selective state-space model with one decay per head, computed as masked linear attention",
    .options = OPTIONS(INTEGER_OPTION("state", 128, 1, 1024, "channels of B and C"),
                       INTEGER_OPTION("head_dim", 64, 1, 1024, "channels of a head"),
                       INTEGER_OPTION("groups", 1, 1, 1024, "groups of heads with a B and C of their own"),
                       INTEGER_OPTION("conv", 4, 1, 64, "taps of the short convolution"),
                       REAL_OPTION("expand", 2, 0.1, 16, "inner channels over width"),
                       INTEGER_OPTION("ssm_width", 0, 0, 1 << 20,
                                      "inner channels that the recurrence takes; 0: all"),
                       FLAG_OPTION("rmsnorm", 1, "the gated output is normalised"),
                       FLAG_OPTION("skip_per_channel", 0, "D has an entry per channel, not per head"),
                       REAL_OPTION("dt_minimum", 0, 0, 1e30, "steps are clamped to this ..."),
                       REAL_OPTION("dt_maximum", 1e30, 0, 1e30, "... and to this"),
                       FLAG_OPTION("conv_bias", 1, "the convolution has a bias"),
                       FLAG_OPTION("bias", 0, "the projections in and out have biases"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"},
                             {"heads", "grouped-key-value"}, {"visibility", "all"}, {"state", "matrix"},
                             {"update", "additive"}, {"decay", "data-dependent"}, {"decay-grain", "head"},
                             {"numbers", "real"}, {"feature-map", "silu"}, {"short-convolution", "yes"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
