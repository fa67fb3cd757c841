/* reference_map.h: what a catalogue entry says of a reference set, applied to a case: which composition
 * computes it and which of our names a published name stands for. Part of reference.c. */
#ifndef CLADE_BLOCK_REFERENCE_MAP_H
#define CLADE_BLOCK_REFERENCE_MAP_H

#include "block/block.h"
#include "block/reference.h"

/* The composition and options that compute a case with this config (whose arguments are published ones) over
 * inputs of `width` channels. On success composition_release() the composition. */
enum status reference_map_config(const struct reference_entry *entry, const struct json_at *config,
                                 int64_t width, struct composition *composition,
                                 struct block_options *options, struct error *error);

/* Our name of a published one by `map` (NULL: all names are the same), in `name`. False if the map says that
 * it is ignored. */
bool reference_map_name(const cJSON *map, const char *published, char *name, size_t size);
/* Whether the map has an object for it in which this flag is true: "transposed", "channels_first". */
bool reference_map_flag(const cJSON *map, const char *published, const char *flag);

#endif
