/* A file of catalog/variants that entry_parse() accepts has a composition that reads back as the same. */
#include "base/json.h"
#include "base/memory.h"
#include "catalog/entry.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char file[] = "variants/x.json";

/* Puts the composition into an entry of its own and reads that. */
static void check_composition(const struct variant *variant)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct variant again;
    struct text text;
    cJSON *entry = cJSON_CreateObject(), *composition = variant_composition(variant);
    if ((composition != NULL) != (variant->layer_count > 0))
        BUG("layers without a composition, or one without layers");
    cJSON_AddStringToObject(entry, "key", "x");
    cJSON_AddStringToObject(entry, "added", "relative");
    cJSON_AddItemToObject(entry, "composition", composition ? composition : cJSON_CreateNull());
    text_init(&text, 1 << 24);
    if (json_print(entry, &text, &error) || entry_parse(file, text.data, text.length, &arena, &again, &error))
        BUG("what was written is refused: %s", error.message);
    cJSON *second = variant_composition(&again);
    if (composition && !cJSON_Compare(composition, second, true))
        BUG("what was written reads as another composition");
    cJSON_Delete(second);
    cJSON_Delete(entry);
    text_release(&text);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct variant variant;
    if (entry_parse(file, (const char *)data, size, &arena, &variant, &error)) {
        if (error.status != STATUS_OUTSIDE || strncmp(error.message, file, sizeof file - 1) != 0 ||
            strchr(error.message, '\n'))
            BUG("a refusal without its line");
    } else {
        if (strcmp(variant.key, "x") != 0)
            BUG("an entry under another key than its file's");
        check_composition(&variant);
    }
    arena_release(&arena);
    return 0;
}
