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

/* The states of the character `time`, in order. */
enum { GROWTH_LINEAR, GROWTH_LOG_LINEAR, GROWTH_SUBQUADRATIC, GROWTH_QUADRATIC, GROWTH_CUBIC };
extern const char *const growth_order[];

/* Half the distance from 1 to the next number. */
#ifdef CLADE_DOUBLE
static const double rounding_unit = 1.1e-16;
#else
static const double rounding_unit = 6e-8;
#endif

/* Moves each value up or down by one place of its last digit. A method that divides by small sums amplifies
 * rounding without bound on some inputs; how far results move with this tells how far two orders of the same
 * sums may lie apart. */
void move_by_rounding(real *values, int64_t count, uint64_t draw);

/* Seeds of the inputs and of the outputs' gradients. */
enum { CHECK_INPUT_SEED = 1, CHECK_GRADIENT_SEED = 3 };
double root_mean_square(const real *values, int64_t count);
/* The largest difference over rows [first, last) of axis 1; a NaN on either side is infinite. */
double evaluation_difference(const struct evaluation *a, const real *b, int64_t first, int64_t last);
/* Whether there is one output for each token; without, nothing can be said of single positions. */
bool evaluation_has_positions(const struct evaluation *e);

/* Each sets outcome and detail and may be called once; without a call a property has passed. */
void property_fail(struct check_property *property, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void property_skip(struct check_property *property, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void property_tell(struct check_property *property, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
