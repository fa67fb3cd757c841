/* A layer of the Fourier neural operator over one axis (fno; fourier_1d.py of the published code): the lowest
 * modes of the input's Fourier transform over time, each times a complex matrix of its own, transformed back,
 * beside a map of each token alone:
 *
 *     y = act(F^-1(R_k F(x)_k, k < modes) + W x + b)
 *         R parameter conv.weights1 [D, D, modes, 2]: channel in, channel out
 *
 * Shorter inputs have fewer modes; an input has as many as its half spectrum. */
#include "block/modes.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], width = s->width, modes = option(s, "modes");
    int64_t bins = length / 2 + 1, kept = modes < bins ? modes : bins;
    double scale = 1 / (double)width;
    tensor *weights = parameter(s, "conv.weights1", init_uniform(0, scale), 4, SHAPE(width, width, modes, 2));
    struct pair R = pair_of(tensor_permute(tensor_slice(weights, 2, 0, kept), (const int[]){2, 0, 1, 3}));
    tensor *X = tensor_slice(tensor_fourier(x, 1), 1, 0, kept);
    struct pair low = pair_of(tensor_transpose(X, 0, 1)); /* [modes, B, D] */
    tensor *rr = tensor_matmul(low.real, R.real), *ii = tensor_matmul(low.imaginary, R.imaginary);
    tensor *ri = tensor_matmul(low.real, R.imaginary), *ir = tensor_matmul(low.imaginary, R.real);
    tensor *Y = pair_joined((struct pair){tensor_subtract(rr, ii), tensor_add(ri, ir)});
    Y = tensor_pad(tensor_transpose(Y, 0, 1), 1, 0, bins - kept, 0);
    tensor *W = parameter(s, "w.weight", init_linear(), 3, SHAPE(width, width, 1));
    tensor *b = parameter(s, "w.bias", init_constant(0), 1, SHAPE(width));
    tensor *y = tensor_linear(x, tensor_reshape(W, 2, SHAPE(width, width)), b);
    y = tensor_add(tensor_inverse_fourier(Y, 1, length), y);
    return tensor_activation(y, option_choice(s, "activation"));
}

KERNEL(fourier_operator) = {
    .name = "fourier-operator",
    .slot = SLOT_MIXER,
    .variant = "fno",
    .summary = "a complex matrix for each of the lowest Fourier modes, beside a map of each token alone",
    .options = OPTIONS(INTEGER_OPTION("modes", 16, 1, 1 << 16, "lowest Fourier modes"),
                       CHOICE_OPTION("activation", "gelu|relu|silu|tanh|identity", "of the layer")),
    .characters = CHARACTERS({"mixing", "spectral"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"numbers", "complex"}, {"output-gate", "no"},
                             {"time", "log-linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
