#include "library.h"
#include "base/memory.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *library_open(const char *folder, const char *file, struct error *error)
{
    struct arena arena = ARENA_INIT;
    const char *path = arena_format(&arena, "%s/%s", folder, file);
    void *library = NULL;
    if (access(path, R_OK) != 0)
        error_set(error, STATUS_OUTSIDE,
                  "no '%s': run npm install in contrib/peers, or name another --modules", path);
    else if (!(library = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
        error_set(error, STATUS_OUTSIDE, "%s", dlerror());
    arena_release(&arena);
    return library;
}

enum status library_bind(void *first, void *second, const struct symbol *symbols, size_t count,
                         struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(first, symbols[i].name);
        if (!found && second)
            found = dlsym(second, symbols[i].name);
        if (!found)
            return error_set(error, STATUS_OUTSIDE, "the library has no function '%s'", symbols[i].name);
        memcpy(symbols[i].place, &found, sizeof found);
    }
    return STATUS_OK;
}
