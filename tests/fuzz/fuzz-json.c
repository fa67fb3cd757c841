/* A document that json_parse() accepts is printed, in both forms, as one that reads back as the same. */
#include "base/json.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_print(const cJSON *document,
                        enum status (*print)(const cJSON *, struct text *, struct error *))
{
    struct error error = ERROR_INIT;
    struct text text;
    cJSON *again = NULL;
    text_init(&text, (size_t)1 << 28);
    if (print(document, &text, &error) || json_parse("output", text.data, text.length, &again, &error))
        BUG("what was written is refused: %s", error.message);
    if (!cJSON_Compare(document, again, true))
        BUG("what was written reads as another document");
    cJSON_Delete(again);
    text_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    cJSON *document = NULL;
    if (json_parse("input", (const char *)data, size, &document, &error)) {
        if (error.status != STATUS_OUTSIDE || strncmp(error.message, "input:", 6) != 0 || document)
            BUG("a refusal without its line, or with a document");
        return 0;
    }
    check_print(document, json_print);
    check_print(document, json_print_line);
    cJSON_Delete(document);
    return 0;
}
