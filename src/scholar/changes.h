/* changes.h: what a fetch changed, and where what was fetched is not what a person wrote. */
#ifndef CLADE_SCHOLAR_CHANGES_H
#define CLADE_SCHOLAR_CHANGES_H

#include "catalog/catalog.h"
#include <stddef.h>
#include <stdint.h>

/* ---- before and after ---- */

enum link_change_kind { LINK_NEW, LINK_GONE, LINK_CHANGED, LINK_CHANGE_KINDS };
extern const char *const link_change_names[LINK_CHANGE_KINDS];

struct link_change {
    enum link_change_kind kind;
    struct citation_link before, after; /* the one that there is not is zero */
};

/* How many papers cite an entry's. */
struct count_change {
    const char *variant;
    int64_t before, after; /* -1: not known */
};

/* The citations and counts of a moment, as the arena keeps them. */
struct citation_state {
    struct citation_link *links; /* sorted by citing and cited */
    size_t link_count;
    struct count_change *counts; /* sorted by variant; `after` holds the count */
    size_t count_count;
};
enum status citation_state_read(struct catalog *catalog, struct arena *arena, struct citation_state *state,
                                struct error *error);

struct citation_changes {
    struct link_change *links; /* sorted by citing and cited */
    size_t link_count, of_kind[LINK_CHANGE_KINDS];
    struct count_change *counts;
    size_t count_count;
};
/* The result points into both states. A link whose intents, influence and number of contexts are the same is
 * the same, whatever its source. */
struct citation_changes citation_changes(const struct citation_state *before,
                                         const struct citation_state *after, struct arena *arena);

/* ---- against the catalogue ---- */

enum finding_kind {
    FINDING_NOT_FOUND,  /* the service knows none of the entry's ids */
    FINDING_MERGED,     /* it answers the entry's id with another record */
    FINDING_SHARED,     /* it answers two entries with one record */
    FINDING_TITLE,      /* its title is another */
    FINDING_YEAR,       /* its year is neither that of the entry nor that of its date */
    FINDING_ID,         /* an id of another kind is not the entry's */
    FINDING_SHORT,      /* it gives fewer references than it counts */
    FINDING_HAND_LINK,  /* a link entered by hand is not in the citing paper's list */
    FINDING_MISSING_ID, /* it knows an id that the entry lacks */
    FINDING_KINDS
};
extern const char *const finding_names[FINDING_KINDS];

struct finding {
    const char *variant;
    enum finding_kind kind;
    const char *message; /* one line */
};

/* Of all entries whose papers were fetched, sorted by variant and kind. Nothing is changed. */
enum status findings_read(struct catalog *catalog, struct arena *arena, struct finding **findings,
                          size_t *count, struct error *error);

#endif
