#include "block/registry.h"
#include "base/suggest.h"
#include <string.h>

/* kernel_list.h is a list of LIST(identifier), made from kernels/meson.build. */
#define LIST(identifier) extern const struct kernel kernel_##identifier;
#include "kernel_list.h"
#undef LIST
#define LIST(identifier) &kernel_##identifier,
const struct kernel *const registry_kernels[] = {
#include "kernel_list.h"
};
#undef LIST
const size_t registry_count = sizeof registry_kernels / sizeof *registry_kernels;

const struct kernel *registry_find(const char *name)
{
    for (size_t i = 0; i < registry_count; i++)
        if (strcmp(registry_kernels[i]->name, name) == 0)
            return registry_kernels[i];
    return NULL;
}

const char *const *registry_names(void)
{
    static const char *names[sizeof registry_kernels / sizeof *registry_kernels];
    for (size_t i = 0; i < registry_count; i++)
        names[i] = registry_kernels[i]->name;
    return names;
}

enum status registry_get(const char *name, const struct kernel **kernel, struct error *error)
{
    *kernel = registry_find(name);
    return *kernel ? STATUS_OK : suggest_error(error, "kernel", name, registry_names(), registry_count);
}

enum status slot_parse(const char *name, enum slot *slot, struct error *error)
{
    for (int i = 0; i < SLOT_COUNT; i++)
        if (strcmp(slot_names[i], name) == 0) {
            *slot = (enum slot)i;
            return STATUS_OK;
        }
    return suggest_error(error, "slot", name, slot_names, SLOT_COUNT);
}
