/* How alike titles and names of authors are, and which entry a paper is. */
#include "fixture.h"
#include "scholar/identity.h"
#include "scholar/similarity.h"

static void nearly(double found, double expected)
{
    assert_true(found > expected - 1e-9 && found < expected + 1e-9);
}

static void spelling_is_no_difference(void **state)
{
    nearly(title_similarity("Attention Is All You Need", "Attention is all you need."), 1);
    nearly(title_similarity("Nystr\xc3\xb6mformer: a  method", "Nystromformer - A Method"), 1);
    nearly(title_similarity("\xe2\x80\x9cQuoted\xe2\x80\x9d text", "Quoted text"), 1);
    nearly(title_similarity("e\xcc\x81tude", "\xc3\x89tude"), 1);
    nearly(title_similarity("\xef\xac\x81ne tuning", "fine-tuning"), 1);
}

static void other_words_are(void **state)
{
    assert_true(title_similarity("Mamba: Linear-Time Sequence Modeling",
                                 "Vision Mamba: Efficient Visual Modeling") < 0.7);
    nearly(title_similarity("abcd", "abce"), 0.75);
    nearly(title_similarity("Mamba", "Mamba 2"), 5.0 / 7);
    nearly(title_similarity("a b", "b a"), title_similarity("b a", "a b"));
}

static void nothing_is_like_nothing(void **state)
{
    nearly(title_similarity("", ""), 0);
    nearly(title_similarity("...", "a"), 0);
    nearly(title_similarity("\xff\xfe", "a"), 0);
}

static void scripts_other_than_latin_count(void **state)
{
    nearly(title_similarity("\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe6\x96\x87"), 1);
    nearly(title_similarity("\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe5\x9b\xbd"), 0.5);
}

static void long_titles_are_bounded(void **state)
{
    char *a = malloc(200001), *b = malloc(200001);
    memset(a, 'a', 200000);
    memset(b, 'a', 200000);
    a[200000] = b[200000] = '\0';
    b[0] = 'b';
    assert_true(title_similarity(a, b) > 0.99);
    free(a);
    free(b);
}

static void names_are_compared_by_whole_words(void **state)
{
    assert_true(author_compatible("Zihang Dai", "Z. Dai"));
    assert_true(author_compatible("Zihang Dai", "Dai, Zihang"));
    assert_true(author_compatible("\xc5\x81ukasz Kaiser", "Lukasz Kaiser"));
    assert_true(author_compatible(NULL, "A. Person"));
    assert_true(author_compatible("", "A. Person"));
    assert_false(author_compatible("Albert Gu", "Tri Dao"));
    assert_false(author_compatible("A. Gu", "A. Guo"));
}

/* ---- identities ---- */

static struct identities identities_of(struct fixture *fixture)
{
    struct identities identities;
    struct error error = ERROR_INIT;
    assert_int_equal(
        identities_read(catalog_database(fixture->catalog), &fixture->arena, &identities, &error), STATUS_OK);
    return identities;
}

static const char *find(const struct identities *identities, struct scholar_paper paper)
{
    ptrdiff_t entry = identities_find(identities, &paper);
    return entry < 0 ? "none" : identities->entries[entry].key;
}

static void a_paper_is_found_by_any_of_its_ids(void **state)
{
    struct identities identities = identities_of(*state);
    assert_string_equal(
        find(&identities, (struct scholar_paper){.id = "204e3073870fae3d05bcbc2f6a8e263d9b72e776"}),
        "transformer");
    assert_string_equal(find(&identities, (struct scholar_paper){.arxiv = "2111.00396"}), "s4");
    assert_string_equal(find(&identities, (struct scholar_paper){.id = "another", .arxiv = "2111.00396"}),
                        "s4");
    assert_string_equal(find(&identities, (struct scholar_paper){.arxiv = "2111.00396v3"}), "s4");
    assert_string_equal(find(&identities, (struct scholar_paper){.doi = "10.48550/arXiv.2111.00396"}), "s4");
    assert_string_equal(find(&identities, (struct scholar_paper){.doi = "10.1000/hippo"}), "hippo");
    assert_string_equal(find(&identities, (struct scholar_paper){.arxiv = "2111.00397"}), "none");
    assert_string_equal(find(&identities, (struct scholar_paper){.title = "Nothing"}), "none");
}

static void candidates_are_asked_for_in_order(void **state)
{
    struct identities identities = identities_of(*state);
    const struct identity *hippo = &identities.entries[identities_find_key(&identities, "hippo")];
    assert_int_equal(hippo->candidate_count, 2);
    assert_string_equal(hippo->candidates[0], "0964490205fdc38c2f0980c9d778069089ca92e3");
    assert_string_equal(hippo->candidates[1], "DOI:10.1000/HiPPO");
    assert_string_equal(hippo->all_ids, "0964490205fdc38c2f0980c9d778069089ca92e3 DOI:10.1000/HiPPO");
    const struct identity *s4 = &identities.entries[identities_find_key(&identities, "s4")];
    assert_string_equal(s4->all_ids, "ARXIV:2111.00396");
    assert_int_equal(identities.entries[identities_find_key(&identities, "nothing")].candidate_count, 0);
    assert_int_equal(identities_find_key(&identities, "unknown"), -1);
}

static void what_a_person_wrote_comes_before_what_was_answered(void **state)
{
    struct identities identities = identities_of(*state);
    struct fixture *fixture = *state;
    ptrdiff_t s4 = identities_find_key(&identities, "s4"),
              cosine = identities_find_key(&identities, "cosine");
    const char *before = identities.ids;
    identities.entries[s4].paper_id = "ac26";
    identities.entries[cosine].paper_id = "204e3073870fae3d05bcbc2f6a8e263d9b72e776"; /* the transformer's */
    identities_index(&identities, &fixture->arena);
    assert_string_equal(find(&identities, (struct scholar_paper){.id = "ac26"}), "s4");
    assert_string_equal(
        find(&identities, (struct scholar_paper){.id = "204e3073870fae3d05bcbc2f6a8e263d9b72e776"}),
        "transformer");
    assert_string_not_equal(before, identities.ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spelling_is_no_difference),
        cmocka_unit_test(other_words_are),
        cmocka_unit_test(nothing_is_like_nothing),
        cmocka_unit_test(scripts_other_than_latin_count),
        cmocka_unit_test(long_titles_are_bounded),
        cmocka_unit_test(names_are_compared_by_whole_words),
        WITH_FIXTURE(a_paper_is_found_by_any_of_its_ids),
        WITH_FIXTURE(candidates_are_asked_for_in_order),
        WITH_FIXTURE(what_a_person_wrote_comes_before_what_was_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
