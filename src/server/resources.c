#include "server/resources.h"
#include "base/json.h"
#include "block/registry.h"
#include "catalog/database.h"
#include "server/answers.h"
#include "server/page.h"
#include <stdlib.h>
#include <string.h>

enum { LARGEST_DOCUMENT = 64 << 20 };

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
