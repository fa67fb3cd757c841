/* What a catalogue entry says of a reference set, applied to a case. */
#include "block/reference_map.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "base/text.h"
#include "block/reference_setting.h"
#include "block/registry.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
        return mapping_set_option(mapping, target->valuestring, value);
    enum status status = STATUS_OK;
    const cJSON *name;
    cJSON_ArrayForEach(name, target)
    {
        if (!cJSON_IsString(name))
            return error_set(mapping->error, STATUS_USAGE,
                             "expected names of options in the reference's map");
        if (!status)
            status = mapping_set_option(mapping, name->valuestring, value);
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
            status = mapping_apply_settings(mapping, word);
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
    if (!cJSON_IsNull(value) &&
        mapping_apply_settings(mapping, cJSON_GetObjectItemCaseSensitive(target, "with")))
        return mapping->error->status;
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(target, "words");
    if (words)
        return apply_words(mapping, words, value);
    if (values && find_translation(mapping, target, value, &value))
        return mapping->error->status;
    if (!value)
        return STATUS_OK;
    if (values && cJSON_IsObject(value))
        return mapping_apply_settings(mapping, value);
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
    enum status status = mapping_apply_settings(mapping, translated_only ? mapping->entry->fixed : NULL);
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

enum status reference_map_config(const struct reference_entry *entry, const struct json_at *config,
                                 int64_t width, struct composition *composition,
                                 struct block_options *options, struct error *error)
{
    struct mapping mapping = {.entry = entry, .config = config, .options = options, .error = error};
    options->width = width;
    options->alone = !mapping_of_whole(entry);
    enum status status = mapping_copy_layers(&mapping);
    if (!status)
        status = apply_all(&mapping, true);
    if (!status && options->alone)
        status = mapping_keep_one_slot(&mapping);
    if (!status) {
        mapping.composition = composition;
        status = mapping_parse_layers(&mapping);
    }
    if (!status) {
        /* Translations may set what a plain argument then makes exact: a convolution's presence, then its
         * size. */
        if ((status = apply_all(&mapping, true)) || (status = apply_all(&mapping, false)))
            composition_release(composition);
        else
            mapping_repeat_pattern(&mapping);
    }
    cJSON_Delete(mapping.layers);
    return status;
}
