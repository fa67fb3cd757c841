/* graph.h: the graph's inside, shared by graph.c, which records, and run.c, which computes. */
#ifndef CLADE_TENSOR_GRAPH_H
#define CLADE_TENSOR_GRAPH_H

#include "tensor/operation.h"
#include <setjmp.h>

struct graph {
    struct arena arena;
    struct pool *pool;
    bool gradients;
    tensor **tape; /* nodes in the order they were made; inputs come before their readers */
    int count, capacity;
    struct cost cost;   /* of all that is recorded */
    struct cost spared; /* of what the latest run passed over */
    int passed_until;   /* nodes before this one are passed over in the present run */
    bool *needed;       /* per node, for the latest run */
    bool holds;
    real **held; /* per node, from the first run of a graph that holds; NULL before it */
    jmp_buf *protect;
    struct error *error;  /* where a raise puts its message, while protected */
    struct error failure; /* of the present run, by graph_fail() */
    bool timed;
    double core_seconds; /* of the latest run, while timed */
};

/* Gives back the buffers of every node that owns any; leaves' data are not the graph's. */
void graph_release_buffers(struct graph *graph);
/* For the forward of a guard: the nodes after it up to `last` are not computed in this run. */
void graph_pass_over(struct graph *graph, int last, struct cost spared);
/* Term by term. */
struct cost cost_difference(struct cost a, struct cost b);

#endif
