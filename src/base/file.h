/* file.h: all of the program's own file input and output.
 *
 * Reading is bounded. Writing goes to a temporary file in the same folder that is synced and renamed when
 * it is committed, so that a reader sees the old file or the new one and a failure leaves no half-written
 * one. */
#ifndef CLADE_BASE_FILE_H
#define CLADE_BASE_FILE_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Reads a whole file into *data (with a NUL after it, not counted; free() it). STATUS_OUTSIDE if it cannot be
 * read or is larger than `maximum` bytes. "-" is standard input. */
enum status file_read(const char *path, size_t maximum, char **data, size_t *length, struct error *error);

/* A file being written. Zero-initialise, open, write to `stream`, then commit or discard. */
struct output_file {
    FILE *stream;    /* where to write; standard output when the path was "-" */
    char *path;      /* where it will stand */
    char *temporary; /* where it stands until then; NULL for standard output and for devices */
};

enum status output_file_open(struct output_file *file, const char *path, struct error *error);
/* Flushes, checks, syncs and renames. Whatever it returns, the struct is released. */
enum status output_file_commit(struct output_file *file, struct error *error);
/* Removes the temporary file. No effect on a file that was committed or never opened. */
void output_file_discard(struct output_file *file);

/* Writes `length` bytes as one file, all or nothing. */
enum status file_write(const char *path, const void *data, size_t length, struct error *error);

enum status directory_create(const char *path, struct error *error); /* with its parents; existing is fine */

/* The sorted names of the entries of a folder that end in `suffix` ("" for all), without "." and "..".
 * *names is one allocation per name plus the array; release with names_free(). */
enum status directory_list(const char *path, const char *suffix, char ***names, size_t *count,
                           struct error *error);
void names_free(char **names, size_t count);

/* "a/b" from two parts; free() it. */
char *path_join(const char *folder, const char *name);

#endif
