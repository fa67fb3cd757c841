/* family.h: variants and their descent as a picture. */
#ifndef CLADE_RENDER_FAMILY_H
#define CLADE_RENDER_FAMILY_H

#include "lineage/network.h"
#include "lineage/tree.h"
#include "render/picture.h"

enum colouring { COLOUR_FAMILY, COLOUR_KIND, COLOUR_CHARACTER };

struct family_view {
    const char *method; /* "descent", "citation" or "character" */
    enum colouring colouring;
    const char *character; /* of COLOUR_CHARACTER */
    const char *root;      /* the variant whose descendants are drawn; NULL: all */
    const char *families;  /* a list of those that are drawn, with their ancestors; NULL: all */
    const char *suite;     /* whose variants are drawn, with their ancestors; NULL: all */
    const char *focus;     /* the variant whose relatives are drawn, with what changed; NULL: none */
    int depth;             /* of the relatives */
};

/* STATUS_USAGE for an unknown character. The picture is arranged; it keeps strings of the network. */
enum status family_picture(struct catalog *catalog, const struct network *network,
                           const struct family_view *view, struct arena *arena, struct picture *picture,
                           struct error *error);

/* The same for an inferred tree whose leaves are variants and whose branchings have no names. */
enum status family_picture_of_tree(struct catalog *catalog, const struct network *network,
                                   const struct tree *tree, const struct family_view *view,
                                   struct arena *arena, struct picture *picture, struct error *error);

#endif
