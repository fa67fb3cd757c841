/* table.h: tables and text trees on standard output, through libsmartcols. On a terminal they fit it: one
 * column is wrapped between words into what the others leave, and columns that can be spared go where that is
 * too little. Where standard output is no terminal they are whole. */
#ifndef CLADE_CLI_TABLE_H
#define CLADE_CLI_TABLE_H

#include "cli/output.h"
#include <stddef.h>

enum {
    COLUMN_RIGHT = 1, /* numbers */
    COLUMN_TREE = 2,  /* carries the lines from row to row */
    COLUMN_WRAP = 4,  /* of running text: takes what is left and goes on below */
    COLUMN_CUT = 8,   /* too long: is cut */
    COLUMN_SPARE = 16 /* left out of a narrow terminal, the last first */
};

struct table_column {
    const char *name; /* "KEY" */
    unsigned flags;   /* of COLUMN_... */
};

struct table;
struct table_row;

/* At most 16 columns. */
struct table *table_create(const struct table_column *columns, size_t count);
/* A new last row; under `parent` in the tree, NULL for one at its root. Rows live as long as their table. */
struct table_row *table_row(struct table *table, struct table_row *parent);
/* The text is copied and may be NULL: an empty cell. */
void table_cell(struct table_row *row, size_t column, enum style style, const char *text);
void table_cell_format(struct table_row *row, size_t column, enum style style, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void table_hide_headings(struct table *table);
void table_print(struct table *table); /* and frees it */
/* The same into a file: whole and without colour. */
void table_print_to(struct table *table, FILE *stream);

#endif
