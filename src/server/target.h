/* target.h: the target of a request, "/api/list.json?text=linear%20attention", taken apart and decoded. What
 * is not plainly a path below the root is refused, so that nothing behind this needs to know of tricks with
 * paths. */
#ifndef CLADE_SERVER_TARGET_H
#define CLADE_SERVER_TARGET_H

#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>

enum {
    TARGET_LONGEST = 4096, /* bytes */
    TARGET_SEGMENTS = 8,
    TARGET_FIELDS = 16,
};

struct target_field {
    const char *name, *value; /* not empty; "" */
};

struct target {
    const char *segments[TARGET_SEGMENTS];     /* of the path; none is empty, "." or "..", or has a '/' */
    size_t segment_count;                      /* 0: the root */
    struct target_field fields[TARGET_FIELDS]; /* of the query; no two of one name */
    size_t field_count;
};

/* NULL, or what is wrong with the target, in words. It is valid UTF-8 without control characters when this
 * returns NULL. Strings are the arena's. */
const char *target_parse(const char *text, size_t length, struct arena *arena, struct target *target);

const char *target_field(const struct target *target, const char *name); /* NULL if it is not there */

#endif
