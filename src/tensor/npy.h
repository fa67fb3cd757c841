/* npy.h: numpy's .npy files, one array each.
 *
 * Read: versions 1 to 3, either order, little-endian dtypes of DTYPE_DESCRS. Everything else is refused with
 * one line that names the file: other dtypes, more than ARRAY_MAX_RANK dimensions, a header over 10,000
 * bytes, data that is shorter or longer than the shape says. Nothing larger than a constant times the file is
 * ever allocated. Written: version 1, dtype of `real`, data at a multiple of 64 bytes. */
#ifndef CLADE_TENSOR_NPY_H
#define CLADE_TENSOR_NPY_H

#include "base/error.h"
#include "tensor/array.h"
#include <stddef.h>
#include <stdio.h>

/* On success the caller owns *array (array_release()); on failure it is zero. Failures are STATUS_OUTSIDE.
 * "-" is standard input or output. */
enum status npy_read(const char *path, struct array *array, struct error *error);
enum status npy_write(const char *path, const struct array *array, struct error *error);

/* The same from `length` bytes in memory; `name` opens every message. */
enum status npy_parse(const char *name, const void *bytes, size_t length, struct array *array,
                      struct error *error);
/* The same to an open stream; a failure stays in the stream (ferror). */
void npy_print(const struct array *array, FILE *stream);

#endif
