#include "bench/mode.h"
#include "base/suggest.h"
#include <string.h>

const char *const bench_mode_names[MODE_COUNT] = {"prefill", "decode", "train"};
const char *const bench_scope_names[SCOPE_COUNT] = {"block", "operation"};

enum status bench_mode_parse(const char *name, enum bench_mode *mode, struct error *error)
{
    for (int i = 0; i < MODE_COUNT; i++)
        if (strcmp(bench_mode_names[i], name) == 0) {
            *mode = (enum bench_mode)i;
            return STATUS_OK;
        }
    return suggest_error(error, "mode", name, bench_mode_names, MODE_COUNT);
}
