/* real.h: the one number type of the engine. The same sources build a single- and a double-precision library.
 */
#ifndef CLADE_TENSOR_REAL_H
#define CLADE_TENSOR_REAL_H

#ifdef CLADE_DOUBLE
typedef double real;
#define REAL_NAME "double"
#else
typedef float real;
#define REAL_NAME "single"
#endif

#endif
