/* show.c: `clade show`. */
#include "cli/cli.h"
#include "cli/fields.h"
#include "cli/output.h"
#include <stdio.h>
#include <string.h>

enum {
    INDENT = 2,
    COLUMN = 14,
    MOST_AUTHORS = 6, /* named in full */
    FEWER_AUTHORS = 3,
    MOST_LINKS = 5,
};

struct card {
    struct variant_card of;
    struct trait_row *traits; /* of this variant */
    size_t trait_count;
    const char *links[MOST_LINKS];
    size_t link_count;
    struct arena *arena;
};

static void add_link(struct card *card, const char *site, const char *id)
{
    if (id)
        card->links[card->link_count++] = arena_format(card->arena, "https://%s/%s", site, id);
}

static enum status read_card(struct command_line *line, struct card *card, struct error *error)
{
    struct catalog *catalog;
    struct trait_row *traits;
    size_t count;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = catalog_card(catalog, line->operands[0], &line->arena, &card->of, error);
    if (!status)
        status = catalog_traits(catalog, &line->arena, &traits, &count, error);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(traits[i].variant, card->of.variant.key) != 0)
            continue;
        card->traits = arena_extend(&line->arena, card->traits, card->trait_count, sizeof *traits);
        card->traits[card->trait_count++] = traits[i];
    }
    add_link(card, "arxiv.org/abs", card->of.variant.arxiv);
    add_link(card, "doi.org", card->of.variant.doi);
    add_link(card, "aclanthology.org", card->of.variant.acl);
    add_link(card, "www.semanticscholar.org/paper", card->of.variant.s2);
    return STATUS_OK;
}

/* ---- JSON ---- */

static cJSON *relatives_json(const struct variant_card *card, bool parents)
{
    cJSON *relatives = cJSON_CreateArray();
    size_t count = parents ? card->variant.parent_count : card->child_count;
    for (size_t i = 0; i < count; i++) {
        const struct parent *parent = parents ? &card->variant.parents[i] : NULL;
        const struct parent_link *child = parents ? NULL : &card->children[i];
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "key", parents ? parent->key : child->child);
        json_set_flag(object, "primary", parents ? parent->primary : child->primary);
        json_set_text(object, "changed", parents ? parent->changed : child->changed);
        json_set_text(object, "exception", parents ? parent->exception : child->exception);
        cJSON_AddItemToArray(relatives, object);
    }
    return relatives;
}

static cJSON *traits_json(const struct card *card)
{
    cJSON *traits = cJSON_CreateArray();
    for (size_t i = 0; i < card->trait_count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_number(object, "layer", card->traits[i].layer);
        json_set_text(object, "slot", card->traits[i].slot);
        json_set_text(object, "kernel", card->traits[i].kernel);
        json_set_text(object, "character", card->traits[i].character);
        json_set_text(object, "state", card->traits[i].state);
        cJSON_AddItemToArray(traits, object);
    }
    return traits;
}

static cJSON *references_json(const struct variant *variant)
{
    cJSON *references = cJSON_CreateArray();
    for (size_t i = 0; i < variant->reference_count; i++) {
        const struct reference *reference = &variant->references[i];
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "set", reference->set);
        json_set_text(object, "slot", reference->slot);
        json_set_text(object, "part", reference->part);
        json_set_text(object, "source", reference->source);
        json_set_text(object, "sections", reference->sections);
        json_set_text(object, "fidelity", reference->fidelity);
        cJSON_AddItemToArray(references, object);
    }
    return references;
}

static enum status print_document(const struct card *card, struct error *error)
{
    const struct variant *variant = &card->of.variant;
    cJSON *document = cJSON_CreateObject(), *ids = cJSON_CreateObject();
    json_set_text(document, "key", variant->key);
    json_set_text(document, "name", variant->name);
    json_set_text(document, "title", variant->title);
    json_set_texts(document, "authors", variant->authors, variant->author_count);
    json_set_year(document, variant->year);
    json_set_text(document, "date", variant->date);
    json_set_text(document, "venue", variant->venue);
    json_set_text(ids, "s2", variant->s2);
    json_set_text(ids, "arxiv", variant->arxiv);
    json_set_text(ids, "doi", variant->doi);
    json_set_text(ids, "acl", variant->acl);
    cJSON_AddItemToObject(document, "ids", ids);
    json_set_texts(document, "links", card->links, card->link_count);
    json_set_texts(document, "code", variant->code, variant->code_count);
    json_set_seeds(document, variant->seeds, variant->seed_count);
    json_set_text(document, "kind", variant->kind);
    json_set_text(document, "family", variant->family);
    json_set_text(document, "summary", variant->summary);
    json_set_text(document, "added", variant->added);
    json_set_flag(document, "runnable", card->of.runnable);
    json_set_text(document, "missing", card->of.missing);
    cJSON *composition = variant_composition(variant);
    cJSON_AddItemToObject(document, "composition", composition ? composition : cJSON_CreateNull());
    cJSON_AddItemToObject(document, "characters", traits_json(card));
    cJSON_AddItemToObject(document, "parents", relatives_json(&card->of, true));
    cJSON_AddItemToObject(document, "children", relatives_json(&card->of, false));
    cJSON_AddItemToObject(document, "references", references_json(variant));
    json_set_texts(document, "suite", variant->suite, variant->suite_count);
    json_set_number(document, "cites", card->of.cites);
    json_set_number(document, "cited_by", card->of.cited_by);
    return print_json(document, error);
}

/* ---- text ---- */

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

static void print_title(const struct card *card)
{
    const struct variant *variant = &card->of.variant;
    print_heading(variant->name ? variant->name : variant->key);
    if (variant->title)
        print_paragraph(INDENT, variant->title);
    bool many = variant->author_count > MOST_AUTHORS;
    const char *authors = join(variant->authors, many ? FEWER_AUTHORS : variant->author_count, card->arena);
    if (many)
        authors =
            arena_format(card->arena, "%s and %zu others", authors, variant->author_count - FEWER_AUTHORS);
    if (authors)
        print_paragraph(INDENT, authors);
    if (variant->summary) {
        putchar('\n');
        print_paragraph(INDENT, variant->summary);
    }
    putchar('\n');
}

static void print_facts(const struct card *card)
{
    const struct variant *variant = &card->of.variant;
    print_field("key", variant->key);
    print_field("date", variant->date);
    print_field("venue", variant->venue);
    print_field("kind", variant->kind);
    print_field("family", variant->family);
    print_fields("links", card->links, card->link_count);
    print_fields("code", variant->code, variant->code_count);
    for (size_t i = 0; i < variant->seed_count; i++)
        print_field(i ? "" : "seeds", arena_format(card->arena, "%s %s %d", variant->seeds[i].list,
                                                   variant->seeds[i].part, variant->seeds[i].number));
    print_field("runs", card->of.runnable ? "yes" : "no");
    print_field("missing", card->of.missing);
    if (card->of.cites || card->of.cited_by)
        print_field("citations", arena_format(card->arena, "cites %d of the catalogue, cited by %d",
                                              card->of.cites, card->of.cited_by));
    print_field("suite", join(variant->suite, variant->suite_count, card->arena));
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

static void print_slots(const struct card *card)
{
    const struct variant *variant = &card->of.variant;
    for (size_t i = 0; i < variant->layer_count; i++) {
        const struct layer *layer = &variant->layers[i];
        putchar('\n');
        print_heading(layer->name ? arena_format(card->arena, "layer %s", layer->name) : "slots");
        for (size_t j = 0; j < layer->slot_count; j++) {
            const struct slot_filling *slot = &layer->slots[j];
            const char *options = options_text(slot, card->arena);
            print_entry(INDENT, COLUMN, slot->slot, STYLE_DIM,
                        arena_format(card->arena, "%s%s%s%s%s", slot->kernel ? slot->kernel : slot->planned,
                                     slot->kernel ? "" : " (planned)", options ? " (" : "",
                                     options ? options : "", options ? ")" : ""));
        }
    }
}

/* Where a character has the state that it has at `first`: "mixer", "linear.ffn, window.ffn". */
static const char *places_of(const struct card *card, size_t first)
{
    const char *places = NULL;
    for (size_t i = first; i < card->trait_count; i++) {
        const struct trait_row *trait = &card->traits[i];
        if (strcmp(trait->character, card->traits[first].character) != 0 ||
            strcmp(trait->state, card->traits[first].state) != 0)
            continue;
        const char *layer = card->of.variant.layers[trait->layer].name;
        places = arena_format(card->arena, "%s%s%s%s%s", places ? places : "", places ? ", " : "",
                              layer ? layer : "", layer ? "." : "", trait->slot);
    }
    return places;
}

static bool is_repeated(const struct card *card, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(card->traits[i].character, card->traits[index].character) == 0 &&
            strcmp(card->traits[i].state, card->traits[index].state) == 0)
            return true;
    return false;
}

static void print_characters(const struct card *card)
{
    if (!card->trait_count)
        return;
    putchar('\n');
    print_heading("characters");
    for (size_t i = 0; i < card->trait_count; i++)
        if (!is_repeated(card, i))
            print_entry(INDENT, COLUMN, card->traits[i].character, STYLE_DIM,
                        arena_format(card->arena, "%s (%s)", card->traits[i].state, places_of(card, i)));
}

static void print_parents(const struct card *card)
{
    const struct variant *variant = &card->of.variant;
    if (!variant->parent_count)
        return;
    putchar('\n');
    print_heading("parents");
    for (size_t i = 0; i < variant->parent_count; i++) {
        const struct parent *parent = &variant->parents[i];
        const char *changed = parent->changed ? parent->changed : "";
        print_entry(INDENT, 2 * COLUMN, parent->key, STYLE_KEY,
                    parent->primary ? changed : arena_format(card->arena, "(donor) %s", changed));
    }
}

static void print_children(const struct card *card)
{
    const char *children = NULL, *borrowers = NULL;
    for (size_t i = 0; i < card->of.child_count; i++) {
        const struct parent_link *child = &card->of.children[i];
        const char **list = child->primary ? &children : &borrowers;
        *list = *list ? arena_format(card->arena, "%s, %s", *list, child->child) : child->child;
    }
    if (!children && !borrowers)
        return;
    putchar('\n');
    print_heading("children");
    print_field("descend", children);
    print_field("borrow", borrowers);
}

static void print_references(const struct card *card)
{
    const struct variant *variant = &card->of.variant;
    if (!variant->reference_count)
        return;
    putchar('\n');
    print_heading("references");
    for (size_t i = 0; i < variant->reference_count; i++) {
        const struct reference *reference = &variant->references[i];
        const char *of = reference->part
                             ? arena_format(card->arena, "%s.%s", reference->part, reference->slot)
                             : reference->slot;
        const char *text = reference->source;
        if (reference->sections)
            text = arena_format(card->arena, "%s, %s", text, reference->sections);
        if (of)
            text = arena_format(card->arena, "%s: %s", of, text);
        if (reference->fidelity)
            text = arena_format(card->arena, "%s (%s)", text, reference->fidelity);
        print_entry(INDENT, COLUMN, reference->set ? reference->set : "paper", STYLE_DIM, text);
    }
}

static enum status run(struct command_line *line, struct error *error)
{
    struct card card = {.arena = &line->arena};
    enum status status = read_card(line, &card, error);
    if (status)
        return status;
    if (line->json)
        return print_document(&card, error);
    print_title(&card);
    print_facts(&card);
    print_slots(&card);
    print_characters(&card);
    print_parents(&card);
    print_children(&card);
    print_references(&card);
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
