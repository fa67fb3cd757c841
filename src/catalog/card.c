/* card.c: everything that the catalogue says of one variant. */
#include "catalog/catalog.h"
#include "catalog/database.h"
#include "catalog/query.h"
#include <string.h>

/* A statement whose only parameter is the key. */
static struct statement ask(sqlite3 *database, const char *key, const char *sql, struct error *error)
{
    struct statement statement = statement_start(database, sql, error);
    statement_bind_text(&statement, 1, key);
    return statement;
}

static enum status read_row(sqlite3 *database, const char *key, struct arena *arena,
                            struct variant_card *card, struct error *error)
{
    struct variant *variant = &card->variant;
    struct statement select =
        ask(database, key,
            "SELECT key, name, title, year, date, venue, s2, arxiv, doi, acl, kind, family, summary, added,"
            " runnable, missing, (SELECT count(*) FROM citation WHERE citing = key),"
            " (SELECT count(*) FROM citation WHERE cited = key)"
            " FROM variant JOIN variant_state ON variant = key WHERE key = ?1",
            error);
    if (statement_step(&select)) {
        const char **const texts[] = {&variant->key,
                                      &variant->name,
                                      &variant->title,
                                      NULL,
                                      &variant->date,
                                      &variant->venue,
                                      &variant->s2,
                                      &variant->arxiv,
                                      &variant->doi,
                                      &variant->acl,
                                      &variant->kind,
                                      &variant->family,
                                      &variant->summary,
                                      &variant->added,
                                      NULL,
                                      &card->missing};
        for (int i = 0; i < 16; i++)
            if (texts[i])
                *texts[i] = statement_text(&select, i, arena);
        variant->year = (int)statement_integer(&select, 3);
        card->runnable = statement_integer(&select, 14);
        card->cites = (int)statement_integer(&select, 16);
        card->cited_by = (int)statement_integer(&select, 17);
    }
    return statement_finish(&select);
}

static enum status read_strings(sqlite3 *database, const char *key, const char *sql, struct arena *arena,
                                const char ***strings, size_t *count, struct error *error)
{
    struct statement statement = ask(database, key, sql, error);
    return query_strings(&statement, arena, strings, count);
}

static enum status read_seeds(sqlite3 *database, const char *key, struct arena *arena,
                              struct variant *variant, struct error *error)
{
    struct statement select =
        ask(database, key,
            "SELECT list, part, number FROM seed_row WHERE variant = ?1 ORDER BY list, part, number", error);
    while (statement_step(&select)) {
        variant->seeds = arena_extend(arena, variant->seeds, variant->seed_count, sizeof *variant->seeds);
        variant->seeds[variant->seed_count++] =
            (struct seed_row){statement_text(&select, 0, arena), statement_text(&select, 1, arena),
                              (int)statement_integer(&select, 2)};
    }
    return statement_finish(&select);
}

/* Slots come in the order in which a block applies them. */
static enum status read_layers(sqlite3 *database, const char *key, struct arena *arena,
                               struct variant *variant, struct error *error)
{
    struct statement select =
        ask(database, key,
            "SELECT layer, layer_name, slot, kernel, planned, options FROM slot WHERE variant = ?1"
            " ORDER BY layer, instr('embedding position mixer ffn norm residual memory procedure objective "
            "task', slot)",
            error);
    while (statement_step(&select)) {
        size_t index = (size_t)statement_integer(&select, 0);
        if (index >= variant->layer_count) {
            variant->layers =
                arena_extend(arena, variant->layers, variant->layer_count, sizeof *variant->layers);
            variant->layers[variant->layer_count++] =
                (struct layer){.name = statement_text(&select, 1, arena)};
        }
        struct layer *layer = &variant->layers[variant->layer_count - 1];
        layer->slots = arena_extend(arena, layer->slots, layer->slot_count, sizeof *layer->slots);
        layer->slots[layer->slot_count++] =
            (struct slot_filling){statement_text(&select, 2, arena), statement_text(&select, 3, arena),
                                  statement_text(&select, 4, arena), statement_text(&select, 5, arena)};
    }
    return statement_finish(&select);
}

static enum status read_parents(sqlite3 *database, const char *key, struct arena *arena,
                                struct variant *variant, struct error *error)
{
    struct statement select = ask(database, key,
                                  "SELECT parent, is_primary, changed, exception FROM parent WHERE child = ?1"
                                  " ORDER BY is_primary DESC, place",
                                  error);
    while (statement_step(&select)) {
        variant->parents =
            arena_extend(arena, variant->parents, variant->parent_count, sizeof *variant->parents);
        variant->parents[variant->parent_count++] =
            (struct parent){statement_text(&select, 0, arena), statement_integer(&select, 1),
                            statement_text(&select, 2, arena), statement_text(&select, 3, arena)};
    }
    return statement_finish(&select);
}

/* The columns of a reference, as read_reference() takes them. */
#define REFERENCE_COLUMNS \
    "set_name, slot, part, source, sections, fidelity, options, fixed, inputs, outputs, weights"

static struct reference read_reference(struct statement *select, struct arena *arena)
{
    struct reference reference;
    const char **const texts[] = {&reference.set,     &reference.slot,     &reference.part,
                                  &reference.source,  &reference.sections, &reference.fidelity,
                                  &reference.options, &reference.fixed,    &reference.inputs,
                                  &reference.outputs, &reference.weights};
    for (int i = 0; i < 11; i++)
        *texts[i] = statement_text(select, i, arena);
    return reference;
}

static enum status read_references(sqlite3 *database, const char *key, struct arena *arena,
                                   struct variant *variant, struct error *error)
{
    struct statement select =
        ask(database, key, "SELECT " REFERENCE_COLUMNS " FROM reference WHERE variant = ?1 ORDER BY place",
            error);
    while (statement_step(&select)) {
        variant->references =
            arena_extend(arena, variant->references, variant->reference_count, sizeof *variant->references);
        variant->references[variant->reference_count++] = read_reference(&select, arena);
    }
    return statement_finish(&select);
}

static enum status read_children(sqlite3 *database, const char *key, struct arena *arena,
                                 struct variant_card *card, struct error *error)
{
    struct statement select =
        ask(database, key,
            "SELECT child, parent, is_primary, changed, exception FROM parent JOIN variant ON key = child"
            " WHERE parent = ?1 ORDER BY is_primary DESC, coalesce(date, year, '9999'), child",
            error);
    while (statement_step(&select)) {
        card->children = arena_extend(arena, card->children, card->child_count, sizeof *card->children);
        card->children[card->child_count++] =
            (struct parent_link){statement_text(&select, 0, arena), statement_text(&select, 1, arena),
                                 statement_integer(&select, 2), statement_text(&select, 3, arena),
                                 statement_text(&select, 4, arena)};
    }
    return statement_finish(&select);
}

enum status catalog_card(struct catalog *catalog, const char *key, struct arena *arena,
                         struct variant_card *card, struct error *error)
{
    sqlite3 *database = catalog_database(catalog);
    struct variant *variant = &card->variant;
    *card = (struct variant_card){.runnable = false};
    enum status status = catalog_require(catalog, key, error);
    if (!status)
        status = read_row(database, key, arena, card, error);
    if (!status)
        status = read_strings(database, key, "SELECT name FROM author WHERE variant = ?1 ORDER BY place",
                              arena, &variant->authors, &variant->author_count, error);
    if (!status)
        status = read_strings(database, key, "SELECT url FROM code_link WHERE variant = ?1 ORDER BY place",
                              arena, &variant->code, &variant->code_count, error);
    if (!status)
        status =
            read_strings(database, key, "SELECT variant FROM suite_member WHERE suite = ?1 ORDER BY place",
                         arena, &variant->suite, &variant->suite_count, error);
    if (!status)
        status = read_seeds(database, key, arena, variant, error);
    if (!status)
        status = read_layers(database, key, arena, variant, error);
    if (!status)
        status = read_parents(database, key, arena, variant, error);
    if (!status)
        status = read_references(database, key, arena, variant, error);
    if (!status)
        status = read_children(database, key, arena, card, error);
    return status;
}

enum status catalog_reference(struct catalog *catalog, const char *set, struct arena *arena,
                              const char **variant, struct reference *reference, struct error *error)
{
    sqlite3 *database = catalog_database(catalog);
    struct statement select =
        ask(database, set, "SELECT " REFERENCE_COLUMNS ", variant FROM reference WHERE set_name = ?1", error);
    bool found = statement_step(&select);
    if (found) {
        *reference = read_reference(&select, arena);
        *variant = statement_text(&select, 11, arena);
    }
    enum status status = statement_finish(&select);
    if (!status && !found)
        status = query_require(database, "reference set", set,
                               "SELECT set_name FROM reference WHERE set_name IS NOT NULL ORDER BY set_name",
                               error);
    return status;
}
