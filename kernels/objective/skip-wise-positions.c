/* Positional skip-wise training (pose, section 3.2; dwzhu-pku/PoSE train_pose.py): a text of n tokens is cut
 * to two chunks that together fill the model's window, and a skip makes their positions those of a text of
 * the target length.
 *
 *     w = min(n, window);  kept tokens: text[0 : rt1] and text[rt2 - (w - rt1) : rt2];
 *         position i, or i + rt from the second chunk on
 *
 * The layers run over the kept tokens x [B, w, D] at these positions. A training step draws for each text rt1
 * from 1 .. (w + 1) / 2, rt2 from w .. n and rt from 0 .. target - w: the inputs "rt1", "rt2" and "rt" [B],
 * and "len_input" [B] = n where texts are not all as long as x. Without them nothing is cut and nothing
 * skipped, as the trained model is used. "positions" and "token_index" [B, w] are further outputs; a kernel
 * alone, with no layers to run, gives the positions. */
#include "draws.h"

struct draws {
    tensor *first, *end, *skip, *length; /* length: NULL if texts are as long as x */
};

/* Tokens of a text; a length of 0 is none. */
static int64_t length_of(struct scope *s, const struct draws *draws, const tensor *x, int64_t row)
{
    int64_t given = draws->length ? (int64_t)drawn(s, draws->length, row) : 0;
    return given > 0 ? given : x->shape[1];
}

static int64_t kept_tokens(struct scope *s, const struct draws *draws, const tensor *x)
{
    int64_t window = option(s, "window"), kept = 0;
    for (int64_t b = 0; b < x->shape[0]; b++) {
        int64_t length = length_of(s, draws, x, b), own = length < window ? length : window;
        if (b && own != kept)
            kernel_fail(s, "texts of a batch keep equally many tokens, not %lld and %lld", (long long)kept,
                        (long long)own);
        kept = own;
    }
    return kept;
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct draws draws = {further_input(s, "rt1"), further_input(s, "rt2"), further_input(s, "rt"),
                          further_input(s, "len_input")};
    if (!draws.first || !draws.end || !draws.skip)
        return stack_forward(s, stack_embed(s, x));
    int64_t batch = x->shape[0], kept = kept_tokens(s, &draws, x);
    tensor *positions = tensor_constant(s->graph, NULL, 2, SHAPE(batch, kept));
    tensor *tokens = tensor_constant(s->graph, NULL, 2, SHAPE(batch, kept));
    for (int64_t b = 0; b < batch; b++) {
        int64_t first = (int64_t)drawn(s, draws.first, b), end = (int64_t)drawn(s, draws.end, b);
        int64_t skip = (int64_t)drawn(s, draws.skip, b);
        if (first > kept || end > length_of(s, &draws, x, b) || skip < 0 || skip + kept > option(s, "target"))
            kernel_fail(s, "text %lld has draws beyond its %lld tokens or the %lld positions of the target",
                        (long long)b, (long long)length_of(s, &draws, x, b), (long long)option(s, "target"));
        for (int64_t i = 0; i < kept; i++) {
            positions->data[b * kept + i] = (real)(i < first ? i : i + skip);
            tokens->data[b * kept + i] = (real)(i < first ? i : end - kept + i);
        }
    }
    further_output(s, "positions", positions);
    further_output(s, "token_index", tokens);
    if (stands_alone(s))
        return tensor_reshape(positions, 3, SHAPE(batch, 1, kept));
    s->places = positions;
    tensor *index = tensor_reshape(tokens, 3, SHAPE(batch, kept, 1));
    return stack_forward(s, tensor_gather(stack_embed(s, x), 1, index));
}

KERNEL(skip_wise_positions) = {
    .name = "skip-wise-positions",
    .slot = SLOT_OBJECTIVE,
    .variant = "pose",
    .summary = "two chunks of a text stand for a long one by a skip of positions between them",
    .options = OPTIONS(INTEGER_OPTION("window", 2048, 1, 1 << 30, "tokens that the model takes"),
                       INTEGER_OPTION("target", 16384, 1, 1 << 30, "positions that training is for")),
    .characters = CHARACTERS({"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
