#include "scholar/export.h"
#include "base/file.h"
#include "catalog/database.h"
#include <stdio.h>
#include <string.h>

static const char preamble[] =
    "# Citations among the entries of this catalogue, one link a line, as `clade fetch --export` writes "
    "them.\n"
    "#\n"
    "# citing, cited  keys of entries\n"
    "# intents        methodology, background, result, separated by commas; empty: not classified\n"
    "# influential    1 or 0; empty: not known\n"
    "# contexts       how many sentences mention the cited work; empty: not known\n"
    "# source         s2: the citing paper's reference list at Semantic Scholar\n"
    "#                paper-text: the cited title stands in the citing paper's own list of references; no "
    "intent is known\n"
    "#                hand: entered by hand\n"
    "#\n"
    "# An absent link is evidence of nothing where a paper has no link at all: its list was not stored. "
    "Links may run\n"
    "# forward in time: revised versions cite later work.\n"
    "#\n";

/* What was fetched when; the rest is what the catalogue had before, whose history the file's own has. */
static enum status print_dates(sqlite3 *database, FILE *stream, struct error *error)
{
    struct arena arena = ARENA_INIT;
    struct statement select = statement_start(
        database,
        "SELECT count(*), min(date(retrieved_at)), max(date(retrieved_at))"
        " FROM scholar_paper JOIN variant ON key = variant WHERE state IN ('complete', 'capped')",
        error);
    fputs("# Data of Semantic Scholar (https://www.semanticscholar.org, arXiv:2301.10140).", stream);
    if (statement_step(&select) && statement_integer(&select, 0) > 0)
        fprintf(stream,
                " The lists of %lld papers were\n"
                "# fetched from %s to %s; those of the others stand as they stood here before.",
                (long long)statement_integer(&select, 0), statement_text(&select, 1, &arena),
                statement_text(&select, 2, &arena));
    fputc('\n', stream);
    arena_release(&arena);
    return statement_finish(&select);
}

static void print_link(const struct citation_link *link, FILE *stream)
{
    static const struct {
        unsigned intent;
        const char *name;
    } intents[] = {
        {INTENT_METHODOLOGY, "methodology"}, {INTENT_BACKGROUND, "background"}, {INTENT_RESULT, "result"}};
    const char *separator = "";
    fprintf(stream, "%s\t%s\t", link->citing, link->cited);
    for (size_t i = 0; i < sizeof intents / sizeof *intents; i++) {
        if (!(link->intents & intents[i].intent))
            continue;
        fprintf(stream, "%s%s", separator, intents[i].name);
        separator = ",";
    }
    fputc('\t', stream);
    if (link->influential >= 0)
        fprintf(stream, "%d", link->influential);
    fputc('\t', stream);
    if (link->contexts >= 0)
        fprintf(stream, "%d", link->contexts);
    fprintf(stream, "\t%s\n", strcmp(link->source, "api") == 0 ? "s2" : link->source);
}

enum status citations_export(struct catalog *catalog, const char *path, struct error *error)
{
    struct arena arena = ARENA_INIT;
    struct citation_link *links;
    size_t count;
    struct output_file file = {NULL};
    enum status status = catalog_citations(catalog, NULL, &arena, &links, &count, error);
    if (!status)
        status = output_file_open(&file, path, error);
    if (!status) {
        fputs(preamble, file.stream);
        status = print_dates(catalog_database(catalog), file.stream, error);
        fputs("citing\tcited\tintents\tinfluential\tcontexts\tsource\n", file.stream);
        for (size_t i = 0; i < count; i++)
            print_link(&links[i], file.stream);
        if (status)
            output_file_discard(&file);
        else
            status = output_file_commit(&file, error);
    }
    arena_release(&arena);
    return status;
}
