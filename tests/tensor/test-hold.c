/* A graph that holds: differences between its runs measure the function that backward differentiates. */
#include "base/memory.h"
#include "tensor/tensor.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A graph over one leaf [2] that is run, changed and run again. */
struct fixture {
    struct pool *pool;
    struct graph *graph;
    real x[2];
    tensor *leaf, *y;
};

static void start(struct fixture *f, bool holds, real a, real b)
{
    *f = (struct fixture){.pool = pool_create(), .x = {a, b}};
    f->graph = graph_create(f->pool, true);
    if (holds)
        graph_hold(f->graph);
    f->leaf = tensor_leaf(f->graph, f->x, 1, SHAPE(2), true);
}

static void run(struct fixture *f, real a, real b)
{
    f->x[0] = a;
    f->x[1] = b;
    graph_run(f->graph);
}

static void finish(struct fixture *f)
{
    graph_free(f->graph);
    pool_free(f->pool);
}

static void holds_stopped_values(void **state)
{
    for (int holds = 0; holds < 2; holds++) {
        struct fixture f;
        start(&f, holds, 2, 3);
        f.y = graph_keep(tensor_multiply(f.leaf, tensor_scale(tensor_stop_gradient(f.leaf), 10)));
        graph_run(f.graph);
        assert_true(f.y->data[0] == 40 && f.y->data[1] == 90);
        run(&f, 4, 5);
        assert_true(f.y->data[0] == (holds ? 80 : 160) && f.y->data[1] == (holds ? 150 : 250));
        finish(&f);
    }
}

static void holds_comparisons(void **state)
{
    struct fixture f;
    start(&f, true, -1, 1);
    tensor *zero = tensor_scalar(f.graph, 0);
    f.y = graph_keep(tensor_multiply(f.leaf, tensor_greater(f.leaf, zero)));
    graph_run(f.graph);
    assert_true(f.y->data[0] == 0 && f.y->data[1] == 1);
    run(&f, 7, -7);
    assert_true(f.y->data[0] == 0 && f.y->data[1] == -7);
    finish(&f);
}

static void moves_a_replaced_value_with_what_its_gradient_goes_to(void **state)
{
    struct fixture f;
    start(&f, true, 0.25, 0.75);
    f.y = graph_keep(tensor_straight_through(tensor_round(f.leaf), tensor_scale(f.leaf, 2)));
    graph_run(f.graph);
    assert_true(f.y->data[0] == 0 && f.y->data[1] == 1);
    run(&f, 0.5, 1.75);
    assert_true(f.y->data[0] == 0.5 && f.y->data[1] == 3);
    finish(&f);
}

static void holds_indices_without_their_values(void **state)
{
    struct fixture f;
    start(&f, true, 1, 2);
    tensor *place = tensor_argmax(f.leaf, 0);
    f.y = graph_keep(tensor_gather(f.leaf, 0, place));
    graph_run(f.graph);
    assert_true(f.y->data[0] == 2);
    run(&f, 9, 3);
    assert_true(f.y->data[0] == 3);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_stopped_values),
        cmocka_unit_test(holds_comparisons),
        cmocka_unit_test(moves_a_replaced_value_with_what_its_gradient_goes_to),
        cmocka_unit_test(holds_indices_without_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
