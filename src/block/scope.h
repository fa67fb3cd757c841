/* scope.h: what a building hands around beside kernel.h: further inputs and outputs by name. */
#ifndef CLADE_BLOCK_SCOPE_H
#define CLADE_BLOCK_SCOPE_H

#include "block/kernel.h"

enum { INPUTS_MAXIMUM = 16 };

/* Named tensors of one graph; given to a building as inputs, collected from it as outputs. Names belong to
 * the caller. */
struct inputs {
    int count;
    const char *names[INPUTS_MAXIMUM];
    tensor *values[INPUTS_MAXIMUM];
    bool used[INPUTS_MAXIMUM]; /* whether a kernel has asked for it */
    const char *missing;       /* the latest that a kernel asked for and did not get; NULL if none */
    int output_count;
    const char *output_names[INPUTS_MAXIMUM];
    tensor *outputs[INPUTS_MAXIMUM];
};

/* The scope of the parallel form over tokens that a step has kept, from position 0 on. */
struct scope scope_parallel(const struct scope *s);
/* What the residual kernel of the scope's layer multiplies random initial weights by; 1 without one that
 * does. */
double layer_initial_scale(const struct scope *s);

#endif
