/* complete.c: the hidden command `complete`, which the shells' completions call: given the words typed so
 * far, without the program's name, prints what the last may become, one a line. The last line may be ":file"
 * or ":folder": names of files or folders do too. */
#include "base/text.h"
#include "block/registry.h"
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

struct completer {
    struct command_line *line;
    const char *word; /* what is being typed */
};

static void offer(const struct completer *completer, const char *name)
{
    if (strncmp(name, completer->word, strlen(completer->word)) == 0)
        puts(name);
}

static void offer_commands(const struct completer *completer)
{
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++)
            if ((*command)->summary)
                offer(completer, (*command)->name);
}

static void offer_kernels(const struct completer *completer)
{
    for (size_t i = 0; i < registry_count; i++)
        offer(completer, registry_kernels[i]->name);
}

static void offer_tasks(const struct completer *completer)
{
    for (size_t i = 0; i < registry_count; i++)
        if (registry_kernels[i]->slot == SLOT_TASK)
            offer(completer, registry_kernels[i]->name);
}

/* Whether a word before the last one names a task. */
static bool task_given(const struct completer *completer)
{
    for (size_t i = 0; i + 1 < completer->line->operand_count; i++) {
        const struct kernel *kernel = registry_find(completer->line->operands[i]);
        if (kernel && kernel->slot == SLOT_TASK)
            return true;
    }
    return false;
}

/* A catalogue that cannot be read offers nothing: a completion does not complain. */
static void offer_variants(const struct completer *completer)
{
    struct catalog *catalog;
    struct catalog_filter everything = {0};
    struct variant_row *rows;
    size_t count;
    struct error ignored = ERROR_INIT;
    if (command_catalog(completer->line, &catalog, &ignored) ||
        catalog_list(catalog, &everything, &completer->line->arena, &rows, &count, &ignored))
        return;
    for (size_t i = 0; i < count; i++)
        offer(completer, rows[i].key);
}

static void offer_families(const struct completer *completer)
{
    struct catalog *catalog;
    struct family *families;
    size_t count;
    struct error ignored = ERROR_INIT;
    if (command_catalog(completer->line, &catalog, &ignored) ||
        catalog_families(catalog, &completer->line->arena, &families, &count, &ignored))
        return;
    for (size_t i = 0; i < count; i++)
        offer(completer, families[i].key);
}

static void offer_completion(const struct completer *completer, enum completion completion)
{
    switch (completion) {
    case COMPLETE_NOTHING:
        break;
    case COMPLETE_VARIANT:
        offer_variants(completer);
        break;
    case COMPLETE_KERNEL:
        offer_kernels(completer);
        break;
    case COMPLETE_FAMILY:
        offer_families(completer);
        break;
    case COMPLETE_TASK:
        if (!task_given(completer))
            offer_tasks(completer);
        offer_variants(completer);
        break;
    case COMPLETE_SUBJECT:
        offer_commands(completer);
        offer_kernels(completer);
        offer_variants(completer);
        break;
    case COMPLETE_FILE:
        puts(":file");
        break;
    case COMPLETE_FOLDER:
        puts(":folder");
        break;
    }
}

static void offer_choices(const struct completer *completer, const char *choices)
{
    char *rest = arena_copy_string(&completer->line->arena, choices);
    for (char *choice; (choice = strsep(&rest, "|"));)
        offer(completer, choice);
}

/* The option that the word before last gives, if it waits for its value in the last. */
static const struct command_option *waiting_option(const struct command_option **options, size_t count,
                                                   const char *word)
{
    for (size_t i = 0; i < count; i++) {
        bool named = word[0] == '-' && word[1] == '-' && strcmp(word + 2, options[i]->name) == 0;
        bool lettered =
            options[i]->letter && word[0] == '-' && word[1] == options[i]->letter && word[2] == '\0';
        if (options[i]->type != VALUE_NONE && (named || lettered))
            return options[i];
    }
    return NULL;
}

/* The option whose value is being typed. bash makes three words of --db=FILE: the "=" stands alone. */
static const struct command_option *find_waiting(struct completer *completer,
                                                 const struct command_option **options, size_t count)
{
    const char **words = completer->line->operands;
    size_t last = completer->line->operand_count - 1;
    if (last > 0 && strcmp(completer->word, "=") == 0)
        completer->word = "";
    else if (last > 1 && strcmp(words[last - 1], "=") == 0)
        last--;
    return last > 0 ? waiting_option(options, count, words[last - 1]) : NULL;
}

static enum status run(struct command_line *line, struct error *error)
{
    if (line->operand_count == 0)
        return STATUS_OK;
    size_t last = line->operand_count - 1, count;
    struct completer completer = {line, line->operands[last]};
    const struct command *command = NULL;
    for (size_t i = 0; i < last && !command; i++)
        command = command_find(line->operands[i]);
    const struct command_option **options = command_options(command, &line->arena, &count);
    const struct command_option *waiting = find_waiting(&completer, options, count);
    if (waiting && waiting->type == VALUE_CHOICE) {
        offer_choices(&completer, waiting->value);
    } else if (waiting) {
        offer_completion(&completer, waiting->completion);
    } else if (completer.word[0] == '-') {
        for (size_t i = 0; i < count; i++)
            if (options[i]->help)
                offer(&completer, arena_format(&line->arena, "--%s", options[i]->name));
    } else if (command) {
        offer_completion(&completer, command->completion);
    } else {
        offer_commands(&completer);
    }
    return STATUS_OK;
}

const struct command command_complete = {
    .name = "complete",
    .operands = "-- [WORD...]",
    .maximum = UNLIMITED,
    .about =
        "Prints what the last word of a command line may become, one a line, for the completion of shells.",
    .run = run,
};
