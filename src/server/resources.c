#include "server/resources.h"
#include "base/fields.h"
#include "base/json.h"
#include "base/suggest.h"
#include "bench/results.h"
#include "block/registry.h"
#include "catalog/database.h"
#include "catalog/documents.h"
#include "lineage/documents.h"
#include "lineage/evidence.h"
#include "lineage/exchange.h"
#include "lineage/method.h"
#include "render/family.h"
#include "render/render.h"
#include "server/kernels.h"
#include "server/page.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const methods[] = {"descent", "citation", "character"};
enum { METHOD_COUNT = sizeof methods / sizeof *methods };
enum { LARGEST_DOCUMENT = 64 << 20 };

struct resources {
    struct catalog *catalog;
    struct page_file *files;
    size_t file_count;
    struct arena arena;
    int64_t version; /* of the database that the rest was made of */
    /* Made when first asked for, kept until the database changes. */
    struct arena kept;
    struct network *network;
    struct citations *citations;
    struct method_tree *trees[METHOD_COUNT];
    struct resource pictures[METHOD_COUNT]; /* body NULL: not drawn */
};

/* A request on its way to a document. */
struct question {
    struct resources *resources;
    const struct target *target;
    const char *names[2]; /* what stands in the place of KEY, NAME, A and B */
    struct arena *arena;
    struct error *error;
};

/* ---- what is kept ---- */

static void drop_kept(struct resources *resources)
{
    arena_release(&resources->kept);
    resources->network = NULL;
    resources->citations = NULL;
    memset(resources->trees, 0, sizeof resources->trees);
    memset(resources->pictures, 0, sizeof resources->pictures);
}

/* Another connection's commit changes the version of the data. */
static enum status look_for_changes(struct resources *resources, struct error *error)
{
    struct statement statement =
        statement_start(catalog_database(resources->catalog), "PRAGMA data_version", error);
    int64_t version = statement_step(&statement) ? statement_integer(&statement, 0) : 0;
    enum status status = statement_finish(&statement);
    if (!status && version != resources->version) {
        drop_kept(resources);
        resources->version = version;
    }
    return status;
}

static enum status keep_network(const struct question *question)
{
    struct resources *resources = question->resources;
    if (resources->network)
        return STATUS_OK;
    struct network *network = arena_allocate(&resources->kept, sizeof *network);
    enum status status = network_from_catalog(resources->catalog, &resources->kept, network, question->error);
    if (!status)
        resources->network = network;
    return status;
}

static enum status keep_citations(const struct question *question)
{
    struct resources *resources = question->resources;
    enum status status = keep_network(question);
    if (status || resources->citations)
        return status;
    struct citations *citations = arena_allocate(&resources->kept, sizeof *citations);
    status =
        citations_read(resources->catalog, resources->network, &resources->kept, citations, question->error);
    if (!status)
        resources->citations = citations;
    return status;
}

static enum status keep_tree(const struct question *question, size_t method)
{
    struct resources *resources = question->resources;
    if (resources->trees[method])
        return STATUS_OK;
    const struct character_method characters = {.joining = JOINING_NEIGHBOURS};
    struct method_tree *tree = arena_allocate(&resources->kept, sizeof *tree);
    enum status status = method_tree(resources->catalog, methods[method], &characters, &resources->kept, tree,
                                     question->error);
    if (!status)
        resources->trees[method] = tree;
    return status;
}

/* ---- documents ---- */

static enum status number_field(const struct question *question, const char *name, int minimum, int maximum,
                                int *number)
{
    const char *text = target_field(question->target, name);
    char *end;
    if (!text)
        return STATUS_OK;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < minimum || value > maximum)
        return error_set(question->error, STATUS_USAGE, "'%s' is a number from %d to %d, not '%.100s'", name,
                         minimum, maximum, text);
    *number = (int)value;
    return STATUS_OK;
}

static bool flag_field(const struct question *question, const char *name)
{
    const char *text = target_field(question->target, name);
    return text && strcmp(text, "0") != 0 && strcmp(text, "false") != 0;
}

static enum status about_document(const struct question *question, cJSON **document)
{
    enum status status = keep_network(question);
    if (status)
        return status;
    *document = cJSON_CreateObject();
    json_set_text(*document, "version", CLADE_VERSION);
    json_set_number(*document, "variants", (double)question->resources->network->node_count);
    json_set_number(*document, "kernels", (double)registry_count);
    return STATUS_OK;
}

static enum status list_document(const struct question *question, cJSON **document)
{
    const struct target *target = question->target;
    struct catalog_filter filter = {
        .text = target_field(target, "text"),
        .family = target_field(target, "family"),
        .kind = target_field(target, "kind"),
        .slot = target_field(target, "slot"),
        .kernel = target_field(target, "kernel"),
        .character = target_field(target, "character"),
        .state = target_field(target, "state"),
        .seeds = flag_field(question, "seeds"),
        .missing = flag_field(question, "missing"),
    };
    struct variant_row *rows;
    size_t count;
    if (filter.state && !filter.character)
        return error_set(question->error, STATUS_USAGE, "'state' goes with 'character'");
    enum status status = number_field(question, "since", 1, 9999, &filter.since);
    if (!status)
        status = catalog_list(question->resources->catalog, &filter, question->arena, &rows, &count,
                              question->error);
    if (!status)
        *document = variant_rows_json(rows, count);
    return status;
}

static enum status families_document(const struct question *question, cJSON **document)
{
    struct family *families;
    size_t count;
    enum status status =
        catalog_families(question->resources->catalog, question->arena, &families, &count, question->error);
    if (!status)
        *document = families_json(families, count);
    return status;
}

static enum status characters_document(const struct question *question, cJSON **document)
{
    struct character_state *states;
    size_t count;
    enum status status =
        catalog_characters(question->resources->catalog, question->arena, &states, &count, question->error);
    if (!status)
        *document = characters_json(states, count);
    return status;
}

static enum status kernels_document(const struct question *question, cJSON **document)
{
    (void)question;
    *document = cJSON_CreateArray();
    for (size_t i = 0; i < registry_count; i++)
        cJSON_AddItemToArray(*document, kernel_json(i));
    return STATUS_OK;
}

static enum status kernel_document(const struct question *question, cJSON **document)
{
    for (size_t i = 0; i < registry_count; i++)
        if (strcmp(registry_kernels[i]->name, question->names[0]) == 0) {
            *document = kernel_json(i);
            return STATUS_OK;
        }
    suggest_error(question->error, "kernel", question->names[0], registry_names(), registry_count);
    return STATUS_NO;
}

static enum status runs_document(const struct question *question, cJSON **document)
{
    return results_json(catalog_database(question->resources->catalog),
                        target_field(question->target, "variant"), document, question->error);
}

/* Nothing stands at the path of a variant that there is not. */
static enum status require_variants(const struct question *question)
{
    for (int i = 0; i < 2 && question->names[i]; i++) {
        enum status status =
            catalog_require(question->resources->catalog, question->names[i], question->error);
        if (status)
            return status == STATUS_USAGE ? STATUS_NO : status;
    }
    return STATUS_OK;
}

static enum status variant_document(const struct question *question, cJSON **document)
{
    struct variant_details details;
    enum status status = require_variants(question);
    if (!status)
        status = variant_details_read(question->resources->catalog, question->names[0], question->arena,
                                      &details, question->error);
    if (!status)
        *document = variant_details_json(&details);
    return status;
}

static enum status lineage_document(const struct question *question, cJSON **document)
{
    const char *direction = target_field(question->target, "direction");
    size_t node;
    int depth = -1;
    if (direction && strcmp(direction, "ancestors") != 0 && strcmp(direction, "descendants") != 0)
        return error_set(question->error, STATUS_USAGE,
                         "'direction' is ancestors or descendants, not '%.100s'", direction);
    enum status status = number_field(question, "depth", 0, 10000, &depth);
    if (!status)
        status = require_variants(question);
    if (!status)
        status = keep_network(question);
    if (!status)
        status = network_require(question->resources->network, question->names[0], &node, question->error);
    if (!status)
        *document = reach_json(question->resources->network, node,
                               direction && *direction == 'd' ? TO_DESCENDANTS : TO_ANCESTORS, depth,
                               question->arena);
    return status;
}

static enum status why_document(const struct question *question, cJSON **document)
{
    struct evidence evidence;
    enum status status = require_variants(question);
    if (!status)
        status = keep_citations(question);
    if (!status)
        status = evidence_read(question->resources->catalog, question->resources->citations,
                               question->names[0], question->arena, &evidence, question->error);
    if (!status)
        *document = evidence_json(&evidence);
    return status;
}

static enum status diff_document(const struct question *question, cJSON **document)
{
    struct pair pair;
    enum status status = require_variants(question);
    if (!status)
        status = keep_network(question);
    if (!status)
        status = pair_read(question->resources->catalog, question->resources->network, question->names[0],
                           question->names[1], question->arena, &pair, question->error);
    if (!status)
        *document = pair_json(&pair);
    return status;
}

/* ---- trees ---- */

static enum status find_method(const struct question *question, size_t *method)
{
    for (*method = 0; *method < METHOD_COUNT; (*method)++)
        if (strcmp(methods[*method], question->names[0]) == 0)
            return STATUS_OK;
    suggest_error(question->error, "method", question->names[0], methods, METHOD_COUNT);
    return STATUS_NO;
}

static enum status tree_document(const struct question *question, cJSON **document)
{
    size_t method;
    enum status status = find_method(question, &method);
    if (!status)
        status = keep_tree(question, method);
    if (status)
        return status;
    const struct method_tree *tree = question->resources->trees[method];
    *document =
        lineage_json(&(struct lineage_document){tree->name, &tree->tree, &tree->network, &tree->matrix});
    return STATUS_OK;
}

static enum status draw(const struct question *question, size_t method, FILE *stream)
{
    struct resources *resources = question->resources;
    const struct method_tree *tree = resources->trees[method];
    const struct family_view view = {.method = tree->name};
    struct picture picture;
    bool branchings = strcmp(tree->name, "character") == 0;
    enum status status = branchings
                             ? family_picture_of_tree(resources->catalog, &tree->network, &tree->tree, &view,
                                                      question->arena, &picture, question->error)
                             : family_picture(resources->catalog, &tree->network, &view, question->arena,
                                              &picture, question->error);
    return status ? status : render_print(&picture, RENDER_SVG, question->arena, stream, question->error);
}

static enum status tree_picture(const struct question *question, struct resource *resource)
{
    struct resources *resources = question->resources;
    size_t method, length = 0;
    char *svg = NULL;
    enum status status = find_method(question, &method);
    if (!status && !resources->pictures[method].body) {
        status = keep_tree(question, method);
        if (status)
            return status;
        FILE *stream = open_memstream(&svg, &length);
        if (!stream)
            return error_set(question->error, STATUS_OUTSIDE, "cannot draw: %s", strerror(errno));
        status = draw(question, method, stream);
        if (fclose(stream) != 0 && !status)
            status = error_set(question->error, STATUS_OUTSIDE, "cannot draw: %s", strerror(errno));
        if (!status) {
            char *body = arena_allocate(&resources->kept, length + 1);
            memcpy(body, svg, length + 1);
            resources->pictures[method] = (struct resource){page_type(".svg"), body, length};
        }
        free(svg);
    }
    if (!status)
        *resource = resources->pictures[method];
    return status;
}

/* ---- paths ---- */

enum subject { OF_NOTHING, OF_VARIANT, OF_KERNEL, OF_METHOD, OF_PAIR };

static const struct route {
    const char *folder; /* below api/; NULL: none */
    const char *name;   /* of the file; of its end where the start is a subject's name */
    enum subject subject;
    enum status (*document)(const struct question *question, cJSON **document);
    enum status (*picture)(const struct question *question, struct resource *resource);
    const char *fields; /* that a query may have, each between spaces */
} routes[] = {
    {NULL, "about.json", OF_NOTHING, about_document, NULL, ""},
    {NULL, "list.json", OF_NOTHING, list_document, NULL,
     " text family kind slot kernel character state since seeds missing "},
    {NULL, "families.json", OF_NOTHING, families_document, NULL, ""},
    {NULL, "characters.json", OF_NOTHING, characters_document, NULL, ""},
    {NULL, "kernels.json", OF_NOTHING, kernels_document, NULL, ""},
    {NULL, "runs.json", OF_NOTHING, runs_document, NULL, " variant "},
    {"tree", ".json", OF_METHOD, tree_document, NULL, ""},
    {"tree", ".svg", OF_METHOD, NULL, tree_picture, ""},
    {"variants", ".json", OF_VARIANT, variant_document, NULL, ""},
    {"lineage", ".json", OF_VARIANT, lineage_document, NULL, " direction depth "},
    {"why", ".json", OF_VARIANT, why_document, NULL, ""},
    {"kernels", ".json", OF_KERNEL, kernel_document, NULL, ""},
    {"diff", ".json", OF_PAIR, diff_document, NULL, ""},
};
enum { ROUTES = sizeof routes / sizeof *routes };

/* "gla.json" without ".json"; NULL if it has another end or nothing before it. */
static const char *without_end(const char *name, const char *end, struct arena *arena)
{
    size_t length = strlen(name), tail = strlen(end);
    if (length <= tail || strcmp(name + length - tail, end) != 0)
        return NULL;
    return arena_format(arena, "%.*s", (int)(length - tail), name);
}

/* Whether the path is one of the route's; sets the names in it. */
static bool follows(const struct route *route, struct question *question)
{
    const struct target *target = question->target;
    size_t count = 1 + (route->folder ? 2 : 1) + (route->subject == OF_PAIR);
    const char *const *segments = target->segments, *last = segments[count - 1];
    if (target->segment_count != count || strcmp(segments[0], "api") != 0 ||
        (route->folder && strcmp(segments[1], route->folder) != 0))
        return false;
    question->names[0] = question->names[1] = NULL;
    if (route->subject == OF_NOTHING)
        return strcmp(last, route->name) == 0;
    const char *name = without_end(last, route->name, question->arena);
    question->names[0] = route->subject == OF_PAIR ? segments[2] : name;
    question->names[1] = route->subject == OF_PAIR ? name : NULL;
    return name != NULL;
}

static enum status check_fields(const struct route *route, const struct question *question)
{
    const struct target *target = question->target;
    for (size_t i = 0; i < target->field_count; i++) {
        const char *word = arena_format(question->arena, " %s ", target->fields[i].name);
        if (strpbrk(target->fields[i].name, " ") || !strstr(route->fields, word))
            return error_set(question->error, STATUS_USAGE, "unknown parameter '%.100s'%s%s",
                             target->fields[i].name, *route->fields ? ": there are" : ": there are none",
                             *route->fields ? arena_format(question->arena, "%.*s",
                                                           (int)strlen(route->fields) - 1, route->fields)
                                            : "");
    }
    return STATUS_OK;
}

static enum status print_document(cJSON *document, struct arena *arena, struct resource *resource,
                                  struct error *error)
{
    struct text text;
    text_init(&text, LARGEST_DOCUMENT);
    enum status status = json_print(document, &text, error);
    if (!status) {
        char *body = arena_allocate(arena, text.length + 1);
        memcpy(body, text_string(&text), text.length + 1);
        *resource = (struct resource){page_type(".json"), body, text.length};
    }
    text_release(&text);
    cJSON_Delete(document);
    return status;
}

static enum status answer(const struct route *route, struct question *question, struct resource *resource)
{
    sqlite3 *database = catalog_database(question->resources->catalog);
    cJSON *document = NULL;
    enum status status = check_fields(route, question);
    if (!status)
        status = database_run(database, "BEGIN", question->error); /* all of an answer is of one moment */
    if (status)
        return status;
    status = look_for_changes(question->resources, question->error);
    if (!status)
        status = route->picture ? route->picture(question, resource) : route->document(question, &document);
    sqlite3_exec(database, "COMMIT", NULL, NULL, NULL);
    return status || !document ? status
                               : print_document(document, question->arena, resource, question->error);
}

enum status resources_get(struct resources *resources, const struct target *target, struct arena *arena,
                          struct resource *resource, struct error *error)
{
    struct question question = {.resources = resources, .target = target, .arena = arena, .error = error};
    for (size_t i = 0; i < ROUTES; i++)
        if (follows(&routes[i], &question))
            return answer(&routes[i], &question, resource);
    const char *name = target->segment_count ? target->segments[0] : "index.html";
    for (size_t i = 0; i < resources->file_count && target->segment_count < 2; i++)
        if (strcmp(resources->files[i].name, name) == 0) {
            const struct page_file *file = &resources->files[i];
            *resource = (struct resource){file->type, file->data, file->length};
            return STATUS_OK;
        }
    return error_set(error, STATUS_NO, "there is nothing at this path");
}

/* ---- all of them ---- */

struct path_list {
    const char **paths;
    size_t count;
    struct arena *arena;
};

static void add_path(struct path_list *list, const char *path)
{
    list->paths = arena_extend(list->arena, list->paths, list->count, sizeof *list->paths);
    list->paths[list->count++] = path;
}

static void add_route(struct path_list *list, const struct route *route, const char *const *names,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_path(list, arena_format(list->arena, "api/%s/%s%s", route->folder, names[i], route->name));
}

enum status resources_paths(struct resources *resources, struct arena *arena, const char ***paths,
                            size_t *count, struct error *error)
{
    struct path_list list = {.arena = arena};
    struct question question = {.resources = resources, .arena = arena, .error = error};
    enum status status = keep_network(&question);
    if (status)
        return status;
    const struct network *network = resources->network;
    const char **keys = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *keys));
    for (size_t i = 0; i < network->node_count; i++)
        keys[i] = network->nodes[i].key;
    for (size_t i = 0; i < resources->file_count; i++)
        add_path(&list, resources->files[i].name);
    for (const struct route *route = routes; route < routes + ROUTES; route++)
        switch (route->subject) {
        case OF_NOTHING:
            add_path(&list, arena_format(arena, "api/%s", route->name));
            break;
        case OF_VARIANT:
            add_route(&list, route, keys, network->node_count);
            break;
        case OF_KERNEL:
            add_route(&list, route, registry_names(), registry_count);
            break;
        case OF_METHOD:
            add_route(&list, route, methods, METHOD_COUNT);
            break;
        case OF_PAIR:
            break;
        }
    *paths = list.paths;
    *count = list.count;
    return STATUS_OK;
}

enum status resources_open(struct catalog *catalog, const char *page, struct resources **resources,
                           struct error *error)
{
    struct resources *opened = memory_allocate_zero(1, sizeof *opened);
    opened->catalog = catalog;
    enum status status = page_read(page, &opened->arena, &opened->files, &opened->file_count, error);
    if (!status)
        status = look_for_changes(opened, error);
    if (status)
        resources_close(opened);
    else
        *resources = opened;
    return status;
}

void resources_close(struct resources *resources)
{
    if (!resources)
        return;
    arena_release(&resources->kept);
    arena_release(&resources->arena);
    free(resources);
}
