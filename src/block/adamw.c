#include "block/adamw.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

struct adamw {
    struct parameters *parameters;
    struct adamw_options options;
    real **first, **second; /* moments, one array a parameter; NULL for buffers */
    size_t count;
    int64_t steps;
};

struct adamw_options adamw_defaults(void)
{
    return (struct adamw_options){
        .rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.01, .clip = 1};
}

struct adamw *adamw_create(struct parameters *parameters, struct adamw_options options)
{
    struct adamw *adamw = memory_allocate_zero(1, sizeof *adamw);
    adamw->parameters = parameters;
    adamw->options = options;
    adamw->count = parameters->count;
    adamw->first = memory_allocate_zero(parameters->count + 1, sizeof *adamw->first);
    adamw->second = memory_allocate_zero(parameters->count + 1, sizeof *adamw->second);
    for (size_t i = 0; i < parameters->count; i++) {
        const struct parameter_entry *entry = parameters->entries[i];
        if (!entry->trained)
            continue;
        adamw->first[i] = memory_allocate_zero((size_t)parameter_size(entry), sizeof(real));
        adamw->second[i] = memory_allocate_zero((size_t)parameter_size(entry), sizeof(real));
    }
    return adamw;
}

void adamw_free(struct adamw *adamw)
{
    if (!adamw)
        return;
    for (size_t i = 0; i < adamw->count; i++) {
        free(adamw->first[i]);
        free(adamw->second[i]);
    }
    free(adamw->first);
    free(adamw->second);
    free(adamw);
}

void adamw_set_rate(struct adamw *adamw, double rate)
{
    adamw->options.rate = rate;
}

static const real *gradient_of(const struct parameter_entry *entry)
{
    return entry->trained && entry->leaf ? entry->leaf->gradient : NULL;
}

/* The norm of all gradients together, or STATUS_NO. */
static enum status gradient_norm(const struct adamw *adamw, double *norm, struct error *error)
{
    double sum = 0;
    for (size_t i = 0; i < adamw->count; i++) {
        const struct parameter_entry *entry = adamw->parameters->entries[i];
        const real *gradient = gradient_of(entry);
        double own = 0;
        for (int64_t j = 0, n = parameter_size(entry); gradient && j < n; j++)
            own += (double)gradient[j] * (double)gradient[j];
        if (!isfinite(own))
            return error_set(error, STATUS_NO, "the gradient of '%s' is not finite: no step was made",
                             entry->name);
        sum += own;
    }
    *norm = sqrt(sum);
    return STATUS_OK;
}

static void update(const struct adamw *adamw, size_t i, double scale)
{
    const struct adamw_options *o = &adamw->options;
    const struct parameter_entry *entry = adamw->parameters->entries[i];
    const real *gradient = gradient_of(entry);
    double first_bias = 1 - pow(o->beta1, (double)adamw->steps),
           second_bias = 1 - pow(o->beta2, (double)adamw->steps);
    double decay = entry->rank > 1 ? o->decay : 0;
    for (int64_t j = 0, n = parameter_size(entry); gradient && j < n; j++) {
        double g = scale * (double)gradient[j], w = (double)entry->data[j];
        double m = o->beta1 * (double)adamw->first[i][j] + (1 - o->beta1) * g;
        double v = o->beta2 * (double)adamw->second[i][j] + (1 - o->beta2) * g * g;
        adamw->first[i][j] = (real)m;
        adamw->second[i][j] = (real)v;
        entry->data[j] =
            (real)(w - o->rate * (m / first_bias / (sqrt(v / second_bias) + o->epsilon) + decay * w));
    }
}

enum status adamw_step(struct adamw *adamw, struct error *error)
{
    double norm = 0;
    if (adamw->parameters->count != adamw->count)
        BUG("the parameters have grown since the optimiser was made");
    enum status status = gradient_norm(adamw, &norm, error);
    if (status)
        return status;
    double clip = adamw->options.clip, scale = clip > 0 && norm > clip ? clip / norm : 1;
    adamw->steps++;
    for (size_t i = 0; i < adamw->count; i++)
        update(adamw, i, scale);
    return STATUS_OK;
}
