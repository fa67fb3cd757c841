/* The S5 layer (s5, section 3, eq. 2 to 6; form of i404788/s5-pytorch S5SSM).
 *
 *     zoh:       L' = exp(dt L),  B' = (L' - 1) / L B
 *         bilinear: L' = (1 + dt L / 2) / (1 - dt L / 2),
 *     s_t = L' s_{t-1} + B' x_t,  y_t = Re C s_t + D x_t                        B' = dt / (1 - dt L / 2) B
 *
 * P complex states of one system with many inputs and outputs, L and dt = step_scale exp(log_step) per state.
 * Liquid: the factor is L' + B' x_t (Hasani et al. 2022, eq. 8). Degree: B' to that power, entry by entry.
 * Bidirectional: C reads a scan from the end too. The port keeps all states; the official code keeps one of
 * each conjugate pair and doubles Re C s. With `gate` the output is gelu(y) * sigmoid(gelu(y) Wg + bg), as in
 * the official block. */
#include "block/hippo.h"
#include "block/modes.h"
#include <math.h>
#include <string.h>

enum { LARGEST_SYSTEM = 256 };

/* Blocks of the normal part of the HiPPO matrix: its eigenvalues in conjugate pairs. */
static void fill_eigenvalues(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    double w[2 * LARGEST_SYSTEM], P[2 * LARGEST_SYSTEM], B[2 * LARGEST_SYSTEM];
    int64_t block = shape[0] / option(s, "blocks");
    block = block > LARGEST_SYSTEM ? LARGEST_SYSTEM : block;
    (void)rank;
    hippo_modes(HIPPO_LEGS, block + block % 2, w, P, B);
    for (int64_t i = 0; i < shape[0]; i++) {
        int64_t place = i % block;
        values[2 * i] = -0.5;
        values[2 * i + 1] = (real)(w[place / 2 * 2 + 1] * (place % 2 ? -1 : 1));
    }
}

static tensor *scan(struct scope *s, struct pair factor, struct pair B, tensor *x)
{
    tensor *in = pair_linear(B, x),
           *a = tensor_reshape(pair_joined(factor), 4, SHAPE(1, 1, factor.real->shape[0], 2));
    tensor *forth = kept_scan_complex(s, "h", option(s, "liquid") ? tensor_add(a, in) : a, in);
    if (!option(s, "bidirectional"))
        return forth;
    tensor *back = tensor_flip(tensor_scan_complex(a, tensor_flip(in, 1), NULL, NULL), 1);
    return tensor_concat(2, (tensor *[]){forth, back}, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, n = option_or(s, "state", width), read = option(s, "bidirectional") ? 2 * n : n;
    struct pair L = pair_of(parameter(s, "seq.Lambda", init_function(fill_eigenvalues), 2, SHAPE(n, 2)));
    struct pair B =
        pair_of(parameter(s, "seq.B", init_normal(sqrt(0.5 / (double)width)), 3, SHAPE(n, width, 2)));
    struct pair C =
        pair_of(parameter(s, "seq.C", init_normal(sqrt(0.5 / (double)n)), 3, SHAPE(width, read, 2)));
    tensor *D = parameter(s, "seq.D", init_uniform(0, 1), 1, SHAPE(width));
    tensor *log_step = parameter(s, "seq.log_step", init_function(fill_log_steps), 1, SHAPE(n));
    tensor *dt = tensor_scale(tensor_exp(log_step), option_real(s, "step_scale"));

    struct pair rate = pair_scaled(L, dt);
    bool bilinear = option_is(s, "discretization", "bilinear");
    struct pair hold = bilinear ? bilinear_input(dt, rate) : zero_order_input(L, rate);
    struct pair factor = bilinear ? bilinear_factor(rate) : pair_exp(rate);
    hold.real = tensor_reshape(hold.real, 2, SHAPE(n, 1));
    hold.imaginary = tensor_reshape(hold.imaginary, 2, SHAPE(n, 1));
    struct pair held = pair_product(B, hold), input = held;
    for (int64_t i = 1; i < option(s, "degree"); i++)
        input = pair_product(input, held);
    tensor *y = pair_linear_real(C, scan(s, factor, input, x));
    y = tensor_add(y, tensor_multiply(x, D));
    if (!option(s, "gate"))
        return y;
    y = tensor_gelu(y);
    return tensor_multiply(y, tensor_sigmoid(linear(s, "out2", y, width, true)));
}

static const char *validate(const struct scope *s)
{
    return option_or(s, "state", s->width) % option(s, "blocks") ? "state is not divisible by blocks" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "liquid") && strcmp(name, "decay") == 0)
        return "data-dependent";
    if (option(s, "gate") && strcmp(name, "output-gate") == 0)
        return "yes";
    return causality_by_option(s, name);
}

KERNEL(multi_input_state_space) = {
    .name = "multi-input-state-space",
    .slot = SLOT_MIXER,
    .variant = "s5",
    .summary = "one diagonal state space with many inputs and outputs, run by a scan",
    .options = OPTIONS(INTEGER_OPTION("state", 0, 0, 1 << 16, "complex states; 0: as many as channels"),
                       INTEGER_OPTION("blocks", 1, 1, 1 << 16, "HiPPO matrices that the states start from"),
                       CHOICE_OPTION("discretization", "zoh|bilinear", "how the step enters"),
                       REAL_OPTION("step_scale", 1, 1e-6, 1e6, "multiplies the steps"),
                       FLAG_OPTION("liquid", 0, "the input enters the decay as well"),
                       INTEGER_OPTION("degree", 1, 1, 8, "power of the input map's entries"),
                       FLAG_OPTION("bidirectional", 0, "states of a scan from the end are read too"),
                       FLAG_OPTION("gate", 0, "the output ends in a GELU and a sigmoid gate")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
