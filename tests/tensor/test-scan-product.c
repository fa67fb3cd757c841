#include "base/memory.h"
#include "gradient.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 13, H = 6 }; /* more heads than go together */

#ifdef CLADE_DOUBLE
static const double rounding = 1e-12;
#else
static const double rounding = 1e-5;
#endif

struct form {
    bool keep, initial, final;
};
static const struct form forms[] = {
    {false, false, false}, {true, false, false}, {false, true, true}, {true, true, true}};
enum { FORMS = sizeof forms / sizeof *forms };

enum { Q, K, KEEP, INITIAL, LEAVES };

static void make_leaves(int64_t width, struct gradient_leaf *leaves)
{
    const struct gradient_leaf all[LEAVES] = {LEAF(4, B, T, H, width),
                                              LEAF(4, B, T, H, width),
                                              {.rank = 4, .shape = {B, T, H, 1}, .low = 0.2, .high = 1},
                                              LEAF(4, B, 1, H, width)};
    memcpy(leaves, all, sizeof all);
}

static tensor *build(struct graph *graph, tensor *const *all, const void *argument)
{
    const struct form *form = argument;
    tensor *final;
    tensor *y = tensor_scan_product(all[Q], form->keep ? all[KEEP] : NULL, all[K],
                                    form->initial ? all[INITIAL] : NULL, &final);
    return form->final ? gradient_join(2, (tensor *[]){y, final}) : y;
}

/* By the primitives that it replaces. */
static tensor *build_apart(struct graph *graph, tensor *const *all, const void *argument)
{
    const struct form *form = argument;
    tensor *final, *keep = form->keep ? all[KEEP] : tensor_scalar(graph, 1);
    tensor *z = tensor_scan(keep, all[K], form->initial ? all[INITIAL] : NULL, &final);
    tensor *y = tensor_sum(tensor_multiply(all[Q], z), 3);
    return form->final ? gradient_join(2, (tensor *[]){y, final}) : y;
}

static const int64_t widths[] = {1, 5, 16, 40, 67};
enum { WIDTHS = sizeof widths / sizeof *widths };

static void has_the_gradients_of_every_form(void **state)
{
    for (int i = 0; i < FORMS; i++)
        for (int j = 0; j < WIDTHS; j++) {
            struct gradient_leaf leaves[LEAVES];
            make_leaves(widths[j], leaves);
            check_gradients(build, &forms[i], leaves);
        }
}

static void agrees_with_a_scan_and_products(void **state)
{
    for (int i = 0; i < FORMS; i++)
        for (int j = 0; j < WIDTHS; j++) {
            struct gradient_leaf leaves[LEAVES];
            make_leaves(widths[j], leaves);
            int64_t size;
            real *got = evaluate(build, &forms[i], leaves, LEAVES, &size);
            real *apart = evaluate(build_apart, &forms[i], leaves, LEAVES, NULL);
            double *want = memory_allocate((size_t)size * sizeof *want);
            for (int64_t n = 0; n < size; n++)
                want[n] = (double)apart[n];
            expect_near(got, want, size, rounding);
            free(got);
            free(apart);
            free(want);
        }
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct form all = {true, true, true};
    static const char *const told[LEAVES] = {"keys", "keys", "factors", "initial sum"};
    struct gradient_leaf leaves[LEAVES];
    make_leaves(5, leaves);
    expect_refused_shapes(build, &all, leaves, 2, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_gradients_of_every_form),
        cmocka_unit_test(agrees_with_a_scan_and_products),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
