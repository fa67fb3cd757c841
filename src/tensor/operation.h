/* operation.h: what the files that implement primitives share; kernels do not include it.
 *
 * A primitive is a constructor that checks shapes and records a node, and an operation with forward and
 * backward. When forward runs, inputs' data are there and the outputs' storage is allocated, uninitialised,
 * contiguous. When backward runs, output_gradient() gives dL/dy (NULL if that output took no part) and
 * input_gradient() the place, zeroed at first, to which dL/dx is added. Inputs may be strided views:
 * gradients have the strides of the data. */
#ifndef CLADE_TENSOR_OPERATION_H
#define CLADE_TENSOR_OPERATION_H

#include "base/memory.h"
#include "tensor/tensor.h"

struct operation {
    const char *name;
    void (*forward)(tensor *y);
    void (*backward)(tensor *y); /* NULL: no gradient passes */
    unsigned saves; /* what backward reads: SAVES_INPUT(i) | SAVES_OUTPUT (with its further outputs) */
    bool in_place;  /* the output may take the storage of an input of the same shape at its last use */
};
#define SAVES_INPUT(i) (1u << (i))
#define SAVES_OUTPUT (1u << 31)

/* Records a node. It needs a gradient if any input does and the operation has a backward. `attributes` are
 * copied (size 0: none). */
tensor *node_create(struct graph *graph, const struct operation *operation, int rank, const int64_t *shape,
                    int input_count, tensor *const *inputs, const void *attributes, size_t attribute_size);
/* A further result of the same operation, to be made right after it, in order. */
tensor *node_add_output(tensor *primary, int rank, const int64_t *shape);
tensor *node_output(tensor *primary, int number); /* 0 is the primary itself */
/* A view of x; strides in elements, offset from x's first element. Entries must not overlap. */
tensor *node_view(tensor *x, int rank, const int64_t *shape, const int64_t *stride, int64_t offset);
/* A node that writes into storage it does not own (a leaf's, such as a cache) and then is a view of it. */
tensor *node_write(tensor *target, const struct operation *operation, int rank, const int64_t *shape,
                   const int64_t *stride, int64_t offset, int input_count, tensor *const *inputs,
                   const void *attributes, size_t attribute_size);
/* Counts what the node does; backward_flops < 0 means twice the forward. Bytes are taken from the node's
 * inputs and outputs. */
void node_count(tensor *y, double flops, double backward_flops);

/* dL/dx of input i, allocated and zeroed at the first call; NULL if it needs none. */
real *input_gradient(tensor *y, int i);
/* dL/dy, contiguous; NULL if nothing reached this output. */
const real *output_gradient(const tensor *y);

/* Makes dL/dy itself that of input i, which has y's shape and the derivative 1, where nothing was added to it
 * yet and nobody else reads dL/dy. The last thing that a backward does; if false it adds as usual. */
bool pass_gradient(tensor *y, int i);

/* For what only values can show (an index out of range): the run stops after this forward or backward, which
 * returns at once and leaves its outputs as they are, and raises the first message. Not inside parallel
 * regions, so that the first one does not depend on the number of threads. */
void graph_fail(struct graph *graph, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Scratch for the length of one forward or backward; call outside parallel regions. */
real *scratch_take(struct graph *graph, size_t count);
void scratch_give(struct graph *graph, real *scratch);

/* Buffers (pool.c), 64-byte aligned; filled with signalling NaN in poisoned builds. */
void *pool_take(struct pool *pool, size_t bytes);
void pool_give(struct pool *pool, void *buffer);

struct arena *graph_arena(struct graph *graph);
struct pool *graph_pool(struct graph *graph);

int axis_index(const tensor *x, int axis); /* resolves negative axes; raises when out of range */
/* "[2, 3, 4]" for messages; lives in the graph's arena. */
const char *shape_text(const tensor *x);
/* Raises "NAME: expected WHAT, got SHAPE" unless ok. */
void require(bool ok, const tensor *x, const char *name, const char *what);
/* x itself if its last axis is contiguous (or all of it, with `whole`), else a copy. */
tensor *with_contiguous_rows(tensor *x);

/* Parallel loops: `#pragma omp parallel for num_threads(threads_for(work))` with `work` in elementary
 * operations, so that small loops stay on one thread. Each output element must be computed by one iteration,
 * over tiles that do not depend on the number of threads. */
int threads_for(double work);

#endif
