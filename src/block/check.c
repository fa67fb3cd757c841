#include "block/check.h"
#include "block/check_properties.h"
#include "tensor/random.h"
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    check_function check;
} properties[CHECK_PROPERTIES] = {
    {"shapes", check_shapes}, {"finite", check_finite},       {"causality", check_causality},
    {"step", check_step},     {"gradients", check_gradients}, {"threads", check_threads},
    {"batch", check_batch},   {"time", check_time},           {"decode-cost", check_decode_cost},
    {"state", check_state},
};

static void set(struct check_property *property, enum check_outcome outcome, const char *format,
                va_list arguments)
{
    property->outcome = outcome;
    vsnprintf(property->detail, sizeof property->detail, format, arguments);
}

void property_fail(struct check_property *property, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(property, CHECK_FAILED, format, arguments);
    va_end(arguments);
}

void property_skip(struct check_property *property, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(property, CHECK_SKIPPED, format, arguments);
    va_end(arguments);
}

void property_tell(struct check_property *property, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    set(property, CHECK_PASSED, format, arguments);
    va_end(arguments);
}

void move_by_rounding(real *values, int64_t count, uint64_t draw)
{
    for (int64_t i = 0; i < count; i++)
        values[i] *= (real)(1 + (random_integer(draw, 0, (uint64_t)i, 2) ? 2 : -2) * rounding_unit);
}

void check_composition(const struct composition *composition, bool alone, struct check_result *result)
{
    struct subject subject;
    int threads = tensor_threads();
    tensor_set_threads(1); /* sizes are small: threads would wait for each other most of the time */
    bool built = subject_create(&subject, composition, alone);
    result->count = CHECK_PROPERTIES;
    for (int i = 0; i < CHECK_PROPERTIES; i++) {
        struct check_property *property = &result->properties[i];
        *property = (struct check_property){.name = properties[i].name, .outcome = CHECK_PASSED};
        if (!built && i == 0)
            property_fail(property, "%s", subject.error.message);
        else if (result->properties[0].outcome == CHECK_FAILED)
            property_skip(property, "it does not run");
        else
            properties[i].check(&subject, property);
    }
    subject_release(&subject);
    tensor_set_threads(threads);
}

bool check_stands_alone(const struct layer_composition *layer, enum slot slot)
{
    const struct kernel *kernel = layer->slots[slot].kernel;
    if (!kernel || !kernel->forward)
        return false;
    if (slot == SLOT_PROCEDURE)
        return !layer->slots[SLOT_MIXER].kernel;
    return slot == SLOT_MIXER || slot == SLOT_FFN || slot == SLOT_NORM;
}
