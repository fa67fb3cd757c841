/* real.h: the one number type of the engine. The same sources build a single- and a double-precision library.
 */
#ifndef CLADE_TENSOR_REAL_H
#define CLADE_TENSOR_REAL_H

#ifdef CLADE_DOUBLE
typedef double real;
#define REAL_NAME "double"
#define REAL_MAX_INDEX ((int64_t)1 << 53) /* whole numbers up to this are exact */
#else
typedef float real;
#define REAL_NAME "single"
#define REAL_MAX_INDEX ((int64_t)1 << 24)
#endif

#endif
