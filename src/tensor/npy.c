#include "tensor/npy.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "tensor/dtype.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum {
    MAGIC_LENGTH = 6,
    MAX_HEADER = 10000, /* bytes, as numpy's own reader has it */
    ALIGNMENT = 64,     /* of the data in the file */
};

/* The header is a literal of a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 */
struct scanner {
    const char *file; /* opens the messages */
    const char *at, *end;
    struct error *error;
};

struct header {
    bool has_descr, has_order, has_shape;
    bool fortran; /* the first axis runs fastest */
    const struct dtype *dtype;
    int rank;
    int64_t shape[ARRAY_MAX_RANK];
};

static enum status refuse(const struct scanner *scanner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum status refuse(const struct scanner *scanner, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error_set_va(scanner->error, STATUS_OUTSIDE, format, arguments);
    va_end(arguments);
    return error_prefix(scanner->error, "%s", scanner->file);
}

/* The next character that is not blank; 0 at the end. */
static char peek(struct scanner *scanner)
{
    while (scanner->at < scanner->end && *scanner->at && strchr(" \t\r\n", *scanner->at))
        scanner->at++;
    return scanner->at < scanner->end ? *scanner->at : '\0';
}

static bool take(struct scanner *scanner, char wanted)
{
    if (peek(scanner) != wanted)
        return false;
    scanner->at++;
    return true;
}

static bool take_word(struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    peek(scanner);
    if ((size_t)(scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0)
        return false;
    scanner->at += length;
    return true;
}

/* A quoted string without escapes; a longer one than `size` holds cannot be one that is looked for. */
static enum status take_string(struct scanner *scanner, char *string, size_t size)
{
    char quote = peek(scanner);
    if (quote != '\'' && quote != '"')
        return refuse(scanner, "malformed npy header: expected a string");
    const char *start = ++scanner->at;
    const char *close = memchr(start, quote, (size_t)(scanner->end - start));
    if (!close)
        return refuse(scanner, "malformed npy header: a string has no end");
    size_t length = (size_t)(close - start);
    if (length >= size || memchr(start, '\\', length) || memchr(start, '\0', length))
        return refuse(scanner, "malformed npy header: unexpected string '%.*s'",
                      length < size ? (int)length : (int)size, start);
    memcpy(string, start, length);
    string[length] = '\0';
    scanner->at = close + 1;
    return STATUS_OK;
}

static enum status take_descr(struct scanner *scanner, struct header *header)
{
    char descr[64];
    if (peek(scanner) == '[' || peek(scanner) == '(')
        return refuse(scanner,
                      "structured dtypes are not read: save each field on its own (" DTYPE_DESCRS ")");
    enum status status = take_string(scanner, descr, sizeof descr);
    if (status)
        return status;
    header->dtype = dtype_by_descr(descr);
    if (header->dtype)
        return STATUS_OK;
    if (descr[0] == '>')
        return refuse(scanner, "dtype '%s' is big-endian: save it as '<%s'", descr, descr + 1);
    if (strchr(descr, 'O'))
        return refuse(scanner, "dtype '%s' holds Python objects, which are not read: save numbers", descr);
    return refuse(scanner, "unsupported dtype '%s': what is read is " DTYPE_DESCRS, descr);
}

static enum status take_order(struct scanner *scanner, struct header *header)
{
    header->fortran = take_word(scanner, "True");
    if (header->fortran || take_word(scanner, "False"))
        return STATUS_OK;
    return refuse(scanner, "malformed npy header: fortran_order is neither True nor False");
}

static enum status take_length(struct scanner *scanner, int64_t *length)
{
    char first = peek(scanner);
    if (first == '-')
        return refuse(scanner, "the shape has a negative length");
    if (first < '0' || first > '9')
        return refuse(scanner, "malformed npy header: the shape is not a tuple of whole numbers");
    int64_t value = 0;
    for (; scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9'; scanner->at++) {
        value = value * 10 + (*scanner->at - '0');
        if (value > ARRAY_MAX_SIZE)
            return refuse(scanner, "the shape is larger than an array can be");
    }
    if (scanner->at < scanner->end && *scanner->at == 'L') /* Python 2 wrote long integers so */
        scanner->at++;
    *length = value;
    return STATUS_OK;
}

/* "()", "(3,)", "(3, 4)" or "(3, 4,)". */
static enum status take_shape(struct scanner *scanner, struct header *header)
{
    bool comma = true; /* one has come since the last length */
    if (!take(scanner, '('))
        return refuse(scanner, "malformed npy header: the shape is not a tuple of whole numbers");
    while (!take(scanner, ')')) {
        if (!comma)
            return refuse(scanner, "malformed npy header: the shape is not a tuple of whole numbers");
        if (header->rank == ARRAY_MAX_RANK)
            return refuse(scanner, "the shape has more than %d dimensions", ARRAY_MAX_RANK);
        enum status status = take_length(scanner, &header->shape[header->rank]);
        if (status)
            return status;
        header->rank++;
        comma = take(scanner, ',');
    }
    if (header->rank == 1 && !comma)
        return refuse(scanner, "malformed npy header: '(%" PRId64 ")' is not a tuple", header->shape[0]);
    return STATUS_OK;
}

static enum status take_member(struct scanner *scanner, struct header *header)
{
    char key[64];
    enum status status = take_string(scanner, key, sizeof key);
    if (status)
        return status;
    bool *seen = strcmp(key, "descr") == 0           ? &header->has_descr
                 : strcmp(key, "fortran_order") == 0 ? &header->has_order
                 : strcmp(key, "shape") == 0         ? &header->has_shape
                                                     : NULL;
    if (!seen)
        return refuse(scanner, "unknown key '%s' in the npy header: descr, fortran_order, shape", key);
    if (*seen)
        return refuse(scanner, "duplicate key '%s' in the npy header", key);
    *seen = true;
    if (!take(scanner, ':'))
        return refuse(scanner, "malformed npy header: no ':' after '%s'", key);
    if (seen == &header->has_descr)
        return take_descr(scanner, header);
    if (seen == &header->has_order)
        return take_order(scanner, header);
    return take_shape(scanner, header);
}

static enum status take_header(struct scanner *scanner, struct header *header)
{
    bool comma = true;
    if (!take(scanner, '{'))
        return refuse(scanner, "malformed npy header: not a dictionary");
    while (!take(scanner, '}')) {
        if (!comma)
            return refuse(scanner, "malformed npy header: no ',' or '}' after a member");
        enum status status = take_member(scanner, header);
        if (status)
            return status;
        comma = take(scanner, ',');
    }
    peek(scanner);
    if (scanner->at != scanner->end)
        return refuse(scanner, "malformed npy header: text after the dictionary");
    const char *missing = !header->has_descr   ? "descr"
                          : !header->has_order ? "fortran_order"
                          : !header->has_shape ? "shape"
                                               : NULL;
    if (missing)
        return refuse(scanner, "no key '%s' in the npy header", missing);
    return STATUS_OK;
}

/* Sets the scanner to the header's text; what follows its end is data. */
static enum status find_header(struct scanner *scanner, const unsigned char *bytes, size_t length)
{
    size_t available = length < MAGIC_LENGTH ? length : MAGIC_LENGTH;
    if (length == 0 || memcmp(bytes, magic, available) != 0)
        return refuse(scanner, "not a npy file: it does not start with \\x93NUMPY");
    if (length < MAGIC_LENGTH + 2)
        return refuse(scanner, "truncated npy file: %zu bytes", length);
    int major = bytes[MAGIC_LENGTH], minor = bytes[MAGIC_LENGTH + 1];
    if (major < 1 || major > 3 || minor != 0)
        return refuse(scanner, "unsupported npy version %d.%d: 1.0, 2.0 and 3.0 are read", major, minor);
    size_t width = major == 1 ? 2 : 4, start = MAGIC_LENGTH + 2 + width;
    if (length < start)
        return refuse(scanner, "truncated npy file: %zu bytes", length);
    size_t header_length = 0;
    for (size_t i = 0; i < width; i++)
        header_length |= (size_t)bytes[MAGIC_LENGTH + 2 + i] << (8 * i);
    if (header_length > MAX_HEADER)
        return refuse(scanner, "the npy header claims %zu bytes: at most %d are read", header_length,
                      MAX_HEADER);
    if (header_length > length - start)
        return refuse(scanner, "truncated npy file: the header claims %zu bytes and %zu follow",
                      header_length, length - start);
    scanner->at = (const char *)bytes + start;
    scanner->end = scanner->at + header_length;
    return STATUS_OK;
}

/* Turns values whose first axis runs fastest into ours. */
static void order_rows(struct array *array)
{
    int64_t size = array_size(array), place[ARRAY_MAX_RANK] = {0};
    real *ordered = memory_allocate((size_t)(size ? size : 1) * sizeof(real));
    for (int64_t i = 0; i < size; i++) {
        int64_t offset = 0;
        for (int axis = 0; axis < array->rank; axis++)
            offset = offset * array->shape[axis] + place[axis];
        ordered[offset] = array->data[i];
        for (int axis = 0; axis < array->rank && ++place[axis] == array->shape[axis]; axis++)
            place[axis] = 0;
    }
    if (size)
        memcpy(array->data, ordered, (size_t)size * sizeof(real));
    free(ordered);
}

enum status npy_parse(const char *name, const void *bytes, size_t length, struct array *array,
                      struct error *error)
{
    *array = (struct array){0};
    struct scanner scanner = {.file = name, .error = error};
    struct header header = {0};
    enum status status = find_header(&scanner, bytes, length);
    if (status == STATUS_OK)
        status = take_header(&scanner, &header);
    if (status)
        return status;

    int64_t size;
    if (!array_shape_size(header.rank, header.shape, &size))
        return refuse(&scanner, "the shape is larger than an array can be");
    const unsigned char *data = (const unsigned char *)scanner.end;
    int64_t present = (const unsigned char *)bytes + length - data, wanted = size * header.dtype->size;
    if (present != wanted)
        return refuse(&scanner, "the shape asks for %" PRId64 " bytes of data, the file has %" PRId64, wanted,
                      present);
    array_allocate(array, header.rank, header.shape);
    header.dtype->convert(data, size, array->data);
    if (header.fortran)
        order_rows(array);
    return STATUS_OK;
}

enum status npy_read(const char *path, struct array *array, struct error *error)
{
    *array = (struct array){0};
    char *bytes;
    size_t length;
    enum status status = file_read(path, ARRAY_MAX_FILE, &bytes, &length, error);
    if (status)
        return status;
    status = npy_parse(path, bytes, length, array, error);
    free(bytes);
    return status;
}

void npy_print(const struct array *array, FILE *stream)
{
    struct text header;
    text_init(&header, MAX_HEADER);
    text_format(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", dtype_of_real()->descr);
    for (int axis = 0; axis < array->rank; axis++)
        text_format(&header, axis ? ", %" PRId64 : "%" PRId64, array->shape[axis]);
    text_append(&header, array->rank == 1 ? ",), }" : "), }");

    size_t prefix = MAGIC_LENGTH + 4, unpadded = prefix + header.length + 1;
    size_t total = (unpadded + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, header_length = total - prefix;
    fwrite(magic, 1, MAGIC_LENGTH, stream);
    fputc(1, stream);
    fputc(0, stream);
    fputc((int)(header_length & 0xff), stream);
    fputc((int)(header_length >> 8), stream);
    fprintf(stream, "%-*s\n", (int)header_length - 1, text_string(&header));
    text_release(&header);
    reals_write(array->data, array_size(array), stream);
}

enum status npy_write(const char *path, const struct array *array, struct error *error)
{
    struct output_file file;
    enum status status = output_file_open(&file, path, error);
    if (status)
        return status;
    npy_print(array, file.stream);
    return output_file_commit(&file, error);
}
