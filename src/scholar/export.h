/* export.h: the citations in the form of catalog/citations.tsv. */
#ifndef CLADE_SCHOLAR_EXPORT_H
#define CLADE_SCHOLAR_EXPORT_H

#include "catalog/catalog.h"

/* Writes the view `citation` to a file, all or nothing: the fetched links of papers that were fetched whole,
 * and of the others, and of those entered by hand, what stands in the catalogue. "-" is standard output. */
enum status citations_export(struct catalog *catalog, const char *path, struct error *error);

#endif
