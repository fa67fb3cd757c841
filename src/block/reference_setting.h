/* reference_setting.h: the composition that a reference's map makes for one config: its layers, slots and
 * options. Part of reference_map.c. */
#ifndef CLADE_BLOCK_REFERENCE_SETTING_H
#define CLADE_BLOCK_REFERENCE_SETTING_H

#include "block/block.h"
#include "block/reference.h"

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

/* Whether the set is of layers with all their slots, not of a kernel alone. */
bool mapping_of_whole(const struct reference_entry *entry);
/* A copy of the composition's layers, or of the one that `part` names. */
enum status mapping_copy_layers(struct mapping *mapping);
/* For a kernel alone: removes all slots but its own and, where it may use one, the position. */
enum status mapping_keep_one_slot(struct mapping *mapping);
/* The composition of the layers as they are now. */
enum status mapping_parse_layers(struct mapping *mapping);
/* Repeats the pattern to the depth wanted, when every option of its layers has been set; the last time it may
 * be cut. */
void mapping_repeat_pattern(struct mapping *mapping);

enum status mapping_set_option(struct mapping *mapping, const char *name, const cJSON *value);
/* An object of settings, or NULL; before there is a composition those of slots, then those of options. */
enum status mapping_apply_settings(struct mapping *mapping, const cJSON *settings);

#endif
