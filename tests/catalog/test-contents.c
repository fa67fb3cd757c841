/* Rules between files, and those of the vocabularies and of citations.tsv: each breaks the small catalogue in
 * one place. */
#include "fixture.h"

struct breakage {
    const char *file, *from, *to; /* `from` NULL: the whole file becomes `to` */
    const char *message;          /* NULL: it is legal */
};

static void try_all(void **state, const struct breakage *breakages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *own = NULL;
        assert_int_equal(fixture_setup(&own), 0);
        struct fixture *fixture = own;
        if (breakages[i].from)
            fixture_edit(fixture, breakages[i].file, breakages[i].from, breakages[i].to);
        else if (breakages[i].to)
            fixture_write(fixture, breakages[i].file, breakages[i].to);
        else
            fixture_remove(fixture, breakages[i].file);
        if (breakages[i].message)
            fixture_refused(fixture, STATUS_OUTSIDE, breakages[i].message);
        else
            catalog_close(fixture_open(fixture));
        fixture_teardown(&own);
    }
}
#define TRY(...)                                              \
    static const struct breakage breakages[] = {__VA_ARGS__}; \
    try_all(state, breakages, sizeof breakages / sizeof *breakages)

static void names_must_exist(void **state)
{
    TRY({"variants/gla.json", "\"linear\"", "\"linaer\"",
         "variants/gla.json: family: unknown family 'linaer': did you mean 'linear'?"},
        {"variants/gla.json", "\"retnet\"", "\"retnte\"",
         "variants/gla.json: parents[1].key: unknown variant 'retnte': did you mean 'retnet'?"},
        {"variants/gla.json", "\"kernel\": \"gated-mlp\"", "\"kernel\": \"gated-mpl\"",
         "variants/gla.json: composition.ffn.kernel: unknown kernel 'gated-mpl': did you mean 'gated-mlp'?"},
        {"variants/samba.json", "\"kernel\": \"layernorm\"", "\"kernel\": \"layernrom\"",
         "variants/samba.json: composition.pattern[0].norm.kernel: unknown kernel 'layernrom': did you mean "
         "'layernorm'?"},
        {"variants/samba.json", "\"planned\": \"local-attention\"", "\"planned\": \"anything\"", NULL},
        {"variants/survey.json", "\"gla\"", "\"glu\"",
         "variants/survey.json: suite[0]: unknown variant 'glu': did you mean 'gla'?"},
        {"suites.json", "\"gla\"", "\"glu\"",
         "suites.json: [0].members[0]: unknown variant 'glu': did you mean 'gla'?"},
        {"citations.tsv", "gla\tretnet", "gla\tretnett",
         "citations.tsv:3: unknown variant 'retnett': did you mean 'retnet'?"}, );
}

static void what_is_unique_belongs_to_one_entry(void **state)
{
    TRY({"variants/gla.json", "2312.06635", "2307.08621",
         "variants/retnet.json: ids.arxiv: '2307.08621' is also in the entry of 'gla'"},
        {"variants/samba.json", "\"doi\": null", "\"doi\": \"10.1000/GLA\"",
         "variants/samba.json: ids.doi: '10.1000/GLA' is also in the entry of 'gla'"},
        {"variants/samba.json", "\"s2\": null", "\"s2\": \"62b18cc55dcc7ffe52c28e1086aee893b7bc4334\"",
         "variants/samba.json: ids.s2: '62b18cc55dcc7ffe52c28e1086aee893b7bc4334' is also in the entry of "
         "'gla'"},
        {"variants/samba.json", "\"number\": 15", "\"number\": 17",
         "variants/samba.json: seeds: 'baselines collected 17' is also in the entry of 'gla'"},
        {"variants/samba.json", "\"set\": \"samba\"", "\"set\": \"gla\"",
         "variants/samba.json: references.set: 'gla' is also in the entry of 'gla'"}, );
}

static void descent_has_no_circle(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/retnet.json", "\"key\": \"transformer\"", "\"key\": \"samba\"");
    fixture_refused(fixture, STATUS_OUTSIDE,
                    "variants/gla.json: parents: descent in a circle: gla < retnet < samba < gla");
    fixture_edit(fixture, "variants/retnet.json", "\"key\": \"samba\"", "\"key\": \"gla\"");
    fixture_refused(fixture, STATUS_OUTSIDE,
                    "variants/gla.json: parents: descent in a circle: gla < retnet < gla");
}

static void broken_vocabularies_are_refused(void **state)
{
    TRY({"families.json", "#4477AA", "blue",
         "families.json: [0].colour: expected a colour #rrggbb, found 'blue'"},
        {"families.json", "\"key\": \"linear\"", "\"key\": \"attention\"",
         "families.json: [1].key: 'attention' is listed twice"},
        {"families.json", "\"about\"", "\"abuot\"",
         "families.json: [0]: unknown field 'abuot': did you mean 'about'?"},
        {"families.json", NULL, "{}", "families.json: expected an array, found an object"},
        {"families.json", NULL, "[", "families.json:1:2: expected a value, found the end"},
        {"characters.json", "\"key\": \"fixed\"", "\"key\": \"none\"",
         "characters.json: [1].states[1].key: 'none' is listed twice"},
        {"characters.json", "\"key\": \"data-dependent\"", "\"key\": \"gated\"",
         "kernel 'gated-linear-attention' has 'decay' in state 'data-dependent', which characters.json "
         "lacks"},
        {"characters.json", NULL,
         "[{\"key\": \"a\", \"about\": \"b\", \"states\": [{\"key\": \"c\", \"about\": \"d\"}]}]",
         "characters.json: [0].states: expected at least two states, found 1"},
        {"suites.json", "\"key\": \"pair\"", "\"key\": \"gla\"",
         "suites.json: [0].key: 'gla' is a variant; a suite needs a name of its own"},
        {"suites.json", NULL, "[{\"key\": \"a\", \"about\": \"b\", \"members\": []}]",
         "suites.json: [0].members: expected at least one variant"},
        {"suites.json", NULL, NULL, NULL}, );
}

static void citations_are_checked(void **state)
{
#define HEADER "citing\tcited\tintents\tinfluential\tcontexts\tsource\n"
    TRY({"citations.tsv", NULL, NULL, NULL}, {"citations.tsv", NULL, "", NULL},
        {"citations.tsv", NULL, HEADER, NULL},
        {"citations.tsv", NULL, "citing\tcited\tintent\tinfluential\tcontexts\tsource\n",
         "citations.tsv:1: expected column 'intents', found 'intent'"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\ts2\n",
         "citations.tsv:2: expected 6 columns, found 5"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\t\ts2\t\n",
         "citations.tsv:2: expected 6 columns, found 7"},
        {"citations.tsv", NULL, HEADER "gla\tgla\t\t\t\ts2\n", "citations.tsv:2: 'gla' cites itself"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\t\ts2\n\n# again\ngla\tretnet\t\t\t\thand\n",
         "citations.tsv: the link from 'gla' to 'retnet' is listed twice"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\tmethod\t\t\ts2\n",
         "citations.tsv:2: expected intents among methodology, background and result, found 'method'"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t2\t\ts2\n",
         "citations.tsv:2: expected influential from 0 to 1 or nothing, found '2'"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\t-1\ts2\n",
         "citations.tsv:2: expected contexts from 0 to 100000 or nothing, found '-1'"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\t99999999999\ts2\n",
         "citations.tsv:2: expected contexts from 0 to 100000 or nothing, found '99999999999'"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\t\tguess\n",
         "citations.tsv:2: unknown source 'guess': one of s2, paper-text, hand"},
        {"citations.tsv", NULL, HEADER "gla\tretnet\t\t\t\ts2\xff\n",
         "citations.tsv: expected UTF-8 text without NUL"}, );
}

static void broken_json_is_refused(void **state)
{
    TRY({"variants/gla.json", NULL, "", "variants/gla.json:1:1: expected a value, found the end"},
        {"variants/gla.json", "\"name\"", "\"key\"", "variants/gla.json:3:3: duplicate key 'key'"},
        {"variants/gla.json", "2024", "1e999", "variants/gla.json:10:11: number '1e999' is out of range"}, );
}

static void kernels_of_the_program_name_known_variants(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_kernel kernels[] = {{"attention", "mixer", "tranformer", NULL, 0, NULL}};
    struct catalog_options options = {fixture->database, fixture->catalogue, kernels, 1};
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    for (const char *const *name =
             (const char *const[]){"gla", "retnet", "samba", "survey", "transformer", NULL};
         *name; name++) {
        char file[64], text[128];
        snprintf(file, sizeof file, "variants/%s.json", *name);
        snprintf(text, sizeof text, "{\"key\": \"%s\", \"added\": \"relative\"}", *name);
        fixture_write(fixture, file, text);
    }
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message,
                        "kernel 'attention' names variant 'tranformer', which the catalogue lacks");
}

static void without_kernels_their_names_are_not_checked(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_options options = {fixture->database, fixture->catalogue, NULL, 0};
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    fixture_edit(fixture, "variants/gla.json", "\"kernel\": \"gated-mlp\"", "\"kernel\": \"anything\"");
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    catalog_close(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_must_exist),
        cmocka_unit_test(what_is_unique_belongs_to_one_entry),
        WITH_FIXTURE(descent_has_no_circle),
        cmocka_unit_test(broken_vocabularies_are_refused),
        cmocka_unit_test(citations_are_checked),
        cmocka_unit_test(broken_json_is_refused),
        WITH_FIXTURE(kernels_of_the_program_name_known_variants),
        WITH_FIXTURE(without_kernels_their_names_are_not_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
