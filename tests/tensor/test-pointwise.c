#include "base/memory.h"
#include "gradient.h"
#include "tensor/loops/pointwise.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Gradients ---- */

struct unary_case {
    const char *name;
    tensor *(*function)(tensor *x);
    double low, high; /* an interval without kinks */
};

static tensor *build_unary(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct unary_case *c = argument;
    return c->function(leaves[0]);
}

static tensor *affine(tensor *x)
{
    return tensor_affine(x, -1.5, 0.25);
}

static tensor *leaky_relu(tensor *x)
{
    return tensor_leaky_relu(x, 0.1);
}

static tensor *clamp(tensor *x)
{
    return tensor_clamp(x, -0.5, 0.5);
}

static tensor *raise_to_three_halves(tensor *x)
{
    return tensor_raise(x, 1.5);
}

static tensor *raise_to_minus_three(tensor *x)
{
    return tensor_raise(x, -3);
}

static void has_the_gradient_of_every_unary_function(void **state)
{
    static const struct unary_case cases[] = {
        {"affine", affine, -2, 2},
        {"negate", tensor_negate, -2, 2},
        {"exp", tensor_exp, -2, 2},
        {"expm1", tensor_expm1, -2, 2},
        {"log", tensor_log, 0.5, 3},
        {"log1p", tensor_log1p, -0.5, 2},
        {"sqrt", tensor_sqrt, 0.5, 2},
        {"reciprocal_sqrt", tensor_reciprocal_sqrt, 0.5, 2},
        {"reciprocal", tensor_reciprocal, 0.5, 2},
        {"square", tensor_square, -2, 2},
        {"absolute", tensor_absolute, 0.1, 2},
        {"absolute", tensor_absolute, -2, -0.1},
        {"sign", tensor_sign, 0.1, 2},
        {"sin", tensor_sin, -4, 4},
        {"cos", tensor_cos, -4, 4},
        {"tanh", tensor_tanh, -2, 2},
        {"arctan", tensor_arctan, -2, 2},
        {"sigmoid", tensor_sigmoid, -3, 3},
        {"log_sigmoid", tensor_log_sigmoid, -3, 3},
        {"softplus", tensor_softplus, -3, 3},
        {"silu", tensor_silu, -3, 3},
        {"relu", tensor_relu, 0.1, 2},
        {"relu", tensor_relu, -2, -0.1},
        {"gelu", tensor_gelu, -2, 2},
        {"gelu_tanh", tensor_gelu_tanh, -2, 2},
        {"elu", tensor_elu, 0.1, 2},
        {"elu", tensor_elu, -2, -0.1},
        {"leaky_relu", leaky_relu, 0.1, 2},
        {"leaky_relu", leaky_relu, -2, -0.1},
        {"erf", tensor_erf, -1.5, 1.5},
        {"clamp", clamp, -0.4, 0.4},
        {"clamp", clamp, 0.6, 1},
        {"clamp", clamp, -1, -0.6},
        {"raise", raise_to_three_halves, 0.5, 2},
        {"raise", raise_to_minus_three, -2, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gradient_leaf leaves[] = {LEAF(3, 3, 2, 5)};
        leaves[0].low = cases[i].low;
        leaves[0].high = cases[i].high;
        print_message("# %s\n", cases[i].name);
        check_gradients(build_unary, &cases[i], leaves);
    }
}

struct binary_case {
    const char *name;
    tensor *(*function)(tensor *a, tensor *b);
    double low_a, high_a, low_b, high_b; /* without kinks */
};

static tensor *build_binary(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct binary_case *c = argument;
    return c->function(leaves[0], leaves[1]);
}

static const struct binary_case binary_cases[] = {
    {"add", tensor_add, -2, 2, -2, 2},
    {"subtract", tensor_subtract, -2, 2, -2, 2},
    {"multiply", tensor_multiply, -2, 2, -2, 2},
    {"divide", tensor_divide, -2, 2, 0.5, 2},
    {"maximum", tensor_maximum, 0.1, 1, -1, -0.1},
    {"maximum", tensor_maximum, -1, -0.1, 0.1, 1},
    {"minimum", tensor_minimum, 0.1, 1, -1, -0.1},
    {"minimum", tensor_minimum, -1, -0.1, 0.1, 1},
    {"power", tensor_power, 0.5, 2, -2, 2},
    {"greater", tensor_greater, 0.1, 1, -1, -0.1},
    {"equal", tensor_equal, 0.1, 1, -1, -0.1},
};

static void has_the_gradients_of_every_binary_function(void **state)
{
    for (size_t i = 0; i < sizeof binary_cases / sizeof *binary_cases; i++) {
        const struct binary_case *c = &binary_cases[i];
        struct gradient_leaf leaves[] = {LEAF(2, 3, 5), LEAF(2, 3, 5)};
        leaves[0].low = c->low_a, leaves[0].high = c->high_a;
        leaves[1].low = c->low_b, leaves[1].high = c->high_b;
        print_message("# %s\n", c->name);
        check_gradients(build_binary, c, leaves);
    }
}

/* Each way in which axes can be kept, repeated and joined; the large ones are summed in several blocks and by
 * several threads. */
static void has_the_gradients_of_broadcast_operands(void **state)
{
    const struct binary_case multiply = {"multiply", tensor_multiply}, divide = {"divide", tensor_divide};
    struct gradient_leaf pairs[][2] = {
        {LEAF(2, 4, 5), LEAF(1, 5)},
        {LEAF(2, 4, 5), LEAF(2, 4, 1)},
        {LEAF(3, 2, 3, 4), LEAF(3, 2, 1, 4)},
        {LEAF(3, 2, 3, 4), LEAF(2, 3, 1)},
        {LEAF(4, 2, 3, 2, 4), LEAF(4, 1, 3, 1, 4)},
        {LEAF(2, 4, 1), LEAF(2, 1, 5)},
        {LEAF(1, 3), LEAF(3, 2, 2, 3)},
        {LEAF(1, 1), LEAF(3, 2, 2, 3)},
        {LEAF(1, 1), LEAF(1, 1)},
        {LEAF(3, 2, 1, 3), LEAF(2, 4, 1)},
        {LEAF(6, 1, 2, 1, 2, 1, 3), LEAF(6, 2, 1, 2, 1, 2, 1)},
        {LEAF(2, 700, 300), LEAF(1, 300)},
        {LEAF(2, 40, 5000), LEAF(1, 5000)},
        {LEAF(2, 40, 5000), LEAF(2, 40, 1)},
        {LEAF(1, 200001), LEAF(1, 1)},
        {LEAF(2, 70000, 3), LEAF(1, 3)},
        {LEAF(3, 40, 50, 65), LEAF(3, 40, 1, 65)},
        {LEAF(4, 2, 300, 4, 33), LEAF(2, 4, 1)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        pairs[i][1].low = 0.5, pairs[i][1].high = 1.5; /* a divisor */
        check_gradients(build_binary, i % 2 ? &multiply : &divide, pairs[i]);
        struct gradient_leaf turned[] = {pairs[i][1], pairs[i][0]};
        check_gradients(build_binary, &multiply, turned);
    }
}

static tensor *square_by_product(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_multiply(leaves[0], leaves[0]);
}

static tensor *product_with_its_transpose(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_multiply(leaves[0], tensor_transpose(leaves[0], 0, 1));
}

static void adds_up_the_gradients_of_one_tensor_in_both_places(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 4, 4)};
    check_gradients(square_by_product, NULL, leaves);
    check_gradients(product_with_its_transpose, NULL, leaves);
}

static tensor *build_where(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_where(tensor_greater(leaves[0], tensor_scalar(graph, 0)), leaves[1], leaves[2]);
}

static void chooses_by_condition_for_any_shapes(void **state)
{
    struct gradient_leaf triples[][3] = {
        {LEAF(2, 3, 5), LEAF(2, 3, 5), LEAF(2, 3, 5)}, {LEAF(2, 3, 5), LEAF(1, 1), LEAF(2, 3, 5)},
        {LEAF(2, 3, 5), LEAF(2, 3, 5), LEAF(1, 1)},    {LEAF(2, 3, 5), LEAF(1, 1), LEAF(1, 5)},
        {LEAF(2, 3, 5), LEAF(1, 1), LEAF(1, 1)},       {LEAF(2, 3, 1), LEAF(2, 3, 5), LEAF(1, 5)},
        {LEAF(1, 1), LEAF(2, 3, 1), LEAF(1, 5)},       {LEAF(2, 90, 100), LEAF(3, 20, 90, 100), LEAF(1, 100)},
    };
    for (size_t i = 0; i < sizeof triples / sizeof *triples; i++) {
        triples[i][0].fixed = true;
        check_gradients(build_where, NULL, triples[i]);
    }
    real condition[] = {1, -1, 0}, yes[] = {1, 2, 3}, no[] = {-1, -2, -3};
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {3}, .values = condition},
                                     {.rank = 1, .shape = {3}, .values = yes},
                                     {.rank = 1, .shape = {3}, .values = no}};
    real *y = evaluate(build_where, NULL, leaves, 3, NULL);
    expect_near(y, ((const double[]){1, -2, -3}), 3, 0);
    free(y);
}

/* A column cut out of a matrix has steps that no inner loop takes. */
static tensor *column_plus_column(struct graph *graph, tensor *const *leaves, const void *argument)
{
    tensor *first = tensor_slice(leaves[0], 1, 0, 1), *third = tensor_slice(leaves[0], 1, 2, 1);
    return tensor_exp(tensor_multiply(first, tensor_tanh(third)));
}

static void reads_columns_of_a_matrix(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 7, 4)};
    check_gradients(column_plus_column, NULL, leaves);
}

static const char *const activation_names[] = {"identity", "relu",    "relu2",      "gelu", "gelu_tanh",
                                               "silu",     "sigmoid", "tanh",       "elu",  "elu+1",
                                               "softplus", "exp",     "log_sigmoid"};

static tensor *build_activation(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_activation(leaves[0], argument);
}

static void knows_activations_by_name(void **state)
{
    real x[] = {-1.5, 0.5};
    const double values[][2] = {{-1.5, 0.5},
                                {0, 0.5},
                                {0, 0.25},
                                {-0.10021080, 0.34573123},
                                {-0.10042842, 0.34571400},
                                {-0.27363857, 0.31122967},
                                {0.18242552, 0.62245933},
                                {-0.90514825, 0.46211716},
                                {-0.77686984, 0.5},
                                {0.22313016, 1.5},
                                {0.20141328, 0.97407698},
                                {0.22313016, 1.64872127},
                                {-1.70141328, -0.47407698}};
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {2}, .values = x}};
    for (size_t i = 0; i < sizeof activation_names / sizeof *activation_names; i++) {
        real *y = evaluate(build_activation, activation_names[i], leaves, 1, NULL);
        expect_near(y, values[i], 2, 1e-6);
        free(y);
    }
    assert_string_equal(raised_message(build_activation, "gelo", leaves), "unknown activation 'gelo'");
}

static tensor *build_sum(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_add(leaves[0], leaves[1]);
}

static void refuses_shapes_that_do_not_broadcast(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 3, 4), LEAF(2, 3, 5)};
    assert_string_equal(raised_message(build_sum, NULL, leaves),
                        "add: expected a shape that broadcasts with the other operand's, got [3, 5]");
}

/* ---- Special values ---- */

static real apply(tensor *(*function)(tensor *), real x)
{
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {1}, .values = &x}};
    struct unary_case c = {"", function};
    real *y = evaluate(build_unary, &c, leaves, 1, NULL), value = *y;
    free(y);
    return value;
}

static void passes_nan_through(void **state)
{
    tensor *(*const functions[])(tensor *) = {
        tensor_exp,    tensor_expm1,    tensor_log,      tensor_log1p,       tensor_sqrt,
        tensor_square, tensor_absolute, tensor_sin,      tensor_cos,         tensor_tanh,
        tensor_arctan, tensor_sigmoid,  tensor_softplus, tensor_silu,        tensor_relu,
        tensor_gelu,   tensor_elu,      tensor_erf,      tensor_log_sigmoid, tensor_gelu_tanh,
        clamp,         tensor_negate,   tensor_floor,    leaky_relu,         tensor_round};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        assert_true(isnan(apply(functions[i], (real)NAN)));
        assert_true(isnan(apply(functions[i], (real)-NAN)));
    }
    real nan[] = {(real)NAN}, one[] = {1};
    struct gradient_leaf first[] = {{.rank = 1, .shape = {1}, .values = nan},
                                    {.rank = 1, .shape = {1}, .values = one}};
    struct gradient_leaf second[] = {first[1], first[0]};
    for (size_t i = 0; i < sizeof binary_cases / sizeof *binary_cases - 2; i++) { /* not the comparisons */
        if (binary_cases[i].function == tensor_power)
            continue; /* 1^NaN is 1 */
        real *y = evaluate(build_binary, &binary_cases[i], first, 2, NULL);
        real *z = evaluate(build_binary, &binary_cases[i], second, 2, NULL);
        assert_true(isnan(*y) && isnan(*z));
        free(y);
        free(z);
    }
}

/* ---- Accuracy in single precision, on the loops of this processor's level (CLADE_CPU_LEVEL lowers it) ----
 */

static double sigmoid_of(double x)
{
    return 1 / (1 + exp(-x));
}

static double log_sigmoid_of(double x)
{
    return x < -700 ? x : -log1p(exp(-x));
}

static double softplus_of(double x)
{
    return x > 700 ? x : log1p(exp(x));
}

static double silu_of(double x)
{
    return x / (1 + exp(-x));
}

static double gelu_of(double x)
{
    return x * 0.5 * erfc(-x * sqrt(0.5));
}

static double elu_of(double x)
{
    return x > 0 ? x : expm1(x);
}

/* Every `stride`th bit pattern: all exponents, both signs, denormals, infinities and NaN. A result smaller
 * than the least normal number may be off by that number: it is flushed to zero while a graph runs. */
static void expect_accurate(enum unary function, double (*exact)(double), double tolerance)
{
    enum { BATCH = 1024 };
    const double parameters[2] = {0};
    real x[BATCH], y[BATCH];
    const uint64_t stride = 1999; /* coprime to the period of the exponents */
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        int count = 0;
        for (; count < BATCH && bits <= UINT32_MAX; bits += stride) {
            uint32_t word = (uint32_t)bits;
            float value;
            memcpy(&value, &word, sizeof value);
            x[count++] = (real)value;
        }
        pointwise_loops()->unary[function](count, x, y, parameters);
        for (int i = 0; i < count; i++) {
            double want = exact((double)x[i]), got = (double)y[i];
            double limit = sizeof(real) == 4 ? 0x1.fffffefp127 : INFINITY;
            bool good = isnan(want)
                            ? isnan(got)
                            : (fabs(want) >= limit ? got == (want > 0 ? INFINITY : -INFINITY)
                                                   : fabs(got - want) <= tolerance * fabs(want) + 0x1p-126);
            if (!good)
                fail_msg("function %d of %.9g is %.9g, not %.9g", function, (double)x[i], got, want);
        }
    }
}

static void is_accurate_over_the_whole_range(void **state)
{
    static const struct {
        enum unary function;
        double (*exact)(double);
        double tolerance; /* relative, in single precision */
    } functions[] = {
        {UNARY_exp, exp, 1.0e-7},
        {UNARY_expm1, expm1, 1.3e-7},
        {UNARY_log, log, 1.0e-7},
        {UNARY_log1p, log1p, 2.0e-7},
        {UNARY_sqrt, sqrt, 1.0e-7},
        {UNARY_arctan, atan, 1.0e-7},
        {UNARY_tanh, tanh, 1.6e-7},
        {UNARY_erf, erf, 2.0e-7},
        {UNARY_sigmoid, sigmoid_of, 2.0e-7},
        {UNARY_log_sigmoid, log_sigmoid_of, 2.2e-7},
        {UNARY_softplus, softplus_of, 2.2e-7},
        {UNARY_silu, silu_of, 2.6e-7},
        {UNARY_gelu, gelu_of, 4.0e-7},
        {UNARY_elu, elu_of, 1.3e-7},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        expect_accurate(functions[i].function, functions[i].exact,
                        sizeof(real) == 4 ? functions[i].tolerance : 1e-13);
}

/* Sine and cosine have an absolute error, which grows from the rounding of a number to that of x at 2^30; no
 * angle means anything beyond. */
static void sine_and_cosine_are_accurate_for_any_sensible_angle(void **state)
{
    const double parameters[2] = {0};
    for (double x = 1e-30; x < 0x1p40; x *= 1.0001) {
        real xs[2] = {(real)x, -(real)x}, sines[2], cosines[2];
        pointwise_loops()->unary[UNARY_sin](2, xs, sines, parameters);
        pointwise_loops()->unary[UNARY_cos](2, xs, cosines, parameters);
        for (int i = 0; i < 2; i++) {
            double tolerance = sizeof(real) == 4 ? 1.2e-7 * fmin(x, 1) + 1e-16 * x : 1e-15;
            if (x < 0x1p30) {
                assert_true(fabs((double)sines[i] - sin((double)xs[i])) <= tolerance);
                assert_true(fabs((double)cosines[i] - cos((double)xs[i])) <= tolerance + 1e-7);
            }
            assert_true(fabs((double)sines[i]) < 1.0000002 && fabs((double)cosines[i]) < 1.0000002);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_gradient_of_every_unary_function),
        cmocka_unit_test(has_the_gradients_of_every_binary_function),
        cmocka_unit_test(has_the_gradients_of_broadcast_operands),
        cmocka_unit_test(adds_up_the_gradients_of_one_tensor_in_both_places),
        cmocka_unit_test(chooses_by_condition_for_any_shapes),
        cmocka_unit_test(reads_columns_of_a_matrix),
        cmocka_unit_test(knows_activations_by_name),
        cmocka_unit_test(refuses_shapes_that_do_not_broadcast),
        cmocka_unit_test(passes_nan_through),
        cmocka_unit_test(is_accurate_over_the_whole_range),
        cmocka_unit_test(sine_and_cosine_are_accurate_for_any_sensible_angle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
