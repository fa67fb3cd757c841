/* Pointwise functions over broadcast shapes. */
#include "tensor/loops/pointwise.h"
#include "tensor/operation.h"
#include <math.h>
#include <string.h>

enum {
    OPERANDS = 3, /* the result and two inputs */
    TILE = 4096   /* elements one iteration of a parallel loop computes, for any number of threads */
};

/* The common index space of a result and its inputs: axes of length 1 dropped, even neighbours joined.
 * Operand 0 is the result. The last axis steps by 0 or 1 in every operand. */
struct space {
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    int64_t stride[OPERANDS][TENSOR_MAX_RANK];
    int64_t rows, row_length, rows_per_tile;
};

static struct space space_of(const tensor *y)
{
    struct space space = {.rank = 0};
    int operands = 1 + (y->input_count < 2 ? y->input_count : 2);
    for (int i = 0; i < y->rank; i++) {
        if (y->shape[i] == 1)
            continue;
        int64_t step[OPERANDS] = {y->stride[i]};
        for (int o = 1; o < operands; o++) {
            const tensor *x = y->inputs[o - 1];
            int axis = i - (y->rank - x->rank);
            step[o] = axis < 0 || x->shape[axis] == 1 ? 0 : x->stride[axis];
        }
        int last = space.rank - 1;
        bool even = last >= 0;
        for (int o = 0; even && o < operands; o++)
            even = space.stride[o][last] == step[o] * y->shape[i];
        if (even)
            space.shape[last] *= y->shape[i];
        else
            space.shape[last = space.rank++] = y->shape[i];
        for (int o = 0; o < operands; o++)
            space.stride[o][last] = step[o];
    }
    if (space.rank == 0)
        space.shape[space.rank++] = 1;
    space.row_length = space.shape[space.rank - 1];
    space.rows = 1;
    for (int i = 0; i < space.rank - 1; i++)
        space.rows *= space.shape[i];
    space.rows_per_tile = space.row_length >= TILE ? 1 : TILE / (space.row_length ? space.row_length : 1);
    return space;
}

static void row_offsets(const struct space *space, int64_t row, int64_t *offset)
{
    offset[0] = offset[1] = offset[2] = 0;
    for (int i = space->rank - 2; i >= 0; i--) {
        int64_t index = row % space->shape[i];
        row /= space->shape[i];
        for (int o = 0; o < OPERANDS; o++)
            offset[o] += index * space->stride[o][i];
    }
}

/* Calls body(first element of each operand, length) for every piece of a row, in parallel when `threads` > 1.
 */
typedef void (*row_body)(const tensor *y, const struct space *space, const int64_t *offset, int64_t length);

static void each_row(const tensor *y, row_body body, bool serial)
{
    struct space space = space_of(y);
    double work = (double)space.rows * (double)space.row_length * 4;
    int64_t pieces = (space.row_length + TILE - 1) / TILE; /* of one long row */
    int64_t tiles = (space.rows + space.rows_per_tile - 1) / space.rows_per_tile * pieces;
    int last = space.rank - 1;
#pragma omp parallel for num_threads(serial ? 1 : threads_for(work)) schedule(static)
    for (int64_t tile = 0; tile < tiles; tile++) {
        int64_t start = tile % pieces * TILE;
        int64_t length = space.row_length - start < TILE ? space.row_length - start : TILE;
        int64_t row = tile / pieces * space.rows_per_tile;
        int64_t end = row + space.rows_per_tile < space.rows ? row + space.rows_per_tile : space.rows;
        for (; row < end; row++) {
            int64_t offset[OPERANDS];
            row_offsets(&space, row, offset);
            for (int o = 0; o < OPERANDS; o++)
                offset[o] += start * space.stride[o][last];
            body(y, &space, offset, length);
        }
    }
}

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
    each_row(y, unary_row, false);
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
    if (input_gradient(y, 0))
        each_row(y, unary_backward_row, false);
}

static tensor *unary(tensor *x, enum unary function, double p0, double p1)
{
#define UNARY_OPERATION(name, value, slope, reads) \
    [UNARY_##name] = {#name, unary_forward, unary_backward, reads, true},
    static const struct operation operations[] = {UNARY_LIST(UNARY_OPERATION)};
    struct unary_attributes attributes = {function, {p0, p1}};
    x = with_contiguous_rows(x);
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
        {"identity", identity},
        {"relu", tensor_relu},
        {"relu2", relu_squared},
        {"gelu", tensor_gelu},
        {"silu", tensor_silu},
        {"gelu_tanh", tensor_gelu_tanh},
        {"sigmoid", tensor_sigmoid},
        {"tanh", tensor_tanh},
        {"elu", tensor_elu},
        {"elu+1", elu_plus_one},
        {"exp", tensor_exp},
        {"softplus", tensor_softplus},
        {"log_sigmoid", tensor_log_sigmoid},
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
    int last = space->rank - 1;
    pointwise_loops()->binary[function](n, y->inputs[0]->data + offset[1], space->stride[1][last],
                                        y->inputs[1]->data + offset[2], space->stride[2][last],
                                        y->data + offset[0]);
}

static void binary_forward(tensor *y)
{
    each_row(y, binary_row, false);
}

static void binary_backward_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    enum binary function = *(const enum binary *)y->attributes;
    const tensor *a = y->inputs[0], *b = y->inputs[1];
    int last = space->rank - 1;
    pointwise_loops()->binary_backward[function](
        n, a->data ? a->data + offset[1] : NULL, space->stride[1][last], b->data ? b->data + offset[2] : NULL,
        space->stride[2][last], y->gradient + offset[0], a->needs_gradient ? a->gradient + offset[1] : NULL,
        b->needs_gradient ? b->gradient + offset[2] : NULL);
}

static bool same_shape(const tensor *a, const tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof(int64_t) * (size_t)a->rank) == 0;
}

static void binary_backward(tensor *y)
{
    tensor *a = y->inputs[0], *b = y->inputs[1];
    input_gradient(y, 0);
    input_gradient(y, 1);
    /* A broadcast input collects from several rows, so these must come one after the other. */
    bool collects = (a->needs_gradient && !same_shape(a, y)) || (b->needs_gradient && !same_shape(b, y));
    each_row(y, binary_backward_row, collects);
}

/* Widens shape (of the given rank) so that x broadcasts to it. */
static void broadcast_shape(int *rank, int64_t *shape, const tensor *x, const char *name)
{
    int64_t wide[TENSOR_MAX_RANK];
    int wide_rank = *rank > x->rank ? *rank : x->rank;
    for (int i = 0; i < wide_rank; i++) {
        int ia = i - (wide_rank - *rank), ib = i - (wide_rank - x->rank);
        int64_t na = ia < 0 ? 1 : shape[ia], nb = ib < 0 ? 1 : x->shape[ib];
        require(na == nb || na == 1 || nb == 1, x, name, "a shape that broadcasts with the other operand's");
        wide[i] = na == 1 ? nb : na;
    }
    *rank = wide_rank;
    memcpy(shape, wide, sizeof wide);
}

static tensor *binary(tensor *a, tensor *b, enum binary function)
{
#define BINARY_OPERATION(name, value, slope_a, slope_b, reads) \
    [BINARY_##name] = {#name, binary_forward, binary_backward, reads, true},
    static const struct operation operations[] = {BINARY_LIST(BINARY_OPERATION)};
    int rank = a->rank;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, a->shape, sizeof shape);
    broadcast_shape(&rank, shape, b, operations[function].name);
    tensor *inputs[] = {with_contiguous_rows(a), with_contiguous_rows(b)};
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

static void where_forward(tensor *y)
{
    const real *condition = y->inputs[0]->data, *a = y->inputs[1]->data, *b = y->inputs[2]->data;
    for (int64_t i = 0, n = tensor_size(y); i < n; i++)
        y->data[i] = condition[i] != 0 ? a[i] : b[i];
}

static void where_backward(tensor *y)
{
    const real *condition = y->inputs[0]->data, *dy = output_gradient(y);
    real *da = input_gradient(y, 1), *db = input_gradient(y, 2);
    for (int64_t i = 0, n = tensor_size(y); i < n; i++) {
        real *target = condition[i] != 0 ? da : db;
        if (target)
            target[i] += dy[i];
    }
}

static const struct operation where_operation = {"where", where_forward, where_backward, SAVES_INPUT(0),
                                                 false};

tensor *tensor_where(tensor *condition, tensor *a, tensor *b)
{
    tensor *inputs[3] = {condition, a, b};
    int rank = a->rank;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, a->shape, sizeof shape);
    broadcast_shape(&rank, shape, b, "where");
    broadcast_shape(&rank, shape, condition, "where");
    for (int i = 0; i < 3; i++) {
        bool same =
            inputs[i]->rank == rank && memcmp(inputs[i]->shape, shape, sizeof(int64_t) * (size_t)rank) == 0;
        inputs[i] = same ? tensor_contiguous(inputs[i]) : tensor_broadcast(inputs[i], rank, shape);
    }
    return node_create(a->graph, &where_operation, rank, shape, 3, inputs, NULL, 0);
}
