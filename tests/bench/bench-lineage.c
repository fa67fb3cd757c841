/* Times the database and lineage on a graph far larger than the catalogue: `bench-lineage [PAPERS [LINKS]]`,
 * 100,000 and 2,000,000 if not said. Papers appear over thirty years; each cites older ones, of which the
 * much-cited and the recent are likelier, and descends from some that it cites. They are written as a
 * catalogue, an entry a file, into a folder under TMPDIR, imported as the catalogue is, and asked for through
 * its interface. */
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
#include <sys/stat.h>
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

struct graph {
    uint32_t *cited; /* all that each paper cites, in the order of the papers */
    size_t *first;   /* of paper i: cited[first[i]] .. cited[first[i + 1] - 1] */
    size_t paper_count;
};

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

/* Links that were drawn twice are dropped, so that there are a few less than `wanted`. */
static struct graph draw_graph(size_t papers, size_t wanted)
{
    struct graph graph = {.cited = memory_allocate((wanted + 1) * sizeof *graph.cited),
                          .first = memory_allocate_zero(papers + 1, sizeof *graph.first),
                          .paper_count = papers};
    size_t count = 0, drawn = 0;
    for (size_t i = 0; i < papers; i++) {
        size_t first = graph.first[i] = count, end = i * (wanted / papers + 1);
        for (; drawn < end && drawn < wanted; drawn++)
            graph.cited[count++] = (uint32_t)choose_cited(graph.cited, first, i);
        if (count > first)
            qsort(graph.cited + first, count - first, sizeof *graph.cited, compare_numbers);
        size_t kept = first;
        for (size_t j = first; j < count; j++)
            if (j == first || graph.cited[j] != graph.cited[j - 1])
                graph.cited[kept++] = graph.cited[j];
        count = kept;
    }
    graph.first[papers] = count;
    return graph;
}

/* ---- as a catalogue ---- */

static FILE *create(const char *folder, const char *name)
{
    char *path = path_join(folder, name);
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        exit(STATUS_OUTSIDE);
    }
    free(path);
    return file;
}

static void finish(FILE *file)
{
    if (fclose(file) == 0)
        return;
    perror("bench-lineage");
    exit(STATUS_OUTSIDE);
}

/* It descends from every fifth paper that it cites, of the first primarily. */
static void write_entry(const char *folder, const struct graph *graph, size_t paper)
{
    size_t day = paper * 30 * 336 / graph->paper_count, first = graph->first[paper];
    char name[64];
    snprintf(name, sizeof name, "p%06zu.json", paper);
    FILE *file = create(folder, name);
    fprintf(file,
            "{\"key\": \"p%06zu\", \"name\": \"Paper %zu\", \"title\": \"The paper of number %zu\", "
            "\"authors\": [\"Author %zu\"], \"year\": %zu, \"date\": \"%04zu-%02zu-%02zu\", "
            "\"kind\": \"study\", \"added\": \"relative\", \"family\": \"training\", \"summary\": \"Number "
            "%zu of a drawn graph.\", "
            "\"parents\": [",
            paper, paper, paper, paper % 997, 1995 + day / 336, 1995 + day / 336, 1 + day % 336 / 28,
            1 + day % 28, paper);
    for (size_t i = first; i < graph->first[paper + 1] && i <= first + 15; i += 5)
        fprintf(file, "%s{\"key\": \"p%06u\", %s\"changed\": \"something\"}", i == first ? "" : ", ",
                graph->cited[i], i == first ? "\"primary\": true, " : "");
    fputs("]}\n", file);
    finish(file);
}

static void write_links(const char *folder, const struct graph *graph)
{
    FILE *file = create(folder, "citations.tsv");
    fputs("citing\tcited\tintents\tinfluential\tcontexts\tsource\n", file);
    for (size_t paper = 0; paper < graph->paper_count; paper++)
        for (size_t i = graph->first[paper]; i < graph->first[paper + 1]; i++)
            fprintf(file, "p%06zu\tp%06u\t%s\t%d\t%zu\ts2\n", paper, graph->cited[i],
                    i % 3 == 0 ? "methodology" : "", i % 7 == 0, 1 + i % 5);
    finish(file);
}

static void write_catalog(const char *folder, const struct graph *graph)
{
    FILE *families = create(folder, "families.json");
    fputs("[{\"key\": \"training\", \"name\": \"Papers\", \"colour\": \"#4477AA\", \"about\": \"All\"}]\n",
          families);
    finish(families);
    char *variants = path_join(folder, "variants");
    if (mkdir(variants, 0777) != 0) {
        perror(variants);
        exit(STATUS_OUTSIDE);
    }
    for (size_t paper = 0; paper < graph->paper_count; paper++)
        write_entry(variants, graph, paper);
    write_links(folder, graph);
    free(variants);
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

static void measure(const char *folder)
{
    struct error error = ERROR_INIT;
    struct arena arena = ARENA_INIT;
    struct catalog *catalog;
    struct network network, inferred;
    struct citation_evidence evidence;
    struct node_link *links;
    struct tree tree;
    char *database = path_join(folder, "clade.db");
    struct catalog_options options = {.database = database, .directory = folder};
    double start = now(), processor = processor_seconds();
    require(catalog_open(&options, &catalog, &error), &error);
    report("import of the catalogue", start, processor);
    catalog_close(catalog);
    start = now();
    processor = processor_seconds();
    require(catalog_open(&options, &catalog, &error), &error);
    report("opened again, nothing having changed", start, processor);
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
    struct graph graph = draw_graph(papers, links);
    write_catalog(folder, &graph);
    free(graph.cited);
    free(graph.first);
    measure(folder);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : STATUS_OUTSIDE;
}
