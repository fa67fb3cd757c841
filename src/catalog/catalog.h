/* catalog.h: the catalogue as a SQLite database: opened (and made, and brought up to date) in one call, then
 * asked.
 *
 * The files under catalog/ are the source; the database also holds what was measured and fetched, and a
 * rebuild from changed files keeps that. Schema and views are documented in schema/NNNN-name.sql.
 *
 * Results of queries live in the arena that the caller passes; strings that are unknown are NULL. Text that
 * comes from outside is bound, never part of a statement. Errors are STATUS_USAGE for an unknown name (with
 * the nearest valid one) and STATUS_OUTSIDE for files and the database. */
#ifndef CLADE_CATALOG_CATALOG_H
#define CLADE_CATALOG_CATALOG_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/variant.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- opening ---- */

/* A kernel that the program has, as the caller's registry knows it. */
struct kernel_trait {
    const char *character, *state; /* names of catalog/characters.json */
};
struct catalog_kernel {
    const char *name;
    const char *slot;
    const char *origin; /* key of the variant that invented it, or NULL */
    const struct kernel_trait *traits;
    size_t trait_count;
    /* The state of a character under options (a JSON object, as in a composition) where it depends on them;
     * NULL keeps that of `traits`. The pointer may be NULL. */
    const char *(*state)(const struct catalog_kernel *kernel, const char *options, const char *character);
};

/* Zero-initialised options open the default database. */
struct catalog_options {
    const char *database;  /* --db; else CLADE_DB, else clade/clade.db under XDG_DATA_HOME or ~/.local/share;
                            * ":memory:" keeps nothing */
    const char *directory; /* else CLADE_CATALOG, else the installed catalogue, else the source tree's */
    const struct catalog_kernel *kernels; /* NULL: names of kernels are not checked */
    size_t kernel_count;
};

struct catalog;

/* Makes the database if there is none; rebuilds the catalogue's part, in one transaction, if the files or the
 * kernels are not those it was built from. A file that breaks a rule is refused by file and place and changes
 * nothing. Where the database cannot be written, a current one is read and otherwise one is made in memory,
 * with a note. A file that is not ours, or of a newer schema, is STATUS_OUTSIDE and left as it is. */
enum status catalog_open(const struct catalog_options *options, struct catalog **catalog,
                         struct error *error);
void catalog_close(struct catalog *catalog); /* NULL is fine */

const char *catalog_note(const struct catalog *catalog); /* a line for standard error, or NULL */
const char *catalog_path(const struct catalog *catalog); /* of the database; ":memory:" */
sqlite3 *catalog_database(struct catalog *catalog); /* for scholar and bench, which own their statements */

/* ---- variants ---- */

struct catalog_filter {
    const char *text;      /* each word begins a word of key, name, title, authors or summary */
    const char *family;    /* key of catalog/families.json */
    const char *kind;      /* block, component, procedure, objective, task or study */
    const char *slot;      /* with `kernel`: filled by it, written or planned; without: filled by any */
    const char *kernel;    /* alone: in any slot */
    const char *character; /* with `state`: some kernel has it in that state; without: in any state */
    const char *state;
    int since;    /* first public version in that year or later; 0: any */
    bool seeds;   /* those of the seed lists only */
    bool missing; /* those whose entry or kernels are not complete only */
};

struct variant_row {
    const char *key, *name, *title, *date, *family, *kind;
    int year;            /* 0 if unknown */
    bool runnable;       /* every kernel is there; a study: it has a suite */
    const char *missing; /* "summary, kernel gated-linear-attention"; NULL if nothing is */
    const char *summary;
    const char **authors;
    size_t author_count;
    struct seed_row *seeds;
    size_t seed_count;
};

/* Sorted by date, then key; with text, by relevance. No match is STATUS_OK with a count of 0. */
enum status catalog_list(struct catalog *catalog, const struct catalog_filter *filter, struct arena *arena,
                         struct variant_row **rows, size_t *count, struct error *error);

/* An edge of descent, from either end. */
struct parent_link {
    const char *child, *parent;
    bool primary;
    const char *changed, *exception;
};

struct variant_card {
    struct variant variant;
    bool runnable;
    const char *missing;
    struct parent_link *children;
    size_t child_count;
    int cites, cited_by; /* links within the catalogue */
};

enum status catalog_card(struct catalog *catalog, const char *key, struct arena *arena,
                         struct variant_card *card, struct error *error);

/* STATUS_USAGE "unknown variant 'mamba3': did you mean 'mamba2'?" unless `key` is one. */
enum status catalog_require(struct catalog *catalog, const char *key, struct error *error);

/* ---- whole tables, for lineage and render; sorted by their first columns ---- */

enum status catalog_parent_links(struct catalog *catalog, struct arena *arena, struct parent_link **links,
                                 size_t *count, struct error *error);

struct composition_row {
    const char *variant;
    int layer;              /* place in the pattern, from 0 */
    const char *layer_name; /* NULL if the composition is no pattern */
    const char *slot, *kernel, *planned, *options;
};
enum status catalog_compositions(struct catalog *catalog, struct arena *arena, struct composition_row **rows,
                                 size_t *count, struct error *error);

/* The state of a character in one slot of a variant, as the kernel there declares it for its options. A
 * variant whose layers differ may have a character in several states. */
struct trait_row {
    const char *variant;
    int layer;
    const char *slot, *kernel, *character, *state;
};
enum status catalog_traits(struct catalog *catalog, struct arena *arena, struct trait_row **rows,
                           size_t *count, struct error *error);

enum citation_intent { /* a set */
                       INTENT_METHODOLOGY = 1,
                       INTENT_BACKGROUND = 2,
                       INTENT_RESULT = 4,
};
struct citation_link {
    const char *citing, *cited;
    unsigned intents;         /* 0: not classified */
    int influential;          /* 1, 0, or -1: unknown */
    int contexts;             /* sentences that mention the cited work; -1: unknown */
    const char *source;       /* s2, paper-text, hand: of the snapshot; api: fetched */
    const char *retrieved_at; /* YYYY-MM-DDTHH:MM:SSZ; NULL for the snapshot */
};
/* Links that leave or enter `key`; all of them if it is NULL. Where a paper's reference list was fetched
 * whole, its fetched links stand in place of the snapshot's. */
enum status catalog_citations(struct catalog *catalog, const char *key, struct arena *arena,
                              struct citation_link **links, size_t *count, struct error *error);

/* ---- references ---- */

/* The entry that reference set `set` belongs to, and what it says of it. STATUS_USAGE if no entry names the
 * set. */
enum status catalog_reference(struct catalog *catalog, const char *set, struct arena *arena,
                              const char **variant, struct reference *reference, struct error *error);

/* ---- vocabularies ---- */

struct family {
    const char *key, *name, *colour, *about; /* colour: "#rrggbb" */
};
enum status catalog_families(struct catalog *catalog, struct arena *arena, struct family **families,
                             size_t *count, struct error *error); /* in the order of the file */

struct character_state {
    const char *character, *character_about;
    const char *state, *state_about;
};
enum status catalog_characters(struct catalog *catalog, struct arena *arena, struct character_state **states,
                               size_t *count, struct error *error); /* in the order of the file */

/* Members of a suite: of catalog/suites.json, or those that a study compares. */
enum status catalog_suite(struct catalog *catalog, const char *key, struct arena *arena,
                          const char ***members, size_t *count, struct error *error);

#endif
