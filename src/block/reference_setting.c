/* Settings of a reference's map. */
#include "block/reference_setting.h"
#include "block/registry.h"
#include <stdio.h>
#include <string.h>

bool mapping_of_whole(const struct reference_entry *entry)
{
    return strcmp(entry->slot, "block") == 0 || strcmp(entry->slot, "residual") == 0;
}

enum status mapping_copy_layers(struct mapping *mapping)
{
    const cJSON *composition = mapping->entry->composition, *layer;
    const char *part = mapping->entry->part;
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(composition, "pattern");
    mapping->layers = cJSON_CreateArray();
    if (!pattern)
        cJSON_AddItemToArray(mapping->layers,
                             composition ? cJSON_Duplicate(composition, true) : cJSON_CreateObject());
    cJSON_ArrayForEach(layer, pattern)
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(layer, "name");
        if (!part || (cJSON_IsString(name) && strcmp(name->valuestring, part) == 0))
            cJSON_AddItemToArray(mapping->layers, cJSON_Duplicate(layer, true));
    }
    if (cJSON_GetArraySize(mapping->layers) == 0)
        return error_set(mapping->error, STATUS_USAGE, "the composition has no layer '%s'", part ? part : "");
    while (!mapping_of_whole(mapping->entry) && cJSON_GetArraySize(mapping->layers) > 1)
        cJSON_DeleteItemFromArray(mapping->layers, 1);
    return STATUS_OK;
}

enum status mapping_keep_one_slot(struct mapping *mapping)
{
    enum slot kept;
    if (slot_parse(mapping->entry->slot, &kept, mapping->error))
        return mapping->error->status;
    bool position = kept != SLOT_FFN && kept != SLOT_NORM;
    if (kept == SLOT_POSITION)
        kept = SLOT_MIXER;
    cJSON *layer = cJSON_GetArrayItem(mapping->layers, 0);
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        if (slot != (int)kept && !(slot == SLOT_POSITION && position))
            cJSON_DeleteItemFromObjectCaseSensitive(layer, slot_names[slot]);
    return STATUS_OK;
}

/* The slot that "position" or "attention.position" names, with the length of the layer's name; SLOT_COUNT if
 * the name is an option's. */
static enum slot named_slot(const char *name, size_t *layer_length)
{
    const char *dot = strrchr(name, '.');
    *layer_length = dot ? (size_t)(dot - name) : 0;
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        if (strcmp(dot ? dot + 1 : name, slot_names[slot]) == 0)
            return (enum slot)slot;
    return SLOT_COUNT;
}

static bool layer_is(const cJSON *layer, const char *name, size_t length)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(layer, "name");
    return length == 0 || (cJSON_IsString(own) && strlen(own->valuestring) == length &&
                           memcmp(own->valuestring, name, length) == 0);
}

static void fill_slot(struct mapping *mapping, enum slot slot, const char *name, size_t layer_length,
                      const cJSON *filling)
{
    cJSON *layer;
    mapping->emptied[slot] = cJSON_IsNull(filling);
    cJSON_ArrayForEach(layer, mapping->layers)
    {
        if (!layer_is(layer, name, layer_length))
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(layer, slot_names[slot]);
        if (!cJSON_IsNull(filling))
            cJSON_AddItemToObject(layer, slot_names[slot], cJSON_Duplicate(filling, true));
    }
}

/* ---- Options ---- */

static enum status set_layers(struct mapping *mapping, const cJSON *value)
{
    if (!cJSON_IsNumber(value) || value->valuedouble < 1 || value->valuedouble > 1000)
        return error_set(mapping->error, STATUS_USAGE, "expected a number of layers");
    mapping->depth = (int)value->valuedouble;
    return STATUS_OK;
}

void mapping_repeat_pattern(struct mapping *mapping)
{
    int pattern = mapping->composition->count;
    if (mapping->depth % pattern)
        composition_repeat(mapping->composition, mapping->depth);
    else if (mapping->depth)
        mapping->options->repeats = mapping->depth / pattern;
}

static enum status set_width(struct mapping *mapping, const cJSON *value)
{
    if (!cJSON_IsNumber(value) || value->valuedouble < 1 || value->valuedouble > 1e9)
        return error_set(mapping->error, STATUS_USAGE, "expected a width");
    mapping->options->width = (int64_t)value->valuedouble;
    return STATUS_OK;
}

/* Whether the option's name begins with that of a layer which the composition has but this case's pattern has
 * not. */
static bool in_omitted_layer(const struct mapping *mapping, const char *name)
{
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(mapping->entry->composition, "pattern");
    size_t length = strcspn(name, ".");
    bool known = false;
    for (const cJSON *layer = pattern ? pattern->child : NULL; layer; layer = layer->next)
        known |= name[length] == '.' && layer_is(layer, name, length);
    for (const cJSON *layer = mapping->layers->child; layer; layer = layer->next)
        known &= !layer_is(layer, name, length);
    return known;
}

/* Whether the option's name says a slot that this case leaves empty. */
static bool in_emptied_slot(const struct mapping *mapping, const char *name)
{
    const char *dot = strrchr(name, '.');
    char slot_name[64];
    size_t ignored;
    if (!dot)
        return false;
    snprintf(slot_name, sizeof slot_name, "%.*s", (int)(dot - name), name);
    enum slot slot = named_slot(slot_name, &ignored);
    return slot != SLOT_COUNT && mapping->emptied[slot];
}

enum status mapping_set_option(struct mapping *mapping, const char *name, const cJSON *value)
{
    if (strcmp(name, "width") == 0)
        return set_width(mapping, value);
    if (strcmp(name, "layers") == 0)
        return set_layers(mapping, value);
    if (in_emptied_slot(mapping, name) || in_omitted_layer(mapping, name))
        return STATUS_OK;
    return composition_set_json(mapping->composition, name, value, mapping->error);
}

/* The composition's layers of these names, in this order. */
static enum status arrange_layers(struct mapping *mapping, const cJSON *names)
{
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(mapping->entry->composition, "pattern");
    cJSON *arranged = cJSON_CreateArray();
    for (const cJSON *name = names->child; name; name = name->next)
        for (const cJSON *layer = pattern ? pattern->child : NULL; layer; layer = layer->next)
            if (cJSON_IsString(name) && layer_is(layer, name->valuestring, strlen(name->valuestring)))
                cJSON_AddItemToArray(arranged, cJSON_Duplicate(layer, true));
    bool complete =
        cJSON_GetArraySize(arranged) > 0 && cJSON_GetArraySize(arranged) == cJSON_GetArraySize(names);
    cJSON_Delete(complete ? mapping->layers : arranged);
    if (!complete)
        return error_set(mapping->error, STATUS_USAGE,
                         "the pattern names layers that the composition has not");
    mapping->layers = arranged;
    return STATUS_OK;
}

/* One member of a set of settings; which kinds act depends on whether slots or options are being set. */
static enum status apply_setting(struct mapping *mapping, const cJSON *setting)
{
    size_t layer_length;
    enum slot slot = named_slot(setting->string, &layer_length);
    bool is_slot = slot != SLOT_COUNT && (cJSON_IsObject(setting) || cJSON_IsNull(setting));
    if (is_slot && !mapping->composition)
        fill_slot(mapping, slot, setting->string, layer_length, setting);
    bool is_pattern = strcmp(setting->string, "pattern") == 0;
    if (is_pattern && !mapping->composition)
        return arrange_layers(mapping, setting);
    if (is_slot || is_pattern || !mapping->composition)
        return STATUS_OK;
    return mapping_set_option(mapping, setting->string, setting);
}

enum status mapping_apply_settings(struct mapping *mapping, const cJSON *settings)
{
    enum status status = STATUS_OK;
    for (const cJSON *setting = settings ? settings->child : NULL; setting && !status;
         setting = setting->next)
        status = apply_setting(mapping, setting);
    return status;
}

enum status mapping_parse_layers(struct mapping *mapping)
{
    cJSON *composition;
    if (cJSON_GetArraySize(mapping->layers) == 1) {
        composition = cJSON_Duplicate(cJSON_GetArrayItem(mapping->layers, 0), true);
        cJSON_DeleteItemFromObjectCaseSensitive(composition, "name");
    } else {
        composition = cJSON_CreateObject();
        cJSON_AddItemToObject(composition, "pattern", cJSON_Duplicate(mapping->layers, true));
    }
    struct json_at root = json_root(composition, "composition");
    enum status status = composition_parse(&root, mapping->composition, mapping->error);
    cJSON_Delete(composition);
    return status;
}
