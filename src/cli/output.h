/* output.h: how commands print: text that is safe and fits, colour where it is wanted, JSON.
 *
 * Text from the catalogue or the user goes through these functions, which replace control characters and
 * broken UTF-8: nothing that stands in a file reaches the terminal as a command to it. */
#ifndef CLADE_CLI_OUTPUT_H
#define CLADE_CLI_OUTPUT_H

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum style {
    STYLE_PLAIN,
    STYLE_HEADING,
    STYLE_KEY, /* names that can be typed back */
    STYLE_DIM, /* what may be skipped */
    STYLE_GOOD,
    STYLE_BAD,
    STYLE_WARNING,
};

/* Once, first. Takes the locale for characters only: numbers print with a point everywhere. */
void output_init(void);
void output_refuse_colour(void); /* --no-color */

/* Colour is for terminals, and not if NO_COLOR is set and not empty or TERM is dumb. */
bool output_colour(FILE *stream);
size_t output_width(void);  /* columns of the terminal on standard output; 80 if it is none */
bool output_terminal(void); /* standard output is a terminal */
bool output_unicode(void);  /* the user's locale has lines and arrows */
const char *style_sequence(enum style style); /* what starts it; "" for plain */

void print_styled(FILE *stream, enum style style, const char *text);
/* Wraps `text` to the terminal, every line from column `indent` on. Lines break at spaces and newlines. */
void print_paragraph(size_t indent, const char *text);
/* `label` at `indent`, then `text` wrapped from `column` on; below the label if that is too long. */
void print_entry(size_t indent, size_t column, const char *label, enum style style, const char *text);
void print_heading(const char *text);
/* Any length of text with what a terminal might obey, and line breaks, replaced by '?'. */
void print_clean(FILE *stream, const char *text);

/* The columns of a terminal that the first `length` bytes of a text take. */
size_t text_width(const char *text, size_t length);
/* How many of the first `length` bytes go into `width` columns: whole characters, at least one. */
size_t text_prefix(const char *text, size_t length, size_t width);

/* A line on standard error that says what is being done, in place of the one before; and none any more. Nothing
 * where that is no terminal. */
void progress_show(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_end(void);

/* Prints a document and deletes it. */
enum status print_json(cJSON *document, struct error *error);

#endif
