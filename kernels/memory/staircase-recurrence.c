/* Staircase attention (staircase-attention, section 3.2; facebookresearch/transformer-sequential
 * models/staircase.py): each token goes through the same layers n = size / fresh times, every time one step
 * later, beside tokens that are newer by `fresh`.
 *
 * A chunk of tokens is one run of the stairs. At every step `fresh` new tokens join the rows h that came out
 * of the step before, and those that have been there n times leave; a token's output is its last one. At the
 * first n - 1 steps the layers also see what the last n - 1 steps of the chunk before left in front of them
 * (zeros before the first chunk). */
#include "block/kernel.h"

/* The rows of `cache` step `step`, layer `layer`: size - (step + 1) fresh of them. */
static tensor *cached(struct scope *s, int64_t step, int layer, int64_t batch)
{
    int64_t rows = option(s, "size") - (step + 1) * option(s, "fresh");
    tensor *kept = carried(s, part_name(s, "cache.%lld.%d", (long long)step, layer));
    return kept ? kept : tensor_full(s->graph, 0, 3, SHAPE(batch, rows, s->width));
}

static void keep(struct scope *s, int64_t step, int layer, tensor *rows)
{
    carry(s, part_name(s, "cache.%lld.%d", (long long)step, layer), rows);
}

/* One chunk. A shorter one, the last, leaves nothing behind. */
static tensor *segment(struct scope *s, tensor *x)
{
    int64_t fresh = option(s, "fresh"), size = option(s, "size"), chunk = option(s, "segment"),
            length = x->shape[1], batch = x->shape[0], climbs = size / fresh,
            steps = (length + fresh - 1) / fresh + climbs - 1;
    tensor *rows = NULL;
    struct pieces done = {0};
    for (int64_t step = 0; step < steps; step++) {
        tensor *h = rows;
        if (step >= climbs)
            h = rows->shape[1] > fresh ? tensor_slice(rows, 1, fresh, rows->shape[1] - fresh) : NULL;
        int64_t left = length - step * fresh;
        if (left > 0) {
            tensor *joining = tensor_slice(x, 1, step * fresh, left < fresh ? left : fresh);
            h = h ? tensor_concat(2, (tensor *[]){h, joining}, 1) : joining;
        }
        for (int layer = 0; layer < s->layers; layer++) {
            h = layer_forward(s, layer, h, step < climbs - 1 ? cached(s, step, layer, batch) : NULL);
            int64_t last = step - (steps - climbs + 1);
            if (last >= 0 && length == chunk)
                keep(s, last, layer, h);
        }
        rows = h;
        if (step < climbs - 1)
            continue;
        add_piece(&done,
                  step == steps - 1 ? rows : tensor_slice(rows, 1, 0, fresh)); /* the last may be fewer */
    }
    tensor *y = join_pieces(&done, 1);
    return option(s, "final_norm") ? layer_norm(s, "norm", y, option_real(s, "epsilon")) : y;
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

static const char *validate(const struct scope *s)
{
    int64_t fresh = option(s, "fresh");
    if (option(s, "size") % fresh || option(s, "segment") % fresh)
        return "size and segment must be divisible by fresh";
    return option(s, "segment") < option(s, "size") - fresh ? "a segment is at least size - fresh tokens long"
                                                            : NULL;
}

KERNEL(staircase_recurrence) = {
    .name = "staircase-recurrence",
    .slot = SLOT_MEMORY,
    .variant = "staircase-attention",
    .summary = "tokens go through the same layers several times, each time beside newer ones",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a chunk"),
                       INTEGER_OPTION("size", 64, 1, 1 << 24, "rows on the stairs at once"),
                       INTEGER_OPTION("fresh", 32, 1, 1 << 24, "tokens that join at a step"),
                       FLAG_OPTION("final_norm", 1, "a layer norm after the last layer"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm")),
    .characters = CHARACTERS({"memory", "cache"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
