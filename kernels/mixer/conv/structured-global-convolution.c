/* SGConv (sgconv, section 3.2; ctlllll/SGConv gconv_standalone.py GConv). S = 1 + log2(length / kernel_dim) -
 * init_scale short filters w_i of kernel_dim taps are stretched by powers of two and weighted:
 *
 *     cat:  K = [up_{f_i}(w_i) m^{S-1-i}],  f_i = 2^(max(0, i-1) + init_scale), one behind the other
 *     sum:  K = sum_i up_{f_i}(w_i) m^{S-1-i},  f_i = 2^(i + init_scale)
 *     y = act(K / z * x + D x) Wo + bo              m buffer `multiplier` per channel, z buffer `kernel_norm`
 *
 * or with `decay` learned or kept K[l] = (..)[l] (l + 1)^-decay for a parameter or buffer `decay` per
 * channel, and no m.
 *
 * up stretches linearly or repeats. z is the norm of K when weights were first drawn; ours starts at its
 * expectation. `bidirectional`: a second half of the channels reads ahead, its first tap by one position. */
#include "block/filters.h"
#include "stretched-taps.h"
#include <math.h>
#include <string.h>

static int64_t scales(const struct scope *s)
{
    double ratio = (double)option(s, "length") / (double)option(s, "kernel_dim");
    int64_t derived = 1 + (int64_t)ceil(log2(ratio)) - option(s, "init_scale");
    return option_or(s, "scales", derived);
}

static bool sums(const struct scope *s)
{
    return option_is(s, "joined", "sum");
}

static int64_t stretch(const struct scope *s, int64_t i)
{
    int64_t power = sums(s) ? i : i > 0 ? i - 1 : 0;
    return (int64_t)1 << (power + option(s, "init_scale"));
}

static double multiplier(const struct scope *s, int64_t channel)
{
    double low = option_real(s, "decay_min"), high = option_real(s, "decay_max");
    return s->width > 1 ? low + (high - low) * (double)channel / (double)(s->width - 1) : low;
}

static void fill_multiplier(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t c = 0; c < shape[1]; c++)
        values[c] = (real)multiplier(s, c);
}

static bool decays(const struct scope *s)
{
    return !option_is(s, "decay", "scales");
}

/* The expected square of K for normal taps of unit variance; interpolation leaves two thirds of it. */
static double expected_square(const struct scope *s, double weight)
{
    double square = 0, term = 1, share = option_is(s, "stretched", "linear") ? 2.0 / 3 : 1;
    for (int64_t l = 1; decays(s) && l <= option(s, "length") && term > 1e-9; l++)
        square += term = pow((double)l, -2 * weight);
    for (int64_t i = 0; !decays(s) && i < scales(s); i++) {
        double taps = (double)(option(s, "kernel_dim") * stretch(s, i));
        square += taps * (stretch(s, i) > 1 ? share : 1) * pow(weight, 2 * (double)(scales(s) - 1 - i));
    }
    return square;
}

static void fill_norm(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        values[i] = (real)sqrt(expected_square(s, multiplier(s, i % shape[1])));
}

static void fill_decay(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t c = 0; c < shape[0]; c++)
        values[c] = (real)multiplier(s, c);
}

/* k [C, H, n] times (l + 1)^-decay. */
static tensor *decayed(struct scope *s, tensor *k)
{
    const int64_t *shape = SHAPE(s->width);
    tensor *decay = option_is(s, "decay", "learned")
                        ? parameter(s, "decay", init_function(fill_decay), 1, shape)
                        : buffer(s, "decay", init_function(fill_decay), 1, shape);
    tensor *distance = tensor_log(tensor_range(s->graph, 1, k->shape[2], 1));
    tensor *power = tensor_multiply(tensor_reshape(decay, 2, SHAPE(s->width, 1)), distance);
    return tensor_multiply(k, tensor_exp(tensor_negate(power)));
}

/* K / z of at most `taps` taps: [C, H, ..]. */
static tensor *filter(struct scope *s, int64_t all, int64_t taps)
{
    int64_t count = scales(s), n = option(s, "kernel_dim"), start = 0;
    tensor *base = NULL, *k = NULL;
    if (decays(s))
        buffer(s, "multiplier", init_constant(1), 1, SHAPE(1));
    else
        base = buffer(s, "multiplier", init_function(fill_multiplier), 3, SHAPE(1, s->width, 1));
    for (int64_t i = 0; i < count; i++) {
        tensor *w = parameter(s, part_name(s, "kernel_list.%lld", (long long)i), init_normal(1), 3,
                              SHAPE(all, s->width, n));
        int64_t size = n * stretch(s, i), left = taps - (sums(s) ? 0 : start);
        if (left <= 0)
            continue;
        tensor *piece =
            stretched_taps(w, stretch(s, i), size < left ? size : left, option_is(s, "stretched", "linear"));
        if (base)
            piece = tensor_multiply(piece, tensor_raise(base, (double)(count - 1 - i)));
        if (!k)
            k = piece;
        else if (!sums(s))
            k = tensor_concat(2, (tensor *[]){k, piece}, 2);
        else
            k = tensor_add(tensor_pad(k, 2, 0, piece->shape[2] - k->shape[2], 0), piece);
        start += size;
    }
    k = decays(s) ? decayed(s, k) : k;
    return tensor_divide(k, buffer(s, "kernel_norm", init_function(fill_norm), 3, SHAPE(all, s->width, 1)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t channels = option(s, "channels"), rows = channels * s->width;
    int64_t directions = option(s, "bidirectional") ? 2 : 1;
    tensor *k = filter(s, directions * channels, s->position + x->shape[1]), *y;
    k = tensor_reshape(k, 2, SHAPE(directions * rows, k->shape[2]));
    tensor *copies = channels > 1 ? tensor_repeat(x, 2, channels) : x;
    if (directions == 2)
        y = two_sided_convolution(copies, tensor_slice(k, 0, 0, rows), tensor_slice(k, 0, rows, rows));
    else
        y = kept_long_convolution(s, "x", copies, k, 0);
    tensor *D = parameter(s, "D", init_normal(1), 2, SHAPE(channels, s->width));
    y = tensor_add(y, tensor_multiply(copies, tensor_reshape(D, 1, SHAPE(rows))));
    y = tensor_activation(y, option_choice(s, "activation"));
    if (!option(s, "glu"))
        return linear(s, "output_linear", y, s->width, true);
    y = linear(s, "output_linear.0", y, 2 * s->width, true);
    return tensor_multiply(tensor_slice(y, 2, 0, s->width),
                           tensor_sigmoid(tensor_slice(y, 2, s->width, s->width)));
}

static const char *validate(const struct scope *s)
{
    int64_t count = scales(s);
    return count < 1 || count + option(s, "init_scale") > 40
               ? "length, kernel_dim and init_scale leave no scale"
               : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "decay") == 0)
        return option_is(s, "decay", "learned") ? "learned" : NULL;
    return causality_by_option(s, name);
}

KERNEL(structured_global_convolution) = {
    .name = "structured-global-convolution",
    .slot = SLOT_MIXER,
    .variant = "sgconv",
    .summary = "a long filter joined from short ones, each stretched twice as far and weighted less",
    .options =
        OPTIONS(INTEGER_OPTION("length", 16384, 1, 1 << 24, "taps that the scales reach"),
                INTEGER_OPTION("kernel_dim", 64, 2, 4096, "taps of a short filter"),
                INTEGER_OPTION("channels", 1, 1, 64, "filters to each channel of the input"),
                INTEGER_OPTION("init_scale", 0, 0, 20, "power of two of the first stretch"),
                INTEGER_OPTION("scales", 0, 0, 40, "short filters; 0: derived from length"),
                REAL_OPTION("decay_min", 2, 0.01, 100, "weight of a scale over the next, first channel"),
                REAL_OPTION("decay_max", 2, 0.01, 100, "the same, last channel"),
                CHOICE_OPTION("decay", "scales|learned|kept", "by the scale, or a power of the distance"),
                CHOICE_OPTION("joined", "cat|sum", "how scales make the filter"),
                CHOICE_OPTION("stretched", "linear|nearest", "how values between taps are made"),
                CHOICE_OPTION("activation", "gelu|relu|silu|tanh|sigmoid|identity", "before the output"),
                FLAG_OPTION("glu", 0, "the output is gated by a second projection"),
                FLAG_OPTION("bidirectional", 0, "later tokens are seen as well")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"decay", "fixed"},
                             {"output-gate", "no"}, {"position", "relative"}, {"time", "log-linear"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
