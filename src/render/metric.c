#include "render/metric.h"
#include <string.h>
#include <utf8proc.h>

/* Advance widths of U+0020 .. U+007E in thousandths of the size. */
static const short widths[2][95] = {
    {278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
     556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
     611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
     667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
     222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584},
    {278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
     556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667,
     611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
     667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556,
     278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584},
};

/* Reads one character; a byte that is none counts as one. */
static int next_codepoint(const char **text)
{
    utf8proc_int32_t codepoint;
    utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)*text, -1, &codepoint);
    if (length <= 0) {
        (*text)++;
        return '?';
    }
    *text += length;
    return codepoint;
}

/* Letters with marks have the width of the letter, other narrow characters that of a digit, wide ones the
 * size. */
static int codepoint_width(int codepoint, bool bold)
{
    if (codepoint >= ' ' && codepoint <= '~')
        return widths[bold][codepoint - ' '];
    utf8proc_int32_t parts[4];
    int boundary = 0;
    utf8proc_ssize_t count =
        utf8proc_decompose_char(codepoint, parts, 4, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    if (count > 1 && parts[0] > ' ' && parts[0] <= '~')
        return widths[bold][parts[0] - ' '];
    static const int units[] = {0, 600, 1000};
    int columns = utf8proc_charwidth(codepoint);
    return units[columns < 0 ? 0 : columns > 2 ? 2 : columns];
}

static double width_of(const char *text, const char *end, double size, bool bold)
{
    long sum = 0;
    while (text < end)
        sum += codepoint_width(next_codepoint(&text), bold);
    return (double)sum * size / 1000;
}

double metric_width(const char *text, double size, bool bold)
{
    return width_of(text, text + strlen(text), size, bold);
}

/* The end of the piece that starts at `text`: up to a space, or behind a hyphen or slash within a word. */
static const char *piece_end(const char *text)
{
    const char *end = text;
    while (*end && *end != ' ') {
        end++;
        if ((end[-1] == '-' || end[-1] == '/') && end - text > 1 && *end && *end != ' ')
            break;
    }
    return end;
}

struct text_lines metric_wrap(const char *text, double size, bool bold, double width, struct arena *arena)
{
    struct text_lines result = {NULL};
    while (*text == ' ')
        text++;
    while (*text || result.count == 0) {
        const char *start = text, *end = piece_end(text), *next = end;
        for (;;) {
            while (*next == ' ')
                next++;
            const char *longer = piece_end(next);
            if (longer == next || width_of(start, longer, size, bold) > width)
                break;
            end = next = longer;
        }
        size_t length = (size_t)(end - start);
        char *line = arena_allocate(arena, length + 1);
        memcpy(line, start, length);
        result.lines = arena_extend(arena, result.lines, result.count, sizeof *result.lines);
        result.lines[result.count++] = line;
        double line_width = metric_width(line, size, bold);
        if (line_width > result.width)
            result.width = line_width;
        text = next;
    }
    return result;
}
