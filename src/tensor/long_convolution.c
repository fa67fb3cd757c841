/* Depthwise convolution with kernels as long as the sequence. Double precision has slow transforms only (see
 * fourier_plan.c) and always sums directly, which makes it an independent truth for the single-precision
 * library. */
#include "tensor/long_convolution.h"
#include "tensor/fourier_plan.h"

enum { SHORT = 512 }; /* most taps summed directly; there both ways take the same time on x86-64-v2 */

struct way {
    bool circular;
    int64_t ahead;
};

static struct convolution convolution_of(const tensor *x, const tensor *kernel, const struct way *way)
{
    int64_t length = x->shape[1], taps = kernel->shape[kernel->rank - 1];
    return (struct convolution){.circular = way->circular,
                                .ahead = way->ahead,
                                .batch = x->shape[0],
                                .length = length,
                                .channels = x->shape[2],
                                .taps = taps < length + way->ahead ? taps : length + way->ahead,
                                .kernels = kernel->rank == 3 ? x->shape[0] : 1,
                                .sharing = kernel->rank == 3 ? 1 : x->shape[0],
                                .alike = x->shape[2] > 1 && kernel->shape[kernel->rank - 2] == 1};
}

double convolution_pairs(const struct convolution *c)
{
    double taps = (double)c->taps, length = (double)c->length, ahead = (double)c->ahead, past = taps - ahead;
    return c->circular ? taps * length : taps * length - past * (past - 1) / 2 - ahead * (ahead + 1) / 2;
}

static bool sums_directly(const struct convolution *c)
{
    return c->taps <= SHORT || sizeof(real) == sizeof(double);
}

static void long_convolution_forward(tensor *y)
{
    struct convolution c = convolution_of(y->inputs[0], y->inputs[1], y->attributes);
    (sums_directly(&c) ? convolution_direct : convolution_spectral)(y, &c);
}

static void long_convolution_backward(tensor *y)
{
    struct convolution c = convolution_of(y->inputs[0], y->inputs[1], y->attributes);
    (sums_directly(&c) ? convolution_direct_backward : convolution_spectral_backward)(y, &c);
}

static const struct operation long_convolution_operation = {"long_convolution", long_convolution_forward,
                                                            long_convolution_backward,
                                                            SAVES_INPUT(0) | SAVES_INPUT(1), false};

/* Operations of the way that takes fewer, whichever is run: growth with the length is then the method's
 * own. */
static void count_flops(tensor *y, const struct convolution *c)
{
    double rows = (double)(c->batch * c->channels),
           kernels = (double)(c->kernels * (c->alike ? 1 : c->channels));
    double products = rows * convolution_product_flops(c), direct = 2 * rows * convolution_pairs(c);
    double spectral = convolution_transform_flops(c, kernels + 2 * rows) + products;
    if (direct <= spectral)
        node_count(y, direct, 2 * direct);
    else
        node_count(y, spectral, convolution_transform_flops(c, 2 * kernels + 3 * rows) + 2 * products);
}

static tensor *convolve(tensor *x, tensor *kernel, struct way way)
{
    const char *name = long_convolution_operation.name;
    require(x->rank == 3 && x->shape[1] > 0 && x->shape[1] <= FOURIER_MAX_LENGTH, x, name,
            "an input [B, T, C] with T > 0");
    bool batched = kernel->rank == 3;
    int64_t channels = kernel->rank >= 2 ? kernel->shape[kernel->rank - 2] : 0;
    require((kernel->rank == 2 || (batched && kernel->shape[0] == x->shape[0])) &&
                (channels == x->shape[2] || channels == 1) && kernel->shape[kernel->rank - 1] > 0,
            kernel, name, "a kernel [C, L] or [B, C, L] with the input's B and C, or C = 1, and L > 0");
    require(!way.circular || kernel->shape[kernel->rank - 1] == x->shape[1], kernel, name,
            "a circular kernel as long as the sequence");
    require(way.ahead >= 0 && way.ahead < x->shape[1] && way.ahead < kernel->shape[kernel->rank - 1], kernel,
            name, "fewer taps ahead than there are tokens and taps");
    struct convolution c = convolution_of(x, kernel, &way);
    tensor *inputs[] = {x, kernel};
    tensor *y = node_create(x->graph, &long_convolution_operation, 3, x->shape, 2, inputs, &way, sizeof way);
    count_flops(y, &c);
    return y;
}

tensor *tensor_long_convolution(tensor *x, tensor *kernel, bool circular)
{
    return convolve(x, kernel, (struct way){.circular = circular});
}

tensor *tensor_two_sided_convolution(tensor *x, tensor *kernel, int64_t ahead)
{
    return convolve(x, kernel, (struct way){.ahead = ahead});
}
