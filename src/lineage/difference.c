#include "lineage/difference.h"
#include "base/json.h"
#include <string.h>

static bool equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *filling_name(const struct slot_filling *filling)
{
    return filling->kernel ? filling->kernel : filling->planned;
}

static const struct slot_filling *find_slot(const struct layer *layer, const char *slot)
{
    for (size_t i = 0; layer && i < layer->slot_count; i++)
        if (strcmp(layer->slots[i].slot, slot) == 0)
            return &layer->slots[i];
    return NULL;
}

/* ---- options ---- */

static enum status parse_options(const struct slot_filling *filling, cJSON **options, struct error *error)
{
    return json_parse(filling->slot, filling->options, strlen(filling->options), options, error);
}

static const char *value_text(const cJSON *value, struct arena *arena)
{
    struct text text;
    struct error ignored = ERROR_INIT;
    if (!value)
        return NULL;
    text_init(&text, 1 << 16);
    json_print_line(value, &text, &ignored);
    const char *copy = arena_copy_string(arena, text_string(&text));
    text_release(&text);
    return copy;
}

static void add_option(struct slot_difference *row, const char *name, const cJSON *a, const cJSON *b,
                       struct arena *arena)
{
    struct option_difference option = {arena_copy_string(arena, name), value_text(a, arena),
                                       value_text(b, arena)};
    if (equal(option.a, option.b))
        return;
    row->options = arena_extend(arena, row->options, row->option_count, sizeof option);
    row->options[row->option_count++] = option;
}

static enum status compare_options(struct slot_difference *row, struct arena *arena, struct error *error)
{
    cJSON *a = NULL, *b = NULL;
    const cJSON *option;
    enum status status = parse_options(row->a, &a, error);
    if (!status)
        status = parse_options(row->b, &b, error);
    if (!status) {
        cJSON_ArrayForEach(option, a)
        {
            add_option(row, option->string, option, cJSON_GetObjectItemCaseSensitive(b, option->string),
                       arena);
        }
        cJSON_ArrayForEach(option, b)
        {
            if (!cJSON_GetObjectItemCaseSensitive(a, option->string))
                add_option(row, option->string, NULL, option, arena);
        }
    }
    cJSON_Delete(a);
    cJSON_Delete(b);
    return status;
}

/* ---- layers ---- */

static enum status compare_slot(const struct layer *a, const struct layer *b, const char *slot,
                                struct arena *arena, struct difference *difference, struct error *error)
{
    struct slot_difference row = {
        .layer_a = a ? a->name : NULL,
        .layer_b = b ? b->name : NULL,
        .slot = slot,
        .a = find_slot(a, slot),
        .b = find_slot(b, slot),
    };
    bool same_kernel = row.a && row.b && equal(filling_name(row.a), filling_name(row.b));
    enum status status = same_kernel ? compare_options(&row, arena, error) : STATUS_OK;
    row.same = same_kernel && row.option_count == 0;
    difference->slots = arena_extend(arena, difference->slots, difference->slot_count, sizeof row);
    difference->slots[difference->slot_count++] = row;
    return status;
}

/* Either may be NULL. */
static enum status compare_layers(const struct layer *a, const struct layer *b, struct arena *arena,
                                  struct difference *difference, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; a && i < a->slot_count && !status; i++)
        status = compare_slot(a, b, a->slots[i].slot, arena, difference, error);
    for (size_t i = 0; b && i < b->slot_count && !status; i++)
        if (!find_slot(a, b->slots[i].slot))
            status = compare_slot(a, b, b->slots[i].slot, arena, difference, error);
    return status;
}

static size_t likeness(const struct layer *a, const struct layer *b)
{
    size_t shared = a->name && equal(a->name, b->name) ? 1000 : 0;
    for (size_t i = 0; i < a->slot_count; i++) {
        const struct slot_filling *other = find_slot(b, a->slots[i].slot);
        shared += other && equal(filling_name(&a->slots[i]), filling_name(other));
    }
    return shared;
}

static enum status compare_compositions(const struct variant *a, const struct variant *b, struct arena *arena,
                                        struct difference *difference, struct error *error)
{
    bool *paired = arena_allocate(arena, b->layer_count + 1);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < a->layer_count && !status; i++) {
        const struct layer *best = NULL;
        for (size_t j = 0; j < b->layer_count; j++)
            if (!paired[j] &&
                (!best || likeness(&a->layers[i], &b->layers[j]) > likeness(&a->layers[i], best)))
                best = &b->layers[j];
        if (best)
            paired[best - b->layers] = true;
        status = compare_layers(&a->layers[i], best, arena, difference, error);
    }
    for (size_t j = 0; j < b->layer_count && !status; j++)
        if (!paired[j])
            status = compare_layers(NULL, &b->layers[j], arena, difference, error);
    return status;
}

/* ---- characters ---- */

/* The states of a character over all slots of a variant, each once. */
static const char *states_of(const struct trait_row *traits, size_t count, const char *variant,
                             const char *character, struct arena *arena)
{
    const char *states = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(traits[i].variant, variant) != 0 || strcmp(traits[i].character, character) != 0)
            continue;
        bool again = false;
        for (size_t j = 0; j < i && !again; j++)
            again = strcmp(traits[j].variant, variant) == 0 && strcmp(traits[j].character, character) == 0 &&
                    strcmp(traits[j].state, traits[i].state) == 0;
        if (!again)
            states = states ? arena_format(arena, "%s, %s", states, traits[i].state) : traits[i].state;
    }
    return states;
}

static enum status compare_characters(struct catalog *catalog, const struct variant *a,
                                      const struct variant *b, struct arena *arena,
                                      struct difference *difference, struct error *error)
{
    struct trait_row *traits;
    struct character_state *states;
    size_t trait_count, state_count;
    enum status status = catalog_traits(catalog, arena, &traits, &trait_count, error);
    if (!status)
        status = catalog_characters(catalog, arena, &states, &state_count, error);
    for (size_t i = 0; !status && i < state_count; i++) {
        if (i > 0 && strcmp(states[i].character, states[i - 1].character) == 0)
            continue;
        struct character_difference row = {
            .character = states[i].character,
            .a = states_of(traits, trait_count, a->key, states[i].character, arena),
            .b = states_of(traits, trait_count, b->key, states[i].character, arena),
        };
        row.same = equal(row.a, row.b);
        if (!row.a && !row.b)
            continue;
        difference->characters =
            arena_extend(arena, difference->characters, difference->character_count, sizeof row);
        difference->characters[difference->character_count++] = row;
    }
    return status;
}

enum status difference_of(struct catalog *catalog, const struct variant *a, const struct variant *b,
                          struct arena *arena, struct difference *difference, struct error *error)
{
    *difference = (struct difference){0};
    enum status status = compare_compositions(a, b, arena, difference, error);
    return status ? status : compare_characters(catalog, a, b, arena, difference, error);
}
