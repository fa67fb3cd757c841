#include "catalog/documents.h"
#include "base/fields.h"
#include <string.h>

static void set_seeds(cJSON *object, const struct seed_row *seeds, size_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, "seeds");
    for (size_t i = 0; i < count; i++) {
        cJSON *seed = cJSON_CreateObject();
        json_set_text(seed, "list", seeds[i].list);
        json_set_text(seed, "part", seeds[i].part);
        json_set_number(seed, "number", seeds[i].number);
        cJSON_AddItemToArray(array, seed);
    }
}

cJSON *variant_rows_json(const struct variant_row *rows, size_t count)
{
    cJSON *document = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        const struct variant_row *row = &rows[i];
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "key", row->key);
        json_set_text(object, "name", row->name);
        json_set_text(object, "title", row->title);
        json_set_year(object, row->year);
        json_set_text(object, "date", row->date);
        json_set_text(object, "family", row->family);
        json_set_text(object, "kind", row->kind);
        json_set_flag(object, "runnable", row->runnable);
        json_set_text(object, "missing", row->missing);
        json_set_texts(object, "authors", row->authors, row->author_count);
        json_set_text(object, "summary", row->summary);
        set_seeds(object, row->seeds, row->seed_count);
        cJSON_AddItemToArray(document, object);
    }
    return document;
}

/* ---- one variant ---- */

static void add_link(struct variant_details *details, const char *site, const char *id, struct arena *arena)
{
    if (id)
        details->links[details->link_count++] = arena_format(arena, "https://%s/%s", site, id);
}

enum status variant_details_read(struct catalog *catalog, const char *key, struct arena *arena,
                                 struct variant_details *details, struct error *error)
{
    struct trait_row *traits;
    size_t count;
    *details = (struct variant_details){.trait_count = 0};
    const struct variant *variant = &details->card.variant;
    enum status status = catalog_card(catalog, key, arena, &details->card, error);
    if (!status)
        status = catalog_traits(catalog, arena, &traits, &count, error);
    if (status)
        return status;
    for (size_t i = 0; i < count; i++) /* sorted by variant */
        if (strcmp(traits[i].variant, variant->key) == 0) {
            if (!details->trait_count)
                details->traits = &traits[i];
            details->trait_count++;
        }
    add_link(details, "arxiv.org/abs", variant->arxiv, arena);
    add_link(details, "doi.org", variant->doi, arena);
    add_link(details, "aclanthology.org", variant->acl, arena);
    add_link(details, "www.semanticscholar.org/paper", variant->s2, arena);
    return STATUS_OK;
}

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

static cJSON *traits_json(const struct variant_details *details)
{
    cJSON *traits = cJSON_CreateArray();
    for (size_t i = 0; i < details->trait_count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_number(object, "layer", details->traits[i].layer);
        json_set_text(object, "slot", details->traits[i].slot);
        json_set_text(object, "kernel", details->traits[i].kernel);
        json_set_text(object, "character", details->traits[i].character);
        json_set_text(object, "state", details->traits[i].state);
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

cJSON *variant_details_json(const struct variant_details *details)
{
    const struct variant_card *card = &details->card;
    const struct variant *variant = &card->variant;
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
    json_set_texts(document, "links", details->links, details->link_count);
    json_set_texts(document, "code", variant->code, variant->code_count);
    set_seeds(document, variant->seeds, variant->seed_count);
    json_set_text(document, "kind", variant->kind);
    json_set_text(document, "family", variant->family);
    json_set_text(document, "summary", variant->summary);
    json_set_text(document, "added", variant->added);
    json_set_flag(document, "runnable", card->runnable);
    json_set_text(document, "missing", card->missing);
    cJSON *composition = variant_composition(variant);
    cJSON_AddItemToObject(document, "composition", composition ? composition : cJSON_CreateNull());
    cJSON_AddItemToObject(document, "characters", traits_json(details));
    cJSON_AddItemToObject(document, "parents", relatives_json(card, true));
    cJSON_AddItemToObject(document, "children", relatives_json(card, false));
    cJSON_AddItemToObject(document, "references", references_json(variant));
    json_set_texts(document, "suite", variant->suite, variant->suite_count);
    json_set_number(document, "cites", card->cites);
    json_set_number(document, "cited_by", card->cited_by);
    return document;
}

/* ---- vocabularies ---- */

cJSON *families_json(const struct family *families, size_t count)
{
    cJSON *document = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "key", families[i].key);
        json_set_text(object, "name", families[i].name);
        json_set_text(object, "colour", families[i].colour);
        json_set_text(object, "about", families[i].about);
        cJSON_AddItemToArray(document, object);
    }
    return document;
}

cJSON *characters_json(const struct character_state *states, size_t count)
{
    cJSON *document = cJSON_CreateArray(), *of_character = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(states[i].character, states[i - 1].character) != 0) {
            cJSON *character = cJSON_CreateObject();
            json_set_text(character, "name", states[i].character);
            json_set_text(character, "about", states[i].character_about);
            of_character = cJSON_AddArrayToObject(character, "states");
            cJSON_AddItemToArray(document, character);
        }
        cJSON *state = cJSON_CreateObject();
        json_set_text(state, "name", states[i].state);
        json_set_text(state, "about", states[i].state_about);
        cJSON_AddItemToArray(of_character, state);
    }
    return document;
}
