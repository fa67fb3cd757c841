/* AFNO's token mixing (afno; NVlabs/AFNO-transformer AFNO1D). With X the orthonormal Fourier transform of x
 * over time, cut into `blocks` of channels, W1, W2, b1, b2 complex and one set a block for all frequencies:
 *
 *     Z = shrink(relu(X W1 + b1) W2 + b2)
 *         relu and shrink on real and imaginary parts; shrink by `threshold` towards 0
 *     y = F^-1(Z) + x                          Z is 0 above the lowest `fraction` of the frequencies */
#include "block/modes.h"
#include <math.h>

/* X [B, M, blocks, i] W[which] + b[which]: parameters NAME [2, blocks, i, o], b [2, blocks, o]. */
static struct pair affine(struct scope *s, const char *layer, struct pair X, int64_t outputs)
{
    int64_t blocks = X.real->shape[2], inputs = X.real->shape[3];
    tensor *w =
        parameter(s, part_name(s, "w%s", layer), init_normal(0.02), 4, SHAPE(2, blocks, inputs, outputs));
    tensor *b = parameter(s, part_name(s, "b%s", layer), init_normal(0.02), 3, SHAPE(2, blocks, outputs));
    tensor *W[2], *c[2];
    for (int i = 0; i < 2; i++) {
        W[i] = tensor_reshape(tensor_slice(w, 0, i, 1), 3, SHAPE(blocks, inputs, outputs));
        c[i] = tensor_reshape(tensor_slice(b, 0, i, 1), 2, SHAPE(blocks, outputs));
    }
    tensor *rr = per_head_product(X.real, W[0], false), *ii = per_head_product(X.imaginary, W[1], false);
    tensor *ri = per_head_product(X.real, W[1], false), *ir = per_head_product(X.imaginary, W[0], false);
    return (struct pair){tensor_add(tensor_subtract(rr, ii), c[0]), tensor_add(tensor_add(ri, ir), c[1])};
}

static tensor *shrunk(tensor *x, double threshold)
{
    return tensor_multiply(tensor_relu(tensor_affine(tensor_absolute(x), 1, -threshold)), tensor_sign(x));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], width = s->width, bins = length / 2 + 1;
    int64_t blocks = option(s, "blocks"), size = width / blocks;
    int64_t passed = (int64_t)((double)bins * option_real(s, "fraction"));
    int64_t kept = passed ? passed : 1; /* which then weighs nothing: the parameters are there all the same */
    double root = sqrt((double)length);
    tensor *X = tensor_scale(tensor_slice(tensor_fourier(x, 1), 1, 0, kept), 1 / root);
    X = tensor_reshape(X, 5, SHAPE(batch, kept, blocks, size, 2));
    struct pair hidden = affine(s, "1", pair_of(X), size * option(s, "expand"));
    hidden.real = tensor_relu(hidden.real);
    hidden.imaginary = tensor_relu(hidden.imaginary);
    struct pair Z = affine(s, "2", hidden, size);
    Z.real = shrunk(Z.real, option_real(s, "threshold"));
    Z.imaginary = shrunk(Z.imaginary, option_real(s, "threshold"));
    tensor *spectrum = tensor_reshape(pair_joined(Z), 4, SHAPE(batch, kept, width, 2));
    spectrum = tensor_pad(tensor_scale(spectrum, passed ? root : 0), 1, 0, bins - kept, 0);
    return tensor_add(tensor_inverse_fourier(spectrum, 1, length), x);
}

static const char *validate(const struct scope *s)
{
    return s->width % option(s, "blocks") ? "the width is not divisible by blocks" : NULL;
}

KERNEL(adaptive_fourier_operator) = {
    .name = "adaptive-fourier-operator",
    .slot = SLOT_MIXER,
    .variant = "afno",
    .summary = "one small block-diagonal complex network for all frequencies, with soft shrinkage",
    .options = OPTIONS(INTEGER_OPTION("blocks", 8, 1, 4096, "blocks of channels"),
                       REAL_OPTION("threshold", 0.01, 0, 1e6, "by which the spectrum shrinks"),
                       REAL_OPTION("fraction", 1, 0, 1, "of the frequencies that are kept, the lowest"),
                       INTEGER_OPTION("expand", 1, 1, 64, "hidden channels over a block's")),
    .characters = CHARACTERS({"mixing", "spectral"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"numbers", "complex"}, {"output-gate", "no"},
                             {"time", "log-linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
