#include "catalog/entry.h"
#include "catalog/reader.h"
#include <string.h>

enum {
    LONGEST_SUMMARY = 400, /* characters */
    MOST_LAYERS = 64,
    MOST_OPTIONS = 64, /* of a slot */
};

static void read_ids(struct reader *reader, const struct json_at *root, struct variant *variant)
{
    struct json_at ids = json_member(root, "ids");
    if (json_absent(&ids))
        return;
    reader_only(reader, &ids, &rule_id_fields);
    variant->s2 = reader_form(reader, &ids, "s2", FORM_S2);
    variant->arxiv = reader_form(reader, &ids, "arxiv", FORM_ARXIV);
    variant->doi = reader_form(reader, &ids, "doi", FORM_DOI);
    variant->acl = reader_form(reader, &ids, "acl", FORM_ACL);
}

static void read_seeds(struct reader *reader, const struct json_at *root, struct variant *variant)
{
    int count;
    struct json_at seeds = reader_array(reader, root, "seeds", &count);
    for (int i = 0; i < count && !reader_failed(reader); i++) {
        struct json_at at = json_element(&seeds, i), number = json_member(&at, "number");
        struct seed_row seed = {0};
        reader_only(reader, &at, &rule_seed_fields);
        seed.list = reader_required(reader, &at, "list");
        seed.part = reader_required(reader, &at, "part");
        seed.number = reader_integer(reader, &at, "number", 1, 100000);
        if (!reader_failed(reader) && json_absent(&number))
            json_error(&number, reader->error, "expected a whole number, found nothing");
        variant->seeds = arena_extend(reader->arena, variant->seeds, variant->seed_count, sizeof seed);
        variant->seeds[variant->seed_count++] = seed;
    }
}

/* An option of a kernel: a plain value or a list of them. */
static void check_option(struct reader *reader, const struct json_at *at, const char *name)
{
    bool plain = cJSON_IsString(at->value) || cJSON_IsNumber(at->value) || cJSON_IsBool(at->value);
    if (cJSON_IsArray(at->value)) {
        plain = true;
        const cJSON *child;
        cJSON_ArrayForEach(child, at->value) plain &= cJSON_IsString(child) || cJSON_IsNumber(child);
    }
    if (!form_matches(FORM_OPTION, name))
        json_error(at, reader->error, "expected an option of %s, found '%s'", rule_forms[FORM_OPTION].wanted,
                   name);
    else if (!plain)
        json_error(at, reader->error,
                   "expected a string, a number, true, false or a list of strings or numbers");
}

/* All fields but the kernel's name, as one JSON object. */
static const char *read_options(struct reader *reader, const struct json_at *at)
{
    int count = cJSON_GetArraySize(at->value);
    if (!reader_failed(reader) && count > MOST_OPTIONS)
        json_error(at, reader->error, "expected at most %d fields, found %d", MOST_OPTIONS, count);
    cJSON *options = cJSON_CreateObject();
    const cJSON *child;
    cJSON_ArrayForEach(child, at->value)
    {
        if (reader_failed(reader))
            break;
        if (strcmp(child->string, "kernel") == 0 || strcmp(child->string, "planned") == 0)
            continue;
        struct json_at option = json_member(at, child->string);
        check_option(reader, &option, child->string);
        cJSON_AddItemToObject(options, child->string, cJSON_Duplicate(child, true));
    }
    const char *text = reader_print(reader, options);
    cJSON_Delete(options);
    return text;
}

static struct slot_filling read_filling(struct reader *reader, const struct json_at *layer, const char *slot)
{
    struct json_at at = json_member(layer, slot), kernel = json_member(&at, "kernel"),
                   planned = json_member(&at, "planned");
    struct slot_filling filling = {.slot = arena_copy_string(reader->arena, slot)};
    if (reader_failed(reader) || json_object(&at, reader->error))
        return filling;
    filling.kernel = reader_form(reader, &at, "kernel", FORM_KEY);
    filling.planned = reader_form(reader, &at, "planned", FORM_KEY);
    if (reader_failed(reader))
        return filling;
    if (!filling.kernel && !filling.planned)
        json_error(kernel.value ? &planned : &kernel, reader->error, "expected %s",
                   kernel.value ? "the name of the planned kernel, for 'kernel' is null"
                                : "a kernel, found nothing");
    else if (filling.kernel && filling.planned)
        json_error(&planned, reader->error, "expected nothing beside kernel '%s', found '%s'", filling.kernel,
                   filling.planned);
    filling.options = read_options(reader, &at);
    return filling;
}

/* A layer's slots; `skip` is the field that is none. */
static struct layer read_layer(struct reader *reader, const struct json_at *at, const char *skip)
{
    const char *fields[16];
    size_t field_count = 0;
    for (size_t i = 0; i < rule_slots.count; i++)
        fields[field_count++] = rule_slots.names[i];
    fields[field_count++] = skip;
    struct words words = {fields, field_count};
    reader_only(reader, at, &words);

    struct layer layer = {NULL};
    const cJSON *child;
    cJSON_ArrayForEach(child, at->value)
    {
        if (reader_failed(reader) || strcmp(child->string, skip) == 0)
            continue;
        layer.slots = arena_extend(reader->arena, layer.slots, layer.slot_count, sizeof *layer.slots);
        layer.slots[layer.slot_count++] = read_filling(reader, at, child->string);
    }
    if (!reader_failed(reader) && layer.slot_count == 0)
        json_error(at, reader->error, "expected at least one slot");
    return layer;
}

static void append_layer(struct reader *reader, struct variant *variant, struct layer layer)
{
    variant->layers = arena_extend(reader->arena, variant->layers, variant->layer_count, sizeof layer);
    variant->layers[variant->layer_count++] = layer;
}

static void read_pattern(struct reader *reader, const struct json_at *composition, struct variant *variant)
{
    static const char *const fields[] = {"pattern"};
    reader_only(reader, composition, &(struct words){fields, 1});
    int count;
    struct json_at pattern = reader_array(reader, composition, "pattern", &count);
    if (!reader_failed(reader) && (count < 1 || count > MOST_LAYERS))
        json_error(&pattern, reader->error, "expected 1 to %d layers, found %d", MOST_LAYERS, count);
    for (int i = 0; i < count && !reader_failed(reader); i++) {
        struct json_at at = json_element(&pattern, i);
        struct layer layer = read_layer(reader, &at, "name");
        layer.name = reader_required_form(reader, &at, "name", FORM_KEY);
        append_layer(reader, variant, layer);
    }
}

static void read_composition(struct reader *reader, const struct json_at *root, struct variant *variant)
{
    struct json_at composition = json_member(root, "composition");
    if (reader_failed(reader) || json_absent(&composition) || json_object(&composition, reader->error))
        return;
    struct json_at pattern = json_member(&composition, "pattern");
    if (pattern.value)
        read_pattern(reader, &composition, variant);
    else
        append_layer(reader, variant, read_layer(reader, &composition, "pattern"));
}

static void read_parents(struct reader *reader, const struct json_at *root, struct variant *variant)
{
    int count, primaries = 0;
    struct json_at parents = reader_array(reader, root, "parents", &count);
    for (int i = 0; i < count && !reader_failed(reader); i++) {
        struct json_at at = json_element(&parents, i), key = json_member(&at, "key");
        struct parent parent = {NULL};
        reader_only(reader, &at, &rule_parent_fields);
        parent.key = reader_required_form(reader, &at, "key", FORM_KEY);
        parent.primary = reader_flag(reader, &at, "primary");
        parent.changed = reader_string(reader, &at, "changed");
        parent.exception = reader_string(reader, &at, "exception");
        for (size_t j = 0; parent.key && j < variant->parent_count; j++)
            if (strcmp(variant->parents[j].key, parent.key) == 0)
                json_error(&key, reader->error, "'%s' is listed twice", parent.key);
        if (parent.key && strcmp(parent.key, variant->key) == 0)
            json_error(&key, reader->error, "a variant cannot be its own parent");
        primaries += parent.primary;
        variant->parents =
            arena_extend(reader->arena, variant->parents, variant->parent_count, sizeof parent);
        variant->parents[variant->parent_count++] = parent;
    }
    if (!reader_failed(reader) && count > 0 && primaries != 1)
        json_error(&parents, reader->error, "expected one primary parent, found %d", primaries);
}

static void check_reference(struct reader *reader, const struct json_at *at, const struct variant *variant,
                            const struct reference *reference)
{
    struct json_at slot = json_member(at, "slot"), part = json_member(at, "part");
    if (reader_failed(reader))
        return;
    if (reference->slot && strcmp(reference->slot, "block") != 0 && !word_known(&rule_slots, reference->slot))
        json_error(&slot, reader->error, "expected a slot or 'block', found '%s'", reference->slot);
    else if (reference->set && !reference->slot)
        json_error(&slot, reader->error, "expected the slot that the set computes, or 'block'");
    if (reader_failed(reader) || !reference->part)
        return;
    for (size_t i = 0; i < variant->layer_count; i++)
        if (variant->layers[i].name && strcmp(variant->layers[i].name, reference->part) == 0)
            return;
    json_error(&part, reader->error, "the composition has no layer '%s'", reference->part);
}

static void read_references(struct reader *reader, const struct json_at *root, struct variant *variant)
{
    int count;
    struct json_at references = reader_array(reader, root, "references", &count);
    for (int i = 0; i < count && !reader_failed(reader); i++) {
        struct json_at at = json_element(&references, i);
        reader_only(reader, &at, &rule_reference_fields);
        struct reference reference = {NULL};
        reference.set = reader_string(reader, &at, "set");
        reference.slot = reader_string(reader, &at, "slot");
        reference.part = reader_string(reader, &at, "part");
        reference.source = reader_required(reader, &at, "source");
        reference.sections = reader_string(reader, &at, "sections");
        reference.fidelity = reader_word(reader, &at, "fidelity", &rule_fidelities);
        reference.options = reader_json(reader, &at, "options");
        reference.fixed = reader_json(reader, &at, "fixed");
        reference.inputs = reader_json(reader, &at, "inputs");
        reference.outputs = reader_json(reader, &at, "outputs");
        reference.weights = reader_json(reader, &at, "weights");
        check_reference(reader, &at, variant, &reference);
        variant->references =
            arena_extend(reader->arena, variant->references, variant->reference_count, sizeof reference);
        variant->references[variant->reference_count++] = reference;
    }
}

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* Rules that bind fields to each other. */
static void check_whole(struct reader *reader, const struct json_at *root, const struct variant *variant)
{
    struct json_at added = json_member(root, "added"), suite = json_member(root, "suite"),
                   summary = json_member(root, "summary"), key = json_member(root, "key");
    if (reader_failed(reader))
        return;
    const char *slash = strrchr(root->file, '/'), *stem = slash ? slash + 1 : root->file;
    size_t length = strlen(variant->key);
    if (strncmp(stem, variant->key, length) != 0 || strcmp(stem + length, ".json") != 0)
        json_error(&key, reader->error, "expected the name of the file, found '%s'", variant->key);
    else if (variant->added && variant->seed_count)
        json_error(&added, reader->error, "expected nothing in an entry with seed rows, found '%s'",
                   variant->added);
    else if (!variant->added && !variant->seed_count)
        json_error(&added, reader->error, "expected 'relative' or 'ancestor' in an entry without seed rows");
    else if (variant->suite_count && (!variant->kind || strcmp(variant->kind, "study") != 0))
        json_error(&suite, reader->error, "expected a suite only in an entry of kind 'study'");
    else if (variant->summary && characters(variant->summary) > LONGEST_SUMMARY)
        json_error(&summary, reader->error, "expected at most %d characters, found %zu", LONGEST_SUMMARY,
                   characters(variant->summary));
}

static void read_variant(struct reader *reader, const struct json_at *root, struct variant *variant)
{
    reader_only(reader, root, &rule_variant_fields);
    variant->key = reader_required_form(reader, root, "key", FORM_KEY);
    variant->name = reader_string(reader, root, "name");
    variant->title = reader_string(reader, root, "title");
    variant->authors = reader_strings(reader, root, "authors", FORM_COUNT, &variant->author_count);
    variant->year = reader_integer(reader, root, "year", 1900, 2100);
    variant->date = reader_form(reader, root, "date", FORM_DATE);
    variant->venue = reader_string(reader, root, "venue");
    read_ids(reader, root, variant);
    variant->code = reader_strings(reader, root, "code", FORM_URL, &variant->code_count);
    read_seeds(reader, root, variant);
    variant->added = reader_word(reader, root, "added", &rule_added);
    variant->kind = reader_word(reader, root, "kind", &rule_kinds);
    variant->family = reader_form(reader, root, "family", FORM_KEY);
    variant->summary = reader_string(reader, root, "summary");
    read_composition(reader, root, variant);
    variant->suite = reader_strings(reader, root, "suite", FORM_KEY, &variant->suite_count);
    read_parents(reader, root, variant);
    read_references(reader, root, variant);
    check_whole(reader, root, variant);
}

enum status entry_parse(const char *file, const char *data, size_t length, struct arena *arena,
                        struct variant *variant, struct error *error)
{
    cJSON *document = NULL;
    enum status status = json_parse(file, data, length, &document, error);
    if (status)
        return status;
    struct json_at root = json_root(document, file);
    struct reader reader = {arena, error};
    error->status = STATUS_OK;
    *variant = (struct variant){NULL};
    read_variant(&reader, &root, variant);
    cJSON_Delete(document);
    return error->status;
}
