/* Attention over keys that were seen in parts: each part's share of the exponentials follows from the log
 * sums. */
#include "tensor/operation.h"
#include <math.h>

tensor *tensor_join_attention(int count, tensor *const *parts, tensor *const *log_sums)
{
    struct graph *graph = parts[0]->graph;
    struct arena *arena = graph_arena(graph);
    tensor **rows = arena_allocate(arena, (size_t)count * sizeof(tensor *));
    tensor *empty = tensor_scalar(graph, INFINITY), *none = tensor_scalar(graph, -INFINITY);
    for (int i = 0; i < count; i++) {
        const tensor *part = parts[i], *sum = log_sums[i];
        require(part->rank == 4 && sum->rank == 3 && sum->shape[0] == part->shape[0] &&
                    sum->shape[1] == part->shape[2] && sum->shape[2] == part->shape[1],
                sum, "join_attention", "log sums [B, H, T]");
        tensor *seen = tensor_where(tensor_equal(log_sums[i], empty), none, log_sums[i]);
        int64_t shape[] = {part->shape[0], part->shape[1], part->shape[2], 1};
        rows[i] = tensor_reshape(tensor_transpose(seen, 1, 2), 4, shape);
    }
    tensor *shares = tensor_softmax(tensor_concat(count, rows, 3), 3), *y = NULL;
    for (int i = 0; i < count; i++) {
        tensor *term = tensor_multiply(parts[i], tensor_slice(shares, 3, i, 1));
        y = y ? tensor_add(y, term) : term;
    }
    return y;
}
