/* contents.h: the whole catalogue as its files say it, checked, before it goes into the database. Private to
 * catalog. */
#ifndef CLADE_CATALOG_CONTENTS_H
#define CLADE_CATALOG_CONTENTS_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include "catalog/source.h"
#include "catalog/variant.h"
#include <stddef.h>

struct suite {
    const char *key;
    const char **members;
    size_t member_count;
};

struct contents {
    struct family *families;
    size_t family_count;
    struct character_state *states;
    size_t state_count;
    struct suite *suites;
    size_t suite_count;
    struct variant *variants; /* sorted by key */
    const char **files;       /* path of each */
    const char **keys;        /* key of each */
    size_t variant_count;
    struct citation_link *links;
    size_t link_count;
    const struct catalog_kernel *kernels; /* of the caller; NULL: not checked */
    size_t kernel_count;
};

/* Reads everything; STATUS_OUTSIDE with file and place if anything breaks a rule. */
enum status contents_read(const struct source *source, const struct catalog_kernel *kernels,
                          size_t kernel_count, struct arena *arena, struct contents *contents,
                          struct error *error);

/* The parts of that, each in a file of its own. */
enum status contents_read_families(const struct source_file *file, struct arena *arena,
                                   struct contents *contents, struct error *error);
enum status contents_read_characters(const struct source_file *file, struct arena *arena,
                                     struct contents *contents, struct error *error);
enum status contents_read_suites(const struct source_file *file, struct arena *arena,
                                 struct contents *contents, struct error *error);
enum status contents_read_links(const struct source_file *file, struct arena *arena,
                                struct contents *contents, struct error *error);
/* Rules between files: names that must exist or must not be used twice, descent without circles. */
enum status contents_check(const struct contents *contents, struct error *error);

/* Index of a variant, or -1. */
ptrdiff_t contents_find(const struct contents *contents, const char *key);

#endif
