#include "cli/bibtex.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- characters ---- */

/* What stands before the base letter: "\'" of e with an acute accent. */
static const char *accent_of(utf8proc_int32_t mark)
{
    static const struct {
        utf8proc_int32_t mark;
        const char *accent;
    } accents[] = {
        {0x300, "\\`"},  {0x301, "\\'"},  {0x302, "\\^"},  {0x303, "\\~"},  {0x304, "\\="},
        {0x306, "\\u "}, {0x307, "\\."},  {0x308, "\\\""}, {0x30a, "\\r "}, {0x30b, "\\H "},
        {0x30c, "\\v "}, {0x323, "\\d "}, {0x327, "\\c "}, {0x328, "\\k "}, {0x331, "\\b "},
    };
    for (size_t i = 0; i < sizeof accents / sizeof *accents; i++)
        if (accents[i].mark == mark)
            return accents[i].accent;
    return NULL;
}

/* Characters that TeX writes as a command, and those that are commands to TeX. */
static const char *command_of(utf8proc_int32_t point)
{
    static const struct {
        utf8proc_int32_t point;
        const char *command;
    } commands[] = {
        {'&', "\\&"},
        {'%', "\\%"},
        {'$', "\\$"},
        {'#', "\\#"},
        {'_', "\\_"},
        {'{', "\\{"},
        {'}', "\\}"},
        {'~', "\\textasciitilde{}"},
        {'^', "\\textasciicircum{}"},
        {'\\', "\\textbackslash{}"},
        {'"', "{\"}"},
        {0xb2, "$^2$"},
        {0xb3, "$^3$"},
        {0xb7, "$\\cdot$"},
        {0xc6, "{\\AE}"},
        {0xd7, "$\\times$"},
        {0xd8, "{\\O}"},
        {0xdf, "{\\ss}"},
        {0xe6, "{\\ae}"},
        {0xf8, "{\\o}"},
        {0x131, "{\\i}"},
        {0x141, "{\\L}"},
        {0x142, "{\\l}"},
        {0x152, "{\\OE}"},
        {0x153, "{\\oe}"},
        {0x2013, "--"},
        {0x2014, "---"},
        {0x2018, "`"},
        {0x2019, "'"},
        {0x201c, "``"},
        {0x201d, "''"},
        {0x221e, "$\\infty$"},
        {0x3b1, "$\\alpha$"},
        {0x3b2, "$\\beta$"},
        {0x3b3, "$\\gamma$"},
        {0x3b4, "$\\delta$"},
        {0x3bb, "$\\lambda$"},
        {0x3bc, "$\\mu$"},
        {0x3c0, "$\\pi$"},
        {0x3c3, "$\\sigma$"},
        {0x3c4, "$\\tau$"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].point == point)
            return commands[i].command;
    return NULL;
}

/* A letter and its accents, as points of the decomposed form. Accents nest from the inside out. */
static void write_character(const utf8proc_int32_t *points, size_t count, struct text *text)
{
    size_t accents = 0;
    for (size_t i = count; i-- > 1;)
        if (accent_of(points[i])) {
            text_format(text, "{%s", accent_of(points[i]));
            accents++;
        }
    const char *command = command_of(points[0]);
    if (command) {
        text_append(text, command);
    } else if (points[0] < 0x20 || points[0] == 0x7f) {
        text_append(text, " ");
    } else {
        utf8proc_uint8_t bytes[4];
        text_append_bytes(text, bytes, (size_t)utf8proc_encode_char(points[0], bytes));
    }
    while (accents-- > 0)
        text_append(text, "}");
}

/* Text as TeX reads it; accented letters become commands, other scripts stay as they are. */
static void write_tex(const char *string, size_t length, struct text *text)
{
    utf8proc_uint8_t *bytes = NULL;
    if (utf8proc_map((const utf8proc_uint8_t *)string, (utf8proc_ssize_t)length, &bytes,
                     UTF8PROC_STABLE | UTF8PROC_DECOMPOSE) < 0)
        return;
    utf8proc_int32_t points[8];
    size_t count = 0;
    for (const utf8proc_uint8_t *at = bytes; *at;) {
        utf8proc_int32_t point;
        at += utf8proc_iterate(at, -1, &point);
        bool mark = utf8proc_category(point) == UTF8PROC_CATEGORY_MN;
        if (count && (!mark || count == sizeof points / sizeof *points)) {
            write_character(points, count, text);
            count = 0;
        }
        points[count++] = point;
    }
    if (count)
        write_character(points, count, text);
    free(bytes);
}

/* ---- names ---- */

/* Appends the letters and digits of a word in lower case and without accents. */
static void write_plain(const char *string, size_t length, struct text *text)
{
    utf8proc_uint8_t *bytes = NULL;
    if (utf8proc_map((const utf8proc_uint8_t *)string, (utf8proc_ssize_t)length, &bytes,
                     UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_STRIPMARK | UTF8PROC_CASEFOLD) < 0)
        return;
    for (const utf8proc_uint8_t *at = bytes; *at;) {
        utf8proc_int32_t point;
        at += utf8proc_iterate(at, -1, &point);
        if (point < 0x80 && isalnum((int)point))
            text_format(text, "%c", (char)point);
        else if (point == 0x142) /* has no decomposition */
            text_append(text, "l");
        else if (point == 0xf8)
            text_append(text, "o");
    }
    free(bytes);
}

static bool is_minor(const char *word)
{
    static const char *const minor[] = {"a",    "an",   "and",  "are",  "as",  "at",   "by",   "do",
                                        "does", "for",  "from", "in",   "is",  "it",   "into", "of",
                                        "on",   "or",   "the",  "to",   "via", "what", "how",  "when",
                                        "why",  "with", "you",  "your", "can", "all"};
    for (size_t i = 0; i < sizeof minor / sizeof *minor; i++)
        if (strcmp(minor[i], word) == 0)
            return true;
    return false;
}

static void write_title_word(const char *title, struct text *name)
{
    struct text word;
    text_init(&word, 1 << 10);
    for (const char *at = title; at && *at; at += strspn(at, " -:/")) {
        size_t length = strcspn(at, " -:/");
        text_clear(&word);
        write_plain(at, length, &word);
        if (word.length && !is_minor(text_string(&word))) {
            text_append(name, text_string(&word));
            break;
        }
        at += length;
    }
    text_release(&word);
}

/* Of the venue's name where it has one, "ICML 2024"; the catalogue's year may be that of the first
 * version. */
static int year_of(const struct variant *variant)
{
    const char *last = variant->venue ? strrchr(variant->venue, ' ') : NULL;
    if (last && strlen(last) == 5 && strspn(last + 1, "0123456789") == 4)
        return atoi(last + 1);
    return variant->year ? variant->year : variant->date ? atoi(variant->date) : 0;
}

const char *bibtex_name(const struct variant *variant, struct arena *arena)
{
    struct text name;
    text_init(&name, 1 << 12);
    if (variant->author_count) {
        const char *author = variant->authors[0], *last = strrchr(author, ' ');
        const char *comma = strchr(author, ',');
        if (comma)
            write_plain(author, (size_t)(comma - author), &name);
        else
            write_plain(last ? last + 1 : author, strlen(last ? last + 1 : author), &name);
    }
    if (year_of(variant))
        text_format(&name, "%d", year_of(variant));
    write_title_word(variant->title, &name);
    const char *copy = arena_copy_string(arena, name.length ? text_string(&name) : variant->key);
    text_release(&name);
    return copy;
}

/* ---- venues ---- */

enum venue_kind { VENUE_NONE, VENUE_JOURNAL, VENUE_MEETING };

static bool starts_with_any(const char *text, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static enum venue_kind classify_venue(const char *venue)
{
    static const char *const elsewhere[] = {"arXiv", "Blog", "GitHub", "Reddit", "ACL ARR"};
    static const char *const journals[] = {"JMLR",  "TACL", "TMLR", "Neurocomputing", "Neural Computation",
                                           "Nature"};
    if (!venue || starts_with_any(venue, elsewhere, sizeof elsewhere / sizeof *elsewhere) ||
        strstr(venue, "report") || strstr(venue, "submission"))
        return VENUE_NONE;
    if (starts_with_any(venue, journals, sizeof journals / sizeof *journals) ||
        venue[strlen(venue) - 1] == ')')
        return VENUE_JOURNAL;
    return VENUE_MEETING;
}

/* ---- entries ---- */

static void start_field(struct text *text, const char *name)
{
    text_format(text, "  %s%*s = {", name, (int)(13 - strlen(name)), "");
}

static void end_field(struct text *text)
{
    text_append(text, "},\n");
}

static void write_field(struct text *text, const char *name, const char *value)
{
    if (!value)
        return;
    start_field(text, name);
    write_tex(value, strlen(value), text);
    end_field(text);
}

/* Identifiers are taken to the letter; what would end the field is written as in a URL. */
static void write_identifier(struct text *text, const char *name, const char *prefix, const char *value)
{
    if (!value)
        return;
    start_field(text, name);
    text_append(text, prefix);
    for (; *value; value++)
        if (strchr("{}\\% ", *value) || (unsigned char)*value < 0x20)
            text_format(text, "%%%02X", (unsigned char)*value);
        else
            text_append_bytes(text, value, 1);
    end_field(text);
}

/* Words with capitals are braced, so that no style changes their case; the first word's own capital may
 * change. */
static void write_title(struct text *text, const char *title)
{
    start_field(text, "title");
    for (const char *at = title; *at;) {
        size_t length = strcspn(at, " "), capital = at == title;
        while (capital < length && !isupper((unsigned char)at[capital]))
            capital++;
        bool braced = capital < length;
        if (braced)
            text_append(text, "{");
        write_tex(at, length, text);
        if (braced)
            text_append(text, "}");
        at += length;
        if (*at) {
            text_append(text, " ");
            at += strspn(at, " ");
        }
    }
    end_field(text);
}

static void write_authors(struct text *text, const struct variant *variant)
{
    if (!variant->author_count)
        return;
    start_field(text, "author");
    for (size_t i = 0; i < variant->author_count; i++) {
        const char *author = variant->authors[i];
        bool several = strstr(author, " and ");
        text_append(text, i ? " and " : "");
        text_append(text, several ? "{" : "");
        write_tex(author, strlen(author), text);
        text_append(text, several ? "}" : "");
    }
    end_field(text);
}

/* "Neural Computation 9(8)", "TMLR 2023": the name, then volume and number if they are there. */
static void write_journal(struct text *text, const char *venue)
{
    const char *last = strrchr(venue, ' ');
    size_t length = last && isdigit((unsigned char)last[1]) ? (size_t)(last - venue) : strlen(venue);
    start_field(text, "journal");
    write_tex(venue, length, text);
    end_field(text);
    int volume, number;
    if (last && sscanf(last, " %9d(%9d)", &volume, &number) == 2)
        text_format(text, "  volume        = {%d},\n  number        = {%d},\n", volume, number);
}

void bibtex_entry(const struct variant *variant, const char *name, struct text *text)
{
    static const char *const types[] = {
        [VENUE_NONE] = "misc", [VENUE_JOURNAL] = "article", [VENUE_MEETING] = "inproceedings"};
    enum venue_kind kind = classify_venue(variant->venue);
    text_format(text, "@%s{%s,\n", types[kind], name);
    write_title(text, variant->title ? variant->title : variant->name ? variant->name : variant->key);
    write_authors(text, variant);
    if (kind == VENUE_MEETING)
        write_field(text, "booktitle", variant->venue);
    else if (kind == VENUE_JOURNAL)
        write_journal(text, variant->venue);
    else if (!variant->arxiv)
        write_field(text, "howpublished", variant->venue);
    if (year_of(variant))
        text_format(text, "  year          = {%d},\n", year_of(variant));
    write_identifier(text, "doi", "", variant->doi);
    if (variant->arxiv) {
        write_identifier(text, "eprint", "", variant->arxiv);
        write_field(text, "archiveprefix", "arXiv");
    }
    if (variant->acl)
        write_identifier(text, "url", "https://aclanthology.org/", variant->acl);
    else if (!variant->arxiv && !variant->doi && variant->code_count)
        write_identifier(text, "url", "", variant->code[0]);
    text_append(text, "}\n");
}
