/* The linear state-space layer LSSL (lssl, sections 2 and 3, eq. 3 to 8; LSSL-fixed of
 * HazyResearch/state-spaces standalone).
 *
 *     A', b' = bilinear rule of the HiPPO matrices A, B with a fixed step dt[c] a channel
 *     h_t = A' h_{t-1} + b' x_t,  u_t = C h_t + D x_t                  per channel, M outputs
 *     y = gelu(u) Wo + b,  channels outermost in u
 *
 * The parallel form is a convolution with K[l] = C A'^l b', made of powers of A' times b' and of C times
 * powers of A'. */
#include "block/hippo.h"
#include "block/modes.h"
#include "block/system.h"
#include <math.h>

enum { MOST_STATES = 256 };

static void fill(const struct scope *s, int64_t n, bool input, real *values)
{
    static const struct {
        const char *name;
        enum hippo_measure measure;
        double scale;
    } measures[] = {{"legt", HIPPO_LEGT, 2}, {"legs", HIPPO_LEGS, 1}};
    double A[MOST_STATES * MOST_STATES], B[MOST_STATES];
    int which = option_is(s, "measure", measures[1].name);
    hippo_matrices(measures[which].measure, n, A, B);
    for (int64_t i = 0; i < (input ? n : n * n); i++)
        values[i] = (real)(measures[which].scale * (input ? B : A)[i]);
}

static void fill_state_map(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    fill(s, shape[0], false, values);
}

static void fill_input_map(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    fill(s, shape[0], true, values);
}

static void fill_steps(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    fill_log_steps(s, rank, shape, values);
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)exp((double)values[i]);
}

static struct system discretise(struct scope *s)
{
    int64_t width = s->width, n = option(s, "state"), m = option(s, "channels");
    struct system system;
    tensor *A = buffer(s, "transition.A", init_function(fill_state_map), 2, SHAPE(n, n));
    tensor *B = buffer(s, "transition.B", init_function(fill_input_map), 1, SHAPE(n));
    tensor *dt = buffer(s, "dt", init_function(fill_steps), 1, SHAPE(width));
    tensor *C = parameter(s, "C", init_normal(1), 3, SHAPE(width, m, n));
    if (system_recall(s, width, n, m, &system))
        return system;
    system =
        system_bilinear(A, tensor_reshape(B, 2, SHAPE(n, 1)), C, tensor_reshape(dt, 3, SHAPE(width, 1, 1)));
    system_keep(s, &system);
    return system;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, m = option(s, "channels"), length = x->shape[1];
    struct system system = discretise(s);
    tensor *D = tensor_reshape(parameter(s, "D", init_normal(1), 2, SHAPE(width, m)), 1, SHAPE(width * m));
    tensor *in = tensor_repeat_interleave(x, 2, m), *y;
    if (s->state)
        y = system_step(s, &system, x);
    else
        y = tensor_long_convolution(
            in, tensor_reshape(system_kernel(&system, length), 2, SHAPE(width * m, length)), false);
    y = tensor_gelu(tensor_add(y, tensor_multiply(in, D)));
    return linear(s, "output_linear", y, width, true);
}

KERNEL(linear_state_space) = {
    .name = "linear-state-space",
    .slot = SLOT_MIXER,
    .variant = "lssl",
    .summary =
        "a fixed HiPPO system per channel with a learned output map, run as a convolution or a recurrence",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 1, MOST_STATES, "states of a channel"),
                       INTEGER_OPTION("channels", 1, 1, 64, "outputs of a channel"),
                       CHOICE_OPTION("measure", "legt|legs", "HiPPO matrix that the buffers start from")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "state"}, {"numbers", "real"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
