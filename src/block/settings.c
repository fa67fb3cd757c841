#include "block/settings.h"
#include "base/memory.h"
#include "base/suggest.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count_options(const struct kernel *kernel)
{
    int count = 0;
    while (kernel->options && kernel->options[count].name)
        count++;
    return count;
}

/* Copies the nth choice of "a|b|c"; false past the last. */
static bool nth_choice(const char *choices, int n, char *choice, size_t size)
{
    while (n-- > 0) {
        choices = strchr(choices, '|');
        if (!choices)
            return false;
        choices++;
    }
    snprintf(choice, size, "%.*s", (int)strcspn(choices, "|"), choices);
    return true;
}

/* Reads "8,8,8", or "" for none; false if it is not a list of at most OPTION_LIST_MAXIMUM numbers. */
static bool parse_list(const char *text, struct setting *setting)
{
    int count = 0;
    for (const char *at = text; *at || at != text;) {
        char *end;
        if (count == OPTION_LIST_MAXIMUM)
            return false;
        setting->list[count++] = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0'))
            return false;
        if (*end == '\0')
            break;
        at = end + 1;
    }
    setting->number = count;
    return true;
}

void settings_init(struct settings *settings, const struct kernel *kernel)
{
    int count = count_options(kernel);
    settings->kernel = kernel;
    settings->values = memory_allocate_zero((size_t)count + 1, sizeof *settings->values);
    for (int i = 0; i < count; i++) {
        settings->values[i].number = kernel->options[i].initial;
        if (kernel->options[i].type == OPTION_CHOICE)
            nth_choice(kernel->options[i].choices, 0, settings->values[i].choice,
                       sizeof settings->values[i].choice);
        if (kernel->options[i].type == OPTION_LIST &&
            !parse_list(kernel->options[i].choices, &settings->values[i]))
            BUG("kernel %s: the default of the list '%s' is no list", kernel->name, kernel->options[i].name);
    }
}

void settings_copy(struct settings *settings, const struct settings *other)
{
    settings->kernel = other->kernel;
    settings->values =
        memory_copy(other->values, ((size_t)count_options(other->kernel) + 1) * sizeof *other->values);
}

void settings_release(struct settings *settings)
{
    free(settings->values);
    settings->values = NULL;
}

static int find(const struct kernel *kernel, const char *name)
{
    for (int i = 0; kernel->options && kernel->options[i].name; i++)
        if (strcmp(kernel->options[i].name, name) == 0)
            return i;
    return -1;
}

bool settings_has(const struct kernel *kernel, const char *name)
{
    return find(kernel, name) >= 0;
}

static enum status unknown_option(const struct kernel *kernel, const char *name, struct error *error)
{
    int count = count_options(kernel);
    const char **names = memory_allocate(((size_t)count + 1) * sizeof *names);
    for (int i = 0; i < count; i++)
        names[i] = kernel->options[i].name;
    suggest_error(error, "option", name, names, (size_t)count);
    free(names);
    return error_prefix(error, "kernel '%s'", kernel->name);
}

static enum status set_choice(struct settings *settings, int i, const char *text, struct error *error)
{
    const struct option *option = &settings->kernel->options[i];
    char choice[sizeof settings->values[i].choice];
    for (int n = 0; nth_choice(option->choices, n, choice, sizeof choice); n++)
        if (strcmp(choice, text) == 0) {
            memcpy(settings->values[i].choice, choice, sizeof choice);
            return STATUS_OK;
        }
    return error_set(error, STATUS_USAGE, "kernel '%s': option '%s' is one of %s, not '%s'",
                     settings->kernel->name, option->name, option->choices, text);
}

static enum status set_number(struct settings *settings, int i, double value, struct error *error)
{
    const struct option *option = &settings->kernel->options[i];
    if (option->type == OPTION_INTEGER && value != floor(value))
        return error_set(error, STATUS_USAGE, "kernel '%s': option '%s' is a whole number, not %g",
                         settings->kernel->name, option->name, value);
    if (!(value >= option->minimum && value <= option->maximum))
        return error_set(error, STATUS_USAGE, "kernel '%s': option '%s' is from %.15g to %.15g, not %.15g",
                         settings->kernel->name, option->name, option->minimum, option->maximum, value);
    settings->values[i].number = value;
    return STATUS_OK;
}

static enum status set_list(struct settings *settings, int i, const struct setting *list, struct error *error)
{
    const struct option *option = &settings->kernel->options[i];
    for (int n = 0; n < (int)list->number; n++)
        if (!(list->list[n] >= option->minimum && list->list[n] <= option->maximum))
            return error_set(
                error, STATUS_USAGE, "kernel '%s': entries of option '%s' are from %.15g to %.15g, not %.15g",
                settings->kernel->name, option->name, option->minimum, option->maximum, list->list[n]);
    settings->values[i] = *list;
    return STATUS_OK;
}

static enum status wrong_type(const struct settings *settings, int i, const char *got, struct error *error)
{
    static const char *const types[] = {"",       "a whole number",   "a number", "true or false",
                                        "a name", "a list of numbers"};
    const struct option *option = &settings->kernel->options[i];
    return error_set(error, STATUS_USAGE, "kernel '%s': option '%s' is %s, not %s", settings->kernel->name,
                     option->name, types[option->type], got);
}

enum status settings_set_text(struct settings *settings, const char *name, const char *text,
                              struct error *error)
{
    int i = find(settings->kernel, name);
    if (i < 0)
        return unknown_option(settings->kernel, name, error);
    enum option_type type = settings->kernel->options[i].type;
    if (type == OPTION_CHOICE)
        return set_choice(settings, i, text, error);
    if (type == OPTION_FLAG && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return set_number(settings, i, text[0] == 't', error);
    char quoted[80];
    snprintf(quoted, sizeof quoted, "'%.64s'", text);
    if (type == OPTION_LIST) {
        struct setting list = {0};
        return parse_list(text, &list) ? set_list(settings, i, &list, error)
                                       : wrong_type(settings, i, quoted, error);
    }
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0')
        return wrong_type(settings, i, quoted, error);
    return set_number(settings, i, value, error);
}

static enum status set_json_list(struct settings *settings, int i, const cJSON *value, struct error *error)
{
    struct setting list = {0};
    const cJSON *entry;
    int count = 0;
    if (!cJSON_IsArray(value))
        return wrong_type(settings, i, "another type", error);
    cJSON_ArrayForEach(entry, value)
    {
        if (!cJSON_IsNumber(entry) || count == OPTION_LIST_MAXIMUM)
            return wrong_type(settings, i, cJSON_IsNumber(entry) ? "a longer one" : "a list of others",
                              error);
        list.list[count++] = entry->valuedouble;
    }
    list.number = count;
    return set_list(settings, i, &list, error);
}

enum status settings_set_json(struct settings *settings, const char *name, const cJSON *value,
                              struct error *error)
{
    int i = find(settings->kernel, name);
    if (i < 0)
        return unknown_option(settings->kernel, name, error);
    enum option_type type = settings->kernel->options[i].type;
    if (type == OPTION_CHOICE)
        return cJSON_IsString(value) ? set_choice(settings, i, value->valuestring, error)
                                     : wrong_type(settings, i, "another type", error);
    if (type == OPTION_LIST)
        return set_json_list(settings, i, value, error);
    if (cJSON_IsBool(value))
        return type == OPTION_FLAG ? set_number(settings, i, cJSON_IsTrue(value), error)
                                   : wrong_type(settings, i, "true or false", error);
    if (!cJSON_IsNumber(value) || type == OPTION_FLAG)
        return wrong_type(settings, i, cJSON_IsNumber(value) ? "a number" : "another type", error);
    return set_number(settings, i, value->valuedouble, error);
}

const char *settings_text(const struct settings *settings, const char *name, char *buffer, size_t size)
{
    int i = find(settings->kernel, name);
    if (i < 0)
        BUG("kernel %s has no option '%s'", settings->kernel->name, name);
    const struct option *option = &settings->kernel->options[i];
    if (option->type == OPTION_CHOICE)
        return settings->values[i].choice;
    if (option->type == OPTION_FLAG)
        return settings->values[i].number != 0 ? "true" : "false";
    if (option->type == OPTION_LIST) {
        size_t used = 0;
        if (size)
            buffer[0] = '\0';
        for (int n = 0; n < (int)settings->values[i].number && used < size; n++)
            used += (size_t)snprintf(buffer + used, size - used, n ? ",%.15g" : "%.15g",
                                     settings->values[i].list[n]);
        return buffer;
    }
    snprintf(buffer, size, "%.15g", settings->values[i].number);
    return buffer;
}
