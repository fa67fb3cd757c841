/* quantity.h: numbers as people write them, and lists of words and numbers. */
#ifndef CLADE_CLI_QUANTITY_H
#define CLADE_CLI_QUANTITY_H

#include "cli/cli.h"

/* The next part of a list "a,b,c", in the line's arena; NULL at its end. */
const char *next_part(struct command_line *line, const char **rest);

/* "256", "4k" (of 1024), "1M": from 1 to `maximum`. `what` it is stands in the message: "length". */
enum status parse_quantity(const char *text, const char *what, int64_t maximum, int64_t *value,
                           struct error *error);

enum { QUANTITIES = 32, LONGEST_INPUT = 1 << 24, WIDEST_INPUT = 1 << 16 };
struct quantities {
    int64_t values[QUANTITIES]; /* ascending, each once */
    size_t count;
};

/* A list of them: that of the option, or `otherwise` if it is not given. */
enum status command_quantities(struct command_line *line, const char *option, const char *otherwise,
                               int64_t maximum, struct quantities *quantities, struct error *error);

#endif
