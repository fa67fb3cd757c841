/* Slot attention (slot-attention; lucidrains/slot-attention SlotAttention): K slots compete for T inputs in
 * `rounds` rounds.
 *
 *     slots = mu + exp(logsigma) noise,   k = Wk z, v = Wv z with z = norm(x)
 *     a = softmax over slots (q k^T / sqrt(D)) + epsilon with q = Wq norm(slots),
 *         u_i = sum_j a_ij v_j / sum_j a_ij
 *     slots = gru(u, slots),   slots = slots + mlp(norm(slots))
 *
 * x [B, T, D] -> y [B, K, D]. The noise is the further input "noise" [B, K, D] or else one draw, the same for
 * every entry of a batch. */
#include "../recurrent/gated-cell.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t D = s->width, count = option(s, "slots"), hidden = option_or(s, "hidden", D);
    tensor *mu = parameter(s, "slots_mu", init_normal(1), 3, SHAPE(1, 1, D));
    tensor *deviation = tensor_exp(parameter(s, "slots_logsigma", init_normal(1), 3, SHAPE(1, 1, D)));
    tensor *noise = further_input(s, "noise");
    if (!noise)
        noise = buffer(s, "noise", init_normal(1), 3, SHAPE(1, count, D));
    tensor *slots = tensor_add(mu, tensor_multiply(deviation, noise));
    slots = tensor_broadcast(slots, 3, SHAPE(x->shape[0], count, D));
    tensor *z = layer_norm(s, "norm_input", x, 1e-5);
    tensor *k = linear(s, "to_k", z, D, true), *v = linear(s, "to_v", z, D, true);
    for (int64_t round = 0; round < option(s, "rounds"); round++) {
        tensor *q = linear(s, "to_q", layer_norm(s, "norm_slots", slots, 1e-5), D, true);
        tensor *scores = tensor_scale(tensor_matmul_nt(q, k), 1 / sqrt((double)D));
        tensor *share = tensor_affine(tensor_softmax(scores, 1), 1, option_real(s, "epsilon"));
        share = tensor_divide(share, tensor_sum(share, 2));
        slots = gated_cell(s, "gru", tensor_matmul(share, v), slots);
        tensor *inner = layer_norm(s, "norm_pre_ff", slots, 1e-5);
        inner = tensor_relu(linear(s, "mlp.0", inner, hidden > D ? hidden : D, true));
        slots = tensor_add(slots, linear(s, "mlp.2", inner, D, true));
    }
    return slots;
}

KERNEL(slot_attention) = {
    .name = "slot-attention",
    .slot = SLOT_MIXER,
    .variant = "slot-attention",
    .summary =
        "slots compete for the inputs by a softmax over slots and are updated by a GRU in several rounds",
    .options = OPTIONS(INTEGER_OPTION("slots", 7, 1, 65536, "slots, the rows of the output"),
                       INTEGER_OPTION("rounds", 3, 1, 1024, "rounds of competition"),
                       INTEGER_OPTION("hidden", 128, 0, 1 << 20,
                                      "inner width of the network, at least the width; 0: the width"),
                       REAL_OPTION("epsilon", 1e-8, 0, 1, "added to every share")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "sum"}, {"heads", "single"},
                             {"visibility", "landmark"}, {"state", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .forward = forward,
};
