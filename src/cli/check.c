/* check.c: `clade check`: properties of variants, and reference cases. */
#include "cli/check.h"
#include "base/file.h"
#include "cli/compose.h"
#include "cli/output.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct checking {
    struct command_line *line;
    struct check_report report;
    const char **kernels_seen; /* a kernel with the same settings is checked once */
    size_t kernel_count;
};

/* ---- Properties ---- */

static void check_subject(struct checking *checking, const char *variant, const char *kernel,
                          const struct composition *composition)
{
    struct arena *arena = &checking->line->arena;
    struct check_result result;
    check_composition(composition, kernel != NULL, &result);
    for (size_t i = 0; i < result.count; i++) {
        const struct check_property *property = &result.properties[i];
        check_report_add(&checking->report,
                         (struct check_row){.variant = variant,
                                            .kernel = kernel,
                                            .property = property->name,
                                            .outcome = property->outcome,
                                            .detail = arena_copy_string(arena, property->detail)});
    }
}

/* "attention heads=8 kv_heads=0 ...; rotary theta=10000 ..." */
static const char *settings_name(struct arena *arena, const struct layer_composition *layer, enum slot slot)
{
    const struct settings *both[] = {&layer->slots[slot],
                                     slot == SLOT_MIXER ? &layer->slots[SLOT_POSITION] : NULL};
    const char *name = "";
    char value[512];
    for (int i = 0; i < 2; i++) {
        const struct kernel *kernel = both[i] ? both[i]->kernel : NULL;
        name = kernel ? arena_format(arena, "%s;%s", name, kernel->name) : name;
        for (const struct option *option = kernel ? kernel->options : NULL; option && option->name; option++)
            name = arena_format(arena, "%s %s=%s", name, option->name,
                                settings_text(both[i], option->name, value, sizeof value));
    }
    return name;
}

static bool seen_before(struct checking *checking, const char *name)
{
    for (size_t i = 0; i < checking->kernel_count; i++)
        if (strcmp(checking->kernels_seen[i], name) == 0)
            return true;
    checking->kernels_seen =
        arena_extend(&checking->line->arena, checking->kernels_seen, checking->kernel_count, sizeof(char *));
    checking->kernels_seen[checking->kernel_count++] = name;
    return false;
}

static enum status check_kernels(struct checking *checking, const char *variant,
                                 const struct composition *composition, struct error *error)
{
    for (int i = 0; i < composition->count; i++)
        for (int slot = 0; slot < SLOT_COUNT; slot++) {
            const struct layer_composition *layer = &composition->layers[i];
            if (!check_stands_alone(layer, (enum slot)slot) ||
                seen_before(checking, settings_name(&checking->line->arena, layer, (enum slot)slot)))
                continue;
            struct composition alone;
            composition_copy(&alone, composition);
            enum status status = composition_only(&alone, layer->name, (enum slot)slot, error);
            if (!status)
                check_subject(checking, variant, layer->slots[slot].kernel->name, &alone);
            composition_release(&alone);
            if (status)
                return status;
        }
    return STATUS_OK;
}

static enum status check_variant(struct checking *checking, const char *key, struct error *error)
{
    struct composition composition;
    enum status status = command_composition(checking->line, key, &composition, error);
    if (status)
        return status;
    size_t count;
    command_texts(checking->line, "set", &count);
    status = command_settings(checking->line, &composition,
                              arena_allocate(&checking->line->arena, (count + 1) * sizeof(int)), error);
    if (status) {
        composition_release(&composition);
        return status;
    }
    if (composition_takes_sequences(&composition)) {
        check_subject(checking, key, NULL, &composition);
        status = check_kernels(checking, key, &composition, error);
    } else {
        check_report_add(&checking->report, (struct check_row){.variant = key,
                                                               .property = "shapes",
                                                               .outcome = CHECK_SKIPPED,
                                                               .detail = "it takes no sequence"});
    }
    composition_release(&composition);
    return status;
}

/* One that cannot be built is a failure among the others, but a wrong name ends the command. */
static enum status check_named(struct checking *checking, const char *key, struct error *error)
{
    struct catalog *catalog;
    struct error failure = ERROR_INIT;
    enum status status = command_catalog(checking->line, &catalog, error);
    if (status || (status = catalog_require(catalog, key, error)))
        return status;
    if (check_variant(checking, key, &failure))
        check_report_add(&checking->report, (struct check_row){.variant = key,
                                                               .property = "shapes",
                                                               .outcome = CHECK_FAILED,
                                                               .detail = arena_copy_string(
                                                                   &checking->line->arena, failure.message)});
    return STATUS_OK;
}

static enum status check_all(struct checking *checking, struct error *error)
{
    struct catalog *catalog;
    struct variant_row *rows;
    size_t count;
    enum status status = command_catalog(checking->line, &catalog, error);
    if (!status)
        status = catalog_list(catalog, &(struct catalog_filter){NULL}, &checking->line->arena, &rows, &count,
                              error);
    if (status)
        return status;
    checking->report.brief = true;
    for (size_t i = 0; i < count && !status; i++) {
        progress_show("checking %zu of %zu: %.40s", i, count, rows[i].key);
        if (strcmp(rows[i].kind, "study") == 0)
            continue; /* its members are checked */
        if (rows[i].runnable)
            status = check_named(checking, rows[i].key, error);
        else
            checking->report.not_runnable++;
    }
    progress_end();
    return status;
}

/* ---- Reference cases ---- */

static cJSON *parse(const char *text)
{
    cJSON *document = NULL;
    struct error error = ERROR_INIT;
    if (text && json_parse("catalogue", text, strlen(text), &document, &error))
        BUG("the catalogue holds JSON that does not parse: %s", error.message);
    return document;
}

/* Runs the case by the entry of its set. */
static enum status run_case(struct checking *checking, const struct reference_case *reference,
                            struct check_row *row, struct reference_result *result, struct error *error)
{
    struct arena *arena = &checking->line->arena;
    struct catalog *catalog;
    struct variant_card card;
    struct reference at;
    enum status status = command_catalog(checking->line, &catalog, error);
    if (!status)
        status = catalog_reference(catalog, reference->key, arena, &row->variant, &at, error);
    if (!status)
        status = catalog_card(catalog, row->variant, arena, &card, error);
    if (status)
        return status;
    cJSON *documents[] = {variant_composition(&card.variant),
                          parse(at.options),
                          parse(at.fixed),
                          parse(at.inputs),
                          parse(at.outputs),
                          parse(at.weights)};
    struct reference_entry entry = {.composition = documents[0],
                                    .slot = at.slot,
                                    .part = at.part,
                                    .options = documents[1],
                                    .fixed = documents[2],
                                    .inputs = documents[3],
                                    .outputs = documents[4],
                                    .weights = documents[5]};
    status = reference_check(&entry, reference, result, error);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
        cJSON_Delete(documents[i]);
    return status;
}

static enum status check_case(struct checking *checking, const char *directory, struct error *error)
{
    struct arena *arena = &checking->line->arena;
    struct reference_case reference;
    struct reference_result result = {false};
    struct error failure = ERROR_INIT;
    enum status status = reference_case_open(directory, &reference, error);
    if (status)
        return status;
    const char *slash = strrchr(directory, '/');
    struct check_row row = {.directory = directory};
    row.name = arena_format(arena, "%s/%s", reference.key, slash ? slash + 1 : directory);
    if (run_case(checking, &reference, &row, &result, &failure)) {
        row.outcome = CHECK_FAILED;
        row.detail = arena_copy_string(arena, failure.message);
    } else {
        row.outcome = result.passed ? CHECK_PASSED : CHECK_FAILED;
        row.detail = arena_copy_string(arena, result.detail);
        row.errors = arena_allocate(arena, (result.count + 1) * sizeof *row.errors);
        for (size_t i = 0; i < result.count; i++) {
            row.errors[row.error_count] = result.errors[i];
            row.errors[row.error_count++].name = arena_copy_string(arena, result.errors[i].name);
        }
        reference_result_release(&result);
    }
    check_report_add(&checking->report, row);
    reference_case_close(&reference);
    return STATUS_OK;
}

static bool is_case(struct command_line *line, const char *directory)
{
    return access(arena_format(&line->arena, "%s/case.json", directory), F_OK) == 0;
}

static bool is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

enum { DEPTH = 3 }; /* the root of all sets, a set, a case */

/* Appends the cases in a folder: itself, or those of its folders. */
static enum status find_cases(struct command_line *line, const char *directory, int depth,
                              const char ***cases, size_t *count, struct error *error)
{
    if (is_case(line, directory)) {
        *cases = arena_extend(&line->arena, *cases, *count, sizeof **cases);
        (*cases)[(*count)++] = directory;
        return STATUS_OK;
    }
    char **names;
    size_t name_count;
    enum status status = depth > 1 ? directory_list(directory, "", &names, &name_count, error) : STATUS_OK;
    if (status || depth <= 1)
        return status;
    for (size_t i = 0; i < name_count && !status; i++) {
        const char *path = arena_format(&line->arena, "%s/%s", directory, names[i]);
        if (is_directory(path))
            status = find_cases(line, path, depth - 1, cases, count, error);
    }
    names_free(names, name_count);
    return status;
}

static const char *without_slash(struct command_line *line, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return arena_format(&line->arena, "%.*s", (int)length, path);
}

static enum status check_folder(struct checking *checking, const char *folder, struct error *error)
{
    const char **cases = NULL;
    size_t count = 0;
    enum status status =
        find_cases(checking->line, without_slash(checking->line, folder), DEPTH, &cases, &count, error);
    if (!status && count == 0)
        return error_set(error, STATUS_OUTSIDE, "there is no case.json in '%s' or the folders in it", folder);
    for (size_t i = 0; i < count && !status; i++) {
        progress_show("checking %zu of %zu: %.40s", i, count, cases[i]);
        status = check_case(checking, cases[i], error);
    }
    progress_end();
    return status;
}

/* ---- The command ---- */

/* Operands that are folders follow the first --reference: `--reference a b c`. */
static enum status check_operands(struct checking *checking, bool references, struct error *error)
{
    struct command_line *line = checking->line;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < line->operand_count && !status; i++)
        if (references && is_directory(line->operands[i]))
            status = check_folder(checking, line->operands[i], error);
        else
            status = check_named(checking, line->operands[i], error);
    return status;
}

static enum status run(struct command_line *line, struct error *error)
{
    struct checking checking = {.line = line, .report = {.arena = &line->arena}};
    size_t folder_count;
    const char *const *folders = command_texts(line, "reference", &folder_count);
    struct catalog *catalog;
    enum status status =
        command_catalog(line, &catalog, error); /* else each case would fail for want of it */
    for (size_t i = 0; i < folder_count && !status; i++)
        status = check_folder(&checking, folders[i], error);
    if (!status)
        status = check_operands(&checking, folder_count > 0, error);
    if (!status && folder_count == 0 && line->operand_count == 0)
        status = check_all(&checking, error);
    if (!status && line->json)
        status = check_report_json(&checking.report, error);
    else if (!status)
        check_report_text(&checking.report);
    return !status && checking.report.outcomes[CHECK_FAILED] ? STATUS_NO : status;
}

const struct command command_check = {
    .name = "check",
    .operands = "[KEY...]",
    .maximum = UNLIMITED,
    .completion = COMPLETE_VARIANT,
    .summary = "measure that variants do what they say",
    .about =
        "Measures properties of each variant's block and of its kernels alone, on random weights and inputs "
        "of odd "
        "sizes: shapes; finite outputs; causality against what is declared; the recurrent form against the "
        "parallel one; gradients against differences; the same bits for any number of threads; entries of a "
        "batch "
        "apart from each other; growth of time and state against what is declared. Without KEY all variants "
        "are "
        "checked and failures shown.\n\n"
        "With --reference the outputs and gradients of a published implementation, stored in a folder, are "
        "computed "
        "again with its weights, and the relative error of each tensor is printed. A folder is a case or "
        "holds "
        "cases; more folders may follow.\n\n"
        "The exit status is 1 unless all hold. clade-double does the same in double precision, with tighter "
        "limits.",
    .json =
        "{passed, failed, skipped, precision, results: [{variant, kernel, property, passed, skipped, detail, "
        "errors} or {variant, case, directory, passed, skipped, detail, errors: {TENSOR: error}}]}; kernel "
        "is null "
        "for the whole block; passed is true and skipped too for what does not apply",
    .options = OPTION_TABLE({.name = "reference",
                             .letter = 'r',
                             .type = VALUE_TEXT,
                             .value = "DIR",
                             .repeated = true,
                             .completion = COMPLETE_FOLDER,
                             .help = "compute the reference cases in this folder"},
                            {.name = "set",
                             .type = VALUE_TEXT,
                             .value = "NAME=VALUE",
                             .repeated = true,
                             .help = "check with this option of the kernels that have it, as heads=2"}),
    .examples = EXAMPLES({"clade check gla mamba", "All properties of two variants."},
                         {"clade check --reference golden/gla/a", "One case of the set gla."}),
    .run = run,
};
