/* label.h: names as Newick and NEXUS write them; private to lineage. */
#ifndef CLADE_LINEAGE_LABEL_H
#define CLADE_LINEAGE_LABEL_H

#include "lineage/tree.h"
#include <stdio.h>

/* A word as it is where every reader takes it so, else in single quotes, which are doubled inside. Control
 * characters become blanks. To NEXUS a hyphen divides words, to Newick it does not. */
enum label_format { LABEL_NEWICK, LABEL_NEXUS };
void label_print(const char *label, enum label_format format, FILE *stream);

/* newick_print() with labels of either format. */
void newick_print_as(const struct tree *tree, enum label_format format, FILE *stream);

#endif
