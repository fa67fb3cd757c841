#include "bench/record.h"
#include <stdlib.h>

const char *record_object(const cJSON *object, struct arena *arena)
{
    char *text = cJSON_PrintUnformatted(object);
    const char *kept = arena_copy_string(arena, text);
    free(text);
    return kept;
}
