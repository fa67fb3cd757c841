/* similarity.h: how alike two titles or two names of authors are. */
#ifndef CLADE_SCHOLAR_SIMILARITY_H
#define CLADE_SCHOLAR_SIMILARITY_H

#include <stdbool.h>

/* 1 less the edit distance over the longer length, of the titles' letters and digits without case, accents
 * and punctuation; 0 where either has none. */
double title_similarity(const char *a, const char *b);

/* Whether two spellings can be one person: "Z. Dai", "Zihang Dai" and "Dai, Zihang" can. Unknown ones (NULL)
 * can. */
bool author_compatible(const char *a, const char *b);

#endif
