#include "server.h"
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_REQUEST = 1 << 20,
    LONGEST_MATCH = 258, /* of deflate */
};

static _Noreturn void die(const char *what)
{
    perror(what);
    _exit(1);
}

static void *require(void *pointer)
{
    if (!pointer)
        die("test server");
    return pointer;
}

/* ---- scenarios ---- */

struct rule {
    char *pattern, *headers, *body;
    size_t body_length;
    long times; /* -1: always */
    int status;
    long claim, cut; /* -1: not said */
    double delay;
    bool compressed;
};

struct rules {
    struct rule *rules;
    size_t count;
};

/* A gzip stream of one NUL and `length` repetitions: matches of the greatest length at distance 1, 13 bits
 * each. */
static char *make_bomb(size_t length, size_t *size)
{
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    size_t matches = length / LONGEST_MATCH, capacity = sizeof head + matches * 2 + 64, bit = 0;
    unsigned char *stream = require(calloc(1, capacity)), *bits = stream + sizeof head;
    memcpy(stream, head, sizeof head);
    const struct {
        unsigned code, width;
    } first[] = {{1, 1}, {1, 2}, {0x0c, 8}},
      match[] = {{0xa3, 8}, {0, 5}}; /* bits in the order of the stream */
    for (size_t i = 0; i < 3 + 2 * matches; i++) {
        unsigned code = i < 3 ? first[i].code : match[(i - 3) % 2].code;
        unsigned width = i < 3 ? first[i].width : match[(i - 3) % 2].width;
        for (unsigned j = 0; j < width; j++, bit++)
            bits[bit / 8] |= (unsigned char)((code >> j & 1) << bit % 8);
    }
    *size = sizeof head + bit / 8 + 16;
    return (char *)stream;
}

static char *read_data(const char *name, size_t *length)
{
    char path[512];
    struct stat information;
    snprintf(path, sizeof path, "%s/%s", CLADE_SCHOLAR_DATA, name);
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0 || fstat(descriptor, &information) != 0)
        die(path);
    char *data = require(malloc((size_t)information.st_size + 1));
    if (read(descriptor, data, (size_t)information.st_size) != information.st_size)
        die(path);
    close(descriptor);
    *length = (size_t)information.st_size;
    return data;
}

static char *join(char *a, const char *b)
{
    size_t length = a ? strlen(a) : 0;
    a = require(realloc(a, length + strlen(b) + 1));
    strcpy(a + length, b);
    return a;
}

/* With {port} in its place. */
static char *with_port(const char *text, int port)
{
    const char *mark = strstr(text, "{port}");
    char *copy = require(malloc(strlen(text) + 16));
    if (mark)
        sprintf(copy, "%.*s%d%s", (int)(mark - text), text, port, mark + strlen("{port}"));
    else
        strcpy(copy, text);
    return copy;
}

static void read_setting(struct rule *rule, const char *word, const char *value, int port)
{
    if (strcmp(word, "times") == 0) {
        rule->times = atol(value);
    } else if (strcmp(word, "status") == 0) {
        rule->status = atoi(value);
    } else if (strcmp(word, "header") == 0) {
        rule->headers = join(join(rule->headers, with_port(value, port)), "\r\n");
    } else if (strcmp(word, "body") == 0) {
        rule->body = require(strdup(value));
        rule->body_length = strlen(value);
    } else if (strcmp(word, "file") == 0) {
        rule->body = read_data(value, &rule->body_length);
    } else if (strcmp(word, "fill") == 0) {
        rule->body_length = (size_t)atol(value);
        rule->body = memset(require(malloc(rule->body_length)), ' ', rule->body_length);
    } else if (strcmp(word, "bomb") == 0) {
        rule->body = make_bomb((size_t)atol(value), &rule->body_length);
        rule->compressed = true;
    } else if (strcmp(word, "claim") == 0) {
        rule->claim = atol(value);
    } else if (strcmp(word, "cut") == 0) {
        rule->cut = atol(value);
    } else if (strcmp(word, "delay") == 0) {
        rule->delay = atof(value);
    } else {
        fprintf(stderr, "test server: unknown word '%s'\n", word);
        _exit(1);
    }
}

static struct rules read_scenario(const char *scenario, int port)
{
    struct rules rules = {NULL, 0};
    char *copy = require(strdup(scenario)), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));) {
        line += strspn(line, " \t");
        if (!*line || *line == '#')
            continue;
        char *value = line + strcspn(line, " ");
        if (*value)
            *value++ = '\0';
        if (strcmp(line, "on") == 0) {
            rules.rules = require(realloc(rules.rules, (rules.count + 1) * sizeof *rules.rules));
            rules.rules[rules.count++] = (struct rule){
                .pattern = require(strdup(value)), .times = -1, .status = 200, .claim = -1, .cut = -1};
        } else if (rules.count) {
            read_setting(&rules.rules[rules.count - 1], line, value, port);
        }
    }
    free(copy);
    return rules;
}

static struct rule *find_rule(struct rules *rules, const char *request)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct rule *rule = &rules->rules[i];
        if (rule->times == 0 || fnmatch(rule->pattern, request, 0) != 0)
            continue;
        rule->times -= rule->times > 0;
        return rule;
    }
    return NULL;
}

/* ---- the graph's answers ---- */

struct reply {
    int status;
    char *body;
};

static void add_text(cJSON *object, const char *name, const char *value)
{
    cJSON_AddItemToObject(object, name, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

static cJSON *paper_json(const struct graph_paper *paper)
{
    cJSON *object = cJSON_CreateObject(), *ids = cJSON_CreateObject();
    add_text(object, "paperId", paper->id);
    if (paper->arxiv)
        add_text(ids, "ArXiv", paper->arxiv);
    if (paper->doi)
        add_text(ids, "DOI", paper->doi);
    if (paper->acl)
        add_text(ids, "ACL", paper->acl);
    cJSON_AddItemToObject(ids, "CorpusId", cJSON_CreateRaw("9007199254740993"));
    cJSON_AddItemToObject(object, "externalIds", ids);
    add_text(object, "title", paper->title);
    cJSON_AddItemToObject(object, "year", paper->year ? cJSON_CreateNumber(paper->year) : cJSON_CreateNull());
    cJSON *author = cJSON_CreateObject();
    add_text(author, "authorId", NULL);
    add_text(author, "name", paper->author);
    if (paper->author)
        cJSON_AddItemToArray(cJSON_AddArrayToObject(object, "authors"), author);
    else
        cJSON_Delete(author);
    return object;
}

static bool id_is(const char *asked, const char *prefix, const char *id)
{
    size_t length = strlen(prefix);
    return id && strncasecmp(asked, prefix, length) == 0 && strcasecmp(asked + length, id) == 0;
}

static const struct graph_paper *find_paper(const struct graph *graph, const char *asked)
{
    for (size_t i = 0; graph && i < graph->count; i++) {
        const struct graph_paper *paper = &graph->papers[i];
        if (id_is(asked, "", paper->id) || id_is(asked, "ARXIV:", paper->arxiv) ||
            id_is(asked, "DOI:", paper->doi) || id_is(asked, "ACL:", paper->acl))
            return paper;
    }
    return NULL;
}

static struct reply make_reply(int status, cJSON *document)
{
    struct reply reply = {status, require(cJSON_PrintUnformatted(document))};
    cJSON_Delete(document);
    return reply;
}

static struct reply refuse(int status, const char *error)
{
    cJSON *document = cJSON_CreateObject();
    add_text(document, "error", error);
    return make_reply(status, document);
}

static struct reply answer_batch(const struct graph *graph, const char *body)
{
    cJSON *request = cJSON_Parse(body), *answer = cJSON_CreateArray();
    const cJSON *ids = cJSON_GetObjectItem(request, "ids"), *id;
    size_t known = 0;
    cJSON_ArrayForEach(id, ids)
    {
        const struct graph_paper *paper = find_paper(graph, id->valuestring);
        cJSON *object = paper ? paper_json(paper) : cJSON_CreateNull();
        if (paper) {
            cJSON_AddNumberToObject(object, "referenceCount", (double)paper->reference_count);
            cJSON_AddNumberToObject(object, "citationCount", 1000);
            known++;
        }
        cJSON_AddItemToArray(answer, object);
    }
    bool too_many = cJSON_GetArraySize(ids) > 500;
    cJSON_Delete(request);
    if (known && !too_many)
        return make_reply(200, answer);
    cJSON_Delete(answer);
    return refuse(400, too_many ? "Too many ids" : "No valid paper ids given");
}

static long parameter(const char *target, const char *name, long otherwise)
{
    for (const char *at = strchr(target, '?'); at; at = strchr(at + 1, '&')) {
        size_t length = strlen(name);
        if (strncmp(at + 1, name, length) == 0 && at[1 + length] == '=')
            return atol(at + 2 + length);
    }
    return otherwise;
}

static void add_names(cJSON *edge, const char *name, unsigned set)
{
    static const char *const names[] = {"methodology", "background", "result"};
    cJSON *array = cJSON_AddArrayToObject(edge, name);
    for (int i = 0; i < 3; i++)
        if (set & 1u << i)
            cJSON_AddItemToArray(array, cJSON_CreateString(names[i]));
}

static cJSON *edge_json(const struct graph *graph, size_t citing, size_t place)
{
    const struct graph_paper *paper = &graph->papers[citing];
    size_t cited = paper->references[place];
    cJSON *edge = cJSON_CreateObject(), *contexts = cJSON_AddArrayToObject(edge, "contexts");
    for (int i = 0; i < graph_contexts(citing, cited); i++)
        cJSON_AddItemToArray(contexts, cJSON_CreateString("A sentence that cites it \xe2\x80\x94 [1]."));
    add_names(edge, "intents", paper->intents[place]);
    cJSON_AddBoolToObject(edge, "isInfluential", graph_influential(citing, cited));
    cJSON_AddItemToObject(edge, "citedPaper", paper_json(&graph->papers[cited]));
    return edge;
}

static struct reply answer_references(const struct graph *graph, const char *target, const char *id,
                                      size_t page)
{
    const struct graph_paper *paper = find_paper(graph, id);
    long offset = parameter(target, "offset", 0), limit = parameter(target, "limit", 100);
    if (!paper)
        return refuse(404, "Paper with id unknown not found");
    if (limit < 1 || limit > 1000 || offset < 0)
        return refuse(400, "Unacceptable query params");
    if (offset + limit >= 10000)
        return refuse(400, "offset + limit must be < 10000");
    size_t end = (size_t)offset + ((size_t)limit < page ? (size_t)limit : page);
    cJSON *document = cJSON_CreateObject(), *data = cJSON_CreateArray();
    cJSON_AddNumberToObject(document, "offset", (double)offset);
    if (end < paper->reference_count)
        cJSON_AddNumberToObject(document, "next", (double)end);
    add_text(cJSON_AddObjectToObject(document, "citingPaperInfo"), "title", paper->title);
    for (size_t i = (size_t)offset; i < end && i < paper->reference_count; i++)
        cJSON_AddItemToArray(data, edge_json(graph, (size_t)(paper - graph->papers), i));
    cJSON_AddItemToObject(document, "data", data);
    return make_reply(200, document);
}

static void unescape(char *text)
{
    char *to = text;
    for (char *from = text; *from && *from != '&'; from++) {
        unsigned byte;
        if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
            *to++ = (char)byte;
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
}

static struct reply answer_match(const struct graph *graph, const char *target)
{
    const char *query = strstr(target, "query=");
    char *title = require(strdup(query ? query + strlen("query=") : ""));
    const struct graph_paper *found = NULL;
    unescape(title);
    for (size_t i = 0; graph && i < graph->count && !found; i++)
        if (graph->papers[i].title && strcasecmp(graph->papers[i].title, title) == 0)
            found = &graph->papers[i];
    free(title);
    if (!found)
        return refuse(404, "Title match not found");
    cJSON *document = cJSON_CreateObject(), *paper = paper_json(found);
    cJSON_AddNumberToObject(paper, "referenceCount", (double)found->reference_count);
    cJSON_AddNumberToObject(paper, "matchScore", 123.45);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(document, "data"), paper);
    return make_reply(200, document);
}

static struct reply answer(const struct graph *graph, const char *target, const char *body, size_t page)
{
    static const char prefix[] = "/graph/v1/paper/";
    char id[256];
    if (strncmp(target, prefix, sizeof prefix - 1) != 0)
        return refuse(404, "no such endpoint");
    const char *rest = target + sizeof prefix - 1;
    if (strncmp(rest, "batch?", 6) == 0)
        return answer_batch(graph, body);
    if (strncmp(rest, "search/match?", 13) == 0)
        return answer_match(graph, target);
    const char *end = strstr(rest, "/references");
    snprintf(id, sizeof id, "%.*s", (int)(end ? end - rest : 0), rest);
    return answer_references(graph, target, id, page);
}

/* ---- HTTP ---- */

struct request {
    char method[8], target[4096], key[128];
    char *body;
};

/* Reads head and body; false if the client went away. `buffer` has LARGEST_REQUEST bytes. */
static bool read_request(int connection, char *buffer, struct request *request)
{
    size_t used = 0, wanted = 0;
    char *end = NULL;
    while (!end || used < wanted) {
        ssize_t got = read(connection, buffer + used, LARGEST_REQUEST - 1 - used);
        if (got <= 0)
            return false;
        used += (size_t)got;
        buffer[used] = '\0';
        if (end || !(end = strstr(buffer, "\r\n\r\n")))
            continue;
        const char *length = strcasestr(buffer, "\r\nContent-Length:");
        wanted = (size_t)(end + 4 - buffer) + (length && length < end ? (size_t)atol(length + 17) : 0);
    }
    *request = (struct request){.key = "-", .body = end + 4};
    const char *key = strcasestr(buffer, "\r\nx-api-key:");
    if (key && key < end)
        sscanf(key + 12, " %127s", request->key);
    return sscanf(buffer, "%7s %4095s", request->method, request->target) == 2;
}

/* False if the client has gone. */
static bool send_all(int connection, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static void send_reply(int connection, int status, const char *headers, const char *body, size_t length,
                       long claim, long cut)
{
    char head[8192];
    int head_length = snprintf(head, sizeof head,
                               "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nConnection: close\r\n"
                               "Content-Length: %ld\r\n%s\r\n",
                               status, claim >= 0 ? claim : (long)length, headers ? headers : "");
    size_t allowed = cut >= 0 ? (size_t)cut : SIZE_MAX, first = (size_t)head_length;
    if (send_all(connection, head, first < allowed ? first : allowed) && allowed > first)
        send_all(connection, body, length < allowed - first ? length : allowed - first);
}

static void write_log(int log, const struct request *request, int status)
{
    struct timespec now;
    char line[8192];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line, "%ld.%06ld %s %s %s %d\n", (long)now.tv_sec, now.tv_nsec / 1000,
                          request->method, request->target, request->key, status);
    if (write(log, line, (size_t)length) != length)
        die("log");
}

struct serving {
    struct rules rules;
    const struct graph *graph;
    size_t page;
    int listener, log;
};

static void serve_one(struct serving *serving, int connection, char *buffer)
{
    struct request request;
    char line[4200];
    if (!read_request(connection, buffer, &request))
        return;
    snprintf(line, sizeof line, "%s %s", request.method, request.target);
    struct rule *rule = find_rule(&serving->rules, line);
    if (rule) {
        const char *encoding = rule->compressed ? "Content-Encoding: gzip\r\n" : "";
        char *headers = join(join(NULL, encoding), rule->headers ? rule->headers : "");
        write_log(serving->log, &request, rule->status);
        if (rule->delay > 0)
            usleep((useconds_t)(rule->delay * 1e6));
        send_reply(connection, rule->status, headers, rule->body ? rule->body : "", rule->body_length,
                   rule->claim, rule->cut);
        free(headers);
        return;
    }
    struct reply reply = answer(serving->graph, request.target, request.body, serving->page);
    write_log(serving->log, &request, reply.status);
    send_reply(connection, reply.status, NULL, reply.body, strlen(reply.body), -1, -1);
    free(reply.body);
}

static _Noreturn void serve(struct serving *serving)
{
    char *buffer = require(malloc(LARGEST_REQUEST));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int connection = accept(serving->listener, NULL, NULL);
        if (connection < 0)
            continue;
        /* a client that sends nothing may not stop the others */
        struct timeval patience = {.tv_sec = 5};
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        serve_one(serving, connection, buffer);
        close(connection);
    }
}

static int open_listener(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return listener;
}

void server_start(struct server *server, const char *scenario, const struct graph *graph, size_t page)
{
    struct serving serving = {.graph = graph, .page = page};
    serving.listener = open_listener(&server->port);
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%d/graph/v1", server->port);
    snprintf(server->log, sizeof server->log, "/tmp/clade-test-server-XXXXXX");
    serving.log = mkstemp(server->log);
    if (serving.log < 0)
        die("log");
    fflush(NULL);
    server->process = fork();
    if (server->process < 0)
        die("fork");
    if (server->process == 0) {
        serving.rules = read_scenario(scenario, server->port);
        serve(&serving);
    }
    close(serving.listener);
    close(serving.log);
}

void server_stop(struct server *server)
{
    if (server->process > 0) {
        kill(server->process, SIGKILL);
        waitpid(server->process, NULL, 0);
        unlink(server->log);
    }
    server->process = 0;
}

struct logged_request *server_log(const struct server *server, size_t *count)
{
    struct logged_request *requests = NULL;
    FILE *stream = require(fopen(server->log, "r"));
    *count = 0;
    for (;;) {
        requests = require(realloc(requests, (*count + 1) * sizeof *requests));
        struct logged_request *request = &requests[*count];
        if (fscanf(stream, "%lf %7s %4095s %127s %d", &request->time, request->method, request->target,
                   request->key, &request->status) != 5)
            break;
        ++*count;
    }
    fclose(stream);
    return requests;
}

size_t server_count(const struct server *server, const char *pattern)
{
    size_t count, matching = 0;
    struct logged_request *requests = server_log(server, &count);
    for (size_t i = 0; i < count; i++) {
        char line[4200];
        snprintf(line, sizeof line, "%s %s", requests[i].method, requests[i].target);
        matching += fnmatch(pattern, line, 0) == 0;
    }
    free(requests);
    return matching;
}
