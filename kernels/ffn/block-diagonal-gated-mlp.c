/* Monarch Mixer's channel mixer (m2, section 5.1; HazyResearch/m2 BertGatedLinearUnitMLP with
 * BlockdiagLinear): a gated network whose linear maps are block diagonal. Block k of a weight
 * [blocks, out / blocks, in / blocks] maps the k-th piece of the input, zeros behind it if it does not
 * divide, to the k-th piece of the output. So the gate half is made of the first pieces of x, the value half
 * of the last:
 *
 *     (g, v) = halves of B1 x,   y = B2 (act(g) * v) + b */
#include "block/kernel.h"

static tensor *block_diagonal(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    int64_t blocks = option(s, "blocks"), inputs = tensor_length(x, -1);
    int64_t in = (inputs + blocks - 1) / blocks, out = (outputs + blocks - 1) / blocks;
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 3, SHAPE(blocks, out, in));
    tensor *pieces = split_heads(tensor_pad(x, 2, 0, in * blocks - inputs, 0), blocks);
    return tensor_slice(merge_heads(per_head_product(pieces, weight, true)), 2, 0, outputs);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)s->width));
    tensor *both = block_diagonal(s, "gated_layers", x, 2 * hidden);
    tensor *gate = tensor_activation(tensor_slice(both, 2, 0, hidden), option_choice(s, "activation"));
    tensor *y =
        block_diagonal(s, "wo", tensor_multiply(gate, tensor_slice(both, 2, hidden, hidden)), s->width);
    return tensor_add(y, parameter(s, "wo.bias", init_constant(0), 1, SHAPE(s->width)));
}

KERNEL(block_diagonal_gated_mlp) = {
    .name = "block-diagonal-gated-mlp",
    .slot = SLOT_FFN,
    .variant = "m2",
    .summary = "a gated feed-forward network with block-diagonal linear maps",
    .options = OPTIONS(INTEGER_OPTION("blocks", 4, 1, 4096, "blocks of the linear maps"),
                       CHOICE_OPTION("activation", "gelu|gelu_tanh|silu|relu", "of the gate"),
                       REAL_OPTION("expand", 4, 0.01, 64, "hidden channels over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "multiplicative"}),
    .forward = forward,
    .step = forward,
};
