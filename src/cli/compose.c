#include "cli/compose.h"
#include <string.h>

enum status command_composition(struct command_line *line, const char *key, struct composition *composition,
                                struct error *error)
{
    struct catalog *catalog;
    struct variant_card card;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = catalog_card(catalog, key, &line->arena, &card, error);
    if (status)
        return status;
    cJSON *document = variant_composition(&card.variant);
    if (!document)
        return error_set(error, STATUS_NO, "'%s' has no composition to run", key);
    struct json_at root = json_root(document, arena_format(&line->arena, "%s", key));
    status = composition_parse(&root, composition, error);
    cJSON_Delete(document);
    return status;
}

enum status command_block(struct command_line *line, const char *key, struct composition *composition,
                          struct error *error)
{
    enum status status = command_composition(line, key, composition, error);
    if (status || composition_takes_sequences(composition))
        return status;
    composition_release(composition);
    return error_set(error, STATUS_NO, "it takes no sequence: others are trained on it");
}

enum status command_settings(struct command_line *line, struct composition *composition, int *unused,
                             struct error *error)
{
    size_t count;
    const char *const *settings = command_texts(line, "set", &count);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(settings[i], '=');
        if (!equals || equals == settings[i] || !equals[1])
            return error_set(error, STATUS_USAGE, "option '--set' is NAME=VALUE, not '%.200s'", settings[i]);
        const char *name = arena_format(&line->arena, "%.*s", (int)(equals - settings[i]), settings[i]);
        if (!composition_has(composition, name)) {
            unused[i]++;
            continue;
        }
        enum status status = composition_set(composition, name, equals + 1, error);
        if (status)
            return status;
    }
    return STATUS_OK;
}
