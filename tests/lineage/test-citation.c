#include "lineage/arborescence.h"
#include "lineage/citation.h"
#include "trees.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Links "child>parent", with "!" behind those that use the parent's method. Nodes are the letters a, b, c
 * ... */
static struct node_link *links_of(const char *text, size_t *count)
{
    struct node_link *links = NULL;
    *count = 0;
    for (const char *c = text; *c;) {
        struct node_link link = {(uint32_t)(c[0] - 'a'), (uint32_t)(c[2] - 'a'), 0, -1, -1};
        assert_int_equal(c[1], '>');
        c += 3;
        if (*c == '!') {
            link.intents = INTENT_METHODOLOGY;
            c++;
        }
        c += strspn(c, " ");
        links = arena_extend(&trees, links, *count, sizeof link);
        links[(*count)++] = link;
    }
    return links;
}

static struct citation_evidence infer(const char *const *dates, size_t nodes, const char *text)
{
    struct citation_evidence evidence;
    size_t count;
    struct node_link *links = links_of(text, &count);
    citation_infer(dates, nodes, links, count, &trees, &evidence);
    return evidence;
}

/* The parent of each node as a letter, '-' at a root. */
static const char *parents_of(const struct citation_evidence *evidence, size_t nodes)
{
    char *text = arena_allocate(&trees, nodes + 1);
    for (size_t i = 0; i < nodes; i++)
        text[i] = evidence->chosen[i] == NETWORK_NONE
                      ? '-'
                      : (char)('a' + evidence->candidates[evidence->chosen[i]].parent);
    return text;
}

static const char *const years[] = {"2000", "2001", "2002", "2003", "2004", "2005", "2006", "2007"};

static void a_single_citation_is_the_parent(void **state)
{
    struct citation_evidence evidence = infer(years, 3, "b>a c>b");
    assert_string_equal(parents_of(&evidence, 3), "-ab");
    assert_true(isnan(evidence.margin[0]));
    assert_float_equal(evidence.margin[1], 1, 1e-12);
}

static void a_parent_is_never_younger(void **state)
{
    struct citation_evidence evidence = infer(years, 3, "a>c b>c! b>a c>b");
    assert_string_equal(parents_of(&evidence, 3), "-ab");
    assert_int_equal(evidence.candidate_count, 2);
}

/* Dates that are equal as far as they go allow both directions: the heavier choice wins, without a circle. */
static void equal_dates_do_not_make_a_circle(void **state)
{
    const char *const dates[] = {"2001", "2001-05", "2001", NULL};
    struct citation_evidence evidence = infer(dates, 4, "a>b b>c c>a! d>a a>d");
    size_t roots = 0;
    for (size_t i = 0; i < 4; i++) {
        size_t steps = 0;
        for (size_t at = i; evidence.chosen[at] != NETWORK_NONE && steps < 9; steps++)
            at = evidence.candidates[evidence.chosen[at]].parent;
        assert_true(steps < 4);
        roots += evidence.chosen[i] == NETWORK_NONE;
    }
    assert_int_equal(roots, 1);
}

static void a_method_that_is_used_speaks_for_its_paper(void **state)
{
    struct citation_evidence plain = infer(years, 3, "c>a c>b"), method = infer(years, 3, "c>a c>b!");
    assert_string_equal(parents_of(&plain, 3), "--a"); /* equal weights: the first */
    assert_string_equal(parents_of(&method, 3), "--b");
    assert_float_equal(plain.margin[2], 0, 1e-12);
    assert_float_equal(method.margin[2], 1.0 / 2, 1e-12);
}

static void influence_and_sentences_add_weight(void **state)
{
    struct node_link links[] = {{2, 0, 0, -1, 9}, {2, 1, 0, 1, 4}};
    struct citation_evidence evidence;
    citation_infer(years, 3, links, 2, &trees, &evidence);
    assert_string_equal(parents_of(&evidence, 3), "--b"); /* 2 * sqrt(4) against sqrt(9) */
    assert_float_equal(evidence.candidates[evidence.chosen[2]].share, 4.0 / 7, 1e-12);
    links[1].influential = 0;
    citation_infer(years, 3, links, 2, &trees, &evidence);
    assert_string_equal(parents_of(&evidence, 3), "--a");
}

/* e and f cite c together with b, never with a. */
static void later_papers_name_the_child_with_its_parent(void **state)
{
    struct citation_evidence evidence = infer(years, 8, "c>a c>b e>c e>b f>c f>b g>a h>a");
    assert_int_equal(parents_of(&evidence, 8)[2], 'b');
    assert_int_equal(evidence.citing[2], 2);
    size_t first = evidence.first[2];
    assert_int_equal(evidence.candidates[first].parent, 1);
    assert_int_equal(evidence.candidates[first].later, 2);
    assert_int_equal(evidence.candidates[first + 1].later, 0);
}

/* The evidence of e is spread over b, c and d, which all cite a: together they speak for a more than for
 * each. */
static void spread_evidence_meets_at_the_ancestor(void **state)
{
    struct citation_evidence evidence = infer(years, 5, "b>a! c>a! d>a! e>a e>b e>c e>d");
    assert_string_equal(parents_of(&evidence, 5), "-aaaa");
}

static void shuffled_and_doubled_links_change_nothing(void **state)
{
    enum { NODES = 40, LINKS = 300 };
    const char *dates[NODES];
    struct node_link links[2 * LINKS];
    uint64_t seed = 11;
    for (size_t i = 0; i < NODES; i++)
        dates[i] = arena_format(&trees, "%zu", 2000 + i / 3);
    for (size_t i = 0; i < LINKS; i++)
        links[i] = (struct node_link){(uint32_t)chance_below(&seed, NODES),
                                      (uint32_t)chance_below(&seed, NODES), INTENT_METHODOLOGY, -1, 3};
    struct citation_evidence before, after;
    citation_infer(dates, NODES, links, LINKS, &trees, &before);
    for (size_t i = 0; i < LINKS; i++)
        links[LINKS + i] = links[i];
    for (size_t i = 2 * LINKS; i > 1; i--) {
        size_t other = chance_below(&seed, i);
        struct node_link link = links[other];
        links[other] = links[i - 1];
        links[i - 1] = link;
    }
    citation_infer(dates, NODES, links, 2 * LINKS, &trees, &after);
    assert_string_equal(parents_of(&before, NODES), parents_of(&after, NODES));
    for (size_t i = 0; i < NODES; i++)
        assert_true(before.margin[i] == after.margin[i] || isnan(before.margin[i]));
    assert_int_equal(before.candidate_count, after.candidate_count);
}

/* Every edge stands in the input and respects dates; shares of a child's evidence sum to 1. */
static void the_forest_is_part_of_the_citations(void **state)
{
    enum { NODES = 60, LINKS = 500 };
    const char *dates[NODES];
    struct node_link links[LINKS];
    bool cites[NODES][NODES] = {{false}};
    uint64_t seed = 13;
    for (size_t i = 0; i < NODES; i++)
        dates[i] =
            arena_format(&trees, "%zu-%02zu", 2000 + chance_below(&seed, 6), 1 + chance_below(&seed, 12));
    for (size_t i = 0; i < LINKS; i++) {
        links[i] = (struct node_link){(uint32_t)chance_below(&seed, NODES),
                                      (uint32_t)chance_below(&seed, NODES), (unsigned)chance_below(&seed, 8),
                                      (int)chance_below(&seed, 3) - 1, (int)chance_below(&seed, 9) - 1};
        cites[links[i].citing][links[i].cited] = true;
    }
    struct citation_evidence evidence;
    citation_infer(dates, NODES, links, LINKS, &trees, &evidence);
    for (size_t i = 0; i < NODES; i++) {
        double sum = 0;
        for (size_t j = evidence.first[i]; j < evidence.first[i + 1]; j++) {
            const struct parent_candidate *candidate = &evidence.candidates[j];
            assert_int_equal(candidate->child, i);
            assert_true(cites[i][candidate->parent]);
            assert_true(strcmp(dates[candidate->parent], dates[i]) <= 0);
            assert_true(j == evidence.first[i] || candidate[-1].weight >= candidate->weight);
            sum += candidate->share;
        }
        assert_true(evidence.first[i] == evidence.first[i + 1] || fabs(sum - 1) < 1e-12);
        assert_true(evidence.chosen[i] == NETWORK_NONE ||
                    (evidence.margin[i] >= 0 && evidence.margin[i] <= 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(a_single_citation_is_the_parent),
        WITH_TREES(a_parent_is_never_younger),
        WITH_TREES(equal_dates_do_not_make_a_circle),
        WITH_TREES(a_method_that_is_used_speaks_for_its_paper),
        WITH_TREES(influence_and_sentences_add_weight),
        WITH_TREES(later_papers_name_the_child_with_its_parent),
        WITH_TREES(spread_evidence_meets_at_the_ancestor),
        WITH_TREES(shuffled_and_doubled_links_change_nothing),
        WITH_TREES(the_forest_is_part_of_the_citations),
    };
    return cmocka_run_group_tests_name("citation", tests, NULL, NULL);
}
