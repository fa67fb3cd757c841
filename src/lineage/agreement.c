#include "lineage/agreement.h"
#include "lineage/queries.h"

/* Edges from `node` up the primary line to `ancestor`; -1 if it is not on it. */
static int steps_up(const struct network *network, size_t node, size_t ancestor)
{
    int steps = 0;
    while (node != NETWORK_NONE && node != ancestor) {
        node = network_primary_parent(network, node);
        steps++;
    }
    return node == NETWORK_NONE ? -1 : steps;
}

static int steps_over_all(const struct network *network, size_t node, size_t ancestor, struct arena *arena)
{
    struct visit *visits;
    size_t count;
    network_reach(network, node, TO_ANCESTORS, EDGES_ALL, -1, arena, &visits, &count);
    for (size_t i = 0; i < count; i++)
        if (visits[i].node == ancestor)
            return visits[i].depth;
    return -1;
}

static bool is_donor(const struct network *network, size_t node, size_t donor)
{
    for (size_t i = 0; i < network->nodes[node].parent_count; i++) {
        const struct network_edge *edge = &network->edges[network->nodes[node].parents[i]];
        if (!edge->primary && edge->parent == donor)
            return true;
    }
    return false;
}

static void judge(const struct network *network, struct parent_verdict *verdict, struct arena *arena)
{
    int up = steps_up(network, verdict->first, verdict->second);
    int down = steps_up(network, verdict->second, verdict->first);
    verdict->distance = steps_over_all(network, verdict->node, verdict->second, arena);
    verdict->steps = up;
    if (up == 0) {
        verdict->kinship = KIN_SAME;
    } else if (up > 0) {
        verdict->kinship = KIN_ANCESTOR;
    } else if (is_donor(network, verdict->node, verdict->second)) {
        verdict->kinship = KIN_DONOR;
        verdict->steps = 1;
    } else if (verdict->distance > 0) {
        verdict->kinship = KIN_RELATIVE;
        verdict->steps = verdict->distance - 1;
    } else if (down > 0) {
        verdict->kinship = KIN_DESCENDANT;
        verdict->steps = down;
    } else {
        verdict->kinship = KIN_DISTANT;
    }
}

void network_agreement(const struct network *first, const struct network *second, struct arena *arena,
                       struct agreement *agreement)
{
    *agreement =
        (struct agreement){.verdicts = arena_allocate(
                               arena, size_multiply(first->node_count + 1, sizeof(struct parent_verdict)))};
    for (size_t i = 0; i < first->node_count; i++) {
        size_t other = network_find(second, first->nodes[i].key);
        if (other == NETWORK_NONE || first->nodes[i].primary == NETWORK_NONE ||
            second->nodes[other].primary == NETWORK_NONE)
            continue;
        const struct network_edge *edge = &second->edges[second->nodes[other].primary];
        struct parent_verdict verdict = {.node = i,
                                         .first = network_primary_parent(first, i),
                                         .second = network_find(first, second->nodes[edge->parent].key),
                                         .margin = edge->margin};
        if (verdict.second == NETWORK_NONE)
            continue;
        judge(first, &verdict, arena);
        agreement->verdicts[agreement->count++] = verdict;
    }
}

size_t agreement_within(const struct agreement *agreement, int steps, bool donors)
{
    size_t count = 0;
    for (size_t i = 0; i < agreement->count; i++) {
        const struct parent_verdict *verdict = &agreement->verdicts[i];
        bool line = verdict->kinship == KIN_SAME || verdict->kinship == KIN_ANCESTOR;
        int distance = donors ? verdict->distance - 1 : line ? verdict->steps : -1;
        count += distance >= 0 && distance <= steps;
    }
    return count;
}
