#include "base/suggest.h"
#include "base/text.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    LONGEST_NAME = 128, /* longer ones are never suggested: the table below stays on the stack */
    LONGEST_LIST = 12,  /* names that an error may list */
};

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein distance in its restricted form (no substring is edited twice), ASCII case ignored. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][LONGEST_NAME + 1];
    size_t *before = rows[0], *last = rows[1], *current = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            size_t edits = least(least(last[j], current[j - 1]) + 1, last[j - 1] + !same);
            bool swapped =
                i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
            current[j] = swapped ? least(edits, before[j - 2] + 1) : edits;
        }
        size_t *oldest = before;
        before = last;
        last = current;
        current = oldest;
    }
    return last[b_length];
}

const char *suggest_name(const char *wrong, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t least_cost = 0, length = strlen(wrong);
    if (length > LONGEST_NAME)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t name_length = strlen(names[i]);
        if (name_length > LONGEST_NAME)
            continue;
        size_t longer = length > name_length ? length : name_length;
        size_t limit = longer / 3 > 2 ? longer / 3 : 2;
        size_t distance = edit_distance(wrong, length, names[i], name_length);
        if (distance > limit || distance >= longer) /* nothing in common is not near */
            continue;
        size_t shorter = length + name_length - longer;
        size_t cost = distance * (LONGEST_NAME + 1) + (longer - shorter);
        if (!nearest || cost < least_cost) {
            nearest = names[i];
            least_cost = cost;
        }
    }
    return nearest;
}

enum status suggest_error(struct error *error, const char *what, const char *wrong, const char *const *names,
                          size_t count)
{
    const char *nearest = suggest_name(wrong, names, count);
    if (nearest)
        return error_set(error, STATUS_USAGE, "unknown %s '%.*s': did you mean '%s'?", what, LONGEST_NAME,
                         wrong, nearest);
    struct text list;
    text_init(&list, sizeof error->message);
    for (size_t i = 0; count <= LONGEST_LIST && i < count; i++)
        text_format(&list, "%s%s", i ? ", " : ": one of ", names[i]);
    error_set(error, STATUS_USAGE, "unknown %s '%.*s'%s", what, LONGEST_NAME, wrong, text_string(&list));
    text_release(&list);
    return STATUS_USAGE;
}
