/* json-value: reads one strict JSON document from standard input and prints the value at a path, such as
 * "nodes[0].key", "." for the whole, or "nodes#" for the number of elements. Strings print bare, all else as
 * JSON on one line. Ends with status 1 and one line if there is no such value or the input is not JSON. */
#include "base/file.h"
#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One step of the path, ".name" or "[3]"; NULL if it leads nowhere. */
static const cJSON *follow(const cJSON *value, const char **path)
{
    if (**path == '[') {
        char *end;
        long index = strtol(*path + 1, &end, 10);
        *path = *end == ']' ? end + 1 : "?";
        return cJSON_IsArray(value) ? cJSON_GetArrayItem(value, (int)index) : NULL;
    }
    *path += **path == '.';
    char name[128];
    size_t length = strcspn(*path, ".[#");
    snprintf(name, sizeof name, "%.*s", (int)length, *path);
    *path += length;
    return length ? cJSON_GetObjectItemCaseSensitive(value, name) : value;
}

int main(int argc, char **argv)
{
    struct error error = ERROR_INIT;
    struct text text;
    cJSON *document = NULL;
    text_init(&text, 1 << 28);
    if (argc != 2 || json_parse_file("-", 1 << 28, &document, &error)) {
        printf("%s\n", argc == 2 ? error.message : "usage: json-value PATH");
        return 1;
    }
    const cJSON *value = document;
    const char *path = argv[1];
    while (value && *path && *path != '#')
        value = follow(value, &path);
    if (!value)
        printf("nothing at %s\n", argv[1]);
    else if (*path == '#')
        printf("%d\n", cJSON_GetArraySize(value));
    else if (cJSON_IsString(value))
        printf("%s\n", value->valuestring);
    else if (json_print_line(value, &text, &error) == STATUS_OK)
        printf("%s\n", text_string(&text));
    text_release(&text);
    cJSON_Delete(document);
    return !value;
}
