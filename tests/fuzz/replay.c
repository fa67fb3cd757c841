/* Runs a fuzz target over its corpus and prints TAP: how the targets are tested where there is no fuzzer.
 *
 *   fuzz-npy FOLDER|FILE...
 *
 * Each input is also cut at every byte, up to CUTS of them: truncation is what broken downloads look like. */
#include "base/file.h"
#include "base/memory.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LARGEST = 1 << 20, /* bytes of an input */
    CUTS = 4096,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count;

/* Each run has a copy of exactly its size, so that a sanitizer sees a read past the end. */
static void run(const char *data, size_t length)
{
    uint8_t *copy = memory_copy(data, length);
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

static enum status replay_file(const char *path, struct error *error)
{
    char *data;
    size_t length;
    enum status status = file_read(path, LARGEST, &data, &length, error);
    if (status)
        return status;
    run(data, length);
    for (size_t cut = 0; cut < length && cut < CUTS; cut++)
        run(data, cut);
    free(data);
    const char *slash = strrchr(path, '/');
    printf("ok %zu - %s\n", ++count, slash ? slash + 1 : path);
    fflush(stdout); /* a crash must not lose the name of the input before it */
    return STATUS_OK;
}

static enum status replay_folder(const char *folder, struct error *error)
{
    char **names;
    size_t name_count;
    enum status status = directory_list(folder, "", &names, &name_count, error);
    if (status)
        return status;
    if (name_count == 0)
        status = error_set(error, STATUS_NO, "no inputs in '%s'", folder);
    for (size_t i = 0; i < name_count && !status; i++) {
        char *path = path_join(folder, names[i]);
        status = replay_file(path, error);
        free(path);
    }
    names_free(names, name_count);
    return status;
}

int main(int argc, char **argv)
{
    struct error error = ERROR_INIT;
    enum status status = STATUS_OK;
    for (int i = 1; i < argc && !status; i++) {
        struct stat information;
        bool folder = stat(argv[i], &information) == 0 && S_ISDIR(information.st_mode);
        status = folder ? replay_folder(argv[i], &error) : replay_file(argv[i], &error);
    }
    if (argc < 2)
        status = error_set(&error, STATUS_USAGE, "usage: %s FOLDER|FILE...", argv[0]);
    if (status)
        printf("not ok %zu - %s\n", ++count, error.message);
    printf("1..%zu\n", count);
    return (int)status;
}
