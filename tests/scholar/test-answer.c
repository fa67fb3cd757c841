/* Answers: what they say, what may be missing from them, and what is none. */
#include "base/text.h"
#include "fixture.h"
#include "scholar/answer.h"
#include "scholar/mend.h"

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    arena_release(&fixture->arena);
    free(fixture);
    return 0;
}
#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static struct reference_page page_of(struct fixture *fixture, const char *body, size_t length, int64_t offset)
{
    struct reference_page page;
    struct error error = ERROR_INIT;
    enum status status = answer_references("page", body, length, offset, &fixture->arena, &page, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    return page;
}

static struct reference_page page_from(struct fixture *fixture, const char *file, int64_t offset)
{
    size_t length;
    const char *body = fixture_data(fixture, file, &length);
    return page_of(fixture, body, length, offset);
}

static void refused(struct fixture *fixture, const char *body, const char *message)
{
    struct reference_page page;
    struct error error = ERROR_INIT;
    enum status status = answer_references("page", body, strlen(body), 0, &fixture->arena, &page, &error);
    assert_int_equal(status, STATUS_OUTSIDE);
    if (message)
        assert_string_equal(error.message, message);
    assert_null(strchr(error.message, '\n'));
}

static void a_page_has_references_with_intents_influence_and_contexts(void **state)
{
    struct reference_page page = page_from(*state, "references-first.json", 0);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.next, 3);
    assert_false(page.withheld);
    const struct scholar_reference *first = &page.references[0];
    assert_string_equal(first->paper.id, "204e3073870fae3d05bcbc2f6a8e263d9b72e776");
    assert_string_equal(first->paper.title, "Attention is All you Need");
    assert_string_equal(first->paper.arxiv, "1706.03762");
    assert_int_equal(first->paper.year, 2017);
    assert_int_equal(first->intents, INTENT_METHODOLOGY | INTENT_BACKGROUND);
    assert_int_equal(first->influential, 1);
    assert_int_equal(first->contexts, 3);
    assert_int_equal(page.references[1].intents, INTENT_RESULT);
    assert_int_equal(page.references[1].influential, 0);
    assert_int_equal(page.references[2].intents, 0);
    assert_int_equal(page.references[2].contexts, 0);
}

static void ids_are_in_lower_case(void **state)
{
    struct reference_page page = page_from(*state, "references-first.json", 0);
    assert_string_equal(page.references[1].paper.id, "ac2618b2ce5cdcf86f9371bcca98bc5e37e46f51");
}

static void the_last_page_has_no_next(void **state)
{
    struct reference_page page = page_from(*state, "references-last.json", 3);
    assert_int_equal(page.next, -1);
    assert_int_equal(page.count, 2);
}

static void works_without_a_record_have_no_id(void **state)
{
    struct reference_page page = page_from(*state, "references-odd.json", 0);
    assert_int_equal(page.count, 7);
    assert_null(page.references[0].paper.id);
    assert_null(page.references[1].paper.id);
    assert_null(page.references[1].paper.title);
    assert_int_equal(page.references[6].contexts, -1);
    assert_int_equal(page.references[6].influential, -1);
    assert_int_equal(page.references[6].intents, 0);
}

static void a_withheld_list_is_not_an_empty_one(void **state)
{
    assert_true(page_from(*state, "references-withheld.json", 0).withheld);
    struct reference_page page = page_from(*state, "references-empty.json", 0);
    assert_false(page.withheld);
    assert_int_equal(page.count, 0);
}

static void the_next_page_lies_ahead(void **state)
{
    static const char *const wrong[] = {"0",     "5",    "-1", "5.5", "1e300",
                                        "\"6\"", "true", "[]", "{}",  "10000001"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct reference_page page;
        struct error error = ERROR_INIT;
        const char *body =
            arena_format(&fixture->arena, "{\"offset\": 5, \"next\": %s, \"data\": []}", wrong[i]);
        assert_int_equal(answer_references("page", body, strlen(body), 5, &fixture->arena, &page, &error),
                         STATUS_OUTSIDE);
        assert_memory_equal(error.message, "page: next: ", 12);
    }
    assert_int_equal(page_of(fixture, "{\"next\": 6, \"data\": []}", 23, 5).next, 6);
    assert_int_equal(page_of(fixture, "{\"next\": null, \"data\": []}", 26, 5).next, -1);
}

static struct scholar_paper *batch_from(struct fixture *fixture, const char *file, size_t count)
{
    size_t length;
    const char *body = fixture_data(fixture, file, &length);
    struct scholar_paper *papers = arena_allocate(&fixture->arena, count * sizeof *papers);
    struct error error = ERROR_INIT;
    enum status status = answer_batch("batch", body, length, count, &fixture->arena, papers, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    return papers;
}

static void a_batch_keeps_the_places_of_its_ids(void **state)
{
    struct scholar_paper *papers = batch_from(*state, "batch-null.json", 3);
    assert_string_equal(papers[0].id, "c4744a7c2bb298e4a52289a1e085c71cc3d37bc6");
    assert_string_equal(papers[0].author, "Zihang Dai");
    assert_string_equal(papers[0].doi, "10.18653/v1/P19-1285");
    assert_string_equal(papers[0].acl, "P19-1285");
    assert_int_equal(papers[0].reference_count, 75);
    assert_int_equal(papers[0].citation_count, 4000);
    assert_null(papers[1].id);
    assert_string_equal(papers[2].id, "f51497f463566581874c941353dd9d80069c5b77");
    assert_null(papers[2].title);
    assert_null(papers[2].author);
    assert_int_equal(papers[2].year, 0);
    assert_int_equal(papers[2].reference_count, -1);
}

static void a_batch_of_another_length_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t length;
    const char *body = fixture_data(fixture, "batch-null.json", &length);
    struct scholar_paper papers[4];
    struct error error = ERROR_INIT;
    for (size_t count = 1; count <= 4; count++)
        if (count != 3)
            assert_int_equal(answer_batch("batch", body, length, count, &fixture->arena, papers, &error),
                             STATUS_OUTSIDE);
    assert_string_equal(error.message, "batch: expected 4 papers, found 3");
}

static void ids_past_2_53_do_not_spoil_an_answer(void **state)
{
    struct scholar_paper *papers = batch_from(*state, "batch-large-id.json", 1);
    assert_string_equal(papers[0].id, "0000000000000000000000000000000000000001");
    assert_int_equal(papers[0].year, 0);
    assert_int_equal(papers[0].reference_count, 0);
}

static void titles_may_have_any_character(void **state)
{
    struct scholar_paper *papers = batch_from(*state, "batch-unicode.json", 6);
    assert_string_equal(papers[0].title,
                        "On the Dangers of Stochastic Parrots: Can Language Models Be Too Big? "
                        "\xf0\x9f\xa6\x9c");
    assert_string_equal(papers[1].title, "\xe2\x88\x9e-former: Infinite Memory Transformer");
    assert_non_null(strstr(papers[5].title, "\xc2\x93"
                                            "C1\xc2\x94"));
}

static void a_match_is_one_paper_or_none(void **state)
{
    struct fixture *fixture = *state;
    struct scholar_paper paper;
    struct error error = ERROR_INIT;
    size_t length;
    const char *body = fixture_data(fixture, "match.json", &length);
    assert_int_equal(answer_match("match", body, length, &fixture->arena, &paper, &error), STATUS_OK);
    assert_string_equal(paper.id, "00000000000000000000000000000000000000c0");
    assert_string_equal(paper.author, "P. Wang");
    assert_int_equal(answer_match("match", "{\"data\": []}", 12, &fixture->arena, &paper, &error), STATUS_OK);
    assert_null(paper.id);
    assert_int_equal(answer_match("match", "{\"data\": [1]}", 13, &fixture->arena, &paper, &error),
                     STATUS_OUTSIDE);
    assert_int_equal(answer_match("match", "{}", 2, &fixture->arena, &paper, &error), STATUS_OUTSIDE);
}

/* Whatever stands in the place of a value: the page is refused, or the value is not believed. */
static void any_value_may_be_of_any_type(void **state)
{
    static const char *const names[] = {"paperId",  "externalIds", "title",         "year",
                                        "contexts", "intents",     "isInfluential", "citedPaper",
                                        "ArXiv",    "data",        "offset",        "citingPaperInfo"};
    static const char *const values[] = {"null", "true",          "-7", "1.5e300",     "\"\"", "\"text\"",
                                         "[]",   "[null, 3, {}]", "{}", "{\"a\": [1]}"};
    struct fixture *fixture = *state;
    size_t read = 0, length;
    const char *body = fixture_data(fixture, "references-first.json", &length);
    cJSON *original = cJSON_ParseWithLength(body, length);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            cJSON *document = cJSON_Duplicate(original, true);
            cJSON *edge = cJSON_GetObjectItem(document, "data")->child;
            cJSON *paper = cJSON_GetObjectItem(edge, "citedPaper");
            cJSON *places[] = {document, edge, paper, cJSON_GetObjectItem(paper, "externalIds")};
            for (size_t k = 0; k < 4; k++)
                if (cJSON_HasObjectItem(places[k], names[i])) {
                    cJSON_ReplaceItemInObject(places[k], names[i], cJSON_CreateRaw(values[j]));
                    break;
                }
            char *changed = cJSON_PrintUnformatted(document);
            struct reference_page page;
            struct error error = ERROR_INIT;
            if (answer_references("page", changed, strlen(changed), 0, &fixture->arena, &page, &error)) {
                assert_memory_equal(error.message, "page: ", 6);
            } else if (page.count) {
                const struct scholar_reference *first = &page.references[0];
                assert_true(first->influential >= -1 && first->influential <= 1);
                assert_true(first->contexts >= -1 && first->intents <= 7);
                assert_true(first->paper.year == 0 || first->paper.year == 2017);
                assert_true(!first->paper.id || strlen(first->paper.id) > 0);
                read++;
            }
            free(changed);
            cJSON_Delete(document);
        }
    cJSON_Delete(original);
    assert_true(read > 60);
}

static void a_body_cut_anywhere_is_refused(void **state)
{
    static const char *const files[] = {"references-first.json", "references-odd.json",
                                        "references-withheld.json"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t length;
        const char *body = fixture_data(fixture, files[i], &length);
        for (size_t cut = 0; cut + 1 < length; cut++) {
            struct reference_page page;
            struct error error = ERROR_INIT;
            assert_int_equal(answer_references("page", body, cut, 0, &fixture->arena, &page, &error),
                             STATUS_OUTSIDE);
        }
        assert_int_equal(page_of(fixture, body, length - 1, 0).withheld, i == 2); /* without the line's end */
    }
}

static void what_is_no_answer_is_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t length;
    refused(fixture, fixture_data(fixture, "error-503.html", &length),
            "page:1:1: expected a value, found '<'");
    refused(fixture, "", "page:1:1: expected a value, found the end");
    refused(fixture, "null", "page: expected an object, found null");
    refused(fixture, "[]", "page: expected an object, found an array");
    refused(fixture, "{}", "page: data: expected an array, found nothing");
    refused(fixture, "{\"error\": \"no\"}", "page: data: expected an array, found nothing");
    refused(fixture, "{\"data\": [7]}", "page: data: expected rows with a 'citedPaper'");
    refused(fixture, "{\"data\": [], \"data\": []}", NULL);
    refused(fixture, "{\"data\": []} trailing", NULL);
    refused(fixture, "{\"data\": \"\xff\"}", NULL);
}

static void nesting_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    char *body = arena_allocate(&fixture->arena, 200001);
    memset(body, '[', 200000);
    refused(fixture, body, NULL);
}

static void a_failure_has_its_reason(void **state)
{
    struct fixture *fixture = *state;
    struct arena *arena = &fixture->arena;
    assert_string_equal(answer_message("{\"error\":\"no\"}\n", 15, arena), "no");
    assert_string_equal(answer_message("{\"message\": \"a\\u0007\\nb\"}", 25, arena), "a  b");
    assert_null(answer_message("{\"message\": 7}", 14, arena));
    assert_null(answer_message("<html>", 6, arena));
    assert_null(answer_message("[1]", 3, arena));
    char *body = arena_format(arena, "{\"error\": \"%1000d\"}", 7);
    assert_true(strlen(answer_message(body, strlen(body), arena)) <= 300);
}

static void ids_that_would_change_a_url_are_none(void **state)
{
    static const char *const wrong[] = {"",    ".",    "..",   "a/b",  "a?b", "a#b",
                                        "a b", "a%2f", "\x80", "a\nb", "a\"b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(scholar_id_valid(wrong[i]));
    assert_true(scholar_id_valid("204e3073870fae3d05bcbc2f6a8e263d9b72e776"));
}

static void mends(struct fixture *fixture, const char *json, const char *expected)
{
    struct text text;
    text_init(&text, 1 << 16);
    json_mend(json, strlen(json), &text);
    assert_string_equal(text_string(&text), expected);
    text_release(&text);
}

static void what_strict_json_has_no_place_for_is_mended(void **state)
{
    struct fixture *fixture = *state;
    mends(fixture, "[\"a\\u0000b\"]", "[\"a\\ufffdb\"]");
    mends(fixture, "[\"\\ud83e\\udd9c\"]", "[\"\\ud83e\\udd9c\"]");
    mends(fixture, "[\"\\ud83e\"]", "[\"\\ufffd\"]");
    mends(fixture, "[\"\\udd9c\\ud83e\"]", "[\"\\ufffd\\ufffd\"]");
    mends(fixture, "[\"\\ud83e\\ud83e\\udd9c\"]", "[\"\\ufffd\\ud83e\\udd9c\"]");
    mends(fixture, "[\"\\\\u0000\"]", "[\"\\\\u0000\"]");
    mends(fixture, "[\"9007199254740993\"]", "[\"9007199254740993\"]");
    mends(fixture, "[9007199254740993, -9007199254740993]", "[\"9007199254740993\", \"-9007199254740993\"]");
    mends(fixture, "[123456789012345, 1234567890123456.5]", "[123456789012345, 1234567890123456.5]");
}

static void what_is_broken_stays_broken(void **state)
{
    static const char *const broken[] = {"\"",
                                         "\"\\",
                                         "\"\\u",
                                         "\"\\u12",
                                         "[\"a",
                                         "\"\\ud83e\\",
                                         "\"\\ud83e\\u12\"",
                                         "-",
                                         "00000000000000000001",
                                         "1e",
                                         "",
                                         "\"\\x\"",
                                         "{\"a\\"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        if (!strstr(broken[i], "ud83e"))
            mends(fixture, broken[i], broken[i]);
    mends(fixture, "\"\\ud83e\\", "\"\\ufffd\\");
    mends(fixture, "\"\\ud83e\\u12\"", "\"\\ufffd\\u12\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(a_page_has_references_with_intents_influence_and_contexts),
        WITH_ARENA(ids_are_in_lower_case),
        WITH_ARENA(the_last_page_has_no_next),
        WITH_ARENA(works_without_a_record_have_no_id),
        WITH_ARENA(a_withheld_list_is_not_an_empty_one),
        WITH_ARENA(the_next_page_lies_ahead),
        WITH_ARENA(a_batch_keeps_the_places_of_its_ids),
        WITH_ARENA(a_batch_of_another_length_is_refused),
        WITH_ARENA(ids_past_2_53_do_not_spoil_an_answer),
        WITH_ARENA(titles_may_have_any_character),
        WITH_ARENA(a_match_is_one_paper_or_none),
        WITH_ARENA(any_value_may_be_of_any_type),
        WITH_ARENA(a_body_cut_anywhere_is_refused),
        WITH_ARENA(what_is_no_answer_is_refused),
        WITH_ARENA(nesting_is_bounded),
        WITH_ARENA(a_failure_has_its_reason),
        WITH_ARENA(ids_that_would_change_a_url_are_none),
        WITH_ARENA(what_strict_json_has_no_place_for_is_mended),
        WITH_ARENA(what_is_broken_stays_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
