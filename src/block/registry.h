/* registry.h: all kernels, from the lists in kernels/meson.build. */
#ifndef CLADE_BLOCK_REGISTRY_H
#define CLADE_BLOCK_REGISTRY_H

#include "block/kernel.h"

extern const struct kernel *const registry_kernels[];
extern const size_t registry_count;
extern const char
    *const registry_notes[]; /* what each says of itself at the top of its file: formulas, sources */

const struct kernel *registry_find(const char *name); /* NULL if there is none */
/* Finds it or says "unknown kernel 'x': did you mean 'y'?". */
enum status registry_get(const char *name, const struct kernel **kernel, struct error *error);
const char *const *registry_names(void); /* registry_count of them */
enum status slot_parse(const char *name, enum slot *slot, struct error *error);
/* The state of a character under these settings, or NULL if the kernel does not declare it. */
const char *kernel_character(const struct scope *scope, const char *name);
/* Whether it has a recurrent form under these settings: one that sees later tokens is replayed. */
bool kernel_has_step(const struct scope *scope);

#endif
