#include "cli/table.h"
#include "base/text.h"
#include <libsmartcols.h>
#include <stdlib.h>

enum {
    LONGEST_CELL = 1 << 20 /* bytes */
};

/* Tables and rows are libsmartcols' tables and lines. */
static struct libscols_table *table_of(struct table *table)
{
    return (struct libscols_table *)table;
}

static struct libscols_line *line_of(struct table_row *row)
{
    return (struct libscols_line *)row;
}

/* libsmartcols fails only for want of memory, which ends the program as in base/memory.h. */
static void *require(void *pointer)
{
    if (!pointer) {
        fputs("clade: out of memory\n", stderr);
        exit(STATUS_OUTSIDE);
    }
    return pointer;
}

static void require_zero(int result)
{
    require(result == 0 ? "" : NULL);
}

struct table *table_create(const struct table_column *columns, size_t count)
{
    struct libscols_table *table = require(scols_new_table());
    scols_table_enable_colors(table, output_colour(stdout));
    scols_table_enable_ascii(table, !output_unicode());
    if (output_terminal())
        scols_table_set_termwidth(table, output_width());
    for (size_t i = 0; i < count; i++) {
        unsigned flags = columns[i].flags;
        int wanted = (flags & COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0) | (flags & COLUMN_TREE ? SCOLS_FL_TREE : 0) |
                     (flags & COLUMN_CUT ? SCOLS_FL_TRUNC : 0);
        if (flags & COLUMN_WRAP && output_terminal())
            wanted |= SCOLS_FL_WRAP;
        require(scols_table_new_column(table, columns[i].name, 0.1, wanted));
    }
    return (struct table *)table;
}

struct table_row *table_row(struct table *table, struct table_row *parent)
{
    return require(scols_table_new_line(table_of(table), line_of(parent)));
}

void table_cell(struct table_row *row, size_t column, enum style style, const char *text)
{
    struct libscols_cell *cell = require(scols_line_get_cell(line_of(row), column));
    require_zero(scols_cell_set_data(cell, text));
    if (style != STYLE_PLAIN)
        require_zero(scols_cell_set_color(cell, style_sequence(style)));
}

void table_cell_format(struct table_row *row, size_t column, enum style style, const char *format, ...)
{
    struct text text;
    text_init(&text, LONGEST_CELL);
    va_list arguments;
    va_start(arguments, format);
    text_format_va(&text, format, arguments);
    va_end(arguments);
    table_cell(row, column, style, text_string(&text));
    text_release(&text);
}

void table_hide_headings(struct table *table)
{
    scols_table_enable_noheadings(table_of(table), 1);
}

void table_print_to(struct table *table, FILE *stream)
{
    scols_table_set_stream(table_of(table), stream);
    scols_table_enable_colors(table_of(table), 0);
    scols_table_set_termforce(table_of(table), SCOLS_TERMFORCE_NEVER);
    table_print(table);
}

void table_print(struct table *table)
{
    require_zero(scols_print_table(table_of(table)));
    scols_unref_table(table_of(table));
}
