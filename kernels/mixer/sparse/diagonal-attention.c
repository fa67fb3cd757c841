/* TransNormer's diagonal attention (transnormer, section 4; fairseq-evo's NormLocalAttention, groups chunk):
 * blocks of c positions, each seeing only its own and, when causal, only earlier positions. q is scaled by 1
 * / sqrt(d). Either
 *
 *     o_t = sum_j softmax_j(q_t . k_j) v_j,  y = o Wo          or
 *         o_t = sum_j act(q_t . k_j) v_j,  y = norm(o) Wo. */
#include "../linear/output-norm.h"
#include <math.h>
#include <string.h>

/* x [B, T, H, d] as blocks [B, n, H, c, d], zeros at the end. */
static tensor *blocks(tensor *x, int64_t c)
{
    int64_t count = (x->shape[1] + c - 1) / c;
    x = tensor_pad(x, 1, 0, count * c - x->shape[1], 0);
    return tensor_transpose(tensor_reshape(x, 5, SHAPE(x->shape[0], count, c, x->shape[2], x->shape[3])), 2,
                            3);
}

static tensor *activated(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t c = option(s, "block"), B = q->shape[0], T = q->shape[1], H = q->shape[2], d = q->shape[3];
    tensor *weights =
        tensor_activation(tensor_matmul_nt(blocks(q, c), blocks(k, c)), option_choice(s, "activation"));
    if (option(s, "causal")) {
        tensor *place = tensor_range(s->graph, 0, c, 1);
        tensor *later = tensor_greater(place, tensor_reshape(place, 2, SHAPE(c, 1)));
        weights = tensor_multiply(weights, tensor_affine(later, -1, 1));
    }
    tensor *o = tensor_transpose(tensor_matmul(weights, blocks(v, c)), 2, 3);
    return tensor_slice(tensor_reshape(o, 4, SHAPE(B, o->shape[1] * c, H, d)), 1, 0, T);
}

/* Over the present block's earlier rows and the new ones, so that blocks start where they do in the
 * sequence. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t c = option(s, "block"), length = q->shape[1];
    tensor **rows[] = {&q, &k, &v};
    static const char *const names[] = {"query", "key", "value"};
    for (int i = 0; i < 3; i++)
        *rows[i] = rows_of_block(s, names[i], *rows[i], c);
    tensor *o;
    if (option(s, "softmax"))
        o = tensor_attention(
            q, k, v, &(struct attention_options){.scale = 1, .causal = option(s, "causal"), .block = c});
    else
        o = activated(s, q, k, v);
    return tensor_slice(o, 1, o->shape[1] - length, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    bool bias = option(s, "bias");
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, bias), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, bias), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, bias), heads);
    tensor *o = merge_heads(attend(s, tensor_scale(q, 1 / sqrt((double)q->shape[3])), k, v));
    return linear(s, "out_proj", option(s, "softmax") ? o : output_norm(s, "norm", o), s->width, bias);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "normalizer") == 0)
        return option(s, "softmax") ? "softmax" : NULL;
    return causality_by_option(s, name);
}

KERNEL(diagonal_attention) = {
    .name = "diagonal-attention",
    .slot = SLOT_MIXER,
    .variant = "transnormer",
    .summary = "attention inside blocks of positions, with activated scores and a norm or with a softmax",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("block", 64, 1, 1 << 16, "positions of a block"),
                       FLAG_OPTION("softmax", 0, "weights are a softmax; no norm then"),
                       CHOICE_OPTION("activation", "relu|identity|relu2|gelu|silu|sigmoid|exp|elu|elu+1",
                                     "of the scores without a softmax"),
                       OUTPUT_NORM_OPTIONS("gated-rmsnorm|layernorm|simple-rmsnorm|rmsnorm"),
                       FLAG_OPTION("bias", 1, "projections have biases"),
                       FLAG_OPTION("causal", 1, "positions see no later ones")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"state", "window-cache"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
