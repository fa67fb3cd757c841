/* Every reference case under tests/data/reference whose set the catalogue maps to kernels, one test a case.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "block/reference.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_DOCUMENT = 1 << 20, SETS_MAPPED_AT_LEAST = 9 };

/* A set that some entry of the catalogue maps. */
struct mapped_set {
    const char *set;
    struct reference_entry entry;
};

static struct mapped_set *mapped;
static size_t mapped_count;
static cJSON *catalogue; /* an array of its entries, which `mapped` points into */

static struct reference_entry entry_of(const cJSON *variant, const cJSON *reference)
{
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(reference, "part");
    return (struct reference_entry){
        .composition = cJSON_GetObjectItemCaseSensitive(variant, "composition"),
        .slot = cJSON_GetObjectItemCaseSensitive(reference, "slot")->valuestring,
        .part = cJSON_IsString(part) ? part->valuestring : NULL,
        .options = cJSON_GetObjectItemCaseSensitive(reference, "options"),
        .fixed = cJSON_GetObjectItemCaseSensitive(reference, "fixed"),
        .inputs = cJSON_GetObjectItemCaseSensitive(reference, "inputs"),
        .outputs = cJSON_GetObjectItemCaseSensitive(reference, "outputs"),
        .weights = cJSON_GetObjectItemCaseSensitive(reference, "weights"),
    };
}

/* Collects the references that say how a set's arguments map. */
static void read_catalogue(void)
{
    catalogue = cJSON_CreateArray();
    struct error error = ERROR_INIT;
    char **names;
    size_t count;
    if (directory_list(CATALOG "/variants", ".json", &names, &count, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < count; i++) {
        char *path = path_join(CATALOG "/variants", names[i]);
        cJSON *variant;
        if (json_parse_file(path, MAX_DOCUMENT, &variant, &error))
            fail_msg("%s", error.message);
        cJSON_AddItemToArray(catalogue, variant);
        const cJSON *references = cJSON_GetObjectItemCaseSensitive(variant, "references"), *reference;
        cJSON_ArrayForEach(reference, references)
        {
            const cJSON *set = cJSON_GetObjectItemCaseSensitive(reference, "set");
            if (!cJSON_IsString(set) || !cJSON_GetObjectItemCaseSensitive(reference, "options"))
                continue;
            mapped = memory_resize(mapped, (mapped_count + 1) * sizeof *mapped);
            mapped[mapped_count++] = (struct mapped_set){set->valuestring, entry_of(variant, reference)};
        }
        free(path);
    }
    names_free(names, count);
}

static const struct mapped_set *find_set(const char *name)
{
    for (size_t i = 0; i < mapped_count; i++)
        if (strcmp(mapped[i].set, name) == 0)
            return &mapped[i];
    return NULL;
}

static void computes_the_reference(void **state)
{
    const char *directory = *state;
    struct error error = ERROR_INIT;
    struct reference_case reference;
    struct reference_result result;
    if (reference_case_open(directory, &reference, &error))
        fail_msg("%s", error.message);
    enum status status = reference_check(&find_set(reference.key)->entry, &reference, &result, &error);
    reference_case_close(&reference);
    if (status == STATUS_NO) {
        print_message("# %s\n", error.message);
        skip();
    }
    if (status)
        fail_msg("%s: %s", directory, error.message);
    bool passed = result.passed;
    print_message("# %s\n", result.detail);
    reference_result_release(&result);
    assert_true(passed);
}

/* Appends a test for each case of a set. */
static size_t add_cases(struct CMUnitTest **tests, size_t count, const char *set)
{
    struct error error = ERROR_INIT;
    char *folder = path_join(TEST_DATA "/reference", set), **cases;
    size_t case_count;
    if (directory_list(folder, "", &cases, &case_count, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < case_count; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", set, cases[i]);
        *tests = memory_resize(*tests, (count + 1) * sizeof **tests);
        (*tests)[count++] = (struct CMUnitTest){.name = memory_copy_string(name),
                                                .test_func = computes_the_reference,
                                                .initial_state = path_join(folder, cases[i])};
    }
    names_free(cases, case_count);
    free(folder);
    return count;
}

int main(void)
{
    struct error error = ERROR_INIT;
    struct CMUnitTest *tests = NULL;
    char **sets;
    size_t set_count, count = 0, mapped_sets = 0;
    read_catalogue();
    if (directory_list(TEST_DATA "/reference", "", &sets, &set_count, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < set_count; i++)
        if (find_set(sets[i])) {
            count = add_cases(&tests, count, sets[i]);
            mapped_sets++;
        }
    names_free(sets, set_count);
    if (mapped_sets < SETS_MAPPED_AT_LEAST) {
        fprintf(stderr, "the catalogue maps only %zu of the sets\n", mapped_sets);
        return 1;
    }
    int failed = _cmocka_run_group_tests("reference", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        free((char *)tests[i].name);
        free(tests[i].initial_state);
    }
    free(tests);
    free(mapped);
    cJSON_Delete(catalogue);
    return failed;
}
