/* array.h: a dense array of reals, row-major: what the file formats read and write. It knows nothing of
 * graphs. */
#ifndef CLADE_TENSOR_ARRAY_H
#define CLADE_TENSOR_ARRAY_H

#include "tensor/real.h"
#include <stdbool.h>
#include <stdint.h>

#define ARRAY_MAX_RANK 8
#define ARRAY_MAX_SIZE ((int64_t)1 << 53) /* elements; 8 bytes each still count in an int64_t */
#define ARRAY_MAX_FILE 4294967295u        /* bytes: the largest array file that is read */

struct array {
    int rank;                      /* 0 is a scalar: one element */
    int64_t shape[ARRAY_MAX_RANK]; /* a length may be 0: no elements */
    real *data;                    /* owned; NULL only while zero-initialised or released */
};

/* An array under a name, as tensor files hold them. */
struct named_array {
    const char *name; /* UTF-8 */
    struct array array;
};

/* The number of elements of a shape. False if the rank or a length is out of range, or if the product of the
 * lengths that are not zero passes ARRAY_MAX_SIZE (so that strides fit also in an empty array). */
bool array_shape_size(int rank, const int64_t *shape, int64_t *size);

/* Gives the array its shape and uninitialised elements. The shape must be one that array_shape_size()
 * accepts. */
void array_allocate(struct array *array, int rank, const int64_t *shape);
void array_release(struct array *array); /* leaves it zero; a zero array is fine */
int64_t array_size(const struct array *array);

#endif
