/* Pointwise functions over broadcast shapes. */
#include "tensor/loops/pointwise.h"
#include "tensor/broadcast.h"
#include "tensor/operation.h"
#include <math.h>
#include <string.h>

/* ---- Unary ---- */

struct unary_attributes {
    enum unary function;
    double p[2];
};

static void unary_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    const struct unary_attributes *a = y->attributes;
    pointwise_loops()->unary[a->function](n, y->inputs[0]->data + offset[1], y->data + offset[0], a->p);
}

static void unary_forward(tensor *y)
{
    struct space space = space_of(y);
    space_each_row(y, &space, unary_row);
}

static void unary_backward_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    const struct unary_attributes *a = y->attributes;
    const tensor *x = y->inputs[0];
    pointwise_loops()->unary_backward[a->function](n, x->data ? x->data + offset[1] : NULL,
                                                   y->data ? y->data + offset[0] : NULL,
                                                   y->gradient + offset[0], x->gradient + offset[1], a->p);
}

static void unary_backward(tensor *y)
{
    struct space space = space_of(y);
    if (input_gradient(y, 0))
        space_each_row(y, &space, unary_backward_row);
}

static tensor *unary(tensor *x, enum unary function, double p0, double p1)
{
#define UNARY_OPERATION(name, value, slope, reads) \
    [UNARY_##name] = {#name, unary_forward, (reads) == FLAT ? NULL : unary_backward, (reads) & ~FLAT, true},
    static const struct operation operations[] = {UNARY_LIST(UNARY_OPERATION)};
    struct unary_attributes attributes = {function, {p0, p1}};
    x = with_even_rows(x, x->rank, x->shape);
    tensor *y = node_create(x->graph, &operations[function], x->rank, x->shape, 1, &x, &attributes,
                            sizeof attributes);
    node_count(y, (double)tensor_size(y), -1);
    return y;
}

#define UNARY_FUNCTIONS(FUNCTION) \
    FUNCTION(exp)                 \
    FUNCTION(expm1)               \
    FUNCTION(log)                 \
    FUNCTION(log1p)               \
    FUNCTION(sqrt)                \
    FUNCTION(reciprocal_sqrt)     \
    FUNCTION(reciprocal)          \
    FUNCTION(square)              \
    FUNCTION(absolute)            \
    FUNCTION(sin)                 \
    FUNCTION(cos)                 \
    FUNCTION(arctan)              \
    FUNCTION(tanh)                \
    FUNCTION(sigmoid)             \
    FUNCTION(log_sigmoid)         \
    FUNCTION(softplus)            \
    FUNCTION(silu)                \
    FUNCTION(relu)                \
    FUNCTION(gelu)                \
    FUNCTION(gelu_tanh)           \
    FUNCTION(elu)                 \
    FUNCTION(erf)                 \
    FUNCTION(sign)                \
    FUNCTION(floor)               \
    FUNCTION(round)
#define DEFINE_UNARY(name)                   \
    tensor *tensor_##name(tensor *x)         \
    {                                        \
        return unary(x, UNARY_##name, 0, 0); \
    }
UNARY_FUNCTIONS(DEFINE_UNARY)

tensor *tensor_affine(tensor *x, double scale, double shift)
{
    return scale == 1 && shift == 0 ? x : unary(x, UNARY_affine, scale, shift);
}

tensor *tensor_scale(tensor *x, double scale)
{
    return tensor_affine(x, scale, 0);
}

tensor *tensor_negate(tensor *x)
{
    return tensor_affine(x, -1, 0);
}

tensor *tensor_leaky_relu(tensor *x, double slope)
{
    return unary(x, UNARY_leaky_relu, slope, 0);
}

tensor *tensor_clamp(tensor *x, double low, double high)
{
    return unary(x, UNARY_clamp, low, high);
}

tensor *tensor_raise(tensor *x, double exponent)
{
    return exponent == 2 ? tensor_square(x) : exponent == 1 ? x : unary(x, UNARY_raise, exponent, 0);
}

static tensor *relu_squared(tensor *x)
{
    return tensor_square(tensor_relu(x));
}

static tensor *elu_plus_one(tensor *x)
{
    return tensor_affine(tensor_elu(x), 1, 1);
}

static tensor *elu_plus_two(tensor *x)
{
    return tensor_affine(tensor_elu(x), 1, 2);
}

static tensor *leaky_relu(tensor *x)
{
    return tensor_leaky_relu(x, 0.01);
}

static tensor *identity(tensor *x)
{
    return x;
}

tensor *tensor_activation(tensor *x, const char *name)
{
    static const struct {
        const char *name;
        tensor *(*function)(tensor *);
    } activations[] = {
        {"identity", identity},      {"relu", tensor_relu},         {"relu2", relu_squared},
        {"gelu", tensor_gelu},       {"silu", tensor_silu},         {"gelu_tanh", tensor_gelu_tanh},
        {"sigmoid", tensor_sigmoid}, {"tanh", tensor_tanh},         {"elu", tensor_elu},
        {"elu+1", elu_plus_one},     {"elu+2", elu_plus_two},       {"leaky_relu", leaky_relu},
        {"exp", tensor_exp},         {"softplus", tensor_softplus}, {"log_sigmoid", tensor_log_sigmoid},
    };
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0)
            return activations[i].function(x);
    graph_raise(x->graph, STATUS_USAGE, "unknown activation '%s'", name);
}

/* ---- Binary ---- */

static void binary_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    enum binary function = *(const enum binary *)y->attributes;
    pointwise_loops()->binary[function](n, y->inputs[0]->data + offset[1], space->step[1],
                                        y->inputs[1]->data + offset[2], space->step[2], y->data + offset[0]);
}

static void binary_forward(tensor *y)
{
    struct space space = space_of(y);
    space_each_row(y, &space, binary_row);
}

/* Adds to da and db (either may be NULL) what n entries from these offsets on contribute. One after the
 * other: a and b may be one tensor. */
static void binary_slopes(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                          real *da, real *db)
{
    enum binary function = *(const enum binary *)y->attributes;
    const real *a = y->inputs[0]->data ? y->inputs[0]->data + offset[1] : NULL;
    const real *b = y->inputs[1]->data ? y->inputs[1]->data + offset[2] : NULL;
    const real *dy = y->gradient + offset[0];
    if (da)
        pointwise_loops()->binary_backward[function](n, a, space->step[1], b, space->step[2], dy, da, NULL);
    if (db)
        pointwise_loops()->binary_backward[function](n, a, space->step[1], b, space->step[2], dy, NULL, db);
}

static void binary_row_to_a(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    binary_slopes(y, space, offset, n, y->inputs[0]->gradient + offset[1], NULL);
}

static void binary_row_to_b(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    binary_slopes(y, space, offset, n, NULL, y->inputs[1]->gradient + offset[2]);
}

static void binary_row_to_both(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    binary_slopes(y, space, offset, n, y->inputs[0]->gradient + offset[1],
                  y->inputs[1]->gradient + offset[2]);
}

static void binary_sum_a(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                         real *sum)
{
    binary_slopes(y, space, offset, n, sum, NULL);
}

static void binary_sum_b(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                         real *sum)
{
    binary_slopes(y, space, offset, n, NULL, sum);
}

static void binary_backward(tensor *y)
{
    enum binary function = *(const enum binary *)y->attributes;
    struct space space = space_of(y);
    bool to_a = y->inputs[0]->needs_gradient, to_b = y->inputs[1]->needs_gradient;
    if (to_a && space_repeats(&space, 1)) {
        space_collect(y, &space, 1, binary_sum_a, input_gradient(y, 0));
        to_a = false;
    }
    if (to_b && space_repeats(&space, 2)) {
        space_collect(y, &space, 2, binary_sum_b, input_gradient(y, 1));
        to_b = false;
    }
    /* A sum (a residual, a bias) hands dL/dy on, to b only where a takes no part. */
    bool pass_a = to_a && (function == BINARY_add || function == BINARY_subtract);
    bool pass_b = to_b && !to_a && function == BINARY_add;
    if (to_b && !pass_b && (pass_a || !to_a)) {
        input_gradient(y, 1);
        space_each_row(y, &space, binary_row_to_b);
        to_b = false;
    }
    if ((pass_a && pass_gradient(y, 0)) || (pass_b && pass_gradient(y, 1)))
        return;
    if (to_a)
        input_gradient(y, 0);
    if (to_b)
        input_gradient(y, 1);
    if (to_a || to_b)
        space_each_row(y, &space,
                       to_a && to_b ? binary_row_to_both
                       : to_a       ? binary_row_to_a
                                    : binary_row_to_b);
}

static tensor *binary(tensor *a, tensor *b, enum binary function)
{
#define BINARY_OPERATION(name, value, slope_a, slope_b, reads) \
    [BINARY_##                                                 \
        name] = {#name, binary_forward, (reads) == FLAT ? NULL : binary_backward, (reads) & ~FLAT, true},
    static const struct operation operations[] = {BINARY_LIST(BINARY_OPERATION)};
    int rank = a->rank;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, a->shape, sizeof shape);
    broadcast_shape(&rank, shape, b, operations[function].name);
    tensor *inputs[] = {with_even_rows(a, rank, shape), with_even_rows(b, rank, shape)};
    tensor *y =
        node_create(a->graph, &operations[function], rank, shape, 2, inputs, &function, sizeof function);
    node_count(y, (double)tensor_size(y), -1);
    return y;
}

#define DEFINE_BINARY(name, ...)                \
    tensor *tensor_##name(tensor *a, tensor *b) \
    {                                           \
        return binary(a, b, BINARY_##name);     \
    }
BINARY_LIST(DEFINE_BINARY)

/* ---- Choice ---- */

static void where_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    pointwise_loops()->where(n, y->inputs[0]->data + offset[1], space->step[1],
                             y->inputs[1]->data + offset[2], space->step[2], y->inputs[2]->data + offset[3],
                             space->step[3], y->data + offset[0]);
}

static void where_forward(tensor *y)
{
    struct space space = space_of(y);
    space_each_row(y, &space, where_row);
}

/* Adds to d, the gradient of input 1 or 2, what n entries from these offsets on contribute. */
static void where_slopes(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                         int input, real *d)
{
    pointwise_loops()->where_backward(n, y->inputs[0]->data + offset[1], space->step[1], input == 1,
                                      y->gradient + offset[0], d, space->step[1 + input]);
}

static void where_backward_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    for (int input = 1; input <= 2; input++)
        if (y->inputs[input]->needs_gradient && !space_repeats(space, 1 + input))
            where_slopes(y, space, offset, n, input, y->inputs[input]->gradient + offset[1 + input]);
}

static void where_sum_a(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                        real *sum)
{
    where_slopes(y, space, offset, n, 1, sum);
}

static void where_sum_b(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                        real *sum)
{
    where_slopes(y, space, offset, n, 2, sum);
}

static void where_backward(tensor *y)
{
    struct space space = space_of(y);
    real *da = input_gradient(y, 1), *db = input_gradient(y, 2);
    bool a_repeats = space_repeats(&space, 2), b_repeats = space_repeats(&space, 3);
    if ((da && !a_repeats) || (db && !b_repeats))
        space_each_row(y, &space, where_backward_row);
    if (da && a_repeats)
        space_collect(y, &space, 2, where_sum_a, da);
    if (db && b_repeats)
        space_collect(y, &space, 3, where_sum_b, db);
}

static const struct operation where_operation = {"where", where_forward, where_backward, SAVES_INPUT(0),
                                                 true};

tensor *tensor_where(tensor *condition, tensor *a, tensor *b)
{
    int rank = a->rank;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, a->shape, sizeof shape);
    broadcast_shape(&rank, shape, b, "where");
    broadcast_shape(&rank, shape, condition, "where");
    tensor *inputs[] = {with_even_rows(condition, rank, shape), with_even_rows(a, rank, shape),
                        with_even_rows(b, rank, shape)};
    return node_create(a->graph, &where_operation, rank, shape, 3, inputs, NULL, 0);
}
