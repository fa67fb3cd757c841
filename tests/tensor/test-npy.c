#include "base/file.h"
#include "tensor/npy.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bytes {
    char *data;
    size_t length;
};

/* A file of the given version with this header, taken as it is, and `data_length` zero bytes after it. */
static struct bytes make_file(int major, const char *header, size_t header_length, size_t data_length)
{
    struct bytes file = {NULL, 0};
    FILE *stream = open_memstream(&file.data, &file.length);
    fwrite("\x93NUMPY", 1, 6, stream);
    fputc(major, stream);
    fputc(0, stream);
    for (int i = 0; i < (major == 1 ? 2 : 4); i++)
        fputc((int)(header_length >> (8 * i) & 0xff), stream);
    fwrite(header, 1, header_length, stream);
    for (size_t i = 0; i < data_length; i++)
        fputc(0, stream);
    fclose(stream);
    return file;
}

/* From a copy of exactly that length, so that reading past it is seen. */
static enum status parse(const void *data, size_t length, struct array *array, struct error *error)
{
    char *copy = malloc(length ? length : 1);
    memcpy(copy, data, length);
    *error = (struct error)ERROR_INIT;
    enum status status = npy_parse("x.npy", copy, length, array, error);
    free(copy);
    return status;
}

static void expect_refused(const void *data, size_t length, const char *reason)
{
    struct array array;
    struct error error;
    assert_int_equal(parse(data, length, &array, &error), STATUS_OUTSIDE);
    assert_int_equal(error.status, STATUS_OUTSIDE);
    assert_null(array.data);
    if (!strstr(error.message, reason))
        fail_msg("message '%s' lacks '%s'", error.message, reason);
    assert_true(strncmp(error.message, "x.npy: ", 7) == 0);
    assert_null(strchr(error.message, '\n'));
}

static void expect_header_refused(const char *header, const char *reason)
{
    struct bytes file = make_file(1, header, strlen(header), 24);
    expect_refused(file.data, file.length, reason);
    free(file.data);
}

static void expect_header_read(const char *header, size_t data_length, int rank, const int64_t *shape)
{
    struct bytes file = make_file(1, header, strlen(header), data_length);
    struct array array;
    struct error error;
    if (parse(file.data, file.length, &array, &error) != STATUS_OK)
        fail_msg("'%s' was refused: %s", header, error.message);
    assert_int_equal(array.rank, rank);
    for (int axis = 0; axis < rank; axis++)
        assert_int_equal(array.shape[axis], shape[axis]);
    array_release(&array);
    free(file.data);
}

static struct bytes read_whole(const char *path)
{
    struct bytes file;
    struct error error = ERROR_INIT;
    assert_int_equal(file_read(path, 1 << 20, &file.data, &file.length, &error), STATUS_OK);
    return file;
}

static struct array make_array(int rank, const int64_t *shape)
{
    struct array array;
    array_allocate(&array, rank, shape);
    for (int64_t i = 0; i < array_size(&array); i++)
        array.data[i] = (real)(i * 0.37 - 3);
    return array;
}

static void expect_same(const struct array *a, const struct array *b)
{
    assert_int_equal(a->rank, b->rank);
    for (int axis = 0; axis < a->rank; axis++)
        assert_int_equal(a->shape[axis], b->shape[axis]);
    assert_memory_equal(a->data, b->data, (size_t)array_size(a) * sizeof(real));
}

static void refuses_other_files(void **state)
{
    expect_refused("", 0, "not a npy file");
    expect_refused("PK\3\4 an .npz is a zip", 10, "not a npy file");
    expect_refused("\x93NUMPX\1\0\1\0{", 11, "not a npy file");
    expect_refused("\x93NUM", 4, "truncated");
    expect_refused("\x93NUMPY\1", 7, "truncated");
    expect_refused("\x93NUMPY\1\0\1", 9, "truncated");
    expect_refused("\x93NUMPY\2\0\1\0\0", 11, "truncated");
}

static void refuses_other_versions(void **state)
{
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }\n";
    for (int major = 0; major < 256; major++) {
        struct bytes file = make_file(major, header, strlen(header), 24);
        struct array array;
        struct error error;
        if (major >= 1 && major <= 3) {
            assert_int_equal(parse(file.data, file.length, &array, &error), STATUS_OK);
            array_release(&array);
        } else {
            expect_refused(file.data, file.length, "unsupported npy version");
        }
        file.data[7] = 1;
        expect_refused(file.data, file.length, "unsupported npy version");
        free(file.data);
    }
}

static void refuses_a_header_length_that_lies(void **state)
{
    expect_refused("\x93NUMPY\1\0\0\0", 10, "not a dictionary");
    expect_refused("\x93NUMPY\1\0\xff\xff", 10, "65535 bytes");
    expect_refused("\x93NUMPY\2\0\xff\xff\xff\xff", 12, "4294967295 bytes");
    expect_refused("\x93NUMPY\1\0\x02\0{", 11, "claims 2 bytes and 1 follow");
    /* the whole of 65535 is there and is more than is read */
    char *spaces = malloc(65535);
    memset(spaces, ' ', 65535);
    struct bytes file = make_file(1, spaces, 65535, 0);
    expect_refused(file.data, file.length, "at most 10000");
    free(file.data);
    const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }";
    memcpy(spaces, header, strlen(header));
    file = make_file(1, spaces, 10001, 4);
    expect_refused(file.data, file.length, "at most 10000");
    free(file.data);
    file = make_file(1, spaces, 10000, 4);
    struct array array;
    struct error error;
    assert_int_equal(parse(file.data, file.length, &array, &error), STATUS_OK);
    array_release(&array);
    free(file.data);
    free(spaces);
}

#define REST ", 'fortran_order': False, 'shape': (6,), }"
#define SHAPE(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': " shape ", }"

static void refuses_other_dtypes(void **state)
{
    static const char *const cases[][2] = {
        {"{'descr': '|O'" REST, "Python objects"},
        {"{'descr': 'O'" REST, "Python objects"},
        {"{'descr': '>f4'" REST, "big-endian: save it as '<f4'"},
        {"{'descr': '>i8'" REST, "big-endian"},
        {"{'descr': [('a', '<f4')]" REST, "structured"},
        {"{'descr': ('<f4', (2,))" REST, "structured"},
        {"{'descr': '<c8'" REST, "unsupported dtype '<c8'"},
        {"{'descr': '<U3'" REST, "unsupported dtype"},
        {"{'descr': '<f16'" REST, "unsupported dtype"},
        {"{'descr': '=f4'" REST, "unsupported dtype"},
        {"{'descr': 'f4'" REST, "unsupported dtype"},
        {"{'descr': ''" REST, "unsupported dtype ''"},
        {"{'descr': '\x1b[31m\n'" REST, "unsupported dtype"},
        {"{'descr': '<f4\\x00'" REST, "unexpected string"},
        {"{'descr': 4" REST, "expected a string"},
        {"{'descr': None" REST, "expected a string"},
        {"{'descr': u'<f4'" REST, "expected a string"},
        {"{'descr': '<f4" REST, "unsupported dtype '<f4, '"}, /* the next quote closes it */
        {"{'descr': '<f4", "a string has no end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_header_refused(cases[i][0], cases[i][1]);
}

/* The first axis runs fastest: value i of the file has the indices i % 2, i / 2 % 3 and i / 6. */
static void reads_fortran_order(void **state)
{
    const char *header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }";
    struct bytes file = make_file(1, header, strlen(header), 12);
    for (int i = 0; i < 12; i++)
        file.data[file.length - 12 + (size_t)i] = (char)i;
    struct array array;
    struct error error;
    assert_int_equal(parse(file.data, file.length, &array, &error), STATUS_OK);
    for (int i = 0; i < 12; i++)
        assert_true(array.data[i % 2 * 6 + i / 2 % 3 * 2 + i / 6] == i);
    array_release(&array);
    free(file.data);
    const int64_t empty[] = {4, 0, 2};
    expect_header_read("{'descr': '<f4', 'fortran_order': True, 'shape': (4, 0, 2), }", 0, 3, empty);
    expect_header_read("{'descr': '<f4', 'fortran_order': True, 'shape': (), }", 4, 0, NULL);
}

static void refuses_other_orders(void **state)
{
    expect_header_refused("{'descr': '<f4', 'fortran_order': 0, 'shape': (6,), }", "neither True nor False");
    expect_header_refused("{'descr': '<f4', 'fortran_order': 'False', 'shape': (6,), }", "neither True nor");
    expect_header_refused("{'descr': '<f4', 'fortran_order': Fals", "neither True nor False");
}

static void refuses_missing_extra_and_repeated_keys(void **state)
{
    expect_header_refused("{}", "no key 'descr'");
    expect_header_refused("{'fortran_order': False, 'shape': (6,), }", "no key 'descr'");
    expect_header_refused("{'descr': '<f4', 'shape': (6,), }", "no key 'fortran_order'");
    expect_header_refused("{'descr': '<f4', 'fortran_order': False, }", "no key 'shape'");
    expect_header_refused("{'descr': '<f4', 'order': 'C'" REST, "unknown key 'order'");
    expect_header_refused("{'Descr': '<f4'" REST, "unknown key 'Descr'");
    expect_header_refused("{'descr': '<f4', 'descr': '<f4'" REST, "duplicate key 'descr'");
    expect_header_refused("{'shape': (6,), 'descr': '<f4'" REST, "duplicate key 'shape'");
    expect_header_refused(
        "{'a key far longer than any that the header of a file may have, and then some': 1}",
        "unexpected string");
}

static void refuses_other_python(void **state)
{
    static const char *const cases[] = {
        "",
        "[]",
        "('descr', '<f4')",
        "{'descr': '<f4'" REST "}",
        "{'descr': '<f4'" REST "; import os",
        "{'descr': '<f4'" REST " + {}",
        "{'descr': '<f4'" REST " # comment",
        "dict(descr='<f4', fortran_order=False, shape=(6,))",
        "{'descr': '<f4' ''" REST,
        "{'descr' '<f4'" REST,
        "{'descr': '<f4' 'fortran_order': False, 'shape': (6,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6,",
        "{,'descr': '<f4'" REST,
        "{'descr': '<f4',,'fortran_order': False, 'shape': (6,), }",
        "{b'descr': '<f4'" REST,
        "\xef\xbb\xbf{'descr': '<f4'" REST,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_header_refused(cases[i], "malformed npy header");
    struct bytes file = make_file(1, "{'descr': '<f4'" REST "\0", 15 + strlen(REST) + 1, 24);
    expect_refused(file.data, file.length, "text after the dictionary");
    free(file.data);
}

static void refuses_shapes_that_are_none(void **state)
{
    static const char *const cases[][2] = {
        {SHAPE("(-1,)"), "negative"},
        {SHAPE("(6, -1)"), "negative"},
        {SHAPE("(6)"), "'(6)' is not a tuple"},
        {SHAPE("6"), "not a tuple"},
        {SHAPE("[6]"), "not a tuple"},
        {SHAPE("(2 3)"), "not a tuple"},
        {SHAPE("(2,,3)"), "not a tuple"},
        {SHAPE("(,)"), "not a tuple"},
        {SHAPE("(6.0,)"), "not a tuple"},
        {SHAPE("(1e1,)"), "not a tuple"},
        {SHAPE("(0x6,)"), "not a tuple"},
        {SHAPE("(+6,)"), "not a tuple"},
        {SHAPE("(True,)"), "not a tuple"},
        {SHAPE("(6,"), "not a tuple"},
        {SHAPE("((6,),)"), "not a tuple"},
        {SHAPE("(1, 1, 1, 1, 1, 1, 1, 1, 6)"), "more than 8 dimensions"},
        {SHAPE("(9223372036854775808,)"), "larger than an array"},
        {SHAPE("(18446744073709551622,)"), "larger than an array"}, /* 2^64 + 6 */
        {SHAPE("(99999999999999999999999999999999999999999,)"), "larger than an array"},
        {SHAPE("(4294967296, 4294967296)"), "larger than an array"},
        {SHAPE("(4294967296, 4294967296, 0)"), "larger than an array"},
        {SHAPE("(0, 4294967296, 4294967296)"), "larger than an array"},
        {SHAPE("(9007199254740992,)"), "asks for 36028797018963968 bytes"},
        {SHAPE("(1000000000000,)"), "asks for 4000000000000 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_header_refused(cases[i][0], cases[i][1]);
}

static void reads_every_spelling_of_the_header(void **state)
{
    const int64_t six[] = {6}, two_by_three[] = {2, 3}, eight[] = {1, 1, 1, 1, 1, 1, 2, 3};
    expect_header_read(SHAPE("(6,)"), 24, 1, six);
    expect_header_read(SHAPE("(2, 3)"), 24, 2, two_by_three);
    expect_header_read(SHAPE("(2,3,)"), 24, 2, two_by_three);
    expect_header_read(SHAPE("( 2L , 3L )"), 24, 2, two_by_three); /* Python 2 */
    expect_header_read(SHAPE("(1, 1, 1, 1, 1, 1, 2, 3)"), 24, 8, eight);
    expect_header_read(SHAPE("()"), 4, 0, NULL);
    expect_header_read("{'shape':(6,),'fortran_order':False,'descr':'<f4'}", 24, 1, six);
    expect_header_read("{\"descr\": \"<f4\"" REST " \n", 24, 1, six);
    expect_header_read("\n { 'descr'\t: '<f4'" REST "\r\n", 24, 1, six);
}

static void reads_empty_and_scalar_arrays(void **state)
{
    const int64_t empty[] = {4, 0, 2};
    expect_header_read(SHAPE("(4, 0, 2)"), 0, 3, empty);
    struct bytes file = make_file(1, SHAPE("(4, 0, 2)"), strlen(SHAPE("(4, 0, 2)")), 1);
    expect_refused(file.data, file.length, "0 bytes of data, the file has 1");
    free(file.data);
}

/* The header's length puts the data at every offset modulo 64. */
static void reads_unaligned_data(void **state)
{
    for (size_t pad = 0; pad < 64; pad++) {
        char header[256];
        snprintf(header, sizeof header, "%s%*s", SHAPE("(1,)"), (int)pad, "");
        struct bytes file = make_file(1, header, strlen(header), 4);
        memcpy(file.data + file.length - 4, "\0\0\x20\xc1", 4); /* -10 */
        struct array array;
        struct error error;
        assert_int_equal(parse(file.data, file.length, &array, &error), STATUS_OK);
        assert_true(array.data[0] == -10);
        array_release(&array);
        free(file.data);
    }
}

static void refuses_a_file_cut_or_grown_anywhere(void **state)
{
    const int64_t shape[] = {2, 3};
    struct array array = make_array(2, shape);
    struct bytes file = {NULL, 0};
    FILE *stream = open_memstream(&file.data, &file.length);
    npy_print(&array, stream);
    for (int i = 0; i < 70; i++)
        fputc(0, stream);
    fclose(stream);
    size_t whole = file.length - 70;
    for (size_t length = 0; length <= file.length; length++) {
        if (length != whole)
            expect_refused(file.data, length, "");
    }
    struct array again;
    struct error error;
    assert_int_equal(parse(file.data, whole, &again, &error), STATUS_OK);
    expect_same(&array, &again);
    array_release(&again);
    array_release(&array);
    free(file.data);
}

/* Any byte of the header may turn into any other: no crash, and what is read has data for its shape. */
static void survives_every_changed_byte(void **state)
{
    struct bytes file = make_file(1, SHAPE("(2, 3)"), strlen(SHAPE("(2, 3)")), 24);
    int read = 0;
    for (size_t at = 0; at < file.length - 24; at++) {
        char kept = file.data[at];
        for (int byte = 0; byte < 256; byte++) {
            file.data[at] = (char)byte;
            struct array array;
            struct error error;
            if (parse(file.data, file.length, &array, &error) == STATUS_OK) {
                read++;
                assert_true(array_size(&array) > 0 && 24 % array_size(&array) == 0);
                array_release(&array);
            } else {
                assert_true(error.message[0] != '\0');
            }
        }
        file.data[at] = kept;
    }
    assert_true(read > (int)file.length - 24); /* the unchanged file, at each place, and some other blanks */
    free(file.data);
}

/* What numpy itself wrote of 0 to 5 (see data/npy/make.py). */
static void reads_what_numpy_writes(void **state)
{
    static const char *const names[] = {"f8", "f4", "f2",      "i8",       "i4",       "i2",      "i1",
                                        "u1", "b1", "fortran", "version1", "version2", "version3"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, TEST_DATA "/npy/readable/%s.npy", names[i]);
        struct array array;
        struct error error = ERROR_INIT;
        if (npy_read(path, &array, &error) != STATUS_OK)
            fail_msg("%s", error.message);
        assert_int_equal(array.rank, 2);
        assert_int_equal(array.shape[0], 2);
        assert_int_equal(array.shape[1], 3);
        for (int j = 0; j < 6; j++)
            assert_true(array.data[j] == (strcmp(names[i], "b1") == 0 ? j > 0 : j));
        array_release(&array);
    }
}

static void refuses_what_else_numpy_writes(void **state)
{
    static const char *const cases[][2] = {
        {"f4", "big-endian"},
        {"i8", "big-endian"},
        {"c8", "'<c8'"},
        {"U3", "'<U3'"},
        {"S3", "'|S3'"},
        {"u4", "'<u4'"},
        {"M8", "'<M8[s]'"},
        {"f4-i2", "structured"},
        {"object", "Python objects"},
        {"rank9", "more than 8 dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, TEST_DATA "/npy/refused/%s.npy", cases[i][0]);
        struct bytes file = read_whole(path);
        expect_refused(file.data, file.length, cases[i][1]);
        free(file.data);
    }
}

/* Single precision gives the very bytes of numpy.save(). */
static void writes_as_numpy_does(void **state)
{
    static const char *const names[] = {"f4", "scalar", "vector", "empty"};
    static const char *const doubles[] = {"f8", NULL, NULL, NULL};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = sizeof(real) == 8 ? doubles[i] : names[i];
        if (!name)
            continue;
        char path[512];
        snprintf(path, sizeof path, TEST_DATA "/npy/readable/%s.npy", name);
        struct bytes expected = read_whole(path), written = {NULL, 0};
        struct array array;
        struct error error;
        assert_int_equal(parse(expected.data, expected.length, &array, &error), STATUS_OK);
        FILE *stream = open_memstream(&written.data, &written.length);
        npy_print(&array, stream);
        fclose(stream);
        assert_int_equal(written.length, expected.length);
        assert_memory_equal(written.data, expected.data, written.length);
        array_release(&array);
        free(expected.data);
        free(written.data);
    }
}

static void reads_what_it_writes(void **state)
{
    const int64_t lengths[] = {3, 1, 4, 2, 5, 1, 2, 3};
    for (int rank = 0; rank <= ARRAY_MAX_RANK; rank++) {
        struct array array = make_array(rank, lengths), again;
        struct bytes file = {NULL, 0};
        FILE *stream = open_memstream(&file.data, &file.length);
        npy_print(&array, stream);
        fclose(stream);
        assert_int_equal((file.length - (size_t)array_size(&array) * sizeof(real)) % 64, 0);
        assert_int_equal(file.data[file.length - (size_t)array_size(&array) * sizeof(real) - 1], '\n');
        struct error error;
        assert_int_equal(parse(file.data, file.length, &again, &error), STATUS_OK);
        expect_same(&array, &again);
        array_release(&array);
        array_release(&again);
        free(file.data);
    }
}

static void keeps_nan_and_infinity(void **state)
{
    const int64_t shape[] = {4};
    struct array array, again;
    array_allocate(&array, 1, shape);
    array.data[0] = (real)NAN;
    array.data[1] = (real)-INFINITY;
    array.data[2] = (real)-0.0;
    array.data[3] = (real)1e-40; /* subnormal in single precision */
    struct bytes file = {NULL, 0};
    FILE *stream = open_memstream(&file.data, &file.length);
    npy_print(&array, stream);
    fclose(stream);
    struct error error;
    assert_int_equal(parse(file.data, file.length, &again, &error), STATUS_OK);
    expect_same(&array, &again);
    array_release(&array);
    array_release(&again);
    free(file.data);
}

static void writes_a_file_or_nothing(void **state)
{
    char folder[] = "/tmp/clade-test-npy-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.npy", folder);
    const int64_t shape[] = {50, 700}; /* more than the stream buffers */
    struct array array = make_array(2, shape), again;
    struct error error = ERROR_INIT;
    assert_int_equal(npy_write(path, &array, &error), STATUS_OK);
    assert_int_equal(npy_read(path, &again, &error), STATUS_OK);
    expect_same(&array, &again);
    array_release(&again);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */

    assert_int_equal(npy_write(path, &array, &error), STATUS_OUTSIDE); /* the folder is gone */
    assert_non_null(strstr(error.message, path));
    assert_int_equal(npy_write("/dev/full", &array, &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "/dev/full"));
    assert_int_equal(npy_read(path, &again, &error), STATUS_OUTSIDE);
    assert_null(again.data);
    assert_int_equal(npy_read("/tmp", &again, &error), STATUS_OUTSIDE);
    array_release(&array);
}

/* A pipe has no size before it is read: a file that grows after it was looked at reads the same way. */
static void reads_from_a_pipe(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct bytes file = read_whole(TEST_DATA "/npy/readable/f4.npy");
    assert_int_equal(write(ends[1], file.data, file.length), (ssize_t)file.length);
    close(ends[1]);
    char path[32];
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    struct array array;
    struct error error = ERROR_INIT;
    assert_int_equal(npy_read(path, &array, &error), STATUS_OK);
    assert_true(array.data[5] == 5);
    array_release(&array);
    close(ends[0]);
    free(file.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(refuses_other_versions),
        cmocka_unit_test(refuses_a_header_length_that_lies),
        cmocka_unit_test(refuses_other_dtypes),
        cmocka_unit_test(reads_fortran_order),
        cmocka_unit_test(refuses_other_orders),
        cmocka_unit_test(refuses_missing_extra_and_repeated_keys),
        cmocka_unit_test(refuses_other_python),
        cmocka_unit_test(refuses_shapes_that_are_none),
        cmocka_unit_test(reads_every_spelling_of_the_header),
        cmocka_unit_test(reads_empty_and_scalar_arrays),
        cmocka_unit_test(reads_unaligned_data),
        cmocka_unit_test(refuses_a_file_cut_or_grown_anywhere),
        cmocka_unit_test(survives_every_changed_byte),
        cmocka_unit_test(reads_what_numpy_writes),
        cmocka_unit_test(refuses_what_else_numpy_writes),
        cmocka_unit_test(writes_as_numpy_does),
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(keeps_nan_and_infinity),
        cmocka_unit_test(writes_a_file_or_nothing),
        cmocka_unit_test(reads_from_a_pipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
