#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 19, H = 3, D = 4, WIDE = 3 * D + 1, D_MAXIMUM = 67, WIDE_MAXIMUM = 3 * D_MAXIMUM + 1 };

#ifdef CLADE_DOUBLE
static const double rounding = 1e-12;
#else
static const double rounding = 1e-5;
#endif

struct form {
    bool mix, added, initial, final;
};
static const struct form forms[] = {{.mix = true},
                                    {.added = true},
                                    {.mix = true, .added = true, .initial = true, .final = true},
                                    {.added = true, .initial = true, .final = true}};
enum { FORMS = sizeof forms / sizeof *forms };

enum { PROGRAM, MIX, ADDED, WEIGHTS, OUTPUT, LEAVES };
static const struct gradient_leaf leaves[] = {LEAF(4, B, T, H, WIDE), LEAF(3, H, D, WIDE),
                                              LEAF(4, B, T, H, D), LEAF(4, B, H, D, D), LEAF(4, B, 1, H, D)};

static struct self_delta_options options_of(const struct form *form, tensor *const *all)
{
    return (struct self_delta_options){.mix = form->mix ? all[MIX] : NULL,
                                       .added = form->added ? all[ADDED] : NULL,
                                       .initial_weights = form->initial ? all[WEIGHTS] : NULL,
                                       .initial_output = form->initial ? all[OUTPUT] : NULL};
}

static tensor *build(struct graph *graph, tensor *const *all, const void *argument)
{
    const struct form *form = argument;
    struct self_delta_options options = options_of(form, all);
    tensor *final;
    options.final_weights = form->final ? &final : NULL;
    tensor *y = tensor_self_delta(all[PROGRAM], &options);
    return form->final ? gradient_join(2, (tensor *[]){y, final}) : y;
}

static void has_the_gradients_of_every_form(void **state)
{
    for (int i = 0; i < FORMS; i++)
        check_gradients(build, &forms[i], leaves);
}

static void softmax(int d, double *x)
{
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += exp(x[i]);
    for (int i = 0; i < d; i++)
        x[i] = exp(x[i]) / sum;
}

/* One head of one batch entry, by the definition; w = W^T and o hold the initial state at first, then the
 * last. */
static void define_head(const struct form *form, int d, int steps, const real *program, const real *mix,
                        const real *added, double *w, double *o, double *y)
{
    int wide = 3 * d + 1;
    for (int t = 0; t < steps; t++) {
        double p[WIDE_MAXIMUM], error[D_MAXIMUM];
        for (int j = 0; j < wide; j++) {
            p[j] = (double)program[t * H * wide + j];
            for (int i = 0; i < d && form->mix; i++)
                p[j] += tanh(o[i]) * (double)mix[i * wide + j];
            if (!form->mix && j < d)
                p[j] += o[j];
        }
        double *q = p, *k = p + d, *v = p + 2 * d, rate = 1 / (1 + exp(-p[3 * d]));
        softmax(d, q);
        softmax(d, k);
        for (int i = 0; i < d; i++) {
            error[i] = v[i];
            for (int j = 0; j < d; j++)
                error[i] -= w[j * d + i] * k[j];
        }
        for (int i = 0; i < d; i++) {
            o[i] = form->added ? (double)added[t * H * d + i] : 0;
            for (int j = 0; j < d; j++) {
                w[j * d + i] += rate * error[i] * k[j];
                o[i] += w[j * d + i] * q[j];
            }
            y[t * H * d + i] = o[i];
        }
    }
}

static void expect_definition(const struct form *form, int d, int steps)
{
    int wide = 3 * d + 1;
    const struct gradient_leaf these[] = {LEAF(4, B, steps, H, wide), LEAF(3, H, d, wide),
                                          LEAF(4, B, steps, H, d), LEAF(4, B, H, d, d), LEAF(4, B, 1, H, d)};
    real *values[LEAVES];
    for (int i = 0; i < LEAVES; i++)
        values[i] = leaf_values(these, i);
    int64_t count = (int64_t)B * steps * H * d, size;
    double *want = memory_allocate_zero((size_t)count, sizeof *want);
    for (int b = 0; b < B; b++)
        for (int h = 0; h < H; h++) {
            double w[D_MAXIMUM * D_MAXIMUM] = {0}, o[D_MAXIMUM] = {0};
            for (int i = 0; i < d * d && form->initial; i++)
                w[i] = (double)values[WEIGHTS][(b * H + h) * d * d + i];
            for (int i = 0; i < d && form->initial; i++)
                o[i] = (double)values[OUTPUT][(b * H + h) * d + i];
            define_head(form, d, steps, values[PROGRAM] + (b * steps * H + h) * wide,
                        values[MIX] + h * d * wide, values[ADDED] + (b * steps * H + h) * d, w, o,
                        want + (b * steps * H + h) * d);
        }
    real *y = evaluate(build, form, these, LEAVES, &size);
    expect_near(y, want, count, rounding);
    free(y);
    free(want);
    for (int i = 0; i < LEAVES; i++)
        free(values[i]);
}

/* Sizes below, at and beside the loops' vectors, and sequences that end in and beside a head's turn. */
static void agrees_with_the_definition(void **state)
{
    static const int sizes[][2] = {{D, T}, {1, 1}, {3, 17}, {21, 16}, {64, 33}, {67, 5}};
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++)
        for (int f = 0; f < FORMS; f++)
            expect_definition(&forms[f], sizes[i][0], sizes[i][1]);
}

static tensor *build_cut(struct graph *graph, tensor *const *all, const void *argument)
{
    const int64_t at = *(const int64_t *)argument;
    tensor *weights = NULL, *parts[2];
    for (int i = 0; i < 2; i++) {
        int64_t start = i ? at : 0, count = i ? T - at : at;
        struct self_delta_options options = {.mix = all[MIX],
                                             .added = tensor_slice(all[ADDED], 1, start, count)};
        if (i) {
            options.initial_weights = weights;
            options.initial_output = tensor_slice(parts[0], 1, -1, 1);
        }
        options.final_weights = &weights;
        parts[i] = tensor_self_delta(tensor_slice(all[PROGRAM], 1, start, count), &options);
    }
    return gradient_join(2, (tensor *[]){tensor_concat(2, parts, 1), weights});
}

static void continues_from_a_last_state(void **state)
{
    static const struct form whole_form = {.mix = true, .added = true, .final = true};
    int64_t size;
    real *whole = evaluate(build, &whole_form, leaves, LEAVES, &size);
    for (int64_t at = 1; at < T; at++) {
        real *pieces = evaluate(build_cut, &at, leaves, LEAVES, NULL);
        assert_memory_equal(pieces, whole, (size_t)size * sizeof(real));
        free(pieces);
    }
    free(whole);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct form all = {.mix = true, .added = true, .initial = true};
    static const char *const told[LEAVES] = {"program", "mix", "added", "weights", "output"};
    expect_refused_shapes(build, &all, leaves, -1, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_gradients_of_every_form),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(continues_from_a_last_state),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
