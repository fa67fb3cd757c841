/* site.c: `clade site`. */
#include "server/site.h"
#include "cli/cli.h"
#include <stdio.h>

static enum status run(struct command_line *line, struct error *error)
{
    struct catalog *catalog;
    struct resources *resources;
    size_t files;
    enum status status = command_catalog(line, &catalog, error);
    if (!status)
        status = resources_open(catalog, NULL, &resources, error);
    if (status)
        return status;
    status = site_write(resources, line->operands[0], &files, error);
    resources_close(resources);
    if (!status)
        printf("%zu files in %s; open %s/index.html\n", files, line->operands[0], line->operands[0]);
    return status;
}

const struct command command_site = {
    .name = "site",
    .operands = "DIR",
    .minimum = 1,
    .maximum = 1,
    .completion = COMPLETE_FOLDER,
    .summary = "write what serve shows as a folder of files",
    .about =
        "Writes the page and the JSON that 'clade serve' answers with into a folder that any web server can "
        "show, "
        "and that also works when its index.html is opened from a disk. A folder that has something in it is "
        "refused unless an earlier call made it; then files are replaced one by one, and those that are gone "
        "from "
        "the catalogue are removed.",
    .examples = EXAMPLES({"clade site public", "a site, or the same one brought up to date"}),
    .run = run,
};
