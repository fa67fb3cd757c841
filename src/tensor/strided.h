/* strided.h: walks over strided arrays, shared by the primitives. */
#ifndef CLADE_TENSOR_STRIDED_H
#define CLADE_TENSOR_STRIDED_H

#include "tensor/tensor.h"

/* The strides of a row-major array of this shape. */
void strided_row_major(int rank, const int64_t *shape, int64_t *stride);

/* target[i . target_stride] = source[i . source_stride] for every index i of the shape; with `add` it is
 * added. Targets may repeat (stride 0, overlaps) only with `add`. Strides may be zero or negative in source.
 */
void strided_copy(int rank, const int64_t *shape, real *target, const int64_t *target_stride,
                  const real *source, const int64_t *source_stride, bool add);

/* x as [outer, length, inner] around an axis; only for contiguous x. */
struct around {
    int64_t outer, length, inner;
};
struct around around_axis(const tensor *x, int axis);

#endif
