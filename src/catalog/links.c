/* links.c: citations.tsv, a table with one link a line:
 *
 *     citing  cited  intents  influential  contexts  source
 *
 * Lines that start with '#' are comments; the first other line names the columns. */
#include "base/suggest.h"
#include "base/text.h"
#include "catalog/contents.h"
#include "catalog/rules.h"
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 6 };
static const char *const column_names[COLUMNS] = {"citing",      "cited",    "intents",
                                                  "influential", "contexts", "source"};

struct table {
    const struct source_file *file;
    const struct contents *contents;
    struct error *error;
    size_t line; /* from 1 */
};

__attribute__((format(printf, 2, 3))) static enum status table_error(const struct table *table,
                                                                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_set_va(table->error, STATUS_OUTSIDE, format, arguments);
    va_end(arguments);
    return error_prefix(table->error, "%s:%zu", table->file->path, table->line);
}

/* Splits a line in place. */
static enum status split(const struct table *table, char *line, char *columns[COLUMNS])
{
    int count = 0;
    for (char *at = line; at; count++) {
        char *tab = strchr(at, '\t');
        if (tab)
            *tab++ = '\0';
        if (count < COLUMNS)
            columns[count] = at;
        at = tab;
    }
    if (count != COLUMNS)
        return table_error(table, "expected %d columns, found %d", COLUMNS, count);
    return STATUS_OK;
}

static enum status read_header(const struct table *table, char *columns[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++)
        if (strcmp(columns[i], column_names[i]) != 0)
            return table_error(table, "expected column '%s', found '%s'", column_names[i], columns[i]);
    return STATUS_OK;
}

static enum status read_key(const struct table *table, const char *text, const char **key)
{
    ptrdiff_t index = contents_find(table->contents, text);
    if (index >= 0) {
        *key = table->contents->keys[index];
        return STATUS_OK;
    }
    suggest_error(table->error, "variant", text, table->contents->keys, table->contents->variant_count);
    return table_error(table, "%s", table->error->message);
}

static enum status read_intents(const struct table *table, char *text, unsigned *intents)
{
    static const char *const names[] = {"methodology", "background", "result"};
    char *rest = NULL;
    *intents = 0;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        size_t i = 0;
        while (i < 3 && strcmp(word, names[i]) != 0)
            i++;
        if (i == 3)
            return table_error(table, "expected intents among methodology, background and result, found '%s'",
                               word);
        *intents |= 1u << i; /* the order of enum citation_intent */
    }
    return STATUS_OK;
}

/* A number up to `maximum`, or -1 for an empty column. */
static enum status read_number(const struct table *table, const char *column, const char *text, int maximum,
                               int *number)
{
    *number = -1;
    if (*text == '\0')
        return STATUS_OK;
    size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0' || digits > 7 || atoi(text) > maximum)
        return table_error(table, "expected %s from 0 to %d or nothing, found '%s'", column, maximum, text);
    *number = atoi(text);
    return STATUS_OK;
}

static enum status read_link(const struct table *table, char *columns[COLUMNS], struct citation_link *link)
{
    enum status status = read_key(table, columns[0], &link->citing);
    if (!status)
        status = read_key(table, columns[1], &link->cited);
    if (!status && link->citing == link->cited)
        status = table_error(table, "'%s' cites itself", link->citing);
    if (!status)
        status = read_intents(table, columns[2], &link->intents);
    if (!status)
        status = read_number(table, "influential", columns[3], 1, &link->influential);
    if (!status)
        status = read_number(table, "contexts", columns[4], 100000, &link->contexts);
    for (size_t i = 0; i < rule_link_sources.count; i++)
        if (strcmp(columns[5], rule_link_sources.names[i]) == 0)
            link->source = rule_link_sources.names[i];
    if (!status && !link->source) {
        suggest_error(table->error, "source", columns[5], rule_link_sources.names, rule_link_sources.count);
        status = table_error(table, "%s", table->error->message);
    }
    return status;
}

static int compare_links(const void *a, const void *b)
{
    const struct citation_link *x = a, *y = b;
    int order = strcmp(x->citing, y->citing);
    return order ? order : strcmp(x->cited, y->cited);
}

static enum status refuse_duplicates(const struct source_file *file, struct contents *contents,
                                     struct error *error)
{
    if (contents->link_count > 1)
        qsort(contents->links, contents->link_count, sizeof *contents->links, compare_links);
    for (size_t i = 1; i < contents->link_count; i++)
        if (compare_links(&contents->links[i - 1], &contents->links[i]) == 0)
            return error_set(error, STATUS_OUTSIDE, "%s: the link from '%s' to '%s' is listed twice",
                             file->path, contents->links[i].citing, contents->links[i].cited);
    return STATUS_OK;
}

enum status contents_read_links(const struct source_file *file, struct arena *arena,
                                struct contents *contents, struct error *error)
{
    if (!file->data)
        return STATUS_OK;
    struct table table = {.file = file, .contents = contents, .error = error};
    size_t valid = utf8_prefix(file->data, file->length);
    if (valid < file->length || memchr(file->data, '\0', file->length))
        return error_set(error, STATUS_OUTSIDE, "%s: expected UTF-8 text without NUL", file->path);
    bool header = true;
    char *text = arena_copy_string(arena, file->data), *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *columns[COLUMNS];
        table.line++;
        if (*line == '\0' || *line == '#')
            continue;
        enum status status = split(&table, line, columns);
        struct citation_link link = {NULL};
        if (!status)
            status = header ? read_header(&table, columns) : read_link(&table, columns, &link);
        if (status)
            return status;
        if (!header) {
            contents->links = arena_extend(arena, contents->links, contents->link_count, sizeof link);
            contents->links[contents->link_count++] = link;
        }
        header = false;
    }
    return refuse_duplicates(file, contents, error);
}
