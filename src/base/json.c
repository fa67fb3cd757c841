#include "base/json.h"
#include "base/file.h"
#include "base/json-scan.h"
#include "base/memory.h"
#include "base/suggest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON then never returns NULL for want of memory, neither when it parses nor when trees are built. */
__attribute__((constructor)) static void use_checked_memory(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = memory_allocate, .free_fn = free});
}

struct member {
    const char *key;
    size_t index; /* into the scan's keys */
};

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static enum status refuse_duplicates_below(const struct json_scan *scan, const cJSON *value,
                                           size_t *key_index);

/* The keys of one object, then those of its members; `key_index` counts keys in document order. */
static enum status refuse_duplicates_in(const struct json_scan *scan, const cJSON *object, size_t *key_index)
{
    size_t count = (size_t)cJSON_GetArraySize(object), used = 0;
    struct member *members = memory_allocate(size_multiply(count, sizeof *members));
    enum status status = STATUS_OK;
    const cJSON *child;
    cJSON_ArrayForEach(child, object)
    {
        members[used++] = (struct member){child->string, (*key_index)++};
        if (!status)
            status = refuse_duplicates_below(scan, child, key_index);
    }
    if (!status && used > 1)
        qsort(members, used, sizeof *members, compare_members);
    for (size_t i = 1; !status && i < used; i++)
        if (strcmp(members[i - 1].key, members[i].key) == 0)
            status =
                json_scan_error(scan, scan->keys[members[i].index], "duplicate key '%s'", members[i].key);
    free(members);
    return status;
}

static enum status refuse_duplicates_below(const struct json_scan *scan, const cJSON *value,
                                           size_t *key_index)
{
    if (cJSON_IsObject(value))
        return refuse_duplicates_in(scan, value, key_index);
    enum status status = STATUS_OK;
    const cJSON *child;
    if (cJSON_IsArray(value))
        cJSON_ArrayForEach(child, value) if (!status) status =
            refuse_duplicates_below(scan, child, key_index);
    return status;
}

enum status json_parse_line(const char *name, size_t line, const char *data, size_t length, cJSON **document,
                            struct error *error)
{
    struct json_scan scan = {.name = name, .line = line, .data = data, .length = length, .error = error};
    enum status status = json_scan_document(&scan);
    if (!status) {
        cJSON *parsed = cJSON_ParseWithLength(data, length);
        if (!parsed)
            status = json_scan_error(&scan, 0, "cannot be parsed");
        size_t key_index = 0;
        if (!status)
            status = refuse_duplicates_below(&scan, parsed, &key_index);
        if (status)
            cJSON_Delete(parsed);
        else
            *document = parsed;
    }
    free(scan.keys);
    return status;
}

enum status json_parse(const char *name, const char *data, size_t length, cJSON **document,
                       struct error *error)
{
    return json_parse_line(name, 1, data, length, document, error);
}

enum status json_parse_file(const char *path, size_t maximum, cJSON **document, struct error *error)
{
    char *data;
    size_t length;
    enum status status = file_read(path, maximum, &data, &length, error);
    if (status)
        return status;
    status = json_parse(path, data, length, document, error);
    free(data);
    return status;
}

struct json_at json_root(const cJSON *document, const char *file)
{
    return (struct json_at){.value = document, .file = file};
}

__attribute__((format(printf, 2, 3))) static void path_set(struct json_at *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(at->path, sizeof at->path, format, arguments);
    va_end(arguments);
    if (wanted >= (int)sizeof at->path)
        at->path[utf8_prefix(at->path, strlen(at->path))] = '\0';
}

struct json_at json_member(const struct json_at *object, const char *name)
{
    struct json_at at = {.value = cJSON_GetObjectItemCaseSensitive(object->value, name),
                         .file = object->file};
    path_set(&at, "%s%s%s", object->path, object->path[0] ? "." : "", name);
    return at;
}

struct json_at json_element(const struct json_at *array, int index)
{
    struct json_at at = {.value = cJSON_GetArrayItem(array->value, index), .file = array->file};
    path_set(&at, "%s[%d]", array->path, index);
    return at;
}

bool json_absent(const struct json_at *at)
{
    return !at->value || cJSON_IsNull(at->value);
}

enum status json_error(const struct json_at *at, struct error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_set_va(error, STATUS_OUTSIDE, format, arguments);
    va_end(arguments);
    if (at->path[0])
        error_prefix(error, "%s", at->path);
    return error_prefix(error, "%s", at->file);
}

static const char *kind_name(const cJSON *value)
{
    if (!value)
        return "nothing";
    switch (value->type & 0xff) {
    case cJSON_True:
        return "true";
    case cJSON_False:
        return "false";
    case cJSON_NULL:
        return "null";
    case cJSON_Number:
        return "a number";
    case cJSON_String:
        return "a string";
    case cJSON_Array:
        return "an array";
    default:
        return "an object";
    }
}

static enum status wrong_kind(const struct json_at *at, const char *wanted, struct error *error)
{
    return json_error(at, error, "expected %s, found %s", wanted, kind_name(at->value));
}

enum status json_string(const struct json_at *at, const char **value, struct error *error)
{
    if (!cJSON_IsString(at->value))
        return wrong_kind(at, "a string", error);
    *value = at->value->valuestring;
    return STATUS_OK;
}

enum status json_integer(const struct json_at *at, int64_t minimum, int64_t maximum, int64_t *value,
                         struct error *error)
{
    if (!cJSON_IsNumber(at->value))
        return wrong_kind(at, "a whole number", error);
    double number = at->value->valuedouble;
    /* 2^63 itself is a double; every double below it converts */
    bool whole = number == floor(number) && number >= -0x1p63 && number < 0x1p63;
    if (!whole || (int64_t)number < minimum || (int64_t)number > maximum)
        return json_error(at, error, "expected a whole number from %lld to %lld, found %.17g",
                          (long long)minimum, (long long)maximum, number);
    *value = (int64_t)number;
    return STATUS_OK;
}

enum status json_real(const struct json_at *at, double *value, struct error *error)
{
    if (!cJSON_IsNumber(at->value))
        return wrong_kind(at, "a number", error);
    *value = at->value->valuedouble;
    return STATUS_OK;
}

enum status json_flag(const struct json_at *at, bool *value, struct error *error)
{
    if (!cJSON_IsBool(at->value))
        return wrong_kind(at, "true or false", error);
    *value = cJSON_IsTrue(at->value);
    return STATUS_OK;
}

enum status json_object(const struct json_at *at, struct error *error)
{
    return cJSON_IsObject(at->value) ? STATUS_OK : wrong_kind(at, "an object", error);
}

enum status json_array(const struct json_at *at, int *count, struct error *error)
{
    if (!cJSON_IsArray(at->value))
        return wrong_kind(at, "an array", error);
    *count = cJSON_GetArraySize(at->value);
    return STATUS_OK;
}

enum status json_only(const struct json_at *object, const char *const *names, size_t count,
                      struct error *error)
{
    enum status status = json_object(object, error);
    if (status)
        return status;
    const cJSON *child;
    cJSON_ArrayForEach(child, object->value)
    {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = strcmp(child->string, names[i]) == 0;
        if (known)
            continue;
        struct error reason = ERROR_INIT;
        suggest_error(&reason, "field", child->string, names, count);
        return json_error(object, error, "%s", reason.message);
    }
    return STATUS_OK;
}
