/* weights.h: a block's parameters from a file of tensors. */
#ifndef CLADE_BLOCK_WEIGHTS_H
#define CLADE_BLOCK_WEIGHTS_H

#include "block/parameters.h"
#include "tensor/safetensors.h"

/* Our name of a stored tensor; NULL if it is to be ignored. Valid until the next call. */
typedef const char *weights_name(void *argument, const char *stored);

/* Fills every parameter and buffer. STATUS_USAGE, with the stored name, for a tensor that is left over, has
 * another shape or goes where another did, and for a parameter that none fills. A scalar fills a parameter
 * [1]. `name` NULL: the names are ours. */
enum status weights_load(struct parameters *parameters, const struct tensor_file *file, weights_name *name,
                         void *argument, struct error *error);

/* "[2, 3]" */
void weights_shape_text(int rank, const int64_t *shape, char *text, size_t size);

#endif
