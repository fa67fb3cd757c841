/* IGLOO (igloo; miniigloo.py of apcamargo/RNAsamba, after the author's igloo1D). A sequence becomes one
 * vector: a stack of causal convolutions gives features u, and each of N patches weighs a few time steps of
 * it, drawn once for all:
 *
 *     u_i = lrelu(conv_i(u_{i-1})),  u_{-1} = x          dilation 1, then `dilation`; lrelu of slope 0.1
 *     z_i[n] = lrelu(sum_{q, c} w_mult[n, q, c] u_i[patches[n, q], c] + w_bias[n]),   y = (z_0, z_1, ..)
 *
 * Tables `patchesI` [N, patch_size] hold times below `length`: the newest tokens of the input, zeros before a
 * shorter one. With `backbone` the first patches cover the sequence from its end in overlapping runs. y is
 * [B, 1, stacks * N]. */
#include "block/kernel.h"
#include "tensor/random.h"

static int64_t patches(const struct scope *s)
{
    return option_or(s, "patches", s->width / option(s, "stacks"));
}

/* Overlapping runs from the end while they fit, then draws. */
static void fill_patches(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    int64_t count = shape[0], size = shape[1], length = option(s, "length"), run = 0;
    int64_t steps = size > 1 ? size - 1 : 1;
    if (option(s, "backbone"))
        for (int64_t end = length; run < count && end >= size; run++, end -= steps)
            for (int64_t q = 0; q < size; q++)
                values[run * size + q] = (real)(end - size + q);
    random_fill_uniform(7, 0, 0, (count - run) * size, 0, (double)length, values + run * size);
    for (int64_t i = run * size; i < count * size; i++) {
        int64_t place = (int64_t)values[i];
        values[i] = (real)(place < length ? place : length - 1);
    }
}

/* A causal convolution over all channels: NAME.weight [outputs, inputs, taps]. */
static tensor *convolved(struct scope *s, const char *name, tensor *x, int64_t outputs, int64_t dilation)
{
    int64_t taps = option(s, "conv"), inputs = x->shape[2];
    tensor *parts[64];
    for (int64_t k = 0; k < taps; k++)
        parts[k] = tensor_shift(x, 1, (taps - 1 - k) * dilation);
    tensor *seen = taps > 1 ? tensor_concat((int)taps, parts, 2) : x;
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_linear(), 3, SHAPE(outputs, inputs, taps));
    weight = tensor_reshape(tensor_transpose(weight, 1, 2), 2, SHAPE(outputs, taps * inputs));
    return tensor_linear(seen, weight,
                         parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(outputs)));
}

/* The newest `length` rows, zeros before them if there are fewer. */
static tensor *newest(tensor *u, int64_t length)
{
    int64_t missing = length - u->shape[1];
    return missing > 0 ? tensor_pad(u, 1, missing, 0, 0) : tensor_slice(u, 1, -missing, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t count = patches(s), size = option(s, "patch_size"), filters = option(s, "filters");
    int64_t length = option(s, "length"), batch = x->shape[0], stacks = option(s, "stacks");
    tensor *vectors[64], *u = x;
    for (int64_t i = 0; i < stacks; i++) {
        long long n = (long long)i;
        int64_t dilation = i ? option(s, "dilation") : 1;
        u = tensor_leaky_relu(convolved(s, part_name(s, "convs.%lld", n), u, filters, dilation), 0.1);
        tensor *table =
            buffer(s, part_name(s, "patches%lld", n), init_function(fill_patches), 2, SHAPE(count, size));
        tensor *w =
            parameter(s, part_name(s, "w_mult.%lld", n), init_linear(), 3, SHAPE(count, size, filters));
        tensor *b = parameter(s, part_name(s, "w_bias.%lld", n), init_constant(0), 1, SHAPE(count));
        tensor *read =
            tensor_gather(newest(u, length), 1, tensor_reshape(table, 3, SHAPE(1, count * size, 1)));
        read = tensor_reshape(read, 3, SHAPE(batch, count, size * filters));
        tensor *z = tensor_sum(tensor_multiply(read, tensor_reshape(w, 2, SHAPE(count, size * filters))), 2);
        z = tensor_add(tensor_reshape(z, 3, SHAPE(batch, 1, count)), b);
        vectors[i] = tensor_leaky_relu(z, 0.1);
    }
    return tensor_concat((int)stacks, vectors, 2);
}

static const char *validate(const struct scope *s)
{
    return patches(s) == 0 ? "stacks is more than the width, which gives no patch to each" : NULL;
}

KERNEL(patch_slicing) = {
    .name = "patch-slicing",
    .slot = SLOT_MIXER,
    .variant = "igloo",
    .summary = "weighted sums over random sets of time steps of a convolution make one vector of a sequence",
    .options = OPTIONS(INTEGER_OPTION("patches", 0, 0, 1 << 20, "sets of a stack; 0: width / stacks"),
                       INTEGER_OPTION("patch_size", 4, 1, 1024, "time steps of a set"),
                       INTEGER_OPTION("filters", 64, 1, 1 << 16, "channels of the convolutions"),
                       INTEGER_OPTION("conv", 3, 1, 64, "taps of the convolutions"),
                       INTEGER_OPTION("dilation", 3, 1, 1 << 16, "of the convolutions after the first"),
                       INTEGER_OPTION("stacks", 1, 1, 64, "convolutions, each with sets of its own"),
                       INTEGER_OPTION("length", 128, 1, 1 << 24, "newest positions that sets are drawn from"),
                       FLAG_OPTION("backbone", 1, "the first sets cover the sequence")),
    .characters = CHARACTERS({"mixing", "learned-matrix"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "landmark"}, {"position", "absolute"}, {"output-gate", "no"},
                             {"short-convolution", "yes"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
