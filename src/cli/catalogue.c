/* catalogue.c: command_catalog(), and the registry's kernels as the catalogue wants them. */
#include "block/registry.h"
#include "block/settings.h"
#include "cli/cli.h"
#include "cli/output.h"
#include <string.h>

/* The state of a character under the options of a composition. Other fields than options, such as the norm's
 * placement, and values that do not fit are the composition's affair, not the character's. */
static const char *state_under(const struct catalog_kernel *described, const char *options,
                               const char *character)
{
    const struct kernel *kernel = registry_find(described->name);
    struct settings settings;
    struct error ignored = ERROR_INIT;
    cJSON *object = NULL;
    if (!kernel || !kernel->character ||
        json_parse(kernel->name, options, strlen(options), &object, &ignored))
        return NULL;
    settings_init(&settings, kernel);
    const cJSON *option;
    cJSON_ArrayForEach(option, object)
    {
        if (settings_has(kernel, option->string))
            settings_set_json(&settings, option->string, option, &ignored);
    }
    struct scope scope = {.kernel = kernel, .settings = &settings, .prefix = "", .width = 64, .layers = 1};
    const char *state = kernel_character(&scope, character);
    settings_release(&settings);
    cJSON_Delete(object);
    return state;
}

static struct catalog_kernel describe(const struct kernel *kernel, struct arena *arena)
{
    struct kernel_trait *traits = NULL;
    size_t count = 0;
    for (const struct character *character = kernel->characters; character && character->name; character++) {
        traits = arena_extend(arena, traits, count, sizeof *traits);
        traits[count++] = (struct kernel_trait){character->name, character->state};
    }
    return (struct catalog_kernel){
        .name = kernel->name,
        .slot = slot_names[kernel->slot],
        .origin = kernel->variant,
        .traits = traits,
        .trait_count = count,
        .state = kernel->character ? state_under : NULL,
    };
}

enum status command_catalog(struct command_line *line, struct catalog **catalog, struct error *error)
{
    if (!line->catalog) {
        struct catalog_kernel *kernels =
            arena_allocate(&line->arena, size_multiply(registry_count + 1, sizeof *kernels));
        for (size_t i = 0; i < registry_count; i++)
            kernels[i] = describe(registry_kernels[i], &line->arena);
        struct catalog_options options = {
            .database = line->database, .kernels = kernels, .kernel_count = registry_count};
        enum status status = catalog_open(&options, &line->catalog, error);
        if (status)
            return status;
        const char *note = catalog_note(line->catalog);
        if (note) {
            print_clean(stderr, note);
            fputc('\n', stderr);
        }
    }
    *catalog = line->catalog;
    return STATUS_OK;
}
