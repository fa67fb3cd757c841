#include "base/fields.h"
#include "base/json.h"

void json_set_text(cJSON *object, const char *name, const char *text)
{
    cJSON_AddItemToObject(object, name, text ? cJSON_CreateString(text) : cJSON_CreateNull());
}

void json_set_number(cJSON *object, const char *name, double value)
{
    cJSON_AddItemToObject(object, name, json_number_or_null(value));
}

void json_set_flag(cJSON *object, const char *name, bool value)
{
    cJSON_AddItemToObject(object, name, cJSON_CreateBool(value));
}

void json_set_texts(cJSON *object, const char *name, const char *const *texts, size_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateString(texts[i]));
}

void json_set_year(cJSON *object, int year)
{
    cJSON_AddItemToObject(object, "year", year ? cJSON_CreateNumber(year) : cJSON_CreateNull());
}

const char *json_value_text(const cJSON *value, struct arena *arena)
{
    struct text text;
    struct error ignored = ERROR_INIT;
    if (!value || cJSON_IsString(value))
        return value ? arena_copy_string(arena, value->valuestring) : NULL;
    text_init(&text, 1 << 16);
    json_print_line(value, &text, &ignored);
    const char *copy = arena_copy_string(arena, text_string(&text));
    text_release(&text);
    return copy;
}
