/* Depthwise convolution with kernels as long as the sequence. Double precision has slow transforms only (see
 * fourier_plan.c) and always sums directly, which makes it an independent truth for the single-precision
 * library. */
#include "tensor/long_convolution.h"
#include "tensor/fourier_plan.h"

enum { SHORT = 512 }; /* most taps summed directly; there both ways take the same time on x86-64-v2 */

static struct convolution convolution_of(const tensor *x, const tensor *kernel, bool circular)
{
    int64_t length = x->shape[1], taps = kernel->shape[kernel->rank - 1];
    return (struct convolution){.circular = circular,
                                .batch = x->shape[0],
                                .length = length,
                                .channels = x->shape[2],
                                .taps = taps < length ? taps : length,
                                .kernels = kernel->rank == 3 ? x->shape[0] : 1,
                                .sharing = kernel->rank == 3 ? 1 : x->shape[0]};
}

double convolution_pairs(const struct convolution *c)
{
    double taps = (double)c->taps, length = (double)c->length;
    return c->circular ? taps * length : taps * length - taps * (taps - 1) / 2;
}

static bool sums_directly(const struct convolution *c)
{
    return c->taps <= SHORT || sizeof(real) == sizeof(double);
}

static void long_convolution_forward(tensor *y)
{
    struct convolution c = convolution_of(y->inputs[0], y->inputs[1], *(const bool *)y->attributes);
    (sums_directly(&c) ? convolution_direct : convolution_spectral)(y, &c);
}

static void long_convolution_backward(tensor *y)
{
    struct convolution c = convolution_of(y->inputs[0], y->inputs[1], *(const bool *)y->attributes);
    (sums_directly(&c) ? convolution_direct_backward : convolution_spectral_backward)(y, &c);
}

static const struct operation long_convolution_operation = {"long_convolution", long_convolution_forward,
                                                            long_convolution_backward,
                                                            SAVES_INPUT(0) | SAVES_INPUT(1), false};

/* Operations of the way that takes fewer, whichever is run: growth with the length is then the method's own. */
static void count_flops(tensor *y, const struct convolution *c)
{
    double rows = (double)(c->batch * c->channels), kernels = (double)(c->kernels * c->channels);
    double products = rows * convolution_product_flops(c), direct = 2 * rows * convolution_pairs(c);
    double spectral = convolution_transform_flops(c, kernels + 2 * rows) + products;
    if (direct <= spectral)
        node_count(y, direct, 2 * direct);
    else
        node_count(y, spectral, convolution_transform_flops(c, 2 * kernels + 3 * rows) + 2 * products);
}

tensor *tensor_long_convolution(tensor *x, tensor *kernel, bool circular)
{
    const char *name = long_convolution_operation.name;
    require(x->rank == 3 && x->shape[1] > 0 && x->shape[1] <= FOURIER_MAX_LENGTH, x, name,
            "an input [B, T, C] with T > 0");
    bool batched = kernel->rank == 3;
    require((kernel->rank == 2 || (batched && kernel->shape[0] == x->shape[0])) &&
                kernel->shape[kernel->rank - 2] == x->shape[2] && kernel->shape[kernel->rank - 1] > 0,
            kernel, name, "a kernel [C, L] or [B, C, L] with the input's B and C and L > 0");
    require(!circular || kernel->shape[kernel->rank - 1] == x->shape[1], kernel, name,
            "a circular kernel as long as the sequence");
    struct convolution c = convolution_of(x, kernel, circular);
    tensor *inputs[] = {x, kernel};
    tensor *y = node_create(x->graph, &long_convolution_operation, 3, x->shape, 2, inputs, &circular,
                            sizeof circular);
    count_flops(y, &c);
    return y;
}
