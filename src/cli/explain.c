#include "cli/explain.h"
#include "base/fields.h"
#include "base/suggest.h"
#include "block/registry.h"
#include "cli/output.h"
#include "lineage/network.h"
#include <stdio.h>
#include <string.h>

enum {
    INDENT = 2,
    LABEL_COLUMN = 14,
    OPTION_INDENT = 4,
    OPTION_COLUMN = 24,
};

/* "4, from 1 to 64", "gelu: one of gelu|relu". */
static const char *describe_range(const struct option *option, struct arena *arena)
{
    switch (option->type) {
    case OPTION_FLAG:
        return option->initial != 0 ? "true or false, true" : "true or false, false";
    case OPTION_CHOICE:
        return arena_format(arena, "%s, the first", option->choices);
    default:
        return arena_format(arena, "%.15g to %.15g, %.15g", option->minimum, option->maximum,
                            option->initial);
    }
}

/* `given` are the options of a composition, as JSON; NULL for a kernel by itself. */
static void print_options(const struct kernel *kernel, const char *given, struct arena *arena)
{
    cJSON *values = given ? cJSON_Parse(given) : NULL;
    for (const struct option *option = kernel->options; option && option->name; option++) {
        const char *value =
            json_value_text(values ? cJSON_GetObjectItemCaseSensitive(values, option->name) : NULL, arena);
        print_entry(OPTION_INDENT, OPTION_COLUMN, option->name, STYLE_PLAIN,
                    arena_format(arena, "%s (%s by default%s%s)", option->help, describe_range(option, arena),
                                 value ? "; here " : "", value ? value : ""));
    }
    cJSON_Delete(values);
}

/* The comment at the top of its file, lines as they are: formulas are set in columns. */
static void print_note(const struct kernel *kernel)
{
    size_t index = 0;
    while (registry_kernels[index] != kernel)
        index++;
    putchar('\n');
    for (const char *line = registry_notes[index]; *line;) {
        const char *end = strchr(line, '\n');
        printf("%*s%.*s\n", *line == '\n' ? 0 : INDENT, "", (int)(end - line), line);
        line = end + 1;
    }
}

static void explain_kernel(const struct kernel *kernel, struct arena *arena)
{
    print_styled(stdout, STYLE_HEADING, kernel->name);
    printf(", a kernel for the slot %s\n", slot_names[kernel->slot]);
    print_paragraph(INDENT, kernel->summary);
    if (kernel->variant)
        print_entry(INDENT, LABEL_COLUMN, "origin", STYLE_DIM, kernel->variant);
    for (const struct character *character = kernel->characters; character && character->name; character++)
        print_entry(INDENT, LABEL_COLUMN, character == kernel->characters ? "characters" : "", STYLE_DIM,
                    arena_format(arena, "%s = %s", character->name, character->state));
    if (kernel->options && kernel->options->name) {
        print_entry(INDENT, LABEL_COLUMN, "options", STYLE_DIM, "");
        print_options(kernel, NULL, arena);
    }
    print_note(kernel);
}

static void explain_slots(const struct variant *variant, struct arena *arena)
{
    for (size_t i = 0; i < variant->layer_count; i++) {
        const struct layer *layer = &variant->layers[i];
        putchar('\n');
        print_heading(layer->name ? layer->name : "slots");
        for (size_t j = 0; j < layer->slot_count; j++) {
            const struct slot_filling *slot = &layer->slots[j];
            const struct kernel *kernel = slot->kernel ? registry_find(slot->kernel) : NULL;
            const char *text = kernel ? arena_format(arena, "%s: %s", kernel->name, kernel->summary)
                                      : arena_format(arena, "%s, not written yet",
                                                     slot->planned ? slot->planned : slot->kernel);
            print_entry(INDENT, LABEL_COLUMN, slot->slot, STYLE_KEY, text);
            if (kernel)
                print_options(kernel, slot->options, arena);
        }
    }
}

/* The commands that go on from here, of those the program has. */
static void print_further(const struct variant *variant)
{
    static const char *const of_blocks[] = {"show", "lineage", "why", "check", "bench", NULL};
    static const char *const of_tasks[] = {"show", "lineage", "why", "task", NULL};
    bool is_task = variant->kind && strcmp(variant->kind, "task") == 0;
    putchar('\n');
    print_heading("further");
    for (const char *const *name = is_task ? of_tasks : of_blocks; *name; name++) {
        const struct command *command = command_find(*name);
        if (command)
            printf("%*sclade %s %s\n", INDENT, "", command->name, variant->key);
    }
}

static void explain_variant(const struct variant_card *card, struct arena *arena)
{
    const struct variant *variant = &card->variant;
    print_styled(stdout, STYLE_HEADING, variant->name ? variant->name : variant->key);
    if (variant->title) {
        fputs(": ", stdout);
        print_clean(stdout, variant->title);
    }
    if (variant->date) {
        fputs(", ", stdout);
        print_clean(stdout, variant->date);
    }
    putchar('\n');
    if (variant->summary)
        print_paragraph(INDENT, variant->summary);
    explain_slots(variant, arena);
    print_further(variant);
}

/* What is meant by a word that is nothing: the nearest of all names that would do. */
static enum status unknown_subject(struct command_line *line, struct catalog *catalog, const char *subject,
                                   struct error *error)
{
    struct network network;
    enum status status = network_from_catalog(catalog, &line->arena, &network, error);
    if (status)
        return status;
    const char **names = NULL;
    size_t count = 0;
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++) {
            names = arena_extend(&line->arena, names, count, sizeof *names);
            names[count++] = (*command)->name;
        }
    for (size_t i = 0; i < network.node_count + registry_count; i++) {
        names = arena_extend(&line->arena, names, count, sizeof *names);
        names[count++] =
            i < network.node_count ? network.nodes[i].key : registry_kernels[i - network.node_count]->name;
    }
    return suggest_error(error, "command, variant or kernel", subject, names, count);
}

enum status explain(struct command_line *line, const char *subject, struct error *error)
{
    struct catalog *catalog;
    struct variant_card card;
    struct error unknown = ERROR_INIT;
    const struct kernel *kernel = registry_find(subject);
    enum status status = command_catalog(line, &catalog, error);
    if (status)
        return status;
    bool variant = catalog_require(catalog, subject, &unknown) == STATUS_OK;
    if (variant) {
        status = catalog_card(catalog, subject, &line->arena, &card, error);
        if (!status)
            explain_variant(&card, &line->arena);
    }
    if (variant && kernel)
        putchar('\n');
    if (kernel)
        explain_kernel(kernel, &line->arena);
    return variant || kernel ? status : unknown_subject(line, catalog, subject, error);
}
