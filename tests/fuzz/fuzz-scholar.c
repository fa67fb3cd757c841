/* Whatever the service answers, as any of its answers: what is read holds what answer.h promises. */
#include "base/text.h"
#include "catalog/catalog.h"
#include "scholar/answer.h"
#include "scholar/mend.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAPERS = 3 };

static void check_refusal(const struct error *error)
{
    if (error->status != STATUS_OUTSIDE || strncmp(error->message, "input", 5) != 0 ||
        strchr(error->message, '\n'))
        BUG("a refusal without its line: '%s'", error->message);
}

static void check_text(const char *text)
{
    if (text && (!*text || utf8_prefix(text, strlen(text)) != strlen(text)))
        BUG("a text that is empty or no UTF-8");
}

static void check_paper(const struct scholar_paper *paper)
{
    if (paper->id && !scholar_id_valid(paper->id))
        BUG("an id that cannot stand in a path: '%s'", paper->id);
    if (paper->year < 0 || paper->year > 3000 || paper->reference_count < -1 || paper->citation_count < -1)
        BUG("a number out of its range");
    check_text(paper->title);
    check_text(paper->author);
    check_text(paper->arxiv);
    check_text(paper->doi);
    check_text(paper->acl);
}

static void check_page(const struct reference_page *page, int64_t offset)
{
    if (page->next != -1 && page->next <= offset)
        BUG("a next page that is not ahead");
    if (page->withheld && (page->count || page->next != -1))
        BUG("a withheld list with references");
    for (size_t i = 0; i < page->count; i++) {
        const struct scholar_reference *reference = &page->references[i];
        check_paper(&reference->paper);
        if (reference->intents > (INTENT_METHODOLOGY | INTENT_BACKGROUND | INTENT_RESULT) ||
            reference->influential < -1 || reference->influential > 1 || reference->contexts < -1)
            BUG("a reference out of its range");
    }
}

/* Mending is for once: mended again, it stays. */
static void check_mend(const char *body, size_t size)
{
    struct text once, twice;
    text_init(&once, 1 << 24);
    text_init(&twice, 1 << 24);
    json_mend(body, size, &once);
    json_mend(text_string(&once), once.length, &twice);
    if (once.length != twice.length || memcmp(text_string(&once), text_string(&twice), once.length) != 0)
        BUG("what was mended is mended again");
    text_release(&once);
    text_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *body = (const char *)data;
    struct arena arena = ARENA_INIT;
    struct scholar_paper papers[PAPERS], match;
    for (size_t count = 1; count <= PAPERS; count++) {
        struct error error = ERROR_INIT;
        if (answer_batch("input", body, size, count, &arena, papers, &error))
            check_refusal(&error);
        else
            for (size_t i = 0; i < count; i++)
                check_paper(&papers[i]);
    }
    for (int64_t offset = 0; offset <= 3; offset += 3) {
        struct reference_page page;
        struct error error = ERROR_INIT;
        if (answer_references("input", body, size, offset, &arena, &page, &error))
            check_refusal(&error);
        else
            check_page(&page, offset);
    }
    struct error error = ERROR_INIT;
    if (answer_match("input", body, size, &arena, &match, &error))
        check_refusal(&error);
    else
        check_paper(&match);
    const char *message = answer_message(body, size, &arena);
    if (message && (strlen(message) > 300 || strchr(message, '\n')))
        BUG("a message that is no line");
    check_mend(body, size);
    arena_release(&arena);
    return 0;
}
