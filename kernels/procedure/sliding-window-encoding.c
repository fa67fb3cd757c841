/* SLED (sled, section 3; Mivg/SLED sled/modeling_sled.py): an encoder for short text, here the layers of the
 * stack, reads a long document in overlapping windows of C = `context` tokens, each after the same first
 * `prefix` tokens (the question).
 *
 * With a margin of g = floor(C (1 - window_fraction) / 2) tokens windows start C - 2 g apart; the last is
 * moved back to end with the document. Of each the rows are kept that no earlier one gave, up to g before its
 * end. The prefix's own rows come from a run without document. Positions start anew in every window, which
 * are so many entries of one batch. */
#include "block/kernel.h"

static int64_t margin(const struct scope *s)
{
    return (int64_t)((double)option(s, "context") * (1 - option_real(s, "window_fraction")) / 2);
}

/* First token of a window of a document of n tokens, of which each window but a lone one takes `size`. */
static int64_t window_start(const struct scope *s, int64_t number, int64_t n, int64_t size)
{
    int64_t start = number * (option(s, "context") - 2 * margin(s));
    return start + size < n ? start : n - size;
}

static tensor *encode_document(struct scope *s, tensor *prefix, tensor *document)
{
    int64_t batch = document->shape[0], n = document->shape[1], size = option(s, "context"), count = 1;
    size = n < size ? n : size;
    while (window_start(s, count - 1, n, size) + size < n)
        count++;
    struct pieces windows = {0}, kept = {0};
    for (int64_t i = 0; i < count; i++) {
        tensor *window = tensor_slice(document, 1, window_start(s, i, n, size), size);
        if (prefix)
            window = tensor_concat(2, (tensor *[]){prefix, window}, 1);
        add_piece(&windows, window);
    }
    tensor *encoded = stack_forward(s, join_pieces(&windows, 0));
    for (int64_t i = 0, filled = 0; i < count; i++) {
        int64_t start = window_start(s, i, n, size), end = i == count - 1 ? n : start + size - margin(s);
        int64_t skipped = filled - start + (prefix ? prefix->shape[1] : 0);
        tensor *rows = tensor_slice(encoded, 0, i * batch, batch);
        add_piece(&kept, tensor_slice(rows, 1, skipped, end - filled));
        filled = end;
    }
    return join_pieces(&kept, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], count = option(s, "prefix");
    if (count == 0)
        return encode_document(s, NULL, x);
    if (count >= length)
        return stack_forward(s, x);
    tensor *prefix = tensor_slice(x, 1, 0, count);
    tensor *y = encode_document(s, prefix, tensor_slice(x, 1, count, length - count));
    return tensor_concat(2, (tensor *[]){stack_forward(s, prefix), y}, 1);
}

static const char *validate(const struct scope *s)
{
    return option(s, "context") <= 2 * margin(s) ? "window_fraction leaves nothing of a window" : NULL;
}

KERNEL(sliding_window_encoding) = {
    .name = "sliding-window-encoding",
    .slot = SLOT_PROCEDURE,
    .variant = "sled",
    .summary = "an encoder of short text runs over overlapping windows, whose middles are kept",
    .options = OPTIONS(INTEGER_OPTION("context", 16, 1, 1 << 24, "tokens of a window"),
                       REAL_OPTION("window_fraction", 0.5, 0, 1, "share of it that is kept"),
                       INTEGER_OPTION("prefix", 0, 0, 1 << 24,
                                      "first tokens, which every window begins with")),
    .characters = CHARACTERS({"visibility", "block"}, {"time", "linear"}, {"decode-cost", "replay"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
