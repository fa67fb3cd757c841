#include "cli/descent.h"

enum status command_network(struct command_line *line, struct network *network, struct error *error)
{
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    return status ? status : network_from_catalog(catalog, &line->arena, network, error);
}

enum status command_nodes(struct command_line *line, const struct network *network, size_t **nodes,
                          struct error *error)
{
    *nodes = arena_allocate(&line->arena, size_multiply(line->operand_count + 1, sizeof **nodes));
    enum status status = STATUS_OK;
    for (size_t i = 0; i < line->operand_count && !status; i++)
        status = network_require(network, line->operands[i], &(*nodes)[i], error);
    return status;
}

const char *keys_text(const struct network *network, const size_t *nodes, size_t count, const char *separator,
                      struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_format(arena, "%s%s%s", text, i ? separator : "", network->nodes[nodes[i]].key);
    return text;
}
