#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum form { PLAIN, NT, TN };

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    switch (*(const enum form *)argument) {
    case PLAIN:
        return tensor_matmul(leaves[0], leaves[1]);
    case NT:
        return tensor_matmul_nt(leaves[0], leaves[1]);
    default:
        return tensor_matmul_tn(leaves[0], leaves[1]);
    }
}

/* A product by its shape: a [batch_a.., M, K], b [batch_b.., K, N], each laid out as the form reads it. */
struct shape {
    int batch_rank_a, batch_rank_b;
    int64_t batch_a[4], batch_b[4];
    int64_t m, n, k;
};

static struct gradient_leaf operand(int batch_rank, const int64_t *batch, int64_t rows, int64_t columns,
                                    bool transposed)
{
    struct gradient_leaf leaf = {.rank = batch_rank + 2};
    memcpy(leaf.shape, batch, sizeof(int64_t) * (size_t)batch_rank);
    leaf.shape[batch_rank] = transposed ? columns : rows;
    leaf.shape[batch_rank + 1] = transposed ? rows : columns;
    return leaf;
}

static void set_leaves(struct gradient_leaf leaves[2], const struct shape *s, enum form form)
{
    leaves[0] = operand(s->batch_rank_a, s->batch_a, s->m, s->k, form == TN);
    leaves[1] = operand(s->batch_rank_b, s->batch_b, s->k, s->n, form == NT);
}

/* Where matrix `entry` of the result's batch starts in an operand, in matrices. */
static int64_t matrix_of(const struct gradient_leaf *leaf, int batch_rank, const int64_t *batch,
                         int64_t entry)
{
    int64_t place = 0, step = 1;
    for (int i = batch_rank - 1; i >= 0; i--) {
        int axis = i - (batch_rank - (leaf->rank - 2));
        int64_t index = entry % batch[i], length = axis < 0 ? 1 : leaf->shape[axis];
        entry /= batch[i];
        place += length == 1 ? 0 : index * step;
        step *= length;
    }
    return place;
}

static void expect_definition(const struct shape *s, enum form form)
{
    struct gradient_leaf leaves[2];
    set_leaves(leaves, s, form);
    int batch_rank = s->batch_rank_a > s->batch_rank_b ? s->batch_rank_a : s->batch_rank_b;
    int64_t batch[4], count = 1, size;
    for (int i = 0; i < batch_rank; i++) {
        int ia = i - (batch_rank - s->batch_rank_a), ib = i - (batch_rank - s->batch_rank_b);
        int64_t na = ia < 0 ? 1 : s->batch_a[ia], nb = ib < 0 ? 1 : s->batch_b[ib];
        count *= batch[i] = na == 1 ? nb : na;
    }
    real *a = leaf_values(leaves, 0), *b = leaf_values(leaves, 1),
         *y = evaluate(build, &form, leaves, 2, &size);
    assert_int_equal(size, count * s->m * s->n);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int64_t at = 0; at < size; at++) {
        int64_t entry = at / (s->m * s->n), i = at / s->n % s->m, j = at % s->n;
        const real *from_a = a + matrix_of(&leaves[0], batch_rank, batch, entry) * s->m * s->k;
        const real *from_b = b + matrix_of(&leaves[1], batch_rank, batch, entry) * s->k * s->n;
        want[at] = 0;
        for (int64_t l = 0; l < s->k; l++)
            want[at] += (double)from_a[form == TN ? l * s->m + i : i * s->k + l] *
                        (double)from_b[form == NT ? j * s->k + l : l * s->n + j];
    }
    expect_near(y, want, size, sizeof(real) == 4 ? 1e-5 : 1e-12);
    free(a);
    free(b);
    free(y);
    free(want);
}

/* Vectors in every place, odd sizes, batches that both have, that one has, and that meet. */
static const struct shape shapes[] = {
    {0, 0, {0}, {0}, 3, 4, 5},
    {0, 0, {0}, {0}, 1, 7, 5},
    {0, 0, {0}, {0}, 7, 1, 5},
    {0, 0, {0}, {0}, 5, 6, 1},
    {0, 0, {0}, {0}, 1, 1, 9},
    {0, 0, {0}, {0}, 1, 1, 1},
    {1, 1, {3}, {3}, 2, 4, 5},
    {1, 0, {3}, {0}, 2, 4, 5},
    {0, 1, {0}, {3}, 2, 4, 5},
    {1, 0, {3}, {0}, 1, 4, 5},
    {0, 1, {0}, {3}, 4, 1, 5},
    {2, 2, {2, 3}, {2, 3}, 4, 3, 2},
    {2, 2, {2, 1}, {1, 3}, 4, 3, 2},
    {2, 2, {1, 3}, {2, 3}, 1, 3, 2},
    {2, 1, {2, 3}, {1}, 4, 3, 2},
    {1, 3, {3}, {2, 1, 3}, 2, 2, 3},
    {4, 4, {2, 1, 2, 1}, {1, 2, 1, 2}, 2, 3, 2},
};

static void agrees_with_the_definition(void **state)
{
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int form = PLAIN; form <= TN; form++)
            expect_definition(&shapes[s], (enum form)form);
}

static void has_the_right_gradients(void **state)
{
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int form = PLAIN; form <= TN; form++) {
            struct gradient_leaf leaves[2];
            set_leaves(leaves, &shapes[s], (enum form)form);
            check_gradients(build, &form, leaves);
        }
}

/* Larger than a tile, so that several threads work and edges are left over. */
static void is_the_same_for_any_threads_when_large(void **state)
{
    static const struct shape large[] = {
        {0, 0, {0}, {0}, 530, 131, 70}, {0, 0, {0}, {0}, 1, 2100, 150}, {0, 0, {0}, {0}, 2100, 1, 150},
        {1, 0, {5}, {0}, 33, 60, 90},   {1, 1, {6}, {6}, 64, 65, 33},
    };
    for (size_t s = 0; s < sizeof large / sizeof *large; s++)
        for (int form = PLAIN; form <= TN; form++) {
            struct gradient_leaf leaves[2];
            set_leaves(leaves, &large[s], (enum form)form);
            expect_definition(&large[s], (enum form)form);
            check_gradients(build, &form, leaves);
        }
}

static void sums_over_nothing_are_zero(void **state)
{
    static const struct shape empty[] = {{0, 0, {0}, {0}, 3, 4, 0},
                                         {1, 1, {2}, {2}, 1, 4, 0},
                                         {0, 0, {0}, {0}, 4, 1, 0},
                                         {0, 0, {0}, {0}, 0, 4, 3},
                                         {1, 0, {0}, {0}, 3, 4, 2}};
    for (size_t s = 0; s < sizeof empty / sizeof *empty; s++)
        for (int form = PLAIN; form <= TN; form++)
            expect_definition(&empty[s], (enum form)form);
}

static tensor *gram(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_matmul_nt(leaves[0], leaves[0]);
}

static tensor *times_its_transpose(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_matmul(tensor_transpose(leaves[0], 0, 1), leaves[0]);
}

static void adds_up_the_gradients_of_one_tensor_in_both_places(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 5, 3)};
    check_gradients(gram, NULL, leaves);
    check_gradients(times_its_transpose, NULL, leaves);
}

/* [B, T, H, d] as heads: the views that attention is written with. */
static tensor *scores_by_head(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const int heads_first[] = {0, 2, 1, 3};
    return tensor_matmul_nt(tensor_permute(leaves[0], heads_first), tensor_permute(leaves[1], heads_first));
}

static tensor *steps_of_two(struct graph *graph, tensor *const *leaves, const void *argument)
{
    tensor *a = tensor_slice_step(leaves[0], 3, 0, 3, 2), *b = tensor_slice_step(leaves[1], 3, 1, 3, 2);
    return tensor_matmul_nt(a, b);
}

static void reads_views(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(4, 2, 4, 3, 6), LEAF(4, 2, 4, 3, 6)};
    check_gradients(scores_by_head, NULL, leaves);
    check_gradients(steps_of_two, NULL, leaves);
}

static tensor *build_linear(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_linear(leaves[0], leaves[1], *(const bool *)argument ? leaves[2] : NULL);
}

static void linear_maps_the_last_axis(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(3, 2, 3, 4), LEAF(2, 5, 4), LEAF(1, 5)};
    int64_t size;
    real *x = leaf_values(leaves, 0), *w = leaf_values(leaves, 1), *bias = leaf_values(leaves, 2);
    real *y = evaluate(build_linear, &(bool){true}, leaves, 3, &size);
    assert_int_equal(size, 30);
    double want[30];
    for (int i = 0; i < 30; i++) {
        want[i] = (double)bias[i % 5];
        for (int j = 0; j < 4; j++)
            want[i] += (double)x[i / 5 * 4 + j] * (double)w[i % 5 * 4 + j];
    }
    expect_near(y, want, 30, sizeof(real) == 4 ? 1e-6 : 1e-14);
    free(x);
    free(w);
    free(bias);
    free(y);
    check_gradients(build_linear, &(bool){true}, leaves);
    struct gradient_leaf without[] = {leaves[0], leaves[1]}, vector[] = {LEAF(1, 4), leaves[1], leaves[2]};
    check_gradients(build_linear, &(bool){false}, without);
    check_gradients(build_linear, &(bool){true}, vector);
}

static void counts_two_operations_for_a_multiply_add(void **state)
{
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    tensor *a = tensor_leaf(graph, NULL, 3, SHAPE(7, 3, 4), true),
           *b = tensor_leaf(graph, NULL, 2, SHAPE(4, 5), true);
    tensor_matmul(a, b);
    struct cost cost = graph_cost(graph);
    assert_true(cost.flops == 2 * 7 * 3 * 4 * 5 && cost.backward_flops == 2 * cost.flops);
    assert_true(cost.bytes == (7 * 3 * 4 + 4 * 5 + 7 * 3 * 5) * sizeof(real));
    graph_free(graph);
    pool_free(pool);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    struct gradient_leaf inner[] = {LEAF(2, 3, 4), LEAF(2, 3, 5)},
                         batch[] = {LEAF(3, 2, 3, 4), LEAF(3, 3, 4, 5)};
    struct gradient_leaf rank[] = {LEAF(1, 4), LEAF(2, 4, 5)};
    assert_string_equal(raised_message(build, &(enum form){PLAIN}, inner),
                        "matmul: [3, 4] and [3, 5] do not fit");
    assert_string_equal(raised_message(build, &(enum form){NT}, inner),
                        "matmul: [3, 4] and [3, 5] transposed do not fit");
    assert_string_equal(raised_message(build, &(enum form){PLAIN}, batch),
                        "matmul: [2, 3, 4] and [3, 4, 5] do not fit");
    assert_string_equal(raised_message(build, &(enum form){PLAIN}, rank),
                        "matmul: expected at least 2 dimensions, got [4]");
    struct gradient_leaf linear[] = {LEAF(2, 3, 4), LEAF(2, 5, 3)};
    assert_string_equal(raised_message(build_linear, &(bool){false}, linear),
                        "linear: weight [5, 3] does not take [3, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(is_the_same_for_any_threads_when_large),
        cmocka_unit_test(sums_over_nothing_are_zero),
        cmocka_unit_test(adds_up_the_gradients_of_one_tensor_in_both_places),
        cmocka_unit_test(reads_views),
        cmocka_unit_test(linear_maps_the_last_axis),
        cmocka_unit_test(counts_two_operations_for_a_multiply_add),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
