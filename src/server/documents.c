/* The documents of the API and the trees' pictures. */
#include "catalog/documents.h"
#include "base/fields.h"
#include "base/json.h"
#include "base/suggest.h"
#include "bench/results.h"
#include "block/registry.h"
#include "catalog/database.h"
#include "lineage/documents.h"
#include "lineage/evidence.h"
#include "lineage/exchange.h"
#include "lineage/method.h"
#include "render/family.h"
#include "render/render.h"
#include "server/answers.h"
#include "server/kernels.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum status about_document(const struct question *question, cJSON **document)
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

enum status list_document(const struct question *question, cJSON **document)
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

enum status families_document(const struct question *question, cJSON **document)
{
    struct family *families;
    size_t count;
    enum status status =
        catalog_families(question->resources->catalog, question->arena, &families, &count, question->error);
    if (!status)
        *document = families_json(families, count);
    return status;
}

enum status characters_document(const struct question *question, cJSON **document)
{
    struct character_state *states;
    size_t count;
    enum status status =
        catalog_characters(question->resources->catalog, question->arena, &states, &count, question->error);
    if (!status)
        *document = characters_json(states, count);
    return status;
}

enum status kernels_document(const struct question *question, cJSON **document)
{
    (void)question;
    *document = cJSON_CreateArray();
    for (size_t i = 0; i < registry_count; i++)
        cJSON_AddItemToArray(*document, kernel_json(i));
    return STATUS_OK;
}

enum status kernel_document(const struct question *question, cJSON **document)
{
    for (size_t i = 0; i < registry_count; i++)
        if (strcmp(registry_kernels[i]->name, question->names[0]) == 0) {
            *document = kernel_json(i);
            return STATUS_OK;
        }
    suggest_error(question->error, "kernel", question->names[0], registry_names(), registry_count);
    return STATUS_NO;
}

enum status runs_document(const struct question *question, cJSON **document)
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

enum status variant_document(const struct question *question, cJSON **document)
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

enum status lineage_document(const struct question *question, cJSON **document)
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

enum status why_document(const struct question *question, cJSON **document)
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

enum status diff_document(const struct question *question, cJSON **document)
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

enum status tree_document(const struct question *question, cJSON **document)
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

enum status tree_picture(const struct question *question, struct resource *resource)
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
