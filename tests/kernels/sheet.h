/* sheet.h: sequences of a task, read by a test. */
#ifndef CLADE_TESTS_KERNELS_SHEET_H
#define CLADE_TESTS_KERNELS_SHEET_H

#include "block/registry.h"
#include "block/task.h"
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { SEQUENCES = 50, LONGEST = 256, SEED = 7 };

/* A task, and the tokens and answers of its sequences. */
struct sheet {
    struct settings task;
    int64_t length;
    struct task_sizes sizes;
    real ids[SEQUENCES][LONGEST], targets[SEQUENCES][LONGEST];
};
static struct sheet sheet;

static void set_options(struct settings *task, const char *options)
{
    char text[200], *rest = text;
    struct error error = ERROR_INIT;
    snprintf(text, sizeof text, "%s", options);
    for (char *each; (each = strsep(&rest, " ")) && *each;) {
        char *value = strchr(each, '=');
        *value++ = '\0';
        if (settings_set_text(task, each, value, &error))
            fail_msg("%s", error.message);
    }
}

/* Fills the sheet of a task with "length=16 pairs=2" and checks what holds for all. */
static void fill(const char *name, const char *options)
{
    struct error error = ERROR_INIT;
    real ids[SEQUENCES * LONGEST], targets[SEQUENCES * LONGEST];
    settings_init(&sheet.task, registry_find(name));
    set_options(&sheet.task, options);
    if (task_validate(&sheet.task, &error))
        fail_msg("%s", error.message);
    sheet.length = task_length(&sheet.task);
    sheet.sizes = task_sizes(&sheet.task);
    assert_in_range(sheet.length, 1, LONGEST);
    memset(ids, 0xff, sizeof ids); /* every token must be written */
    task_fill(&sheet.task, SEED, 0, SEQUENCES, ids, targets);
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t asked = 0;
        for (int64_t t = 0; t < sheet.length; t++) {
            real id = ids[i * sheet.length + t], target = targets[i * sheet.length + t];
            assert_true(id >= 0 && id < (real)sheet.sizes.vocabulary && id == (real)(int64_t)id);
            assert_true(target >= -1 && target < (real)sheet.sizes.vocabulary &&
                        target == (real)(int64_t)target);
            asked += target >= 0;
            sheet.ids[i][t] = id;
            sheet.targets[i][t] = target;
        }
        assert_in_range(asked, 1, sheet.sizes.questions);
    }
}

static int release(void **state)
{
    (void)state;
    settings_release(&sheet.task);
    return 0;
}

static int64_t at(int64_t i, int64_t t)
{
    return (int64_t)sheet.ids[i][t];
}

static int64_t asked(int64_t i, int64_t t)
{
    return (int64_t)sheet.targets[i][t];
}

#endif
