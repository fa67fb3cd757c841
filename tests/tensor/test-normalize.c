#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum kind { LAYER_NORM, RMS_NORM, L2_NORM, L2_NORM_MAX, SOFTMAX, LOG_SOFTMAX };

/* Leaves: x, then the weight and the bias where there are any. */
struct request {
    enum kind kind;
    bool weight, bias;
    double epsilon;
    int axis; /* of the softmaxes */
};

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct request *r = argument;
    tensor *weight = r->weight ? leaves[1] : NULL, *bias = r->bias ? leaves[1 + r->weight] : NULL;
    switch (r->kind) {
    case LAYER_NORM:
        return tensor_layer_norm(leaves[0], weight, bias, r->epsilon);
    case RMS_NORM:
        return tensor_rms_norm(leaves[0], weight, r->epsilon);
    case L2_NORM:
        return tensor_l2_norm(leaves[0], r->epsilon);
    case L2_NORM_MAX:
        return tensor_l2_norm_max(leaves[0], r->epsilon);
    case SOFTMAX:
        return tensor_softmax(leaves[0], r->axis);
    default:
        return tensor_log_softmax(leaves[0], r->axis);
    }
}

/* One row by the definitions, in double precision. */
static void expected_row(const struct request *r, int64_t n, const real *x, const real *weight,
                         const real *bias, double *y)
{
    double sum = 0, square = 0, deviation = 0, largest = -INFINITY, exponentials = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        square += (double)x[i] * (double)x[i];
        largest = fmax(largest, (double)x[i]);
    }
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        deviation += ((double)x[i] - mean) * ((double)x[i] - mean);
        exponentials += largest == -INFINITY ? 0 : exp((double)x[i] - largest);
    }
    for (int64_t i = 0; i < n; i++) {
        double value = (double)x[i];
        switch (r->kind) {
        case LAYER_NORM:
            value = (value - mean) / sqrt(deviation / (double)n + r->epsilon);
            break;
        case RMS_NORM:
            value /= sqrt(square / (double)n + r->epsilon);
            break;
        case L2_NORM:
            value /= sqrt(square + r->epsilon);
            break;
        case L2_NORM_MAX:
            value /= fmax(sqrt(square), r->epsilon);
            break;
        case SOFTMAX:
            value = exponentials > 0 ? exp(value - largest) / exponentials : 0;
            break;
        case LOG_SOFTMAX:
            value -= largest + log(exponentials);
            break;
        }
        y[i] = value * (weight ? (double)weight[i] : 1) + (bias ? (double)bias[i] : 0);
    }
}

static void expect_definition(const struct request *r, const struct gradient_leaf *leaves)
{
    int64_t size, n = leaves[0].shape[leaves[0].rank - 1];
    int count = 1 + r->weight + r->bias;
    real *values[3] = {NULL};
    for (int i = 0; i < count; i++)
        values[i] = leaf_values(leaves, i);
    real *y = evaluate(build, r, leaves, count, &size);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int64_t row = 0; n && row < size / n; row++)
        expected_row(r, n, values[0] + row * n, r->weight ? values[1] : NULL,
                     r->bias ? values[1 + r->weight] : NULL, want + row * n);
    expect_near(y, want, size, sizeof(real) == 4 ? 2e-6 : 1e-12);
    for (int i = 0; i < count; i++)
        free(values[i]);
    free(want);
    free(y);
}

static const struct request requests[] = {
    {LAYER_NORM, false, false, 1e-5, -1},  {LAYER_NORM, true, false, 1e-5, -1},
    {LAYER_NORM, false, true, 1e-5, -1},   {LAYER_NORM, true, true, 0.1, -1},
    {RMS_NORM, false, false, 1e-6, -1},    {RMS_NORM, true, false, 0.1, -1},
    {L2_NORM, false, false, 1e-6, -1},     {L2_NORM_MAX, false, false, 0.1, -1},
    {L2_NORM_MAX, false, false, 1000, -1}, {SOFTMAX, false, false, 0, -1},
    {LOG_SOFTMAX, false, false, 0, -1},
};
enum { REQUESTS = sizeof requests / sizeof *requests };

/* x of this shape and, for weight and bias, vectors of its last length. */
static void set_leaves(struct gradient_leaf leaves[3], struct gradient_leaf x)
{
    leaves[0] = x;
    leaves[1] = leaves[2] =
        (struct gradient_leaf){.rank = 1, .shape = {x.shape[x.rank - 1]}, .low = 0.5, .high = 1.5};
}

static void agrees_with_the_definition(void **state)
{
    const struct gradient_leaf shapes[] = {LEAF(1, 5),       LEAF(2, 3, 1),    LEAF(3, 2, 3, 17),
                                           LEAF(2, 200, 64), LEAF(2, 1, 3001), LEAF(2, 0, 4)};
    for (int r = 0; r < REQUESTS; r++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct gradient_leaf leaves[3];
            set_leaves(leaves, shapes[s]);
            expect_definition(&requests[r], leaves);
            leaves[0].low = -1000, leaves[0].high = 1000;
            expect_definition(&requests[r], leaves);
        }
}

static void has_the_right_gradients(void **state)
{
    const struct gradient_leaf shapes[] = {LEAF(1, 4), LEAF(2, 3, 7), LEAF(3, 2, 70, 5), LEAF(2, 300, 130)};
    for (int r = 0; r < REQUESTS; r++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            struct gradient_leaf leaves[3];
            set_leaves(leaves, shapes[s]);
            int count = 1 + requests[r].weight + requests[r].bias;
            check_gradients_at(__FILE__, __LINE__, build, &requests[r], leaves, count);
        }
}

static void normalises_along_any_axis(void **state)
{
    for (int axis = 0; axis < 3; axis++) {
        struct gradient_leaf leaves[] = {LEAF(3, 3, 4, 5)};
        struct request softmax = {SOFTMAX, false, false, 0, axis},
                       log_softmax = {LOG_SOFTMAX, false, false, 0, axis};
        int64_t inner = axis == 0 ? 20 : axis == 1 ? 5 : 1, n = leaves[0].shape[axis], size;
        real *y = evaluate(build, &softmax, leaves, 1, &size),
             *z = evaluate(build, &log_softmax, leaves, 1, NULL);
        for (int64_t i = 0; i < size; i++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++)
                sum += (double)y[(i / inner / n * n + j) * inner + i % inner];
            assert_true(fabs(sum - 1) < 1e-6);
            assert_true(fabs(exp((double)z[i]) - (double)y[i]) < 1e-6);
        }
        free(y);
        free(z);
        check_gradients(build, &softmax, leaves);
        check_gradients(build, &log_softmax, leaves);
    }
}

static void softmax_weighs_masked_entries_zero(void **state)
{
    real x[] = {-INFINITY, 1, -INFINITY, 1, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    struct request softmax = {SOFTMAX, false, false, 0, -1};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 4}, .values = x}};
    real *y = evaluate(build, &softmax, leaves, 1, NULL);
    const double want[] = {0, 0.5, 0, 0.5, 0, 0, 0, 0};
    expect_near(y, want, 8, 0);
    free(y);

    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    tensor *leaf = tensor_leaf(graph, x, 2, SHAPE(2, 4), true);
    tensor *kept = graph_keep(tensor_softmax(leaf, -1));
    graph_run(graph);
    graph_seed(kept, (const real[]){1, 2, 3, 4, 5, 6, 7, 8});
    graph_backward(graph);
    const double slopes[] = {0, -0.5, 0, 0.5, 0, 0, 0, 0};
    expect_near(leaf->gradient, slopes, 8, 1e-7);
    graph_free(graph);
    pool_free(pool);
}

static void shows_nan(void **state)
{
    real x[] = {1, (real)NAN, 2};
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {3}, .values = x}};
    for (int kind = LAYER_NORM; kind <= LOG_SOFTMAX; kind++) {
        struct request request = {(enum kind)kind, false, false, 1e-5, -1};
        real *y = evaluate(build, &request, leaves, 1, NULL);
        assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
        free(y);
    }
}

static void refuses_weights_of_another_width(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 3, 4), LEAF(1, 3)};
    struct request weight = {LAYER_NORM, true, false, 1e-5, -1}, bias = {LAYER_NORM, false, true, 1e-5, -1};
    assert_string_equal(raised_message(build, &weight, leaves),
                        "norm weight: expected one entry per channel, got [3]");
    assert_string_equal(raised_message(build, &bias, leaves),
                        "norm bias: expected one entry per channel, got [3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(normalises_along_any_axis),
        cmocka_unit_test(softmax_weighs_masked_entries_zero),
        cmocka_unit_test(shows_nan),
        cmocka_unit_test(refuses_weights_of_another_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
