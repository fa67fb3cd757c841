/* graph.c: the catalogue as a graph of papers. */
#include "catalog/catalog.h"
#include "server.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "test server: %s\n", what);
    exit(1);
}

static const char *text(sqlite3_stmt *statement, int column)
{
    const unsigned char *found = sqlite3_column_text(statement, column);
    return found ? strdup((const char *)found) : NULL;
}

static void name_paper(struct graph_paper *paper, size_t index, const char *s2)
{
    if (s2)
        snprintf(paper->id, sizeof paper->id, "%s", s2);
    else
        snprintf(paper->id, sizeof paper->id, "%040zx", (index + 1) * 2654435761u);
}

static size_t find_key(const struct graph *graph, const char *key)
{
    for (size_t i = 0; i < graph->count; i++)
        if (strcmp(graph->papers[i].key, key) == 0)
            return i;
    require(false, "a link of no paper");
    return 0;
}

static void read_papers(sqlite3 *database, struct graph *graph)
{
    sqlite3_stmt *select;
    require(sqlite3_prepare_v2(database,
                               "SELECT key, title, year, arxiv, doi, acl, s2, (SELECT name FROM author"
                               " WHERE variant = key AND place = 0) FROM variant ORDER BY key",
                               -1, &select, NULL) == SQLITE_OK,
            sqlite3_errmsg(database));
    while (sqlite3_step(select) == SQLITE_ROW) {
        graph->papers = realloc(graph->papers, (graph->count + 1) * sizeof *graph->papers);
        require(graph->papers != NULL, "out of memory");
        struct graph_paper *paper = &graph->papers[graph->count];
        *paper = (struct graph_paper){.key = text(select, 0),
                                      .title = text(select, 1),
                                      .author = text(select, 7),
                                      .year = sqlite3_column_int(select, 2),
                                      .arxiv = text(select, 3),
                                      .doi = text(select, 4),
                                      .acl = text(select, 5)};
        name_paper(paper, graph->count++, (const char *)sqlite3_column_text(select, 6));
    }
    sqlite3_finalize(select);
}

static void read_links(sqlite3 *database, struct graph *graph)
{
    sqlite3_stmt *select;
    require(sqlite3_prepare_v2(
                database,
                "SELECT citing, cited, methodology + 2 * background + 4 * result FROM snapshot_link"
                " ORDER BY citing, cited",
                -1, &select, NULL) == SQLITE_OK,
            sqlite3_errmsg(database));
    while (sqlite3_step(select) == SQLITE_ROW) {
        struct graph_paper *paper =
            &graph->papers[find_key(graph, (const char *)sqlite3_column_text(select, 0))];
        size_t count = paper->reference_count++;
        paper->references = realloc(paper->references, (count + 1) * sizeof *paper->references);
        paper->intents = realloc(paper->intents, (count + 1) * sizeof *paper->intents);
        require(paper->references && paper->intents, "out of memory");
        paper->references[count] = find_key(graph, (const char *)sqlite3_column_text(select, 1));
        paper->intents[count] = (unsigned)sqlite3_column_int(select, 2);
    }
    sqlite3_finalize(select);
}

void graph_read(const char *path, struct graph *graph)
{
    sqlite3 *database;
    *graph = (struct graph){NULL};
    require(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK, "no database");
    read_papers(database, graph);
    read_links(database, graph);
    sqlite3_close(database);
}

void graph_free(struct graph *graph)
{
    for (size_t i = 0; i < graph->count; i++) {
        const struct graph_paper *paper = &graph->papers[i];
        const char *const texts[] = {paper->key,   paper->title, paper->author,
                                     paper->arxiv, paper->doi,   paper->acl};
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            free((char *)texts[j]);
        free(paper->references);
        free(paper->intents);
    }
    free(graph->papers);
}

int graph_contexts(size_t citing, size_t cited)
{
    return (int)((citing * 31 + cited * 17) % 5);
}

bool graph_influential(size_t citing, size_t cited)
{
    return (citing * 7 + cited * 3) % 4 == 0;
}
