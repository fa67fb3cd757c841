/* list.c: `clade list`. */
#include "base/text.h"
#include "catalog/documents.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/table.h"
#include <stdio.h>
#include <string.h>

/* "mixer=attention" into two names; the second stays NULL without '='. */
static enum status split_pair(struct command_line *line, const char *option, const char **first,
                              const char **second, struct error *error)
{
    const char *text = command_text(line, option);
    if (!text)
        return STATUS_OK;
    char *copy = arena_copy_string(&line->arena, text), *equals = strchr(copy, '=');
    if (equals)
        *equals = '\0';
    *first = *copy ? copy : NULL;
    *second = equals && equals[1] ? equals + 1 : NULL;
    if (!*first || (equals && !*second))
        return error_set(error, STATUS_USAGE, "option '--%s' is NAME or NAME=VALUE, not '%.200s'", option,
                         text);
    return STATUS_OK;
}

static const char *join_operands(struct command_line *line)
{
    const char *joined = line->operand_count ? line->operands[0] : NULL;
    for (size_t i = 1; i < line->operand_count; i++)
        joined = arena_format(&line->arena, "%s %s", joined, line->operands[i]);
    return joined;
}

static enum status read_filter(struct command_line *line, struct catalog_filter *filter, struct error *error)
{
    *filter = (struct catalog_filter){
        .text = join_operands(line),
        .family = command_text(line, "family"),
        .kind = command_text(line, "kind"),
        .since = (int)command_integer(line, "since", 0),
        .seeds = command_given(line, "seeds"),
        .missing = command_given(line, "missing"),
    };
    enum status status = split_pair(line, "slot", &filter->slot, &filter->kernel, error);
    return status ? status : split_pair(line, "character", &filter->character, &filter->state, error);
}

static const char *seeds_text(const struct variant_row *row, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < row->seed_count; i++)
        text = arena_format(arena, "%s%s%s %s %d", text, i ? ", " : "", row->seeds[i].list,
                            row->seeds[i].part, row->seeds[i].number);
    return text;
}

static void print_rows(const struct command_line *line, const struct variant_row *rows, size_t count,
                       struct arena *arena)
{
    bool missing = command_given(line, "missing"), seeds = command_given(line, "seeds");
    const struct table_column columns[] = {
        {"KEY", 0},
        {"DATE", COLUMN_SPARE},
        {"FAMILY", COLUMN_SPARE},
        {"KIND", COLUMN_SPARE},
        {"RUNS", COLUMN_SPARE},
        {missing ? "MISSING"
         : seeds ? "SEEDS"
                 : "NAME",
         COLUMN_WRAP},
    };
    struct table *table = table_create(columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        struct table_row *row = table_row(table, NULL);
        table_cell(row, 0, STYLE_KEY, rows[i].key);
        table_cell(row, 1, STYLE_PLAIN, rows[i].date);
        table_cell(row, 2, STYLE_PLAIN, rows[i].family);
        table_cell(row, 3, STYLE_PLAIN, rows[i].kind);
        table_cell(row, 4, rows[i].runnable ? STYLE_GOOD : STYLE_DIM, rows[i].runnable ? "yes" : "no");
        table_cell(row, 5, STYLE_PLAIN,
                   missing ? rows[i].missing
                   : seeds ? seeds_text(&rows[i], arena)
                           : rows[i].name);
    }
    table_print(table);
}

static enum status run(struct command_line *line, struct error *error)
{
    struct catalog_filter filter;
    struct catalog *catalog;
    struct variant_row *rows;
    size_t count;
    enum status status = read_filter(line, &filter, error);
    if (!status)
        status = command_catalog(line, &catalog, error);
    if (!status)
        status = catalog_list(catalog, &filter, &line->arena, &rows, &count, error);
    if (!status && line->json)
        status = print_json(variant_rows_json(rows, count), error);
    else if (!status && count)
        print_rows(line, rows, count, &line->arena);
    if (!status && count == 0)
        return error_set(error, STATUS_NO, "no variant matches");
    return status;
}

const struct command command_list = {
    .name = "list",
    .operands = "[TEXT...]",
    .maximum = UNLIMITED,
    .summary = "list variants, all or those that match",
    .about =
        "Lists variants by the date of their first public version; with TEXT by relevance, those in which "
        "each "
        "word begins a word of key, name, title, authors or summary. Options narrow the list further and all "
        "must hold. A variant runs if a kernel is there for each of its slots. Ends with status 1 if nothing "
        "matches.",
    .json =
        "[{key, name, title, year, date, family, kind, runnable, missing, authors, summary, seeds: [{list, "
        "part, number}]}]: "
        "date "
        "is the first public version (YYYY, YYYY-MM or YYYY-MM-DD), year that of the venue, missing what the "
        "entry lacks in words; null where unknown. Nothing found is []",
    .options = OPTION_TABLE({.name = "family",
                             .type = VALUE_TEXT,
                             .value = "F",
                             .completion = COMPLETE_FAMILY,
                             .help = "of this family"},
                            {.name = "kind",
                             .type = VALUE_CHOICE,
                             .value = "block|component|procedure|objective|task|study",
                             .help = "of this kind"},
                            {.name = "slot",
                             .type = VALUE_TEXT,
                             .value = "SLOT[=KERNEL]",
                             .help = "with this slot filled, by this kernel: written or planned"},
                            {.name = "character",
                             .type = VALUE_TEXT,
                             .value = "C[=STATE]",
                             .help = "with a kernel that has this character, in this state"},
                            {.name = "since",
                             .type = VALUE_INTEGER,
                             .value = "YEAR",
                             .minimum = 1,
                             .maximum = 9999,
                             .help = "first public version in YEAR or later"},
                            {.name = "seeds", .help = "rows of the two seed lists, with their numbers"},
                            {.name = "missing", .help = "incomplete entries, with what they lack"}),
    .examples = EXAMPLES(
        {"clade list --family linear-attention", "one family, oldest first"},
        {"clade list rotary position", "a search in names, titles, authors and summaries"},
        {"clade list --slot mixer=attention --since 2023", "recent variants that keep softmax attention"},
        {"clade list --missing", "entries that wait for a kernel or a composition"},
        {"clade list --json --kind study", "for a program"}),
    .run = run,
};
