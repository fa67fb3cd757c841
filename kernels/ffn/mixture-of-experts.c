/* The sparsely gated mixture of experts (mixture-of-experts;
 * tensor2tensor expert_utils.py). Of n experts each token takes the k whose logits are largest:
 *
 *     h = x w_gate + e * softplus(x w_noise),   g = softmax over the k largest entries of h
 *     y = sum over these of g_i relu(x U_i^T) V_i,   or the sigmoid of that (appendix C.1)
 *
 * e is the layer's part of the further input "noise" [B, T, layers n], normal numbers while training; without
 * it there is none. U_i and V_i [hidden, D] are rows i hidden to (i + 1) hidden of w_in and w_out: only those
 * of the experts taken are read, so time does not grow with n.
 *
 * For balance the squared coefficients of variation of importance_i = sum_t g_i and, with noise, of load_i =
 * sum_t P_i are further outputs, summed over layers; P_i is the share of noise with which expert i would be
 * taken while that of the others stays. The paper starts both gates at zero and lets noise tell the experts
 * apart; here w_gate starts small and random. */
#include "block/kernel.h"
#include <math.h>

struct gates {
    tensor *values, *places; /* [B, T, k] */
};

static tensor *gate(struct scope *s, const char *name)
{
    return parameter(s, name, init_normal(0.02), 2, SHAPE(s->width, option(s, "experts")));
}

/* The squared coefficient of variation of totals over the tokens of values [B, T, n]: [1]. */
static tensor *imbalance(tensor *values)
{
    tensor *totals = tensor_sum(tensor_reshape(values, 2, SHAPE(-1, values->shape[2])), 0);
    tensor *mean = tensor_mean(totals, 1);
    return tensor_reshape(tensor_divide(tensor_variance(totals, 1), tensor_square(mean)), 1, SHAPE(1));
}

/* The share of noise with which each expert is among the k best: it beats the k-th best of the others. */
static tensor *load(tensor *clean, tensor *deviation, tensor *noisy, int64_t k)
{
    tensor *best = tensor_top_k(noisy, k + 1, NULL);
    tensor *last = tensor_slice(best, 2, k - 1, 1), *next = tensor_slice(best, 2, k, 1);
    tensor *rival = tensor_where(tensor_greater(noisy, next), next, last);
    return normal_distribution(tensor_divide(tensor_subtract(clean, rival), deviation), 0, 1);
}

/* Offers the sum of this layer's value and those of the layers below. */
static void offer_sum(struct scope *s, const char *name, tensor *value)
{
    tensor *below = NULL;
    for (int layer = s->layer - 1; layer >= 0 && !below; layer--)
        below = layer_find(s, layer, name);
    value = below ? tensor_add(below, value) : value;
    layer_leave(s, name, value);
    further_output(s, name, value);
}

static struct gates choose(struct scope *s, tensor *x)
{
    int64_t n = option(s, "experts"), k = option(s, "chosen");
    tensor *clean = tensor_matmul(x, gate(s, "w_gate")), *logits = clean, *deviation = NULL;
    tensor *w_noise = option(s, "noisy") ? gate(s, "w_noise") : NULL;
    tensor *noise = w_noise ? further_input(s, "noise") : NULL;
    if (noise) {
        noise = tensor_slice(noise, 2, s->layer * n, n);
        deviation = tensor_softplus(tensor_matmul(x, w_noise));
        logits = tensor_add(clean, tensor_multiply(noise, deviation));
    }
    struct gates gates;
    gates.values = tensor_softmax(tensor_top_k(logits, k, &gates.places), 2);
    if (s->inputs)
        offer_sum(s, "importance", imbalance(tensor_scatter_add(gates.values, 2, gates.places, n)));
    if (noise && k < n)
        offer_sum(s, "load", imbalance(load(clean, deviation, logits, k)));
    return gates;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], k = option(s, "chosen");
    int64_t hidden = option_or(s, "hidden", option_width(s, "expand"));
    const int64_t *shape = SHAPE(option(s, "experts") * hidden, s->width);
    tensor *in = parameter(s, "w_in", init_normal(1 / sqrt((double)s->width)), 2, shape);
    tensor *out = parameter(s, "w_out", init_normal(1 / sqrt((double)hidden)), 2, shape);
    struct gates gates = choose(s, x);
    const int64_t *each = SHAPE(batch, length, k, 1), *all = SHAPE(batch, length, k * hidden);
    tensor *first = tensor_scale(tensor_reshape(gates.places, 4, each), (double)hidden);
    tensor *rows = tensor_add(first, tensor_range(s->graph, 0, hidden, 1));
    rows = tensor_reshape(rows, 3, all);
    tensor *units = tensor_relu(tensor_chosen_products(in, rows, x));
    tensor *weights = tensor_repeat_interleave(gates.values, 2, hidden);
    tensor *y = tensor_chosen_sum(out, rows, tensor_multiply(units, weights));
    return option(s, "squashed") ? tensor_sigmoid(y) : y;
}

static const char *validate(const struct scope *s)
{
    int64_t hidden = option_or(s, "hidden", option_width(s, "expand"));
    if (option(s, "experts") * hidden > 1 << 24) /* numbers of rows are exact up to here */
        return "there are more than 2^24 hidden channels in all experts";
    return option(s, "chosen") > option(s, "experts") ? "chosen is more than experts" : NULL;
}

KERNEL(mixture_of_experts) = {
    .name = "mixture-of-experts",
    .slot = SLOT_FFN,
    .variant = "mixture-of-experts",
    .summary = "a gate sends each token to the few best of many feed-forward networks",
    .options = OPTIONS(INTEGER_OPTION("experts", 16, 1, 1 << 16, "feed-forward networks"),
                       INTEGER_OPTION("chosen", 4, 1, 1024, "networks of a token"),
                       REAL_OPTION("expand", 2, 0.01, 64, "hidden channels of an expert over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "the same in channels; 0: expand * width"),
                       FLAG_OPTION("noisy", 1, "logits take the input 'noise', where there is one"),
                       FLAG_OPTION("squashed", 0, "a sigmoid follows")),
    .characters = CHARACTERS({"ffn", "experts"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
