/* The bidirectional gated state-space block BiGS (bigs, section 4; jxiw/BiGS BiGSLayer).
 *
 *     v = gelu(x Wv),  f = gelu(x Wf),  b = gelu(flip(x) Wb)
 *     S(u) = K * u + D u with one kernel for all channels,
 *         K[l] = Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(dt A_n l),
 *     Re A = min(A_re, -1e-4)
 *     y = (gelu(((S_f(f) Wf') * flip(S_b(b) Wb')) Wu) * v) Wo         every product with a bias
 */
#include "block/modes.h"
#include <math.h>

static tensor *state_space(struct scope *s, const char *name, tensor *u)
{
    int64_t n = option(s, "state");
    tensor *re = parameter(s, part_name(s, "%s.kernel.A_re", name), init_constant(-0.5), 1, SHAPE(n));
    tensor *im = parameter(s, part_name(s, "%s.kernel.A_im", name), init_function(fill_linear_frequencies), 1,
                           SHAPE(n));
    tensor *c = parameter(s, part_name(s, "%s.kernel.C", name), init_normal(sqrt(0.5)), 2, SHAPE(n, 2));
    tensor *dt =
        parameter(s, part_name(s, "%s.kernel.log_step", name), init_function(fill_log_steps), 1, SHAPE(1));
    tensor *D = parameter(s, part_name(s, "%s.D", name), init_constant(1), 1, SHAPE(1));
    struct pair a = {tensor_minimum(tensor_reshape(re, 2, SHAPE(1, n)), tensor_scalar(s->graph, -1e-4)),
                     tensor_reshape(im, 2, SHAPE(1, n))};
    struct pair rate = pair_scaled(a, tensor_exp(dt));
    struct pair weight = pair_of(tensor_reshape(c, 3, SHAPE(1, n, 2)));
    struct modes modes = {rate, pair_product(weight, zero_order_input(a, rate))};
    return tensor_add(kept_modes(s, name, &modes, u, 0), tensor_multiply(u, D));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, hidden = option_or(s, "hidden", 3 * width);
    tensor *v = tensor_gelu(linear(s, "dv", x, hidden, true));
    tensor *ahead = tensor_gelu(linear(s, "du_forward", x, width, true));
    tensor *back = tensor_gelu(linear(s, "du_backward", tensor_flip(x, 1), width, true));
    ahead = linear(s, "duc_forward", state_space(s, "fs4", ahead), width, true);
    back = tensor_flip(linear(s, "duc_backward", state_space(s, "bs4", back), width, true), 1);
    tensor *gate = tensor_gelu(linear(s, "dol", tensor_multiply(ahead, back), hidden, true));
    return linear(s, "do", tensor_multiply(gate, v), width, true);
}

KERNEL(bidirectional_gated_state_space) = {
    .name = "bidirectional-gated-state-space",
    .slot = SLOT_MIXER,
    .variant = "bigs",
    .summary = "a forward and a backward state space, multiplied, gate the values",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 1, 4096, "modes of a direction's kernel"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "channels of the values; 0: 3 * width")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "yes"}, {"time", "log-linear"}, {"decode-cost", "replay"},
                             {"causality", "bidirectional"}),
    .forward = forward,
};
