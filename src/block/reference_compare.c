/* Errors of a reference case, tensor by tensor. */
#include "base/memory.h"
#include "block/reference_run.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef CLADE_DOUBLE
static const double output_limit = 1e-6, gradient_limit = 1e-6;
#else
static const double output_limit = 1e-5, gradient_limit = 1e-4;
#endif

/* |ours - reference| and |reference|; `ours` NULL stands for zeros. */
static void measure(const real *ours, const struct array *reference, double *difference, double *norm)
{
    double difference_squares = 0, squares = 0;
    for (int64_t i = 0, n = array_size(reference); i < n; i++) {
        double r = (double)reference->data[i], d = (ours ? (double)ours[i] : 0) - r;
        difference_squares += d * d;
        squares += r * r;
    }
    *difference = sqrt(difference_squares);
    *norm = sqrt(squares);
}

static void add_error(struct reference_run *run, char *name, bool gradient, double error)
{
    struct reference_result *result = run->result;
    double limit = gradient ? gradient_limit : output_limit;
    result->errors = memory_resize(result->errors, (result->count + 1) * sizeof *result->errors);
    result->errors[result->count++] = (struct reference_error){name, error, limit, gradient};
    result->passed &= error <= limit; /* false for NaN */
}

/* "dx" of an input, "d(q_proj.weight)" of a weight. */
static char *gradient_name(const char *published, bool is_weight)
{
    char name[NAME_MAXIMUM + 8];
    snprintf(name, sizeof name, is_weight ? "d(%s)" : "d%s", published);
    return memory_copy_string(name);
}

void reference_compare_outputs(struct reference_run *run)
{
    for (int i = 0; i < run->output_count; i++) {
        const struct case_array *output = &run->outputs[i];
        double difference, norm;
        measure(output->tensor->data, &output->array, &difference, &norm);
        add_error(run, memory_copy_string(output->published), false,
                  norm > 0 ? difference / norm : difference);
    }
}

static void find_largest_gradient(struct reference_run *run)
{
    double ignored, norm;
    for (int i = 0; i < run->input_count; i++)
        if (run->inputs[i].gradient.data) {
            measure(NULL, &run->inputs[i].gradient, &ignored, &norm);
            run->largest_gradient = fmax(run->largest_gradient, norm);
        }
    for (int i = 0; i < run->gradients.count; i++) {
        measure(NULL, &run->gradients.arrays[i].array, &ignored, &norm);
        run->largest_gradient = fmax(run->largest_gradient, norm);
    }
}

static void compare_gradient(struct reference_run *run, char *name, const real *ours,
                             const struct array *reference)
{
    double difference, norm;
    measure(ours, reference, &difference, &norm);
    bool rounding = norm <= 1e-6 * run->largest_gradient;
    add_error(run, name, true, difference / (rounding ? fmax(1, run->largest_gradient) : norm));
}

static enum status compare_weight_gradient(struct reference_run *run, const struct named_array *gradient)
{
    char name[NAME_MAXIMUM];
    if (!reference_weight_name(run, gradient->name, name))
        return STATUS_OK;
    const struct parameter_entry *entry = parameters_find(&run->block->parameters, name);
    if (!entry)
        return error_set(run->error, STATUS_USAGE,
                         "the gradient of '%s' is left over: there is no parameter '%s'", gradient->name,
                         name);
    if (!entry->trained)
        return error_set(run->error, STATUS_USAGE,
                         "'%s' is trained in the publication, but the kernel has '%s' as a buffer",
                         gradient->name, name);
    if (array_size(&gradient->array) != parameter_size(entry))
        return error_set(run->error, STATUS_USAGE, "the gradient of '%s' has another shape than the weight",
                         gradient->name);
    compare_gradient(run, gradient_name(gradient->name, true), entry->leaf ? entry->leaf->gradient : NULL,
                     &gradient->array);
    return STATUS_OK;
}

/* Parameters that the publication's output does not depend on must not get a gradient from ours. */
static void compare_missing_gradients(struct reference_run *run)
{
    const cJSON *list =
        cJSON_GetObjectItemCaseSensitive(run->reference->document, "parameters_without_gradient");
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char name[NAME_MAXIMUM];
        if (!cJSON_IsString(item) || !reference_weight_name(run, item->valuestring, name))
            continue;
        const struct parameter_entry *entry = parameters_find(&run->block->parameters, name);
        double squares = 0;
        if (entry && entry->leaf && entry->leaf->gradient)
            for (int64_t i = 0; i < parameter_size(entry); i++)
                squares += (double)entry->leaf->gradient[i] * (double)entry->leaf->gradient[i];
        add_error(run, gradient_name(item->valuestring, true), true,
                  sqrt(squares) / fmax(1, run->largest_gradient));
    }
}

enum status reference_compare_gradients(struct reference_run *run)
{
    enum status status = STATUS_OK;
    find_largest_gradient(run);
    for (int i = 0; i < run->input_count; i++) {
        const struct case_array *input = &run->inputs[i];
        if (input->gradient.data && input->tensor)
            compare_gradient(run, gradient_name(input->published, false), input->tensor->gradient,
                             &input->gradient);
    }
    for (int i = 0; i < run->gradients.count && !status; i++)
        status = compare_weight_gradient(run, &run->gradients.arrays[i]);
    if (!status)
        compare_missing_gradients(run);
    return status;
}
