/* resources.h: what can be asked for, by path: the page's files and, below api/, what the catalogue knows as
 * JSON and the family trees as pictures. `clade serve` answers with these, `clade site` writes them down, so
 * that both are the same.
 *
 *     api/about.json              {version, variants, kernels}
 *     api/list.json               as `clade list --json`; ?text, family, kind, slot, kernel, character, state, since,
 *                                 seeds, missing narrow it
 *     api/families.json           [{key, name, colour, about}]
 *     api/characters.json         [{name, about, states: [{name, about}]}]
 *     api/kernels.json            [{name, slot, origin, summary, notes, characters, options}]; notes: its formulas
 *     api/kernels/NAME.json       one of them
 *     api/runs.json               {runs, results}: the newest measurements (bench/results.h); ?variant
 *     api/variants/KEY.json       as `clade show --json`
 *     api/lineage/KEY.json        as `clade lineage --json`; ?direction=descendants, depth
 *     api/why/KEY.json            as `clade why --json`
 *     api/diff/A/B.json           as `clade diff --json`
 *     api/tree/METHOD.json, .svg  as `clade tree --format json|svg`; METHOD: descent, citation, character
 *
 * A struct resources is of one thread at a time. It notices when another program changes the database. */
#ifndef CLADE_SERVER_RESOURCES_H
#define CLADE_SERVER_RESOURCES_H

#include "catalog/catalog.h"
#include "server/target.h"

struct resources;

struct resource {
    const char *type; /* of the content */
    const char *body; /* with a NUL behind it, not counted */
    size_t length;
};

/* Reads the page's files from `page`, or from where they are installed if it is NULL. The catalogue stays the
 * caller's and outlives the resources. */
enum status resources_open(struct catalog *catalog, const char *page, struct resources **resources,
                           struct error *error);
void resources_close(struct resources *resources); /* NULL is fine */

/* The body lives in the arena or in the resources, until the next call. STATUS_NO if nothing stands there,
 * STATUS_USAGE if the query is wrong, STATUS_OUTSIDE if the database fails. */
enum status resources_get(struct resources *resources, const struct target *target, struct arena *arena,
                          struct resource *resource, struct error *error);

/* All paths that stand for something without a query, "index.html", "api/list.json", ...; not those of pairs,
 * which are too many. */
enum status resources_paths(struct resources *resources, struct arena *arena, const char ***paths,
                            size_t *count, struct error *error);

#endif
