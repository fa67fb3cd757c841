/* read.h: trees that other programs wrote. The input is not trusted: its size, labels and number of nodes are
 * bounded, and nothing in it is recursive here. Errors are STATUS_OUTSIDE with file, line and column. */
#ifndef CLADE_LINEAGE_READ_H
#define CLADE_LINEAGE_READ_H

#include "lineage/tree.h"

/* One Newick tree. Quoted and unquoted labels ('_' is a blank), comments, lengths; a number that labels an
 * inner node is its support. A root without a name above several children is a root, not a forest. */
enum status newick_parse(const char *name, const char *data, size_t length, struct arena *arena,
                         struct tree *tree, struct error *error);

/* The first tree of the first TREES block, with its labels translated: by TRANSLATE, or numbers by the list
 * of taxa. Other blocks are passed over. */
enum status nexus_parse(const char *name, const char *data, size_t length, struct arena *arena,
                        struct tree *tree, struct error *error);

/* A file of either kind; NEXUS begins with "#NEXUS". */
enum status tree_read(const char *path, struct arena *arena, struct tree *tree, struct error *error);

#endif
