/* check.h: what holds of a block or kernel, measured on random weights and inputs of odd sizes.
 *
 *   shapes       y [B, T, D] for x [B, T, D], also for one token, and finite
 *   finite       finite for inputs of scale 1000 and for a long input (2048 tokens; 512 where the parallel form is
 *                quadratic or worse)
 *   causality    declared causal: outputs before t do not move when inputs from t on do, and their gradients with respect
 *                to those are zero; declared bidirectional: they do move; approximate: measured and told
 *   step         the parallel form equals the recurrent one, token by token and several at a time
 *   gradients    equal to central differences in random directions of the input and of each parameter and along
 *                coordinates; stopped and replaced gradients as the kernel means them (graph_hold)
 *   threads      the same bits, forward and backward, for 1, 2, 3 and 7 threads
 *   batch        each entry of a batch gets what it gets alone
 *   time         growth of the parallel form's operations with T as the character "time" declares
 *   decode-cost  growth of a step's operations with the position as declared
 *   state        bytes kept do not grow where the decode cost is declared constant
 *
 * Limits fit the precision of the library: see LIMITS in check_values.c and check_gradient.c. Options that
 * count tokens (window, segment, ...) are brought down to 8, so that a short input passes them. */
#ifndef CLADE_BLOCK_CHECK_H
#define CLADE_BLOCK_CHECK_H

#include "block/composition.h"

enum check_outcome { CHECK_PASSED, CHECK_FAILED, CHECK_SKIPPED };

struct check_property {
    const char *name;
    enum check_outcome outcome;
    char detail[256]; /* what was measured, what went wrong, or why it was skipped; one line */
};

enum { CHECK_PROPERTIES = 10 };
struct check_result {
    struct check_property properties[CHECK_PROPERTIES];
    size_t count;
};

/* All properties of the composition as a block, or of the kernel of one slot alone (see composition_only). A
 * composition that cannot be built fails the first and skips the others. */
void check_composition(const struct composition *composition, bool alone, struct check_result *result);
/* The slots whose kernels can be checked alone: mixers, ffns, norms, and procedures that stand in a mixer's
 * place. */
bool check_stands_alone(const struct layer_composition *layer, enum slot slot);

#endif
