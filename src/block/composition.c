#include "block/composition.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "base/text.h"
#include "block/registry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const placement_names[] = {"pre", "post", "sandwich", "branch-post", "pre-final"};

static enum status find_placement(const char *name, enum placement *placement, struct error *error)
{
    const size_t count = sizeof placement_names / sizeof *placement_names;
    for (size_t i = 0; i < count; i++)
        if (strcmp(placement_names[i], name) == 0) {
            *placement = (enum placement)i;
            return STATUS_OK;
        }
    return suggest_error(error, "placement", name, placement_names, count);
}

static enum status parse_placement(const struct json_at *at, enum placement *placement, struct error *error)
{
    const char *name;
    struct error unknown = ERROR_INIT;
    enum status status = json_string(at, &name, error);
    if (!status && find_placement(name, placement, &unknown))
        return json_error(at, error, "%s", unknown.message);
    return status;
}

static enum status parse_slot(const struct json_at *at, struct layer_composition *layer, enum slot slot,
                              struct error *error)
{
    enum status status = json_object(at, error);
    struct json_at member = json_member(at, "kernel");
    const char *name;
    const struct kernel *kernel;
    if (status)
        return status;
    if (json_absent(&member)) {
        struct json_at planned = json_member(at, "planned");
        return error_set(error, STATUS_NO, "%s: the kernel '%s' is not written yet", at->path,
                         json_absent(&planned) || json_string(&planned, &name, error) ? "?" : name);
    }
    if ((status = json_string(&member, &name, error)) || (status = registry_get(name, &kernel, error)))
        return status;
    if (kernel->slot != slot && !(slot == SLOT_MIXER && kernel->slot == SLOT_PROCEDURE))
        return json_error(&member, error, "kernel '%s' fills the slot %s", name, slot_names[kernel->slot]);
    settings_init(&layer->slots[slot], kernel);
    for (const cJSON *value = at->value->child; value; value = value->next) {
        if (strcmp(value->string, "kernel") == 0)
            continue;
        struct json_at inner = json_member(at, value->string);
        if (slot == SLOT_NORM && strcmp(value->string, "placement") == 0)
            status = parse_placement(&inner, &layer->placement, error);
        else if ((status = settings_set_json(&layer->slots[slot], value->string, value, error)))
            error_prefix(error, "%s", inner.path);
        if (status)
            return status;
    }
    return STATUS_OK;
}

static enum status parse_layer(const struct json_at *at, struct layer_composition *layer, bool named,
                               struct error *error)
{
    enum status status = json_object(at, error);
    for (const cJSON *value = at->value ? at->value->child : NULL; value && !status; value = value->next) {
        struct json_at member = json_member(at, value->string);
        struct error unknown = ERROR_INIT;
        enum slot slot;
        const char *name;
        if (named && strcmp(value->string, "name") == 0) {
            if (!(status = json_string(&member, &name, error)))
                layer->name = memory_copy_string(name);
        } else if (slot_parse(value->string, &slot, &unknown)) {
            status = json_error(&member, error, "%s", unknown.message);
        } else {
            status = parse_slot(&member, layer, slot, error);
        }
    }
    return status;
}

enum status composition_parse(const struct json_at *at, struct composition *composition, struct error *error)
{
    memset(composition, 0, sizeof *composition);
    enum status status = json_object(at, error);
    if (status)
        return status;
    struct json_at pattern = json_member(at, "pattern");
    int count = 1;
    if (!json_absent(&pattern) && (status = json_array(&pattern, &count, error)))
        return status;
    if (count == 0)
        return json_error(&pattern, error, "expected at least one layer");
    composition->layers = memory_allocate_zero((size_t)count, sizeof *composition->layers);
    composition->count = count;
    for (int i = 0; i < count && !status; i++) {
        struct json_at layer = json_absent(&pattern) ? *at : json_element(&pattern, i);
        status = parse_layer(&layer, &composition->layers[i], !json_absent(&pattern), error);
    }
    if (status)
        composition_release(composition);
    return status;
}

void composition_release(struct composition *composition)
{
    for (int i = 0; i < composition->count; i++) {
        free(composition->layers[i].name);
        for (int slot = 0; slot < SLOT_COUNT; slot++)
            settings_release(&composition->layers[i].slots[slot]);
    }
    free(composition->layers);
    memset(composition, 0, sizeof *composition);
}

static void copy_layer(struct layer_composition *to, const struct layer_composition *from)
{
    to->name = memory_copy_string(from->name);
    to->placement = from->placement;
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        if (from->slots[slot].kernel)
            settings_copy(&to->slots[slot], &from->slots[slot]);
}

static void copy_layers(struct composition *composition, const struct composition *pattern, int count)
{
    composition->count = count;
    composition->layers = memory_allocate_zero((size_t)count, sizeof *composition->layers);
    for (int i = 0; i < count; i++)
        copy_layer(&composition->layers[i], &pattern->layers[i % pattern->count]);
}

void composition_copy(struct composition *composition, const struct composition *other)
{
    copy_layers(composition, other, other->count);
}

void composition_repeat(struct composition *composition, int count)
{
    struct composition pattern = *composition;
    copy_layers(composition, &pattern, count);
    composition_release(&pattern);
}

/* Splits "layer.slot.option", "slot.option" or "option"; the parts that are absent come back empty. */
static void split_name(const char *name, char layer[64], char slot[64], char option[64])
{
    const char *dots[2] = {NULL, NULL};
    for (const char *c = name; (c = strchr(c, '.')) != NULL; c++) {
        dots[0] = dots[1];
        dots[1] = c;
    }
    layer[0] = slot[0] = '\0';
    const char *start = name;
    if (dots[0]) {
        snprintf(layer, 64, "%.*s", (int)(dots[0] - start), start);
        start = dots[0] + 1;
    }
    if (dots[1]) {
        snprintf(slot, 64, "%.*s", (int)(dots[1] - start), start);
        start = dots[1] + 1;
    }
    snprintf(option, 64, "%s", start);
}

static enum status no_such_option(const struct composition *composition, const char *name,
                                  struct error *error)
{
    struct text options;
    text_init(&options, sizeof error->message);
    for (int i = 0; i < composition->count; i++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            const struct kernel *kernel = composition->layers[i].slots[slot].kernel;
            for (const struct option *o = kernel ? kernel->options : NULL; o && o->name; o++)
                text_format(&options, "%s%s.%s", options.length ? ", " : "", slot_names[slot], o->name);
        }
    error_set(error, STATUS_USAGE, "no kernel of this composition has the option '%s': they have %s", name,
              options.length ? text_string(&options) : "none");
    text_release(&options);
    return error->status;
}

/* Sets the option to `text`, or to `json` if that is not NULL. */
/* An option's name taken apart: the layer and slot that it is limited to, if any. */
struct option_name {
    char layer[64], slot[64], option[64];
    enum slot wanted; /* SLOT_COUNT for any */
};

static enum status parse_option_name(const char *name, struct option_name *parsed, struct error *error)
{
    split_name(name, parsed->layer, parsed->slot, parsed->option);
    parsed->wanted = SLOT_COUNT;
    return parsed->slot[0] ? slot_parse(parsed->slot, &parsed->wanted, error) : STATUS_OK;
}

/* The next settings, from *cursor on, that have the option; NULL after the last. */
static struct settings *next_match(const struct composition *composition, const struct option_name *name,
                                   int *cursor)
{
    for (; *cursor < composition->count * SLOT_COUNT; ++*cursor) {
        const struct layer_composition *layer = &composition->layers[*cursor / SLOT_COUNT];
        int slot = *cursor % SLOT_COUNT;
        if (name->layer[0] && (!layer->name || strcmp(layer->name, name->layer) != 0))
            continue;
        if (!layer->slots[slot].kernel || (name->wanted != SLOT_COUNT && (int)name->wanted != slot) ||
            !settings_has(layer->slots[slot].kernel, name->option))
            continue;
        ++*cursor;
        return &composition->layers[(*cursor - 1) / SLOT_COUNT].slots[slot];
    }
    return NULL;
}

/* The norm's placement is the layer's own, set as an option of the norm. */
static bool names_placement(const struct option_name *name)
{
    return strcmp(name->option, "placement") == 0 &&
           (name->wanted == SLOT_COUNT || name->wanted == SLOT_NORM);
}

static enum status set_placement(struct composition *composition, const struct option_name *name,
                                 const char *text, struct error *error)
{
    enum placement placement = PLACEMENT_PRE;
    enum status status = find_placement(text, &placement, error);
    for (int i = 0; i < composition->count && !status; i++) {
        struct layer_composition *layer = &composition->layers[i];
        if (!name->layer[0] || (layer->name && strcmp(layer->name, name->layer) == 0))
            layer->placement = placement;
    }
    return status;
}

static enum status set_option(struct composition *composition, const char *name, const char *text,
                              const cJSON *json, struct error *error)
{
    struct option_name parsed;
    enum status status = parse_option_name(name, &parsed, error);
    if (!status && names_placement(&parsed) && (text || cJSON_IsString(json)))
        return set_placement(composition, &parsed, text ? text : json->valuestring, error);
    bool found = false;
    int cursor = 0;
    for (struct settings *settings; !status && (settings = next_match(composition, &parsed, &cursor));
         found = true)
        status = json ? settings_set_json(settings, parsed.option, json, error)
                      : settings_set_text(settings, parsed.option, text, error);
    return status || found ? status : no_such_option(composition, name, error);
}

bool composition_takes_sequences(const struct composition *composition)
{
    for (int i = 0; i < composition->count; i++)
        for (int slot = 0; slot < SLOT_COUNT; slot++)
            if (slot != SLOT_TASK && slot != SLOT_OBJECTIVE && composition->layers[i].slots[slot].kernel)
                return true;
    return false;
}

void composition_set_length(struct composition *composition, int64_t length)
{
    char text[32];
    struct error ignored = ERROR_INIT;
    snprintf(text, sizeof text, "%lld", (long long)length);
    composition_set(composition, "length", text, &ignored);
}

bool composition_has(const struct composition *composition, const char *name)
{
    struct option_name parsed;
    struct error ignored = ERROR_INIT;
    int cursor = 0;
    return !parse_option_name(name, &parsed, &ignored) &&
           (names_placement(&parsed) || next_match(composition, &parsed, &cursor));
}

enum status composition_set(struct composition *composition, const char *name, const char *value,
                            struct error *error)
{
    return set_option(composition, name, value, NULL, error);
}

enum status composition_set_json(struct composition *composition, const char *name, const cJSON *value,
                                 struct error *error)
{
    return set_option(composition, name, NULL, value, error);
}

enum status composition_only(struct composition *composition, const char *layer, enum slot slot,
                             struct error *error)
{
    int chosen = 0;
    while (layer && chosen < composition->count &&
           (!composition->layers[chosen].name || strcmp(composition->layers[chosen].name, layer) != 0))
        chosen++;
    if (chosen == composition->count)
        return error_set(error, STATUS_USAGE, "the composition has no layer '%s'", layer);
    struct layer_composition kept = composition->layers[chosen];
    if (slot == SLOT_POSITION && kept.slots[SLOT_MIXER].kernel)
        slot = SLOT_MIXER; /* a position encoding is seen through its attention */
    if (!kept.slots[slot].kernel)
        return error_set(error, STATUS_USAGE, "the composition has nothing in the slot %s", slot_names[slot]);
    memset(&composition->layers[chosen], 0, sizeof kept);
    composition_release(composition);
    bool position = slot != SLOT_FFN && slot != SLOT_NORM;
    for (int i = 0; i < SLOT_COUNT; i++)
        if (i != (int)slot && !(position && i == SLOT_POSITION))
            settings_release(&kept.slots[i]), kept.slots[i].kernel = NULL;
    composition->layers = memory_copy(&kept, sizeof kept);
    composition->count = 1;
    return STATUS_OK;
}
