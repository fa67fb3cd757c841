/* Published names by the map of a catalogue entry. */
#include "base/text.h"
#include "block/reference_map.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a component of a pattern stands for that of a name; what its "*" stands for is appended to `stars`.
 * "*2" is any even number 2 n, "*2+1" any odd one 2 n + 1, and the star is n. */
static bool match_component(const char *pattern, size_t wanted, const char *name, size_t found,
                            struct text *stars)
{
    bool even = wanted == 2 && memcmp(pattern, "*2", 2) == 0,
         odd = wanted == 4 && memcmp(pattern, "*2+1", 4) == 0;
    if (even || odd) {
        size_t digits = strspn(name, "0123456789");
        if (digits != found || digits == 0 || digits > 9)
            return false;
        long number = strtol(name, NULL, 10);
        if (number % 2 != odd)
            return false;
        text_format(stars, "%ld.", number / 2);
        return true;
    }
    if (wanted != 1 || *pattern != '*')
        return wanted == found && memcmp(pattern, name, wanted) == 0;
    text_append_bytes(stars, name, found);
    text_append(stars, ".");
    return found > 0;
}

/* How many characters of `name` the pattern covers as leading components, or -1. The components that "*"
 * stands for are appended to `stars`. */
static int match(const char *pattern, const char *name, struct text *stars)
{
    const char *start = name;
    for (;;) {
        size_t wanted = strcspn(pattern, "."), found = strcspn(name, ".");
        if (!match_component(pattern, wanted, name, found, stars))
            return -1;
        pattern += wanted;
        name += found;
        if (*pattern == '\0')
            return (int)(name - start);
        if (*name == '\0')
            return -1;
        pattern++;
        name++;
    }
}

/* `ours` with its "*" components replaced by those of `stars`, and the rest of the published name. */
static void substitute(const char *ours, const char *stars, const char *rest, struct text *name)
{
    for (const char *c = ours; *c; c++)
        if (*c == '*') {
            size_t length = strcspn(stars, ".");
            text_append_bytes(name, stars, length);
            stars += length + (stars[length] == '.');
        } else {
            text_append_bytes(name, c, 1);
        }
    text_append(name, *ours == '\0' && *rest == '.' ? rest + 1 : rest);
}

/* The member of the map that covers the most of the name, or NULL; what it covers and what its "*" stand
 * for. */
static const cJSON *find(const cJSON *map, const char *published, int *covered, struct text *stars)
{
    const cJSON *best = NULL;
    struct text tried;
    text_init(&tried, stars->maximum);
    *covered = -1;
    for (const cJSON *member = map ? map->child : NULL; member; member = member->next) {
        text_clear(&tried);
        int length = match(member->string, published, &tried);
        if (length <= *covered)
            continue;
        best = member;
        *covered = length;
        text_clear(stars);
        text_append(stars, text_string(&tried));
    }
    text_release(&tried);
    return best;
}

bool reference_map_name(const cJSON *map, const char *published, char *name, size_t size)
{
    struct text stars, text;
    int covered;
    text_init(&stars, 256);
    text_init(&text, 512);
    const cJSON *target = find(map, published, &covered, &stars);
    const cJSON *ours = cJSON_IsObject(target) ? cJSON_GetObjectItemCaseSensitive(target, "name") : target;
    if (cJSON_IsString(ours))
        substitute(ours->valuestring, text_string(&stars), published + covered, &text);
    else
        text_append(&text, published);
    snprintf(name, size, "%s", text_string(&text));
    text_release(&stars);
    text_release(&text);
    return !cJSON_IsNull(target);
}

bool reference_map_flag(const cJSON *map, const char *published, const char *flag)
{
    struct text stars;
    int covered;
    text_init(&stars, 256);
    const cJSON *target = find(map, published, &covered, &stars);
    text_release(&stars);
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(target, flag));
}
