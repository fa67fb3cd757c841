/* manual.c: the page of the manual: a template with the commands' section, in mdoc, filled in from their
 * tables. */
#include "base/file.h"
#include "cli/cli.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_TEMPLATE = 1 << 20 /* bytes */
};

/* Text that mdoc takes as it is. In literals a hyphen is one that can be typed. */
static void print_escaped(const char *text, bool literal)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-' && (literal || text[1] == '-'))
            fputs("\\-", stdout);
        else
            putchar(*text);
        start = *text == '\n';
    }
}

/* Sentences start on a line of their own, so that their spacing is roff's affair. */
static void print_prose(const char *text)
{
    for (; *text; text++) {
        if (text[0] == '\n' && text[1] == '\n') {
            fputs("\n.Pp\n", stdout);
            text++;
        } else if (text[0] == '.' && text[1] == ' ' && isupper((unsigned char)text[2])) {
            fputs(".\n", stdout);
            text++;
        } else {
            print_escaped((char[]){*text, '\0'}, false);
        }
    }
    putchar('\n');
}

static void print_option(const struct command_option *option, struct arena *arena)
{
    fputs(".It ", stdout);
    if (option->letter)
        printf("Fl %c , ", option->letter);
    printf("Fl -%s", option->name);
    if (option->value)
        printf(" Ar %s", option->value);
    putchar('\n');
    print_escaped(command_option_help(option, arena), false);
    putchar('\n');
}

/* The command's own options; those of all commands have a section of their own. */
static void print_options(const struct command *command)
{
    struct arena arena = ARENA_INIT;
    size_t count, common, listed = 0;
    const struct command_option **options = command_options(command, &arena, &count);
    command_options(NULL, &arena, &common);
    common--; /* --version, which no command has */
    for (size_t i = 0; i + common < count; i++) {
        if (!options[i]->help)
            continue;
        if (listed++ == 0)
            puts(".Bl -tag -width Ds");
        print_option(options[i], &arena);
    }
    if (listed)
        puts(".El");
    arena_release(&arena);
}

static void print_command(const struct command *command)
{
    printf(".Ss clade %s", command->name);
    if (command->operands)
        printf(" %s", command->operands);
    putchar('\n');
    print_prose(command->about);
    print_options(command);
    if (command->json) {
        puts(".Pp\nThe document of\n.Fl -json :");
        print_prose(command->json);
    }
    for (const struct command_example *example = command->examples; example && example->line; example++) {
        puts(".Pp");
        print_prose(example->about);
        fputs(".Dl ", stdout);
        print_escaped(example->line, true);
        putchar('\n');
    }
}

static void print_commands(void)
{
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++)
            if ((*command)->summary)
                print_command(*command);
}

enum status help_manual(const char *template, struct error *error)
{
    static const char mark[] = "\n@COMMANDS@\n";
    char *page;
    size_t length;
    enum status status = file_read(template, LARGEST_TEMPLATE, &page, &length, error);
    if (status)
        return status;
    char *place = strstr(page, mark);
    if (!place) {
        free(page);
        return error_set(error, STATUS_OUTSIDE, "%s: expected a line '@COMMANDS@'", template);
    }
    fwrite(page, 1, (size_t)(place + 1 - page), stdout);
    print_commands();
    fputs(place + strlen(mark), stdout);
    free(page);
    return STATUS_OK;
}
