/* Attention blocks for sets (set-transformer, MAB, SAB and ISAB; juho-lee/set_transformer ISAB and SAB). A
 * block of its own, with residuals and norms (optional) inside:
 *
 *     MAB(X, Y):  q = X Wq, k = Y Wk, v = Y Wv                 D channels, in heads
 *                 O = LN0(q + concat_h softmax(q_h k_h^T / sqrt(D)) v_h)
 *                     D, not the channels of a head
 *                 MAB = LN1(O + relu(O Wo))
 *     y = MAB1(x, MAB0(I, x))        I [points, D] learned; cost is linear in T
 *     y = MAB(x, x)                  without points
 *
 * The sum with q, not with X, is the published code's. No order and no mask: every element sees all. */
#include "block/kernel.h"
#include <math.h>

static tensor *attend(struct scope *s, const char *name, tensor *x, tensor *seen)
{
    int64_t heads = option(s, "heads"), batch = seen->shape[0];
    tensor *q = linear(s, part_name(s, "%s.fc_q", name), x, s->width, true);
    if (q->shape[0] < batch)
        q = tensor_repeat(q, 0, batch);
    tensor *k = split_heads(linear(s, part_name(s, "%s.fc_k", name), seen, s->width, true), heads);
    tensor *v = split_heads(linear(s, part_name(s, "%s.fc_v", name), seen, s->width, true), heads);
    struct attention_options options = {.scale = 1 / sqrt((double)s->width)};
    tensor *o = tensor_add(q, merge_heads(tensor_attention(split_heads(q, heads), k, v, &options)));
    if (option(s, "norm"))
        o = layer_norm(s, part_name(s, "%s.ln0", name), o, 1e-5);
    o = tensor_add(o, tensor_relu(linear(s, part_name(s, "%s.fc_o", name), o, s->width, true)));
    return option(s, "norm") ? layer_norm(s, part_name(s, "%s.ln1", name), o, 1e-5) : o;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t points = option(s, "points");
    if (points == 0)
        return attend(s, "mab", x, x);
    double bound = sqrt(6 / (double)(points * s->width + s->width)); /* Xavier's, as published */
    tensor *I = parameter(s, "I", init_uniform(-bound, bound), 3, SHAPE(1, points, s->width));
    return attend(s, "mab1", x, attend(s, "mab0", I, x));
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "points"))
        return NULL;
    return name[0] == 't' ? "quadratic" : name[0] == 'v' ? "all" : NULL;
}

KERNEL(induced_set_attention) = {
    .name = "induced-set-attention",
    .slot = SLOT_MIXER,
    .variant = "set-transformer",
    .summary = "a few learned points attend to the elements of a set and the elements to them",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("points", 32, 0, 1 << 20,
                                      "learned points; 0: elements attend to elements"),
                       FLAG_OPTION("norm", 1, "layer norms after attention and feed-forward")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "landmark"}, {"state", "none"}, {"position", "none"},
                             {"ffn", "mlp"}, {"norm", "layer"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
