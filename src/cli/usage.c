/* usage.c: the texts of --help, from the tables of the commands. */
#include "cli/cli.h"
#include "cli/output.h"
#include <stdio.h>
#include <string.h>

enum {
    INDENT = 2,
    COMMAND_COLUMN = 14,
    OPTION_COLUMN = 28,
    ABOUT_COLUMN = 6, /* of what an example does */
};

static void print_examples(const struct command_example *examples)
{
    print_heading("examples");
    for (const struct command_example *example = examples; example->line; example++) {
        printf("%*s%s\n", INDENT, "", example->line);
        print_paragraph(ABOUT_COLUMN, example->about);
    }
}

static void print_options(const struct command *command)
{
    struct arena arena = ARENA_INIT;
    size_t count;
    const struct command_option **options = command_options(command, &arena, &count);
    print_heading("options");
    for (size_t i = 0; i < count; i++) {
        if (!options[i]->help)
            continue;
        const char *letter = options[i]->letter ? arena_format(&arena, "-%c, ", options[i]->letter) : "";
        const char *value = options[i]->value ? options[i]->value : "";
        const char *label =
            arena_format(&arena, "%s--%s%s%s", letter, options[i]->name, *value ? " " : "", value);
        print_entry(INDENT, OPTION_COLUMN, label, STYLE_KEY, command_option_help(options[i], &arena));
    }
    arena_release(&arena);
}

void help_command(const struct command *command)
{
    print_styled(stdout, STYLE_HEADING, "usage:");
    printf(" clade %s [OPTIONS]%s%s\n\n", command->name, command->operands ? " " : "",
           command->operands ? command->operands : "");
    print_paragraph(0, command->about);
    putchar('\n');
    print_options(command);
    if (command->examples) {
        putchar('\n');
        print_examples(command->examples);
    }
    if (command->json) {
        putchar('\n');
        print_heading("--json prints");
        print_paragraph(INDENT, command->json);
    }
}

void help_overview(void)
{
    static const struct command_example examples[] = {
        {"clade list attention --since 2023", "variants that speak of attention, from 2023 on"},
        {"clade lineage mamba2", "what it descends from, and what changed at each step"},
        {"clade diff retnet gla", "two variants slot by slot"},
        {NULL, NULL},
    };
    printf("clade: a phylogenetic catalogue and comparison tool for sequence-model architectures\n\n");
    print_styled(stdout, STYLE_HEADING, "usage:");
    printf(" clade COMMAND [OPTIONS] [ARGUMENTS]\n");
    for (const struct command_group *group = command_groups; group->title; group++) {
        putchar('\n');
        print_heading(group->title);
        for (const struct command *const *command = group->commands; *command; command++)
            if ((*command)->summary)
                print_entry(INDENT, COMMAND_COLUMN, (*command)->name, STYLE_KEY, (*command)->summary);
    }
    putchar('\n');
    print_examples(examples);
    printf("\n'clade COMMAND --help' shows a command's options and examples; 'clade help KEY' explains a "
           "variant "
           "or a kernel.\n");
}
