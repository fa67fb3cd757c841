/* Parameters from files: every one filled, nothing left over, names told. */
#include "base/memory.h"
#include "block/block.h"
#include "block/weights.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WIDTH = 4 };

struct fixture {
    struct composition composition;
    struct block *block;
    struct named_array arrays[4];
    struct tensor_file file;
    struct error error;
};

/* A gated-mlp of 6 hidden channels alone, and a file that fits it. */
static int set_up(void **state)
{
    static struct fixture f;
    static const char json[] = "{\"ffn\": {\"kernel\": \"gated-mlp\", \"hidden\": 6}}";
    static const char *const names[] = {"gate_proj.weight", "up_proj.weight", "down_proj.weight", "more"};
    static const int64_t shapes[4][2] = {{6, WIDTH}, {6, WIDTH}, {WIDTH, 6}, {1, 1}};
    f = (struct fixture){.file = {.arrays = f.arrays, .count = 3}};
    cJSON *document = cJSON_Parse(json);
    struct json_at root = json_root(document, "test");
    struct block_options options = {.width = WIDTH, .alone = true};
    if (composition_parse(&root, &f.composition, &f.error) ||
        block_create(&f.composition, &options, &f.block, &f.error))
        fail_msg("%s", f.error.message);
    cJSON_Delete(document);
    for (int i = 0; i < 4; i++) {
        f.arrays[i].name = names[i];
        array_allocate(&f.arrays[i].array, 2, shapes[i]);
        for (int64_t j = 0; j < array_size(&f.arrays[i].array); j++)
            f.arrays[i].array.data[j] = (real)(100 * i + j);
    }
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    block_free(f->block);
    composition_release(&f->composition);
    for (int i = 0; i < 4; i++)
        array_release(&f->arrays[i].array);
    return 0;
}

static void expect_refused(struct fixture *f, const char *message)
{
    assert_int_equal(weights_load(&f->block->parameters, &f->file, NULL, NULL, &f->error), STATUS_USAGE);
    assert_string_equal(f->error.message, message);
}

static void fills_every_parameter(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(weights_load(&f->block->parameters, &f->file, NULL, NULL, &f->error), STATUS_OK);
    for (int i = 0; i < 3; i++) {
        const struct parameter_entry *entry = parameters_find(&f->block->parameters, f->arrays[i].name);
        assert_memory_equal(entry->data, f->arrays[i].array.data,
                            (size_t)parameter_size(entry) * sizeof(real));
    }
}

static const char *stripped(void *argument, const char *stored)
{
    const char *prefix = argument;
    return strncmp(stored, prefix, strlen(prefix)) == 0 ? stored + strlen(prefix) : NULL;
}

static void takes_names_through_a_map(void **state)
{
    struct fixture *f = *state;
    char prefix[] = "mlp.";
    f->file.count = 4; /* "more" is ignored */
    f->arrays[0].name = "mlp.gate_proj.weight";
    f->arrays[1].name = "mlp.up_proj.weight";
    f->arrays[2].name = "mlp.down_proj.weight";
    assert_int_equal(weights_load(&f->block->parameters, &f->file, stripped, prefix, &f->error), STATUS_OK);
}

static void refuses_what_is_left_over(void **state)
{
    struct fixture *f = *state;
    f->file.count = 4;
    expect_refused(f, "weight 'more' is left over: there is no parameter 'more'");
    f->arrays[3].name = "gate_prj.weight";
    expect_refused(
        f, "weight 'gate_prj.weight' is left over: there is no parameter 'gate_prj.weight': did you mean "
           "'gate_proj.weight'?");
}

static void refuses_a_parameter_without_a_weight(void **state)
{
    struct fixture *f = *state;
    f->file.count = 2;
    expect_refused(f, "no weight is given for the parameter 'down_proj.weight'");
}

static void refuses_another_shape(void **state)
{
    struct fixture *f = *state;
    f->arrays[0].array.shape[0] = 4;
    f->arrays[0].array.shape[1] = 6;
    expect_refused(f,
                   "weight 'gate_proj.weight' has the shape [4, 6], the parameter 'gate_proj.weight' [6, 4]");
}

static void refuses_two_weights_for_one_parameter(void **state)
{
    struct fixture *f = *state;
    f->arrays[1].name = "gate_proj.weight";
    expect_refused(
        f, "weights 'gate_proj.weight' and 'gate_proj.weight' are both the parameter 'gate_proj.weight'");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fills_every_parameter),     TEST(takes_names_through_a_map),
        TEST(refuses_what_is_left_over), TEST(refuses_a_parameter_without_a_weight),
        TEST(refuses_another_shape),     TEST(refuses_two_weights_for_one_parameter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
