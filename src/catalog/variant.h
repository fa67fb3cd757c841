/* variant.h: one entry of the catalogue, as it stands in catalog/variants/KEY.json and in the database.
 *
 * Strings that are unknown are NULL, never "". All memory belongs to the arena that the entry was read into.
 */
#ifndef CLADE_CATALOG_VARIANT_H
#define CLADE_CATALOG_VARIANT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct seed_row {
    const char *list, *part; /* "baselines", "collected" */
    int number;
};

/* What fills one slot. Exactly one of kernel and planned is set. */
struct slot_filling {
    const char *slot;
    const char *kernel;
    const char *planned; /* the name of a kernel that is not written yet */
    const char *options; /* the other fields as one JSON object, "{}" if there are none */
};

/* A composition is a pattern of layers; most have one, without a name. */
struct layer {
    const char *name;
    struct slot_filling *slots;
    size_t slot_count;
};

struct parent {
    const char *key;
    bool primary;          /* descends from it; otherwise it is a donor */
    const char *changed;   /* what the child changed, or what it borrowed */
    const char *exception; /* why this parent may be younger than the child */
};

/* Where a definition can be held against a published one. */
struct reference {
    const char *set;      /* folder of reference cases; NULL if there is none */
    const char *slot;     /* the slot that the set computes, or "block" */
    const char *part;     /* the layer of a pattern that it computes */
    const char *source;   /* "owner/repo@commit:path:Class", or "paper" */
    const char *sections; /* of the paper */
    const char *fidelity; /* "official", "third-party", "adapted" or "paper" */
    /* JSON objects or NULL. options: published argument -> option of the kernel; fixed: option -> value;
     * inputs, outputs, weights: published name -> name in the kernel, where they differ. */
    const char *options, *fixed, *inputs, *outputs, *weights;
};

struct variant {
    const char *key; /* lower case, digits, hyphens: also the file's name */
    const char *name, *title, *venue;
    const char *date; /* first public version: YYYY, YYYY-MM or YYYY-MM-DD */
    int year;         /* of the venue; 0 if unknown */
    const char *s2, *arxiv, *doi, *acl;
    const char *kind, *family, *summary;
    const char *added; /* why it is here without a seed row: "relative" or "ancestor" */
    const char **authors;
    size_t author_count;
    const char **code; /* URLs, the official one first */
    size_t code_count;
    struct seed_row *seeds;
    size_t seed_count;
    struct layer *layers; /* none: the composition is not known, or the kind has none */
    size_t layer_count;
    const char **suite; /* keys of the variants that a study compares */
    size_t suite_count;
    struct parent *parents; /* the primary one first */
    size_t parent_count;
    struct reference *references;
    size_t reference_count;
};

/* The composition in the form of the file, {"mixer": {"kernel": ...}, ...} or {"pattern": [...]}; NULL if
 * there is none. cJSON_Delete() it. */
cJSON *variant_composition(const struct variant *variant);

#endif
