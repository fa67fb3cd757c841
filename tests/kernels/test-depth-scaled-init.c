/* Depth-scaled initialisation: the same weights as without it, but for a factor that falls with depth. */
#include "base/error.h"
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LAYER "\"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, \"ffn\": {\"kernel\": \"mlp\"}"

static struct block *create(const char *json, int layers)
{
    struct composition composition;
    struct block *block;
    struct error error = ERROR_INIT;
    cJSON *document = cJSON_Parse(json);
    struct json_at at = json_root(document, "composition");
    assert_false(composition_parse(&at, &composition, &error));
    struct block_options options = {.width = 8, .repeats = layers, .seed = 3};
    assert_false(block_create(&composition, &options, &block, &error));
    composition_release(&composition);
    cJSON_Delete(document);
    return block;
}

static void falls_with_depth(void **state)
{
    (void)state;
    const int layers = 5;
    struct block *plain = create("{" LAYER "}", layers);
    struct block *scaled =
        create("{" LAYER ", \"residual\": {\"kernel\": \"depth-scaled-init\", \"alpha\": 0.8}}", layers);
    assert_int_equal(plain->parameters.count, scaled->parameters.count);
    int matrices = 0;
    for (size_t i = 0; i < plain->parameters.count; i++) {
        const struct parameter_entry *a = plain->parameters.entries[i],
                                     *b = parameters_find(&scaled->parameters, a->name);
        assert_non_null(b);
        double factor = a->rank > 1 ? 0.8 / sqrt(a->name[strlen("layers.")] - '0' + 1) : 1;
        matrices += a->rank > 1;
        for (int64_t j = 0; j < parameter_size(a); j++)
            assert_true(fabs((double)b->data[j] - factor * (double)a->data[j]) <= 1e-6);
    }
    assert_int_equal(matrices, 6 * layers);
    block_free(plain);
    block_free(scaled);
}

static void properties(void **state)
{
    (void)state;
    case_expect_stack_properties("{" LAYER ", \"residual\": {\"kernel\": \"depth-scaled-init\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(falls_with_depth),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
