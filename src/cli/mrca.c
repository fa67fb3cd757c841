/* mrca.c: `clade mrca`. */
#include "cli/descent.h"
#include <stdio.h>

struct answer {
    size_t *nodes; /* asked for */
    size_t count;
    size_t primary;   /* over the primary edges; NETWORK_NONE if there is none */
    size_t *over_all; /* over donors too */
    size_t over_all_count;
};

/* The way from an ancestor to a node that descends from it, both included. */
static void find_way(const struct network *network, size_t ancestor, size_t node, struct arena *arena,
                     size_t **way, size_t *count)
{
    struct path path;
    *way = NULL;
    *count = 0;
    if (!network_path(network, ancestor, node, arena, &path))
        return;
    *way = arena_allocate(arena, size_multiply(path.count + 1, sizeof **way));
    (*way)[(*count)++] = ancestor;
    for (size_t i = 0; i < path.count; i++)
        (*way)[(*count)++] = network->edges[path.steps[i].edge].child;
}

static size_t nearest(const struct answer *answer)
{
    return answer->primary != NETWORK_NONE ? answer->primary : answer->over_all[0];
}

static enum status print_document(const struct network *network, const struct answer *answer,
                                  struct arena *arena, struct error *error)
{
    cJSON *document = cJSON_CreateObject(), *ways = cJSON_CreateArray();
    cJSON_AddItemToObject(document, "keys", keys_json(network, answer->nodes, answer->count));
    cJSON_AddItemToObject(document, "mrca",
                          answer->primary == NETWORK_NONE ? cJSON_CreateNull()
                                                          : node_json(&network->nodes[answer->primary]));
    cJSON_AddItemToObject(document, "over_donors",
                          keys_json(network, answer->over_all, answer->over_all_count));
    for (size_t i = 0; i < answer->count && answer->over_all_count; i++) {
        size_t *way, length;
        find_way(network, nearest(answer), answer->nodes[i], arena, &way, &length);
        cJSON_AddItemToArray(ways, keys_json(network, way, length));
    }
    cJSON_AddItemToObject(document, "ways", ways);
    return print_json(document, error);
}

static void print_answer(const struct network *network, const struct answer *answer, struct arena *arena)
{
    const struct network_node *node = &network->nodes[nearest(answer)];
    print_styled(stdout, STYLE_HEADING, node->key);
    if (node->date) {
        fputs("  ", stdout);
        print_clean(stdout, node->date);
    }
    if (node->name) {
        fputs("  ", stdout);
        print_clean(stdout, node->name);
    }
    putchar('\n');
    for (size_t i = 0; i < answer->count; i++) {
        size_t *way, length;
        find_way(network, nearest(answer), answer->nodes[i], arena, &way, &length);
        print_paragraph(2, keys_text(network, way, length, " > ", arena));
    }
    if (answer->primary == NETWORK_NONE)
        print_paragraph(0, "over donors only: the lines of primary descent have different roots");
    if (answer->over_all_count != 1 || answer->over_all[0] != answer->primary)
        print_paragraph(
            0, arena_format(arena, "over donors too: %s",
                            keys_text(network, answer->over_all, answer->over_all_count, ", ", arena)));
}

static enum status run(struct command_line *line, struct error *error)
{
    struct network network;
    struct answer answer = {.count = line->operand_count, .primary = NETWORK_NONE};
    enum status status = command_network(line, &network, error);
    if (!status)
        status = command_nodes(line, &network, &answer.nodes, error);
    if (status)
        return status;
    size_t *primary, found;
    network_common_ancestors(&network, answer.nodes, answer.count, EDGES_PRIMARY, &line->arena, &primary,
                             &found);
    if (found)
        answer.primary = primary[0];
    network_common_ancestors(&network, answer.nodes, answer.count, EDGES_ALL, &line->arena, &answer.over_all,
                             &answer.over_all_count);
    if (line->json)
        status = print_document(&network, &answer, &line->arena, error);
    else if (answer.over_all_count)
        print_answer(&network, &answer, &line->arena);
    if (!status && !answer.over_all_count)
        return error_set(error, STATUS_NO, "%s have no common ancestor",
                         keys_text(&network, answer.nodes, answer.count, " and ", &line->arena));
    return status;
}

const struct command command_mrca = {
    .name = "mrca",
    .operands = "A B...",
    .minimum = 2,
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "the most recent common ancestor of variants",
    .about = "Finds the most recent variant from which all of the given ones descend, along primary descent, "
             "and the "
             "way from it to each. Where donors count too there may be several of which none descends from "
             "another: "
             "they are named as well if they differ. A variant is its own ancestor. Ends with status 1 if "
             "there is no "
             "common ancestor.",
    .json =
        "{keys, mrca: {key, name, date, family, kind}, over_donors: [key], ways: [[key]]}: mrca is null "
        "where "
        "only donors join the variants; ways lead from it, or from the first over donors, to each of keys",
    .examples = EXAMPLES({"clade mrca gla mamba2", "where two lines part"},
                         {"clade mrca retnet gla deltanet rwkv4", "of several"}),
    .run = run,
};
