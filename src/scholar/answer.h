/* answer.h: what the answers of the Academic Graph API say: JSON from outside into plain structs.
 *
 * The service promises little: any value may be null or absent, keys come and go, ids are merged. So the
 * frame of an answer must be right (STATUS_OUTSIDE with `name`, which says what was asked, and the place); an
 * unknown key is skipped; and a value without which the rest still makes sense is unknown if it has not the
 * type it should. */
#ifndef CLADE_SCHOLAR_ANSWER_H
#define CLADE_SCHOLAR_ANSWER_H

#include "base/error.h"
#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A paper as it stands in any answer. Text lives in the arena of the caller and is NULL if unknown; numbers
 * are -1. */
struct scholar_paper {
    const char *id; /* the service's, in lower case; NULL of a work that it has no record of */
    const char *title;
    const char *author; /* the first */
    int year;           /* 0 if unknown */
    int64_t reference_count, citation_count;
    const char *arxiv, *doi, *acl;
};

/* One entry of a paper's list of references. */
struct scholar_reference {
    struct scholar_paper paper;
    unsigned intents; /* of enum citation_intent; 0: not classified */
    int influential;  /* 1, 0, or -1: unknown */
    int contexts;     /* sentences that mention it; -1: unknown */
};

struct reference_page {
    struct scholar_reference *references;
    size_t count;
    int64_t next;  /* offset of the next page; -1: this is the last */
    bool withheld; /* by the publisher */
};

/* Answer to a batch of `count` ids: papers[i] is the answer to ids[i], with the id NULL if none is known by
 * it. */
enum status answer_batch(const char *name, const char *body, size_t length, size_t count, struct arena *arena,
                         struct scholar_paper *papers, struct error *error);
/* The page from `offset` on. */
enum status answer_references(const char *name, const char *body, size_t length, int64_t offset,
                              struct arena *arena, struct reference_page *page, struct error *error);
/* The paper whose title is nearest; its id is NULL if there is none. */
enum status answer_match(const char *name, const char *body, size_t length, struct arena *arena,
                         struct scholar_paper *paper, struct error *error);
/* The line in which a body that is no answer says why ("error" of the service, "message" of its gateway), or
 * NULL. */
const char *answer_message(const char *body, size_t length, struct arena *arena);

/* Whether ids that came from outside can stand in a path: printable ASCII without what a URL would take as
 * more. */
bool scholar_id_valid(const char *id);

#endif
