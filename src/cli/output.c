#include "cli/output.h"
#include "base/json.h"
#include "base/text.h"
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

enum {
    LARGEST_DOCUMENT = 256 << 20, /* bytes of JSON */
    NARROWEST = 20,               /* columns; a terminal that says less is not believed */
    WIDEST_TEXT = 100,            /* columns of running text */
};

static bool colour_refused;
static bool unicode;

void output_init(void)
{
    setlocale(LC_CTYPE, "");
    unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!unicode) /* names are UTF-8 whatever the terminal makes of them */
        setlocale(LC_CTYPE, "C.UTF-8");
}

void output_refuse_colour(void)
{
    colour_refused = true;
}

bool output_unicode(void)
{
    return unicode;
}

bool output_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

bool output_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return !colour_refused && !(no_color && *no_color) && terminal && strcmp(terminal, "dumb") != 0 &&
           isatty(fileno(stream));
}

size_t output_width(void)
{
    struct winsize size;
    if (!output_terminal() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < NARROWEST)
        return 80;
    return size.ws_col;
}

/* ---- text ---- */

const char *style_sequence(enum style style)
{
    static const char *const sequences[] = {
        [STYLE_PLAIN] = "",           [STYLE_HEADING] = "\033[1m", [STYLE_KEY] = "\033[36m",
        [STYLE_DIM] = "\033[2m",      [STYLE_GOOD] = "\033[32m",   [STYLE_BAD] = "\033[31m",
        [STYLE_WARNING] = "\033[33m",
    };
    return sequences[style];
}

/* Whether a character may reach a terminal: controls, format characters (which reorder text) and separators
 * of lines may not. */
static bool is_printable(utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
           category != UTF8PROC_CATEGORY_ZL && category != UTF8PROC_CATEGORY_ZP;
}

struct character {
    size_t size;    /* bytes */
    size_t width;   /* columns */
    bool printable; /* otherwise a '?' stands for it */
};

static struct character read_character(const char *text, size_t length)
{
    utf8proc_int32_t point;
    utf8proc_ssize_t size =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &point);
    if (size < 1 || !is_printable(point))
        return (struct character){size < 1 ? 1 : (size_t)size, 1, false};
    return (struct character){(size_t)size, (size_t)utf8proc_charwidth(point), true};
}

/* Prints a stretch of bytes; the columns that it took. */
static size_t spell(FILE *stream, const char *text, size_t length)
{
    size_t columns = 0;
    for (size_t at = 0; at < length;) {
        struct character character = read_character(text + at, length - at);
        if (character.printable)
            fwrite(text + at, 1, character.size, stream);
        else
            fputc('?', stream);
        columns += character.width;
        at += character.size;
    }
    return columns;
}

size_t text_width(const char *text, size_t length)
{
    size_t columns = 0;
    for (size_t at = 0; at < length;) {
        struct character character = read_character(text + at, length - at);
        columns += character.width;
        at += character.size;
    }
    return columns;
}

size_t text_prefix(const char *text, size_t length, size_t width)
{
    size_t columns = 0, at = 0;
    while (at < length) {
        struct character character = read_character(text + at, length - at);
        columns += character.width;
        if (columns > width && at > 0)
            break;
        at += character.size;
    }
    return at;
}

void print_clean(FILE *stream, const char *text)
{
    spell(stream, text, strlen(text));
}

void print_styled(FILE *stream, enum style style, const char *text)
{
    bool coloured = style != STYLE_PLAIN && output_colour(stream);
    if (coloured)
        fputs(style_sequence(style), stream);
    print_clean(stream, text);
    if (coloured)
        fputs("\033[0m", stream);
}

static void pad(size_t columns)
{
    printf("%*s", (int)columns, "");
}

/* Wraps `text`, the cursor being in column `indent`, and ends the line. */
static void wrap(size_t indent, const char *text)
{
    size_t widest = output_width() < WIDEST_TEXT ? output_width() : WIDEST_TEXT;
    size_t column = indent;
    while (*text) {
        size_t length = strcspn(text, " \n"), width = text_width(text, length);
        if (column > indent && column + 1 + width > widest) {
            putchar('\n');
            pad(indent);
            column = indent;
        }
        if (column > indent && length) {
            putchar(' ');
            column++;
        }
        column += spell(stdout, text, length);
        text += length;
        for (; *text == ' '; text++)
            ;
        for (; *text == '\n'; text++) {
            putchar('\n');
            if (text[1] != '\n')
                pad(indent);
            column = indent;
        }
    }
    putchar('\n');
}

void print_paragraph(size_t indent, const char *text)
{
    pad(indent);
    wrap(indent, text);
}

void print_entry(size_t indent, size_t column, const char *label, enum style style, const char *text)
{
    size_t end = indent + text_width(label, strlen(label));
    pad(indent);
    print_styled(stdout, style, label);
    if (end + 1 > column) {
        putchar('\n');
        end = 0;
    }
    pad(column - end);
    wrap(column, text);
}

void print_heading(const char *text)
{
    print_styled(stdout, STYLE_HEADING, text);
    putchar('\n');
}

/* ---- JSON ---- */

void progress_show(const char *format, ...)
{
    if (!isatty(STDERR_FILENO))
        return;
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
}

void progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

enum status print_json(cJSON *document, struct error *error)
{
    struct text text;
    text_init(&text, LARGEST_DOCUMENT);
    enum status status = json_print(document, &text, error);
    if (!status && fputs(text_string(&text), stdout) == EOF)
        status = error_set(error, STATUS_OUTSIDE, "cannot write to standard output: %s", strerror(errno));
    text_release(&text);
    cJSON_Delete(document);
    return status;
}
