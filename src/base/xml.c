#include "base/xml.h"
#include <utf8proc.h>

static void print_codepoint(FILE *stream, const char *bytes, size_t length, int codepoint)
{
    switch (codepoint) {
    case '<':
        fputs("&lt;", stream);
        return;
    case '>':
        fputs("&gt;", stream);
        return;
    case '&':
        fputs("&amp;", stream);
        return;
    case '"':
        fputs("&quot;", stream);
        return;
    case '\'':
        fputs("&#39;", stream);
        return;
    case '\n': /* as an entity it survives in an attribute */
        fputs("&#10;", stream);
        return;
    case '\t':
        fputs("&#9;", stream);
        return;
    default:
        if (codepoint >= ' ' && codepoint != 0xFFFE && codepoint != 0xFFFF)
            fwrite(bytes, 1, length, stream);
    }
}

void xml_print(FILE *stream, const char *text)
{
    while (text && *text) {
        utf8proc_int32_t codepoint;
        utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &codepoint);
        if (length > 0)
            print_codepoint(stream, text, (size_t)length, codepoint);
        else
            fputs("\xEF\xBF\xBD", stream);
        text += length > 0 ? length : 1;
    }
}
