#include "tensor/safetensors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct bytes {
    char *data;
    size_t length;
};

static void put_length(FILE *stream, uint64_t length)
{
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> (8 * i) & 0xff), stream);
}

/* A file with this header and data bytes 0, 1, 2, ... after it. */
static struct bytes make_file(const char *header, size_t data_length)
{
    struct bytes file = {NULL, 0};
    FILE *stream = open_memstream(&file.data, &file.length);
    put_length(stream, strlen(header));
    fputs(header, stream);
    for (size_t i = 0; i < data_length; i++)
        fputc((int)(i & 0xff), stream);
    fclose(stream);
    return file;
}

/* From a copy of exactly that length, so that reading past it is seen. */
static enum status parse(struct bytes bytes, struct tensor_file *file, struct error *error)
{
    char *copy = malloc(bytes.length ? bytes.length : 1);
    memcpy(copy, bytes.data, bytes.length);
    *error = (struct error)ERROR_INIT;
    enum status status = safetensors_parse("w", copy, bytes.length, file, error);
    free(copy);
    return status;
}

static void expect_bytes_refused(struct bytes bytes, const char *reason)
{
    struct tensor_file file;
    struct error error;
    assert_int_equal(parse(bytes, &file, &error), STATUS_OUTSIDE);
    assert_int_equal(error.status, STATUS_OUTSIDE);
    assert_int_equal(file.count, 0);
    assert_null(file.arrays);
    if (!strstr(error.message, reason))
        fail_msg("message '%s' lacks '%s'", error.message, reason);
    assert_true(strncmp(error.message, "w:", 2) == 0);
    assert_null(strchr(error.message, '\n'));
}

static void expect_refused(const char *header, size_t data_length, const char *reason)
{
    struct bytes bytes = make_file(header, data_length);
    expect_bytes_refused(bytes, reason);
    free(bytes.data);
}

static struct tensor_file expect_read(const char *header, size_t data_length)
{
    struct bytes bytes = make_file(header, data_length);
    struct tensor_file file;
    struct error error;
    if (parse(bytes, &file, &error) != STATUS_OK)
        fail_msg("'%s' was refused: %s", header, error.message);
    free(bytes.data);
    return file;
}

static struct bytes print(const struct named_array *arrays, int count)
{
    struct bytes bytes = {NULL, 0};
    struct error error = ERROR_INIT;
    FILE *stream = open_memstream(&bytes.data, &bytes.length);
    assert_int_equal(safetensors_print(arrays, count, stream, &error), STATUS_OK);
    fclose(stream);
    return bytes;
}

static void expect_same(const struct named_array *a, const struct named_array *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->array.rank, b->array.rank);
    for (int axis = 0; axis < a->array.rank; axis++)
        assert_int_equal(a->array.shape[axis], b->array.shape[axis]);
    assert_memory_equal(a->array.data, b->array.data, (size_t)array_size(&a->array) * sizeof(real));
}

static struct named_array make_array(const char *name, int rank, const int64_t *shape)
{
    struct named_array made = {.name = name};
    array_allocate(&made.array, rank, shape);
    for (int64_t i = 0; i < array_size(&made.array); i++)
        made.array.data[i] = (real)(i * 0.37 - 3);
    return made;
}

#define TENSOR(dtype, shape, begin, end) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"
#define ONE(dtype, shape, begin, end) "{\"w\":" TENSOR(dtype, shape, begin, end) "}"

static void refuses_a_header_length_that_lies(void **state)
{
    static const struct {
        uint64_t claimed;
        const char *reason;
    } cases[] = {
        {0, "does not start with '{'"},
        {7, "w:1:"}, /* cuts the document */
        {10000, "claims 10000 bytes and"},
        {100000000, "claims 100000000 bytes and"},
        {100000001, "the most is 100000000"},
        {(uint64_t)1 << 32, "the most is"},
        {(uint64_t)1 << 63, "claims 9223372036854775808 bytes"},
        {UINT64_MAX - 7, "the most is"}, /* with the 8 bytes before it this wraps to 0 */
        {UINT64_MAX, "claims 18446744073709551615 bytes"},
    };
    struct bytes bytes = make_file(ONE("F32", "[2]", 0, 8), 8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int byte = 0; byte < 8; byte++)
            bytes.data[byte] = (char)(cases[i].claimed >> (8 * byte));
        expect_bytes_refused(bytes, cases[i].reason);
    }
    free(bytes.data);
    for (size_t length = 0; length < 8; length++) {
        char few[8] = {2, 0, 0, 0, 0, 0, 0, 0};
        expect_bytes_refused((struct bytes){few, length}, "not a safetensors file");
    }
    char two[] = {2, 0, 0, 0, 0, 0, 0, 0, '{'};
    expect_bytes_refused((struct bytes){two, sizeof two}, "claims 2 bytes and 1 follow");
}

static void refuses_a_header_that_is_no_object(void **state)
{
    static const char *const headers[] = {"[]", " {}",   "\n{}", "null", "\"{}\"", "\xef\xbb\xbf{}",
                                          "}{", "PK\3\4"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        expect_refused(headers[i], 0, "does not start with '{'");
    expect_refused("{", 0, "w:1:2: ");
    expect_refused("{}{}", 0, "w:1:3: ");
    expect_refused("{} x", 0, "w:1:4: ");
    expect_refused("{'w':1}", 0, "w:1:2: ");
    expect_refused("{\"w\":NaN}", 0, "w:1:");
    expect_refused("{\"\xff\":1}", 0, "UTF-8");
}

static void refuses_a_name_with_nul(void **state)
{
    expect_refused("{\"a\\u0000b\":" TENSOR("F32", "[]", 0, 4) "}", 4, "NUL");
    struct bytes bytes = make_file("{\"a?b\":" TENSOR("F32", "[]", 0, 4) "}", 4);
    bytes.data[8 + 3] = '\0';
    expect_bytes_refused(bytes, "control character");
    free(bytes.data);
}

static void refuses_duplicate_names(void **state)
{
    expect_refused("{\"w\":" TENSOR("F32", "[]", 0, 4) ",\"w\":" TENSOR("F32", "[]", 4, 8) "}", 8,
                   "duplicate key 'w'");
    expect_refused("{\"w\":" TENSOR("F32", "[]", 0, 4) ",\"\\u0077\":" TENSOR("F32", "[]", 4, 8) "}", 8,
                   "duplicate key 'w'");
    expect_refused("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
                   "duplicate key 'dtype'");
    expect_refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key '__metadata__'");
    expect_refused("{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, "duplicate key 'a'");
}

static void refuses_a_depth_bomb(void **state)
{
    char header[4096];
    for (int object = 0; object < 2; object++) {
        size_t length = (size_t)snprintf(header, sizeof header, "{\"w\":");
        while (length + 8 < sizeof header)
            length += (size_t)snprintf(header + length, 8, object ? "{\"a\":" : "[");
        expect_refused(header, 0, "deeper than 64");
    }
}

static void refuses_other_dtypes(void **state)
{
    static const char *const dtypes[] = {"F8_E4M3", "F8_E5M2", "U16", "C64", "f32", "F32 ", "", "float32"};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        char header[256], reason[64];
        snprintf(header, sizeof header, ONE("%s", "[2]", 0, 8), dtypes[i]);
        snprintf(reason, sizeof reason, "w: w.dtype: unsupported dtype '%s'", dtypes[i]);
        expect_refused(header, 8, reason);
    }
}

static void refuses_members_that_are_missing_extra_or_wrong(void **state)
{
    static const char *const cases[][2] = {
        {"{\"w\":1}", "expected an object, found a number"},
        {"{\"w\":null}", "expected an object, found null"},
        {"{\"w\":[]}", "expected an object, found an array"},
        {"{\"w\":{}}", "w.dtype: expected a string, found nothing"},
        {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "w.shape: expected an array, found nothing"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", "w.data_offsets: expected an array, found nothing"},
        {"{\"w\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", "w.dtype: expected a string"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "w.shape: expected an array"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":8}}", "w.data_offsets: expected an array"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8]}}", "found 1 numbers"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", "found 3 numbers"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}",
         "w.shape[0]: expected a whole"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,true]}}",
         "data_offsets[1]: expected a whole"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offset\":[0,8]}}", "did you mean 'data_offsets'"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"stride\":[1]}}", "'stride'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refused(cases[i][0], 8, cases[i][1]);
}

static void refuses_metadata_that_is_not_strings(void **state)
{
    expect_refused("{\"__metadata__\":{\"format\":1}}", 0, "__metadata__.format: expected a string");
    expect_refused("{\"__metadata__\":{\"a\":\"b\",\"c\":null}}", 0, "__metadata__.c: expected a string");
    expect_refused("{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__.a: expected a string");
    expect_refused("{\"__metadata__\":[]}", 0, "__metadata__: expected an object");
    expect_refused("{\"__metadata__\":\"pt\"}", 0, "__metadata__: expected an object");
    expect_refused("{\"__metadata__\":" TENSOR("F32", "[]", 0, 4) "}", 4,
                   "__metadata__.shape: expected a string");
}

static void refuses_numbers_that_count_nothing(void **state)
{
    static const char *const lengths[] = {"-1", "1.5", "1e300", "9007199254740993", "18446744073709551618",
                                          "-2"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char header[256];
        snprintf(header, sizeof header, ONE("F32", "[%s]", 0, 8), lengths[i]);
        expect_refused(header, 8, "whole number");
        snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[%s,8]}}",
                 lengths[i]);
        expect_refused(header, 8, "whole number");
        snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,%s]}}",
                 lengths[i]);
        expect_refused(header, 8, "whole number");
    }
    expect_refused(ONE("F32", "[1e999]", 0, 8), 8, "out of range");
}

static void refuses_shapes_whose_size_wraps(void **state)
{
    expect_refused(ONE("F32", "[4294967296,4294967296]", 0, 8), 8, "larger than an array can be");
    expect_refused(ONE("F32", "[4294967296,4294967296]", 0, 0), 0, "larger than an array can be");
    expect_refused(ONE("F32", "[0,4294967296,4294967296]", 0, 0), 0, "larger than an array can be");
    expect_refused(ONE("F32", "[9007199254740992,2]", 0, 8), 8, "larger than an array can be");
    expect_refused(ONE("F64", "[9007199254740992]", 0, 8), 8, "ask for 72057594037927936");
    expect_refused(ONE("F32", "[4611686018427387904,4]", 0, 0), 0, "past 2^53");
    expect_refused(ONE("F32", "[1,1,1,1,1,1,1,1,2]", 0, 8), 8, "9 dimensions: at most 8");
    char header[512] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1";
    for (int axis = 1; axis < 65; axis++)
        strcat(header, ",1");
    strcat(header, "],\"data_offsets\":[0,4]}}");
    expect_refused(header, 4, "65 dimensions: at most 8");
}

#define TWO(begin_a, end_a, begin_b, end_b) \
    "{\"a\":" TENSOR("U8", "[4]", begin_a, end_a) ",\"b\":" TENSOR("U8", "[4]", begin_b, end_b) "}"

static void refuses_data_that_is_not_covered_once(void **state)
{
    expect_refused(TWO(0, 4, 2, 6), 6, "b: data begins at 2, but that of the tensor before it ends at 4");
    expect_refused(TWO(0, 4, 0, 4), 4, "b: data begins at 0, but");
    expect_refused(TWO(0, 4, 6, 10), 10, "b: data begins at 6, but");
    expect_refused(TWO(6, 10, 0, 4), 10, "a: data begins at 6, but");
    expect_refused(TWO(2, 6, 6, 10), 10, "a: data begins at 2, not at 0");
    expect_refused(TWO(0, 4, 4, 8), 9, "end at byte 8 of the data, the file has 9");
    expect_refused(TWO(0, 4, 4, 8), 7, "b.data_offsets[1]: expected a whole number from 0 to 7, found 8");
    expect_refused(TWO(4, 0, 4, 8), 8, "a.data_offsets: -4 bytes, but dtype and shape ask for 4");
    expect_refused(TWO(0, 3, 3, 8), 8, "a.data_offsets: 3 bytes, but dtype and shape ask for 4");
    expect_refused(TWO(0, 5, 4, 8), 8, "a.data_offsets: 5 bytes");
    expect_refused("{}", 1, "end at byte 0 of the data, the file has 1");
    expect_refused("{\"__metadata__\":{}}", 8, "end at byte 0 of the data, the file has 8");
    expect_refused(ONE("F32", "[0]", 4, 4), 4, "data begins at 4, not at 0");
}

static void refuses_a_header_that_would_fill_the_memory(void **state)
{
    enum { LENGTH = 3000000 };
    struct bytes bytes = {malloc(8 + LENGTH), 8 + LENGTH};
    memset(bytes.data, 0, 8);
    for (int i = 0; i < 4; i++)
        bytes.data[i] = (char)(LENGTH >> (8 * i));
    memcpy(bytes.data + 8, "{\"w\":[", 6);
    for (int i = 6; i < LENGTH; i++)
        bytes.data[8 + i] = i % 2 ? ',' : '1';
    expect_bytes_refused(bytes, "more than 1000000 values");
    free(bytes.data);
}

static void reads_a_header_padded_to_the_limit(void **state)
{
    size_t length = SAFETENSORS_MAX_HEADER;
    struct bytes bytes = {malloc(8 + length + 1), 8 + length};
    memset(bytes.data, ' ', 8 + length + 1);
    for (int i = 0; i < 8; i++)
        bytes.data[i] = (char)((uint64_t)length >> (8 * i));
    memcpy(bytes.data + 8, "{}", 2);
    struct tensor_file file;
    struct error error;
    assert_int_equal(safetensors_parse("w", bytes.data, bytes.length, &file, &error), STATUS_OK);
    assert_int_equal(file.count, 0);
    tensor_file_release(&file);
    bytes.data[0]++;
    assert_int_equal(safetensors_parse("w", bytes.data, bytes.length + 1, &file, &error), STATUS_OUTSIDE);
    free(bytes.data);
}

/* Headers of very many tensors are read in time that grows with their length, not with its square. */
static void reads_many_tensors_quickly(void **state)
{
    enum { COUNT = 50000 };
    struct bytes header = {NULL, 0};
    FILE *stream = open_memstream(&header.data, &header.length);
    for (int i = 0; i < COUNT; i++)
        fprintf(stream, "%c\"t%d\":" TENSOR("U8", "[1]", % d, % d), i ? ',' : '{', i, i, i + 1);
    fputc('}', stream);
    fclose(stream);
    clock_t start = clock();
    struct tensor_file file = expect_read(header.data, COUNT);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    assert_int_equal(file.count, COUNT);
    assert_string_equal(file.arrays[12345].name, "t12345");
    assert_true(file.arrays[12345].array.data[0] == 12345 % 256);
    assert_true(seconds < 20); /* 0.1 s; two minutes if it were the square */
    tensor_file_release(&file);
    free(header.data);
}

static void reads_empty_files_and_metadata(void **state)
{
    static const char *const headers[] = {"{}", "{}      ", "{\"__metadata__\":{}}",
                                          "{\"__metadata__\":{\"format\":\"pt\",\"\":\"\"}}"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct tensor_file file = expect_read(headers[i], 0);
        assert_int_equal(file.count, 0);
        assert_null(tensor_file_find(&file, "__metadata__"));
        tensor_file_release(&file);
    }
}

static void reads_scalars_and_zero_sizes(void **state)
{
    struct tensor_file file = expect_read(
        "{\"e\":" TENSOR("F32", "[3,0]", 1, 1) ",\"s\":" TENSOR("U8", "[]", 0, 1) ",\"t\":" TENSOR(
            "U8", "[1]", 1, 2) ",\"z\":" TENSOR("F64", "[0]", 2, 2) ",\"f\":" TENSOR("I64", "[0]", 0, 0) "}",
        2);
    static const char *const order[] = {"f", "s", "e", "t", "z"};
    assert_int_equal(file.count, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(file.arrays[i].name, order[i]);
    const struct array *scalar = tensor_file_find(&file, "s"), *empty = tensor_file_find(&file, "e");
    assert_int_equal(scalar->rank, 0);
    assert_int_equal(array_size(scalar), 1);
    assert_true(scalar->data[0] == 0);
    assert_int_equal(empty->rank, 2);
    assert_int_equal(empty->shape[0], 3);
    assert_int_equal(array_size(empty), 0);
    tensor_file_release(&file);
}

/* Other writers order the header by name; the list follows the data. */
static void lists_tensors_in_the_order_of_their_data(void **state)
{
    struct tensor_file file =
        expect_read("{\"a\":" TENSOR("U8", "[2,2]", 4, 8) ",\"b\":" TENSOR("I16", "[2]", 0, 4) "}", 8);
    assert_int_equal(file.count, 2);
    assert_string_equal(file.arrays[0].name, "b");
    assert_string_equal(file.arrays[1].name, "a");
    const struct array *a = tensor_file_find(&file, "a"), *b = tensor_file_find(&file, "b");
    assert_ptr_equal(a, &file.arrays[1].array);
    for (int i = 0; i < 4; i++)
        assert_true(a->data[i] == 4 + i);
    assert_true(b->data[0] == 0x0100 && b->data[1] == 0x0302);
    assert_null(tensor_file_find(&file, "A"));
    assert_null(tensor_file_find(&file, ""));
    tensor_file_release(&file);
}

static void reads_every_dtype(void **state)
{
    static const struct {
        const char *dtype;
        int size;
        double first; /* of the bytes 0, 1, 2, ... */
    } cases[] = {{"F64", 8, 0x1.60504030201p-911},
                 {"F32", 4, 0x1.040200p-121},
                 {"F16", 2, 0x1p-16},
                 {"BF16", 2, 0x1p-125},
                 {"I64", 8, 0x0706050403020100},
                 {"I32", 4, 0x03020100},
                 {"I16", 2, 0x0100},
                 {"I8", 1, 0},
                 {"U8", 1, 0},
                 {"BOOL", 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}",
                 cases[i].dtype, 3 * cases[i].size);
        struct tensor_file file = expect_read(header, (size_t)(3 * cases[i].size));
        assert_int_equal(array_size(&file.arrays[0].array), 3);
        if (file.arrays[0].array.data[0] != (real)cases[i].first)
            fail_msg("%s: %a, not %a", cases[i].dtype, (double)file.arrays[0].array.data[0], cases[i].first);
        tensor_file_release(&file);
    }
}

static void refuses_a_file_cut_or_grown_anywhere(void **state)
{
    const int64_t shape[] = {2, 3};
    struct named_array arrays[] = {make_array("a", 2, shape), make_array("b", 1, shape)};
    struct bytes bytes = print(arrays, 2);
    size_t whole = bytes.length;
    bytes.data = realloc(bytes.data, whole + 64);
    memset(bytes.data + whole, 0, 64);
    for (bytes.length = 0; bytes.length <= whole + 64; bytes.length++) {
        if (bytes.length != whole)
            expect_bytes_refused(bytes, "");
    }
    free(bytes.data);
    array_release(&arrays[0].array);
    array_release(&arrays[1].array);
}

/* Any byte of prefix and header may turn into any other: no crash, and what is read covers the data. */
static void survives_every_changed_byte(void **state)
{
    struct bytes bytes = make_file("{\"__metadata__\":{\"k\":\"v\"},\"a\":" TENSOR(
                                       "U8", "[2,2]", 4, 8) ",\"b\":" TENSOR("I16", "[2]", 0, 4) "}  ",
                                   8);
    int read = 0;
    for (size_t at = 0; at < bytes.length - 8; at++) {
        char kept = bytes.data[at];
        for (int byte = 0; byte < 256; byte++) {
            bytes.data[at] = (char)byte;
            struct tensor_file file;
            struct error error;
            if (parse(bytes, &file, &error) == STATUS_OK) {
                read++;
                assert_int_equal(file.count, 2);
                tensor_file_release(&file);
            } else {
                assert_true(error.message[0] != '\0');
            }
        }
        bytes.data[at] = kept;
    }
    assert_true(read > (int)bytes.length - 8);
    free(bytes.data);
}

static void writes_the_documented_bytes(void **state)
{
    const int64_t shape[] = {1, 2};
    struct named_array arrays[] = {make_array("a \"quoted\" \xc3\xa9\n", 2, shape), make_array("b", 0, NULL)};
    struct bytes bytes = print(arrays, 2);
    const char *header = sizeof(real) == 4
                             ? "{\"a \\\"quoted\\\" \xc3\xa9\\n\": {\"dtype\": \"F32\", \"shape\": [1, 2], "
                               "\"data_offsets\": [0, 8]}, "
                               "\"b\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [8, 12]}}"
                             : "{\"a \\\"quoted\\\" \xc3\xa9\\n\": {\"dtype\": \"F64\", \"shape\": [1, 2], "
                               "\"data_offsets\": [0, 16]}, "
                               "\"b\": {\"dtype\": \"F64\", \"shape\": [], \"data_offsets\": [16, 24]}}";
    size_t padded = (strlen(header) + 7) / 8 * 8;
    assert_int_equal(bytes.length, 8 + padded + 3 * sizeof(real));
    for (int i = 0; i < 8; i++)
        assert_int_equal((unsigned char)bytes.data[i], padded >> (8 * i) & 0xff);
    assert_memory_equal(bytes.data + 8, header, strlen(header));
    for (size_t i = 8 + strlen(header); i < 8 + padded; i++)
        assert_int_equal(bytes.data[i], ' ');
    struct tensor_file file;
    struct error error;
    assert_int_equal(parse(bytes, &file, &error), STATUS_OK);
    assert_int_equal(file.count, 2);
    for (int i = 0; i < 2; i++) {
        expect_same(&arrays[i], &file.arrays[i]);
        array_release(&arrays[i].array);
    }
    tensor_file_release(&file);
    free(bytes.data);
}

static void writes_nothing_as_an_empty_file(void **state)
{
    struct bytes bytes = print(NULL, 0);
    assert_int_equal(bytes.length, 16);
    assert_memory_equal(bytes.data, "\10\0\0\0\0\0\0\0{}      ", 16);
    free(bytes.data);
}

static void refuses_to_write_names_that_cannot_be_read(void **state)
{
    char folder[] = "/tmp/clade-test-safetensors-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/w", folder);
    struct named_array arrays[] = {make_array("b", 0, NULL), make_array("a", 0, NULL),
                                   make_array("b", 0, NULL)};
    struct error error = ERROR_INIT;
    assert_int_equal(safetensors_write(path, arrays, 3, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "two tensors are called 'b'"));
    assert_non_null(strstr(error.message, path));
    arrays[2].name = "__metadata__";
    assert_int_equal(safetensors_write(path, arrays, 3, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "'__metadata__'"));
    assert_int_equal(rmdir(folder), 0); /* nothing was left in it */
    for (int i = 0; i < 3; i++)
        array_release(&arrays[i].array);
}

static void writes_a_file_or_nothing(void **state)
{
    char folder[] = "/tmp/clade-test-safetensors-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/w", folder);
    const int64_t shape[] = {5, 7};
    struct named_array array = make_array("w", 2, shape);
    struct tensor_file file;
    struct error error = ERROR_INIT;
    assert_int_equal(safetensors_write(path, &array, 1, &error), STATUS_OK);
    assert_int_equal(safetensors_read(path, &file, &error), STATUS_OK);
    assert_int_equal(file.count, 1);
    expect_same(&array, &file.arrays[0]);
    tensor_file_release(&file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */

    assert_int_equal(safetensors_write(path, &array, 1, &error), STATUS_OUTSIDE); /* the folder is gone */
    assert_int_equal(safetensors_write("/dev/full", &array, 1, &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "/dev/full"));
    assert_int_equal(safetensors_read(path, &file, &error), STATUS_OUTSIDE);
    assert_int_equal(file.count, 0);
    array_release(&array.array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_a_header_length_that_lies),
        cmocka_unit_test(refuses_a_header_that_is_no_object),
        cmocka_unit_test(refuses_a_name_with_nul),
        cmocka_unit_test(refuses_duplicate_names),
        cmocka_unit_test(refuses_a_depth_bomb),
        cmocka_unit_test(refuses_other_dtypes),
        cmocka_unit_test(refuses_members_that_are_missing_extra_or_wrong),
        cmocka_unit_test(refuses_metadata_that_is_not_strings),
        cmocka_unit_test(refuses_numbers_that_count_nothing),
        cmocka_unit_test(refuses_shapes_whose_size_wraps),
        cmocka_unit_test(refuses_data_that_is_not_covered_once),
        cmocka_unit_test(refuses_a_header_that_would_fill_the_memory),
        cmocka_unit_test(reads_a_header_padded_to_the_limit),
        cmocka_unit_test(reads_many_tensors_quickly),
        cmocka_unit_test(reads_empty_files_and_metadata),
        cmocka_unit_test(reads_scalars_and_zero_sizes),
        cmocka_unit_test(lists_tensors_in_the_order_of_their_data),
        cmocka_unit_test(reads_every_dtype),
        cmocka_unit_test(refuses_a_file_cut_or_grown_anywhere),
        cmocka_unit_test(survives_every_changed_byte),
        cmocka_unit_test(writes_the_documented_bytes),
        cmocka_unit_test(writes_nothing_as_an_empty_file),
        cmocka_unit_test(refuses_to_write_names_that_cannot_be_read),
        cmocka_unit_test(writes_a_file_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
