/* What safetensors_parse() accepts is written and read back as the same list of arrays. */
#include "tensor/safetensors.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct named_array *a, const struct named_array *b)
{
    if (strcmp(a->name, b->name) != 0)
        BUG("'%s' was written, '%s' read", a->name, b->name);
    if (a->array.rank != b->array.rank ||
        memcmp(a->array.shape, b->array.shape, sizeof a->array.shape) != 0 ||
        memcmp(a->array.data, b->array.data, (size_t)array_size(&a->array) * sizeof(real)) != 0)
        BUG("'%s' reads as another array", a->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    struct tensor_file file, again;
    if (safetensors_parse("input", data, size, &file, &error)) {
        if (error.status != STATUS_OUTSIDE || !error.message[0] || file.arrays || file.count)
            BUG("a refusal without its line, or with arrays");
        return 0;
    }
    char *bytes = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&bytes, &length);
    if (safetensors_print(file.arrays, file.count, stream, &error))
        BUG("what was read cannot be written: %s", error.message);
    fclose(stream);
    if (safetensors_parse("output", bytes, length, &again, &error))
        BUG("what was written is refused: %s", error.message);
    if (file.count != again.count)
        BUG("%d arrays were written, %d read", file.count, again.count);
    for (int i = 0; i < file.count; i++) {
        expect_same(&file.arrays[i], &again.arrays[i]);
        if (tensor_file_find(&file, again.arrays[i].name) != &file.arrays[i].array)
            BUG("'%s' is not found", again.arrays[i].name);
    }
    tensor_file_release(&file);
    tensor_file_release(&again);
    free(bytes);
    return 0;
}
