/* What nexus_parse() accepts is written as NEXUS and read back with the same names; what was read back is
 * written and read as the same tree. */
#include "lineage/exchange.h"
#include "lineage/read.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_names(const struct tree *tree)
{
    size_t count = 0;
    for (size_t i = 0; i < tree->count; i++)
        count += tree->nodes[i].name != NULL;
    return count;
}

/* Writes the tree and reads it back. */
static void pass_through(const struct tree *tree, struct arena *arena, struct tree *again)
{
    struct lineage_document document = {"tree", tree, NULL, NULL};
    struct error error = ERROR_INIT;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    nexus_print(&document, stream);
    fclose(stream);
    if (nexus_parse("output", text, length, arena, again, &error))
        BUG("what was written is refused: %s", error.message);
    free(text);
}

static char *newick_of(const struct tree *tree)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    newick_print(tree, stream);
    fclose(stream);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct tree tree, again, third;
    if (nexus_parse("input", (const char *)data, size, &arena, &tree, &error)) {
        if (error.status != STATUS_OUTSIDE || !error.message[0])
            BUG("a refusal without its line");
        arena_release(&arena);
        return 0;
    }
    pass_through(&tree, &arena, &again);
    pass_through(&again, &arena, &third);
    if (count_names(&again) != count_names(&tree))
        BUG("names were lost");
    char *before = newick_of(&again), *after = newick_of(&third);
    if (strcmp(before, after) != 0)
        BUG("what was written reads as another tree");
    free(before);
    free(after);
    arena_release(&arena);
    return 0;
}
