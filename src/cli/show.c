/* show.c: `clade show`. */
#include "base/fields.h"
#include "catalog/documents.h"
#include "cli/cli.h"
#include "cli/output.h"
#include <stdio.h>
#include <string.h>

enum {
    INDENT = 2,
    COLUMN = 14,
    MOST_AUTHORS = 6, /* named in full */
    FEWER_AUTHORS = 3,
};

static void print_field(const char *label, const char *text)
{
    if (text)
        print_entry(INDENT, COLUMN, label, STYLE_DIM, text);
}

static void print_fields(const char *label, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        print_field(i ? "" : label, texts[i]);
}

static const char *join(const char *const *texts, size_t count, struct arena *arena)
{
    const char *joined = NULL;
    for (size_t i = 0; i < count; i++)
        joined = joined ? arena_format(arena, "%s, %s", joined, texts[i]) : texts[i];
    return joined;
}

static void print_title(const struct variant_details *details, struct arena *arena)
{
    const struct variant *variant = &details->card.variant;
    print_heading(variant->name ? variant->name : variant->key);
    if (variant->title)
        print_paragraph(INDENT, variant->title);
    bool many = variant->author_count > MOST_AUTHORS;
    const char *authors = join(variant->authors, many ? FEWER_AUTHORS : variant->author_count, arena);
    if (many)
        authors = arena_format(arena, "%s and %zu others", authors, variant->author_count - FEWER_AUTHORS);
    if (authors)
        print_paragraph(INDENT, authors);
    if (variant->summary) {
        putchar('\n');
        print_paragraph(INDENT, variant->summary);
    }
    putchar('\n');
}

static void print_facts(const struct variant_details *details, struct arena *arena)
{
    const struct variant *variant = &details->card.variant;
    print_field("key", variant->key);
    print_field("date", variant->date);
    print_field("venue", variant->venue);
    print_field("kind", variant->kind);
    print_field("family", variant->family);
    print_fields("links", details->links, details->link_count);
    print_fields("code", variant->code, variant->code_count);
    for (size_t i = 0; i < variant->seed_count; i++)
        print_field(i ? "" : "seeds", arena_format(arena, "%s %s %d", variant->seeds[i].list,
                                                   variant->seeds[i].part, variant->seeds[i].number));
    print_field("runs", details->card.runnable ? "yes" : "no");
    print_field("missing", details->card.missing);
    if (details->card.cites || details->card.cited_by)
        print_field("citations", arena_format(arena, "cites %d of the catalogue, cited by %d",
                                              details->card.cites, details->card.cited_by));
    print_field("suite", join(variant->suite, variant->suite_count, arena));
}

/* "heads=4, activation=silu" */
static const char *options_text(const struct slot_filling *slot, struct arena *arena)
{
    const char *joined = NULL;
    cJSON *options = cJSON_Parse(slot->options);
    const cJSON *option;
    cJSON_ArrayForEach(option, options)
    {
        joined = arena_format(arena, "%s%s%s=%s", joined ? joined : "", joined ? ", " : "", option->string,
                              json_value_text(option, arena));
    }
    cJSON_Delete(options);
    return joined;
}

static void print_slots(const struct variant_details *details, struct arena *arena)
{
    const struct variant *variant = &details->card.variant;
    for (size_t i = 0; i < variant->layer_count; i++) {
        const struct layer *layer = &variant->layers[i];
        putchar('\n');
        print_heading(layer->name ? arena_format(arena, "layer %s", layer->name) : "slots");
        for (size_t j = 0; j < layer->slot_count; j++) {
            const struct slot_filling *slot = &layer->slots[j];
            const char *options = options_text(slot, arena);
            print_entry(INDENT, COLUMN, slot->slot, STYLE_DIM,
                        arena_format(arena, "%s%s%s%s%s", slot->kernel ? slot->kernel : slot->planned,
                                     slot->kernel ? "" : " (planned)", options ? " (" : "",
                                     options ? options : "", options ? ")" : ""));
        }
    }
}

/* Where a character has the state that it has at `first`: "mixer", "linear.ffn, window.ffn". */
static const char *places_of(const struct variant_details *details, size_t first, struct arena *arena)
{
    const char *places = NULL;
    for (size_t i = first; i < details->trait_count; i++) {
        const struct trait_row *trait = &details->traits[i];
        if (strcmp(trait->character, details->traits[first].character) != 0 ||
            strcmp(trait->state, details->traits[first].state) != 0)
            continue;
        const char *layer = details->card.variant.layers[trait->layer].name;
        places = arena_format(arena, "%s%s%s%s%s", places ? places : "", places ? ", " : "",
                              layer ? layer : "", layer ? "." : "", trait->slot);
    }
    return places;
}

static bool is_repeated(const struct variant_details *details, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(details->traits[i].character, details->traits[index].character) == 0 &&
            strcmp(details->traits[i].state, details->traits[index].state) == 0)
            return true;
    return false;
}

static void print_characters(const struct variant_details *details, struct arena *arena)
{
    if (!details->trait_count)
        return;
    putchar('\n');
    print_heading("characters");
    for (size_t i = 0; i < details->trait_count; i++)
        if (!is_repeated(details, i))
            print_entry(
                INDENT, COLUMN, details->traits[i].character, STYLE_DIM,
                arena_format(arena, "%s (%s)", details->traits[i].state, places_of(details, i, arena)));
}

static void print_parents(const struct variant_details *details, struct arena *arena)
{
    const struct variant *variant = &details->card.variant;
    if (!variant->parent_count)
        return;
    putchar('\n');
    print_heading("parents");
    for (size_t i = 0; i < variant->parent_count; i++) {
        const struct parent *parent = &variant->parents[i];
        const char *changed = parent->changed ? parent->changed : "";
        print_entry(INDENT, 2 * COLUMN, parent->key, STYLE_KEY,
                    parent->primary ? changed : arena_format(arena, "(donor) %s", changed));
    }
}

static void print_children(const struct variant_details *details, struct arena *arena)
{
    const char *children = NULL, *borrowers = NULL;
    for (size_t i = 0; i < details->card.child_count; i++) {
        const struct parent_link *child = &details->card.children[i];
        const char **list = child->primary ? &children : &borrowers;
        *list = *list ? arena_format(arena, "%s, %s", *list, child->child) : child->child;
    }
    if (!children && !borrowers)
        return;
    putchar('\n');
    print_heading("children");
    print_field("descend", children);
    print_field("borrow", borrowers);
}

static void print_references(const struct variant_details *details, struct arena *arena)
{
    const struct variant *variant = &details->card.variant;
    if (!variant->reference_count)
        return;
    putchar('\n');
    print_heading("references");
    for (size_t i = 0; i < variant->reference_count; i++) {
        const struct reference *reference = &variant->references[i];
        const char *of = reference->part ? arena_format(arena, "%s.%s", reference->part, reference->slot)
                                         : reference->slot;
        const char *text = reference->source;
        if (reference->sections)
            text = arena_format(arena, "%s, %s", text, reference->sections);
        if (of)
            text = arena_format(arena, "%s: %s", of, text);
        if (reference->fidelity)
            text = arena_format(arena, "%s (%s)", text, reference->fidelity);
        print_entry(INDENT, COLUMN, reference->set ? reference->set : "paper", STYLE_DIM, text);
    }
}

static enum status run(struct command_line *line, struct error *error)
{
    struct catalog *catalog;
    struct variant_details details;
    struct arena *arena = &line->arena;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = variant_details_read(catalog, line->operands[0], arena, &details, error);
    if (status)
        return status;
    if (line->json)
        return print_json(variant_details_json(&details), error);
    print_title(&details, arena);
    print_facts(&details, arena);
    print_slots(&details, arena);
    print_characters(&details, arena);
    print_parents(&details, arena);
    print_children(&details, arena);
    print_references(&details, arena);
    return STATUS_OK;
}

const struct command command_show = {
    .name = "show",
    .operands = "KEY",
    .minimum = 1,
    .maximum = 1,
    .completion = COMPLETE_VARIANT,
    .summary = "all that the catalogue knows of a variant",
    .about = "Prints the card of a variant: paper and links, kind and family, what it does, the kernels in "
             "its slots "
             "and their options, its characters, its parents with what changed, its children, and the "
             "published code "
             "that its kernels are held against. 'Missing' says what keeps it from running; a planned kernel "
             "is one "
             "that is not written yet.",
    .json =
        "{key, name, title, authors, year, date, venue, ids: {s2, arxiv, doi, acl}, links, code, seeds: "
        "[{list, "
        "part, number}], kind, family, summary, added, runnable, missing, composition, characters: [{layer, "
        "slot, "
        "kernel, character, state}], parents, children: [{key, primary, changed, exception}], references: "
        "[{set, "
        "slot, part, source, sections, fidelity}], suite, cites, cited_by}: composition has the form of the "
        "catalogue's files; suite are the variants that a study compares; cites and cited_by count links "
        "within "
        "the catalogue; null where unknown",
    .examples = EXAMPLES({"clade show gla", "the card of one variant"},
                         {"clade show mamba2 --json", "the same for a program"}),
    .run = run,
};
