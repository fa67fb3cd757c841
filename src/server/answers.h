/* answers.h: what a request is answered from, between resources.c, which knows the paths, kept.c, which keeps
 * what takes time to make, and documents.c. */
#ifndef CLADE_SERVER_ANSWERS_H
#define CLADE_SERVER_ANSWERS_H

#include "lineage/evidence.h"
#include "lineage/method.h"
#include "server/page.h"
#include "server/resources.h"
#include <cjson/cJSON.h>

enum { METHOD_COUNT = 3 };
extern const char *const methods[METHOD_COUNT]; /* of trees */

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

/* Drops what is kept if the database has changed since it was made. */
enum status look_for_changes(struct resources *resources, struct error *error);
/* Afterwards resources->network, ->citations and ->trees[method] are there. */
enum status keep_network(const struct question *question);
enum status keep_citations(const struct question *question);
enum status keep_tree(const struct question *question, size_t method);

/* Each makes the document of the question, to be deleted by the caller; the picture lives as long as what is
 * kept. */
enum status about_document(const struct question *question, cJSON **document);
enum status list_document(const struct question *question, cJSON **document);
enum status families_document(const struct question *question, cJSON **document);
enum status characters_document(const struct question *question, cJSON **document);
enum status kernels_document(const struct question *question, cJSON **document);
enum status kernel_document(const struct question *question, cJSON **document);
enum status runs_document(const struct question *question, cJSON **document);
enum status variant_document(const struct question *question, cJSON **document);
enum status lineage_document(const struct question *question, cJSON **document);
enum status why_document(const struct question *question, cJSON **document);
enum status diff_document(const struct question *question, cJSON **document);
enum status tree_document(const struct question *question, cJSON **document);
enum status tree_picture(const struct question *question, struct resource *resource);

#endif
