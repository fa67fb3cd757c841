/* Fast weights written by outer products (fast-weights): a slow network computes for each token from where to
 * where a connection is to be strengthened, and the fast network, a matrix that starts at zero, is applied to
 * the token:
 *
 *     a_t = x_t Wto,  b_t = x_t Wfrom,   W_t = W_{t-1} + rate a_t b_t^T,   y_t = W_t x_t
 *
 * The slow network is one linear map without memory here; the squashing that may keep the fast weights in
 * bounds is left out. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *to = split_heads(linear(s, "to", x, s->width, option(s, "bias")), 1);
    tensor *from = split_heads(linear(s, "from", x, s->width, option(s, "bias")), 1);
    struct matrix_scan_options scan = {.scale = option_real(s, "rate")};
    return merge_heads(kept_matrix_scan(s, "W", split_heads(x, 1), from, to, scan));
}

KERNEL(fast_weights) = {
    .name = "fast-weights",
    .slot = SLOT_MIXER,
    .variant = "fast-weights",
    .summary = "a matrix that outer products of two maps of each token have written, applied to the token",
    .options = OPTIONS(REAL_OPTION("rate", 1, 1e-6, 1e6, "of the writing"),
                       FLAG_OPTION("bias", 1, "the maps of the slow network have biases")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "none"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
