/* XL3M (xl3m, section 3.2): a long input is cut in segments, each is read with the task's tokens after it,
 * and those whose prediction of the next token is the surest, of the least entropy, become, in their order,
 * the short context of the task.
 *
 *     e_i = -sum_v p_i log p_i,   p_i = softmax(logits of [segment i; task] after the task's last token)
 *
 * Over a stack the input is `segments` segments of `segment` tokens and the task; the last layer's output is
 * taken for logits. The segments' own rows come from runs without the task. Alone x is the logits
 * [B, segments, V], y the entropies [B, segments], and the chosen ones are the output `selected`. The choice
 * has no gradient, and it depends on the task's last token. */
#include "block/kernel.h"

/* logits [B, m, V] -> [B, m] */
static tensor *entropies(tensor *logits)
{
    tensor *log_p = tensor_log_softmax(logits, 2);
    tensor *e = tensor_negate(tensor_sum(tensor_multiply(tensor_exp(log_p), log_p), 2));
    return tensor_reshape(e, 2, SHAPE(logits->shape[0], logits->shape[1]));
}

/* Numbers of the surest, ascending: [B, count]. */
static tensor *surest(struct scope *s, tensor *e)
{
    int64_t count = option(s, "top_k") < e->shape[1] ? option(s, "top_k") : e->shape[1];
    tensor *places;
    tensor_top_k(tensor_negate(tensor_stop_gradient(e)), count, &places);
    return tensor_sort(places, false, NULL);
}

/* The rows of the task alone, after the surest segments. */
static tensor *answer(struct scope *s, tensor *segments, tensor *task)
{
    int64_t B = segments->shape[0], m = segments->shape[1], size = segments->shape[2], D = segments->shape[3],
            length = task->shape[1];
    tensor *tasks = tensor_reshape(tensor_repeat_interleave(task, 0, m), 3, SHAPE(B * m, length, D));
    tensor *inputs[] = {tensor_reshape(segments, 3, SHAPE(B * m, size, D)), tasks};
    tensor *logits = tensor_slice(stack_forward(s, tensor_concat(2, inputs, 1)), 1, -1, 1);
    tensor *selected = surest(s, entropies(tensor_reshape(logits, 3, SHAPE(B, m, D))));
    int64_t count = selected->shape[1];
    tensor *kept = tensor_gather(segments, 1, tensor_reshape(selected, 4, SHAPE(B, count, 1, 1)));
    tensor *context[] = {tensor_reshape(kept, 3, SHAPE(B, count * size, D)), task};
    return tensor_slice(stack_forward(s, tensor_concat(2, context, 1)), 1, count * size, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    if (stands_alone(s)) {
        tensor *e = entropies(x);
        further_output(s, "selected", surest(s, e));
        return e;
    }
    int64_t B = x->shape[0], D = x->shape[2], m = option(s, "segments"), size = option(s, "segment");
    if (x->shape[1] <= m * size)
        return stack_forward(s, x); /* short enough as it is */
    tensor *segments = tensor_reshape(tensor_slice(x, 1, 0, m * size), 3, SHAPE(B * m, size, D));
    tensor *read = tensor_reshape(stack_forward(s, segments), 3, SHAPE(B, m * size, D));
    tensor *task = tensor_slice(x, 1, m * size, x->shape[1] - m * size);
    tensor *y = answer(s, tensor_reshape(segments, 4, SHAPE(B, m, size, D)), task);
    return tensor_concat(2, (tensor *[]){read, y}, 1);
}

KERNEL(entropy_segment_selection) = {
    .name = "entropy-segment-selection",
    .slot = SLOT_PROCEDURE,
    .variant = "xl3m",
    .summary = "keeps those segments of a long context with which the next token is the surest",
    .options = OPTIONS(INTEGER_OPTION("top_k", 2, 1, 1 << 20, "segments kept"),
                       INTEGER_OPTION("segments", 3, 1, 1 << 20, "of the context, before the task"),
                       INTEGER_OPTION("segment", 8, 1, 1 << 24, "tokens of each")),
    .characters = CHARACTERS({"visibility", "content"}, {"time", "quadratic"}, {"decode-cost", "replay"},
                             {"causality", "approximate"}),
    .forward = forward,
};
