/* documents.h: what the catalogue knows as JSON, for the command line and the server alike. The fields are
 * documented in the help of the commands `list` and `show`; the caller deletes the documents. */
#ifndef CLADE_CATALOG_DOCUMENTS_H
#define CLADE_CATALOG_DOCUMENTS_H

#include "catalog/catalog.h"

/* [{key, name, title, year, date, family, kind, runnable, missing, authors, summary, seeds}] */
cJSON *variant_rows_json(const struct variant_row *rows, size_t count);

enum { MOST_LINKS = 4 };

/* A card with what else is told of the variant. */
struct variant_details {
    struct variant_card card;
    struct trait_row *traits; /* of this variant */
    size_t trait_count;
    const char *links[MOST_LINKS]; /* URLs of its paper */
    size_t link_count;
};
enum status variant_details_read(struct catalog *catalog, const char *key, struct arena *arena,
                                 struct variant_details *details, struct error *error);
cJSON *variant_details_json(const struct variant_details *details);

/* [{key, name, colour, about}] */
cJSON *families_json(const struct family *families, size_t count);
/* [{name, about, states: [{name, about}]}] */
cJSON *characters_json(const struct character_state *states, size_t count);

#endif
