/* NBCE (nbce; bojone/NBCE test.py): next-token distributions of several contexts and of none are merged by
 * naive Bayes. At each step, with the log-probabilities l_j of context j (j = 0: none), cut to their most
 * likely tokens of total weight top_p,
 *
 *     H_j = -sum exp(l_j) max(l_j, -100), less eta for the context chosen at the step before,
 *         k = argmin_{j >= 1} H_j
 *     y = softmax((1 + beta) l_k - beta l_0),  l_k alone where l_0 is cut or at most -100
 *
 * The choice has no gradient. Alone x is the logits [contexts and none, T, V] and y [T, V]. Over a stack the
 * input is `windows` and then the task: contexts are [window j; task], none is the task alone, and the last
 * layer's output is taken for logits; windows give the distributions that they predict by themselves. */
#include "block/kernel.h"
#include <math.h>

/* 1 for tokens that stay: of logits [.., V] the least likely ones fall, up to a weight of 1 - top_p in
 * all. */
static tensor *kept_tokens(struct scope *s, tensor *log_p)
{
    int last = log_p->rank - 1;
    int64_t V = tensor_length(log_p, -1);
    if (option_real(s, "top_p") >= 1)
        return tensor_full(s->graph, 1, log_p->rank, log_p->shape);
    tensor *places, *ascending = tensor_sort(tensor_stop_gradient(log_p), false, &places);
    tensor *weight = tensor_cumulative_sum(tensor_exp(ascending), last);
    tensor *kept = tensor_greater(weight, tensor_scalar(s->graph, 1 - option_real(s, "top_p")));
    tensor *likeliest = tensor_constant(s->graph, NULL, 1, SHAPE(V));
    likeliest->data[V - 1] = 1;
    return tensor_scatter_add(tensor_maximum(kept, likeliest), last, places, V);
}

/* The context of each step, from 0, by entropies [B, n, T]: [B, 1, T]. */
static tensor *choose(struct scope *s, tensor *entropy)
{
    int64_t B = entropy->shape[0], n = entropy->shape[1], T = entropy->shape[2];
    tensor *before = NULL;
    struct pieces chosen = {0};
    for (int64_t t = 0; t < T; t++) {
        tensor *e = tensor_reshape(tensor_slice(entropy, 2, t, 1), 2, SHAPE(B, n));
        if (before)
            e = tensor_subtract(e, tensor_scale(before, option_real(s, "eta")));
        tensor *k = tensor_argmax(tensor_negate(e), 1);
        before = tensor_reshape(tensor_one_hot(k, n), 2, SHAPE(B, n));
        add_piece(&chosen, tensor_reshape(k, 3, SHAPE(B, 1, 1)));
    }
    return join_pieces(&chosen, 2);
}

/* logits [B, 1 + n, T, V], first those without context -> [B, T, V] */
static tensor *merge(struct scope *s, tensor *logits)
{
    int64_t B = logits->shape[0], n = logits->shape[1] - 1, T = logits->shape[2], V = logits->shape[3];
    double beta = option_real(s, "beta");
    tensor *log_p = tensor_log_softmax(logits, 3), *kept = kept_tokens(s, log_p);
    tensor *fixed = tensor_stop_gradient(tensor_slice(log_p, 1, 1, n));
    tensor *terms = tensor_multiply(tensor_exp(fixed), tensor_clamp(fixed, -100, 0));
    tensor *entropy = tensor_negate(tensor_sum(tensor_multiply(terms, tensor_slice(kept, 1, 1, n)), 3));
    tensor *k = choose(s, tensor_reshape(entropy, 3, SHAPE(B, n, T)));
    k = tensor_reshape(k, 4, SHAPE(B, 1, T, 1));
    tensor *l = tensor_gather(tensor_slice(log_p, 1, 1, n), 1, k), *none = tensor_slice(log_p, 1, 0, 1);
    tensor *likely =
        tensor_multiply(tensor_slice(kept, 1, 0, 1), tensor_greater(none, tensor_scalar(s->graph, -100)));
    tensor *merged = tensor_subtract(tensor_scale(l, 1 + beta), tensor_scale(none, beta));
    merged = tensor_where(likely, merged, l);
    tensor *stays = tensor_gather(tensor_slice(kept, 1, 1, n), 1, k);
    merged = tensor_where(stays, merged, tensor_scalar(s->graph, -INFINITY));
    return tensor_reshape(tensor_softmax(merged, 3), 3, SHAPE(B, T, V));
}

static tensor *join(tensor *before, tensor *x, int axis)
{
    return before ? tensor_concat(2, (tensor *[]){before, x}, axis) : x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], length = x->shape[1], D = x->shape[2], start = 0;
    if (stands_alone(s) && B < 2)
        kernel_fail(s, "its batch is the model without context and at least one context");
    if (stands_alone(s))
        return tensor_reshape(merge(s, tensor_reshape(x, 4, SHAPE(1, B, length, D))), 2, SHAPE(length, D));
    int count;
    const double *windows = option_list(s, "windows", &count);
    for (int i = 0; i < count; i++)
        start += (int64_t)windows[i];
    int64_t rest = length - start;
    tensor *task = rest > 0 ? tensor_slice(x, 1, start, rest) : NULL, *y = NULL;
    tensor *logits = task ? tensor_reshape(stack_forward(s, task), 4, SHAPE(B, 1, rest, D)) : NULL;
    start = 0;
    for (int i = 0; i < count && start < length; i++) {
        int64_t size = (int64_t)windows[i] < length - start ? (int64_t)windows[i] : length - start;
        tensor *read = stack_forward(s, join(NULL, tensor_slice(x, 1, start, size), 1));
        y = join(y, tensor_softmax(read, 2), 1);
        if (task) {
            read = stack_forward(s, join(tensor_slice(x, 1, start, size), task, 1));
            read = tensor_reshape(tensor_slice(read, 1, size, rest), 4, SHAPE(B, 1, rest, D));
            logits = join(logits, read, 1);
        }
        start += size;
    }
    return task ? join(y, merge(s, logits), 1) : y;
}

static const char *validate(const struct scope *s)
{
    int count;
    option_list(s, "windows", &count);
    return count < 1 ? "there is at least one window" : NULL;
}

KERNEL(naive_bayes_context_merging) = {
    .name = "naive-bayes-context-merging",
    .slot = SLOT_PROCEDURE,
    .variant = "nbce",
    .summary = "the surest context's distribution, less that without context",
    .options = OPTIONS(LIST_OPTION("windows", "8,8,8", 1, 1 << 24, "tokens of each context, over a stack"),
                       REAL_OPTION("beta", 0.25, 0, 1e6, "how much the distribution without context counts"),
                       REAL_OPTION("eta", 0.1, 0, 1e6, "by which the context chosen before is preferred"),
                       REAL_OPTION("top_p", 0.95, 1e-6, 1, "weight of the tokens that are kept")),
    .characters = CHARACTERS({"visibility", "block"}, {"time", "quadratic"}, {"decode-cost", "replay"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
};
