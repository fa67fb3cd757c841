/* mixed-bits.h: numbers drawn once and for all by a counter, such as a layer, a head and a place. */
#ifndef CLADE_KERNELS_MIXED_BITS_H
#define CLADE_KERNELS_MIXED_BITS_H

#include <stdint.h>

/* A well-mixed function of a counter. */
static inline uint64_t mixed_bits(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif
