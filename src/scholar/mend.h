/* mend.h: makes strict JSON of what the service may send although strict JSON has no place for it. Private to
 * scholar. */
#ifndef CLADE_SCHOLAR_MEND_H
#define CLADE_SCHOLAR_MEND_H

#include "base/text.h"
#include <stddef.h>

/* Texts of papers are parsed from PDF files: escaped NULs and halves of surrogate pairs become U+FFFD. Whole
 * numbers of 16 digits or more, which a double may not hold (ids are 64 bits wide), become strings. All else,
 * right or wrong, is copied as it is. `mended` is initialised by the caller and may fail on its maximum. */
void json_mend(const char *json, size_t length, struct text *mended);

#endif
