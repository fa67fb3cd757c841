/* method.h: trees by the name of their method, or of a file. */
#ifndef CLADE_LINEAGE_METHOD_H
#define CLADE_LINEAGE_METHOD_H

#include "lineage/bootstrap.h"
#include "lineage/citation.h"
#include "lineage/network.h"
#include "lineage/tree.h"

#define METHODS "descent|citation|character"

/* How a tree is made from characters. */
struct character_method {
    enum joining joining;
    const char *outgroup; /* key; NULL: the root is the middle of the longest way between leaves */
    size_t replicates;    /* of the bootstrap; 0: none */
};

struct method_tree {
    const char *name;       /* of the method or file */
    struct network network; /* the variants; with the edges of descent or of citations, else without edges */
    struct tree tree;
    struct citation_evidence evidence; /* of the citation method, with the links it names */
    struct node_link *links;
    struct character_matrix matrix; /* of the character method: all that it uses; else all that is known */
};

/* STATUS_USAGE if the name is neither a method nor that of a file that exists. */
enum status method_tree(struct catalog *catalog, const char *name, const struct character_method *characters,
                        struct arena *arena, struct method_tree *tree, struct error *error);

#endif
