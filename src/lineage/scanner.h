/* scanner.h: the words of Newick and NEXUS, private to lineage. */
#ifndef CLADE_LINEAGE_SCANNER_H
#define CLADE_LINEAGE_SCANNER_H

#include "base/error.h"
#include "base/memory.h"
#include "lineage/tree.h"
#include <stdbool.h>
#include <stddef.h>

enum token {
    TOKEN_END,
    TOKEN_WORD,        /* up to a blank or a mark; '_' reads as a blank */
    TOKEN_QUOTED,      /* in single quotes, doubled inside */
    TOKEN_PUNCTUATION, /* one of ( ) { } : ; , = / \ * " and the like */
    TOKEN_BAD,         /* the error is set */
};

struct scanner {
    const char *name; /* opens every message */
    const char *data;
    size_t length, at;
    struct arena *arena;
    struct error *error;
    /* The token: */
    enum token token;
    size_t start, end; /* in the data */
    char mark;         /* of TOKEN_PUNCTUATION */
};

/* STATUS_OUTSIDE unless the text is UTF-8 without control characters and of at most LARGEST_FILE bytes. */
enum { LARGEST_FILE = 64 << 20, LONGEST_LABEL = 4096, MOST_TREE_NODES = 1 << 20 };
enum status scanner_init(struct scanner *scanner, const char *name, const char *data, size_t length,
                         struct arena *arena, struct error *error);

/* Skips blanks and comments in brackets, which may be nested. */
enum token scanner_next(struct scanner *scanner);
bool scanner_is(const struct scanner *scanner, char mark);
bool scanner_is_word(const struct scanner *scanner, const char *word); /* in capitals or not */
bool scanner_is_label(const struct scanner *scanner);                  /* a word or a quoted label */
/* What a word or a quoted label says, in the arena. */
char *scanner_label(struct scanner *scanner);
/* "FILE:3:14: expected ';', found 'x'": says where the token is, and what it is. */
enum status scanner_expected(struct scanner *scanner, const char *what);
enum status scanner_error(struct scanner *scanner, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The tree from the present token, its first, to the ';' that ends it, which is then the token. The tree is
 * not linked. */
enum status scanner_tree(struct scanner *scanner, struct tree *tree);

#endif
