/* lineage.c: `clade lineage`. */
#include "cli/descent.h"
#include <stdio.h>

static const struct table_column columns[] = {
    {"VARIANT", COLUMN_TREE}, {"DATE", COLUMN_SPARE}, {"CHANGED", COLUMN_WRAP}};
enum { VARIANT, DATE, CHANGED, COLUMN_COUNT };

struct question {
    const struct network *network;
    size_t node;
    bool down;
    int depth; /* below 0: no limit */
    struct arena *arena;
};

static struct table_row *add_row(struct table *table, struct table_row *parent,
                                 const struct question *question, size_t node, size_t edge, enum style style)
{
    const struct network *network = question->network;
    struct table_row *row = table_row(table, parent);
    table_cell(row, VARIANT, node == question->node ? STYLE_HEADING : style, network->nodes[node].key);
    table_cell(row, DATE, STYLE_PLAIN, network->nodes[node].date);
    const char *changed = edge == NETWORK_NONE ? NULL : network->edges[edge].changed;
    if (edge != NETWORK_NONE && !network->edges[edge].primary)
        changed = arena_format(question->arena, "(%s) %s", question->down ? "borrows" : "donor",
                               changed ? changed : "");
    table_cell(row, CHANGED, STYLE_PLAIN, changed);
    return row;
}

/* The line of primary descent, each with the donors that it borrowed from. */
static void print_up(const struct question *question)
{
    const struct network *network = question->network;
    size_t *line, count;
    network_line(network, question->node, question->arena, &line, &count);
    size_t steps = question->depth < 0 ? count : (size_t)question->depth + 1;
    struct table *table = table_create(columns, COLUMN_COUNT);
    for (size_t i = count > steps ? count - steps : 0; i < count; i++) {
        const struct network_node *node = &network->nodes[line[i]];
        struct table_row *row = add_row(table, NULL, question, line[i], node->primary, STYLE_KEY);
        for (size_t j = 0; j < node->parent_count && question->depth != 0; j++) {
            const struct network_edge *edge = &network->edges[node->parents[j]];
            if (!edge->primary)
                add_row(table, row, question, edge->parent, node->parents[j], STYLE_DIM);
        }
    }
    table_print(table);
}

/* The tree of primary descent, and below its root those that borrow from it. */
static void print_down(const struct question *question)
{
    const struct network *network = question->network;
    struct visit *visits;
    size_t count;
    network_reach(network, question->node, TO_DESCENDANTS, EDGES_PRIMARY, question->depth, question->arena,
                  &visits, &count);
    struct table_row **rows =
        arena_allocate(question->arena, size_multiply(network->node_count, sizeof(struct table_row *)));
    struct table *table = table_create(columns, COLUMN_COUNT);
    for (size_t i = 0; i < count; i++) {
        size_t edge = visits[i].edge;
        struct table_row *parent = edge == NETWORK_NONE ? NULL : rows[network->edges[edge].parent];
        rows[visits[i].node] = add_row(table, parent, question, visits[i].node, edge, STYLE_KEY);
    }
    const struct network_node *node = &network->nodes[question->node];
    for (size_t i = 0; i < node->child_count && question->depth != 0; i++) {
        const struct network_edge *edge = &network->edges[node->children[i]];
        if (!edge->primary && !rows[edge->child])
            add_row(table, rows[question->node], question, edge->child, node->children[i], STYLE_DIM);
    }
    table_print(table);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct network network;
    size_t *nodes;
    enum status status = command_network(line, &network, error);
    if (!status)
        status = command_nodes(line, &network, &nodes, error);
    if (status)
        return status;
    struct question question = {
        .network = &network,
        .node = nodes[0],
        .down = command_given(line, "down"),
        .depth = (int)command_integer(line, "depth", -1),
        .arena = &line->arena,
    };
    if (line->json)
        return print_json(reach_json(&network, question.node, question.down ? TO_DESCENDANTS : TO_ANCESTORS,
                                     question.depth, &line->arena),
                          error);
    if (question.down)
        print_down(&question);
    else
        print_up(&question);
    return STATUS_OK;
}

const struct command command_lineage = {
    .name = "lineage",
    .operands = "KEY",
    .minimum = 1,
    .maximum = 1,
    .completion = COMPLETE_VARIANT,
    .summary = "what a variant descends from, or what descends from it",
    .about =
        "Shows the line of primary descent from its root to the variant, and at each step what changed and, "
        "below it, the donors from whom something was borrowed. With --down shows the tree of its "
        "descendants, "
        "and last those that borrow from it directly.",
    .json =
        "{key, direction, line: [key], nodes: [{key, name, date, family, kind, depth}], edges: [{parent, "
        "child, "
        "primary, changed, exception}]}: direction is \"ancestors\" or \"descendants\"; nodes are all of "
        "those, "
        "over donors too, the variant itself first, depth the number of edges between; line is the line of "
        "primary descent, the root first; edges are all among the nodes",
    .options = OPTION_TABLE({.name = "down", .help = "descendants in place of ancestors"},
                            {.name = "depth",
                             .type = VALUE_INTEGER,
                             .value = "N",
                             .minimum = 0,
                             .maximum = 10000,
                             .help = "at most N steps away"}),
    .examples = EXAMPLES({"clade lineage mamba2", "from the root to Mamba-2, step by step"},
                         {"clade lineage linear-transformer --down --depth 2", "children and grandchildren"}),
    .run = run,
};
