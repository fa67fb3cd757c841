/* newick.c: writing; newick-read.c reads. */
#include "lineage/exchange.h"
#include "lineage/label.h"
#include <math.h>
#include <stdlib.h>

static void print_branch(const struct tree_node *node, enum label_format format, FILE *stream)
{
    if (node->name)
        label_print(node->name, format, stream);
    else if (node->child_count && !isnan(node->support))
        fprintf(stream, "%.6g", node->support);
    if (!isnan(node->length))
        fprintf(stream, ":%.6g", node->length);
}

void newick_print_as(const struct tree *tree, enum label_format format, FILE *stream)
{
    bool joined = tree->root_count > 1;
    size_t node = tree->first_root;
    if (joined)
        fputc('(', stream);
    while (node != TREE_NONE) {
        const struct tree_node *at = &tree->nodes[node];
        if (at->first_child != TREE_NONE) {
            fputc('(', stream);
            node = at->first_child;
            continue;
        }
        print_branch(at, format, stream);
        while (at->next_sibling == TREE_NONE && at->parent != TREE_NONE) {
            at = &tree->nodes[at->parent];
            fputc(')', stream);
            print_branch(at, format, stream);
        }
        node = at->next_sibling;
        if (node != TREE_NONE)
            fputc(',', stream);
    }
    fputs(joined ? ");\n" : ";\n", stream);
}

void newick_print(const struct tree *tree, FILE *stream)
{
    newick_print_as(tree, LABEL_NEWICK, stream);
}
