/* dtype.h: the element types that array files store, little-endian, and their conversion to reals.
 *
 * Values convert as C converts numbers: exactly where `real` holds them, else to the nearest (an F64 past the
 * range of single precision becomes infinite, an integer past 2^24 loses low digits there). NaN and infinity
 * are kept. */
#ifndef CLADE_TENSOR_DTYPE_H
#define CLADE_TENSOR_DTYPE_H

#include "tensor/real.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct dtype {
    const char *name;  /* in safetensors: "F32" */
    const char *descr; /* in .npy: "<f4"; NULL if numpy has no such type */
    int size;          /* bytes */
    void (*convert)(const unsigned char *bytes, int64_t count, real *values); /* `bytes` need no alignment */
};

#define DTYPE_NAMES "F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL"
#define DTYPE_DESCRS "<f8, <f4, <f2, <i8, <i4, <i2, |i1, |u1, |b1"

const struct dtype *dtype_by_name(const char *name);   /* NULL if it is none of DTYPE_NAMES */
const struct dtype *dtype_by_descr(const char *descr); /* NULL if it is none of DTYPE_DESCRS */
const struct dtype *dtype_of_real(void);               /* F32 or F64 */

/* Writes reals as dtype_of_real() elements. A failure stays in the stream (ferror). */
void reals_write(const real *values, int64_t count, FILE *stream);

#endif
