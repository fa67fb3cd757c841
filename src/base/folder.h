/* folder.h: where the program's data lie: the catalogue, the page that the server shows. */
#ifndef CLADE_BASE_FOLDER_H
#define CLADE_BASE_FOLDER_H

#include "base/memory.h"

struct data_folder {
    const char *variable;           /* of the environment, that names another */
    const char *installed, *source; /* paths after `ninja install`, and in the source tree */
    const char *witness;            /* a file that it has */
};

/* `wanted` if it is not NULL, else what the environment says, else the installed folder or, for a program
 * that runs from where it was built, the source tree's. NULL if there is none. The path is the arena's or the
 * caller's. */
const char *data_folder_find(const struct data_folder *folder, const char *wanted, struct arena *arena);

#endif
