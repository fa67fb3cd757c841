/* Every .npy and .safetensors file of the reference sets is read, written and read again without a change. */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SETS TEST_DATA "/reference"

/* Calls `check` for each file of every case of every set whose name ends in `suffix`; returns how many there
 * were. */
static int each_file(const char *suffix, void (*check)(const char *folder, const char *name))
{
    struct error error = ERROR_INIT;
    char **sets;
    size_t set_count;
    int files = 0;
    if (directory_list(SETS, "", &sets, &set_count, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < set_count; i++) {
        char *set = path_join(SETS, sets[i]), *folder = path_join(set, "a"), **names;
        size_t count;
        if (directory_list(folder, suffix, &names, &count, &error))
            fail_msg("%s", error.message);
        for (size_t j = 0; j < count; j++, files++)
            check(folder, names[j]);
        names_free(names, count);
        free(folder);
        free(set);
    }
    names_free(sets, set_count);
    return files;
}

static void expect_same(const struct array *a, const struct array *b)
{
    assert_int_equal(a->rank, b->rank);
    for (int axis = 0; axis < a->rank; axis++)
        assert_int_equal(a->shape[axis], b->shape[axis]);
    assert_memory_equal(a->data, b->data, (size_t)array_size(a) * sizeof(real));
}

/* A file whose numbers are of the precision that is written comes out byte by byte as it was. */
static void expect_same_bytes(const char *path, const char *written, size_t length)
{
    struct error error = ERROR_INIT;
    char *original;
    size_t original_length;
    assert_int_equal(file_read(path, 1 << 26, &original, &original_length, &error), STATUS_OK);
    assert_int_equal(original_length, length);
    assert_memory_equal(original, written, length);
    free(original);
}

static bool holds(const char *path, const char *text)
{
    struct error error = ERROR_INIT;
    char *data;
    size_t length;
    assert_int_equal(file_read(path, 1 << 26, &data, &length, &error), STATUS_OK);
    bool found = memmem(data, length, text, strlen(text)) != NULL;
    free(data);
    return found;
}

static void check_npy(const char *folder, const char *name)
{
    struct error error = ERROR_INIT;
    struct array array, again;
    char *path = path_join(folder, name), *bytes = NULL;
    size_t length = 0;
    if (npy_read(path, &array, &error))
        fail_msg("%s", error.message);
    FILE *stream = open_memstream(&bytes, &length);
    npy_print(&array, stream);
    fclose(stream);
    if (npy_parse(path, bytes, length, &again, &error))
        fail_msg("%s", error.message);
    expect_same(&array, &again);
    if (sizeof(real) == 4 && holds(path, "'<f4'"))
        expect_same_bytes(path, bytes, length);
    array_release(&array);
    array_release(&again);
    free(bytes);
    free(path);
}

static bool all_single(const char *path)
{
    static const char *const others[] = {"F64", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char quoted[16];
        snprintf(quoted, sizeof quoted, "\"%s\"", others[i]);
        if (holds(path, quoted))
            return false;
    }
    return true;
}

static void check_safetensors(const char *folder, const char *name)
{
    struct error error = ERROR_INIT;
    struct tensor_file file, again;
    char *path = path_join(folder, name), *bytes = NULL;
    size_t length = 0;
    if (safetensors_read(path, &file, &error))
        fail_msg("%s", error.message);
    FILE *stream = open_memstream(&bytes, &length);
    assert_int_equal(safetensors_print(file.arrays, file.count, stream, &error), STATUS_OK);
    fclose(stream);
    if (safetensors_parse(path, bytes, length, &again, &error))
        fail_msg("%s", error.message);
    assert_int_equal(file.count, again.count);
    for (int i = 0; i < file.count; i++) {
        assert_string_equal(file.arrays[i].name, again.arrays[i].name);
        expect_same(&file.arrays[i].array, &again.arrays[i].array);
        assert_ptr_equal(tensor_file_find(&file, again.arrays[i].name), &file.arrays[i].array);
    }
    if (sizeof(real) == 4 && all_single(path))
        expect_same_bytes(path, bytes, length);
    tensor_file_release(&file);
    tensor_file_release(&again);
    free(bytes);
    free(path);
}

/* case.json says what weights there are, in what shapes. */
static void check_case(const char *folder, const char *name)
{
    struct error error = ERROR_INIT;
    char *path = path_join(folder, name), *weights_path = path_join(folder, "weights.safetensors");
    cJSON *document;
    struct tensor_file file;
    if (json_parse_file(path, 1 << 20, &document, &error) || safetensors_read(weights_path, &file, &error))
        fail_msg("%s", error.message);
    struct json_at root = json_root(document, path), weights = json_member(&root, "weights");
    int count = 0;
    const cJSON *listed;
    cJSON_ArrayForEach(listed, weights.value)
    {
        const struct array *array = tensor_file_find(&file, listed->string);
        if (!array)
            fail_msg("%s has no '%s'", weights_path, listed->string);
        int rank = cJSON_GetArraySize(listed);
        bool complex =
            array->rank == rank + 1 && array->shape[rank] == 2; /* listed without (real, imaginary) */
        assert_true(array->rank == rank || complex);
        for (int axis = 0; axis < rank; axis++)
            assert_int_equal(array->shape[axis], cJSON_GetArrayItem(listed, axis)->valueint);
        count++;
    }
    assert_int_equal(count, file.count);
    tensor_file_release(&file);
    cJSON_Delete(document);
    free(weights_path);
    free(path);
}

static void npy_files_survive_unchanged(void **state)
{
    assert_true(each_file(".npy", check_npy) >= 20);
}

static void safetensors_files_survive_unchanged(void **state)
{
    assert_true(each_file(".safetensors", check_safetensors) >= 10);
}

static void weights_are_those_of_the_case(void **state)
{
    assert_true(each_file("case.json", check_case) >= 5);
}

/* Values that numpy reads from the same files. */
static void values_are_those_of_the_file(void **state)
{
    struct error error = ERROR_INIT;
    struct array x;
    struct tensor_file weights;
    assert_int_equal(npy_read(SETS "/gpt/a/x.npy", &x, &error), STATUS_OK);
    assert_int_equal(safetensors_read(SETS "/gpt/a/weights.safetensors", &weights, &error), STATUS_OK);
    const struct array *bias = tensor_file_find(&weights, "attn.c_attn.bias");
    assert_true(x.data[0] == (real)-0x1.37277ap+0);
    assert_true(x.data[array_size(&x) - 1] == (real)0x1.f9fc88p-2);
    assert_true(bias->data[95] == (real)-0x1.6e94eep-3);
    array_release(&x);
    tensor_file_release(&weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_files_survive_unchanged),
        cmocka_unit_test(safetensors_files_survive_unchanged),
        cmocka_unit_test(weights_are_those_of_the_case),
        cmocka_unit_test(values_are_those_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
