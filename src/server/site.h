/* site.h: the resources as files in a folder, to be served by anything or opened from a disk. */
#ifndef CLADE_SERVER_SITE_H
#define CLADE_SERVER_SITE_H

#include "server/resources.h"

/* Writes all that resources_paths() names, and offline.js, from which the page reads where there is no
 * server. Each file is replaced as a whole, and left alone where it is the same already. What an earlier site
 * had and this one has not is removed; files that clade did not write are not touched. STATUS_USAGE if the
 * folder has something in it and is no site of clade's. */
enum status site_write(struct resources *resources, const char *folder, size_t *files, struct error *error);

#endif
