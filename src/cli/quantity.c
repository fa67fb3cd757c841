#include "cli/quantity.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *next_part(struct command_line *line, const char **rest)
{
    if (!**rest)
        return NULL;
    size_t length = strcspn(*rest, ",");
    const char *part = arena_format(&line->arena, "%.*s", (int)length, *rest);
    *rest += length + ((*rest)[length] == ',');
    return part;
}

/* A maximum in the same words: "16M", "64k". */
static const char *short_form(int64_t value, char text[32])
{
    bool million = value % (1 << 20) == 0, thousand = value % (1 << 10) == 0;
    snprintf(text, 32, "%lld%s",
             (long long)(million    ? value >> 20
                         : thousand ? value >> 10
                                    : value),
             million    ? "M"
             : thousand ? "k"
                        : "");
    return text;
}

enum status parse_quantity(const char *text, const char *what, int64_t maximum, int64_t *value,
                           struct error *error)
{
    char *end, largest[32];
    double number = strtod(text, &end);
    if (*end == 'k' || *end == 'K')
        number *= 1024, end++;
    else if (*end == 'M')
        number *= 1024 * 1024, end++;
    if (end == text || *end || !(number >= 1 && number <= (double)maximum) ||
        number != (double)(int64_t)number)
        return error_set(error, STATUS_USAGE, "a %s is a whole number up to %s, as 256 or 4k, not '%.64s'",
                         what, short_form(maximum, largest), text);
    *value = (int64_t)number;
    return STATUS_OK;
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

enum status command_quantities(struct command_line *line, const char *option, const char *otherwise,
                               int64_t maximum, struct quantities *quantities, struct error *error)
{
    const char *rest = command_text(line, option), *part;
    int64_t *values = quantities->values;
    size_t count = 0, kept = 0;
    rest = rest ? rest : otherwise;
    while ((part = next_part(line, &rest)) != NULL) {
        if (count == QUANTITIES)
            return error_set(error, STATUS_USAGE, "option '--%s' takes at most %d numbers", option,
                             QUANTITIES);
        enum status status = parse_quantity(part, option, maximum, &values[count++], error);
        if (status)
            return status;
    }
    qsort(values, count, sizeof *values, ascending);
    for (size_t i = 0; i < count; i++)
        if (!kept || values[kept - 1] != values[i])
            values[kept++] = values[i];
    quantities->count = kept;
    return kept ? STATUS_OK : error_set(error, STATUS_USAGE, "option '--%s' needs a number", option);
}
