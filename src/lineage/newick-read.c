#include "base/file.h"
#include "lineage/read.h"
#include "lineage/scanner.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum status newick_parse(const char *name, const char *data, size_t length, struct arena *arena,
                         struct tree *tree, struct error *error)
{
    struct scanner scanner;
    enum status status = scanner_init(&scanner, name, data, length, arena, error);
    if (status)
        return status;
    if (scanner_next(&scanner) == TOKEN_END)
        return scanner_expected(&scanner, "a tree");
    status = scanner_tree(&scanner, tree);
    if (status)
        return status;
    if (scanner_next(&scanner) != TOKEN_END)
        return scanner_expected(&scanner, "the end after one tree");
    return tree_link(tree, arena, error);
}

enum status tree_read(const char *path, struct arena *arena, struct tree *tree, struct error *error)
{
    char *data;
    size_t length;
    enum status status = file_read(path, LARGEST_FILE, &data, &length, error);
    if (status)
        return status;
    const char *start = data + (length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
    start += strspn(start, " \t\r\n");
    status = strncasecmp(start, "#NEXUS", 6) == 0 ? nexus_parse(path, data, length, arena, tree, error)
                                                  : newick_parse(path, data, length, arena, tree, error);
    free(data);
    return status;
}
