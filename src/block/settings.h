/* settings.h: values for a kernel's options, checked against what it declares. */
#ifndef CLADE_BLOCK_SETTINGS_H
#define CLADE_BLOCK_SETTINGS_H

#include "base/json.h"
#include "block/kernel.h"

struct setting {
    double number; /* of a list: how many entries */
    char choice[48];
    double list[OPTION_LIST_MAXIMUM];
};

struct settings {
    const struct kernel *kernel;
    struct setting *values; /* one an option, in the kernel's order */
};

void settings_init(struct settings *settings, const struct kernel *kernel); /* the defaults */
void settings_copy(struct settings *settings, const struct settings *other);
void settings_release(struct settings *settings);

/* STATUS_USAGE with "kernel 'gated-mlp': option 'activation': ..." for an unknown option (with the nearest),
 * a value out of range or of the wrong type. `text` is as typed: "4", "0.5", "true", "gelu", "8,8,8". */
enum status settings_set_text(struct settings *settings, const char *name, const char *text,
                              struct error *error);
enum status settings_set_json(struct settings *settings, const char *name, const cJSON *value,
                              struct error *error);
bool settings_has(const struct kernel *kernel, const char *name);
/* The value as text, in a buffer that the caller gives. */
const char *settings_text(const struct settings *settings, const char *name, char *buffer, size_t size);

#endif
