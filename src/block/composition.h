/* composition.h: which kernels with which options fill the slots of a variant's layers. */
#ifndef CLADE_BLOCK_COMPOSITION_H
#define CLADE_BLOCK_COMPOSITION_H

#include "base/json.h"
#include "block/kernel.h"
#include "block/settings.h"

/* Of the norm: pre-final is pre with one more norm after the last layer. */
enum placement {
    PLACEMENT_PRE,
    PLACEMENT_POST,
    PLACEMENT_SANDWICH,
    PLACEMENT_BRANCH_POST,
    PLACEMENT_PRE_FINAL
};

struct layer_composition {
    char *name; /* of a pattern's layer; NULL for the only layer of a plain composition */
    struct settings slots[SLOT_COUNT]; /* kernel NULL where the slot is empty */
    enum placement placement;          /* of the norm */
};

struct composition {
    struct layer_composition *layers; /* the pattern, repeated to the depth wanted */
    int count;
};

/* From the catalogue's form: {"mixer": {"kernel": "attention", "heads": 4}, ...} or {"pattern": [{"name":
 * ..., ...}]}. STATUS_NO, with the planned kernels named, if a kernel is not written yet (null). */
enum status composition_parse(const struct json_at *at, struct composition *composition, struct error *error);
void composition_release(struct composition *composition);
void composition_copy(struct composition *composition, const struct composition *other);
/* Makes it `count` > 0 layers, its own over and over; the last time it may be cut. */
void composition_repeat(struct composition *composition, int count);

/* "mixer.heads=8", "heads=8" (every slot that has the option; an error if none) or
 * "attention.mixer.window=64" (a pattern's layer). */
enum status composition_set(struct composition *composition, const char *name, const char *value,
                            struct error *error);
enum status composition_set_json(struct composition *composition, const char *name, const cJSON *value,
                                 struct error *error); /* the same from a file */
/* Sets the option `length`, the longest input that a kernel with weights by position takes, of all kernels
 * that have it. */
void composition_set_length(struct composition *composition, int64_t length);
/* False for one of nothing but a task or an objective. */
bool composition_takes_sequences(const struct composition *composition);
/* Whether some kernel has the option of that name. */
bool composition_has(const struct composition *composition, const char *name);
/* Only one slot of one layer (with the position kernel, but for an ffn or a norm): for checks of a kernel
 * alone. `layer` may be NULL for the first. */
enum status composition_only(struct composition *composition, const char *layer, enum slot slot,
                             struct error *error);

#endif
