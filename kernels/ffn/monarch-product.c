/* A Monarch matrix times each token (m2, section 3.1; HazyResearch/m2 blockdiag_butterfly_multiply):
 * block-diagonal, stride permutation, block-diagonal, stride permutation. Channels x[k p + i], w1 [k, q, p],
 * w2 [l, s, r], k q = l r:
 *
 *     u[k q + j] = sum_i w1[k, j, i] x[k p + i],   y[l s' + b] = sum_a w2[b, s', a] u[l a + b],  b < l */
#include "block/kernel.h"

struct sizes {
    int64_t k, q, p, l, s, r;
};

static struct sizes sizes_of(const struct scope *s)
{
    struct sizes n = {.k = option(s, "blocks")};
    n.p = s->width / n.k;
    n.q = option_or(s, "rows", n.p);
    n.l = option_or(s, "out_blocks", n.k);
    n.s = option_or(s, "out_rows", s->width / n.l);
    n.r = n.k * n.q / n.l;
    return n;
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct sizes n = sizes_of(s);
    int64_t batch = x->shape[0], length = x->shape[1];
    tensor *w1 = parameter(s, "w1", init_linear(), 3, SHAPE(n.k, n.q, n.p));
    tensor *w2 = parameter(s, "w2", init_linear(), 3, SHAPE(n.l, n.s, n.r));
    tensor *u = per_head_product(split_heads(x, n.k), w1, true);
    u = tensor_transpose(tensor_reshape(u, 4, SHAPE(batch, length, n.r, n.l)), 2, 3);
    tensor *y = tensor_transpose(per_head_product(u, w2, true), 2, 3);
    return tensor_reshape(y, 3, SHAPE(batch, length, n.s * n.l));
}

static const char *validate(const struct scope *s)
{
    if (s->width % option(s, "blocks"))
        return "the width is not divisible by blocks";
    struct sizes n = sizes_of(s);
    return n.k * n.q % n.l || n.s == 0 ? "blocks * rows is not divisible by out_blocks" : NULL;
}

KERNEL(monarch_product) = {
    .name = "monarch-product",
    .slot = SLOT_FFN,
    .variant = "m2",
    .summary = "a product of two block-diagonal matrices with permutations between",
    .options = OPTIONS(INTEGER_OPTION("blocks", 4, 1, 4096, "blocks of the first matrix"),
                       INTEGER_OPTION("rows", 0, 0, 1 << 20, "rows of such a block; 0: square"),
                       INTEGER_OPTION("out_blocks", 0, 0, 4096, "blocks of the second; 0: as many"),
                       INTEGER_OPTION("out_rows", 0, 0, 1 << 20,
                                      "rows of such a block; 0: width / out_blocks")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
