/* reference_run.h: one run of a reference case, for the reference files. */
#ifndef CLADE_BLOCK_REFERENCE_RUN_H
#define CLADE_BLOCK_REFERENCE_RUN_H

#include "block/block.h"
#include "block/reference.h"
#include "tensor/array.h"
#include "tensor/safetensors.h"

enum { NAME_MAXIMUM = 256 };

/* An input or output of the case. */
struct case_array {
    const char *published;
    char name[NAME_MAXIMUM]; /* ours */
    struct array array;
    struct array
        gradient; /* of an input: dNAME.npy; of an output: r_NAME.npy; without data if there is none */
    tensor *tensor;
};

struct reference_run {
    const struct reference_entry *entry;
    const struct reference_case *reference;
    struct error *error;
    struct case_array inputs[INPUTS_MAXIMUM], outputs[INPUTS_MAXIMUM];
    int input_count, output_count;
    struct array zeros; /* in place of an input that the set does not have */
    int main_input;     /* -1 if there is none */
    struct tensor_file weights, gradients;
    struct block_options options;
    struct block *block;
    struct pool *pool;
    struct graph *graph;
    struct inputs further;
    bool backward;
    struct reference_result *result;
    double largest_gradient; /* norm, in the reference */
};

/* Reads the case's inputs, outputs, weights and gradients (reference_read.c). */
enum status reference_run_read(struct reference_run *run);
/* Merges axes past the third into it: our channels are one axis. */
void merge_axes(struct array *array);
/* Our name of a published weight; false if it is ignored. A single layer has no "layers.0." before its
 * names. */
bool reference_weight_name(const struct reference_run *run, const char *published, char name[NAME_MAXIMUM]);

/* Adds the errors of outputs, after the forward run, and of gradients, after the backward one, to the result
 * (reference_compare.c). */
void reference_compare_outputs(struct reference_run *run);
enum status reference_compare_gradients(struct reference_run *run);

#endif
