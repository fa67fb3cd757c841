/* Parallel context windows (parallel-context-windows, section 3; AI21Labs/Parallel-Context-Windows
 * modeling_llama_with_pcw.py and pcw_wrapper.py), on one attention layer.
 *
 * The sequence is window 1, window 2, .., and the tokens of the task. A window sees itself alone, causally,
 * at places 0, 1, ..; the task goes on at the place after the longest window and sees all windows and,
 * causally, itself. Windows but the longest (the first of them) lose their first token there: in all of them
 * it is the same, the begin of text. */
#include "grouped-heads.h"

/* Tokens [start, end) of the sequence that are read alike; the task's have the last number and no end. */
struct region {
    int64_t start, end;
    bool is_task;
};

static int window_count(struct scope *s)
{
    int count;
    option_list(s, "windows", &count);
    return count;
}

static struct region region_of(struct scope *s, int number)
{
    int count;
    const double *windows = option_list(s, "windows", &count);
    struct region region = {0, INT64_MAX, number == count};
    for (int i = 0; i < number; i++)
        region.start += (int64_t)windows[i];
    if (number < count)
        region.end = region.start + (int64_t)windows[number];
    return region;
}

static int longest_window(struct scope *s)
{
    int count, longest = 0;
    const double *windows = option_list(s, "windows", &count);
    for (int i = 1; i < count; i++)
        longest = windows[i] > windows[longest] ? i : longest;
    return longest;
}

/* Each token at its place in its region. */
static tensor *turn(struct scope *s, tensor *x)
{
    int count;
    const double *windows = option_list(s, "windows", &count);
    double task_start = count ? windows[longest_window(s)] : 0;
    tensor *places = tensor_constant(s->graph, NULL, 1, SHAPE(x->shape[1]));
    for (int64_t t = 0; t < x->shape[1]; t++) {
        int number = 0;
        while (region_of(s, number).end <= s->position + t)
            number++;
        struct region region = region_of(s, number);
        places->data[t] =
            (real)((region.is_task ? task_start : 0) + (double)(s->position + t - region.start));
    }
    return rotate_to_places(s, x, places->data);
}

/* Of keys or values of all tokens so far: those that the region's tokens see, up to `end`. */
static tensor *seen_rows(struct scope *s, tensor *all, int number, int64_t end)
{
    struct region region = region_of(s, number);
    tensor *own = rows_of(all, region.start, end - region.start), *before = NULL;
    if (!region.is_task)
        return own;
    for (int i = 0; i < number; i++) {
        struct region window = region_of(s, i);
        window.start += i != longest_window(s);
        if (window.start < window.end)
            before = append_rows(before, rows_of(all, window.start, window.end - window.start));
    }
    return before ? append_rows(before, own) : own;
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct projected p = project_heads(s, x);
    int64_t end = s->position + x->shape[1];
    tensor *q = turn(s, p.q), *y = NULL;
    tensor *k = cache_append(s, "key", turn(s, p.k), 0), *v = cache_append(s, "value", p.v, 0);
    for (int number = 0; number <= window_count(s); number++) {
        struct region region = region_of(s, number);
        int64_t first = region.start < s->position ? s->position : region.start;
        int64_t last = region.end < end ? region.end : end;
        if (first >= end)
            break;
        if (last <= first)
            continue;
        tensor *keys = seen_rows(s, k, number, last), *values = seen_rows(s, v, number, last);
        struct attention_options options = {.causal = true, .offset = keys->shape[1] - (last - first)};
        y = append_rows(
            y, tensor_attention(rows_of(q, first - s->position, last - first), keys, values, &options));
    }
    return join_heads(s, y);
}

KERNEL(parallel_context_windows) = {
    .name = "parallel-context-windows",
    .slot = SLOT_PROCEDURE,
    .variant = "parallel-context-windows",
    .summary = "windows of context that do not see each other, read together by the tokens after them",
    .options = OPTIONS(GROUPED_HEADS_OPTIONS,
                       LIST_OPTION("windows", "8,8,8", 1, 1 << 24, "tokens of each window")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
