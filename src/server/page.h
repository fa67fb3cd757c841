/* page.h: the files of the page, from web/page or where it is installed. */
#ifndef CLADE_SERVER_PAGE_H
#define CLADE_SERVER_PAGE_H

#include "base/error.h"
#include "base/memory.h"
#include <stddef.h>

struct page_file {
    const char *name; /* "index.html" */
    const char *type; /* of its content */
    const char *data;
    size_t length;
};

/* Reads them all; sorted by name. `folder` NULL: where data_folder_find() says. */
enum status page_read(const char *folder, struct arena *arena, struct page_file **files, size_t *count,
                      struct error *error);
/* NULL for a kind of file that a page does not have. */
const char *page_type(const char *name);

#endif
