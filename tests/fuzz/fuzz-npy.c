/* What npy_parse() accepts is written and read back as the same array. */
#include "tensor/npy.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    struct array array, again;
    if (npy_parse("input", data, size, &array, &error)) {
        if (error.status != STATUS_OUTSIDE || !error.message[0] || array.data)
            BUG("a refusal without its line, or with an array");
        return 0;
    }
    char *bytes = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&bytes, &length);
    npy_print(&array, stream);
    fclose(stream);
    if (npy_parse("output", bytes, length, &again, &error))
        BUG("what was written is refused: %s", error.message);
    if (array.rank != again.rank || memcmp(array.shape, again.shape, sizeof array.shape) != 0 ||
        memcmp(array.data, again.data, (size_t)array_size(&array) * sizeof(real)) != 0)
        BUG("what was written reads as another array");
    array_release(&array);
    array_release(&again);
    free(bytes);
    return 0;
}
