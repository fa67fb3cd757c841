/* The simple recurrent unit (sru; asappresearch/sru SRUCell): all products are of the input alone.
 *
 *     (u0, u1, u2) = W x,   c and h as in simple-recurrence.h,   skip = alpha x,
 *         alpha = sqrt(1 + 2 exp(highway_bias)) (rescale) or 1
 *
 * weight is [D, 3 D], not transposed, its columns (u0, u1, u2) channel by channel. The code's gate r reads
 * c_{t-1}, as here; the paper's first version has no v. */
#include "simple-recurrence.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    double highway_bias = option_real(s, "highway_bias");
    tensor *weight =
        parameter(s, "weight", init_uniform(-sqrt(3.0 / (double)width), sqrt(3.0 / (double)width)), 2,
                  SHAPE(width, 3 * width));
    double alpha = option(s, "rescale") ? sqrt(1 + 2 * exp(highway_bias)) : 1;
    return simple_recurrence(s, tensor_matmul(x, weight), tensor_scale(x, alpha), highway_bias);
}

KERNEL(simple_recurrent_unit) = {
    .name = "simple-recurrent-unit",
    .slot = SLOT_MIXER,
    .variant = "sru",
    .summary = "an elementwise gated memory with a highway around it",
    .options = OPTIONS(FLAG_OPTION("rescale", 1,
                                   "the highway's input is scaled to the variance of the output"),
                       REAL_OPTION("highway_bias", 0, -100, 100, "start of the gates' biases")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
