#include "base/file.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *separator = length && folder[length - 1] != '/' ? "/" : "";
    size_t size = length + strlen(separator) + strlen(name) + 1;
    char *path = memory_allocate(size);
    snprintf(path, size, "%s%s%s", folder, separator, name);
    return path;
}

/* Reads to the end or to one byte past `maximum`, whatever size the file claims to have. */
static enum status read_all(int descriptor, const char *path, size_t maximum, char **data, size_t *length,
                            struct error *error)
{
    struct stat information;
    size_t capacity = 1 << 16;
    if (fstat(descriptor, &information) == 0 && S_ISREG(information.st_mode)) {
        if ((uintmax_t)information.st_size > maximum)
            return error_set(error, STATUS_OUTSIDE, "cannot read '%s': larger than %zu bytes", path, maximum);
        capacity = (size_t)information.st_size + 2;
    }
    char *buffer = memory_allocate(capacity);
    size_t used = 0;
    for (;;) {
        if (used + 1 >= capacity) {
            capacity = size_multiply(capacity, 2);
            buffer = memory_resize(buffer, capacity);
        }
        ssize_t got = read(descriptor, buffer + used, capacity - used - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(buffer);
            return error_set(error, STATUS_OUTSIDE, "cannot read '%s': %s", path, strerror(errno));
        }
        used += (size_t)got;
        if (used > maximum) {
            free(buffer);
            return error_set(error, STATUS_OUTSIDE, "cannot read '%s': larger than %zu bytes", path, maximum);
        }
        if (got == 0)
            break;
    }
    buffer[used] = '\0';
    *data = buffer;
    *length = used;
    return STATUS_OK;
}

enum status file_read(const char *path, size_t maximum, char **data, size_t *length, struct error *error)
{
    bool standard_input = strcmp(path, "-") == 0;
    int descriptor = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_set(error, STATUS_OUTSIDE, "cannot open '%s': %s", path, strerror(errno));
    enum status status = read_all(descriptor, path, maximum, data, length, error);
    if (!standard_input)
        close(descriptor);
    return status;
}

/* A new file beside `path`, with the permissions of the file that it will replace. */
static int open_temporary(const char *path, const struct stat *existing, char **temporary)
{
    static atomic_uint counter;
    size_t size = strlen(path) + 48;
    char *name = memory_allocate(size);
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(name, size, "%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&counter, 1));
        int descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0) {
            if (existing)
                (void)!fchmod(descriptor,
                              existing->st_mode & 07777); /* a courtesy: failure changes nothing */
            *temporary = name;
            return descriptor;
        }
        if (errno != EEXIST)
            break;
    }
    free(name);
    return -1;
}

enum status output_file_open(struct output_file *file, const char *path, struct error *error)
{
    *file = (struct output_file){NULL};
    if (strcmp(path, "-") == 0) {
        file->stream = stdout;
        file->path = memory_copy_string("standard output");
        return STATUS_OK;
    }
    struct stat existing;
    bool exists = stat(path, &existing) == 0;
    int descriptor;
    if (exists &&
        !S_ISREG(existing.st_mode)) { /* a device or pipe cannot be replaced; a directory fails here */
        file->path = memory_copy_string(path);
        descriptor = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        char *target = exists ? realpath(path, NULL) : NULL; /* replace what a symbolic link points to */
        file->path = target ? target : memory_copy_string(path);
        descriptor = open_temporary(file->path, exists ? &existing : NULL, &file->temporary);
    }
    if (descriptor >= 0)
        file->stream = fdopen(descriptor, "w");
    if (file->stream)
        return STATUS_OK;
    error_set(error, STATUS_OUTSIDE, "cannot create '%s': %s", path, strerror(errno));
    if (descriptor >= 0)
        close(descriptor);
    output_file_discard(file);
    return STATUS_OUTSIDE;
}

/* A rename is durable once its folder is synced; a folder that cannot be opened or synced is no failure. */
static void sync_folder(const char *path)
{
    char *folder = memory_copy_string(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

enum status output_file_commit(struct output_file *file, struct error *error)
{
    bool good = !ferror(file->stream);
    errno = 0;
    if (!good)
        fputc('\n', file->stream); /* the reason of an earlier failure is lost: meet it again */
    good = fflush(file->stream) == 0 && good;
    if (good && file->temporary)
        good = fsync(fileno(file->stream)) == 0;
    int reason = errno;
    if (file->stream != stdout) {
        if (fclose(file->stream) != 0 && good) {
            good = false;
            reason = errno;
        }
    }
    file->stream = NULL;
    if (good && file->temporary && rename(file->temporary, file->path) != 0) {
        good = false;
        reason = errno;
    }
    if (good && file->temporary) {
        sync_folder(file->path);
        free(file->temporary);
        file->temporary = NULL;
    }
    if (!good)
        error_set(error, STATUS_OUTSIDE, "cannot write '%s': %s", file->path,
                  reason ? strerror(reason) : "an earlier write failed");
    output_file_discard(file);
    return good ? STATUS_OK : STATUS_OUTSIDE;
}

void output_file_discard(struct output_file *file)
{
    if (file->stream && file->stream != stdout)
        fclose(file->stream);
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct output_file){NULL};
}

enum status file_write(const char *path, const void *data, size_t length, struct error *error)
{
    struct output_file file;
    enum status status = output_file_open(&file, path, error);
    if (status)
        return status;
    fwrite(data, 1, length, file.stream); /* a short write leaves the stream's error flag for the commit */
    return output_file_commit(&file, error);
}

enum status directory_create(const char *path, struct error *error)
{
    char *partial = memory_copy_string(path);
    enum status status = STATUS_OK;
    for (char *at = partial + (*partial == '/');; at++) {
        char here = *at;
        if (here != '/' && here != '\0')
            continue;
        *at = '\0';
        if (*partial && mkdir(partial, 0777) != 0) {
            int reason = errno;
            struct stat information;
            if (stat(partial, &information) != 0 || !S_ISDIR(information.st_mode)) {
                status = error_set(error, STATUS_OUTSIDE, "cannot create folder '%s': %s", partial,
                                   strerror(reason));
                break;
            }
        }
        *at = here;
        if (here == '\0')
            break;
    }
    free(partial);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

enum status directory_list(const char *path, const char *suffix, char ***names, size_t *count,
                           struct error *error)
{
    DIR *directory = opendir(path);
    if (!directory)
        return error_set(error, STATUS_OUTSIDE, "cannot open folder '%s': %s", path, strerror(errno));
    char **list = NULL;
    size_t used = 0, capacity = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(directory)); errno = 0) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !has_suffix(name, suffix))
            continue;
        if (used == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            list = memory_resize(list, size_multiply(capacity, sizeof *list));
        }
        list[used++] = memory_copy_string(name);
    }
    int reason = errno;
    closedir(directory);
    if (reason) {
        names_free(list, used);
        return error_set(error, STATUS_OUTSIDE, "cannot read folder '%s': %s", path, strerror(reason));
    }
    if (used)
        qsort(list, used, sizeof *list, compare_names);
    *names = list;
    *count = used;
    return STATUS_OK;
}

void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}
