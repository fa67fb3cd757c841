/* check_properties.h: one function a property, for check.c. */
#ifndef CLADE_BLOCK_CHECK_PROPERTIES_H
#define CLADE_BLOCK_CHECK_PROPERTIES_H

#include "block/check.h"
#include "block/subject.h"

typedef void (*check_function)(struct subject *subject, struct check_property *property);

void check_shapes(struct subject *subject, struct check_property *property);
void check_finite(struct subject *subject, struct check_property *property);
void check_causality(struct subject *subject, struct check_property *property);
void check_step(struct subject *subject, struct check_property *property);
void check_gradients(struct subject *subject, struct check_property *property);
void check_threads(struct subject *subject, struct check_property *property);
void check_batch(struct subject *subject, struct check_property *property);
void check_time(struct subject *subject, struct check_property *property);
void check_decode_cost(struct subject *subject, struct check_property *property);
void check_state(struct subject *subject, struct check_property *property);

/* Checks with one input after another, three at most, until one passes: a method that divides by small sums amplifies
 * rounding without bound on some inputs, while what is wrong is wrong on all. Tells of the first failure. */
void check_draws(struct subject *subject, struct check_property *property,
                 void (*once)(struct subject *subject, uint64_t seed, struct check_property *property));

/* Each sets outcome and detail and may be called once; without a call a property has passed. */
void property_fail(struct check_property *property, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void property_skip(struct check_property *property, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void property_tell(struct check_property *property, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
