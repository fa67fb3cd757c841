#include "server/target.h"
#include "base/text.h"
#include <string.h>

static int hexadecimal(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes a part of the target. NULL if it has a broken escape, a control character or broken UTF-8. */
static const char *decode(const char *text, size_t length, bool query, struct arena *arena)
{
    char *decoded = arena_allocate(arena, length + 1);
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        char c = query && text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            int high = length - i > 2 ? hexadecimal(text[i + 1]) : -1;
            int low = length - i > 2 ? hexadecimal(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return NULL;
        decoded[count++] = c;
    }
    return utf8_prefix(decoded, count) == count ? decoded : NULL;
}

static const char *add_segment(const char *text, size_t length, struct arena *arena, struct target *target)
{
    const char *segment = decode(text, length, false, arena);
    if (!segment)
        return "a part of the path is not valid text";
    if (!*segment || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 || strchr(segment, '/'))
        return "a part of the path is empty or leads elsewhere";
    if (target->segment_count == TARGET_SEGMENTS)
        return "the path has too many parts";
    target->segments[target->segment_count++] = segment;
    return NULL;
}

static const char *add_field(const char *text, size_t length, struct arena *arena, struct target *target)
{
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals ? (size_t)(equals - text) : length;
    const char *name = decode(text, name_length, true, arena);
    const char *value = equals ? decode(equals + 1, length - name_length - 1, true, arena) : "";
    if (!name || !value || !*name)
        return "a part of the query is not valid text";
    if (target_field(target, name))
        return "the query has a name twice";
    if (target->field_count == TARGET_FIELDS)
        return "the query has too many parts";
    target->fields[target->field_count++] = (struct target_field){name, value};
    return NULL;
}

/* Calls `add` for the pieces of a text between separators. */
static const char *split(const char *text, size_t length, char separator, struct arena *arena,
                         struct target *target,
                         const char *(*add)(const char *, size_t, struct arena *, struct target *))
{
    const char *fault = NULL;
    for (const char *end = text + length; !fault; text++) {
        const char *next = memchr(text, separator, (size_t)(end - text));
        fault = add(text, (size_t)((next ? next : end) - text), arena, target);
        if (!next)
            break;
        text = next;
    }
    return fault;
}

const char *target_parse(const char *text, size_t length, struct arena *arena, struct target *target)
{
    *target = (struct target){.segment_count = 0};
    if (length > TARGET_LONGEST)
        return "the target is too long";
    if (length == 0 || text[0] != '/')
        return "the target is no path";
    const char *question = memchr(text, '?', length);
    size_t path = question ? (size_t)(question - text) : length;
    const char *fault = path > 1 ? split(text + 1, path - 1, '/', arena, target, add_segment) : NULL;
    if (!fault && question && path + 1 < length)
        fault = split(question + 1, length - path - 1, '&', arena, target, add_field);
    return fault;
}

const char *target_field(const struct target *target, const char *name)
{
    for (size_t i = 0; i < target->field_count; i++)
        if (strcmp(target->fields[i].name, name) == 0)
            return target->fields[i].value;
    return NULL;
}
