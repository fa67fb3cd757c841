#include "tensor/loops/loops.h"
#include <stdlib.h>

static int detect(void)
{
#if defined(__x86_64__)
    int level = 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        level = 3;
    if (level == 3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        level = 4;
    const char *limit = getenv("CLADE_CPU_LEVEL");
    if (limit && atoi(limit) >= 2 && atoi(limit) < level)
        level = atoi(limit);
    return level;
#else
    return 0;
#endif
}

int loops_level(void)
{
    static int level = -1; /* detecting twice at once gives the same value */
    if (level < 0)
        level = detect();
    return level;
}
