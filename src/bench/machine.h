/* machine.h: what a measurement was made on and with. */
#ifndef CLADE_BENCH_MACHINE_H
#define CLADE_BENCH_MACHINE_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* {"processor", "cores", "cache_l1d", "cache_l2", "cache_l3", "memory_bytes", "system", "governor"}: null
 * where the system does not say. The caller deletes it. */
cJSON *machine_describe(void);
/* {"version", "precision", "compiler", "blas", "blas_core", "cpu_level"}; the caller deletes it. */
cJSON *machine_build(void);
double machine_load(void); /* one-minute load average; -1 if unknown */
int machine_cores(void);
size_t machine_memory(void); /* bytes; SIZE_MAX if unknown */

#endif
