/* Recurrent cells against a loop over tokens in double precision, their gradients, and their states handed
 * from run to run. */
#include "gradient.h"
#include "tensor/recurrent_cell.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const double tolerance = sizeof(real) == 4 ? 1e-5 : 1e-13;

enum { WIDTH = 6, HEADS = 2, TOKENS = 7 };

/* A cell with every kind of instruction: g = x + R h with a matrix for each of two heads, whose halves are
 * (a, b);
 *     c_t = sigmoid(a) c_{t-1} + (1 - sigmoid(a)) tanh(b) v,   h_t = c_t U c_t */
struct function {
    int64_t cut; /* > 0: two runs, the second from here on */
};

struct part {
    tensor *h, *last_h, *last_c;
};

static struct part run(tensor *x, tensor *const *leaves, tensor *first_h, tensor *first_c)
{
    struct recurrent_cell *cell = recurrent_cell(x->graph, x->shape[0], x->shape[1]);
    int h = cell_state(cell, WIDTH, first_h), c = cell_state(cell, WIDTH, first_c);
    int g = cell_binary(cell, BINARY_add, cell_input(cell, x), cell_product(cell, h, leaves[1]));
    int keep = cell_unary(cell, UNARY_sigmoid, cell_part(cell, g, HEADS, 0, 2));
    int enter = cell_unary(cell, UNARY_tanh, cell_part(cell, g, HEADS, 1, 2));
    enter = cell_binary(cell, BINARY_multiply, enter, cell_parameter(cell, leaves[3]));
    enter = cell_binary(cell, BINARY_multiply, enter, cell_affine(cell, keep, -1, 1));
    int next = cell_binary(cell, BINARY_add, cell_binary(cell, BINARY_multiply, keep, c), enter);
    int output = cell_binary(cell, BINARY_multiply, next, cell_product(cell, next, leaves[2]));
    cell_update(cell, h, output);
    cell_update(cell, c, next);
    tensor *y = cell_run(cell, output);
    return (struct part){y, cell_final(cell, h), cell_final(cell, c)};
}

/* Leaves: x, R, U, v, the first h and c. */
static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct function *f = argument;
    (void)graph;
    tensor *x = leaves[0];
    if (!f->cut) {
        struct part all = run(x, leaves, leaves[4], leaves[5]);
        return gradient_join(3, (tensor *[]){all.h, all.last_h, all.last_c});
    }
    struct part early = run(tensor_slice(x, 1, 0, f->cut), leaves, leaves[4], leaves[5]);
    struct part late = run(tensor_slice(x, 1, f->cut, TOKENS - f->cut), leaves, early.last_h, early.last_c);
    return gradient_join(
        3, (tensor *[]){tensor_concat(2, (tensor *[]){early.h, late.h}, 1), late.last_h, late.last_c});
}

static void define_token(double *h, double *c, const real *x, const real *R, const real *U, const real *v)
{
    double next[WIDTH];
    for (int head = 0; head < HEADS; head++)
        for (int i = 0; i < WIDTH / HEADS; i++) {
            double gates[2];
            for (int part = 0; part < 2; part++) {
                int row = head * WIDTH + part * (WIDTH / HEADS) + i;
                gates[part] = (double)x[row];
                for (int j = 0; j < WIDTH / HEADS; j++)
                    gates[part] += (double)R[row * (WIDTH / HEADS) + j] * h[head * (WIDTH / HEADS) + j];
            }
            int at = head * (WIDTH / HEADS) + i;
            double keep = 1 / (1 + exp(-gates[0]));
            next[at] = keep * c[at] + (1 - keep) * tanh(gates[1]) * (double)v[at];
        }
    for (int i = 0; i < WIDTH; i++) {
        double product = 0;
        for (int j = 0; j < WIDTH; j++)
            product += (double)U[i * WIDTH + j] * next[j];
        c[i] = next[i];
        h[i] = next[i] * product;
    }
}

#define LEAVES(rows)                                                                                 \
    {                                                                                                \
        LEAF(3, rows, TOKENS, 2 * WIDTH), LEAF(3, HEADS, 2 * WIDTH / HEADS, WIDTH / HEADS),          \
            LEAF(2, WIDTH, WIDTH), LEAF(1, WIDTH), LEAF(3, rows, 1, WIDTH), LEAF(3, rows, 1, WIDTH), \
    }

static void agrees_with_a_loop_over_tokens(void **state)
{
    (void)state;
    for (int64_t rows = 1; rows <= 20; rows += 19)
        for (int64_t cut = 0; cut < 5; cut += 4) {
            struct function f = {cut};
            struct gradient_leaf leaves[] = LEAVES(rows);
            real *values[6];
            for (int i = 0; i < 6; i++)
                values[i] = leaf_values(leaves, i);
            double *want = calloc((size_t)(rows * (TOKENS + 2) * WIDTH), sizeof *want);
            for (int64_t row = 0; row < rows; row++) {
                double h[WIDTH], c[WIDTH], *lasts = want + rows * TOKENS * WIDTH;
                for (int i = 0; i < WIDTH; i++) {
                    h[i] = (double)values[4][row * WIDTH + i];
                    c[i] = (double)values[5][row * WIDTH + i];
                }
                for (int64_t t = 0; t < TOKENS; t++) {
                    define_token(h, c, values[0] + (row * TOKENS + t) * 2 * WIDTH, values[1], values[2],
                                 values[3]);
                    for (int i = 0; i < WIDTH; i++)
                        want[(row * TOKENS + t) * WIDTH + i] = h[i];
                }
                for (int i = 0; i < WIDTH; i++) {
                    lasts[row * WIDTH + i] = h[i];
                    lasts[(rows + row) * WIDTH + i] = c[i];
                }
            }
            int64_t size;
            real *got = evaluate(build, &f, leaves, 6, &size);
            assert_int_equal(size, rows * (TOKENS + 2) * WIDTH);
            expect_near(got, want, size, tolerance);
            free(got);
            free(want);
            for (int i = 0; i < 6; i++)
                free(values[i]);
        }
}

static void has_the_right_gradients(void **state)
{
    (void)state;
    for (int64_t cut = 0; cut < 4; cut += 3) {
        struct function f = {cut};
        struct gradient_leaf few[] = LEAVES(2), many[] = LEAVES(18);
        check_gradients(build, &f, few);
        check_gradients(build, &f, many);
    }
}

/* h_t = stop(h_{t-1}) + x_t: a running sum whose gradient is 1 for the token's own input alone. */
/* h_t = W_t h_{t-1} + x_t with constant W [T, w, w]. Leaves: x, W. */
static tensor *by_token(struct graph *graph, tensor *const *leaves, const void *argument)
{
    struct recurrent_cell *cell = recurrent_cell(graph, leaves[0]->shape[0], TOKENS);
    int h = cell_state(cell, WIDTH, NULL);
    int next =
        cell_binary(cell, BINARY_add, cell_input(cell, leaves[0]), cell_token_product(cell, h, leaves[1]));
    (void)argument;
    cell_update(cell, h, next);
    return cell_run(cell, next);
}

static void multiplies_by_a_matrix_for_each_token(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(3, 3, TOKENS, WIDTH), LEAF(3, TOKENS, WIDTH, WIDTH)};
    leaves[1].fixed = true;
    int64_t size;
    real *got = evaluate(by_token, NULL, leaves, 2, &size), *x = leaf_values(leaves, 0),
         *w = leaf_values(leaves, 1);
    double want[3 * TOKENS * WIDTH];
    for (int64_t b = 0; b < 3; b++)
        for (int64_t t = 0; t < TOKENS; t++)
            for (int64_t o = 0; o < WIDTH; o++) {
                int64_t at = (b * TOKENS + t) * WIDTH;
                want[at + o] = (double)x[at + o];
                for (int64_t i = 0; t > 0 && i < WIDTH; i++)
                    want[at + o] += (double)w[(t * WIDTH + o) * WIDTH + i] * want[at - WIDTH + i];
            }
    expect_near(got, want, size, tolerance);
    free(got);
    free(x);
    free(w);
    check_gradients(by_token, NULL, leaves);
    leaves[1].shape[0] = TOKENS + 1;
    assert_string_equal(
        raised_message(by_token, NULL, leaves),
        "recurrent cell: expected constant matrices [T, o, i] for the width of the vector, got [8, 6, 6]");
}

static tensor *stopped_sum(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)graph, (void)argument;
    struct recurrent_cell *cell = recurrent_cell(leaves[0]->graph, 1, leaves[0]->shape[1]);
    int h = cell_state(cell, 1, NULL),
        next = cell_binary(cell, BINARY_add, cell_stop(cell, h), cell_input(cell, leaves[0]));
    cell_update(cell, h, next);
    return cell_run(cell, next);
}

static void passes_no_gradient_through_what_is_stopped(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    real values[] = {1, 2, 3};
    const real ones[] = {1, 1, 1}, sums[] = {1, 3, 6};
    tensor *x = tensor_leaf(graph, values, 3, SHAPE(1, 3, 1), true);
    tensor *y = graph_keep(stopped_sum(graph, &x, NULL));
    graph_run(graph);
    assert_memory_equal(y->data, sums, sizeof sums);
    graph_seed(y, ones);
    graph_backward(graph);
    assert_memory_equal(x->gradient, ones, sizeof ones);
    graph_free(graph);
    pool_free(pool);
}

static tensor *without_update(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)argument;
    struct recurrent_cell *cell = recurrent_cell(graph, 2, 3);
    int h = cell_state(cell, 4, NULL);
    return cell_run(cell, cell_binary(cell, BINARY_add, h, cell_input(cell, leaves[0])));
}

static tensor *wrong_matrix(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)argument;
    struct recurrent_cell *cell = recurrent_cell(graph, 2, 3);
    return cell_run(cell, cell_product(cell, cell_input(cell, leaves[0]), leaves[1]));
}

static void refuses_cells_that_do_not_fit(void **state)
{
    (void)state;
    struct gradient_leaf leaves[] = {LEAF(3, 2, 3, 4), LEAF(2, 4, 5)};
    assert_string_equal(raised_message(without_update, NULL, leaves),
                        "recurrent cell: a state has no update");
    assert_string_equal(
        raised_message(wrong_matrix, NULL, leaves),
        "recurrent cell: expected a matrix [o, i] or [H, o, i] for the width of the vector, got [4, 5]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_loop_over_tokens),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(multiplies_by_a_matrix_for_each_token),
        cmocka_unit_test(passes_no_gradient_through_what_is_stopped),
        cmocka_unit_test(refuses_cells_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
