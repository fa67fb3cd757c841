/* Branches that join as spikes (spikegpt, section 3.1; ridgerchu/SpikeGPT Block with spikingjelly's LIF
 * node). Per channel a neuron runs over the tokens,
 *
 *     v_t = v'_{t-1} + (f_t - v'_{t-1}) / tau
 *         (or v'_{t-1} - v'_{t-1} / tau + f_t),  s_t = 1 if v_t >= threshold else 0
 *     v'_t = (1 - s_t) v_t,  y = x + s
 *
 * with the derivative of an arctan of slope alpha in place of the threshold's. */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)branch;
    double tau = option_real(s, "tau");
    const int64_t *shape = SHAPE(x->shape[0], 1, x->shape[2]);
    struct spike_options options = {.keep = 1 - 1 / tau,
                                    .gain = option(s, "decay_input") ? 1 / tau : 1,
                                    .threshold = option_real(s, "threshold"),
                                    .slope = option_real(s, "slope"),
                                    .detached = option(s, "detach_reset"),
                                    .initial = s->state ? state(s, "potential", 0, 3, shape) : NULL};
    tensor *potential, *spikes = tensor_spikes(branch_output, &options, &potential);
    if (s->state) {
        tensor *silent = tensor_affine(tensor_slice(spikes, 1, -1, 1), -1, 1);
        state_set(s, "potential", tensor_multiply(silent, tensor_slice(potential, 1, -1, 1)));
    }
    return tensor_add(x, spikes);
}

KERNEL(leaky_integrate_and_fire) = {
    .name = "leaky-integrate-and-fire",
    .slot = SLOT_RESIDUAL,
    .variant = "spikegpt",
    .summary = "turns a branch's output into binary spikes of neurons that run over the tokens",
    .options = OPTIONS(REAL_OPTION("tau", 2, 1, 1e6, "time constant in tokens"),
                       REAL_OPTION("threshold", 1, 1e-6, 1e6, "potential of a spike"),
                       REAL_OPTION("slope", 2, 1e-3, 1e3, "of the surrogate derivative"),
                       FLAG_OPTION("decay_input", 1, "inputs are divided by tau too"),
                       FLAG_OPTION("detach_reset", 0, "no gradient passes through the reset")),
    .characters = CHARACTERS({"residual", "add"}, {"state", "vector"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .combine = combine,
};
