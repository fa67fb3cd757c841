/* exchange.h: trees and networks in the formats of other programs. Failures of the stream are for its owner
 * to find.
 *
 * Nodes are named by their keys. Newick and NEXUS have trees only: donors are lost. Labels are quoted
 * wherever a reader might stumble. */
#ifndef CLADE_LINEAGE_EXCHANGE_H
#define CLADE_LINEAGE_EXCHANGE_H

#include "lineage/characters.h"
#include "lineage/network.h"
#include "lineage/tree.h"
#include <cjson/cJSON.h>
#include <stdio.h>

/* What is written: a tree, and what is known beside it. */
struct lineage_document {
    const char *method; /* "descent", "citation" or "character" */
    const struct tree *tree;
    const struct network *network;         /* names, dates, donors of the tree's named nodes */
    const struct character_matrix *matrix; /* NULL: none */
};

/* One tree and a newline. Ancestors that are variants label their inner node; support stands there where
 * there is no name. Several roots hang from one without a name. */
void newick_print(const struct tree *tree, FILE *stream);

/* Blocks TAXA, CHARACTERS (with the names of the states) and TREES. All taxa are leaves: an ancestor that is
 * a variant is a leaf at distance zero from its branching, as other programs write sampled ancestors. */
void nexus_print(const struct lineage_document *document, FILE *stream);

/* phyloXML 1.10: donors are clade relations. */
void phyloxml_print(const struct lineage_document *document, FILE *stream);

void graphml_print(const struct lineage_document *document, FILE *stream);

/* {"method", "nodes": [{"key", "parent", "donors", "margin", "changed", "name", "date", "family", "kind",
 * "length", "support"}]}, depth first; parent is null at a root. A branching without a name has a key of its
 * own, "split-12", and the name null. */
cJSON *lineage_json(const struct lineage_document *document);

#endif
