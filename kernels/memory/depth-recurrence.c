/* The universal transformer's recurrence in depth (universal-transformer, sections 2.1 and 2.2 and appendix
 * C). The stack is one function F that revises all tokens over and over:
 *
 *     s_n = h_{n-1} + P_n,   h_n = F(s_n)
 *     P_n[t, 2j] = sin(t w_j) + sin(n w_j),   P_n[t, 2j + 1] = cos(t w_j) + cos(n w_j)
 *
 * w_j = 10000^(-2j / D), t and n from 1 on. y is the last h, or with `halting` each token's own mixture: p_n
 * = sigmoid(s_n . w + b); a token halts at the first n with p_1 + .. + p_n > threshold, and there
 *
 *     y_n = a_n h_n + (1 - a_n) y_{n-1}
 *     a_n = p_n before it halts, 1 - p_1 - .. - p_{n-1} when it does, 0 after
 *
 * As in appendix C, h goes on for those that have halted while others have not: they are still seen. In the
 * parallel form steps are left out when every token has halted. The further output "ponder" is the number of
 * steps plus that last a, the paper's cost of time. */
#include "block/kernel.h"
#include <math.h>

static tensor *add_coordinates(struct scope *s, tensor *h, int64_t step)
{
    int64_t length = h->shape[1], width = s->width;
    tensor *p = tensor_constant(s->graph, NULL, 2, SHAPE(length, width));
    for (int64_t j = 0; j < width; j++) {
        double w = pow(10000, -(double)(j / 2 * 2) / (double)width);
        double (*wave)(double) = j % 2 ? cos : sin;
        for (int64_t t = 0; t < length; t++)
            p->data[t * width + j] = (real)(wave((double)(s->position + t + 1) * w) + wave((double)step * w));
    }
    return tensor_add(h, p);
}

/* F: all layers once, with a state of its own for each step. */
static tensor *revise(struct scope *s, tensor *h, int64_t step)
{
    s->pass = (int)step - 1;
    h = stack_forward(s, h);
    s->pass = 0;
    return h;
}

/* What goes from step to step; the last four [B, T, 1] but for y. */
struct pondering {
    tensor *h, *y, *running, *spent, *ponder;
};

static struct pondering ponder_once(struct scope *s, struct pondering before, int64_t step)
{
    struct pondering after = before;
    tensor *state = add_coordinates(s, before.h, step);
    tensor *weight = parameter(s, "halting.weight", init_linear(), 2, SHAPE(1, s->width));
    tensor *bias = parameter(s, "halting.bias", init_constant(1), 1, SHAPE(1));
    tensor *p = tensor_multiply(tensor_sigmoid(tensor_linear(state, weight, bias)), before.running);
    tensor *halts =
        tensor_greater(tensor_add(before.spent, p), tensor_scalar(s->graph, option_real(s, "threshold")));
    halts = tensor_multiply(halts, before.running);
    tensor *rest = tensor_multiply(halts, tensor_affine(before.spent, -1, 1));
    after.running = tensor_subtract(before.running, halts);
    tensor *share = tensor_add(tensor_multiply(p, after.running), rest);
    after.spent = tensor_add(before.spent, share);
    after.ponder = tensor_add(before.ponder, tensor_add(before.running, rest));
    after.h = revise(s, state, step);
    tensor *change = tensor_multiply(share, tensor_subtract(after.h, before.y));
    after.y = tensor_add(before.y, change);
    return after;
}

static tensor *ponder(struct scope *s, tensor *x)
{
    const int64_t *each = SHAPE(x->shape[0], x->shape[1], 1);
    struct pondering now = {x, tensor_scale(x, 0), tensor_full(s->graph, 1, 3, each),
                            tensor_full(s->graph, 0, 3, each), tensor_full(s->graph, 0, 3, each)};
    for (int64_t step = 1; step <= option(s, "steps"); step++) {
        struct pondering before = now;
        /* Caches of a state have to be filled even so. */
        tensor *guard = s->state || step == 1 ? NULL : tensor_guard(before.running);
        now = ponder_once(s, before, step);
        if (!guard)
            continue;
        now.h = tensor_guarded(guard, now.h, before.h);
        now.y = tensor_guarded(guard, now.y, before.y);
        now.running = tensor_guarded(guard, now.running, before.running);
        now.spent = tensor_guarded(guard, now.spent, before.spent);
        now.ponder = tensor_guarded(guard, now.ponder, before.ponder);
    }
    further_output(s, "ponder", now.ponder);
    return now.y;
}

static tensor *forward(struct scope *s, tensor *x)
{
    if (option(s, "halting"))
        return ponder(s, x);
    for (int64_t step = 1; step <= option(s, "steps"); step++)
        x = revise(s, add_coordinates(s, x, step), step);
    return x;
}

KERNEL(depth_recurrence) = {
    .name = "depth-recurrence",
    .slot = SLOT_MEMORY,
    .variant = "universal-transformer",
    .summary = "the layers revise all tokens over and over, each token until it halts",
    .options = OPTIONS(INTEGER_OPTION("steps", 6, 1, 64, "revisions, at most"),
                       FLAG_OPTION("halting", 1, "tokens halt when they are ready"),
                       REAL_OPTION("threshold", 0.99, 0, 1,
                                   "sum of halting probabilities that ends a token")),
    .characters = CHARACTERS({"memory", "none"}),
    .forward = forward,
    .step = forward,
};
