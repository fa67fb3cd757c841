#include "server/page.h"
#include "base/file.h"
#include "base/folder.h"
#include <stdlib.h>
#include <string.h>

enum { LARGEST_FILE = 4 << 20 };

static const struct data_folder page_folder = {"CLADE_PAGE", CLADE_INSTALLED_PAGE, CLADE_SOURCE_PAGE,
                                               "index.html"};

const char *page_type(const char *name)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
    };
    const char *suffix = strrchr(name, '.');
    for (size_t i = 0; suffix && i < sizeof types / sizeof *types; i++)
        if (strcmp(suffix, types[i].suffix) == 0)
            return types[i].type;
    return NULL;
}

enum status page_read(const char *folder, struct arena *arena, struct page_file **files, size_t *count,
                      struct error *error)
{
    char **names;
    size_t name_count;
    *files = NULL;
    *count = 0;
    folder = data_folder_find(&page_folder, folder, arena);
    if (!folder)
        return error_set(error, STATUS_OUTSIDE,
                         "the files of the page are not installed: CLADE_PAGE can name their folder");
    enum status status = directory_list(folder, "", &names, &name_count, error);
    if (status)
        return status;
    for (size_t i = 0; i < name_count && !status; i++) {
        char *path = path_join(folder, names[i]), *data = NULL;
        struct page_file file = {.name = arena_copy_string(arena, names[i]), .type = page_type(names[i])};
        if (file.type && names[i][0] != '.')
            status = file_read(path, LARGEST_FILE, &data, &file.length, error);
        if (data) {
            char *copy = arena_allocate(arena, file.length + 1);
            file.data = memcpy(copy, data, file.length + 1);
            *files = arena_extend(arena, *files, *count, sizeof **files);
            (*files)[(*count)++] = file;
        }
        free(data);
        free(path);
    }
    names_free(names, name_count);
    return status;
}
