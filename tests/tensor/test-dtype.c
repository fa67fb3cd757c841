#include "tensor/dtype.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Converts one element given as an integer of the type's size, from an odd address. */
static real convert_one(const char *name, uint64_t bits)
{
    const struct dtype *dtype = dtype_by_name(name);
    assert_non_null(dtype);
    unsigned char bytes[9];
    for (int i = 0; i < dtype->size; i++)
        bytes[1 + i] = (unsigned char)(bits >> (8 * i));
    real value;
    dtype->convert(bytes + 1, 1, &value);
    return value;
}

/* The value that IEEE 754 gives to 1 sign, `exponent_bits` and `fraction_bits`, from its definition. */
static double ieee_value(uint32_t bits, int exponent_bits, int fraction_bits)
{
    uint32_t fraction = bits & ((1u << fraction_bits) - 1);
    int exponent = (int)(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    int bias = (1 << (exponent_bits - 1)) - 1;
    double sign = bits >> (exponent_bits + fraction_bits) ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction ? NAN : sign * INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp(fraction + (1u << fraction_bits), exponent - bias - fraction_bits);
}

static void expect_sixteen_bits(const char *name, int exponent_bits, int fraction_bits)
{
    for (uint32_t bits = 0; bits < 1u << 16; bits++) {
        double expected = ieee_value(bits, exponent_bits, fraction_bits);
        double got = (double)convert_one(name, bits);
        bool equal = isnan(expected) ? isnan(got) : got == expected && !signbit(got) == !signbit(expected);
        if (!equal)
            fail_msg("%s 0x%04x is %a, expected %a", name, (unsigned)bits, got, expected);
    }
}

static void converts_every_half(void **state)
{
    expect_sixteen_bits("F16", 5, 10);
}

static void converts_every_bfloat(void **state)
{
    expect_sixteen_bits("BF16", 8, 7);
}

static void converts_single_precision_bit_by_bit(void **state)
{
    static const uint32_t samples[] = {0,          0x80000000, 1,          0x807fffff,
                                       0x3f800000, 0x7f7fffff, 0x7f800000, 0xff800000,
                                       0x7fc12345, 0xffc00001, 0x00800000, 0x4b7fffff};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        float expected;
        memcpy(&expected, &samples[i], sizeof expected);
        real wanted = (real)expected, got = convert_one("F32", samples[i]);
        assert_memory_equal(&got, &wanted, sizeof got);
    }
}

static void rounds_double_precision_to_real(void **state)
{
    assert_true(convert_one("F64", 0x3ff0000000000000) == 1);
    assert_true(convert_one("F64", 0xc000000000000000) == -2);
    assert_true(isnan(convert_one("F64", 0x7ff8000000000000)));
    assert_true(convert_one("F64", 0xfff0000000000000) == -INFINITY);
    double tenth = 0.1, huge = 1e300;
    uint64_t bits;
    memcpy(&bits, &tenth, sizeof bits);
    assert_true(convert_one("F64", bits) == (real)0.1);
    memcpy(&bits, &huge, sizeof bits);
    assert_true(convert_one("F64", bits) == (sizeof(real) == 8 ? (real)1e300 : (real)INFINITY));
}

static void converts_the_ends_of_the_integers(void **state)
{
    assert_true(convert_one("I64", (uint64_t)1 << 63) == (real)-0x1p63);
    assert_true(convert_one("I64", ~(uint64_t)0) == -1);
    assert_true(convert_one("I64", INT64_MAX) == (real)0x1p63); /* rounded */
    assert_true(convert_one("I32", 0x80000000) == (real)-0x1p31);
    assert_true(convert_one("I32", 0x00ffffff) == 16777215);
    assert_true(convert_one("I16", 0x8000) == -32768);
    assert_true(convert_one("I16", 0x7fff) == 32767);
    assert_true(convert_one("I8", 0x80) == -128);
    assert_true(convert_one("I8", 0x7f) == 127);
    assert_true(convert_one("U8", 0x80) == 128);
    assert_true(convert_one("U8", 0xff) == 255);
}

static void booleans_become_zero_and_one(void **state)
{
    assert_true(convert_one("BOOL", 0) == 0);
    for (unsigned stored = 1; stored < 256; stored++)
        assert_true(convert_one("BOOL", stored) == 1);
}

static void knows_no_other_types(void **state)
{
    static const char *const names[] = {"", "f32", "F8_E4M3", "F8_E5M2", "U16", "C64", "F32 ", "float32"};
    static const char *const descrs[] = {"", "f4", "=f4", ">f4", "<f16", "<c8", "|O", "<u4", "<b1", "?"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_null(dtype_by_name(names[i]));
    for (size_t i = 0; i < sizeof descrs / sizeof descrs[0]; i++)
        assert_null(dtype_by_descr(descrs[i]));
}

/* Past the size of the writer's block, so that a block's edge falls inside. */
static void reads_what_it_writes(void **state)
{
    enum { COUNT = 10007 };
    real *values = malloc(COUNT * sizeof *values), *again = malloc(COUNT * sizeof *again);
    for (int i = 0; i < COUNT; i++)
        values[i] = i % 5 == 0 ? (real)-INFINITY : (real)sin(i) * (real)ldexp(1, i % 97 - 48);
    char *bytes = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&bytes, &length);
    reals_write(values, COUNT, stream);
    fclose(stream);
    assert_int_equal(length, COUNT * sizeof(real));
    dtype_of_real()->convert((const unsigned char *)bytes, COUNT, again);
    assert_memory_equal(values, again, COUNT * sizeof(real));
    free(bytes);
    free(values);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_every_half),
        cmocka_unit_test(converts_every_bfloat),
        cmocka_unit_test(converts_single_precision_bit_by_bit),
        cmocka_unit_test(rounds_double_precision_to_real),
        cmocka_unit_test(converts_the_ends_of_the_integers),
        cmocka_unit_test(booleans_become_zero_and_one),
        cmocka_unit_test(knows_no_other_types),
        cmocka_unit_test(reads_what_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
