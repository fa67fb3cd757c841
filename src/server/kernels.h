/* kernels.h: the program's kernels as JSON. */
#ifndef CLADE_SERVER_KERNELS_H
#define CLADE_SERVER_KERNELS_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* {name, slot, origin, summary, notes, characters: [{character, state}], options: [{name, type, default,
 * minimum, maximum, choices, help}]} of a place in the registry; the caller deletes it. */
cJSON *kernel_json(size_t index);

#endif
