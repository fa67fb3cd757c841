/* clade-peers: clade's operations beside those of ggml, ONNX Runtime and PyTorch, on the same tensors in one
 * run. README.md says how. */
#include "base/memory.h"
#include "bench/clock.h"
#include "bench/machine.h"
#include "bench/statistics.h"
#include "peer.h"
#include "tensor/random.h"
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LENGTHS = 16, MAX_ROUNDS = 101, MIN_ROUNDS = 5, PAUSE_NANOSECONDS = 10000000 };
#define LARGEST_DIFFERENCE 1e-4 /* relative; the operations are equal if they differ by less */
#define SHORT_SECONDS 0.05      /* a run so short is preceded by one that is not counted */

static const struct peer *const peers[] = {&clade_peer, &ggml_peer, &onnxruntime_peer, &torch_peer};
enum { PEERS = sizeof peers / sizeof *peers, CLADE = 0 };

struct settings {
    const char *modules;
    int threads;
    double seconds; /* of all rounds of a problem */
    bool with_peer[PEERS], with_operation[OPERATIONS];
    int64_t lengths[MAX_LENGTHS];
    int length_count;
};

/* A peer at one problem. */
struct entry {
    const struct peer *peer;
    void *prepared;
    double difference; /* from clade's result */
    double seconds[MAX_ROUNDS];
};

struct contest {
    const struct settings *settings;
    struct problem *problem;
    struct entry entries[PEERS]; /* clade's first */
    int count, rounds;
};

static const char usage[] = "usage: clade-peers [--threads N] [--length 512,2048,8192] [--operation NAME,..] "
                            "[--peer ggml,onnxruntime,torch]\n"
                            "                   [--seconds S] [--modules FOLDER]\n";

_Noreturn static void fail(enum status status, const char *message)
{
    fprintf(stderr, "clade-peers: %s\n", message);
    exit(status);
}

static bool parse_lengths(struct settings *settings, char *list)
{
    settings->length_count = 0;
    for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
        long length = strtol(item, NULL, 10);
        if (length < 1 || length > 1 << 20 || settings->length_count == MAX_LENGTHS)
            return false;
        settings->lengths[settings->length_count++] = length;
    }
    return settings->length_count > 0;
}

static bool parse_operations(struct settings *settings, char *list)
{
    memset(settings->with_operation, 0, sizeof settings->with_operation);
    for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
        enum peer_operation operation = operation_from_name(item);
        if (operation == OPERATIONS)
            return false;
        settings->with_operation[operation] = true;
    }
    return true;
}

static bool parse_peers(struct settings *settings, char *list)
{
    for (int i = 0; i < PEERS; i++)
        settings->with_peer[i] = i == CLADE;
    for (char *item = strtok(list, ","); item; item = strtok(NULL, ",")) {
        int i = 0;
        while (i < PEERS && strcmp(item, peers[i]->name) != 0)
            i++;
        if (i == PEERS)
            return false;
        settings->with_peer[i] = true;
    }
    return true;
}

static void parse(struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"threads", required_argument, NULL, 't'},
                                            {"length", required_argument, NULL, 'l'},
                                            {"operation", required_argument, NULL, 'o'},
                                            {"peer", required_argument, NULL, 'p'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"modules", required_argument, NULL, 'm'},
                                            {0}};
    bool valid = true;
    for (int option; valid && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 't')
            valid = (settings->threads = atoi(optarg)) > 0;
        else if (option == 'l')
            valid = parse_lengths(settings, optarg);
        else if (option == 'o')
            valid = parse_operations(settings, optarg);
        else if (option == 'p')
            valid = parse_peers(settings, optarg);
        else if (option == 's')
            valid = (settings->seconds = atof(optarg)) > 0;
        else if (option == 'm')
            settings->modules = optarg;
        else
            valid = false;
    }
    if (valid && optind == argc)
        return;
    fprintf(stderr, "%soperations:", usage);
    for (int i = 0; i < OPERATIONS; i++)
        fprintf(stderr, " %s", operation_name((enum peer_operation)i));
    fprintf(stderr, "\n");
    exit(STATUS_USAGE);
}

/* Leaves out, with one line, those that are not there. */
static void open_peers(struct settings *settings)
{
    for (int i = 0; i < PEERS; i++) {
        struct error error = ERROR_INIT;
        if (settings->with_peer[i] && peers[i]->open(settings->modules, settings->threads, &error)) {
            fprintf(stderr, "clade-peers: without %s: %s\n", peers[i]->name, error.message);
            settings->with_peer[i] = false;
        } else if (settings->with_peer[i])
            printf("%s %s%s", peers[i]->name, peers[i]->version(), i == PEERS - 1 ? "\n" : ", ");
    }
}

static double relative_difference(const float *a, const float *b, int64_t count)
{
    double distance = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        distance += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(distance / size);
}

/* One run of each, whose result is compared with clade's. False if a result is another: it is not timed. */
static bool compare_results(struct contest *c, struct error *error)
{
    int64_t count = problem_result_size(c->problem);
    float *ours = memory_allocate((size_t)count * sizeof *ours),
          *theirs = memory_allocate((size_t)count * sizeof *ours);
    bool equal = true;
    int kept = 0;
    for (int i = 0; i < c->count && !error->status; i++) {
        struct entry *e = &c->entries[i];
        double seconds;
        if (e->peer->run(e->prepared, &seconds, error) ||
            e->peer->result(e->prepared, i == CLADE ? ours : theirs, error))
            break;
        e->difference = i == CLADE ? 0 : relative_difference(theirs, ours, count);
        if (e->difference < LARGEST_DIFFERENCE) {
            c->entries[kept++] = *e;
            continue;
        }
        fprintf(stderr, "clade-peers: %s computes another %s: relative difference %.1e\n", e->peer->name,
                operation_name(c->problem->operation), e->difference);
        e->peer->release(e->prepared);
        equal = false;
    }
    if (!error->status)
        c->count = kept;
    free(ours);
    free(theirs);
    return equal;
}

/* A pause first, in which the threads of the peer before go to sleep; then, if runs are short, one to warm
 * the caches. */
static enum status take_turn(struct entry *e, int round, struct error *error)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NANOSECONDS}, NULL);
    double *seconds = &e->seconds[round];
    if (e->peer->run(e->prepared, seconds, error) || *seconds > SHORT_SECONDS)
        return error->status;
    return e->peer->run(e->prepared, seconds, error);
}

/* Rounds in which each has its turn, in an order that is drawn anew. */
static enum status time_rounds(struct contest *c, struct error *error)
{
    double start = clock_seconds();
    for (c->rounds = 0; c->rounds < MAX_ROUNDS; c->rounds++) {
        if (c->rounds >= MIN_ROUNDS && clock_seconds() - start > c->settings->seconds)
            break;
        int order[PEERS] = {0};
        for (int i = 1; i < c->count; i++) {
            int j = (int)random_integer(1, (uint64_t)c->rounds, (uint64_t)i, (uint64_t)i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        for (int i = 0; i < c->count; i++)
            if (take_turn(&c->entries[order[i]], c->rounds, error))
                return error->status;
    }
    return STATUS_OK;
}

static void print_contest(const struct contest *c)
{
    size_t rounds = (size_t)c->rounds;
    double per_token = 1e6 / (double)c->problem->length, ratios[MAX_ROUNDS];
    for (int i = 0; i < c->count; i++) {
        const struct entry *e = &c->entries[i];
        for (int round = 0; round < c->rounds; round++)
            ratios[round] = c->entries[CLADE].seconds[round] / e->seconds[round];
        printf("%-24s%6d  %-12s", operation_name(c->problem->operation), (int)c->problem->length,
               e->peer->name);
        printf("%10.3f%9.3f%8d", statistics_median(e->seconds, rounds) * per_token,
               statistics_spread(e->seconds, rounds) * per_token, c->rounds);
        if (i == CLADE)
            printf("\n");
        else
            printf("%9.3f%9.3f%12.1e\n", statistics_median(ratios, rounds), statistics_spread(ratios, rounds),
                   e->difference);
    }
    fflush(stdout);
}

/* False if a peer computes something else. */
static bool hold_contest(const struct settings *settings, enum peer_operation operation, int64_t length)
{
    struct contest c = {.settings = settings, .problem = problem_create(operation, length)};
    struct error error = ERROR_INIT;
    for (int i = 0; i < PEERS && !error.status; i++)
        if (settings->with_peer[i] && peers[i]->has(operation)) {
            c.entries[c.count] =
                (struct entry){.peer = peers[i], .prepared = peers[i]->prepare(c.problem, &error)};
            c.count += c.entries[c.count].prepared != NULL;
        }
    bool equal = !error.status && compare_results(&c, &error);
    if (!error.status && time_rounds(&c, &error) == STATUS_OK)
        print_contest(&c);
    if (error.status)
        fail(error.status, error.message);
    for (int i = 0; i < c.count; i++)
        c.entries[i].peer->release(c.entries[i].prepared);
    problem_free(c.problem);
    return equal;
}

static void print_head(const struct settings *settings)
{
    cJSON *machine = machine_describe();
    const cJSON *processor = cJSON_GetObjectItem(machine, "processor");
    printf("%s, %d cores, %d thread%s; batch 1, 8 heads of 64, single precision, operation only\n",
           cJSON_IsString(processor) ? processor->valuestring : "unknown processor", machine_cores(),
           settings->threads, settings->threads > 1 ? "s" : "");
    cJSON_Delete(machine);
    if (machine_load() > machine_cores() * 0.5)
        fprintf(stderr, "clade-peers: the load is %.1f: times will be unsteady\n", machine_load());
    printf("%-24s%6s  %-12s%10s%9s%8s%9s%9s%12s\n", "operation", "T", "", "us/token", "spread", "rounds",
           "clade is", "spread", "difference");
}

int main(int argc, char **argv)
{
    struct settings settings = {.modules = PEERS_FOLDER "/node_modules",
                                .threads = 1,
                                .seconds = 5,
                                .with_peer = {true, true, true, true},
                                .lengths = {512, 2048, 8192},
                                .length_count = 3};
    bool equal = true;
    for (int i = 0; i < OPERATIONS; i++)
        settings.with_operation[i] = true;
    parse(&settings, argc, argv);
    open_peers(&settings);
    print_head(&settings);
    for (int i = 0; i < OPERATIONS; i++)
        for (int j = 0; settings.with_operation[i] && j < settings.length_count; j++)
            equal &= hold_contest(&settings, (enum peer_operation)i, settings.lengths[j]);
    for (int i = 0; i < PEERS; i++)
        if (settings.with_peer[i])
            peers[i]->close();
    return equal ? STATUS_OK : STATUS_NO;
}
