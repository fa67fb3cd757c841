/* What target_parse() accepts is a path below the root: parts that lead nowhere else, in valid text. */
#include "base/error.h"
#include "base/text.h"
#include "server/target.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (utf8_prefix(text, strlen(text)) != strlen(text))
        BUG("broken UTF-8");
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            BUG("a control character");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct target target;
    if (target_parse((const char *)data, size, &arena, &target) == NULL) {
        for (size_t i = 0; i < target.segment_count; i++) {
            const char *segment = target.segments[i];
            check_text(segment);
            if (!*segment || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 || strchr(segment, '/'))
                BUG("a part that leads elsewhere");
        }
        for (size_t i = 0; i < target.field_count; i++) {
            check_text(target.fields[i].name);
            check_text(target.fields[i].value);
            if (target_field(&target, target.fields[i].name) != target.fields[i].value)
                BUG("a name twice");
        }
    }
    arena_release(&arena);
    return 0;
}
