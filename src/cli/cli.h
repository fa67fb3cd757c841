/* cli.h: what a command is and what it is given.
 *
 * A command is one file with one `const struct command`, listed in commands.c. Its tables are read by
 * everything that speaks of it: the parser, --help, the manual (man/clade.1.in has the rest) and the shell's
 * completion. Options are parsed in the manner of getopt_long, except that a name may not be cut short:
 * --name VALUE, --name=VALUE, -o VALUE, -oVALUE, among the operands in any order, until "--".
 *
 * Every command also has --db FILE, --no-color and --help, and --json if it says what that prints. */
#ifndef CLADE_CLI_CLI_H
#define CLADE_CLI_CLI_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
    VALUE_NONE, /* a switch */
    VALUE_TEXT,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_CHOICE, /* one of a few words */
};

/* What the shell offers for a value or an operand. */
enum completion {
    COMPLETE_NOTHING,
    COMPLETE_VARIANT,
    COMPLETE_KERNEL,
    COMPLETE_FAMILY,
    COMPLETE_TASK,    /* a task first, then variants */
    COMPLETE_SUBJECT, /* of help: a command, a variant or a kernel */
    COMPLETE_FILE,
    COMPLETE_FOLDER,
};

struct command_option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* of the short form; 0 if there is none */
    enum value_type type;
    const char *value; /* what the help calls the value, "FILE"; of VALUE_CHOICE the words, "text|dot|svg" */
    double minimum, maximum; /* of VALUE_INTEGER and VALUE_REAL */
    bool repeated;           /* may be given more than once */
    enum completion completion;
    const char *help; /* a few words, lower case, no full stop; NULL hides the option */
};
#define OPTION_TABLE(...) ((const struct command_option[]){__VA_ARGS__, {.name = NULL}})

struct command_example {
    const char *line, *about;
};
#define EXAMPLES(...) ((const struct command_example[]){__VA_ARGS__, {NULL, NULL}})

struct command_line;

struct command {
    const char *name;
    const char *operands;       /* as the usage line shows them, "A B", "[TEXT]"; NULL if there are none */
    int minimum, maximum;       /* number of operands; UNLIMITED for the second if there may be any number */
    enum completion completion; /* of the operands */
    const char *summary;        /* one line, lower case, no full stop; NULL hides the command */
    const char *about;          /* sentences; an empty line between paragraphs */
    const char *json; /* what --json prints, in the manner of "[{key, name}]: ..."; NULL: no --json */
    const struct command_option *options;   /* OPTION_TABLE(...) or NULL */
    const struct command_example *examples; /* EXAMPLES(...) or NULL */
    enum status (*run)(struct command_line *line, struct error *error);
};
enum { UNLIMITED = -1 };

/* ---- what a command is given ---- */

struct command_line {
    const struct command *command;
    const char **operands;
    size_t operand_count;
    bool json, help, version, no_color; /* the options that are not of one command */
    const char *database;               /* --db; NULL if not given */
    struct given *given;                /* options, in order: parse.c */
    size_t given_count;
    struct arena arena;      /* lives as long as the command runs */
    struct catalog *catalog; /* NULL until command_catalog() */
};

/* Values of options, which must be in the command's table. */
bool command_given(const struct command_line *line, const char *option);
const char *command_text(const struct command_line *line, const char *option); /* NULL if not given */
int64_t command_integer(const struct command_line *line, const char *option, int64_t otherwise);
double command_real(const struct command_line *line, const char *option, double otherwise);
/* All values of a repeated option, in order. */
const char *const *command_texts(struct command_line *line, const char *option, size_t *count);

/* The catalogue with the program's kernels, opened at the first call and closed when the command ends. */
enum status command_catalog(struct command_line *line, struct catalog **catalog, struct error *error);

/* ---- commands ---- */

struct command_group {
    const char *title;
    const struct command *const *commands; /* ends with NULL */
};
extern const struct command_group command_groups[]; /* ends with a NULL title */

const struct command *command_find(const char *name); /* also hidden ones; NULL if there is none */
/* "unknown command 'lsit': did you mean 'list'?" if there is none. */
enum status command_require(const char *name, const struct command **command, struct error *error);

/* ---- the parser: parse.c ---- */

/* Fills a zeroed command line from the words after the program's name. Without a command among them
 * line->command stays NULL. With --help or --version the operands are not checked. */
enum status command_parse(struct command_line *line, int count, char **words, struct error *error);
/* All options that the command has, its own first; without a command, those that may stand before one. */
const struct command_option **command_options(const struct command *command, struct arena *arena,
                                              size_t *count);
/* What the help and the manual say of an option. */
const char *command_option_help(const struct command_option *option, struct arena *arena);

/* ---- help: usage.c and manual.c ---- */

void help_overview(void);
void help_command(const struct command *command);
/* Prints the page of the manual: the template with its line @COMMANDS@ replaced by the commands' section, in
 * mdoc. */
enum status help_manual(const char *template, struct error *error);

#endif
