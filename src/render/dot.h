/* dot.h: a picture in Graphviz's language. */
#ifndef CLADE_RENDER_DOT_H
#define CLADE_RENDER_DOT_H

#include "render/picture.h"
#include <stdio.h>

enum dot_purpose {
    DOT_TO_READ,  /* everything: labels, colours, links, donors */
    DOT_TO_PLACE, /* sizes and what the layout depends on, no text */
};

/* Nodes come in the picture's order, then edges in theirs; with DOT_TO_PLACE, donors only if they are routed.
 * Nodes and edges that are not of the picture follow behind. The picture has been arranged. */
void dot_print(const struct picture *picture, enum dot_purpose purpose, FILE *stream);

#endif
