#include "cases.h"
#include <math.h>

struct arena arena = ARENA_INIT;

int network_setup(void **state)
{
    static struct network network;
    network = (struct network){0};
    *state = &network;
    return 0;
}

int network_teardown(void **state)
{
    arena_release(&arena);
    return 0;
}

static size_t find_unsorted(const struct network *network, const char *key, size_t length)
{
    for (size_t i = 0; i < network->node_count; i++)
        if (strlen(network->nodes[i].key) == length && memcmp(network->nodes[i].key, key, length) == 0)
            return i;
    fail_msg("no node '%.*s'", (int)length, key);
    return NETWORK_NONE;
}

enum status try_build(struct network *network, const char *nodes, const char *edges, struct error *error)
{
    char *rest = arena_copy_string(&arena, nodes);
    for (char *text; (text = strsep(&rest, ","));) {
        char *words = text + strspn(text, " ");
        struct network_node node = {.key = strsep(&words, " ")};
        node.date = strsep(&words, " ");
        node.kind = strsep(&words, " ");
        network->nodes = arena_extend(&arena, network->nodes, network->node_count, sizeof node);
        network->nodes[network->node_count++] = node;
    }
    rest = arena_copy_string(&arena, edges);
    for (char *text; *edges && (text = strsep(&rest, ","));) {
        const char *parent = text + strspn(text, " "), *sign = strpbrk(parent, ">~");
        assert_non_null(sign);
        struct network_edge edge = {
            .parent = find_unsorted(network, parent, (size_t)(sign - parent)),
            .child = find_unsorted(network, sign + 1, strlen(sign + 1)),
            .primary = *sign == '>',
            .margin = NAN,
        };
        network->edges = arena_extend(&arena, network->edges, network->edge_count, sizeof edge);
        network->edges[network->edge_count++] = edge;
    }
    return network_link(network, &arena, error);
}

void build(struct network *network, const char *nodes, const char *edges)
{
    struct error error = ERROR_INIT;
    if (try_build(network, nodes, edges, &error))
        fail_msg("%s", error.message);
}

size_t find(const struct network *network, const char *key)
{
    size_t node = network_find(network, key);
    assert_true(node != NETWORK_NONE);
    return node;
}

const char *keys_of(const struct network *network, const size_t *nodes, size_t count)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_format(&arena, "%s%s%s", text, i ? " " : "", network->nodes[nodes[i]].key);
    return text;
}

const char *keys(const struct network *network)
{
    const char *text = "";
    for (size_t i = 0; i < network->node_count; i++)
        text = arena_format(&arena, "%s%s%s", text, i ? " " : "", network->nodes[i].key);
    return text;
}

const char *edges(const struct network *network)
{
    const char *text = "";
    for (size_t i = 0; i < network->edge_count; i++) {
        const struct network_edge *edge = &network->edges[i];
        text = arena_format(&arena, "%s%s%s%c%s", text, i ? " " : "", network->nodes[edge->parent].key,
                            edge->primary ? '>' : '~', network->nodes[edge->child].key);
    }
    return text;
}
