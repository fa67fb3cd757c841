/* trees.c: distances, joining and parsimony for the scripts in this folder, which compare them with other
 * programs.
 *
 *   nj|upgma < COUNT, then for each taxon its name and COUNT distances    prints the tree as Newick
 *   parsimony FILE < COUNT CHARACTERS, then for each taxon its name and one word of states 0 .. 9 or ?
 *                                                                         prints the steps that the tree in FILE needs
 */
#include "lineage/exchange.h"
#include "lineage/joining.h"
#include "lineage/parsimony.h"
#include "lineage/read.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena = ARENA_INIT;

static _Noreturn void stop(const char *message)
{
    fprintf(stderr, "trees: %s\n", message);
    exit(1);
}

static const char *read_word(void)
{
    char word[4096];
    if (scanf("%4095s", word) != 1)
        stop("the input ends early");
    return arena_copy_string(&arena, word);
}

static void join(bool average)
{
    size_t count = strtoul(read_word(), NULL, 10);
    const char **names = arena_allocate(&arena, (count + 1) * sizeof *names);
    double *distances = arena_allocate(&arena, (count * count + 1) * sizeof *distances);
    struct tree tree;
    for (size_t i = 0; i < count; i++) {
        names[i] = read_word();
        for (size_t j = 0; j < count; j++)
            distances[i * count + j] = strtod(read_word(), NULL);
    }
    if (average)
        average_linkage(names, distances, count, &arena, &tree);
    else
        neighbour_joining(names, distances, count, &arena, &tree);
    newick_print(&tree, stdout);
}

static void count_steps(const char *path)
{
    static const char *states[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct character_matrix matrix = {.taxon_count = strtoul(read_word(), NULL, 10)};
    struct tree tree;
    struct error error = ERROR_INIT;
    matrix.character_count = strtoul(read_word(), NULL, 10);
    matrix.taxa = arena_allocate(&arena, (matrix.taxon_count + 1) * sizeof *matrix.taxa);
    matrix.characters = arena_allocate(&arena, (matrix.character_count + 1) * sizeof *matrix.characters);
    matrix.cells =
        arena_allocate(&arena, (matrix.taxon_count * matrix.character_count + 1) * sizeof *matrix.cells);
    for (size_t j = 0; j < matrix.character_count; j++)
        matrix.characters[j] = (struct matrix_character){"character", states, 10};
    for (size_t i = 0; i < matrix.taxon_count; i++) {
        matrix.taxa[i] = read_word();
        const char *row = read_word();
        for (size_t j = 0; j < matrix.character_count; j++)
            matrix.cells[i * matrix.character_count + j] = row[j] == '?' ? 0 : UINT32_C(1) << (row[j] - '0');
    }
    if (tree_read(path, &arena, &tree, &error))
        stop(error.message);
    size_t *steps = arena_allocate(&arena, (matrix.character_count + 1) * sizeof *steps);
    printf("%zu\n", parsimony_steps(&tree, &matrix, steps));
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "nj") == 0)
        join(false);
    else if (count == 2 && strcmp(words[1], "upgma") == 0)
        join(true);
    else if (count == 3 && strcmp(words[1], "parsimony") == 0)
        count_steps(words[2]);
    else
        stop("usage: trees nj|upgma, or trees parsimony FILE");
    arena_release(&arena);
    return 0;
}
