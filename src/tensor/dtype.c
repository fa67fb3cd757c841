#include "tensor/dtype.h"
#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* Bytes of a file to a host integer, whatever their alignment; on a little-endian host just a load. */
static inline uint8_t load_8(const unsigned char *bytes)
{
    return *bytes;
}

static inline uint16_t load_16(const unsigned char *bytes)
{
    uint16_t stored;
    memcpy(&stored, bytes, sizeof stored);
    return le16toh(stored);
}

static inline uint32_t load_32(const unsigned char *bytes)
{
    uint32_t stored;
    memcpy(&stored, bytes, sizeof stored);
    return le32toh(stored);
}

static inline uint64_t load_64(const unsigned char *bytes)
{
    uint64_t stored;
    memcpy(&stored, bytes, sizeof stored);
    return le64toh(stored);
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE half precision: 1 sign, 5 exponent (bias 15), 10 fraction bits. Every half is exact in single
 * precision. */
static inline float float_of_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t magnitude = half & 0x7fff;
    if (magnitude >= 0x7c00) /* infinite or NaN, with its payload */
        return float_of_bits(sign | 0x7f800000 | magnitude << 13);
    if (magnitude >= 0x0400)
        return float_of_bits(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
    float value = (float)magnitude * 0x1p-24f; /* subnormal */
    return sign ? -value : value;
}

#define DEFINE_CONVERSION(type, bits, value)                                            \
    static void convert_##type(const unsigned char *bytes, int64_t count, real *values) \
    {                                                                                   \
        for (int64_t i = 0; i < count; i++) {                                           \
            uint##bits##_t stored = load_##bits(bytes + i * (bits / 8));                \
            values[i] = (real)(value);                                                  \
        }                                                                               \
    }

DEFINE_CONVERSION(f64, 64, double_of_bits(stored))
DEFINE_CONVERSION(f32, 32, float_of_bits(stored))
DEFINE_CONVERSION(f16, 16, float_of_half(stored))
DEFINE_CONVERSION(bf16, 16, float_of_bits((uint32_t)stored << 16))
DEFINE_CONVERSION(i64, 64, (int64_t)stored)
DEFINE_CONVERSION(i32, 32, (int32_t)stored)
DEFINE_CONVERSION(i16, 16, (int16_t)stored)
DEFINE_CONVERSION(i8, 8, (int8_t)stored)
DEFINE_CONVERSION(u8, 8, stored)
DEFINE_CONVERSION(bool, 8, stored != 0)

static const struct dtype dtypes[] = {
    {"F64", "<f8", 8, convert_f64},   {"F32", "<f4", 4, convert_f32}, {"F16", "<f2", 2, convert_f16},
    {"BF16", NULL, 2, convert_bf16},  {"I64", "<i8", 8, convert_i64}, {"I32", "<i4", 4, convert_i32},
    {"I16", "<i2", 2, convert_i16},   {"I8", "|i1", 1, convert_i8},   {"U8", "|u1", 1, convert_u8},
    {"BOOL", "|b1", 1, convert_bool},
};
enum { DTYPE_COUNT = sizeof dtypes / sizeof dtypes[0] };

const struct dtype *dtype_by_name(const char *name)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return &dtypes[i];
    return NULL;
}

const struct dtype *dtype_by_descr(const char *descr)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (dtypes[i].descr && strcmp(dtypes[i].descr, descr) == 0)
            return &dtypes[i];
    return NULL;
}

const struct dtype *dtype_of_real(void)
{
    return dtype_by_name(sizeof(real) == sizeof(double) ? "F64" : "F32");
}

static inline void store_real(real value, unsigned char *bytes)
{
#ifdef CLADE_DOUBLE
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htole32(bits);
#endif
    memcpy(bytes, &bits, sizeof bits);
}

void reals_write(const real *values, int64_t count, FILE *stream)
{
    unsigned char block[4096 * sizeof(real)];
    for (int64_t done = 0; done < count;) {
        int64_t now = count - done < 4096 ? count - done : 4096;
        for (int64_t i = 0; i < now; i++)
            store_real(values[done + i], block + i * (int64_t)sizeof(real));
        if (fwrite(block, sizeof(real), (size_t)now, stream) != (size_t)now)
            return;
        done += now;
    }
}
