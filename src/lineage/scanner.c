#include "lineage/scanner.h"
#include "base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

/* No label can hold what no writer writes. */
static bool is_text(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)data[i] < ' ' && !is_blank(data[i])) || data[i] == 127)
            return false;
    return utf8_prefix(data, length) == length;
}

enum status scanner_init(struct scanner *scanner, const char *name, const char *data, size_t length,
                         struct arena *arena, struct error *error)
{
    *scanner = (struct scanner){.name = name, .data = data, .length = length, .arena = arena, .error = error};
    if (length > LARGEST_FILE)
        return error_set(error, STATUS_OUTSIDE, "%s: larger than %d bytes", name, LARGEST_FILE);
    if (!is_text(data, length))
        return error_set(error, STATUS_OUTSIDE, "%s: expected UTF-8 text without control characters", name);
    if (length >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
        scanner->at = 3;
    return STATUS_OK;
}

enum status scanner_error(struct scanner *scanner, size_t at, const char *format, ...)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < scanner->length; i++) {
        if (scanner->data[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)scanner->data[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    va_list arguments;
    va_start(arguments, format);
    error_set_va(scanner->error, STATUS_OUTSIDE, format, arguments);
    va_end(arguments);
    scanner->token = TOKEN_BAD;
    return error_prefix(scanner->error, "%s:%zu:%zu", scanner->name, line, column);
}

static bool is_mark(char c)
{
    return c && strchr("()[]{}/\\,;:=*\"`'<>", c) != NULL;
}

/* False at a comment that does not end. */
static bool skip_blanks(struct scanner *scanner)
{
    while (scanner->at < scanner->length) {
        if (is_blank(scanner->data[scanner->at])) {
            scanner->at++;
            continue;
        }
        if (scanner->data[scanner->at] != '[')
            return true;
        size_t start = scanner->at, depth = 0;
        do {
            char c = scanner->data[scanner->at++];
            depth += c == '[';
            depth -= c == ']';
        } while (depth && scanner->at < scanner->length);
        if (depth) {
            scanner_error(scanner, start, "a comment does not end");
            return false;
        }
    }
    return true;
}

/* Up to the quote that is not doubled. */
static enum token take_quoted(struct scanner *scanner)
{
    for (scanner->at++; scanner->at < scanner->length; scanner->at++) {
        if (scanner->data[scanner->at] != '\'')
            continue;
        if (scanner->at + 1 == scanner->length || scanner->data[scanner->at + 1] != '\'') {
            scanner->at++;
            return TOKEN_QUOTED;
        }
        scanner->at++;
    }
    scanner_error(scanner, scanner->start, "a quoted label does not end");
    return TOKEN_BAD;
}

static enum token take_word(struct scanner *scanner)
{
    while (scanner->at < scanner->length && !is_blank(scanner->data[scanner->at]) &&
           !is_mark(scanner->data[scanner->at]))
        scanner->at++;
    return TOKEN_WORD;
}

static enum token take_token(struct scanner *scanner)
{
    if (scanner->at == scanner->length)
        return TOKEN_END;
    if (scanner->data[scanner->at] == '\'')
        return take_quoted(scanner);
    if (!is_mark(scanner->data[scanner->at]))
        return take_word(scanner);
    scanner->mark = scanner->data[scanner->at++];
    return TOKEN_PUNCTUATION;
}

enum token scanner_next(struct scanner *scanner)
{
    if (!skip_blanks(scanner))
        return scanner->token;
    scanner->start = scanner->at;
    scanner->token = take_token(scanner);
    scanner->end = scanner->at;
    if (scanner_is_label(scanner) && scanner->end - scanner->start > LONGEST_LABEL)
        scanner_error(scanner, scanner->start, "a label is longer than %d bytes", LONGEST_LABEL);
    return scanner->token;
}

bool scanner_is(const struct scanner *scanner, char mark)
{
    return scanner->token == TOKEN_PUNCTUATION && scanner->mark == mark;
}

bool scanner_is_word(const struct scanner *scanner, const char *word)
{
    size_t length = scanner->end - scanner->start;
    return scanner->token == TOKEN_WORD && strlen(word) == length &&
           strncasecmp(scanner->data + scanner->start, word, length) == 0;
}

bool scanner_is_label(const struct scanner *scanner)
{
    return scanner->token == TOKEN_WORD || scanner->token == TOKEN_QUOTED;
}

char *scanner_label(struct scanner *scanner)
{
    bool quoted = scanner->token == TOKEN_QUOTED;
    size_t start = scanner->start + quoted, end = scanner->end - quoted, length = 0;
    char *text = arena_allocate(scanner->arena, end - start + 1);
    for (size_t i = start; i < end; i++) {
        char c = scanner->data[i];
        text[length++] = !quoted && c == '_' ? ' ' : c;
        i += quoted && c == '\'';
    }
    return text;
}

enum status scanner_expected(struct scanner *scanner, const char *what)
{
    switch (scanner->token) {
    case TOKEN_BAD:
        return scanner->error->status;
    case TOKEN_END:
        return scanner_error(scanner, scanner->start, "expected %s, found the end", what);
    case TOKEN_PUNCTUATION:
        return scanner_error(scanner, scanner->start, "expected %s, found '%c'", what, scanner->mark);
    default:
        return scanner_error(scanner, scanner->start, "expected %s, found '%.60s'", what,
                             scanner_label(scanner));
    }
}

/* ---- trees ---- */

/* Reads a number that a whole word is. */
static bool is_number(const char *text, double *number)
{
    char *end = NULL;
    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    *number = strtod(text, &end);
    return end != text && *end == '\0';
}

static enum status read_length(struct scanner *scanner, double *length)
{
    scanner_next(scanner);
    if (scanner->token != TOKEN_WORD || !is_number(scanner_label(scanner), length))
        return scanner_expected(scanner, "the length of a branch");
    if (!isfinite(*length))
        return scanner_error(scanner, scanner->start, "the length of a branch is out of range");
    scanner_next(scanner);
    return STATUS_OK;
}

/* A number at an inner node is what speaks for its branch, as most programs write it. */
static enum status read_label(struct scanner *scanner, struct tree_node *node, bool inner)
{
    bool word = scanner->token == TOKEN_WORD;
    char *text = scanner_label(scanner);
    double support;
    if (word && strchr(text, '#'))
        return scanner_error(scanner, scanner->start, "networks ('#' in a label) are not read");
    if (inner && word && is_number(text, &support) && isfinite(support))
        node->support = support;
    else
        node->name = *text ? text : NULL;
    scanner_next(scanner);
    return scanner->token == TOKEN_BAD ? scanner->error->status : STATUS_OK;
}

/* What may follow a node's children: its label and the length of its branch. */
static enum status finish_node(struct scanner *scanner, struct tree_node *node, bool inner)
{
    enum status status = STATUS_OK;
    if (scanner_is_label(scanner))
        status = read_label(scanner, node, inner);
    if (!status && scanner_is(scanner, ':'))
        status = read_length(scanner, &node->length);
    return status;
}

/* Goes down at '(' and up at ')'; the parents in the tree are the stack. */
enum status scanner_tree(struct scanner *scanner, struct tree *tree)
{
    *tree = (struct tree){0};
    size_t node = tree_add(tree, scanner->arena, NULL, TREE_NONE, NAN, NAN);
    bool inner = false; /* the node's children have been read */
    for (;;) {
        if (tree->count > MOST_TREE_NODES)
            return scanner_error(scanner, scanner->start, "a tree has more than %d nodes", MOST_TREE_NODES);
        if (scanner_is(scanner, '(') && !inner) {
            node = tree_add(tree, scanner->arena, NULL, node, NAN, NAN);
            scanner_next(scanner);
            continue;
        }
        enum status status = finish_node(scanner, &tree->nodes[node], inner);
        size_t parent = tree->nodes[node].parent;
        if (status)
            return status;
        if (scanner_is(scanner, ',') && parent != TREE_NONE) {
            node = tree_add(tree, scanner->arena, NULL, parent, NAN, NAN);
            inner = false;
        } else if (scanner_is(scanner, ')') && parent != TREE_NONE) {
            node = parent;
            inner = true;
        } else if (scanner_is(scanner, ';') && parent == TREE_NONE) {
            return STATUS_OK;
        } else {
            return scanner_expected(scanner, parent == TREE_NONE ? "';'" : "',' or ')'");
        }
        scanner_next(scanner);
    }
}
