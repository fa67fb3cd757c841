/* table.h: tables and text trees on standard output, through libsmartcols: they fit the terminal, and are
 * whole where standard output is none. */
#ifndef CLADE_CLI_TABLE_H
#define CLADE_CLI_TABLE_H

#include "base/error.h"
#include "cli/output.h"
#include <stddef.h>

enum {
    COLUMN_RIGHT = 1, /* numbers */
    COLUMN_TREE = 2,  /* carries the lines from row to row */
    COLUMN_WRAP = 4,  /* too long: goes on below */
    COLUMN_CUT = 8,   /* too long: is cut */
};

struct table_column {
    const char *name; /* "KEY" */
    unsigned flags; /* of COLUMN_...; one that is neither wrapped nor cut keeps its width as long as it can */
};

struct table;
struct table_row;

struct table *table_create(const struct table_column *columns, size_t count);
/* A new last row; under `parent` in the tree, NULL for one at its root. Rows live as long as their table. */
struct table_row *table_row(struct table *table, struct table_row *parent);
/* The text is copied and may be NULL: an empty cell. */
void table_cell(struct table_row *row, size_t column, enum style style, const char *text);
void table_cell_format(struct table_row *row, size_t column, enum style style, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void table_hide_headings(struct table *table);
void table_print(struct table *table); /* and frees it */
/* The same to another stream, whole and without colour. */
void table_print_to(struct table *table, FILE *stream);

#endif
