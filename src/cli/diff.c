/* diff.c: `clade diff`. */
#include "block/registry.h"
#include "block/settings.h"
#include "cli/descent.h"
#include "lineage/difference.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct table_row *add_row(struct table *table, struct table_row *parent, const char *label,
                                 const char *a, const char *b, bool same)
{
    struct table_row *row = table_row(table, parent);
    table_cell(row, 0, same ? STYLE_DIM : STYLE_KEY, label);
    table_cell(row, 1, same ? STYLE_DIM : STYLE_PLAIN, a ? a : "-");
    table_cell(row, 2, same ? STYLE_DIM : STYLE_PLAIN, same ? "=" : b ? b : "-");
    return row;
}

static void add_field(struct table *table, const char *label, const char *a, const char *b)
{
    if (a || b)
        add_row(table, NULL, label, a, b, a && b && strcmp(a, b) == 0);
}

static const char *filling_text(const struct slot_filling *filling, struct arena *arena)
{
    if (!filling)
        return NULL;
    return filling->kernel ? filling->kernel : arena_format(arena, "%s (planned)", filling->planned);
}

/* "mixer", or with the layers' names "attention.mixer", "mamba/window.mixer". */
static const char *slot_label(const struct slot_difference *slot, struct arena *arena)
{
    const char *a = slot->layer_a, *b = slot->layer_b;
    if (!a && !b)
        return slot->slot;
    if (!a || !b || strcmp(a, b) == 0)
        return arena_format(arena, "%s.%s", a ? a : b, slot->slot);
    return arena_format(arena, "%s/%s.%s", a, b, slot->slot);
}

/* An option's value, or what stands for it where the composition is silent. */
static const char *option_text(const struct slot_filling *filling, const char *name, const char *value,
                               struct arena *arena)
{
    const struct kernel *kernel = filling->kernel ? registry_find(filling->kernel) : NULL;
    char buffer[64];
    if (value)
        return value;
    if (!kernel || !settings_has(kernel, name))
        return "default";
    struct settings settings;
    settings_init(&settings, kernel);
    const char *text =
        arena_format(arena, "%s (default)", settings_text(&settings, name, buffer, sizeof buffer));
    settings_release(&settings);
    return text;
}

static void add_slots(struct table *table, const struct pair *pair, struct arena *arena)
{
    for (size_t i = 0; i < pair->difference.slot_count; i++) {
        const struct slot_difference *slot = &pair->difference.slots[i];
        const char *a = filling_text(slot->a, arena), *b = filling_text(slot->b, arena);
        struct table_row *row =
            add_row(table, NULL, slot_label(slot, arena), a, slot->option_count ? a : b, slot->same);
        for (size_t j = 0; j < slot->option_count; j++) {
            const struct option_difference *option = &slot->options[j];
            add_row(table, row, option->name, option_text(slot->a, option->name, option->a, arena),
                    option_text(slot->b, option->name, option->b, arena), false);
        }
    }
}

static void print_comparison(const struct pair *pair, struct arena *arena)
{
    const struct variant *a = pair->a, *b = pair->b;
    const struct table_column columns[] = {{"", COLUMN_TREE}, {a->key, COLUMN_WRAP}, {b->key, COLUMN_WRAP}};
    struct table *table = table_create(columns, 3);
    add_field(table, "name", a->name, b->name);
    add_field(table, "date", a->date, b->date);
    add_field(table, "family", a->family, b->family);
    add_field(table, "kind", a->kind, b->kind);
    add_slots(table, pair, arena);
    for (size_t i = 0; i < pair->difference.character_count; i++) {
        const struct character_difference *character = &pair->difference.characters[i];
        add_row(table, NULL, character->character, character->a, character->b, character->same);
    }
    table_print(table);
}

static void print_path(const struct pair *pair, struct arena *arena)
{
    const struct network *network = pair->network;
    if (!pair->joined) {
        print_paragraph(0, "no common ancestor");
        return;
    }
    print_paragraph(0, arena_format(arena, "common ancestor %s%s", network->nodes[pair->path.top].key,
                                    pair->path.edges == EDGES_ALL ? ", over donors" : ""));
    for (size_t i = 0; i < pair->path.count; i++) {
        const struct network_edge *edge = &network->edges[pair->path.steps[i].edge];
        const char *parent = network->nodes[edge->parent].key, *child = network->nodes[edge->child].key;
        bool up = pair->path.steps[i].up;
        print_paragraph(2, arena_format(arena, "%s %s %s%s%s", up ? child : parent, up ? "<" : ">",
                                        up ? parent : child, edge->changed ? ": " : "",
                                        edge->changed ? edge->changed : ""));
    }
}

static enum status run(struct command_line *line, struct error *error)
{
    struct network network;
    struct pair pair;
    enum status status = command_network(line, &network, error);
    if (!status)
        status = pair_read(line->catalog, &network, line->operands[0], line->operands[1], &line->arena, &pair,
                           error);
    if (status)
        return status;
    if (line->json)
        return print_json(pair_json(&pair), error);
    print_comparison(&pair, &line->arena);
    putchar('\n');
    print_path(&pair, &line->arena);
    return STATUS_OK;
}

const struct command command_diff = {
    .name = "diff",
    .operands = "A B",
    .minimum = 2,
    .maximum = 2,
    .completion = COMPLETE_VARIANT,
    .summary = "two variants slot by slot, and the way between them",
    .about =
        "Compares dates, slots with their kernels and options, and characters of two variants; '=' says that "
        "the "
        "second has what the first has. Layers of patterns are paired by name, then by what they share. Then "
        "follows the way from one to the other over their most recent common ancestor, with what changed at "
        "each "
        "step: '<' goes up to a parent, '>' down to a child.",
    .json =
        "{a, b: {key, name, date, family, kind}, slots: [{slot, layer_a, layer_b, a, b: {kernel, written, "
        "options}, same}], characters: [{character, a, b, same}], path: {top, over_donors, steps: [{parent, "
        "child, "
        "primary, changed, exception, direction}]}}: a or b of a slot is null where it is empty, of a "
        "character "
        "where the kernels say nothing; path is null without a common ancestor; direction is \"up\" or "
        "\"down\"",
    .examples = EXAMPLES({"clade diff retnet gla", "what a data-dependent gate changed"},
                         {"clade diff gpt mamba2 --json", "for a program"}),
    .run = run,
};
