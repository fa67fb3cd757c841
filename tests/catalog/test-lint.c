#include "catalog/lint.h"
#include "fixture.h"

/* The findings as lines "rule: variant: message": the notes, or all others. */
static const char *lint_lines(struct fixture *fixture, bool notes)
{
    struct catalog *catalog = fixture_open(fixture);
    struct lint_finding *findings;
    size_t count;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_lint(catalog, &fixture->arena, &findings, &count, &error), STATUS_OK);
    const char *lines = "";
    for (size_t i = 0; i < count; i++)
        if ((findings[i].severity == LINT_NOTE) == notes)
            lines = arena_format(&fixture->arena, "%s%s: %s: %s\n", lines, findings[i].rule,
                                 findings[i].variant ? findings[i].variant : "-", findings[i].message);
    catalog_close(catalog);
    return lines;
}

static const char *lint(struct fixture *fixture)
{
    return lint_lines(fixture, false);
}

#define USUAL                                                                                           \
    "unexplained-parent: survey: nothing says what it changed from parent 'retnet'\n"                   \
    "orphan: pulse: has neither parents nor children\n"                                                 \
    "no-source: pulse: has no id of arXiv, DOI, ACL or Semantic Scholar, no code, and no link in its "  \
    "references\n"                                                                                      \
    "no-source: samba: has no id of arXiv, DOI, ACL or Semantic Scholar, no code, and no link in its "  \
    "references\n"                                                                                      \
    "no-source: survey: has no id of arXiv, DOI, ACL or Semantic Scholar, no code, and no link in its " \
    "references\n"                                                                                      \
    "no-reference: pulse: has seed rows but no reference\n"                                             \
    "no-reference: survey: has seed rows but no reference\n"                                            \
    "incomplete: pulse: lacks name, title, date, kind, family, summary, authors\n"                      \
    "incomplete: samba: lacks summary\n"

static void the_small_catalogue_has_the_usual_findings(void **state)
{
    assert_string_equal(lint(*state), USUAL);
}

static void dates_are_compared_as_far_as_known(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/retnet.json", "2023-07-17", "2023-12"); /* the same month as its child */
    assert_null(strstr(lint(fixture), "younger"));
    fixture_edit(fixture, "variants/retnet.json", "\"2023-12\"", "\"2023-12-12\"");
    assert_non_null(strstr(lint(fixture),
                           "younger-parent: gla: parent 'retnet' (2023-12-12) is younger than it "
                           "(2023-12-11)\n"));
    fixture_edit(fixture, "variants/gla.json", "\"the fixed decay becomes a gate\"",
                 "\"the fixed decay becomes a gate\", \"exception\": \"concurrent\"");
    assert_null(strstr(lint(fixture), "younger"));
    fixture_edit(fixture, "variants/retnet.json", "2023-12-12", "2023-12-11");
    assert_non_null(strstr(lint(fixture),
                           "needless-exception: gla: parent 'retnet' has an exception but is not younger\n"));
}

static void dates_ids_and_titles_are_compared(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/gla.json", "2312.06635", "2311.06635");
    assert_non_null(
        strstr(lint(fixture), "date-after-arxiv: gla: date 2023-12-11 is after arXiv 2311.06635\n"));
    fixture_edit(fixture, "variants/gla.json", "\"year\": 2024", "\"year\": 2022");
    assert_non_null(strstr(lint(fixture), "year-before-date: gla: year 2022 is before date 2023-12-11\n"));
    fixture_edit(fixture, "variants/survey.json", "A survey of decays", "Attention is all you need");
    assert_non_null(strstr(lint(fixture), "same-title: transformer: has the title of 'survey'\n"));
    fixture_edit(fixture, "variants/transformer.json", "Attention alone",
                 "In attention is all you need, attention alone");
    assert_non_null(strstr(lint(fixture), "title-as-summary: transformer: the summary repeats the title\n"));
}

static void a_link_in_a_reference_is_a_source(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(
        fixture, "variants/pulse.json", "\"references\": []",
        "\"references\": [{\"source\": \"paper\", \"sections\": \"https://example.org/pulse, section 2\"}]");
    const char *lines = lint(fixture);
    assert_null(strstr(lines, "no-source: pulse"));
    assert_non_null(strstr(lines, "no-source: samba"));
}

static void kernels_and_entries_are_compared(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/samba.json", "\"planned\": \"local-attention\"",
                 "\"planned\": \"attention\"");
    assert_non_null(
        strstr(lint(fixture), "written-kernel: samba: kernel 'attention' is planned but written\n"));
    fixture_edit(fixture, "variants/retnet.json", "\"kernel\": \"retention\"", "\"kernel\": \"attention\"");
    const char *lines = lint(fixture);
    assert_non_null(strstr(lines, "unused-kernel: -: kernel 'retention' is in no composition\n"));
    assert_non_null(
        strstr(lines, "origin-without-kernel: retnet: kernel 'retention' is said to come from it, but its "
                      "composition lacks it\n"));
}

/* gla's composition leaves retention, but a reference of it is held against it. */
static void a_form_of_a_reference_counts_as_used(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/retnet.json", "\"kernel\": \"retention\"", "\"kernel\": \"attention\"");
    fixture_edit(fixture, "variants/gla.json", "\"conv\": 0", "\"mixer\": {\"kernel\": \"retention\"}");
    const char *lines = lint(fixture);
    assert_null(strstr(lines, "unused-kernel"));
    assert_non_null(strstr(lines, "origin-without-kernel: retnet")); /* the reference is another variant's */
    fixture_edit(
        fixture, "variants/retnet.json", "\"references\": [",
        "\"references\": [{\"source\": \"a\", \"fixed\": {\"mixer\": {\"kernel\": \"retention\"}}},");
    assert_null(strstr(lint(fixture), "origin-without-kernel"));
}

static void a_component_has_no_mixer_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/transformer.json", "\"kind\": \"block\"", "\"kind\": \"component\"");
    assert_null(strstr(lint(fixture), "component-with-mixer"));
    fixture_edit(fixture, "variants/retnet.json", "\"kind\": \"block\"", "\"kind\": \"component\"");
    assert_non_null(strstr(lint(fixture), "component-with-mixer: retnet: is a component, but its mixer "
                                          "'retention' makes it a block\n"));
}

static void notes_say_what_is_left_to_do(void **state)
{
    struct fixture *fixture = *state;
    const char *notes = lint_lines(fixture, true);
    assert_non_null(
        strstr(notes, "planned-kernel: -: kernel 'local-attention' is not written; planned by samba\n"));
    assert_non_null(
        strstr(notes, "not-runnable: samba: does not run: lacks summary, kernel local-attention"));
    assert_null(strstr(notes, "not-runnable: gla"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(the_small_catalogue_has_the_usual_findings),
        WITH_FIXTURE(dates_are_compared_as_far_as_known),
        WITH_FIXTURE(dates_ids_and_titles_are_compared),
        WITH_FIXTURE(a_link_in_a_reference_is_a_source),
        WITH_FIXTURE(kernels_and_entries_are_compared),
        WITH_FIXTURE(a_form_of_a_reference_counts_as_used),
        WITH_FIXTURE(a_component_has_no_mixer_of_its_own),
        WITH_FIXTURE(notes_say_what_is_left_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
