/* suggest.h: the nearest valid name to a wrong one. */
#ifndef CLADE_BASE_SUGGEST_H
#define CLADE_BASE_SUGGEST_H

#include "base/error.h"
#include <stddef.h>

/* The name of `names` nearest to `wrong` by Damerau-Levenshtein distance, or NULL if none is near enough to
 * be meant (distance at most a third of the longer length, at least 2). Ties go to the nearer length, then to
 * the first: "mamba3" is "mamba2" before it is "mamba". */
const char *suggest_name(const char *wrong, const char *const *names, size_t count);

/* STATUS_USAGE with "unknown WHAT 'wrong': did you mean 'right'?"; without a near one "unknown WHAT 'wrong'"
 * and, where there are at most twelve names, the list of them. */
enum status suggest_error(struct error *error, const char *what, const char *wrong, const char *const *names,
                          size_t count);

#endif
