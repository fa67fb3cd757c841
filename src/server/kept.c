/* What takes time to make is made when first asked for and kept until the database changes. */
#include "catalog/database.h"
#include "server/answers.h"
#include <string.h>

const char *const methods[METHOD_COUNT] = {"descent", "citation", "character"};

static void drop_kept(struct resources *resources)
{
    arena_release(&resources->kept);
    resources->network = NULL;
    resources->citations = NULL;
    memset(resources->trees, 0, sizeof resources->trees);
    memset(resources->pictures, 0, sizeof resources->pictures);
}

/* Another connection's commit changes the version of the data. */
enum status look_for_changes(struct resources *resources, struct error *error)
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

enum status keep_network(const struct question *question)
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

enum status keep_citations(const struct question *question)
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

enum status keep_tree(const struct question *question, size_t method)
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
