/* nexus.c: writing; nexus-read.c reads. */
#include "lineage/exchange.h"
#include "lineage/label.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The tree with its inner nodes' names moved to leaves at distance zero. */
static void move_names_to_leaves(const struct tree *tree, struct arena *arena, struct tree *moved)
{
    struct error error = ERROR_INIT;
    *moved = (struct tree){0};
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_node *node = &tree->nodes[i];
        tree_add(moved, arena, node->child_count ? NULL : node->name, node->parent, node->length,
                 node->support);
    }
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].child_count && tree->nodes[i].name)
            tree_add(moved, arena, tree->nodes[i].name, i, 0, NAN);
    if (tree_link(moved, arena, &error))
        BUG("%s", error.message);
}

/* Named nodes in the order of the tree; of them, those whose rows the matrix has not are unknown
 * throughout. */
static size_t collect_taxa(const struct tree *tree, const char **taxa)
{
    size_t count = 0;
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].name)
            taxa[count++] = tree->nodes[i].name;
    return count;
}

static void print_taxa(const char *const *taxa, size_t count, FILE *stream)
{
    fprintf(stream, "BEGIN TAXA;\n    DIMENSIONS NTAX=%zu;\n    TAXLABELS", count);
    for (size_t i = 0; i < count; i++) {
        fputs("\n        ", stream);
        label_print(taxa[i], LABEL_NEXUS, stream);
    }
    fputs(";\nEND;\n\n", stream);
}

static const char symbols[] = "0123456789ABCDEFGHJKMNPQRSTUVWXYZ"; /* MOST_STATES, without I, L and O */

/* Some readers take these words for the start of a command wherever they stand: 'matrix' is written 'matrix
 * state'. */
static void print_state(const char *state, FILE *stream)
{
    static const char *const commands[] = {"matrix", "end",        "endblock", "begin",
                                           "format", "dimensions", "title",    "link"};
    char longer[64];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcasecmp(state, commands[i]) == 0) {
            snprintf(longer, sizeof longer, "%s state", state);
            state = longer;
            break;
        }
    label_print(state, LABEL_NEXUS, stream);
}

static void print_state_labels(const struct character_matrix *matrix, FILE *stream)
{
    fputs("    CHARSTATELABELS", stream);
    for (size_t j = 0; j < matrix->character_count; j++) {
        const struct matrix_character *character = &matrix->characters[j];
        fprintf(stream, "%s\n        %zu ", j ? "," : "", j + 1);
        label_print(character->name, LABEL_NEXUS, stream);
        fputs(" /", stream);
        for (size_t k = 0; k < character->state_count; k++) {
            fputc(' ', stream);
            print_state(character->states[k], stream);
        }
    }
    fputs(";\n", stream);
}

/* One state is its symbol, several are in parentheses: layers of different kinds. */
static void print_cell(uint32_t cell, FILE *stream)
{
    bool several = (cell & (cell - 1)) != 0;
    if (!cell)
        fputc('?', stream);
    if (several)
        fputc('(', stream);
    for (int state = 0; state < MOST_STATES; state++)
        if (cell >> state & 1)
            fputc(symbols[state], stream);
    if (several)
        fputc(')', stream);
}

static void print_row(const struct character_matrix *matrix, const char *taxon, FILE *stream)
{
    size_t row = 0;
    while (row < matrix->taxon_count && strcmp(matrix->taxa[row], taxon) != 0)
        row++;
    fputs("        ", stream);
    label_print(taxon, LABEL_NEXUS, stream);
    fputc(' ', stream);
    for (size_t j = 0; j < matrix->character_count; j++)
        print_cell(row < matrix->taxon_count ? matrix_cell(matrix, row, j) : 0, stream);
    fputc('\n', stream);
}

static void print_characters(const struct character_matrix *matrix, const char *const *taxa, size_t count,
                             FILE *stream)
{
    size_t states = 1;
    for (size_t j = 0; j < matrix->character_count; j++)
        if (matrix->characters[j].state_count > states)
            states = matrix->characters[j].state_count;
    fprintf(stream,
            "BEGIN CHARACTERS;\n    DIMENSIONS NCHAR=%zu;\n"
            "    FORMAT DATATYPE=STANDARD SYMBOLS=\"%.*s\" MISSING=? GAP=-;\n",
            matrix->character_count, (int)states, symbols);
    print_state_labels(matrix, stream);
    fputs("    MATRIX\n", stream);
    for (size_t i = 0; i < count; i++)
        print_row(matrix, taxa[i], stream);
    fputs("    ;\nEND;\n\n", stream);
}

void nexus_print(const struct lineage_document *document, FILE *stream)
{
    struct arena arena = ARENA_INIT;
    struct tree leaves;
    const char **taxa = arena_allocate(&arena, size_multiply(document->tree->count + 1, sizeof *taxa));
    size_t count = collect_taxa(document->tree, taxa);
    move_names_to_leaves(document->tree, &arena, &leaves);
    fputs("#NEXUS\n\n", stream);
    print_taxa(taxa, count, stream);
    if (document->matrix && document->matrix->character_count)
        print_characters(document->matrix, taxa, count, stream);
    fprintf(stream, "BEGIN TREES;\n    TREE %s = [&R] ", document->method);
    newick_print_as(&leaves, LABEL_NEXUS, stream);
    fputs("END;\n", stream);
    arena_release(&arena);
}
