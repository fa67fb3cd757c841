#include "block/scope.h"
#include "base/memory.h"
#include "block/registry.h"
#include "block/settings.h"
#include "tensor/operation.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const slot_names[SLOT_COUNT] = {"embedding", "position", "mixer",     "ffn",       "norm",
                                            "residual",  "memory",   "procedure", "objective", "task"};

/* The place of an option, or -1. */
static int find_option(const struct scope *s, const char *name)
{
    const struct option *options = s->kernel->options;
    for (int i = 0; options && options[i].name; i++)
        if (strcmp(options[i].name, name) == 0)
            return i;
    return -1;
}

static const struct setting *find_setting(const struct scope *s, const char *name, enum option_type type)
{
    int place = find_option(s, name);
    if (place < 0)
        BUG("kernel %s has no option '%s'", s->kernel->name, name);
    enum option_type own = s->kernel->options[place].type;
    if (own != type && !(type == OPTION_INTEGER && own == OPTION_FLAG))
        BUG("kernel %s reads option '%s' with the wrong type", s->kernel->name, name);
    return &s->settings->values[place];
}

int64_t option(const struct scope *s, const char *name)
{
    return (int64_t)find_setting(s, name, OPTION_INTEGER)->number;
}

int64_t option_or(const struct scope *s, const char *name, int64_t otherwise)
{
    int64_t value = option(s, name);
    return value ? value : otherwise;
}

int64_t key_value_heads(const struct scope *s)
{
    return option_or(s, "kv_heads", option(s, "heads"));
}

/* Option head_dim, or 0. */
static int64_t given_head_dim(const struct scope *s)
{
    return find_option(s, "head_dim") < 0 ? 0 : option(s, "head_dim");
}

int64_t head_dim(const struct scope *s)
{
    int64_t given = given_head_dim(s);
    return given ? given : s->width / option(s, "heads");
}

const char *validate_heads(const struct scope *s)
{
    if (!given_head_dim(s) && s->width % option(s, "heads"))
        return "the width is not divisible by the number of heads";
    if (find_option(s, "kv_heads") >= 0 && option(s, "heads") % key_value_heads(s))
        return "heads is not divisible by kv_heads";
    return NULL;
}

const char *heads_by_option(const struct scope *s, const char *name)
{
    if (strcmp(name, "heads") != 0 || key_value_heads(s) == option(s, "heads"))
        return NULL;
    return key_value_heads(s) == 1 ? "single-key-value" : "grouped-key-value";
}

const char *causality_by_option(const struct scope *s, const char *name)
{
    if (strcmp(name, "causality") != 0)
        return NULL;
    bool causal = find_option(s, "causal") < 0 ? !option(s, "bidirectional") : option(s, "causal");
    return causal ? NULL : "bidirectional";
}

int64_t option_width(const struct scope *s, const char *name)
{
    return (int64_t)(option_real(s, name) * (double)s->width);
}

double option_real(const struct scope *s, const char *name)
{
    return find_setting(s, name, OPTION_REAL)->number;
}

const char *option_choice(const struct scope *s, const char *name)
{
    return find_setting(s, name, OPTION_CHOICE)->choice;
}

bool option_is(const struct scope *s, const char *name, const char *choice)
{
    return strcmp(option_choice(s, name), choice) == 0;
}

const double *option_list(const struct scope *s, const char *name, int *count)
{
    const struct setting *setting = find_setting(s, name, OPTION_LIST);
    *count = (int)setting->number;
    return setting->list;
}

void kernel_fail(const struct scope *s, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    graph_raise(s->graph, STATUS_USAGE, "kernel '%s': %s", s->kernel->name, message);
}

const char *part_name(struct scope *s, const char *format, ...)
{
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return arena_copy_string(graph_arena(s->graph), name);
}

tensor *further_input(struct scope *s, const char *name)
{
    for (int i = 0; s->inputs && i < s->inputs->count; i++)
        if (strcmp(s->inputs->names[i], name) == 0) {
            s->inputs->used[i] = true;
            return s->inputs->values[i];
        }
    if (s->inputs)
        s->inputs->missing = name;
    return NULL;
}

void further_output(struct scope *s, const char *name, tensor *value)
{
    struct inputs *inputs = s->inputs;
    if (!inputs)
        return;
    for (int i = 0; i < inputs->output_count; i++)
        if (strcmp(inputs->output_names[i], name) == 0) {
            inputs->outputs[i] = graph_keep(value);
            return;
        }
    if (inputs->output_count == INPUTS_MAXIMUM)
        BUG("kernel %s has more than %d further outputs", s->kernel->name, INPUTS_MAXIMUM);
    inputs->output_names[inputs->output_count] = name;
    inputs->outputs[inputs->output_count++] = graph_keep(value);
}

static const char *declared_character(const struct scope *s, const char *name)
{
    const char *state = s->kernel->character ? s->kernel->character(s, name) : NULL;
    for (const struct character *c = s->kernel->characters; !state && c && c->name; c++)
        if (strcmp(c->name, name) == 0)
            state = c->state;
    return state;
}

static bool sees_later_tokens(const struct scope *s)
{
    const char *causality = declared_character(s, "causality");
    return causality && strcmp(causality, "bidirectional") == 0;
}

bool kernel_has_step(const struct scope *s)
{
    return s->kernel->step && !sees_later_tokens(s);
}

const char *kernel_character(const struct scope *s, const char *name)
{
    const char *state = declared_character(s, name);
    return state && strcmp(name, "decode-cost") == 0 && sees_later_tokens(s) ? "replay" : state;
}
