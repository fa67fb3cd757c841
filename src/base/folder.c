#include "base/folder.h"
#include "base/file.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_witness(const char *path, const char *witness)
{
    char *file = path_join(path, witness);
    bool found = access(file, R_OK) == 0;
    free(file);
    return found;
}

/* Whether the running program lies in the folder that it was built in. */
static bool runs_from_build_folder(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return false;
    path[length] = '\0';
    size_t root = strlen(CLADE_BUILD_ROOT);
    return strncmp(path, CLADE_BUILD_ROOT, root) == 0 && path[root] == '/';
}

const char *data_folder_find(const struct data_folder *folder, const char *wanted, struct arena *arena)
{
    const char *named = wanted ? wanted : getenv(folder->variable);
    if (named && *named)
        return arena_copy_string(arena, named);
    const char *const places[] = {folder->installed, folder->source};
    size_t first = runs_from_build_folder();
    for (size_t i = 0; i < 2; i++)
        if (has_witness(places[first ^ i], folder->witness))
            return places[first ^ i];
    return NULL;
}
