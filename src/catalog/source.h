/* source.h: the catalogue's files as bytes: where they are, what they hold, whether they have changed.
 * Private to catalog. */
#ifndef CLADE_CATALOG_SOURCE_H
#define CLADE_CATALOG_SOURCE_H

#include "base/error.h"
#include "base/memory.h"
#include <stddef.h>
#include <stdint.h>

struct source_file {
    const char *path;
    const char *data; /* NULL where an optional file is absent */
    size_t length;
};

struct source {
    const char *directory;
    struct source_file families, characters, suites, citations; /* the last three are optional */
    struct source_file *variants;                               /* sorted by path */
    size_t variant_count;
    uint64_t fingerprint; /* of names and contents */
};

/* The folder to read: `wanted`, else CLADE_CATALOG, else the installed one or, for a program that has not
 * been installed, that of its source tree. In the arena; NULL if none of the last two exists. */
const char *source_locate(const char *wanted, struct arena *arena);

enum status source_read(const char *directory, struct arena *arena, struct source *source,
                        struct error *error);

/* Mixes bytes, and a mark between one call and the next, into a fingerprint (FNV-1a). Start with
 * FINGERPRINT_START. */
#define FINGERPRINT_START UINT64_C(0xcbf29ce484222325)
uint64_t fingerprint_mix(uint64_t fingerprint, const void *bytes, size_t length);

#endif
