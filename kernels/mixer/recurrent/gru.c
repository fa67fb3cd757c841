/* The gated recurrent unit (gru; with the reset after the product the form of cuDNN and torch.nn.GRU):
 * gated-recurrence.h. */
#include "gated-recurrence.h"

static tensor *forward(struct scope *s, tensor *x)
{
    return gated_recurrence(s, "", "", x, s->width, option_is(s, "reset", "before"));
}

KERNEL(gru) = {
    .name = "gru",
    .slot = SLOT_MIXER,
    .variant = "gru",
    .summary = "a hidden state that a reset gate shows to its candidate and an update gate replaces",
    .options = OPTIONS(CHOICE_OPTION("reset", "before|after", "of the product with the state")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
