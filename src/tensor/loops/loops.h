/* loops.h: inner loops that are built once for each level of the x86-64 architecture and chosen at start.
 *
 * A file of this folder holds plain C that the compiler vectorises; it is compiled for x86-64-v2, v3 and v4
 * with LOOPS_LEVEL set to v2, v3, v4 (elsewhere once, with LOOPS_LEVEL=base) and ends in LOOPS_TABLE(...): a
 * constant table of its functions. LOOPS_DECLARE gives the accessor that picks the table for this machine. */
#ifndef CLADE_TENSOR_LOOPS_LOOPS_H
#define CLADE_TENSOR_LOOPS_LOOPS_H

#include "tensor/real.h"
#include <stdint.h>

#define LOOPS_PASTE(name, level) name##_##level
#define LOOPS_EXPAND(name, level) LOOPS_PASTE(name, level)

/* Highest of 2, 3, 4 that this processor has and CLADE_CPU_LEVEL (an environment variable) allows. */
int loops_level(void);

#if defined(__x86_64__)
#define LOOPS_DECLARE(type, name)                                              \
    extern const type name##_v2, name##_v3, name##_v4;                         \
    static inline const type *name(void)                                       \
    {                                                                          \
        int level = loops_level();                                             \
        return level >= 4 ? &name##_v4 : level == 3 ? &name##_v3 : &name##_v2; \
    }
#else
#define LOOPS_DECLARE(type, name)        \
    extern const type name##_base;       \
    static inline const type *name(void) \
    {                                    \
        return &name##_base;             \
    }
#endif

#define LOOPS_TABLE(type, name) const type LOOPS_EXPAND(name, LOOPS_LEVEL)

#endif
