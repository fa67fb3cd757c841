/* label.h: names as Newick and NEXUS write them. */
#ifndef CLADE_LINEAGE_LABEL_H
#define CLADE_LINEAGE_LABEL_H

#include <stdio.h>

/* A word as it is where every reader takes it so, else in single quotes, which are doubled inside. Control
 * characters become blanks. */
void label_print(const char *label, FILE *stream);

#endif
