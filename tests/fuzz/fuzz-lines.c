/* What lines_read() accepts is written and read back as the same. */
#include "bench/lines.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_all(const struct record *records, size_t count, struct text *text)
{
    text_init(text, 1 << 26);
    for (size_t i = 0; i < count; i++)
        lines_write(&records[i], text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct record *records, *again;
    size_t count, again_count;
    struct text text, second;
    if (lines_read("input", (const char *)data, size, &arena, &records, &count, &error)) {
        if (error.status != STATUS_OUTSIDE || strncmp(error.message, "input:", 6) != 0 ||
            strchr(error.message, '\n'))
            BUG("a refusal without its line: '%s'", error.message);
        arena_release(&arena);
        return 0;
    }
    write_all(records, count, &text);
    if (lines_read("output", text_string(&text), text.length, &arena, &again, &again_count, &error))
        BUG("what was written is refused: %s", error.message);
    write_all(again, again_count, &second);
    if (count != again_count || text.length != second.length ||
        memcmp(text_string(&text), text_string(&second), text.length) != 0)
        BUG("what was written reads as other runs");
    text_release(&text);
    text_release(&second);
    arena_release(&arena);
    return 0;
}
