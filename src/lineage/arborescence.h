/* arborescence.h: the heaviest forest that descends from few roots (Chu-Liu and Edmonds, in the form of
 * Tarjan). */
#ifndef CLADE_LINEAGE_ARBORESCENCE_H
#define CLADE_LINEAGE_ARBORESCENCE_H

#include <stddef.h>
#include <stdint.h>

#define ARBORESCENCE_ROOT SIZE_MAX

struct weighted_edge {
    uint32_t parent, child;
    double weight; /* finite, at least 0 */
};

/* For each node the edge that leads to it, or ARBORESCENCE_ROOT. Of all forests with the fewest roots it is
 * one with the largest sum of weights; where several are equal, earlier edges are taken. Edges between a node
 * and itself are ignored. O(edges * log(edges)). */
void arborescence(size_t node_count, const struct weighted_edge *edges, size_t edge_count, size_t *chosen);

#endif
