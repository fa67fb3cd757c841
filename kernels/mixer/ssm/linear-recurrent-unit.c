/* The linear recurrent unit LRU (lru, section 3 and appendix A; form of Gothos/LRU-pytorch LRU).
 *
 *     lambda = exp(-exp(nu_log) + i exp(theta_log)),  gamma = exp(gamma_log)          N complex states
 *     s_t = lambda s_{t-1} + gamma (B x_t),  y_t = Re C s_t + D x_t
 *
 * D is a vector as in the paper, or with `dense_skip` a matrix as in the port. The states start on a ring of
 * radii between `r_min` and `r_max` and phases up to `max_phase`, gamma at sqrt(1 - |lambda|^2). With `glu`
 * the output ends as in the paper's block: g = gelu(y), (g W1 + b1) * sigmoid(g W2 + b2). */
#include "block/modes.h"
#include <math.h>

/* Radii with equal areas between them. */
static double radius(const struct scope *s, int64_t i, int64_t n)
{
    double low = option_real(s, "r_min"), high = option_real(s, "r_max");
    double square = low * low + (high * high - low * low) * ((double)i + 0.5) / (double)n;
    return fmin(sqrt(square), 1 - 1e-6);
}

static void fill_nu(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)log(-log(fmax(radius(s, i, shape[0]), 1e-6)));
}

static void fill_gamma(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)(0.5 * log(1 - pow(radius(s, i, shape[0]), 2)));
}

/* Phases run through the golden section, so that neighbours in radius are far apart. */
static void fill_theta(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] =
            (real)log(option_real(s, "max_phase") * (0.001 + 0.999 * fmod((double)i * 0.6180339887, 1)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, n = option_or(s, "state", width), outputs = option_or(s, "outputs", width);
    tensor *nu = parameter(s, "nu_log", init_function(fill_nu), 1, SHAPE(n));
    tensor *theta = parameter(s, "theta_log", init_function(fill_theta), 1, SHAPE(n));
    tensor *gamma = tensor_exp(parameter(s, "gamma_log", init_function(fill_gamma), 1, SHAPE(n)));
    struct pair B = pair_of(parameter(s, "B", init_normal(sqrt(0.5 / (double)width)), 3, SHAPE(n, width, 2)));
    struct pair C = pair_of(parameter(s, "C", init_normal(sqrt(1.0 / (double)n)), 3, SHAPE(outputs, n, 2)));
    struct pair lambda = pair_exp((struct pair){tensor_negate(tensor_exp(nu)), tensor_exp(theta)});
    tensor *a = tensor_reshape(pair_joined(lambda), 4, SHAPE(1, 1, n, 2));
    tensor *in = pair_linear(pair_scaled(B, tensor_reshape(gamma, 2, SHAPE(n, 1))), x);
    tensor *y = pair_linear_real(C, kept_scan_complex(s, "h", a, in));
    tensor *skip;
    if (option(s, "dense_skip"))
        skip = tensor_linear(x, parameter(s, "D", init_linear(), 2, SHAPE(outputs, width)), NULL);
    else
        skip = tensor_multiply(x, parameter(s, "D", init_normal(1), 1, SHAPE(width)));
    y = tensor_add(y, skip);
    if (!option(s, "glu"))
        return y;
    y = tensor_gelu(y);
    return tensor_multiply(linear(s, "out1", y, width, true),
                           tensor_sigmoid(linear(s, "out2", y, width, true)));
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'o' && option(s, "glu") ? "yes" : NULL;
}

static const char *validate(const struct scope *s)
{
    if (option_real(s, "r_min") > option_real(s, "r_max"))
        return "r_min is above r_max";
    bool square = option_or(s, "outputs", s->width) == s->width;
    return square || (option(s, "dense_skip") && !option(s, "glu"))
               ? NULL
               : "outputs other than the width need dense_skip and no glu";
}

KERNEL(linear_recurrent_unit) = {
    .name = "linear-recurrent-unit",
    .slot = SLOT_MIXER,
    .variant = "lru",
    .summary = "a linear recurrence of complex states inside the unit disc, with normalised input",
    .options = OPTIONS(INTEGER_OPTION("state", 0, 0, 1 << 16, "complex states; 0: as many as channels"),
                       INTEGER_OPTION("outputs", 0, 0, 1 << 20, "channels of the output; 0: width"),
                       REAL_OPTION("r_min", 0, 0, 1, "smallest radius at first"),
                       REAL_OPTION("r_max", 1, 0, 1, "largest radius at first"),
                       REAL_OPTION("max_phase", 6.283185307179586, 1e-6, 6.283185307179587,
                                   "largest phase at first"),
                       FLAG_OPTION("dense_skip", 0, "the skip D is a matrix"),
                       FLAG_OPTION("glu", 0, "the output ends in a GELU and a GLU")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
