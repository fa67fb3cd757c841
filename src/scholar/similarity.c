#include "scholar/similarity.h"
#include "base/memory.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    LONGEST_TITLE = 1024 /* characters; what is beyond counts for nothing */
};

struct plain {
    int32_t points[LONGEST_TITLE]; /* letters and digits; a space between words */
    size_t count;
};

static bool is_letter(utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO &&
           !(category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME);
}

static void make_plain(const char *text, struct plain *plain)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)text, 0, &folded,
                     UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE |
                         UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK | UTF8PROC_IGNORE);
    plain->count = 0;
    for (utf8proc_ssize_t at = 0, size; at < length && plain->count < LONGEST_TITLE; at += size) {
        utf8proc_int32_t point;
        size = utf8proc_iterate(folded + at, length - at, &point);
        bool letter = is_letter(point), open = plain->count && plain->points[plain->count - 1] != ' ';
        if (letter || open)
            plain->points[plain->count++] = letter ? point : ' ';
    }
    if (plain->count && plain->points[plain->count - 1] == ' ')
        plain->count--;
    free(folded);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t edit_distance(const struct plain *a, const struct plain *b)
{
    size_t row[LONGEST_TITLE + 1];
    for (size_t j = 0; j <= b->count; j++)
        row[j] = j;
    for (size_t i = 1; i <= a->count; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b->count; j++) {
            size_t above = row[j];
            row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a->points[i - 1] != b->points[j - 1]));
            diagonal = above;
        }
    }
    return row[b->count];
}

double title_similarity(const char *a, const char *b)
{
    struct plain first, second;
    make_plain(a, &first);
    make_plain(b, &second);
    size_t longer = first.count > second.count ? first.count : second.count;
    if (first.count == 0 || second.count == 0)
        return 0;
    return 1 - (double)edit_distance(&first, &second) / (double)longer;
}

/* The word that starts at *start; moves *start behind it. */
static size_t next_word(const struct plain *name, size_t *start, const int32_t **word)
{
    size_t end = *start;
    while (end < name->count && name->points[end] != ' ')
        end++;
    size_t length = end - *start;
    *word = name->points + *start;
    *start = end + 1;
    return length;
}

static bool has_word(const struct plain *name, const int32_t *word, size_t length)
{
    for (size_t start = 0; start < name->count;) {
        const int32_t *other;
        size_t other_length = next_word(name, &start, &other);
        if (other_length == length && memcmp(word, other, length * sizeof *word) == 0)
            return true;
    }
    return false;
}

bool author_compatible(const char *a, const char *b)
{
    struct plain first, second;
    if (!a || !b)
        return true;
    make_plain(a, &first);
    make_plain(b, &second);
    bool shared = first.count == 0 || second.count == 0;
    for (size_t start = 0; start < first.count && !shared;) {
        const int32_t *word;
        size_t length = next_word(&first, &start, &word);
        shared = length > 1 && has_word(&second, word, length); /* an initial says nothing */
    }
    return shared;
}
