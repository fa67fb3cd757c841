/* What a kernel keeps between steps: values that are replaced and rows that are appended. */
#include "block/scope.h"
#include "block/state.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A step over one token of width 1 and batch 2: `build` records it and returns what is to be kept. */
struct fixture {
    struct pool *pool;
    struct state *state;
    real x[2];
    tensor *(*build)(struct scope *s, tensor *x);
    real y[64];
    int64_t shape[3];
    struct error error;
};

static const struct kernel kernel = {.name = "tested"};

static void record(struct graph *graph, void *argument)
{
    struct fixture *f = argument;
    struct scope s = {.graph = graph, .kernel = &kernel, .state = f->state, .prefix = "mixer.", .width = 1};
    tensor *y = f->build(&s, tensor_leaf(graph, f->x, 3, SHAPE(2, 1, 1), false));
    y = graph_keep(tensor_contiguous(y));
    graph_run(graph);
    memcpy(f->shape, y->shape, sizeof f->shape);
    memcpy(f->y, y->data, (size_t)tensor_size(y) * sizeof(real));
}

static bool step(struct fixture *f, real a, real b, bool commit)
{
    struct graph *graph = graph_create(f->pool, false);
    f->x[0] = a;
    f->x[1] = b;
    state_begin(f->state);
    bool ok = graph_protect(graph, record, f, &f->error);
    if (ok && commit)
        state_commit(f->state);
    graph_free(graph);
    return ok;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.pool = pool_create(), .state = state_create()};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    state_free(f->state);
    pool_free(f->pool);
    return 0;
}

/* h = h / 2 + x from h = 8 */
static tensor *halve(struct scope *s, tensor *x)
{
    tensor *h = state(s, "h", 8, 3, SHAPE(2, 1, 1));
    h = tensor_add(tensor_scale(h, 0.5), x);
    state_set(s, "h", h);
    return h;
}

static void keeps_a_value(void **state)
{
    struct fixture *f = *state;
    f->build = halve;
    assert_true(step(f, 1, 2, true));
    assert_true(f->y[0] == 5 && f->y[1] == 6);
    assert_true(step(f, 0, 1, true));
    assert_true(f->y[0] == 2.5 && f->y[1] == 4);
    assert_int_equal(state_bytes(f->state), 2 * sizeof(real));
}

static void forgets_a_step_that_is_not_committed(void **state)
{
    struct fixture *f = *state;
    f->build = halve;
    assert_true(step(f, 1, 2, true));
    assert_true(step(f, 9, 9, false));
    assert_true(step(f, 0, 1, true));
    assert_true(f->y[0] == 2.5 && f->y[1] == 4);
}

static tensor *halve_twice(struct scope *s, tensor *x)
{
    halve(s, x);
    return halve(s, x);
}

static void sees_its_own_change_within_a_step(void **state)
{
    struct fixture *f = *state;
    f->build = halve_twice;
    assert_true(step(f, 1, 2, true));
    assert_true(f->y[0] == 3.5 && f->y[1] == 5);
    f->build = halve;
    assert_true(step(f, 0, 0, true));
    assert_true(f->y[0] == 1.75 && f->y[1] == 2.5);
}

/* `before` becomes the h that was, then h becomes h / 2 + x. */
static tensor *remember(struct scope *s, tensor *x)
{
    tensor *h = state(s, "h", 8, 3, SHAPE(2, 1, 1)), *before = state(s, "before", 0, 3, SHAPE(2, 1, 1));
    state_set(s, "before", h);
    state_set(s, "h", tensor_add(tensor_scale(h, 0.5), x));
    return before;
}

static void hands_a_value_on_before_it_is_replaced(void **state)
{
    struct fixture *f = *state;
    f->build = remember;
    assert_true(step(f, 1, 2, true));
    assert_true(f->y[0] == 0 && f->y[1] == 0);
    assert_true(step(f, 0, 0, true));
    assert_true(f->y[0] == 8 && f->y[1] == 8);
    assert_true(step(f, 0, 0, true));
    assert_true(f->y[0] == 5 && f->y[1] == 6);
}

static tensor *append_all(struct scope *s, tensor *x)
{
    return cache_append(s, "rows", x, 0);
}

static tensor *append_three(struct scope *s, tensor *x)
{
    return cache_append(s, "rows", x, 3);
}

static void keeps_rows_in_order(void **state)
{
    struct fixture *f = *state;
    f->build = append_all;
    for (int t = 0; t < 20; t++) {
        assert_true(step(f, (real)t, (real)(100 + t), true));
        assert_int_equal(f->shape[1], t + 1);
        for (int i = 0; i <= t; i++)
            assert_true(f->y[i] == (real)i && f->y[t + 1 + i] == (real)(100 + i));
        assert_int_equal(state_bytes(f->state), (size_t)(t + 1) * 2 * sizeof(real));
    }
}

static void keeps_the_newest_rows_under_a_limit(void **state)
{
    struct fixture *f = *state;
    f->build = append_three;
    for (int t = 0; t < 50; t++) {
        assert_true(step(f, (real)t, (real)(100 + t), true));
        int seen = t < 3 ? t + 1 : 4; /* those kept and its own */
        assert_int_equal(f->shape[1], seen);
        for (int i = 0; i < seen; i++)
            assert_true(f->y[i] == (real)(t - seen + 1 + i) && f->y[seen + i] == (real)(101 + t - seen + i));
    }
    assert_int_equal(state_bytes(f->state), 3 * 2 * sizeof(real));
}

static void does_not_keep_rows_of_a_step_that_is_not_committed(void **state)
{
    struct fixture *f = *state;
    f->build = append_all;
    assert_true(step(f, 1, 2, true));
    assert_true(step(f, 8, 9, false));
    assert_true(step(f, 3, 4, true));
    assert_int_equal(f->shape[1], 2);
    assert_true(f->y[0] == 1 && f->y[1] == 3 && f->y[2] == 2 && f->y[3] == 4);
}

static tensor *another_shape(struct scope *s, tensor *x)
{
    state(s, "h", 0, 2, SHAPE(2, 2));
    return x;
}

static tensor *wider_rows(struct scope *s, tensor *x)
{
    return cache_append(s, "rows", tensor_concat(2, (tensor *[]){x, x}, 2), 0);
}

static void refuses_another_shape(void **state)
{
    struct fixture *f = *state;
    f->build = halve;
    assert_true(step(f, 1, 2, true));
    f->build = another_shape;
    assert_false(step(f, 1, 2, true));
    assert_string_equal(
        f->error.message,
        "kernel 'tested': the state 'mixer.h' was kept for another shape (another batch size?)");
    f->build = append_all;
    assert_true(step(f, 1, 2, true));
    f->build = wider_rows;
    assert_false(step(f, 1, 2, true));
    assert_string_equal(f->error.message,
                        "kernel 'tested': the cache 'mixer.rows' holds rows of another shape than [2, 1, 2]");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_a_value),
        TEST(forgets_a_step_that_is_not_committed),
        TEST(hands_a_value_on_before_it_is_replaced),
        TEST(sees_its_own_change_within_a_step),
        TEST(keeps_rows_in_order),
        TEST(keeps_the_newest_rows_under_a_limit),
        TEST(does_not_keep_rows_of_a_step_that_is_not_committed),
        TEST(refuses_another_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
