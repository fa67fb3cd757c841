/* stretched-taps.h: filters w [C, H, n] stretched by a whole factor, as images are enlarged: tap j reads (j +
 * 1/2) / factor - 1/2, between two taps linearly, or tap j / factor. */
#ifndef CLADE_KERNELS_STRETCHED_TAPS_H
#define CLADE_KERNELS_STRETCHED_TAPS_H

#include "block/kernel.h"

/* The first `taps` of them. */
static inline tensor *stretched_taps(tensor *w, int64_t factor, int64_t taps, bool linear)
{
    if (factor == 1)
        return tensor_slice(w, 2, 0, taps);
    struct graph *graph = w->graph;
    int64_t last = w->shape[2] - 1;
    tensor *left = tensor_constant(graph, NULL, 3, SHAPE(1, 1, taps));
    tensor *right = tensor_constant(graph, NULL, 3, SHAPE(1, 1, taps));
    tensor *weight = tensor_constant(graph, NULL, 3, SHAPE(1, 1, taps));
    for (int64_t j = 0; j < taps; j++) {
        double place = linear ? ((double)j + 0.5) / (double)factor - 0.5 : (double)(j / factor);
        place = place < 0 ? 0 : place;
        int64_t below = (int64_t)place;
        left->data[j] = (real)below;
        right->data[j] = (real)(below < last ? below + 1 : last);
        weight->data[j] = (real)(place - (double)below);
    }
    tensor *a = tensor_gather(w, 2, left);
    if (!linear)
        return a;
    return tensor_add(a, tensor_multiply(weight, tensor_subtract(tensor_gather(w, 2, right), a)));
}

#endif
