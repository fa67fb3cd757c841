#include "cli/table.h"
#include "base/memory.h"
#include "base/text.h"
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_COLUMNS = 16,
    LONGEST_CELL = 1 << 20, /* bytes */
    LEAST_WRAPPED = 24,     /* columns of the terminal that wrapped text wants */
    TREE_STEP = 2,          /* columns of the terminal that a level of a tree takes */
};

struct table {
    struct libscols_table *lines;
    unsigned flags[MOST_COLUMNS];
    size_t columns;
};

/* A row is a line of libsmartcols. */
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
    if (count > MOST_COLUMNS)
        BUG("a table of %zu columns", count);
    struct table *table = memory_allocate_zero(1, sizeof *table);
    table->lines = require(scols_new_table());
    table->columns = count;
    scols_table_enable_colors(table->lines, output_colour(stdout));
    scols_table_enable_ascii(table->lines, !output_unicode());
    if (output_terminal())
        scols_table_set_termwidth(table->lines, output_width());
    for (size_t i = 0; i < count; i++) {
        unsigned flags = table->flags[i] = columns[i].flags;
        int wanted = (flags & COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0) | (flags & COLUMN_TREE ? SCOLS_FL_TREE : 0) |
                     (flags & COLUMN_CUT ? SCOLS_FL_TRUNC : 0);
        require(scols_table_new_column(table->lines, columns[i].name, 0.1, wanted));
    }
    return table;
}

struct table_row *table_row(struct table *table, struct table_row *parent)
{
    return require(scols_table_new_line(table->lines, line_of(parent)));
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
    scols_table_enable_noheadings(table->lines, 1);
}

/* ---- fitting ---- */

static size_t depth_of(const struct libscols_line *line)
{
    size_t depth = 0;
    while ((line = scols_line_get_parent(line)))
        depth++;
    return depth;
}

/* The columns of the terminal that a column of the table wants. */
static size_t natural_width(const struct table *table, size_t column)
{
    const char *name = scols_column_get_name(scols_table_get_column(table->lines, column));
    size_t widest = text_width(name, strlen(name));
    for (size_t i = 0; i < scols_table_get_nlines(table->lines); i++) {
        struct libscols_line *line = scols_table_get_line(table->lines, i);
        const char *text = scols_cell_get_data(scols_line_get_cell(line, column));
        size_t width = text ? text_width(text, strlen(text)) : 0;
        if (table->flags[column] & COLUMN_TREE)
            width += TREE_STEP * depth_of(line);
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* Breaks the lines of a cell between words; a word that is too long, anywhere. */
static void break_lines(struct libscols_cell *cell, size_t width)
{
    const char *at = scols_cell_get_data(cell);
    if (!at || text_width(at, strlen(at)) <= width)
        return;
    struct text text;
    text_init(&text, LONGEST_CELL);
    for (size_t column = 0; *at; at += strspn(at, " ")) {
        size_t length = text_prefix(at, strcspn(at, " "), width), taken = text_width(at, length);
        bool again = column && column + 1 + taken > width;
        text_append(&text, again ? "\n" : column ? " " : "");
        text_append_bytes(&text, at, length);
        column = again || !column ? taken : column + 1 + taken;
        at += length;
    }
    require_zero(scols_cell_set_data(cell, text_string(&text)));
    text_release(&text);
}

static void wrap_column(struct table *table, size_t column, size_t width)
{
    struct libscols_column *wrapped = scols_table_get_column(table->lines, column);
    for (size_t i = 0; i < scols_table_get_nlines(table->lines); i++)
        break_lines(scols_line_get_cell(scols_table_get_line(table->lines, i), column), width);
    scols_column_set_flags(wrapped, scols_column_get_flags(wrapped) | SCOLS_FL_WRAP);
    scols_column_set_safechars(wrapped, "\n");
    scols_column_set_wrapfunc(wrapped, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
}

/* What the columns beside `wrapped` (which may be none) leave of the terminal: below 0 if they do not fit. */
static ptrdiff_t room_beside(const struct table *table, const size_t *widths, size_t wrapped)
{
    ptrdiff_t room = (ptrdiff_t)output_width();
    for (size_t i = 0; i < table->columns; i++)
        if (i != wrapped && widths[i])
            room -= (ptrdiff_t)widths[i] + 1;
    return room;
}

static void fit(struct table *table)
{
    size_t widths[MOST_COLUMNS], wrapped = MOST_COLUMNS;
    for (size_t i = 0; i < table->columns; i++) {
        widths[i] = natural_width(table, i);
        if (table->flags[i] & COLUMN_WRAP)
            wrapped = i;
    }
    size_t wanted = wrapped == MOST_COLUMNS ? 0 : widths[wrapped];
    if (wanted > LEAST_WRAPPED)
        wanted = LEAST_WRAPPED;
    for (size_t i = table->columns; i-- > 0;)
        if (table->flags[i] & COLUMN_SPARE && room_beside(table, widths, wrapped) < (ptrdiff_t)wanted) {
            struct libscols_column *spared = scols_table_get_column(table->lines, i);
            scols_column_set_flags(spared, scols_column_get_flags(spared) | SCOLS_FL_HIDDEN);
            widths[i] = 0;
        }
    ptrdiff_t room = room_beside(table, widths, wrapped);
    if (wrapped < MOST_COLUMNS && (ptrdiff_t)widths[wrapped] > room)
        wrap_column(table, wrapped, room > (ptrdiff_t)wanted ? (size_t)room : wanted);
}

static void finish(struct table *table)
{
    require_zero(scols_print_table(table->lines));
    scols_unref_table(table->lines);
    free(table);
}

void table_print(struct table *table)
{
    if (output_terminal())
        fit(table);
    finish(table);
}

void table_print_to(struct table *table, FILE *stream)
{
    scols_table_enable_colors(table->lines, 0);
    scols_table_set_termforce(table->lines, SCOLS_TERMFORCE_NEVER);
    require_zero(scols_table_set_stream(table->lines, stream));
    finish(table);
}
