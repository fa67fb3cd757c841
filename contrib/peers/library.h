/* library.h: shared libraries opened at run time, with functions looked up by name. */
#ifndef CLADE_PEERS_LIBRARY_H
#define CLADE_PEERS_LIBRARY_H

#include "base/error.h"
#include <stddef.h>

struct symbol {
    const char *name;
    void *place; /* of the pointer to the function */
};

/* The library at folder/file; NULL with `error` set, which says how to get it. Never closed: its threads may
 * outlive its use. */
void *library_open(const char *folder, const char *file, struct error *error);
/* Fills the places of `count` symbols, each from the first of two libraries that has it (the second may be
 * NULL). */
enum status library_bind(void *first, void *second, const struct symbol *symbols, size_t count,
                         struct error *error);

#endif
