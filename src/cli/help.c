/* help.c: `clade help`. */
#include "cli/cli.h"
#include "cli/explain.h"

static enum status run(struct command_line *line, struct error *error)
{
    if (command_given(line, "mdoc"))
        return help_manual(command_text(line, "mdoc"), error);
    if (line->operand_count == 0) {
        help_overview();
        return STATUS_OK;
    }
    const struct command *command = command_find(line->operands[0]);
    if (!command)
        return explain(line, line->operands[0], error);
    help_command(command);
    return STATUS_OK;
}

const struct command command_help = {
    .name = "help",
    .operands = "[COMMAND|KEY|KERNEL]",
    .maximum = 1,
    .completion = COMPLETE_SUBJECT,
    .summary = "explain a command, a variant or a kernel",
    .about = "Without an argument lists the commands. With the name of a command shows its options and "
             "examples. With "
             "the key of a variant says what it is, which kernels it is made of, what can be set on them, "
             "and which "
             "commands go on from there; with the name of a kernel the same of the kernel alone.",
    .options = OPTION_TABLE({.name = "mdoc", .type = VALUE_TEXT, .value = "TEMPLATE"}),
    .examples = EXAMPLES({"clade help tree", "options and examples of a command"},
                         {"clade help gla", "a variant: its kernels and their options"},
                         {"clade help rotary", "a kernel: its options, with ranges and defaults"}),
    .run = run,
};
