/* safetensors.h: files of named tensors in the safetensors format.
 *
 * A file is a header length (64-bit little-endian), a JSON header and the data of the tensors, one after the
 * other without holes:
 *
 *   {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"KEY": "VALUE"}}
 *
 * Reading holds a file to all of that before anything is allocated for its data, and refuses it with one line
 * that names the file and the tensor (or, for broken JSON, line and column of the header). At most eight
 * times the file's data is allocated for the arrays (bytes read as doubles). */
#ifndef CLADE_TENSOR_SAFETENSORS_H
#define CLADE_TENSOR_SAFETENSORS_H

#include "base/error.h"
#include "base/memory.h"
#include "tensor/array.h"
#include <stddef.h>
#include <stdio.h>

#define SAFETENSORS_MAX_HEADER 100000000 /* bytes, the format's own limit */

/* What a file holds, in the order of its data. Names are unique. */
struct tensor_file {
    int count;
    struct named_array *arrays;
    struct arena memory; /* holds the list and the names; the data of each array is its own */
};

/* On success the caller owns *file (tensor_file_release()); on failure it is zero. Failures are
 * STATUS_OUTSIDE. Dtypes are those of DTYPE_NAMES; __metadata__ is checked and not kept. "-" is standard
 * input. */
enum status safetensors_read(const char *path, struct tensor_file *file, struct error *error);
void tensor_file_release(struct tensor_file *file); /* leaves it zero; a zero one is fine */

/* The array of that name, or NULL. It belongs to the file. */
const struct array *tensor_file_find(const struct tensor_file *file, const char *name);

/* Writes the arrays in the order given, in the dtype of `real`. STATUS_USAGE if a name comes twice or is
 * reserved. */
enum status safetensors_write(const char *path, const struct named_array *arrays, int count,
                              struct error *error);

/* The same from `length` bytes in memory; `name` opens every message. */
enum status safetensors_parse(const char *name, const void *bytes, size_t length, struct tensor_file *file,
                              struct error *error);
/* The same to an open stream; a failure to write stays in the stream (ferror). */
enum status safetensors_print(const struct named_array *arrays, int count, FILE *stream, struct error *error);

#endif
