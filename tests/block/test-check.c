/* Each property of check.h finds the kernel that breaks it, and passes one that does not. */
#include "base/memory.h"
#include "block/check.h"
#include "block/kernel.h"
#include "block/registry.h"
#include "tensor/operation.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Checks a kernel alone in its slot. */
static struct check_result check(const struct kernel *kernel)
{
    struct check_result result;
    struct composition composition = {memory_allocate_zero(1, sizeof *composition.layers), 1};
    settings_init(&composition.layers[0].slots[kernel->slot], kernel);
    check_composition(&composition, true, &result);
    composition_release(&composition);
    return result;
}

static const struct check_property *find(const struct check_result *result, const char *name)
{
    for (size_t i = 0; i < result->count; i++)
        if (strcmp(result->properties[i].name, name) == 0)
            return &result->properties[i];
    fail_msg("there is no property '%s'", name);
    return NULL;
}

/* Every property holds but those in `failing` ("step|state"); the detail of the first failure contains
 * `detail`. */
static void expect(const struct kernel *kernel, const char *failing, const char *detail)
{
    struct check_result result = check(kernel);
    for (size_t i = 0; i < result.count; i++) {
        const struct check_property *property = &result.properties[i];
        const char *listed = strstr(failing, property->name);
        if ((property->outcome == CHECK_FAILED) != (listed != NULL))
            fail_msg("%s: property '%s' has outcome %d: %s", kernel->name, property->name, property->outcome,
                     property->detail);
        if (listed == failing && !strstr(property->detail, detail))
            fail_msg("%s: property '%s' says '%s'", kernel->name, property->name, property->detail);
    }
}

static void expect_skipped(const struct kernel *kernel, const char *property)
{
    struct check_result result = check(kernel);
    assert_int_equal(find(&result, property)->outcome, CHECK_SKIPPED);
}

#define CAUSAL_LINEAR CHARACTERS({"causality", "causal"}, {"time", "linear"}, {"decode-cost", "constant"})

/* ---- A sound kernel: h_t = h_{t-1} / 2 + x_t, y = h w + b ---- */

static tensor *scan_forward(struct scope *s, tensor *x)
{
    tensor *h = kept_scan(s, "h", tensor_scalar(s->graph, 0.5), x);
    return linear(s, "o", h, s->width, true);
}

static const struct kernel sound = {.name = "sound",
                                    .slot = SLOT_MIXER,
                                    .characters = CAUSAL_LINEAR,
                                    .forward = scan_forward,
                                    .step = scan_forward};

static void passes_a_sound_kernel(void **state)
{
    expect(&sound, "", "");
    struct check_result result = check(&sound);
    assert_int_equal(result.count, CHECK_PROPERTIES);
    assert_string_equal(find(&result, "step")->detail, "recurrent");
}

/* ---- shapes ---- */

static tensor *narrow_forward(struct scope *s, tensor *x)
{
    return tensor_slice(x, 2, 0, s->width - 1);
}

static void finds_a_wrong_shape(void **state)
{
    struct kernel kernel = sound;
    kernel.name = "narrow";
    kernel.forward = narrow_forward;
    struct check_result result = check(&kernel);
    assert_int_equal(find(&result, "shapes")->outcome, CHECK_FAILED);
    assert_int_equal(find(&result, "threads")->outcome, CHECK_SKIPPED);
}

static tensor *refusing_forward(struct scope *s, tensor *x)
{
    (void)x;
    kernel_fail(s, "it never runs");
}

static void tells_why_a_kernel_does_not_run(void **state)
{
    struct kernel kernel = sound;
    kernel.name = "refusing";
    kernel.forward = refusing_forward;
    struct check_result result = check(&kernel);
    assert_string_equal(result.properties[0].detail, "kernel 'refusing': it never runs");
}

static const char *wants_64(const struct scope *s)
{
    return s->width % 64 ? "the width is no multiple of 64" : NULL;
}

static tensor *even_forward(struct scope *s, tensor *x)
{
    if (x->shape[1] % 4)
        kernel_fail(s, "the length is no multiple of 4");
    return scan_forward(s, x);
}

static void finds_sizes_that_a_kernel_accepts(void **state)
{
    struct kernel kernel = sound;
    kernel.validate = wants_64;
    expect(&kernel, "", "");
    kernel.forward = even_forward;
    struct check_result result = check(&kernel);
    assert_int_equal(find(&result, "shapes")->outcome, CHECK_PASSED);
    assert_string_equal(find(&result, "shapes")->detail, "x [2, 36, 64]");
}

static tensor *context_forward(struct scope *s, tensor *x)
{
    tensor *context = further_input(s, "context");
    if (!context)
        kernel_fail(s, "it needs the input 'context'");
    return tensor_add(scan_forward(s, x), tensor_mean(context, 1));
}

static void gives_a_further_input_that_is_needed(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = context_forward;
    expect(&kernel, "", "");
    struct check_result result = check(&kernel);
    assert_non_null(strstr(find(&result, "shapes")->detail, "with context"));
}

static int64_t window_seen;

static tensor *window_forward(struct scope *s, tensor *x)
{
    window_seen = option(s, "window");
    return scan_forward(s, x);
}

static void brings_options_that_count_tokens_down(void **state)
{
    struct kernel kernel = sound;
    kernel.options = OPTIONS(INTEGER_OPTION("window", 256, 1, 1024, "tokens"));
    kernel.forward = kernel.step = window_forward;
    expect(&kernel, "", "");
    assert_int_equal(window_seen, 8);
}

/* ---- finite ---- */

static tensor *overflowing_forward(struct scope *s, tensor *x)
{
    (void)s;
    return tensor_exp(x);
}

static void finds_an_overflow(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = overflowing_forward;
    expect(&kernel, "finite", "not finite");
}

/* ---- causality ---- */

static tensor *mean_forward(struct scope *s, tensor *x)
{
    (void)s;
    return tensor_add(x, tensor_mean(x, 1));
}

static tensor *stopped_mean_forward(struct scope *s, tensor *x)
{
    (void)s;
    return tensor_add(x, tensor_stop_gradient(tensor_mean(x, 1)));
}

static void finds_a_look_ahead(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = mean_forward;
    kernel.step = NULL;
    kernel.characters = CHARACTERS({"causality", "causal"}, {"time", "linear"}, {"decode-cost", "replay"});
    expect(&kernel, "causality|step", "move by");
    kernel.forward = stopped_mean_forward;
    expect(&kernel, "causality|step", "move by");
}

static void finds_a_declared_look_ahead_that_is_none(void **state)
{
    struct kernel kernel = sound;
    kernel.characters = CHARACTERS({"causality", "bidirectional"}, {"time", "linear"});
    expect(&kernel, "causality", "declared bidirectional");
    kernel.forward = mean_forward;
    expect(&kernel, "", "");
    expect_skipped(&kernel, "step");
    expect_skipped(&kernel, "state");
}

/* ---- step ---- */

static tensor *forgetful_step(struct scope *s, tensor *x)
{
    return linear(s, "o", x, s->width, true);
}

static tensor *one_token_step(struct scope *s, tensor *x)
{
    return x->shape[1] == 1 ? scan_forward(s, x) : forgetful_step(s, x);
}

static void finds_a_step_that_differs(void **state)
{
    struct kernel kernel = sound;
    kernel.step = forgetful_step;
    expect(&kernel, "step", "tokens 1 to 1 differs");
    kernel.step = one_token_step;
    expect(&kernel, "step", "tokens 0 to 2 differs");
}

static void replays_a_kernel_without_a_step(void **state)
{
    struct kernel kernel = sound;
    kernel.step = NULL;
    kernel.characters = CHARACTERS({"causality", "causal"}, {"time", "linear"}, {"decode-cost", "replay"});
    expect(&kernel, "", "");
    struct check_result result = check(&kernel);
    assert_string_equal(find(&result, "step")->detail, "replayed");
}

static void replays_a_kernel_that_sees_later_tokens(void **state)
{
    struct kernel kernel = sound;
    struct scope scope = {.kernel = &kernel};
    assert_true(kernel_has_step(&scope));
    kernel.characters = CHARACTERS({"causality", "bidirectional"}, {"decode-cost", "constant"});
    assert_false(kernel_has_step(&scope));
    assert_string_equal(kernel_character(&scope, "decode-cost"), "replay");
}

/* ---- gradients ---- */

static void square_forward(tensor *y)
{
    for (int64_t i = 0; i < tensor_size(y); i++)
        y->data[i] = y->inputs[0]->data[i] * y->inputs[0]->data[i];
}

/* The gradient of a square, but for the factor. */
static double square_factor;

static void square_backward(tensor *y)
{
    real *dx = input_gradient(y, 0);
    for (int64_t i = 0; dx && i < tensor_size(y); i++)
        dx[i] += (real)(square_factor * 2 * (double)y->inputs[0]->data[i] * (double)output_gradient(y)[i]);
}

static const struct operation square_operation = {"square", square_forward, square_backward, SAVES_INPUT(0),
                                                  false};

static tensor *squared_forward(struct scope *s, tensor *x)
{
    x = tensor_contiguous(x);
    tensor *squared = node_create(x->graph, &square_operation, x->rank, x->shape, 1, &x, NULL, 0);
    return linear(s, "o", squared, s->width, false);
}

static void finds_a_wrong_gradient(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = squared_forward;
    square_factor = 1;
    expect(&kernel, "", "");
    square_factor = 1.25;
    expect(&kernel, "gradients", "x: the gradient gives");
#ifdef CLADE_DOUBLE
    square_factor = 1 + 1e-5;
    expect(&kernel, "gradients", "x: the gradient gives");
#endif
}

static tensor *ended_forward(struct scope *s, tensor *x)
{
    tensor *chosen = tensor_straight_through(tensor_round(x), tensor_scale(x, 3));
    return linear(s, "o", tensor_multiply(chosen, tensor_stop_gradient(x)), s->width, false);
}

static void passes_gradients_that_are_stopped_or_replaced(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = ended_forward;
    expect(&kernel, "", "");
}

static tensor *kinked_forward(struct scope *s, tensor *x)
{
    return linear(s, "down", tensor_relu(linear(s, "up", x, 4 * s->width, true)), s->width, false);
}

static void passes_kinks(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = kinked_forward;
    expect(&kernel, "", "");
}

/* ---- threads, batch ---- */

static void threads_forward(tensor *y)
{
    for (int64_t i = 0; i < tensor_size(y); i++)
        y->data[i] = y->inputs[0]->data[i] * (1 + (real)1e-6 * (real)tensor_threads());
}

static const struct operation threads_operation = {"threads", threads_forward, NULL, 0, false};

static tensor *threaded_forward(struct scope *s, tensor *x)
{
    (void)s;
    x = tensor_contiguous(x);
    return node_create(x->graph, &threads_operation, x->rank, x->shape, 1, &x, NULL, 0);
}

static void finds_bits_that_depend_on_threads(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = threaded_forward;
    struct check_result result = check(&kernel);
    assert_int_equal(find(&result, "threads")->outcome, CHECK_FAILED);
    assert_string_equal(find(&result, "threads")->detail, "'y' has other bits with 2 threads than with one");
}

static tensor *mixing_batch_forward(struct scope *s, tensor *x)
{
    (void)s;
    return tensor_add(x, tensor_scale(tensor_mean(x, 0), 0.01));
}

static void finds_entries_of_a_batch_that_meet(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = mixing_batch_forward;
    expect(&kernel, "batch", "differs by");
}

/* ---- time, decode-cost, state ---- */

static tensor *pairs_forward(struct scope *s, tensor *x)
{
    int64_t rows = x->shape[1];
    tensor *seen = cache_append(s, "x", x, 0);
    tensor *mask = tensor_constant(s->graph, NULL, 2, SHAPE(rows, seen->shape[1]));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j <= i + seen->shape[1] - rows; j++)
            mask->data[i * seen->shape[1] + j] = 1;
    tensor *scores = tensor_multiply(tensor_matmul_nt(x, seen), mask);
    return tensor_scale(tensor_matmul(scores, seen), 1e-3);
}

static void finds_growth_that_is_not_declared(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = pairs_forward;
    expect(&kernel, "time|decode-cost|state", "declared linear, but operations grow as quadratic");
    kernel.characters = CHARACTERS({"causality", "causal"}, {"time", "quadratic"}, {"decode-cost", "linear"});
    expect(&kernel, "", "");
    kernel.step = NULL;
    expect(&kernel, "decode-cost", "declared linear, but a step is replay");
    kernel = sound;
    kernel.characters = CHARACTERS({"causality", "causal"}, {"time", "cubic"}, {"decode-cost", "constant"});
    expect(&kernel, "time", "declared cubic, but operations grow as linear");
    kernel.characters = CHARACTERS({"causality", "causal"}, {"time", "fast"}, {"decode-cost", "constant"});
    expect(&kernel, "time", "'fast' is not an order of growth");
}

static tensor *hoarding_forward(struct scope *s, tensor *x)
{
    cache_append(s, "x", x, 0);
    return scan_forward(s, x);
}

static void finds_a_state_that_grows(void **state)
{
    struct kernel kernel = sound;
    kernel.forward = kernel.step = hoarding_forward;
    expect(&kernel, "state", "but the state grows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_a_sound_kernel),
        cmocka_unit_test(finds_a_wrong_shape),
        cmocka_unit_test(tells_why_a_kernel_does_not_run),
        cmocka_unit_test(finds_sizes_that_a_kernel_accepts),
        cmocka_unit_test(gives_a_further_input_that_is_needed),
        cmocka_unit_test(brings_options_that_count_tokens_down),
        cmocka_unit_test(finds_an_overflow),
        cmocka_unit_test(finds_a_look_ahead),
        cmocka_unit_test(finds_a_declared_look_ahead_that_is_none),
        cmocka_unit_test(finds_a_step_that_differs),
        cmocka_unit_test(replays_a_kernel_without_a_step),
        cmocka_unit_test(replays_a_kernel_that_sees_later_tokens),
        cmocka_unit_test(finds_a_wrong_gradient),
        cmocka_unit_test(passes_gradients_that_are_stopped_or_replaced),
        cmocka_unit_test(passes_kinks),
        cmocka_unit_test(finds_bits_that_depend_on_threads),
        cmocka_unit_test(finds_entries_of_a_batch_that_meet),
        cmocka_unit_test(finds_growth_that_is_not_declared),
        cmocka_unit_test(finds_a_state_that_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
