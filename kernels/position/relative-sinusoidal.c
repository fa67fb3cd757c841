/* Relative sinusoids with learned content and position biases (transformer-xl, section 3.3; kimiyoung/transformer-xl
 * RelPartialLearnableMultiHeadAttn):
 *
 *     score = ((q + u) . k + (q + v) . r(t - s)) / sqrt(d),   r(n) = W_R (sin(n w), cos(n w)),  w_i = 10000^(-2i / D)
 *
 * u = r_w_bias, v = r_r_bias [H, d], shared by all layers. The two terms beside q . k are a bias of the scores, [B, H, T, S]. */
#include "block/kernel.h"
#include <math.h>

/* e(n) for n = count - 1 down to 0, all sines first: [count, D]. */
static tensor *sinusoids(struct scope *s, int64_t count)
{
    int64_t half = s->width / 2, clamp = option(s, "clamp");
    tensor *e = tensor_constant(s->graph, NULL, 2, SHAPE(count, 2 * half));
    for (int64_t row = 0; row < count; row++) {
        int64_t n = count - 1 - row;
        double distance = (double)(clamp > 0 && n > clamp ? clamp : n);
        for (int64_t i = 0; i < half; i++) {
            double angle = distance * pow(10000, -2.0 * (double)i / (double)s->width);
            e->data[row * 2 * half + i] = (real)sin(angle);
            e->data[row * 2 * half + half + i] = (real)cos(angle);
        }
    }
    return e;
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t heads = q->shape[2], d = q->shape[3], count = k->shape[1];
    tensor *u = shared_parameter(s, "r_w_bias", init_normal(0.02), 2, SHAPE(heads, d));
    tensor *v = shared_parameter(s, "r_r_bias", init_normal(0.02), 2, SHAPE(heads, d));
    tensor *r = linear(s, "r_net", sinusoids(s, count), heads * d, false);
    r = tensor_transpose(tensor_reshape(r, 3, SHAPE(count, heads, d)), 0, 1);
    tensor *by_distance = tensor_matmul_nt(tensor_transpose(tensor_add(q, v), 1, 2), r);
    tensor *content = tensor_sum(tensor_multiply(k, u), 3); /* u . k: [B, S, H, 1] */
    content = tensor_permute(content, (const int[]){0, 2, 3, 1});
    tensor *full = tensor_add(relative_shift(by_distance), content);
    return (struct score_bias){.full = tensor_scale(full, 1 / sqrt((double)d))};
}

static const char *validate(const struct scope *s)
{
    return s->width % 2 ? "the width must be even" : NULL;
}

KERNEL(relative_sinusoidal) = {
    .name = "relative-sinusoidal",
    .slot = SLOT_POSITION,
    .variant = "transformer-xl",
    .summary = "sinusoids of the distance, projected, meet queries with learned biases",
    .options = OPTIONS(INTEGER_OPTION("clamp", 0, -1, 1 << 24,
                                      "distances beyond it count as it; 0 or -1: none")),
    .characters = CHARACTERS({"position", "relative"}),
    .validate = validate,
    .bias = bias,
};
