#include "base/suggest.h"
#include "base/text.h"
#include "cli/cli.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An option as it was given. */
struct given {
    const struct command_option *option;
    const char *text; /* the value; NULL of a switch */
    int64_t integer;
    double real;
};

static const struct command_option common_options[] = {
    {.name = "db",
     .type = VALUE_TEXT,
     .value = "FILE",
     .completion = COMPLETE_FILE,
     .help = "the database; made if there is none (else CLADE_DB, else the user's own)"},
    {.name = "no-color", .help = "no colour on a terminal either"},
    {.name = "help", .letter = 'h', .help = "this text"},
    {.name = NULL},
};
static const struct command_option json_option = {.name = "json", .help = "print one JSON document"};
static const struct command_option version_option = {.name = "version", .help = "print the version"};

/* ---- tables ---- */

struct option_list {
    const struct command_option **options;
    size_t count;
    struct arena *arena;
};

static void add_option(struct option_list *list, const struct command_option *option)
{
    list->options = arena_extend(list->arena, list->options, list->count, sizeof *list->options);
    list->options[list->count++] = option;
}

const struct command_option **command_options(const struct command *command, struct arena *arena,
                                              size_t *count)
{
    struct option_list list = {.arena = arena};
    const struct command_option *option = command ? command->options : NULL;
    for (; option && option->name; option++)
        add_option(&list, option);
    if (!command || command->json)
        add_option(&list, command ? &json_option : &version_option);
    for (option = common_options; option->name; option++)
        add_option(&list, option);
    *count = list.count;
    return list.options;
}

const char *command_option_help(const struct command_option *option, struct arena *arena)
{
    return option->repeated ? arena_format(arena, "%s; may be given again", option->help) : option->help;
}

/* ---- values ---- */

static enum status parse_number(struct given *given, struct error *error)
{
    const struct command_option *option = given->option;
    bool whole = option->type == VALUE_INTEGER;
    char *end = NULL;
    errno = 0;
    if (whole) {
        given->integer = strtoll(given->text, &end, 10);
        given->real = (double)given->integer;
    } else {
        given->real = strtod(given->text, &end);
    }
    bool valid = *given->text && strchr("+-.0123456789", *given->text) && *end == '\0' && errno == 0 &&
                 given->real >= option->minimum && given->real <= option->maximum;
    if (valid)
        return STATUS_OK;
    return error_set(error, STATUS_USAGE, "option '--%s' is a %s from %.15g to %.15g, not '%.100s'",
                     option->name, whole ? "whole number" : "number", option->minimum, option->maximum,
                     given->text);
}

static enum status parse_choice(const struct given *given, struct arena *arena, struct error *error)
{
    const char **choices = NULL;
    size_t count = 0;
    char *rest = arena_copy_string(arena, given->option->value);
    for (char *choice; (choice = strsep(&rest, "|"));) {
        if (strcmp(choice, given->text) == 0)
            return STATUS_OK;
        choices = arena_extend(arena, choices, count, sizeof *choices);
        choices[count++] = choice;
    }
    return suggest_error(error, given->option->name, given->text, choices, count);
}

static enum status add_given(struct command_line *line, const struct command_option *option, const char *text,
                             struct error *error)
{
    struct given given = {.option = option, .text = text};
    enum status status = STATUS_OK;
    if (option->type == VALUE_INTEGER || option->type == VALUE_REAL)
        status = parse_number(&given, error);
    else if (option->type == VALUE_CHOICE)
        status = parse_choice(&given, &line->arena, error);
    if (status)
        return status;
    line->given = arena_extend(&line->arena, line->given, line->given_count, sizeof given);
    line->given[line->given_count++] = given;
    return STATUS_OK;
}

/* ---- words ---- */

struct words {
    char **words;
    int count, at;
};

static enum status unknown_option(struct command_line *line, const char *word, size_t length,
                                  struct error *error)
{
    size_t count;
    const struct command_option **options = command_options(line->command, &line->arena, &count);
    const char **names = arena_allocate(&line->arena, (count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = arena_format(&line->arena, "--%s", options[i]->name);
    const char *name = arena_format(&line->arena, "%.*s", (int)(length < 200 ? length : 200), word);
    const char *nearest = suggest_name(name, names, count);
    if (nearest || !line->command)
        return suggest_error(error, "option", name, names, count);
    return error_set(error, STATUS_USAGE, "unknown option '%s' of '%s': see 'clade %s --help'", name,
                     line->command->name, line->command->name);
}

static enum status take_value(struct words *words, const struct command_option *option, const char *attached,
                              const char **value, struct error *error)
{
    *value = attached;
    if (option->type == VALUE_NONE)
        return attached ? error_set(error, STATUS_USAGE, "option '--%s' takes no value", option->name)
                        : STATUS_OK;
    if (!attached && words->at + 1 >= words->count)
        return error_set(error, STATUS_USAGE, "option '--%s' needs a value: %s", option->name, option->value);
    if (!attached)
        *value = words->words[++words->at];
    return STATUS_OK;
}

static enum status parse_long(struct command_line *line, struct words *words, struct error *error)
{
    const char *word = words->words[words->at] + 2;
    size_t length = strcspn(word, "="), count;
    const struct command_option **options = command_options(line->command, &line->arena, &count);
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i]->name) != length || memcmp(options[i]->name, word, length) != 0)
            continue;
        const char *value;
        enum status status =
            take_value(words, options[i], word[length] ? word + length + 1 : NULL, &value, error);
        return status ? status : add_given(line, options[i], value, error);
    }
    return unknown_option(line, words->words[words->at], length + 2, error);
}

static enum status parse_letters(struct command_line *line, struct words *words, struct error *error)
{
    size_t count;
    const struct command_option **options = command_options(line->command, &line->arena, &count);
    for (const char *letter = words->words[words->at] + 1; *letter; letter++) {
        const struct command_option *option = NULL;
        for (size_t i = 0; i < count && !option; i++)
            option = options[i]->letter == *letter ? options[i] : NULL;
        if (!option)
            return unknown_option(line, words->words[words->at], strlen(words->words[words->at]), error);
        const char *value = NULL;
        bool switched = option->type == VALUE_NONE;
        enum status status =
            switched ? STATUS_OK : take_value(words, option, letter[1] ? letter + 1 : NULL, &value, error);
        if (!status)
            status = add_given(line, option, value, error);
        if (status || !switched)
            return status;
    }
    return STATUS_OK;
}

static enum status take_operand(struct command_line *line, const char *word, struct error *error)
{
    if (!line->command)
        return command_require(word, &line->command, error);
    line->operands = arena_extend(&line->arena, line->operands, line->operand_count, sizeof *line->operands);
    line->operands[line->operand_count++] = word;
    return STATUS_OK;
}

/* ---- the whole ---- */

static const struct given *find_given(const struct command_line *line, const char *name)
{
    for (size_t i = line->given_count; i-- > 0;)
        if (strcmp(line->given[i].option->name, name) == 0)
            return &line->given[i];
    return NULL;
}

static enum status check_operands(const struct command_line *line, struct error *error)
{
    const struct command *command = line->command;
    const char *operands = command->operands ? command->operands : "";
    if (line->operand_count < (size_t)command->minimum)
        return error_set(error, STATUS_USAGE, "'%s' needs %s: see 'clade %s --help'", command->name, operands,
                         command->name);
    if (command->maximum != UNLIMITED && line->operand_count > (size_t)command->maximum)
        return error_set(error, STATUS_USAGE,
                         "unexpected argument '%.200s': usage is 'clade %s [OPTIONS]%s%s'",
                         line->operands[command->maximum], command->name, *operands ? " " : "", operands);
    return STATUS_OK;
}

static void note_common_options(struct command_line *line)
{
    const struct given *database = find_given(line, "db");
    line->database = database ? database->text : NULL;
    line->json = line->json || find_given(line, "json");
    line->help = find_given(line, "help");
    line->version = find_given(line, "version");
    line->no_color = find_given(line, "no-color");
}

enum status command_parse(struct command_line *line, int count, char **words, struct error *error)
{
    struct words rest = {words, count, 0};
    bool only_operands = false;
    for (; rest.at < count; rest.at++) {
        const char *word = words[rest.at];
        enum status status = STATUS_OK;
        if (only_operands || word[0] != '-' || word[1] == '\0')
            status = take_operand(line, word, error);
        else if (strcmp(word, "--") == 0)
            only_operands = true;
        else if (strcmp(word, "--json") == 0 && !line->command)
            line->json = true;
        else if (word[1] == '-')
            status = parse_long(line, &rest, error);
        else
            status = parse_letters(line, &rest, error);
        if (status)
            return status;
    }
    note_common_options(line);
    if (line->help || line->version || !line->command)
        return STATUS_OK;
    if (line->json && !line->command->json)
        return unknown_option(line, "--json", strlen("--json"), error);
    return check_operands(line, error);
}

/* ---- what commands ask ---- */

static const struct given *require_given(const struct command_line *line, const char *name)
{
    const struct command_option *option = line->command->options;
    while (option && option->name && strcmp(option->name, name) != 0)
        option++;
    if (!option || !option->name)
        BUG("command %s has no option '%s'", line->command->name, name);
    return find_given(line, name);
}

bool command_given(const struct command_line *line, const char *option)
{
    return require_given(line, option) != NULL;
}

const char *command_text(const struct command_line *line, const char *option)
{
    const struct given *given = require_given(line, option);
    return given ? given->text : NULL;
}

int64_t command_integer(const struct command_line *line, const char *option, int64_t otherwise)
{
    const struct given *given = require_given(line, option);
    return given ? given->integer : otherwise;
}

double command_real(const struct command_line *line, const char *option, double otherwise)
{
    const struct given *given = require_given(line, option);
    return given ? given->real : otherwise;
}

const char *const *command_texts(struct command_line *line, const char *option, size_t *count)
{
    require_given(line, option);
    const char **texts = NULL;
    *count = 0;
    for (size_t i = 0; i < line->given_count; i++)
        if (strcmp(line->given[i].option->name, option) == 0) {
            texts = arena_extend(&line->arena, texts, *count, sizeof *texts);
            texts[(*count)++] = line->given[i].text;
        }
    return texts;
}
