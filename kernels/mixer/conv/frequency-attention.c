/* ETSformer's frequency attention (etsformer; salesforce/ETSformer FourierLayer), within the input: of each
 * channel's Fourier transform over time, without the mean and, for an even length, without the highest
 * frequency, the `components` of largest amplitude are kept and transformed back. The published layer also
 * extrapolates them past the input, for forecasts. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], bins = length / 2 + 1, usable = (length - 1) / 2;
    int64_t batch = x->shape[0], width = s->width, kept = option(s, "components");
    kept = kept < usable ? kept : usable;
    if (kept == 0)
        return tensor_scale(x, 0);
    tensor *spectrum = tensor_slice(tensor_fourier(x, 1), 1, 1, usable);
    tensor *size = tensor_sum(tensor_square(tensor_stop_gradient(spectrum)), 3), *chosen;
    size = tensor_transpose(tensor_reshape(size, 3, SHAPE(batch, usable, width)), 1, 2);
    tensor_top_k(size, kept, &chosen);
    tensor *places = tensor_transpose(chosen, 1, 2); /* [B, kept, D] */
    tensor *mask =
        tensor_scatter_add(tensor_full(s->graph, 1, 3, SHAPE(batch, kept, width)), 1, places, usable);
    spectrum = tensor_multiply(spectrum, tensor_reshape(mask, 4, SHAPE(batch, usable, width, 1)));
    return tensor_inverse_fourier(tensor_pad(spectrum, 1, 1, bins - 1 - usable, 0), 1, length);
}

KERNEL(frequency_attention) = {
    .name = "frequency-attention",
    .slot = SLOT_MIXER,
    .variant = "etsformer",
    .summary = "keeps the strongest Fourier components of each channel",
    .options = OPTIONS(INTEGER_OPTION("components", 1, 1, 1 << 16, "frequencies kept")),
    .characters = CHARACTERS({"mixing", "spectral"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"numbers", "complex"}, {"output-gate", "no"},
                             {"time", "log-linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
