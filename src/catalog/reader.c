#include "catalog/reader.h"
#include "base/suggest.h"
#include "base/text.h"
#include <string.h>

enum {
    MOST_ELEMENTS = 2000 /* of an array; keeps what is quadratic in it small */
};

bool reader_failed(const struct reader *reader)
{
    return reader->error->status != STATUS_OK;
}

void reader_only(struct reader *reader, const struct json_at *object, const struct words *fields)
{
    if (!reader_failed(reader))
        json_only(object, fields->names, fields->count, reader->error);
}

static const char *read_string(struct reader *reader, const struct json_at *at)
{
    const char *value = NULL;
    if (reader_failed(reader) || json_string(at, &value, reader->error))
        return NULL;
    if (value[0] == '\0') {
        json_error(at, reader->error, "expected text, found an empty string");
        return NULL;
    }
    return arena_copy_string(reader->arena, value);
}

static const char *check_form(struct reader *reader, const struct json_at *at, const char *value,
                              enum form form)
{
    if (!value || form == FORM_COUNT || form_matches(form, value))
        return value;
    json_error(at, reader->error, "expected %s, found '%s'", rule_forms[form].wanted, value);
    return NULL;
}

const char *reader_required(struct reader *reader, const struct json_at *object, const char *field)
{
    struct json_at at = json_member(object, field);
    return read_string(reader, &at);
}

const char *reader_required_form(struct reader *reader, const struct json_at *object, const char *field,
                                 enum form form)
{
    struct json_at at = json_member(object, field);
    return check_form(reader, &at, read_string(reader, &at), form);
}

const char *reader_string(struct reader *reader, const struct json_at *object, const char *field)
{
    struct json_at at = json_member(object, field);
    return json_absent(&at) ? NULL : read_string(reader, &at);
}

const char *reader_form(struct reader *reader, const struct json_at *object, const char *field,
                        enum form form)
{
    struct json_at at = json_member(object, field);
    return json_absent(&at) ? NULL : check_form(reader, &at, read_string(reader, &at), form);
}

const char *reader_word(struct reader *reader, const struct json_at *object, const char *field,
                        const struct words *words)
{
    struct json_at at = json_member(object, field);
    const char *value = reader_string(reader, object, field);
    if (!value || word_known(words, value))
        return value;
    struct error reason = ERROR_INIT;
    suggest_error(&reason, field, value, words->names, words->count);
    json_error(&at, reader->error, "%s", reason.message);
    return NULL;
}

const char *reader_print(struct reader *reader, const cJSON *value)
{
    if (reader_failed(reader))
        return NULL;
    struct text text;
    text_init(&text, 1 << 20);
    json_print_line(value, &text, reader->error);
    const char *copy = reader_failed(reader) ? NULL : arena_copy_string(reader->arena, text_string(&text));
    text_release(&text);
    return copy;
}

const char *reader_json(struct reader *reader, const struct json_at *object, const char *field)
{
    struct json_at at = json_member(object, field);
    if (reader_failed(reader) || json_absent(&at) || json_object(&at, reader->error))
        return NULL;
    return reader_print(reader, at.value);
}

int reader_integer(struct reader *reader, const struct json_at *object, const char *field, int minimum,
                   int maximum)
{
    struct json_at at = json_member(object, field);
    int64_t value = 0;
    if (!reader_failed(reader) && !json_absent(&at))
        json_integer(&at, minimum, maximum, &value, reader->error);
    return (int)value;
}

bool reader_flag(struct reader *reader, const struct json_at *object, const char *field)
{
    struct json_at at = json_member(object, field);
    bool value = false;
    if (!reader_failed(reader) && at.value)
        json_flag(&at, &value, reader->error);
    return value;
}

struct json_at reader_array(struct reader *reader, const struct json_at *object, const char *field,
                            int *count)
{
    struct json_at at = json_member(object, field);
    *count = 0;
    if (reader_failed(reader) || !at.value || json_array(&at, count, reader->error))
        return at;
    if (*count > MOST_ELEMENTS)
        json_error(&at, reader->error, "expected at most %d elements, found %d", MOST_ELEMENTS, *count);
    return at;
}

const char **reader_strings(struct reader *reader, const struct json_at *object, const char *field,
                            enum form form, size_t *count)
{
    int length;
    struct json_at array = reader_array(reader, object, field, &length);
    const char **strings = NULL;
    *count = 0;
    for (int i = 0; i < length && !reader_failed(reader); i++) {
        struct json_at at = json_element(&array, i);
        const char *string = check_form(reader, &at, read_string(reader, &at), form);
        for (size_t j = 0; string && j < *count; j++)
            if (strcmp(strings[j], string) == 0)
                json_error(&at, reader->error, "'%s' is listed twice", string);
        strings = arena_extend(reader->arena, strings, *count, sizeof *strings);
        strings[(*count)++] = string;
    }
    return strings;
}
