/* What newick_parse() accepts is written and read back as the same tree, and can be rooted and compared. */
#include "lineage/compare.h"
#include "lineage/exchange.h"
#include "lineage/read.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *write_tree(const struct tree *tree, size_t *length)
{
    char *text = NULL;
    FILE *stream = open_memstream(&text, length);
    newick_print(tree, stream);
    fclose(stream);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct tree tree, again, rerooted;
    struct tree_comparison comparison;
    size_t length, again_length;
    if (newick_parse("input", (const char *)data, size, &arena, &tree, &error)) {
        if (error.status != STATUS_OUTSIDE || !error.message[0])
            BUG("a refusal without its line");
        arena_release(&arena);
        return 0;
    }
    char *text = write_tree(&tree, &length);
    if (newick_parse("output", text, length, &arena, &again, &error))
        BUG("what was written is refused: %s", error.message);
    char *again_text = write_tree(&again, &again_length);
    if (again.count != tree.count || length != again_length || memcmp(text, again_text, length) != 0)
        BUG("what was written reads as another tree");
    tree_reroot_at_middle(&tree, &arena, &rerooted);
    if (!tree_compare(&tree, &again, &comparison, &error) &&
        (comparison.robinson_foulds || comparison.differing))
        BUG("a tree differs from itself");
    free(text);
    free(again_text);
    arena_release(&arena);
    return 0;
}
