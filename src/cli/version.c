/* version.c: `clade version`. */
#include "base/fields.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "tensor/real.h"
#include <sqlite3.h>
#include <stdio.h>

static enum status run(struct command_line *line, struct error *error)
{
    const char *precision = sizeof(real) == sizeof(float) ? "single" : "double";
    if (!line->json) {
        printf("clade %s (%s precision)\n", CLADE_VERSION, precision);
        return STATUS_OK;
    }
    cJSON *document = cJSON_CreateObject();
    json_set_text(document, "version", CLADE_VERSION);
    json_set_text(document, "precision", precision);
    json_set_text(document, "sqlite", sqlite3_libversion());
    return print_json(document, error);
}

const struct command command_version = {
    .name = "version",
    .summary = "print the version",
    .about =
        "Prints the version of the program and the precision that its kernels compute in: clade in single, "
        "clade-double in double precision.",
    .json = "{version, precision, sqlite}: precision is \"single\" or \"double\"",
    .examples = EXAMPLES({"clade version", "the version in one line"}),
    .run = run,
};
