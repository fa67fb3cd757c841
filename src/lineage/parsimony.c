#include "lineage/parsimony.h"
#include <stdlib.h>
#include <string.h>

/* One character on one tree. */
struct history {
    const struct tree *tree;
    const uint32_t *observed; /* of each node; 0: unknown */
    uint32_t all;             /* every state of the character */
    uint32_t *possible; /* states that a shortest history may give the node, as far as its descendants tell */
    unsigned *counts;   /* MOST_STATES a node: children that have the state among theirs */
    uint32_t *state;    /* the one that was chosen */
};

static void history_init(struct history *history, const struct tree *tree, struct arena *arena)
{
    size_t count = tree->count + 1;
    history->tree = tree;
    history->possible = arena_allocate(arena, size_multiply(count, sizeof *history->possible));
    history->state = arena_allocate(arena, size_multiply(count, sizeof *history->state));
    history->counts =
        arena_allocate(arena, size_multiply(size_multiply(count, MOST_STATES), sizeof *history->counts));
}

static void count_states(unsigned *counts, uint32_t states)
{
    for (; states; states &= states - 1)
        counts[__builtin_ctz(states)]++;
}

/* The states that most children have; what the others have costs a step each. */
static size_t settle(struct history *history, size_t node)
{
    const unsigned *counts = history->counts + node * MOST_STATES;
    unsigned most = 0, voices = (unsigned)history->tree->nodes[node].child_count;
    uint32_t observed = history->observed[node] & history->all;
    if (observed)
        voices++;
    for (int state = 0; state < MOST_STATES; state++)
        most = counts[state] > most ? counts[state] : most;
    uint32_t possible = 0;
    for (int state = 0; state < MOST_STATES; state++)
        if (counts[state] == most)
            possible |= UINT32_C(1) << state;
    history->possible[node] = most ? possible & history->all : history->all;
    return most ? voices - most : 0;
}

/* From the leaves to the root; returns the number of steps. */
static size_t gather(struct history *history)
{
    const struct tree *tree = history->tree;
    size_t steps = 0;
    memset(history->counts, 0, tree->count * MOST_STATES * sizeof *history->counts);
    for (size_t i = tree->count; i-- > 0;) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        count_states(history->counts + node * MOST_STATES, history->observed[node] & history->all);
        steps += settle(history, node);
        if (parent != TREE_NONE)
            count_states(history->counts + parent * MOST_STATES, history->possible[node]);
    }
    return steps;
}

static size_t taxon_of(const struct character_matrix *matrix, const char *name)
{
    size_t i = 0;
    while (i < matrix->taxon_count && strcmp(matrix->taxa[i], name) != 0)
        i++;
    return i;
}

/* The row of each node's name; matrix->taxon_count where it has none. */
static size_t *find_rows(const struct tree *tree, const struct character_matrix *matrix, struct arena *arena)
{
    size_t *rows = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *rows));
    for (size_t i = 0; i < tree->count; i++)
        rows[i] = tree->nodes[i].name ? taxon_of(matrix, tree->nodes[i].name) : matrix->taxon_count;
    return rows;
}

static void observe(struct history *history, const struct character_matrix *matrix, const size_t *rows,
                    size_t character, uint32_t *observed)
{
    size_t states = matrix->characters[character].state_count;
    history->all = states >= 32 ? UINT32_MAX : (UINT32_C(1) << states) - 1;
    for (size_t i = 0; i < history->tree->count; i++)
        observed[i] = rows[i] < matrix->taxon_count ? matrix_cell(matrix, rows[i], character) : 0;
    history->observed = observed;
}

size_t parsimony_steps(const struct tree *tree, const struct character_matrix *matrix, size_t *steps)
{
    struct arena arena = ARENA_INIT;
    struct history history;
    struct tree joined;
    size_t sum = 0;
    tree_join(tree, &arena, &joined);
    history_init(&history, &joined, &arena);
    size_t *rows = find_rows(&joined, matrix, &arena);
    uint32_t *observed = arena_allocate(&arena, size_multiply(joined.count + 1, sizeof *observed));
    for (size_t j = 0; j < matrix->character_count; j++) {
        observe(&history, matrix, rows, j, observed);
        steps[j] = gather(&history);
        sum += steps[j];
    }
    arena_release(&arena);
    return sum;
}

size_t parsimony_least(const struct character_matrix *matrix, size_t character)
{
    uint32_t alone = 0;
    for (size_t i = 0; i < matrix->taxon_count; i++) {
        uint32_t cell = matrix_cell(matrix, i, character);
        if (cell && (cell & (cell - 1)) == 0)
            alone |= cell;
    }
    return alone ? (size_t)__builtin_popcount(alone) - 1 : 0;
}

/* ---- gains ---- */

/* From the root to the leaves: the parent's state if the node may have it, else the first that it may
 * have. */
static void choose_states(struct history *history)
{
    const struct tree *tree = history->tree;
    for (size_t i = 0; i < tree->count; i++) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        uint32_t possible = history->possible[node];
        uint32_t same = parent == TREE_NONE ? 0 : possible & history->state[parent];
        history->state[node] = same ? same : possible & -possible;
    }
}

static void add_gain(struct convergence *gains, uint32_t state, size_t node, struct arena *arena)
{
    struct convergence *gain = &gains[__builtin_ctz(state)];
    gain->nodes = arena_extend(arena, gain->nodes, gain->count, sizeof *gain->nodes);
    gain->nodes[gain->count++] = node;
}

/* A gain is where a node's state is not its parent's, or where what a named inner node shows is not its
 * own. */
static void collect_gains(const struct history *history, struct convergence gains[MOST_STATES],
                          struct arena *arena)
{
    const struct tree *tree = history->tree;
    for (size_t i = 0; i < tree->count; i++) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        uint32_t observed = history->observed[node] & history->all;
        if (parent != TREE_NONE && history->state[node] != history->state[parent])
            add_gain(gains, history->state[node], node, arena);
        if (observed && !(observed & history->state[node]))
            add_gain(gains, observed & -observed, node, arena);
    }
}

static int compare_convergences(const void *a, const void *b)
{
    const struct convergence *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->character != y->character)
        return x->character < y->character ? -1 : 1;
    return x->state < y->state ? -1 : x->state > y->state;
}

void parsimony_convergences(const struct tree *tree, const struct character_matrix *matrix,
                            struct arena *arena, struct convergence **convergences, size_t *count)
{
    struct history history;
    struct tree joined;
    tree_join(tree, arena, &joined);
    history_init(&history, &joined, arena);
    size_t *rows = find_rows(&joined, matrix, arena);
    uint32_t *observed = arena_allocate(arena, size_multiply(joined.count + 1, sizeof *observed));
    *convergences = NULL;
    *count = 0;
    for (size_t j = 0; j < matrix->character_count; j++) {
        struct convergence gains[MOST_STATES] = {{0}};
        observe(&history, matrix, rows, j, observed);
        gather(&history);
        choose_states(&history);
        collect_gains(&history, gains, arena);
        for (size_t state = 0; state < MOST_STATES; state++) {
            if (gains[state].count < 2)
                continue;
            gains[state].character = j;
            gains[state].state = state;
            *convergences = arena_extend(arena, *convergences, *count, sizeof **convergences);
            (*convergences)[(*count)++] = gains[state];
        }
    }
    if (*count)
        qsort(*convergences, *count, sizeof **convergences, compare_convergences);
}
