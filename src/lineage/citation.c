#include "lineage/citation.h"
#include "lineage/arborescence.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct adjacency {
    size_t *first;    /* entries of node i are first[i] .. first[i + 1] - 1 */
    uint32_t *others; /* the other end */
};

struct inference {
    size_t node_count;
    const struct node_link *links;
    struct parent_candidate *candidates; /* by child, then parent, until they are sorted by weight */
    size_t candidate_count;
    size_t *first;
    struct adjacency citing; /* of each cited paper, the citing ones */
};

/* ---- the graph ---- */

static int compare_links(const void *a, const void *b)
{
    const struct parent_candidate *x = a, *y = b;
    if (x->child != y->child)
        return x->child < y->child ? -1 : 1;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return x->link < y->link ? -1 : x->link > y->link;
}

static void collect_candidates(struct inference *inference, const char *const *dates, size_t link_count,
                               struct arena *arena)
{
    struct parent_candidate *candidates =
        arena_allocate(arena, size_multiply(link_count + 1, sizeof *candidates));
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < link_count; i++) {
        const struct node_link *link = &inference->links[i];
        if (link->citing != link->cited && date_compare(dates[link->cited], dates[link->citing]) <= 0)
            candidates[count++] =
                (struct parent_candidate){.parent = link->cited, .child = link->citing, .link = i};
    }
    if (count)
        qsort(candidates, count, sizeof *candidates, compare_links);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || candidates[i].child != candidates[kept - 1].child ||
            candidates[i].parent != candidates[kept - 1].parent)
            candidates[kept++] = candidates[i];
    inference->candidates = candidates;
    inference->candidate_count = kept;
    inference->first = arena_allocate(arena, size_multiply(inference->node_count + 2, sizeof(size_t)));
    for (size_t i = 0; i < kept; i++)
        inference->first[candidates[i].child + 1]++;
    for (size_t i = 0; i < inference->node_count; i++)
        inference->first[i + 1] += inference->first[i];
}

static void collect_citing(struct inference *inference, struct arena *arena)
{
    struct adjacency *citing = &inference->citing;
    citing->first = arena_allocate(arena, size_multiply(inference->node_count + 2, sizeof(size_t)));
    citing->others =
        arena_allocate(arena, size_multiply(inference->candidate_count + 1, sizeof *citing->others));
    for (size_t i = 0; i < inference->candidate_count; i++)
        citing->first[inference->candidates[i].parent + 2]++;
    for (size_t i = 2; i < inference->node_count + 2; i++)
        citing->first[i] += citing->first[i - 1];
    for (size_t i = 0; i < inference->candidate_count; i++) /* first[n + 1] moves to the end of n */
        citing->others[citing->first[inference->candidates[i].parent + 1]++] = inference->candidates[i].child;
}

/* ---- the child's own evidence ---- */

static double link_weight(const struct node_link *link)
{
    double weight = link->intents & INTENT_METHODOLOGY ? 2 : 1;
    if (link->influential == 1)
        weight *= 2;
    return link->contexts > 1 ? weight * fmin(sqrt(link->contexts), 4) : weight;
}

/* How many papers cite both the child and each of its candidates. `place` is candidate + 1 of each cited
 * paper, else 0. */
static void count_later(struct inference *inference, size_t child, size_t *place)
{
    const struct adjacency *citing = &inference->citing;
    for (size_t i = inference->first[child]; i < inference->first[child + 1]; i++)
        place[inference->candidates[i].parent] = i + 1;
    for (size_t i = citing->first[child]; i < citing->first[child + 1]; i++) {
        size_t later = citing->others[i];
        for (size_t j = inference->first[later]; j < inference->first[later + 1]; j++) {
            size_t candidate = place[inference->candidates[j].parent];
            if (candidate)
                inference->candidates[candidate - 1].later++;
        }
    }
    for (size_t i = inference->first[child]; i < inference->first[child + 1]; i++)
        place[inference->candidates[i].parent] = 0;
}

static size_t citing_count(const struct inference *inference, size_t node)
{
    return inference->citing.first[node + 1] - inference->citing.first[node];
}

static void weigh_child(struct inference *inference, size_t child)
{
    double sum = 0, seen = (double)citing_count(inference, child);
    for (size_t i = inference->first[child]; i < inference->first[child + 1]; i++) {
        struct parent_candidate *candidate = &inference->candidates[i];
        double everywhere =
            (double)citing_count(inference, candidate->parent) / (double)inference->node_count;
        double here = (candidate->later + LATER_PRIOR * everywhere) / (seen + LATER_PRIOR);
        candidate->share = link_weight(&inference->links[candidate->link]) * here * here / everywhere;
        sum += candidate->share;
    }
    for (size_t i = inference->first[child]; i < inference->first[child + 1]; i++)
        inference->candidates[i].share /= sum;
}

/* ---- the way back ---- */

/* Flows too small to matter are not followed: a share of a millionth of the child's evidence. */
#define SMALLEST_FLOW 1e-6

static void flow_back(struct inference *inference, size_t node, double amount, int steps, const size_t *place)
{
    for (size_t i = inference->first[node]; i < inference->first[node + 1]; i++) {
        const struct parent_candidate *entry = &inference->candidates[i];
        double flow = amount * entry->share;
        if (flow < SMALLEST_FLOW)
            continue;
        if (place[entry->parent])
            inference->candidates[place[entry->parent] - 1].weight += flow;
        if (steps > 1)
            flow_back(inference, entry->parent, flow * WAY_BACK, steps - 1, place);
    }
}

static void gather_flow(struct inference *inference, size_t child, size_t *place)
{
    size_t first = inference->first[child], end = inference->first[child + 1];
    for (size_t i = first; i < end; i++)
        place[inference->candidates[i].parent] = i + 1;
    flow_back(inference, child, 1, 3, place);
    for (size_t i = first; i < end; i++)
        place[inference->candidates[i].parent] = 0;
}

/* ---- the choice ---- */

static int compare_weights(const void *a, const void *b)
{
    const struct parent_candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->parent < y->parent ? -1 : x->parent > y->parent;
}

static double margin_of(const struct parent_candidate *candidates, size_t count, size_t chosen)
{
    if (count < 2)
        return 1;
    double next = candidates[chosen == 0 ? 1 : 0].weight, own = candidates[chosen].weight;
    return own > next ? (own - next) / own : 0;
}

static void choose(const struct inference *inference, struct arena *arena, struct citation_evidence *evidence)
{
    size_t nodes = inference->node_count;
    struct weighted_edge *edges =
        memory_allocate(size_multiply(inference->candidate_count + 1, sizeof *edges));
    for (size_t i = 0; i < inference->candidate_count; i++) {
        const struct parent_candidate *candidate = &inference->candidates[i];
        edges[i] = (struct weighted_edge){candidate->parent, candidate->child, candidate->weight};
    }
    evidence->chosen = arena_allocate(arena, size_multiply(nodes + 1, sizeof *evidence->chosen));
    evidence->margin = arena_allocate(arena, size_multiply(nodes + 1, sizeof *evidence->margin));
    arborescence(nodes, edges, inference->candidate_count, evidence->chosen);
    free(edges);
    for (size_t i = 0; i < nodes; i++) {
        size_t first = inference->first[i];
        bool root = evidence->chosen[i] == ARBORESCENCE_ROOT;
        evidence->margin[i] = root ? NAN
                                   : margin_of(inference->candidates + first, inference->first[i + 1] - first,
                                               evidence->chosen[i] - first);
    }
}

void citation_infer(const char *const *dates, size_t node_count, const struct node_link *links,
                    size_t link_count, struct arena *arena, struct citation_evidence *evidence)
{
    struct inference inference = {.node_count = node_count, .links = links};
    collect_candidates(&inference, dates, link_count, arena);
    collect_citing(&inference, arena);
    size_t *place = memory_allocate_zero(node_count + 1, sizeof *place);
    for (size_t i = 0; i < node_count; i++)
        count_later(&inference, i, place);
    for (size_t i = 0; i < node_count; i++)
        weigh_child(&inference, i);
    for (size_t i = 0; i < node_count; i++)
        gather_flow(&inference, i, place);
    free(place);
    for (size_t i = 0; i < node_count; i++) {
        size_t first = inference.first[i], count = inference.first[i + 1] - first;
        if (count)
            qsort(inference.candidates + first, count, sizeof *inference.candidates, compare_weights);
    }
    *evidence = (struct citation_evidence){.candidates = inference.candidates,
                                           .candidate_count = inference.candidate_count,
                                           .first = inference.first};
    evidence->citing = arena_allocate(arena, size_multiply(node_count + 1, sizeof *evidence->citing));
    for (size_t i = 0; i < node_count; i++)
        evidence->citing[i] = (uint32_t)citing_count(&inference, i);
    choose(&inference, arena, evidence);
}

/* ---- from the catalogue ---- */

/* The links as the catalogue gives them take far more room than numbers: they are let go at once. */
static enum status number_links(struct catalog *catalog, const struct network *variants, struct arena *arena,
                                struct node_link **numbered, size_t *count, struct error *error)
{
    struct arena temporary = ARENA_INIT;
    struct citation_link *links = NULL;
    size_t link_count = 0;
    enum status status = catalog_citations(catalog, NULL, &temporary, &links, &link_count, error);
    *numbered = arena_allocate(arena, size_multiply(link_count + 1, sizeof **numbered));
    *count = 0;
    for (size_t i = 0; !status && i < link_count; i++) {
        size_t citing = network_find(variants, links[i].citing),
               cited = network_find(variants, links[i].cited);
        if (citing == NETWORK_NONE || cited == NETWORK_NONE || strcmp(links[i].source, "hand") == 0)
            continue;
        (*numbered)[(*count)++] = (struct node_link){(uint32_t)citing, (uint32_t)cited, links[i].intents,
                                                     links[i].influential, links[i].contexts};
    }
    arena_release(&temporary);
    return status;
}

static void take_edges(const struct citation_evidence *evidence, struct arena *arena, struct network *network)
{
    network->edges = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *network->edges));
    for (size_t i = 0; i < network->node_count; i++)
        if (evidence->chosen[i] != NETWORK_NONE)
            network->edges[network->edge_count++] = (struct network_edge){
                .parent = evidence->candidates[evidence->chosen[i]].parent,
                .child = i,
                .primary = true,
                .margin = evidence->margin[i],
            };
}

enum status network_from_citations(struct catalog *catalog, const struct network *variants,
                                   struct arena *arena, struct network *inferred,
                                   struct citation_evidence *evidence, struct node_link **links,
                                   struct error *error)
{
    size_t link_count;
    enum status status = number_links(catalog, variants, arena, links, &link_count, error);
    if (status)
        return status;
    const char **dates = arena_allocate(arena, size_multiply(variants->node_count + 1, sizeof *dates));
    for (size_t i = 0; i < variants->node_count; i++)
        dates[i] = variants->nodes[i].date;
    citation_infer(dates, variants->node_count, *links, link_count, arena, evidence);
    *inferred = (struct network){.node_count = variants->node_count};
    inferred->nodes = arena_allocate(arena, size_multiply(variants->node_count + 1, sizeof *inferred->nodes));
    memcpy(inferred->nodes, variants->nodes, variants->node_count * sizeof *inferred->nodes);
    take_edges(evidence, arena, inferred);
    return network_link(inferred, arena, error);
}
