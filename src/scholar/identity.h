/* identity.h: which paper is which entry of the catalogue. */
#ifndef CLADE_SCHOLAR_IDENTITY_H
#define CLADE_SCHOLAR_IDENTITY_H

#include "base/error.h"
#include "base/memory.h"
#include "scholar/answer.h"
#include <sqlite3.h>
#include <stddef.h>

enum {
    CANDIDATES = 4 /* ids of an entry that can be asked for */
};

/* An entry of the catalogue, as far as it concerns papers. Unknown text is NULL. */
struct identity {
    const char *key, *title, *date, *author; /* the first author */
    int year;                                /* 0 if unknown */
    const char *s2, *arxiv, *doi, *acl;
    const char *paper_id; /* as the service answered; NULL if it was not asked yet or knows none */
    const char *candidates[CANDIDATES]; /* its ids in the service's notation, the surest first */
    size_t candidate_count;
    const char *all_ids; /* the candidates, with spaces between */
};

struct identity_key;
struct identities {
    struct identity *entries; /* sorted by key */
    size_t count;
    struct identity_key *keys; /* sorted */
    size_t key_count;
    const char *ids; /* all of them, an entry a line: links that were made with others may be others now */
};

/* Reads the catalogue's tables and what the service answered so far. */
enum status identities_read(sqlite3 *database, struct arena *arena, struct identities *identities,
                            struct error *error);
/* Takes over a change of some entry's paper_id. */
void identities_index(struct identities *identities, struct arena *arena);

/* The entry that a paper is, by any of its ids; -1 if it is none. */
ptrdiff_t identities_find(const struct identities *identities, const struct scholar_paper *paper);
ptrdiff_t identities_find_key(const struct identities *identities, const char *key);

#endif
