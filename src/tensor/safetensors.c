#include "tensor/safetensors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "tensor/dtype.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define METADATA "__metadata__"

enum {
    PREFIX = 8,           /* bytes of the header length */
    MAX_VALUES = 1000000, /* in the header; each takes some 100 bytes once parsed */
    HEADER_ALIGNMENT = 8, /* of the data in a written file */
};

/* What the header says of one tensor. */
struct entry {
    const char *name; /* belongs to the JSON document */
    const struct dtype *dtype;
    int rank;
    int64_t shape[ARRAY_MAX_RANK];
    int64_t size;       /* elements */
    int64_t begin, end; /* bytes from the start of the data */
    int place;          /* in the header */
};

static enum status read_metadata(const struct json_at *at, struct error *error)
{
    enum status status = json_object(at, error);
    const cJSON *child;
    if (status)
        return status;
    cJSON_ArrayForEach(child, at->value)
    {
        struct json_at member = json_root(child, at->file);
        snprintf(member.path, sizeof member.path, METADATA ".%s", child->string);
        const char *value;
        status = json_string(&member, &value, error);
        if (status)
            return status;
    }
    return STATUS_OK;
}

static enum status read_shape(const struct json_at *at, struct entry *entry, struct error *error)
{
    int rank;
    enum status status = json_array(at, &rank, error);
    if (status)
        return status;
    if (rank > ARRAY_MAX_RANK)
        return json_error(at, error, "%d dimensions: at most %d are read", rank, ARRAY_MAX_RANK);
    for (int axis = 0; axis < rank; axis++) {
        struct json_at length = json_element(at, axis);
        status = json_integer(&length, 0, ARRAY_MAX_SIZE, &entry->shape[axis], error);
        if (status)
            return status;
    }
    entry->rank = rank;
    if (!array_shape_size(rank, entry->shape, &entry->size))
        return json_error(at, error, "larger than an array can be");
    return STATUS_OK;
}

static enum status read_offsets(const struct json_at *at, int64_t data_length, struct entry *entry,
                                struct error *error)
{
    int count;
    enum status status = json_array(at, &count, error);
    if (status)
        return status;
    if (count != 2)
        return json_error(at, error, "expected begin and end, found %d numbers", count);
    struct json_at begin = json_element(at, 0), end = json_element(at, 1);
    status = json_integer(&begin, 0, data_length, &entry->begin, error);
    if (status == STATUS_OK)
        status = json_integer(&end, 0, data_length, &entry->end, error);
    if (status)
        return status;
    int64_t wanted = entry->size * entry->dtype->size, present = entry->end - entry->begin;
    if (present != wanted)
        return json_error(at, error, "%" PRId64 " bytes, but dtype and shape ask for %" PRId64, present,
                          wanted);
    return STATUS_OK;
}

static enum status read_entry(const struct json_at *at, int64_t data_length, struct entry *entry,
                              struct error *error)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    enum status status = json_only(at, fields, sizeof fields / sizeof fields[0], error);
    if (status)
        return status;
    struct json_at dtype = json_member(at, "dtype"), shape = json_member(at, "shape"),
                   offsets = json_member(at, "data_offsets");
    const char *name;
    status = json_string(&dtype, &name, error);
    if (status)
        return status;
    entry->dtype = dtype_by_name(name);
    if (!entry->dtype)
        return json_error(&dtype, error, "unsupported dtype '%s': what is read is " DTYPE_NAMES, name);
    status = read_shape(&shape, entry, error);
    if (status == STATUS_OK)
        status = read_offsets(&offsets, data_length, entry, error);
    return status;
}

/* Fills `entries`, which has room for all members of the header. */
static enum status read_entries(const char *name, const cJSON *header, int64_t data_length,
                                struct entry *entries, int *count, struct error *error)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, header)
    {
        /* not json_member(), which would search the header again for each of its members */
        struct json_at at = json_root(child, name);
        snprintf(at.path, sizeof at.path, "%s", child->string);
        enum status status;
        if (strcmp(child->string, METADATA) == 0) {
            status = read_metadata(&at, error);
        } else {
            entries[*count] = (struct entry){.name = child->string, .place = *count};
            status = read_entry(&at, data_length, &entries[*count], error);
            ++*count;
        }
        if (status)
            return status;
    }
    return STATUS_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) /* empty ones first */
        return x->end < y->end ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

/* The tensors, in the order of their data, must cover it without overlap or hole. */
static enum status check_cover(const char *name, const struct entry *entries, int count, int64_t data_length,
                               struct error *error)
{
    int64_t covered = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i].begin != covered)
            return error_set(error, STATUS_OUTSIDE, "%s: %s: data begins at %" PRId64 ", %s at %" PRId64,
                             name, entries[i].name, entries[i].begin,
                             i ? "but that of the tensor before it ends" : "not", covered);
        covered = entries[i].end;
    }
    if (covered != data_length)
        return error_set(error, STATUS_OUTSIDE,
                         "%s: the tensors end at byte %" PRId64 " of the data, the file has %" PRId64, name,
                         covered, data_length);
    return STATUS_OK;
}

static void convert_entries(const struct entry *entries, int count, const unsigned char *data,
                            struct tensor_file *file)
{
    file->count = count;
    file->arrays = arena_allocate(&file->memory, size_multiply((size_t)count, sizeof *file->arrays));
    for (int i = 0; i < count; i++) {
        file->arrays[i].name = arena_copy_string(&file->memory, entries[i].name);
        array_allocate(&file->arrays[i].array, entries[i].rank, entries[i].shape);
        entries[i].dtype->convert(data + entries[i].begin, entries[i].size, file->arrays[i].array.data);
    }
}

static enum status find_header(const char *name, const unsigned char *bytes, size_t length,
                               size_t *header_length, struct error *error)
{
    if (length < PREFIX)
        return error_set(error, STATUS_OUTSIDE, "%s: not a safetensors file: %zu bytes", name, length);
    uint64_t claimed = 0;
    for (int i = 0; i < PREFIX; i++)
        claimed |= (uint64_t)bytes[i] << (8 * i);
    if (claimed > SAFETENSORS_MAX_HEADER)
        return error_set(error, STATUS_OUTSIDE,
                         "%s: not a safetensors file: the header claims %" PRIu64 " bytes, the most is %d",
                         name, claimed, SAFETENSORS_MAX_HEADER);
    if (claimed > length - PREFIX)
        return error_set(error, STATUS_OUTSIDE,
                         "%s: truncated safetensors file: the header claims %" PRIu64 " bytes and %zu follow",
                         name, claimed, length - PREFIX);
    if (claimed == 0 || bytes[PREFIX] != '{')
        return error_set(error, STATUS_OUTSIDE,
                         "%s: not a safetensors file: the header does not start with '{'", name);
    int commas = 0; /* one less than the values of each list, and cheap to count */
    for (size_t i = 0; i < claimed; i++)
        commas += bytes[PREFIX + i] == ',';
    if (commas > MAX_VALUES)
        return error_set(error, STATUS_OUTSIDE, "%s: the header has more than %d values", name, MAX_VALUES);
    *header_length = (size_t)claimed;
    return STATUS_OK;
}

enum status safetensors_parse(const char *name, const void *bytes, size_t length, struct tensor_file *file,
                              struct error *error)
{
    *file = (struct tensor_file){0};
    size_t header_length = 0;
    enum status status = find_header(name, bytes, length, &header_length, error);
    if (status)
        return status;
    const char *header = (const char *)bytes + PREFIX;
    cJSON *document;
    status = json_parse(name, header, header_length, &document, error);
    if (status)
        return status;

    int64_t data_length = (int64_t)(length - PREFIX - header_length);
    size_t members = (size_t)cJSON_GetArraySize(document);
    struct entry *entries = memory_allocate(size_multiply(members, sizeof *entries));
    int count = 0;
    status = read_entries(name, document, data_length, entries, &count, error);
    if (status == STATUS_OK) {
        qsort(entries, (size_t)count, sizeof *entries, compare_entries);
        status = check_cover(name, entries, count, data_length, error);
    }
    if (status == STATUS_OK)
        convert_entries(entries, count, (const unsigned char *)header + header_length, file);
    free(entries);
    cJSON_Delete(document);
    return status;
}

enum status safetensors_read(const char *path, struct tensor_file *file, struct error *error)
{
    *file = (struct tensor_file){0};
    char *bytes;
    size_t length;
    enum status status = file_read(path, ARRAY_MAX_FILE, &bytes, &length, error);
    if (status)
        return status;
    status = safetensors_parse(path, bytes, length, file, error);
    free(bytes);
    return status;
}

void tensor_file_release(struct tensor_file *file)
{
    for (int i = 0; i < file->count; i++)
        array_release(&file->arrays[i].array);
    arena_release(&file->memory);
    *file = (struct tensor_file){0};
}

const struct array *tensor_file_find(const struct tensor_file *file, const char *name)
{
    for (int i = 0; i < file->count; i++)
        if (strcmp(file->arrays[i].name, name) == 0)
            return &file->arrays[i].array;
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What is written must be a file that can be read. */
static enum status check_names(const struct named_array *arrays, int count, struct error *error)
{
    const char **names = memory_allocate(size_multiply((size_t)count, sizeof *names));
    for (int i = 0; i < count; i++)
        names[i] = arrays[i].name;
    qsort(names, (size_t)count, sizeof *names, compare_names);
    enum status status = STATUS_OK;
    for (int i = 0; i < count && status == STATUS_OK; i++) {
        if (strcmp(names[i], METADATA) == 0)
            status = error_set(error, STATUS_USAGE, "a tensor cannot be called '" METADATA "'");
        else if (i && strcmp(names[i - 1], names[i]) == 0)
            status = error_set(error, STATUS_USAGE, "two tensors are called '%s'", names[i]);
    }
    free(names);
    return status;
}

static cJSON *describe(const struct named_array *arrays, int count)
{
    const struct dtype *dtype = dtype_of_real();
    cJSON *header = cJSON_CreateObject();
    int64_t begin = 0;
    for (int i = 0; i < count; i++) {
        const struct array *array = &arrays[i].array;
        int64_t end = begin + array_size(array) * dtype->size;
        cJSON *entry = cJSON_AddObjectToObject(header, arrays[i].name);
        cJSON_AddStringToObject(entry, "dtype", dtype->name);
        cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
        for (int axis = 0; axis < array->rank; axis++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)array->shape[axis]));
        cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end));
        begin = end;
    }
    return header;
}

enum status safetensors_print(const struct named_array *arrays, int count, FILE *stream, struct error *error)
{
    enum status status = check_names(arrays, count, error);
    if (status)
        return status;
    struct text header;
    text_init(&header, SAFETENSORS_MAX_HEADER);
    cJSON *document = describe(arrays, count);
    status = json_print_line(document, &header, error);
    cJSON_Delete(document);
    while (status == STATUS_OK && header.length % HEADER_ALIGNMENT)
        text_append(&header, " "); /* the maximum is a multiple too */
    if (status == STATUS_OK) {
        for (int i = 0; i < PREFIX; i++)
            fputc((int)((uint64_t)header.length >> (8 * i) & 0xff), stream);
        fwrite(text_string(&header), 1, header.length, stream);
        for (int i = 0; i < count; i++)
            reals_write(arrays[i].array.data, array_size(&arrays[i].array), stream);
    }
    text_release(&header);
    return status;
}

enum status safetensors_write(const char *path, const struct named_array *arrays, int count,
                              struct error *error)
{
    struct output_file file;
    enum status status = output_file_open(&file, path, error);
    if (status)
        return status;
    status = safetensors_print(arrays, count, file.stream, error);
    if (status == STATUS_OK)
        return output_file_commit(&file, error);
    output_file_discard(&file);
    return error_prefix(error, "cannot write '%s'", path);
}
