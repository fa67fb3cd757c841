/* reference.h: a kernel or block held against what a published implementation computes.
 *
 * A case is a folder with case.json ("key": the set, "config" in the published argument names, "inputs" and
 * "outputs" by name), NAME.npy for each input and output, weights.safetensors in published names, and, where
 * there are gradients, r.npy (or r_OUTPUT.npy), grads.safetensors and dINPUT.npy, the gradients of
 * sum(r * y). The catalogue's entry of the set says how that maps to our kernels:
 *
 * slot, part: what the set computes: a slot's kernel alone ("position" is seen through the mixer), or "block"
 *   for the composition with its norms and residuals; `part` is a layer of a pattern.
 * options: for every argument of the config
 *   "heads", "ffn.hidden", "attention.mixer.window"   sets this option, in every kernel that has it unless
 *                                 the slot is named; "width" and "layers" (all of them, the pattern over and
 *                                 over) are the block's own
 *   ["mixer.bias", "ffn.bias"]    sets each
 *   null                          has no effect on the function
 *   {"option": "activation", "values": {"gelu_new": "gelu_tanh", "relu": "relu"}}   translates; values that
 *                                 are no strings are written as JSON: "true", "[4,2]", "null"; "others":
 *                                 true takes what is not listed as it is
 *   {"values": {"true": {"conv": 4}, "false": {"position": null}}}   each value is a set of settings
 *   {"words": {"sum": {"joined": "sum"}, "nearest": {..}}}   the settings of each word that the string holds
 *   {"option": "window", "times": 0.5, "plus": 1}   the number times one and plus another, rounded down
 *   {"option": "depths", "flat": true}   a list in lists, or a single value, as one list
 *   {"option": "ffn.expand", "scale": 0.5}   the number times one, as it is
 *   {"options": ["dt_minimum", "dt_maximum"]}   a list, each entry to an option of its own; null: its default
 *   {"option": "conv", "when": "use_short_conv"}   only if that argument is given and not false, null or 0
 *   {"option": "roll", "with": {"feature_map": "dpfp"}}   settings that hold too where the argument is given
 *   A null in the config is the published default: nothing is set, unless "values" has "null".
 * fixed: settings that hold for every case. Settings are options with values, or slots with their filling
 *   ({"position": {"kernel": "rotary"}}, in every layer or with the layer's name before it) or null to empty
 *   them, or "pattern": ["mamba", "attention", "attention"], the composition's layers in another order. What
 *   config says of an emptied slot, or of a layer that the pattern leaves out, has no effect.
 * weights, inputs, outputs: published names that differ from ours, each a whole name or its first components;
 *   the longest wins. "*" stands for one component ("blocks.*.attn": "layers.*.mixer"), "*2" for an
 *   even number 2 n and "*2+1" for an odd one 2 n + 1, where "*" in ours is n; null: ignored, such
 *   as a causal mask. Instead of a name {"name": "mixer.qkv_proj", "transposed": true}: matrices are stored as
 *   [in, out]; "matrix": true: all axes but the first are merged; {"name": "noise", "input": true}: a further
 *   input of the kernel, stored among the weights; for inputs and outputs {"name": "x", "channels_first": true}:
 *   [B, D, ..] is taken as [B, T, D]. Without "name" it stays as it is.
 *
 * The main input is our "x", the main output our "y"; others are further inputs and outputs of the kernel.
 * Without an "x" the kernel gets zeros [B, T, width], B and T from the first input. Axes past the third are
 * merged into it: complex numbers [B, T, D, 2] are a width of 2 D. */
#ifndef CLADE_BLOCK_REFERENCE_H
#define CLADE_BLOCK_REFERENCE_H

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct reference_entry {
    const cJSON *composition;                                  /* the variant's, as in the catalogue */
    const char *slot, *part;                                   /* part: NULL if there is none */
    const cJSON *options, *fixed, *inputs, *outputs, *weights; /* objects or NULL */
};

struct reference_case {
    char *directory;
    cJSON *document; /* case.json */
    const char *key; /* the set */
};

/* STATUS_OUTSIDE if case.json cannot be read. On success reference_case_close() it. */
enum status reference_case_open(const char *directory, struct reference_case *reference, struct error *error);
void reference_case_close(struct reference_case *reference); /* leaves it zero; a zero one is fine */

/* |ours - reference| / |reference| in the 2-norm of one tensor: an output ("y"), the gradient of an input
 * ("dx") or of a weight ("d(q_proj.weight)"). Where the reference is zero to rounding (a gradient below 1e-6
 * of the largest of the case, an output of zeros) it is |ours - reference|. */
struct reference_error {
    char *name;
    double error, limit;
    bool gradient;
};

struct reference_result {
    bool passed;                    /* every error is at most its limit */
    struct reference_error *errors; /* outputs first */
    size_t count;
    char detail[512]; /* the largest errors, or the tensors that are over their limits */
};

/* Runs the case. STATUS_USAGE if the entry does not fit it: an argument without a place in the map, a weight
 * left over, missing or of another shape, an input that the kernel does not read. STATUS_NO if a kernel is
 * not written yet. Release the result after STATUS_OK. */
enum status reference_check(const struct reference_entry *entry, const struct reference_case *reference,
                            struct reference_result *result, struct error *error);
void reference_result_release(struct reference_result *result);

#endif
