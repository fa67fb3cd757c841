#include "lineage/label.h"
#include <stdbool.h>
#include <string.h>

/* Letters, digits and hyphens between them, a dot, and bytes of UTF-8, but no byte order mark at the start;
 * an underscore would be read as a blank. */
static bool is_plain(const char *label, enum label_format format)
{
    if (!*label || *label == '-' || *label == '.' || strncmp(label, "\xEF\xBB\xBF", 3) == 0)
        return false;
    for (const char *c = label; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        bool digit = *c >= '0' && *c <= '9';
        bool hyphen = *c == '-' && format == LABEL_NEWICK;
        if (!letter && !digit && !hyphen && *c != '.' && (unsigned char)*c < 0x80)
            return false;
    }
    /* A number would be read as one: as support, or as a taxon's place in a list. */
    return *label < '0' || *label > '9' || strspn(label, "0123456789.-eE") < strlen(label);
}

void label_print(const char *label, enum label_format format, FILE *stream)
{
    if (is_plain(label, format)) {
        fputs(label, stream);
        return;
    }
    fputc('\'', stream);
    for (const char *c = label; *c; c++) {
        if (*c == '\'')
            fputc('\'', stream);
        fputc((unsigned char)*c < ' ' || *c == 127 ? ' ' : *c, stream);
    }
    fputc('\'', stream);
}
