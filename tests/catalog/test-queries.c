#include "catalog/database.h"
#include "fixture.h"
#include <ctype.h>

/* The keys of a list, separated by spaces. */
static const char *list(struct fixture *fixture, struct catalog *catalog, struct catalog_filter filter)
{
    struct variant_row *rows;
    size_t count;
    struct error error = ERROR_INIT;
    enum status status = catalog_list(catalog, &filter, &fixture->arena, &rows, &count, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    const char *keys = "";
    for (size_t i = 0; i < count; i++)
        keys = arena_format(&fixture->arena, "%s%s%s", keys, i ? " " : "", rows[i].key);
    return keys;
}

static void lists_by_date_and_by_each_filter(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
#define LIST(...) list(fixture, catalog, (struct catalog_filter){__VA_ARGS__})
    assert_string_equal(LIST(.text = NULL),
                        "transformer retnet gla survey samba pulse"); /* no date comes last */
    assert_string_equal(LIST(.family = "attention"), "transformer");
    assert_string_equal(LIST(.family = "linear"), "retnet gla survey samba");
    assert_string_equal(LIST(.kind = "study"), "survey");
    assert_string_equal(LIST(.kind = "task"), "");
    assert_string_equal(LIST(.slot = "norm", .kernel = "rmsnorm"), "gla");
    assert_string_equal(LIST(.slot = "mixer", .kernel = "gated-linear-attention"), "gla samba");
    assert_string_equal(LIST(.slot = "ffn", .kernel = "gated-linear-attention"), "");
    assert_string_equal(LIST(.kernel = "local-attention"), "samba"); /* only planned */
    assert_string_equal(LIST(.slot = "mixer"), "transformer retnet gla samba");
    assert_string_equal(LIST(.slot = "memory"), "");
    assert_string_equal(LIST(.character = "mixing", .state = "matrix-state"), "retnet gla samba");
    assert_string_equal(LIST(.character = "decay", .state = "none"), "transformer");
    assert_string_equal(LIST(.character = "decay"), "transformer retnet gla samba");
    assert_string_equal(LIST(.since = 2023), "retnet gla survey samba");
    assert_string_equal(LIST(.since = 2024), "survey samba");
    assert_string_equal(LIST(.seeds = true), "retnet gla survey samba pulse");
    assert_string_equal(LIST(.missing = true), "samba pulse");
    assert_string_equal(LIST(.family = "linear", .since = 2024, .seeds = true, .missing = true), "samba");
    catalog_close(catalog);
}

static void searches_words_by_their_beginning(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    assert_string_equal(LIST(.text = "gla"), "gla");
    assert_string_equal(LIST(.text = "GAT"), "gla"); /* of the title */
    assert_string_equal(LIST(.text = "songl"), "gla");
    assert_string_equal(LIST(.text = "łuk"), "gla"); /* Ł in the entry */
    assert_string_equal(LIST(.text = "attention gated"), "gla");
    assert_string_equal(LIST(.text = "gated nothing"), "");
    assert_string_equal(LIST(.text = "fixed rate"), "retnet"); /* of the summary */
    assert_string_equal(LIST(.text = "  \t"), "transformer retnet gla survey samba pulse");
    assert_string_equal(LIST(.text = "hardware-eff"), "gla");
    assert_string_equal(LIST(.text = "مرحبا"), "samba");
    assert_string_equal(LIST(.text = "e hybrid"), "samba"); /* é in the entry: accents are no obstacle */
    assert_string_equal(LIST(.text = "gla", .family = "attention"), "");
    catalog_close(catalog);
}

/* Words of letters and digits only, against a plain reading of the same texts. */
static bool begins_a_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; text && *at; at++)
        if ((at == text || !isalnum((unsigned char)at[-1])) && strncasecmp(at, word, length) == 0)
            return true;
    return false;
}

static void search_agrees_with_plain_reading(void **state)
{
    static const char *const words[] = {"a",         "at",     "att",  "is",  "t",     "tr", "trans",
                                        "net",       "linear", "l",    "li",  "dong",  "s",  "su",
                                        "successor", "state",  "2023", "for", "large", "x",  "hybrid"};
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *found = list(fixture, catalog, (struct catalog_filter){.text = words[i]});
        for (const char *const *key =
                 (const char *const[]){"transformer", "retnet", "gla", "survey", "pulse", NULL};
             *key; key++) {
            struct variant_card card;
            struct error error = ERROR_INIT;
            assert_int_equal(catalog_card(catalog, *key, &fixture->arena, &card, &error), STATUS_OK);
            const struct variant *v = &card.variant;
            bool expected = begins_a_word(v->key, words[i]) || begins_a_word(v->name, words[i]) ||
                            begins_a_word(v->title, words[i]) || begins_a_word(v->summary, words[i]);
            for (size_t j = 0; j < v->author_count; j++)
                expected |= begins_a_word(v->authors[j], words[i]);
            if (begins_a_word(found, *key) != expected)
                fail_msg("'%s' in %s", words[i], *key);
        }
    }
    catalog_close(catalog);
}

static void rows_say_what_runs_and_what_is_missing(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct variant_row *rows;
    size_t count;
    struct error error = ERROR_INIT;
    catalog_list(catalog, &(struct catalog_filter){0}, &fixture->arena, &rows, &count, &error);
    assert_int_equal(count, 6);
    const struct variant_row *gla = &rows[2], *survey = &rows[3], *samba = &rows[4], *pulse = &rows[5];
    assert_true(gla->runnable);
    assert_null(gla->missing);
    assert_string_equal(gla->date, "2023-12-11");
    assert_int_equal(gla->year, 2024);
    assert_int_equal(gla->seed_count, 2);
    assert_string_equal(gla->seeds[0].list, "baselines");
    assert_int_equal(gla->seeds[0].number, 17);
    assert_string_equal(gla->seeds[1].part, "1");
    assert_true(survey->runnable); /* as a suite */
    assert_null(survey->missing);
    assert_false(samba->runnable);
    assert_string_equal(samba->missing, "summary, kernel local-attention");
    assert_false(pulse->runnable);
    assert_string_equal(pulse->missing, "name, title, date, kind, family, summary, authors, composition");
    assert_null(pulse->title);
    assert_int_equal(pulse->year, 0);
    catalog_close(catalog);
}

/* Filters that name what does not exist say what does. */
static void unknown_names_are_wrong_usage(void **state)
{
    static const struct {
        struct catalog_filter filter;
        const char *message;
    } cases[] = {
        {{.family = "linaer"}, "unknown family 'linaer': did you mean 'linear'?"},
        {{.family = "zzzzzz"}, "unknown family 'zzzzzz': one of attention, linear"},
        {{.kind = "blocks"}, "unknown kind 'blocks': did you mean 'block'?"},
        {{.slot = "mixr"}, "unknown slot 'mixr': did you mean 'mixer'?"},
        {{.kernel = "retentoin"}, "unknown kernel 'retentoin': did you mean 'retention'?"},
        {{.character = "deacy"}, "unknown character 'deacy': did you mean 'decay'?"},
        {{.character = "decay", .state = "fxed"}, "unknown state of 'decay' 'fxed': did you mean 'fixed'?"},
        {{.character = "mixing", .state = "fixed"},
         "unknown state of 'mixing' 'fixed': one of attention, matrix-state"},
    };
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct variant_row *rows;
    size_t count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(catalog_list(catalog, &cases[i].filter, &fixture->arena, &rows, &count, &error),
                         STATUS_USAGE);
        assert_string_equal(error.message, cases[i].message);
    }
    catalog_close(catalog);
}

static void a_card_holds_everything(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct variant_card card;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_card(catalog, "gla", &fixture->arena, &card, &error), STATUS_OK);
    const struct variant *v = &card.variant;
    assert_string_equal(v->key, "gla");
    assert_string_equal(v->name, "GLA");
    assert_string_equal(v->title, "Gated Linear Attention Transformers with Hardware-Efficient Training");
    assert_int_equal(v->author_count, 3);
    assert_string_equal(v->authors[2], "Łukasz Kaiser");
    assert_int_equal(v->year, 2024);
    assert_string_equal(v->date, "2023-12-11");
    assert_string_equal(v->venue, "ICML 2024");
    assert_string_equal(v->s2, "62b18cc55dcc7ffe52c28e1086aee893b7bc4334");
    assert_string_equal(v->arxiv, "2312.06635");
    assert_string_equal(v->doi, "10.1000/gla");
    assert_null(v->acl);
    assert_int_equal(v->code_count, 2);
    assert_string_equal(v->code[0], "https://github.com/fla-org/flash-linear-attention");
    assert_int_equal(v->seed_count, 2);
    assert_string_equal(v->kind, "block");
    assert_string_equal(v->family, "linear");
    assert_string_equal(v->summary, "A matrix state with a gate per channel.");
    assert_null(v->added);
    assert_int_equal(v->suite_count, 0);

    assert_int_equal(v->layer_count, 1);
    assert_null(v->layers[0].name);
    assert_int_equal(v->layers[0].slot_count, 3);
    assert_string_equal(v->layers[0].slots[0].slot, "mixer");
    assert_string_equal(v->layers[0].slots[0].kernel, "gated-linear-attention");
    assert_string_equal(v->layers[0].slots[0].options,
                        "{\"heads\": 4, \"expand\": 0.5, \"normal\": false, \"tags\": [\"a\", 2]}");
    assert_string_equal(v->layers[0].slots[1].slot, "ffn");
    assert_string_equal(v->layers[0].slots[2].slot, "norm");

    assert_int_equal(v->parent_count, 2);
    assert_string_equal(v->parents[0].key,
                        "retnet"); /* the primary one first, whatever the order of the file */
    assert_true(v->parents[0].primary);
    assert_string_equal(v->parents[1].changed, "the block");

    assert_int_equal(v->reference_count, 1);
    assert_string_equal(v->references[0].set, "gla");
    assert_string_equal(v->references[0].options, "{\"num_heads\": \"heads\"}");
    assert_string_equal(v->references[0].fixed, "{\"conv\": 0}");
    assert_string_equal(v->references[0].inputs, "{\"x\": \"hidden\"}");
    assert_string_equal(v->references[0].outputs, "{\"y\": \"out\"}");
    assert_string_equal(v->references[0].weights, "{\"q_proj.weight\": \"query.weight\"}");

    assert_true(card.runnable);
    assert_null(card.missing);
    assert_int_equal(card.child_count, 1);
    assert_string_equal(card.children[0].child, "samba");
    assert_int_equal(card.cites, 2);
    assert_int_equal(card.cited_by, 1);

    assert_int_equal(catalog_card(catalog, "samba", &fixture->arena, &card, &error), STATUS_OK);
    assert_int_equal(v->layer_count, 2);
    assert_string_equal(v->layers[1].name, "window");
    assert_null(v->layers[1].slots[0].kernel);
    assert_string_equal(v->layers[1].slots[0].planned, "local-attention");
    assert_string_equal(v->layers[1].slots[0].options, "{\"window\": 2048}");
    assert_string_equal(v->references[0].part, "window");
    assert_string_equal(v->title, "Samba: a “hybrid” of 'two' <kinds> & \"quotes\"; \\ {braces} ⟨مرحبا⟩ é");

    assert_int_equal(catalog_card(catalog, "transformer", &fixture->arena, &card, &error), STATUS_OK);
    assert_int_equal(card.child_count, 3);
    assert_string_equal(card.children[0].child, "retnet"); /* its own before those that borrow */
    assert_string_equal(card.children[1].child, "gla");
    assert_int_equal(catalog_card(catalog, "survey", &fixture->arena, &card, &error), STATUS_OK);
    assert_int_equal(v->suite_count, 3);
    assert_string_equal(v->suite[2], "transformer");
    catalog_close(catalog);
}

static void unknown_keys_get_the_nearest(void **state)
{
    static const struct {
        const char *key, *message;
    } cases[] = {
        {"retnett", "unknown variant 'retnett': did you mean 'retnet'?"},
        {"RetNet", "unknown variant 'RetNet': did you mean 'retnet'?"},
        {"A Survey", "unknown variant 'A Survey': did you mean 'survey'?"}, /* its name, not its key */
        {"quite-something-else",
         "unknown variant 'quite-something-else': one of gla, pulse, retnet, samba, survey, transformer"},
        {"", "unknown variant '': one of gla, pulse, retnet, samba, survey, transformer"},
    };
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct variant_card card;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_require(catalog, "gla", &error), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(catalog_require(catalog, cases[i].key, &error), STATUS_USAGE);
        assert_string_equal(error.message, cases[i].message);
        assert_int_equal(catalog_card(catalog, cases[i].key, &fixture->arena, &card, &error), STATUS_USAGE);
        assert_string_equal(error.message, cases[i].message);
    }
    catalog_close(catalog);
}

static void whole_tables_come_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct error error = ERROR_INIT;
    struct parent_link *parents;
    struct composition_row *compositions;
    size_t count;
    assert_int_equal(catalog_parent_links(catalog, &fixture->arena, &parents, &count, &error), STATUS_OK);
    assert_int_equal(count, 6);
    assert_string_equal(parents[0].child, "gla");
    assert_string_equal(parents[0].parent, "retnet");
    assert_true(parents[0].primary);
    assert_false(parents[1].primary);
    assert_null(parents[5].changed);

    assert_int_equal(catalog_compositions(catalog, &fixture->arena, &compositions, &count, &error),
                     STATUS_OK);
    assert_int_equal(count, 3 + 3 + 6 + 3);
    assert_string_equal(compositions[10].variant, "samba");
    assert_int_equal(compositions[10].layer, 1);
    assert_string_equal(compositions[10].layer_name, "window");
    assert_string_equal(compositions[10].slot, "mixer");
    assert_string_equal(compositions[10].planned, "local-attention");
    catalog_close(catalog);
}

static void traits_follow_the_options(void **state)
{
    struct fixture *fixture = *state;
    struct trait_row *traits;
    size_t count;
    struct error error = ERROR_INIT;
    fixture_edit(fixture, "variants/transformer.json", "\"heads\": 8", "\"decay\": \"fixed\"");
    struct catalog *catalog = fixture_open(fixture);
    assert_int_equal(catalog_traits(catalog, &fixture->arena, &traits, &count, &error), STATUS_OK);
    assert_int_equal(count, 8); /* four variants, two characters; nothing for a planned kernel */
    assert_string_equal(traits[0].variant, "gla");
    assert_string_equal(traits[0].character, "decay");
    assert_string_equal(traits[0].state, "data-dependent");
    assert_string_equal(traits[0].kernel, "gated-linear-attention");
    assert_string_equal(traits[6].variant, "transformer");
    assert_string_equal(traits[6].state, "fixed");
    assert_string_equal(LIST(.character = "decay", .state = "none"), "");
    catalog_close(catalog);
}

static void citations_prefer_what_was_fetched_whole(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct citation_link *links;
    size_t count;
    struct error error = ERROR_INIT;
    catalog_citations(catalog, NULL, &fixture->arena, &links, &count, &error);
    assert_int_equal(count, 4);
    assert_string_equal(links[0].citing, "gla");
    assert_string_equal(links[0].cited, "retnet");
    assert_int_equal(links[0].intents, INTENT_METHODOLOGY | INTENT_RESULT);
    assert_int_equal(links[0].influential, 1);
    assert_int_equal(links[0].contexts, 4);
    assert_string_equal(links[0].source, "s2");
    assert_null(links[0].retrieved_at);
    assert_int_equal(links[1].intents, INTENT_BACKGROUND);
    assert_int_equal(links[1].influential, 0);
    assert_int_equal(links[2].intents, 0);
    assert_int_equal(links[2].influential, -1);
    assert_int_equal(links[2].contexts, -1);
    catalog_citations(catalog, "gla", &fixture->arena, &links, &count, &error);
    assert_int_equal(count, 3);

    static const char *const statements[] = {
        "INSERT INTO fetched_link VALUES ('gla', 'transformer', 0, 1, 0, NULL, 2, '2024-05-01T00:00:00Z'),"
        " ('samba', 'retnet', 1, 0, 0, 1, 2, '2024-05-01T00:00:00Z')",
        "INSERT INTO scholar_paper (variant, state, retrieved_at) VALUES ('gla', 'partial', "
        "'2024-05-01T00:00:00Z'),"
        " ('samba', 'complete', '2024-05-01T00:00:00Z')",
    };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(database_run(catalog_database(catalog), statements[i], &error), STATUS_OK);
    /* a list that is not whole replaces nothing; one that is keeps what a person entered */
    catalog_citations(catalog, NULL, &fixture->arena, &links, &count, &error);
    assert_int_equal(count, 5);
    assert_string_equal(links[1].source, "s2");
    assert_string_equal(links[3].cited, "gla");
    assert_string_equal(links[3].source, "hand");
    assert_string_equal(links[4].cited, "retnet");
    assert_string_equal(links[4].source, "api");
    assert_string_equal(links[4].retrieved_at, "2024-05-01T00:00:00Z");

    assert_int_equal(
        database_run(catalog_database(catalog), "UPDATE scholar_paper SET state = 'complete'", &error),
        STATUS_OK);
    catalog_citations(catalog, "gla", &fixture->arena, &links, &count, &error);
    assert_int_equal(count, 2); /* gla cites the transformer only; samba cites gla */
    assert_string_equal(links[0].cited, "transformer");
    assert_int_equal(links[0].contexts, 2);
    catalog_close(catalog);
}

static void references_and_suites_are_found_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct reference reference;
    const char *variant, **members;
    size_t count;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_reference(catalog, "retnet", &fixture->arena, &variant, &reference, &error),
                     STATUS_OK);
    assert_string_equal(variant, "retnet");
    assert_string_equal(reference.slot, "mixer");
    assert_string_equal(reference.fidelity, "official");
    assert_null(reference.options);
    assert_int_equal(catalog_reference(catalog, "retnt", &fixture->arena, &variant, &reference, &error),
                     STATUS_USAGE);
    assert_string_equal(error.message, "unknown reference set 'retnt': did you mean 'retnet'?");

    assert_int_equal(catalog_suite(catalog, "pair", &fixture->arena, &members, &count, &error), STATUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(members[1], "retnet");
    assert_int_equal(catalog_suite(catalog, "survey", &fixture->arena, &members, &count, &error), STATUS_OK);
    assert_int_equal(count, 3);
    assert_int_equal(catalog_suite(catalog, "par", &fixture->arena, &members, &count, &error), STATUS_USAGE);
    assert_string_equal(error.message, "unknown suite 'par': did you mean 'pair'?");
    catalog_close(catalog);
}

static void vocabularies_keep_the_order_of_their_files(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct family *families;
    struct character_state *states;
    size_t count;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_families(catalog, &fixture->arena, &families, &count, &error), STATUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(families[0].key, "attention");
    assert_string_equal(families[1].colour, "#228833");
    assert_int_equal(catalog_characters(catalog, &fixture->arena, &states, &count, &error), STATUS_OK);
    assert_int_equal(count, 5);
    assert_string_equal(states[0].character, "mixing");
    assert_string_equal(states[2].state, "none");
    assert_string_equal(states[4].state_about, "as the input says");
    catalog_close(catalog);
}

/* Strings that mean something to SQL, to FTS5, to patterns or to nobody. */
static void hostile_strings_are_only_strings(void **state)
{
    static const char *const hostile[] = {
        "'",
        "\"",
        "''",
        "\"\"",
        "' OR '1'='1",
        "'; DROP TABLE variant; --",
        "--",
        "/*",
        "*/",
        ";",
        "NEAR(",
        "NEAR(a b)",
        "AND",
        "OR",
        "NOT",
        "a AND",
        "a NOT b",
        "key:gla",
        "title : x",
        "^gla",
        "gla*",
        "*",
        "**",
        "(",
        ")",
        "()",
        "{a b}",
        "{key}:x",
        "- gla",
        "+",
        "gla + x",
        "\"gla",
        "gla\"",
        "\" \"",
        "\" OR \"",
        "a\"b\"c",
        "%",
        "_",
        "%s%n%x",
        "\\",
        "\\'",
        "[a-z]",
        "?1",
        ":x",
        "@x",
        "$x",
        "NULL",
        "1e999",
        "\x01",
        "\xff",
        "\xc3",
        "\xf0\x9f",
        "\xed\xa0\x80",
        "😀",
        "\u202e",

        "../../etc/passwd",
        "<script>alert(1)</script>",
        "&amp;",
        "\n",
        "\t\t",
        "-",
        "--",
        "a\nb",
        "x'00'",
        "rank",
        "variant_search",
        "rebuild",
        "optimize",
        "delete-all",
        "'rebuild'",
    };
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    sqlite3 *database = catalog_database(catalog);
    const char *before = fixture_dump(fixture, database);
    int64_t schema = fixture_integer(database, "SELECT sum(length(sql)) FROM sqlite_schema");
    char *enormous = calloc(1, (1 << 20) + 1);
    memset(enormous, '"', 1 << 20);
    for (size_t i = 0; i <= sizeof hostile / sizeof *hostile; i++) {
        const char *text = i < sizeof hostile / sizeof *hostile ? hostile[i] : enormous;
        const struct catalog_filter filters[] = {{.text = text},
                                                 {.family = text},
                                                 {.kind = text},
                                                 {.slot = text},
                                                 {.kernel = text},
                                                 {.character = text},
                                                 {.character = "decay", .state = text}};
        struct variant_row *rows;
        struct variant_card card;
        struct reference reference;
        const char *variant, **members;
        size_t count;
        for (size_t j = 0; j < sizeof filters / sizeof *filters; j++) {
            struct error error = ERROR_INIT;
            enum status status = catalog_list(catalog, &filters[j], &fixture->arena, &rows, &count, &error);
            if (j > 0 || text == enormous)
                assert_int_equal(status, STATUS_USAGE);
            else
                assert_int_equal(status, STATUS_OK); /* any text may be searched for */
        }
        struct error error = ERROR_INIT;
        assert_int_equal(catalog_card(catalog, text, &fixture->arena, &card, &error), STATUS_USAGE);
        assert_int_equal(catalog_reference(catalog, text, &fixture->arena, &variant, &reference, &error),
                         STATUS_USAGE);
        assert_int_equal(catalog_suite(catalog, text, &fixture->arena, &members, &count, &error),
                         STATUS_USAGE);
        assert_null(strchr(error.message, '\n'));
    }
    free(enormous);
    assert_string_equal(fixture_dump(fixture, database), before);
    assert_int_equal(fixture_integer(database, "SELECT sum(length(sql)) FROM sqlite_schema"), schema);
    catalog_close(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(lists_by_date_and_by_each_filter),
        WITH_FIXTURE(searches_words_by_their_beginning),
        WITH_FIXTURE(search_agrees_with_plain_reading),
        WITH_FIXTURE(rows_say_what_runs_and_what_is_missing),
        WITH_FIXTURE(unknown_names_are_wrong_usage),
        WITH_FIXTURE(a_card_holds_everything),
        WITH_FIXTURE(unknown_keys_get_the_nearest),
        WITH_FIXTURE(whole_tables_come_in_order),
        WITH_FIXTURE(traits_follow_the_options),
        WITH_FIXTURE(citations_prefer_what_was_fetched_whole),
        WITH_FIXTURE(references_and_suites_are_found_by_name),
        WITH_FIXTURE(vocabularies_keep_the_order_of_their_files),
        WITH_FIXTURE(hostile_strings_are_only_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
