#include "catalog/store.h"
#include "base/text.h"
#include "catalog/database.h"
#include <string.h>

/* Tables that hang on others go first. */
static const char empty_tables[] =
    "DELETE FROM variant_search; DELETE FROM trait; DELETE FROM kernel;"
    "DELETE FROM snapshot_link; DELETE FROM suite_member; DELETE FROM reference;"
    "DELETE FROM parent; DELETE FROM slot; DELETE FROM seed_row;"
    "DELETE FROM code_link; DELETE FROM author; DELETE FROM variant;"
    "DELETE FROM character_state; DELETE FROM family;";

/* The inserts that an entry needs, prepared once. */
struct inserts {
    struct statement variant, author, code, seed, slot, parent, reference, suite, search;
};

static struct inserts prepare_inserts(sqlite3 *database, struct error *error)
{
    return (struct inserts){
        .variant =
            statement_start(database,
                            "INSERT INTO variant (key, name, title, year, date, venue, s2, arxiv, doi, acl,"
                            " kind, family, summary, added)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                            error),
        .author =
            statement_start(database, "INSERT INTO author (variant, place, name) VALUES (?1, ?2, ?3)", error),
        .code = statement_start(database, "INSERT INTO code_link (variant, place, url) VALUES (?1, ?2, ?3)",
                                error),
        .seed = statement_start(
            database, "INSERT INTO seed_row (variant, list, part, number) VALUES (?1, ?2, ?3, ?4)", error),
        .slot =
            statement_start(database,
                            "INSERT INTO slot (variant, layer, layer_name, slot, kernel, planned, options)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            error),
        .parent = statement_start(database,
                                  "INSERT INTO parent (child, parent, place, is_primary, changed, exception)"
                                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                  error),
        .reference =
            statement_start(database,
                            "INSERT INTO reference (variant, place, set_name, slot, part, source, sections,"
                            " fidelity, options, fixed, inputs, outputs, weights)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                            error),
        .suite = statement_start(
            database, "INSERT INTO suite_member (suite, place, variant) VALUES (?1, ?2, ?3)", error),
        .search = statement_start(
            database,
            "INSERT INTO variant_search (key, name, title, authors, summary) VALUES (?1, ?2, ?3, ?4, ?5)",
            error),
    };
}

static enum status finish_inserts(struct inserts *inserts)
{
    struct statement *statements[] = {&inserts->variant,   &inserts->author, &inserts->code,
                                      &inserts->seed,      &inserts->slot,   &inserts->parent,
                                      &inserts->reference, &inserts->suite,  &inserts->search};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        enum status one = statement_finish(statements[i]);
        status = status ? status : one;
    }
    return status;
}

static void insert_row(struct statement *insert, const struct variant *variant)
{
    const char *const texts[] = {variant->key,     variant->name,  variant->title, NULL,
                                 variant->date,    variant->venue, variant->s2,    variant->arxiv,
                                 variant->doi,     variant->acl,   variant->kind,  variant->family,
                                 variant->summary, variant->added};
    for (int i = 0; i < 14; i++)
        statement_bind_text(insert, i + 1, texts[i]);
    if (variant->year)
        statement_bind_integer(insert, 4, variant->year);
    statement_run(insert);
}

/* Rows of (owner, place, text). */
static void insert_list(struct statement *insert, const char *owner, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        statement_bind_text(insert, 1, owner);
        statement_bind_integer(insert, 2, (int64_t)i);
        statement_bind_text(insert, 3, texts[i]);
        statement_run(insert);
    }
}

static void insert_seeds(struct statement *insert, const struct variant *variant)
{
    for (size_t i = 0; i < variant->seed_count; i++) {
        statement_bind_text(insert, 1, variant->key);
        statement_bind_text(insert, 2, variant->seeds[i].list);
        statement_bind_text(insert, 3, variant->seeds[i].part);
        statement_bind_integer(insert, 4, variant->seeds[i].number);
        statement_run(insert);
    }
}

static void insert_slots(struct statement *insert, const struct variant *variant)
{
    for (size_t i = 0; i < variant->layer_count; i++) {
        const struct layer *layer = &variant->layers[i];
        for (size_t j = 0; j < layer->slot_count; j++) {
            statement_bind_text(insert, 1, variant->key);
            statement_bind_integer(insert, 2, (int64_t)i);
            statement_bind_text(insert, 3, layer->name);
            statement_bind_text(insert, 4, layer->slots[j].slot);
            statement_bind_text(insert, 5, layer->slots[j].kernel);
            statement_bind_text(insert, 6, layer->slots[j].planned);
            statement_bind_text(insert, 7, layer->slots[j].options);
            statement_run(insert);
        }
    }
}

static void insert_parents(struct statement *insert, const struct variant *variant)
{
    for (size_t i = 0; i < variant->parent_count; i++) {
        statement_bind_text(insert, 1, variant->key);
        statement_bind_text(insert, 2, variant->parents[i].key);
        statement_bind_integer(insert, 3, (int64_t)i);
        statement_bind_integer(insert, 4, variant->parents[i].primary);
        statement_bind_text(insert, 5, variant->parents[i].changed);
        statement_bind_text(insert, 6, variant->parents[i].exception);
        statement_run(insert);
    }
}

static void insert_references(struct statement *insert, const struct variant *variant)
{
    for (size_t i = 0; i < variant->reference_count; i++) {
        const struct reference *reference = &variant->references[i];
        const char *const texts[] = {reference->set,     reference->slot,     reference->part,
                                     reference->source,  reference->sections, reference->fidelity,
                                     reference->options, reference->fixed,    reference->inputs,
                                     reference->outputs, reference->weights};
        statement_bind_text(insert, 1, variant->key);
        statement_bind_integer(insert, 2, (int64_t)i);
        for (int j = 0; j < 11; j++)
            statement_bind_text(insert, j + 3, texts[j]);
        statement_run(insert);
    }
}

static void insert_search(struct statement *insert, const struct variant *variant)
{
    struct text authors;
    text_init(&authors, 1 << 20);
    for (size_t i = 0; i < variant->author_count; i++)
        text_format(&authors, "%s\n", variant->authors[i]);
    const char *const texts[] = {variant->key, variant->name, variant->title, text_string(&authors),
                                 variant->summary};
    for (int i = 0; i < 5; i++)
        statement_bind_text(insert, i + 1, texts[i]);
    statement_run(insert);
    text_release(&authors);
}

static enum status store_variants(sqlite3 *database, const struct contents *contents, struct error *error)
{
    struct inserts inserts = prepare_inserts(database, error);
    for (size_t i = 0; i < contents->variant_count; i++) {
        const struct variant *variant = &contents->variants[i];
        insert_row(&inserts.variant, variant);
        insert_list(&inserts.author, variant->key, variant->authors, variant->author_count);
        insert_list(&inserts.code, variant->key, variant->code, variant->code_count);
        insert_seeds(&inserts.seed, variant);
        insert_slots(&inserts.slot, variant);
        insert_parents(&inserts.parent, variant);
        insert_references(&inserts.reference, variant);
        insert_list(&inserts.suite, variant->key, variant->suite, variant->suite_count);
        insert_search(&inserts.search, variant);
    }
    for (size_t i = 0; i < contents->suite_count; i++)
        insert_list(&inserts.suite, contents->suites[i].key, contents->suites[i].members,
                    contents->suites[i].member_count);
    return finish_inserts(&inserts);
}

static enum status store_families(sqlite3 *database, const struct contents *contents, struct error *error)
{
    struct statement insert = statement_start(
        database, "INSERT INTO family (key, name, colour, about, place) VALUES (?1, ?2, ?3, ?4, ?5)", error);
    for (size_t i = 0; i < contents->family_count; i++) {
        const struct family *family = &contents->families[i];
        statement_bind_text(&insert, 1, family->key);
        statement_bind_text(&insert, 2, family->name);
        statement_bind_text(&insert, 3, family->colour);
        statement_bind_text(&insert, 4, family->about);
        statement_bind_integer(&insert, 5, (int64_t)i);
        statement_run(&insert);
    }
    return statement_finish(&insert);
}

static enum status store_characters(sqlite3 *database, const struct contents *contents, struct error *error)
{
    struct statement insert =
        statement_start(database,
                        "INSERT INTO character_state (character, state, character_about, state_about, place)"
                        " VALUES (?1, ?2, ?3, ?4, ?5)",
                        error);
    for (size_t i = 0; i < contents->state_count; i++) {
        const struct character_state *state = &contents->states[i];
        statement_bind_text(&insert, 1, state->character);
        statement_bind_text(&insert, 2, state->state);
        statement_bind_text(&insert, 3, state->character_about);
        statement_bind_text(&insert, 4, state->state_about);
        statement_bind_integer(&insert, 5, (int64_t)i);
        statement_run(&insert);
    }
    return statement_finish(&insert);
}

static enum status store_kernels(sqlite3 *database, const struct contents *contents, struct error *error)
{
    struct statement kernel =
        statement_start(database, "INSERT INTO kernel (name, slot, origin) VALUES (?1, ?2, ?3)", error);
    for (size_t i = 0; i < contents->kernel_count; i++) {
        statement_bind_text(&kernel, 1, contents->kernels[i].name);
        statement_bind_text(&kernel, 2, contents->kernels[i].slot);
        statement_bind_text(&kernel, 3, contents->kernels[i].origin);
        statement_run(&kernel);
    }
    return statement_finish(&kernel);
}

static const struct catalog_kernel *find_kernel(const struct contents *contents, const char *name)
{
    for (size_t i = 0; name && i < contents->kernel_count; i++)
        if (strcmp(contents->kernels[i].name, name) == 0)
            return &contents->kernels[i];
    return NULL;
}

/* The traits of one slot; its key is bound already. */
static void insert_traits(struct statement *insert, const struct slot_filling *slot,
                          const struct catalog_kernel *kernel)
{
    for (size_t i = 0; i < kernel->trait_count; i++) {
        const struct kernel_trait *trait = &kernel->traits[i];
        const char *state = kernel->state ? kernel->state(kernel, slot->options, trait->character) : NULL;
        statement_bind_text(insert, 4, trait->character);
        statement_bind_text(insert, 5, state ? state : trait->state);
        statement_run(insert);
    }
}

static enum status store_traits(sqlite3 *database, const struct contents *contents, struct error *error)
{
    struct statement insert = statement_start(
        database, "INSERT INTO trait (variant, layer, slot, character, state) VALUES (?1, ?2, ?3, ?4, ?5)",
        error);
    for (size_t i = 0; i < contents->variant_count; i++) {
        const struct variant *variant = &contents->variants[i];
        statement_bind_text(&insert, 1, variant->key);
        for (size_t j = 0; j < variant->layer_count; j++) {
            const struct layer *layer = &variant->layers[j];
            statement_bind_integer(&insert, 2, (int64_t)j);
            for (size_t k = 0; k < layer->slot_count; k++) {
                const struct catalog_kernel *kernel = find_kernel(contents, layer->slots[k].kernel);
                statement_bind_text(&insert, 3, layer->slots[k].slot);
                if (kernel)
                    insert_traits(&insert, &layer->slots[k], kernel);
            }
        }
    }
    return statement_finish(&insert);
}

static enum status store_links(sqlite3 *database, const struct contents *contents, struct error *error)
{
    struct statement insert = statement_start(
        database,
        "INSERT INTO snapshot_link (citing, cited, methodology, background, result, influential,"
        " contexts, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        error);
    for (size_t i = 0; i < contents->link_count; i++) {
        const struct citation_link *link = &contents->links[i];
        statement_bind_text(&insert, 1, link->citing);
        statement_bind_text(&insert, 2, link->cited);
        statement_bind_integer(&insert, 3, (link->intents & INTENT_METHODOLOGY) != 0);
        statement_bind_integer(&insert, 4, (link->intents & INTENT_BACKGROUND) != 0);
        statement_bind_integer(&insert, 5, (link->intents & INTENT_RESULT) != 0);
        statement_bind_null(&insert, 6);
        statement_bind_null(&insert, 7);
        if (link->influential >= 0)
            statement_bind_integer(&insert, 6, link->influential);
        if (link->contexts >= 0)
            statement_bind_integer(&insert, 7, link->contexts);
        statement_bind_text(&insert, 8, link->source);
        statement_run(&insert);
    }
    return statement_finish(&insert);
}

enum status store_contents(sqlite3 *database, const struct contents *contents, struct error *error)
{
    enum status status = database_run(database, empty_tables, error);
    if (!status)
        status = store_families(database, contents, error);
    if (!status)
        status = store_characters(database, contents, error);
    if (!status)
        status = store_variants(database, contents, error);
    if (!status)
        status = store_kernels(database, contents, error);
    if (!status)
        status = store_traits(database, contents, error);
    if (!status)
        status = store_links(database, contents, error);
    return status;
}
