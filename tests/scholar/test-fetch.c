/* Whole fetches of a small catalogue: what is asked, what is kept, what is never asked twice, what a person
 * decides. */
#include "catalog/database.h"
#include "fixture.h"
#include "scholar/changes.h"
#include "scholar/export.h"
#include <stdio.h>
#include <unistd.h>

static const char *const states = "SELECT variant, state FROM scholar_paper ORDER BY variant";
static const char *const links =
    "SELECT citing, cited, methodology, background, result, influential, contexts"
    " FROM fetched_link ORDER BY citing, cited";

/* What the server's graph says, in the form of `links`. `without` is the key of a paper that nobody knows, or
 * NULL. */
static const char *links_of_graph(struct fixture *fixture, const char *without)
{
    const char *rows = "";
    for (size_t i = 0; i < fixture->graph.count; i++) {
        const struct graph_paper *paper = &fixture->graph.papers[i];
        for (size_t j = 0; j < paper->reference_count; j++) {
            size_t cited = paper->references[j];
            const char *cited_key = fixture->graph.papers[cited].key;
            unsigned intents = paper->intents[j];
            if (without && (strcmp(paper->key, without) == 0 || strcmp(cited_key, without) == 0))
                continue;
            rows = arena_format(&fixture->arena, "%s%s|%s|%d|%d|%d|%d|%d\n", rows, paper->key, cited_key,
                                (intents & INTENT_METHODOLOGY) != 0, (intents & INTENT_BACKGROUND) != 0,
                                (intents & INTENT_RESULT) != 0, graph_influential(i, cited),
                                graph_contexts(i, cited));
        }
    }
    return rows;
}

/* ---- the whole way ---- */

static void all_papers_and_their_links_are_fetched(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_string_equal(fixture_text(fixture, states),
                        "cosine|complete\nhippo|complete\nlinear-transformer|complete\n"
                        "mamba|complete\ns4|complete\ntransformer|empty\n");
    assert_string_equal(fixture_text(fixture, links), links_of_graph(fixture, NULL));
    assert_int_equal(report.requests, 1 + 1 + 6); /* a batch, a title, six lists */
    assert_int_equal(report.states[PAPER_COMPLETE], 5);
    assert_int_equal(report.states[PAPER_EMPTY], 1);
    assert_int_equal(report.unknown, 1); /* the entry without ids and title */
    assert_int_equal(report.failure_count, 0);
}

static void nothing_is_asked_for_twice(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    fixture_fetch(fixture, &options);
    size_t requests = server_count(&fixture->server, "*");
    fixture_reopen(fixture);
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.requests, 0);
    assert_int_equal(server_count(&fixture->server, "*"), requests);
}

static void some_entries_can_be_fetched_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.keys = (const char *const[]){"mamba", "s4"};
    options.key_count = 2;
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.requests, 3);
    assert_string_equal(fixture_text(fixture, states), "mamba|complete\ns4|complete\n");
    /* those that were not asked for are known by their ids nevertheless */
    assert_int_equal(fixture_integer(fixture, "SELECT count(*) FROM fetched_link WHERE citing = 'mamba'"), 4);
}

static void what_the_catalogue_says_is_not_touched(void **state)
{
    struct fixture *fixture = *state;
    const char *sql = "SELECT * FROM variant_card";
    const char *snapshot = "SELECT * FROM snapshot_link";
    const char *before = fixture_text(fixture, sql), *links_before = fixture_text(fixture, snapshot);
    fixture_serve(fixture, "on *references*\nfile references-empty.json\n");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    fixture_fetch(fixture, &options);
    assert_string_equal(fixture_text(fixture, sql), before);
    assert_string_equal(fixture_text(fixture, snapshot), links_before);
}

static void a_plan_asks_nobody_and_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct planned_request *requests;
    size_t count;
    struct error error = ERROR_INIT;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    assert_int_equal(fetch_plan(fixture->catalog, &options, &fixture->arena, &requests, &count, &error),
                     STATUS_OK);
    assert_int_equal(count, 1 + 5 + 1);
    assert_non_null(strstr(requests[0].request, "POST /paper/batch?fields="));
    assert_non_null(strstr(requests[0].request, "(5 ids)"));
    assert_string_equal(requests[1].variant, "cosine");
    assert_memory_equal(requests[1].request, "GET /paper/search/match?query=Flash%20Cosine", 44);
    assert_memory_equal(requests[2].request, "GET /paper/{paperId}/references?", 32);
    assert_int_equal(server_count(&fixture->server, "*"), 0);
    assert_string_equal(fixture_text(fixture, states), "");

    options.keys = (const char *const[]){"mamba"};
    options.key_count = 1;
    fixture_fetch(fixture, &options);
    assert_int_equal(fetch_plan(fixture->catalog, &options, &fixture->arena, &requests, &count, &error),
                     STATUS_OK);
    assert_int_equal(count, 0);
}

/* ---- ids ---- */

static void the_next_id_is_asked_for_when_one_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/mamba.json", "7bbc", "0000");
    fixture_reopen(fixture);
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    fixture_fetch(fixture, &options);
    assert_int_equal(server_count(&fixture->server, "POST *batch*"), 2);
    assert_string_equal(
        fixture_text(fixture, "SELECT asked_id, paper_id, state FROM scholar_paper WHERE variant = 'mamba'"),
        "ARXIV:2312.00752|7bbc7595196a0606a07506c4fb1473e5e87f6082|complete\n");
}

static void a_batch_of_which_nothing_is_known_is_an_answer(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(
        fixture,
        "on *batch*\nstatus 400\nfile error-batch.json\non *match*\nstatus 404\nfile error-match.json\n");
    struct fetch_options options = fixture_options(fixture);
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.states[PAPER_NOT_FOUND], 6);
    assert_int_equal(report.failure_count, 0);
    assert_int_equal(server_count(&fixture->server, "*batch*"), 2); /* the first ids, the second ids */
    assert_int_equal(server_count(&fixture->server, "*match*"), 6);
    assert_int_equal(fixture_fetch(fixture, &options).requests, 0);
}

static void any_other_refusal_of_a_batch_is_a_failure(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "on *batch*\nstatus 400\nfile error-offset.json\n");
    struct fetch_options options = fixture_options(fixture);
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.failure_count, 5);
    assert_string_equal(report.failures[0].reason,
                        "look-up of 5 ids: HTTP 400: offset + limit must be < 10000");
    assert_int_equal(server_count(&fixture->server, "*batch*"), 1);
}

static void a_record_that_was_merged_is_followed(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture,
                  "on *batch*\nbody [{\"paperId\": \"00000000000000000000000000000000000000AA\", \"title\": "
                  "\"Mamba: Linear-Time Sequence Modeling with Selective State Spaces\", \"year\": 2023}]\n"
                  "on */00000000000000000000000000000000000000aa/references*\nfile references-last.json\n");
    struct fetch_options options = fixture_options(fixture);
    options.keys = (const char *const[]){"mamba"};
    options.key_count = 1;
    fixture_fetch(fixture, &options);
    assert_string_equal(
        fixture_text(fixture, "SELECT asked_id, paper_id FROM scholar_paper"),
        "7bbc7595196a0606a07506c4fb1473e5e87f6082|00000000000000000000000000000000000000aa\n");
    assert_string_equal(fixture_text(fixture, links), "mamba|hippo|0|0|0|1|1\n");
}

static void ids_that_a_person_changes_are_asked_for_again(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    fixture_fetch(fixture, &options);
    fixture_edit(fixture, "variants/s4.json", "\"doi\": null", "\"doi\": \"10.1000/s4\"");
    fixture_reopen(fixture);
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.requests, 1); /* the look-up; the paper is the same, so its list is here */
    assert_string_equal(
        fixture_text(fixture, "SELECT state, entry_ids FROM scholar_paper WHERE variant = 's4'"),
        "complete|ARXIV:2111.00396 DOI:10.1000/s4\n");
}

static void an_entry_that_gains_an_id_gains_its_links(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/s4.json", "\"arxiv\": \"2111.00396\"", "\"arxiv\": null");
    fixture_reopen(fixture);
    fixture_serve(fixture, "on *match*\nstatus 404\nfile error-match.json\n");
    struct fetch_options options = fixture_options(fixture);
    fixture_fetch(fixture, &options);
    assert_int_equal(
        fixture_integer(fixture, "SELECT count(*) FROM fetched_link WHERE 's4' IN (citing, cited)"), 0);
    fixture_edit(fixture, "variants/s4.json", "\"arxiv\": null", "\"arxiv\": \"2111.00396\"");
    fixture_reopen(fixture);
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.requests,
                     2); /* its look-up and its list: the list of mamba, which cites it, is here */
    assert_string_equal(fixture_text(fixture, links), links_of_graph(fixture, "cosine"));
}

/* ---- titles ---- */

static void a_title_alone_is_not_believed(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "on *match*\nfile match.json\n");
    struct fetch_options options = fixture_options(fixture);
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.proposal_count, 1);
    assert_string_equal(report.proposals[0].variant, "cosine");
    assert_string_equal(report.proposals[0].paper.title, "Flash cosine-similarity attention");
    assert_true(report.proposals[0].similarity > 0.999);
    assert_string_equal(
        fixture_text(fixture, "SELECT state, paper_id FROM scholar_paper WHERE variant = 'cosine'"),
        "not-found|NULL\n");
    assert_string_equal(fixture_text(fixture, "SELECT verdict FROM scholar_match"), "proposed\n");
    /* accepted later, it is not asked for again */
    options.accept = true;
    report = fixture_fetch(fixture, &options);
    assert_int_equal(server_count(&fixture->server, "*match*"), 1);
    assert_int_equal(report.proposal_count, 0);
    assert_string_equal(fixture_text(fixture, "SELECT verdict FROM scholar_match"), "accepted\n");
    assert_string_equal(
        fixture_text(fixture, "SELECT asked_id, paper_id FROM scholar_paper WHERE variant = 'cosine'"),
        "NULL|00000000000000000000000000000000000000c0\n");
}

static void accepts_nothing_that(struct fixture *fixture, const char *paper)
{
    char scenario[1024];
    snprintf(scenario, sizeof scenario, "on *match*\nbody {\"data\": [%s]}\n", paper);
    fixture_serve(fixture, scenario);
    fixture_run(fixture, "DELETE FROM scholar_match");
    fixture_run(fixture, "DELETE FROM scholar_paper WHERE variant = 'cosine'");
    fixture_run(fixture, "DELETE FROM scholar_response");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    options.keys = (const char *const[]){"cosine"};
    options.key_count = 1;
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.proposal_count, 1);
    assert_int_equal(report.states[PAPER_NOT_FOUND], 1);
}

static void what_speaks_against_a_title_is_heard(void **state)
{
    struct fixture *fixture = *state;
    accepts_nothing_that(fixture, "{\"paperId\": \"c0\", \"title\": \"Flash Cosine Similarity in Vision\"}");
    accepts_nothing_that(fixture, "{\"paperId\": \"c0\", \"title\": null}");
    accepts_nothing_that(fixture, "{\"paperId\": \"c0\", \"title\": \"Flash Cosine Similarity Attention\", "
                                  "\"authors\": [{\"name\": \"Another Person\"}]}");
    accepts_nothing_that(
        fixture, "{\"paperId\": \"c0\", \"title\": \"Flash Cosine Similarity Attention\", \"year\": 2015}");
    accepts_nothing_that(fixture, "{\"paperId\": \"204e3073870fae3d05bcbc2f6a8e263d9b72e776\", \"title\": "
                                  "\"Flash Cosine Similarity Attention\"}"); /* the transformer's */
}

static void the_threshold_can_be_set(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(
        fixture,
        "on *match*\nbody {\"data\": [{\"paperId\": \"c0\", \"title\": \"Flash Cosine Attention\"}]}\n");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    assert_int_equal(fixture_fetch(fixture, &options).proposal_count, 1);
    options.threshold = 0.6;
    assert_int_equal(fixture_fetch(fixture, &options).proposal_count, 0);
}

struct person {
    enum confirmation answer;
    int asked;
};

static enum confirmation ask_person(void *data, const struct scholar_match *match, const char *title)
{
    struct person *person = data;
    person->asked++;
    assert_string_equal(match->variant, "cosine");
    assert_string_equal(title, "Flash Cosine Similarity Attention");
    return person->answer;
}

static void a_person_is_asked(void **state)
{
    struct fixture *fixture = *state;
    struct person person = {CONFIRM_LATER, 0};
    fixture_serve(fixture, "on *match*\nfile match.json\n");
    struct fetch_options options = fixture_options(fixture);
    options.confirm = ask_person;
    options.data = &person;
    assert_int_equal(fixture_fetch(fixture, &options).proposal_count, 1);
    assert_int_equal(person.asked, 1);
    person.answer = CONFIRM_NO;
    assert_int_equal(fixture_fetch(fixture, &options).proposal_count, 0);
    assert_int_equal(person.asked, 2);
    assert_string_equal(fixture_text(fixture, "SELECT verdict FROM scholar_match"), "refused\n");
    /* whoever said no is not asked again, and no script says yes in their place */
    options.accept = true;
    fixture_fetch(fixture, &options);
    assert_int_equal(person.asked, 2);
    assert_string_equal(fixture_text(fixture, "SELECT verdict FROM scholar_match"), "refused\n");
}

static void what_a_person_accepted_stays_accepted(void **state)
{
    struct fixture *fixture = *state;
    struct person person = {CONFIRM_YES, 0};
    fixture_serve(fixture, "on *match*\nfile match.json\n");
    struct fetch_options options = fixture_options(fixture);
    options.confirm = ask_person;
    options.data = &person;
    fixture_fetch(fixture, &options);
    assert_int_equal(person.asked, 1);
    fixture->skipped += 10;
    fixture_run(fixture,
                "UPDATE scholar_paper SET paper_id = NULL, state = 'not-found' WHERE variant = 'cosine'");
    options.before = "2999-01-01";
    fixture_fetch(fixture, &options);
    assert_int_equal(person.asked, 1);
    assert_string_equal(fixture_text(fixture, "SELECT paper_id FROM scholar_paper WHERE variant = 'cosine'"),
                        "00000000000000000000000000000000000000c0\n");
}

/* ---- lists ---- */

static struct fetch_report fetch_mamba(struct fixture *fixture, const char *scenario)
{
    fixture_serve(fixture, scenario);
    struct fetch_options options = fixture_options(fixture);
    options.keys = (const char *const[]){"mamba"};
    options.key_count = 1;
    return fixture_fetch(fixture, &options);
}

static void pages_follow_each_other(void **state)
{
    struct fixture *fixture = *state;
    fetch_mamba(fixture,
                "on *offset=0&*\nfile references-first.json\non *offset=3&*\nfile references-last.json\n");
    assert_string_equal(fixture_text(fixture, "SELECT state, rows_received, next_offset FROM scholar_paper"),
                        "complete|5|0\n");
    assert_string_equal(fixture_text(fixture, links),
                        "mamba|hippo|0|0|0|1|1\nmamba|linear-transformer|0|0|0|0|0\nmamba|s4|0|0|1|0|1\n"
                        "mamba|transformer|1|1|0|1|3\n");
    assert_int_equal(server_count(&fixture->server, "*limit=1000"), 2);
}

static void of_two_references_to_one_entry_the_union_counts(void **state)
{
    struct fixture *fixture = *state;
    fetch_mamba(fixture, "on *references*\nfile references-odd.json\n");
    assert_string_equal(fixture_text(fixture, links),
                        "mamba|linear-transformer|1|1|0|1|2\nmamba|transformer|0|0|0|NULL|NULL\n");
    assert_string_equal(fixture_text(fixture, "SELECT state, rows_received FROM scholar_paper"),
                        "complete|7\n");
}

static void what_a_list_is_has_its_state(void **state)
{
    static const struct {
        const char *scenario, *state;
    } cases[] = {
        {"on *references*\nfile references-empty.json\n", "empty\n"},
        {"on *references*\nfile references-withheld.json\n", "elided\n"},
        {"on *references*\nstatus 404\nfile error-paper.json\n", "not-found\n"},
        {"on *references*\nbody {\"offset\": 0, \"next\": 9999, \"data\": [{}]}\n", "capped\n"},
        {"on *offset=0&*\nbody {\"next\": 9998, \"data\": [{}]}\non *offset=9998&limit=1\nbody {\"next\": "
         "9999, \"data\": "
         "[{}]}\n",
         "capped\n"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_run(fixture, "DELETE FROM scholar_paper; DELETE FROM scholar_response");
        struct fetch_report report = fetch_mamba(fixture, cases[i].scenario);
        assert_int_equal(report.failure_count, 0);
        assert_string_equal(fixture_text(fixture, "SELECT state FROM scholar_paper"), cases[i].state);
        assert_int_equal(fetch_mamba(fixture, cases[i].scenario).requests, 0);
    }
}

static void the_snapshot_stands_until_a_list_is_whole(void **state)
{
    struct fixture *fixture = *state;
    const char *of_mamba = "SELECT cited, source FROM citation WHERE citing = 'mamba' ORDER BY cited";
    const char *snapshot = fixture_text(fixture, of_mamba);
    fetch_mamba(fixture, "on *references*\nfile references-withheld.json\n");
    assert_string_equal(fixture_text(fixture, of_mamba), snapshot);
    fixture_run(fixture, "DELETE FROM scholar_paper; DELETE FROM scholar_response");
    fetch_mamba(fixture, "on *offset=0&*\nfile references-first.json\non *offset=3&*\nstatus 500\n");
    assert_string_equal(fixture_text(fixture, of_mamba), snapshot);
    fetch_mamba(fixture, "on *offset=3&*\nfile references-last.json\n");
    /* an entry without ids can be in no list: what the snapshot says of it stays */
    assert_string_equal(fixture_text(fixture, of_mamba),
                        "cosine|paper-text\nhippo|api\nlinear-transformer|api\ns4|api\n"
                        "transformer|api\n");
}

static void a_walk_that_never_ends_is_ended(void **state)
{
    struct fixture *fixture = *state;
    const char *scenario = "";
    for (int i = 0; i < 101; i++)
        scenario = arena_format(&fixture->arena, "%son *offset=%d&*\nbody {\"next\": %d, \"data\": [{}]}\n",
                                scenario, i, i + 1);
    struct fetch_report report = fetch_mamba(fixture, scenario);
    assert_int_equal(report.failure_count, 1);
    assert_int_equal(server_count(&fixture->server, "*references*"), 100);
}

/* ---- failures ---- */

static void one_paper_that_fails_leaves_the_others(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "on */7bbc*references*\nstatus 500\nfile error-500.json\n");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.failure_count, 1);
    assert_string_equal(report.failures[0].variant, "mamba");
    assert_string_equal(report.failures[0].reason, "references of 'mamba': HTTP 500: Internal Server Error");
    assert_int_equal(report.states[PAPER_FAILED], 1);
    assert_int_equal(report.states[PAPER_COMPLETE], 4);
    fixture_serve(fixture, "");
    options.endpoint = fixture->server.endpoint;
    report = fixture_fetch(fixture, &options);
    assert_int_equal(report.requests, 1);
    assert_string_equal(fixture_text(fixture, links), links_of_graph(fixture, NULL));
}

static void a_page_that_fails_is_the_only_one_asked_for_again(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_report report = fetch_mamba(
        fixture, "on *offset=0&*\nfile references-first.json\non *offset=3&*\nfile error-503.html\n");
    assert_int_equal(report.failure_count, 1);
    assert_string_equal(fixture_text(fixture, "SELECT state, next_offset, rows_received FROM scholar_paper"),
                        "failed|3|3\n");
    report = fetch_mamba(fixture, "on *offset=3&*\nfile references-last.json\n");
    assert_int_equal(report.requests, 1);
    assert_string_equal(fixture_text(fixture, "SELECT state, rows_received FROM scholar_paper"),
                        "complete|5\n");
    assert_int_equal(fixture_integer(fixture, "SELECT count(*) FROM fetched_link"), 4);
}

static void a_service_that_is_down_ends_the_fetch(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_report report;
    fixture_serve(fixture, "on *references*\nstatus 503\n");
    struct fetch_options options = fixture_options(fixture);
    const char *message = fixture_fetch_fails(fixture, &options, &report);
    assert_memory_equal(message, "the service does not answer: references of '", 44);
    assert_int_equal(report.failure_count, 2); /* the third ended it */
    assert_true(server_count(&fixture->server, "*references*") == 3 * CLIENT_TRIES);
}

static void an_interrupted_fetch_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_report report;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    fixture->stop = 1;
    assert_string_equal(fixture_fetch_fails(fixture, &options, &report), "interrupted");
    assert_int_equal(report.variants, 7);
    fixture->stop = 0;
    fixture_fetch(fixture, &options);
    assert_string_equal(fixture_text(fixture, links), links_of_graph(fixture, NULL));
}

/* ---- again ---- */

static void what_is_too_old_is_asked_for_again_once(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    size_t requests = fixture_fetch(fixture, &options).requests;
    fixture->skipped += 100;
    char before[TIMESTAMP_SIZE];
    timestamp_format(fixture->clock.wall(fixture->clock.data), before);
    fixture->skipped += 100;
    options.before = before;
    assert_int_equal(fixture_fetch(fixture, &options).requests,
                     requests - 1); /* a match that was accepted stays */
    assert_int_equal(fixture_fetch(fixture, &options).requests, 0);
    assert_string_equal(fixture_text(fixture, links), links_of_graph(fixture, NULL));
}

static void a_list_that_cannot_be_had_again_is_kept(void **state)
{
    struct fixture *fixture = *state;
    fetch_mamba(fixture, "");
    const char *before = fixture_text(fixture, links);
    fixture->skipped += 100;
    fixture_serve(fixture, "on *references*\nstatus 500\n");
    struct fetch_options options = fixture_options(fixture);
    options.keys = (const char *const[]){"mamba"};
    options.key_count = 1;
    options.before = "2999-01-01";
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(report.failure_count, 1);
    assert_int_equal(report.states[PAPER_COMPLETE], 1);
    assert_string_equal(fixture_text(fixture, links), before);
}

static void links_can_be_made_anew_without_the_service(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    fixture_fetch(fixture, &options);
    server_stop(&fixture->server);
    const char *before = fixture_text(fixture, links);
    fixture_run(fixture, "DELETE FROM fetched_link WHERE citing <> 's4'");
    fixture_run(fixture, "UPDATE fetched_link SET contexts = 77");
    struct fetch_report report;
    struct error error = ERROR_INIT;
    assert_int_equal(fetch_offline(fixture->catalog, &options, &fixture->arena, &report, &error), STATUS_OK);
    assert_string_equal(fixture_text(fixture, links), before);
    assert_int_equal(report.requests, 0);
}

/* ---- a full disk ---- */

/* At every number of pages that the database may have, from the present one to the one that suffices. */
static void a_full_disk_stops_a_fetch_and_spoils_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    int64_t pages = fixture_integer(fixture, "PRAGMA page_count"), stops = 0;
    size_t requests = 0;
    for (bool done = false; !done; pages++) {
        char sql[64];
        struct fetch_report report;
        struct error error = ERROR_INIT;
        snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages);
        fixture_run(fixture, sql);
        done = fetch_run(fixture->catalog, &options, &fixture->arena, &report, &error) == STATUS_OK;
        if (!done) {
            assert_non_null(strstr(error.message, "clade.db': database or disk is full"));
            stops++;
        }
        requests += report.requests;
        assert_string_equal(fixture_text(fixture, "PRAGMA integrity_check"), "ok\n");
        fixture_run(fixture, "PRAGMA max_page_count = 1000000");
        fixture_reopen(fixture);
    }
    assert_true(stops > 2);
    assert_string_equal(fixture_text(fixture, links), links_of_graph(fixture, NULL));
    /* each stop loses the one answer that found no place */
    assert_true(requests <= 8 + (size_t)stops);
}

/* ---- what is told ---- */

static void changes_of_links_and_counts_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct citation_state before, after;
    struct error error = ERROR_INIT;
    fetch_mamba(fixture,
                "on *offset=0&*\nfile references-first.json\non *offset=3&*\nfile references-last.json\n");
    assert_int_equal(citation_state_read(fixture->catalog, &fixture->arena, &before, &error), STATUS_OK);
    fixture_run(fixture, "DELETE FROM fetched_link WHERE cited = 'hippo'");
    fixture_run(fixture, "UPDATE fetched_link SET influential = 0 WHERE cited = 'transformer'");
    fixture_run(
        fixture,
        "INSERT INTO fetched_link VALUES ('mamba', 'nothing', 0, 0, 0, 0, 1, '2026-01-01T00:00:00Z')");
    fixture_run(fixture, "UPDATE scholar_paper SET citation_count = 1001");
    assert_int_equal(citation_state_read(fixture->catalog, &fixture->arena, &after, &error), STATUS_OK);
    struct citation_changes changes = citation_changes(&before, &after, &fixture->arena);
    assert_int_equal(changes.link_count, 3);
    assert_int_equal(changes.of_kind[LINK_GONE], 1);
    assert_string_equal(changes.links[0].before.cited, "hippo");
    assert_null(changes.links[0].after.citing);
    assert_int_equal(changes.of_kind[LINK_NEW], 1);
    assert_string_equal(changes.links[1].after.cited, "nothing");
    assert_int_equal(changes.of_kind[LINK_CHANGED], 1);
    assert_int_equal(changes.links[2].before.influential, 1);
    assert_int_equal(changes.links[2].after.influential, 0);
    assert_int_equal(changes.count_count, 1);
    assert_int_equal(changes.counts[0].before, 1000);
    assert_int_equal(changes.counts[0].after, 1001);
    changes = citation_changes(&after, &after, &fixture->arena);
    assert_int_equal(changes.link_count + changes.count_count, 0);
}

static const char *findings_of(struct fixture *fixture)
{
    struct finding *findings;
    size_t count;
    struct error error = ERROR_INIT;
    const char *rows = "";
    assert_int_equal(findings_read(fixture->catalog, &fixture->arena, &findings, &count, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        rows = arena_format(&fixture->arena, "%s%s %s: %s\n", rows, findings[i].variant,
                            finding_names[findings[i].kind], findings[i].message);
    return rows;
}

static void disagreements_with_the_catalogue_are_told(void **state)
{
    struct fixture *fixture = *state;
    assert_string_equal(findings_of(fixture), "");
    /* in the order of the keys: hippo, linear-transformer, mamba, s4, transformer */
    fixture_serve(
        fixture,
        "on *batch*\ntimes 1\nbody ["
        "{\"paperId\": \"aa\", \"title\": \"HiPPO: recurrent memory with optimal polynomial projections\", "
        "\"year\": 2010,"
        " \"referenceCount\": 80, \"externalIds\": {\"ArXiv\": \"2008.07669\", \"DOI\": \"10.1000/other\"}},"
        "{\"paperId\": \"6f68e1bb253925d8431588555d3010419f322e04\","
        " \"externalIds\": {\"DOI\": \"10.48550/arXiv.2006.16236\", \"ArXiv\": \"2006.16236\"}},"
        "{\"paperId\": \"7bbc7595196a0606a07506c4fb1473e5e87f6082\", \"title\": \"Something else\", "
        "\"year\": 2024},"
        "{\"paperId\": \"6f68e1bb253925d8431588555d3010419f322e04\", \"year\": 2021},null]\n"
        "on *batch*\nbody [null]\non *match*\nstatus 404\nfile error-match.json\n"
        "on *offset=0&*\nfile references-first.json\non *offset=3&*\nfile references-last.json\n");
    struct fetch_options options = fixture_options(fixture);
    fixture_fetch(fixture, &options);
    assert_string_equal(
        findings_of(fixture),
        "hippo merged: '0964490205fdc38c2f0980c9d778069089ca92e3' is answered by the record 'aa'\n"
        "hippo year: its year there is 2010, here 2020\n"
        "hippo id: its DOI there is '10.1000/other', here '10.1000/HiPPO'\n"
        "hippo short: 5 of 80 references came\n"
        "hippo missing-id: its arXiv id there is '2008.07669'\n"
        "mamba title: its title there is 'Something else'\n"
        "s4 shared: its paper there is that of 'linear-transformer'\n"
        "s4 missing-id: its id there is '6f68e1bb253925d8431588555d3010419f322e04'\n"
        "transformer not-found: no paper is known there by 204e3073870fae3d05bcbc2f6a8e263d9b72e776 "
        "ARXIV:1706.03762\n");
}

static void links_entered_by_hand_stay_and_are_told(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "on *match*\nfile match.json\non *000c0/references*\nfile references-last.json\n");
    struct fetch_options options = fixture_options(fixture);
    options.accept = true;
    fixture_fetch(fixture, &options);
    assert_string_equal(
        fixture_text(fixture, "SELECT cited, source FROM citation WHERE citing = 'cosine' ORDER BY 1"),
        "hippo|api\ntransformer|hand\n");
    assert_non_null(strstr(findings_of(fixture),
                           "cosine hand-link: its list there lacks 'transformer', which is here by hand\n"));
}

static void an_export_reads_back_as_the_same_citations(void **state)
{
    struct fixture *fixture = *state;
    struct error error = ERROR_INIT;
    const char *citations = "SELECT citing, cited, methodology, background, result, influential, contexts,"
                            " replace(source, 'api', 's2') FROM citation ORDER BY citing, cited";
    fixture_serve(fixture, "");
    struct fetch_options options = fixture_options(fixture);
    fixture_fetch(fixture, &options);
    const char *before = fixture_text(fixture, citations);
    const char *path = arena_format(&fixture->arena, "%s/citations.tsv", fixture->catalogue);
    citations_export(fixture->catalog, path, &error);
    assert_string_equal(error.message, "");
    fixture_run(fixture, "DELETE FROM scholar_paper; DELETE FROM fetched_link");
    fixture_reopen(fixture);
    assert_string_equal(fixture_text(fixture, citations), before);
}

static void the_key_is_nowhere(void **state)
{
    struct fixture *fixture = *state;
    fixture_serve(fixture, "on */7bbc*\nstatus 500\n");
    struct fetch_options options = fixture_options(fixture);
    options.key = "very-secret-key";
    struct fetch_report report = fixture_fetch(fixture, &options);
    assert_int_equal(server_count(&fixture->server, "POST *"), 1);
    for (size_t i = 0; i < report.failure_count; i++)
        assert_null(strstr(report.failures[i].reason, "secret"));
    catalog_close(fixture->catalog);
    fixture->catalog = NULL;
    char command[256];
    snprintf(command, sizeof command, "! grep -rq very-secret '%s'", fixture->folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(all_papers_and_their_links_are_fetched),
        WITH_FIXTURE(nothing_is_asked_for_twice),
        WITH_FIXTURE(some_entries_can_be_fetched_alone),
        WITH_FIXTURE(what_the_catalogue_says_is_not_touched),
        WITH_FIXTURE(a_plan_asks_nobody_and_changes_nothing),
        WITH_FIXTURE(the_next_id_is_asked_for_when_one_is_unknown),
        WITH_FIXTURE(a_batch_of_which_nothing_is_known_is_an_answer),
        WITH_FIXTURE(any_other_refusal_of_a_batch_is_a_failure),
        WITH_FIXTURE(a_record_that_was_merged_is_followed),
        WITH_FIXTURE(ids_that_a_person_changes_are_asked_for_again),
        WITH_FIXTURE(an_entry_that_gains_an_id_gains_its_links),
        WITH_FIXTURE(a_title_alone_is_not_believed),
        WITH_FIXTURE(what_speaks_against_a_title_is_heard),
        WITH_FIXTURE(the_threshold_can_be_set),
        WITH_FIXTURE(a_person_is_asked),
        WITH_FIXTURE(what_a_person_accepted_stays_accepted),
        WITH_FIXTURE(pages_follow_each_other),
        WITH_FIXTURE(of_two_references_to_one_entry_the_union_counts),
        WITH_FIXTURE(what_a_list_is_has_its_state),
        WITH_FIXTURE(the_snapshot_stands_until_a_list_is_whole),
        WITH_FIXTURE(a_walk_that_never_ends_is_ended),
        WITH_FIXTURE(one_paper_that_fails_leaves_the_others),
        WITH_FIXTURE(a_page_that_fails_is_the_only_one_asked_for_again),
        WITH_FIXTURE(a_service_that_is_down_ends_the_fetch),
        WITH_FIXTURE(an_interrupted_fetch_goes_on),
        WITH_FIXTURE(what_is_too_old_is_asked_for_again_once),
        WITH_FIXTURE(a_list_that_cannot_be_had_again_is_kept),
        WITH_FIXTURE(links_can_be_made_anew_without_the_service),
        WITH_FIXTURE(a_full_disk_stops_a_fetch_and_spoils_nothing),
        WITH_FIXTURE(changes_of_links_and_counts_are_told),
        WITH_FIXTURE(disagreements_with_the_catalogue_are_told),
        WITH_FIXTURE(links_entered_by_hand_stay_and_are_told),
        WITH_FIXTURE(an_export_reads_back_as_the_same_citations),
        WITH_FIXTURE(the_key_is_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
