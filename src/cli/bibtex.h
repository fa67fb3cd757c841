/* bibtex.h: entries of a bibliography in BibTeX, in characters that any TeX reads. */
#ifndef CLADE_CLI_BIBTEX_H
#define CLADE_CLI_BIBTEX_H

#include "base/memory.h"
#include "base/text.h"
#include "catalog/variant.h"

/* First author's last name, year, first word of the title that is not an article or the like:
 * "yang2023gated". Lower case letters and digits; the variant's key where nothing else is known. */
const char *bibtex_name(const struct variant *variant, struct arena *arena);

/* Appends the entry under that name; ends with a newline. */
void bibtex_entry(const struct variant *variant, const char *name, struct text *text);

#endif
