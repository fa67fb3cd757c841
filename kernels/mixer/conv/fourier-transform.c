/* FNet's token mixing (fnet, section 3.2, eq. 3): the real part of the discrete Fourier transform over time
 * and channels,
 *
 *     y[n, k] = Re sum_{t, j} x[t, j] exp(-2 pi i (n t / T + k j / D))
 *
 * Half of the channels' spectrum is enough: Re Y[n, D - k] = Re Y[-n mod T, k]. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, bins = width / 2 + 1, batch = x->shape[0], length = x->shape[1];
    tensor *spectrum = tensor_fourier_complex(tensor_fourier(x, 2), 1, false);
    tensor *low = tensor_reshape(tensor_slice(spectrum, 3, 0, 1), 3, SHAPE(batch, length, bins));
    if (width == bins)
        return low;
    tensor *high = tensor_flip(tensor_slice(low, 2, 1, width - bins), 2);
    high = tensor_roll(tensor_flip(high, 1), 1, 1);
    return tensor_concat(2, (tensor *[]){low, high}, 2);
}

KERNEL(fourier_transform) = {
    .name = "fourier-transform",
    .slot = SLOT_MIXER,
    .variant = "fnet",
    .summary = "the real part of a Fourier transform over time and channels, without parameters",
    .characters = CHARACTERS({"mixing", "spectral"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"numbers", "complex"}, {"output-gate", "no"},
                             {"time", "log-linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
