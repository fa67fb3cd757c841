/* Times the database and lineage on a graph far larger than the catalogue: `bench-lineage [PAPERS [LINKS]]`, 100,000
 * and 2,000,000 if not said. Papers appear over thirty years; each cites older ones, of which the much-cited and the
 * recent are likelier, and descends from some that it cites. They are put beside the catalogue into a database in a
 * folder under TMPDIR, and asked for through the catalogue's interface. */
#include "base/file.h"
#include "catalog/catalog.h"
#include "lineage/citation.h"
#include "lineage/network.h"
#include "lineage/queries.h"
#include "lineage/tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double peak_megabytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* Of this process, which shares the machine with others. */
static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void report(const char *what, double start, double processor)
{
    printf("%-40s %7.2f s, %6.2f of the processor, peak %5.0f MB\n", what, now() - start,
           processor_seconds() - processor, peak_megabytes());
    fflush(stdout);
}

static void require(enum status status, const struct error *error)
{
    if (!status)
        return;
    fprintf(stderr, "bench-lineage: %s\n", error->message);
    exit(status);
}

static uint64_t chance_state = 88172645463325252u;

static size_t chance_below(size_t bound)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (size_t)(chance_state >> 11) % bound;
}

/* ---- the graph ---- */

static void run(sqlite3 *database, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &message) == SQLITE_OK)
        return;
    fprintf(stderr, "bench-lineage: %s\n", message);
    exit(STATUS_OUTSIDE);
}

static sqlite3_stmt *prepare(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK)
        return statement;
    fprintf(stderr, "bench-lineage: %s\n", sqlite3_errmsg(database));
    exit(STATUS_OUTSIDE);
}

static void step(sqlite3 *database, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) {
        fprintf(stderr, "bench-lineage: %s\n", sqlite3_errmsg(database));
        exit(STATUS_OUTSIDE);
    }
}

static void bind_key(sqlite3_stmt *statement, int place, size_t paper)
{
    char key[32];
    snprintf(key, sizeof key, "p%06zu", paper);
    sqlite3_bind_text(statement, place, key, -1, SQLITE_TRANSIENT);
}

static void add_paper(sqlite3 *database, sqlite3_stmt *insert, size_t paper, size_t papers)
{
    size_t day = paper * 30 * 336 / papers;
    char date[64];
    snprintf(date, sizeof date, "%04zu-%02zu-%02zu", 1995 + day / 336, 1 + day % 336 / 28, 1 + day % 28);
    bind_key(insert, 1, paper);
    sqlite3_bind_text(insert, 2, date, -1, SQLITE_TRANSIENT);
    step(database, insert);
}

/* A paper from before: half of the time a recent one, half of the time what an earlier link led to. */
static size_t choose_cited(const uint32_t *cited, size_t links, size_t paper)
{
    if (links && chance_below(2))
        return cited[chance_below(links)];
    size_t reach = paper < 3000 ? paper : 3000;
    return paper - 1 - chance_below(reach);
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* All that a paper cites; of every fifth of these it descends, of the first primarily. */
static void add_links(sqlite3 *database, sqlite3_stmt *link, sqlite3_stmt *parent, size_t paper,
                      uint32_t *cited, size_t first, size_t count)
{
    int parents = 0;
    qsort(cited + first, count - first, sizeof *cited, compare_numbers);
    for (size_t i = first; i < count; i++) {
        if (cited[i] >= paper || (i > first && cited[i] == cited[i - 1]))
            continue;
        bind_key(link, 1, paper);
        bind_key(link, 2, cited[i]);
        sqlite3_bind_int(link, 3, i % 3 == 0);
        sqlite3_bind_int(link, 4, i % 7 == 0);
        sqlite3_bind_int(link, 5, (int)(1 + i % 5));
        step(database, link);
        if (i % 5 != 0 || parents == 4)
            continue;
        bind_key(parent, 1, paper);
        bind_key(parent, 2, cited[i]);
        sqlite3_bind_int(parent, 3, parents);
        sqlite3_bind_int(parent, 4, parents == 0);
        step(database, parent);
        parents++;
    }
}

static void import_graph(sqlite3 *database, size_t papers, size_t wanted)
{
    run(database, "PRAGMA cache_size = -65536; BEGIN IMMEDIATE"); /* KB: indexes grow in random order */
    sqlite3_stmt *paper =
        prepare(database, "INSERT INTO variant (key, name, date, kind, family) VALUES (?1, ?1, ?2, "
                          "'block', (SELECT min(key) FROM family))");
    sqlite3_stmt *link =
        prepare(database, "INSERT INTO snapshot_link (citing, cited, methodology, background, result, "
                          "influential, contexts, source) VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, 's2')");
    sqlite3_stmt *parent = prepare(database, "INSERT INTO parent (child, parent, place, is_primary, changed) "
                                             "VALUES (?1, ?2, ?3, ?4, 'something')");
    uint32_t *cited = memory_allocate((wanted + 1) * sizeof *cited);
    size_t count = 0;
    for (size_t i = 0; i < papers; i++)
        add_paper(database, paper, i, papers);
    for (size_t i = 1; i < papers; i++) {
        size_t first = count, end = i * (wanted / papers + 1);
        for (; count < end && count < wanted; count++)
            cited[count] = (uint32_t)choose_cited(cited, first, i);
        add_links(database, link, parent, i, cited, first, count);
    }
    free(cited);
    sqlite3_finalize(paper);
    sqlite3_finalize(link);
    sqlite3_finalize(parent);
    run(database, "COMMIT; PRAGMA shrink_memory; PRAGMA cache_size = -2000");
}

/* ---- the measurements ---- */

static void time_ancestors(const struct network *network)
{
    double slowest = 0, start = now(), processor = processor_seconds();
    size_t most = 0;
    for (size_t i = 0; i < 20; i++) {
        struct arena arena = ARENA_INIT;
        struct visit *visits;
        size_t count, node = network->node_count - 1 - i * (network->node_count / 40);
        double before = now();
        network_reach(network, node, TO_ANCESTORS, EDGES_ALL, -1, &arena, &visits, &count);
        slowest = now() - before > slowest ? now() - before : slowest;
        most = count - 1 > most ? count - 1 : most;
        arena_release(&arena);
    }
    report("ancestors of 20 papers", start, processor);
    printf("%-40s %7.2f ms, %zu ancestors at most\n", "  the slowest", 1000 * slowest, most);
}

static void measure(const char *folder, size_t papers, size_t wanted)
{
    struct error error = ERROR_INIT;
    struct arena arena = ARENA_INIT;
    struct catalog *catalog;
    struct network network, inferred;
    struct citation_evidence evidence;
    struct node_link *links;
    struct tree tree;
    char *database = path_join(folder, "clade.db");
    struct catalog_options options = {.database = database, .directory = CLADE_CATALOG};
    require(catalog_open(&options, &catalog, &error), &error);
    double start = now(), processor = processor_seconds();
    import_graph(catalog_database(catalog), papers, wanted);
    report("import into the database", start, processor);
    start = now();
    processor = processor_seconds();
    require(network_from_catalog(catalog, &arena, &network, &error), &error);
    report("network of descent", start, processor);
    time_ancestors(&network);
    start = now();
    processor = processor_seconds();
    require(network_from_citations(catalog, &network, &arena, &inferred, &evidence, &links, &error), &error);
    report("citation tree, with reading the links", start, processor);
    printf("%-40s %zu of %zu papers, %zu links\n", "  parents", inferred.edge_count, inferred.node_count,
           evidence.candidate_count);
    start = now();
    processor = processor_seconds();
    tree_from_network(&inferred, &arena, &tree);
    report("tree of it", start, processor);
    catalog_close(catalog);
    arena_release(&arena);
    free(database);
}

int main(int count, char **words)
{
    size_t papers = count > 1 ? strtoul(words[1], NULL, 10) : 100000;
    size_t links = count > 2 ? strtoul(words[2], NULL, 10) : 2000000;
    const char *temporary = getenv("TMPDIR");
    char folder[256], command[300];
    snprintf(folder, sizeof folder, "%s/bench-lineage-XXXXXX", temporary ? temporary : "/tmp");
    if (papers < 2 || !mkdtemp(folder)) {
        fputs("usage: bench-lineage [PAPERS [LINKS]]\n", stderr);
        return STATUS_USAGE;
    }
    measure(folder, papers, links);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : STATUS_OUTSIDE;
}
