/* A linear map over tokens, the same for every channel. */
#ifndef CLADE_MIXER_TOKEN_LINEAR_H
#define CLADE_MIXER_TOKEN_LINEAR_H

#include "block/kernel.h"
#include <math.h>

/* W x + b for x [.., T, D] with parameters NAME.weight [outputs, inputs] and NAME.bias [outputs]:
 * [.., rows, D]. Fewer tokens than inputs have weights in the first columns, fewer rows than outputs in the
 * first rows. */
static inline tensor *token_linear(struct scope *s, const char *name, tensor *x, int64_t inputs,
                                   int64_t outputs, int64_t rows)
{
    double bound = 1 / sqrt((double)inputs);
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(outputs, inputs));
    tensor *bias =
        parameter(s, part_name(s, "%s.bias", name), init_uniform(-bound, bound), 1, SHAPE(outputs));
    weight = tensor_slice(tensor_slice(weight, 0, 0, rows), 1, 0, tensor_length(x, -2));
    bias = tensor_slice(bias, 0, 0, rows);
    return tensor_add(tensor_matmul(weight, x), tensor_reshape(bias, 2, SHAPE(rows, 1)));
}

#endif
