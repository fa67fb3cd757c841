#include "block/reference_map.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "base/text.h"
#include "block/registry.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The map applied to one config. Slots are filled and emptied in the JSON of the layers before that is
 * parsed, options are set after, so that the order of the arguments does not matter. */
struct mapping {
    const struct reference_entry *entry;
    const struct json_at *config;
    cJSON *layers; /* an array of the layers that run: objects by slot */
    bool emptied[SLOT_COUNT];
    int depth;                       /* layers wanted; 0: the pattern once */
    struct composition *composition; /* NULL while slots are being filled */
    struct block_options *options;
    struct error *error;
};

/* ---- Layers and slots ---- */

static bool computes_whole(const struct reference_entry *entry)
{
    return strcmp(entry->slot, "block") == 0 || strcmp(entry->slot, "residual") == 0;
}

/* A copy of the composition's layers, or of the one that `part` names. */
static enum status copy_layers(struct mapping *mapping)
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
    while (!computes_whole(mapping->entry) && cJSON_GetArraySize(mapping->layers) > 1)
        cJSON_DeleteItemFromArray(mapping->layers, 1);
    return STATUS_OK;
}

/* For a kernel alone: removes all slots but its own and, where it may use one, the position. */
static enum status keep_one_slot(struct mapping *mapping)
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

/* Repeats the pattern to the depth wanted, when every option of its layers has been set; the last time it may be cut. */
static void repeat_pattern(struct mapping *mapping)
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

/* Whether the option's name begins with that of a layer which the composition has but this case's pattern has not. */
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

static enum status set_option(struct mapping *mapping, const char *name, const cJSON *value)
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
    return set_option(mapping, setting->string, setting);
}

static enum status apply_settings(struct mapping *mapping, const cJSON *settings)
{
    enum status status = STATUS_OK;
    for (const cJSON *setting = settings ? settings->child : NULL; setting && !status;
         setting = setting->next)
        status = apply_setting(mapping, setting);
    return status;
}

/* ---- Arguments ---- */

/* A config's value as a key of "values": a string as it is, anything else as JSON. */
static char *value_text(const cJSON *value)
{
    return cJSON_IsString(value) ? memory_copy_string(value->valuestring) : cJSON_PrintUnformatted(value);
}

static enum status find_translation(struct mapping *mapping, const cJSON *target, const cJSON *value,
                                    const cJSON **found)
{
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(target, "values");
    char *text = value_text(value);
    enum status status = STATUS_OK;
    *found = cJSON_GetObjectItemCaseSensitive(values, text);
    if (!*found && !cJSON_IsNull(value))
        *found = cJSON_GetObjectItemCaseSensitive(values, "*");
    if (!*found && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(target, "others")))
        *found = value;
    if (!*found && !cJSON_IsNull(value)) {
        size_t count = (size_t)cJSON_GetArraySize(values), i = 0;
        const char **names = memory_allocate((count + 1) * sizeof *names);
        for (const cJSON *member = values->child; member; member = member->next)
            names[i++] = member->string;
        status = suggest_error(mapping->error, "value", text, names, count);
        free(names);
    }
    free(text);
    return status;
}

static bool is_given(const struct json_at *config, const char *argument)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(config->value, argument);
    return value && !cJSON_IsNull(value) && !cJSON_IsFalse(value) &&
           !(cJSON_IsNumber(value) && value->valuedouble == 0);
}

static enum status set_each(struct mapping *mapping, const cJSON *target, const cJSON *value)
{
    if (cJSON_IsString(target))
        return set_option(mapping, target->valuestring, value);
    enum status status = STATUS_OK;
    const cJSON *name;
    cJSON_ArrayForEach(name, target)
    {
        if (!cJSON_IsString(name))
            return error_set(mapping->error, STATUS_USAGE,
                             "expected names of options in the reference's map");
        if (!status)
            status = set_option(mapping, name->valuestring, value);
    }
    return status;
}

/* A number times one of the map, plus another, rounded down; or scaled by one as it is. */
static enum status set_scaled(struct mapping *mapping, const cJSON *target, const cJSON *value)
{
    const cJSON *times = cJSON_GetObjectItemCaseSensitive(target, "times");
    const cJSON *plus = cJSON_GetObjectItemCaseSensitive(target, "plus");
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(target, "scale");
    const cJSON *option = cJSON_GetObjectItemCaseSensitive(target, "option");
    if (!cJSON_IsNumber(value) || (scale && !cJSON_IsNumber(scale)) || (times && !cJSON_IsNumber(times)) ||
        (plus && !cJSON_IsNumber(plus)))
        return error_set(mapping->error, STATUS_USAGE, "expected a number to translate");
    double scaled =
        floor(value->valuedouble * (times ? times->valuedouble : 1) + (plus ? plus->valuedouble : 0));
    if (scale)
        scaled = value->valuedouble * scale->valuedouble;
    cJSON *number = cJSON_CreateNumber(scaled);
    enum status status = set_each(mapping, option, number);
    cJSON_Delete(number);
    return status;
}

/* The entries of a list, each to an option of its own; null keeps that option's default. */
static enum status set_spread(struct mapping *mapping, const cJSON *options, const cJSON *value)
{
    int count = cJSON_GetArraySize(options);
    enum status status = STATUS_OK;
    if (!cJSON_IsArray(options) || !cJSON_IsArray(value) || cJSON_GetArraySize(value) != count)
        return error_set(mapping->error, STATUS_USAGE, "expected a list of %d values", count);
    for (int i = 0; i < count && !status; i++) {
        const cJSON *entry = cJSON_GetArrayItem(value, i);
        if (!cJSON_IsNull(entry))
            status = set_each(mapping, cJSON_GetArrayItem(options, i), entry);
    }
    return status;
}

static void append_flat(cJSON *flat, const cJSON *value)
{
    if (!cJSON_IsArray(value))
        cJSON_AddItemToArray(flat, cJSON_Duplicate(value, true));
    for (const cJSON *entry = cJSON_IsArray(value) ? value->child : NULL; entry; entry = entry->next)
        append_flat(flat, entry);
}

/* A list in lists, or a single value, as one list. */
static enum status set_flat(struct mapping *mapping, const cJSON *target, const cJSON *value)
{
    cJSON *flat = cJSON_CreateArray();
    append_flat(flat, value);
    enum status status = set_each(mapping, cJSON_GetObjectItemCaseSensitive(target, "option"), flat);
    cJSON_Delete(flat);
    return status;
}

/* The settings of each word that a string holds. */
static enum status apply_words(struct mapping *mapping, const cJSON *words, const cJSON *value)
{
    enum status status = STATUS_OK;
    if (!cJSON_IsString(value))
        return error_set(mapping->error, STATUS_USAGE, "expected a string");
    for (const cJSON *word = words->child; word && !status; word = word->next)
        if (strstr(value->valuestring, word->string))
            status = apply_settings(mapping, word);
    return status;
}

static enum status translate(struct mapping *mapping, const cJSON *target, const cJSON *value)
{
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(target, "options");
    const cJSON *option = cJSON_GetObjectItemCaseSensitive(target, "option");
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(target, "values");
    const cJSON *when = cJSON_GetObjectItemCaseSensitive(target, "when");
    if (cJSON_IsString(when) && !is_given(mapping->config, when->valuestring))
        return STATUS_OK;
    if (!cJSON_IsNull(value) && apply_settings(mapping, cJSON_GetObjectItemCaseSensitive(target, "with")))
        return mapping->error->status;
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(target, "words");
    if (words)
        return apply_words(mapping, words, value);
    if (values && find_translation(mapping, target, value, &value))
        return mapping->error->status;
    if (!value)
        return STATUS_OK;
    if (values && cJSON_IsObject(value))
        return apply_settings(mapping, value);
    if (!option && !options)
        return error_set(mapping->error, STATUS_USAGE, "the reference's map names no option");
    if (!mapping->composition || cJSON_IsNull(value))
        return STATUS_OK;
    if (options)
        return set_spread(mapping, options, value);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(target, "flat")))
        return set_flat(mapping, target, value);
    bool scaled = cJSON_HasObjectItem(target, "times") || cJSON_HasObjectItem(target, "plus") ||
                  cJSON_HasObjectItem(target, "scale");
    return (scaled ? set_scaled : set_each)(mapping, scaled ? target : option, value);
}

static enum status apply_argument(struct mapping *mapping, const cJSON *target, const cJSON *value)
{
    if (cJSON_IsNull(target))
        return STATUS_OK;
    if (cJSON_IsObject(target))
        return translate(mapping, target, value);
    return mapping->composition && !cJSON_IsNull(value) ? set_each(mapping, target, value) : STATUS_OK;
}

/* An argument without a place in the map: names it and the options that the kernels have. */
static enum status unmapped(struct mapping *mapping, const char *argument)
{
    struct text names;
    text_init(&names, 1000);
    for (int i = 0; mapping->composition && i < mapping->composition->count; i++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            const struct kernel *kernel = mapping->composition->layers[i].slots[slot].kernel;
            for (const struct option *option = kernel ? kernel->options : NULL; option && option->name;
                 option++)
                text_format(&names, "%s%s.%s", names.length ? ", " : "", slot_names[slot], option->name);
        }
    error_set(mapping->error, STATUS_USAGE,
              "the reference's options have no place for the argument '%s' (the kernels have: %s)", argument,
              text_string(&names));
    text_release(&names);
    return mapping->error->status;
}

/* Settings that hold always, then those of the config's arguments. */
static enum status apply_all(struct mapping *mapping, bool translated_only)
{
    enum status status = apply_settings(mapping, translated_only ? mapping->entry->fixed : NULL);
    const cJSON *value = status || !mapping->config->value ? NULL : mapping->config->value->child;
    for (; value && !status; value = value->next) {
        const cJSON *target = cJSON_GetObjectItemCaseSensitive(mapping->entry->options, value->string);
        bool translated = cJSON_HasObjectItem(target, "values") || cJSON_HasObjectItem(target, "words");
        if (!target) {
            if (mapping->composition)
                return unmapped(mapping, value->string);
        } else if (translated == translated_only && (status = apply_argument(mapping, target, value))) {
            error_prefix(mapping->error, "config: %s", value->string);
        }
    }
    return status;
}

static enum status parse_layers(struct mapping *mapping)
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

enum status reference_map_config(const struct reference_entry *entry, const struct json_at *config,
                                 int64_t width, struct composition *composition,
                                 struct block_options *options, struct error *error)
{
    struct mapping mapping = {.entry = entry, .config = config, .options = options, .error = error};
    options->width = width;
    options->alone = !computes_whole(entry);
    enum status status = copy_layers(&mapping);
    if (!status)
        status = apply_all(&mapping, true);
    if (!status && options->alone)
        status = keep_one_slot(&mapping);
    if (!status) {
        mapping.composition = composition;
        status = parse_layers(&mapping);
    }
    if (!status) {
        /* Translations may set what a plain argument then makes exact: a convolution's presence, then its size. */
        if ((status = apply_all(&mapping, true)) || (status = apply_all(&mapping, false)))
            composition_release(composition);
        else
            repeat_pattern(&mapping);
    }
    cJSON_Delete(mapping.layers);
    return status;
}
