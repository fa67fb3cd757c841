/* Sequences of the tasks against their rules, read back from the tokens alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "sheet.h"

/* ---- The rules ---- */

static void recall_asks_each_key_once_for_its_value(void **state)
{
    (void)state;
    fill("associative-recall", "length=40 vocabulary=24 pairs=8 filler=blank");
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t value[24] = {0}, questions = 0, values_seen[24] = {0};
        for (int64_t t = 0; t < 16; t += 2) {
            assert_in_range(at(i, t), 1, 11);
            assert_in_range(at(i, t + 1), 12, 23);
            assert_true(value[at(i, t)] == 0 && values_seen[at(i, t + 1)]++ == 0);
            value[at(i, t)] = at(i, t + 1);
        }
        for (int64_t t = 0; t < 40; t++) {
            if (asked(i, t) < 0) {
                assert_true(t < 16 || at(i, t) == 0);
                continue;
            }
            assert_true(t >= 16 && t % 2 == 0);
            assert_int_equal(asked(i, t), value[at(i, t)]);
            value[at(i, t)] = -1; /* not twice */
            questions++;
        }
        assert_int_equal(questions, 8);
    }
}

/* Small powers bring queries near the pairs, 1 spreads them evenly. */
static void recall_asks_soon_after_the_pairs(void **state)
{
    (void)state;
    int64_t sum[2] = {0, 0};
    static const char *const options[] = {"length=128 pairs=1 power=0.01", "length=128 pairs=1 power=1"};
    for (int form = 0; form < 2; form++) {
        fill("associative-recall", options[form]);
        for (int64_t i = 0; i < SEQUENCES; i++)
            for (int64_t t = 0; t < 128; t++)
                sum[form] += asked(i, t) >= 0 ? t : 0;
        settings_release(&sheet.task);
    }
    assert_true(sum[0] < 40 * SEQUENCES && sum[1] > 50 * SEQUENCES && sum[1] < 80 * SEQUENCES);
}

static void copying_says_the_tokens_in_order(void **state)
{
    (void)state;
    fill("selective-copying", "length=30 vocabulary=9 tokens=6");
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t copy = 24;
        assert_int_equal(at(i, 23), 8);
        for (int64_t t = 0; t < 23; t++)
            if (at(i, t) != 7)
                assert_int_equal(asked(i, copy++), at(i, t));
        assert_int_equal(copy, 30);
        for (int64_t t = 24; t < 30; t++)
            assert_int_equal(at(i, t), 7);
    }
}

static void induction_asks_what_followed_the_mark(void **state)
{
    (void)state;
    fill("induction-heads", "length=12 vocabulary=5");
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t first = 0;
        while (at(i, first) != 4)
            first++;
        assert_true(first < 10 && at(i, 11) == 4);
        assert_int_equal(asked(i, 11), at(i, first + 1));
        for (int64_t t = first + 1; t < 11; t++)
            assert_true(at(i, t) != 4);
    }
}

static void in_context_recall_asks_keys_that_were_there(void **state)
{
    (void)state;
    static const char *const options[] = {"length=31 vocabulary=10",
                                          "length=32 vocabulary=16 noise=0.4 noise_vocabulary=6"};
    for (int form = 0; form < 2; form++) {
        int64_t noise_seen = 0;
        fill("in-context-recall", options[form]);
        for (int64_t i = 0; i < SEQUENCES; i++) {
            int64_t value[5] = {0};
            for (int64_t t = 0; t < sheet.length; t += 2) {
                if (at(i, t) >= 10) {
                    noise_seen++;
                    assert_int_equal(asked(i, t), -1);
                    continue;
                }
                assert_in_range(at(i, t), 0, 4);
                assert_int_equal(asked(i, t), value[at(i, t)] ? value[at(i, t)] : -1);
                if (t + 1 == sheet.length)
                    continue;
                assert_in_range(at(i, t + 1), 5, 9);
                assert_int_equal(asked(i, t + 1), -1);
                value[at(i, t)] = at(i, t + 1);
            }
            assert_true(asked(i, 30) >= 0);
        }
        assert_true(form ? noise_seen > 0.3 * 16 * SEQUENCES && noise_seen < 0.5 * 16 * SEQUENCES
                         : !noise_seen);
        settings_release(&sheet.task);
    }
}

static void compression_asks_all_but_the_end(void **state)
{
    (void)state;
    fill("compression", "length=9 vocabulary=4");
    assert_true(sheet.sizes.summary);
    for (int64_t i = 0; i < SEQUENCES; i++)
        for (int64_t t = 0; t < 9; t++) {
            assert_int_equal(asked(i, t), t < 8 ? at(i, t) : -1);
            assert_true(t < 8 ? at(i, t) < 3 : at(i, t) == 3);
        }
}

static void parity_and_sums_follow_the_moves(void **state)
{
    (void)state;
    static const char *const options[] = {"length=20", "length=20 group=modular elements=7 asked=last"};
    for (int form = 0; form < 2; form++) {
        fill("state-tracking", options[form]);
        for (int64_t i = 0; i < SEQUENCES; i++)
            for (int64_t t = 0, sum = 0; t < 20; t++) {
                sum += at(i, t);
                assert_int_equal(asked(i, t), form == 0 ? sum % 2 : t < 19 ? -1 : sum % 7);
            }
        settings_release(&sheet.task);
    }
}

/* All permutations of four things in lexicographic order, found by counting to 4444 in base 4. */
static int64_t list_permutations(int64_t list[24][4])
{
    int64_t count = 0;
    for (int64_t code = 0; code < 256; code++) {
        int64_t images[4] = {code / 64, code / 16 % 4, code / 4 % 4, code % 4}, used = 0;
        for (int k = 0; k < 4; k++)
            used |= (int64_t)1 << images[k];
        if (used == 15)
            memcpy(list[count++], images, sizeof images);
    }
    return count;
}

static void permutations_move_things(void **state)
{
    (void)state;
    int64_t list[24][4];
    assert_int_equal(list_permutations(list), 24);
    fill("state-tracking", "length=25 group=permutations elements=4");
    assert_int_equal(sheet.sizes.vocabulary, 24);
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t places[4] = {0, 1, 2, 3}; /* where each thing is */
        for (int64_t t = 0; t < 25; t++) {
            for (int k = 0; k < 4; k++)
                places[k] = list[at(i, t)][places[k]];
            assert_memory_equal(list[asked(i, t)], places, sizeof places);
        }
    }
}

static void passkey_is_said_twice_and_asked_at_the_end(void **state)
{
    (void)state;
    static const char *const options[] = {"length=40 digits=4 words=5",
                                          "length=43 digits=3 repeated=3 words=5"};
    for (int form = 0; form < 2; form++) {
        int64_t n = form ? 6 : 4, doubled = 0;
        fill("passkey-retrieval", options[form]);
        for (int64_t i = 0; i < SEQUENCES; i++) {
            int64_t start = 0, word = 0, question = sheet.length - n;
            while (at(i, start) != 10)
                start++;
            assert_true(at(i, start + n + 1) == 11 && at(i, start + 2 * n + 2) == 12 &&
                        at(i, question) == 13);
            for (int64_t k = 0; k < n; k++) {
                int64_t digit = at(i, start + 1 + k);
                assert_in_range(digit, 0, 9);
                assert_int_equal(at(i, start + n + 2 + k), digit);
                assert_int_equal(asked(i, question + k), digit);
                assert_true(k + 1 == n || at(i, question + 1 + k) == digit);
                doubled += k && digit == at(i, start + k);
            }
            for (int64_t t = 0; t < question; t++)
                if (t < start || t > start + 2 * n + 2)
                    assert_int_equal(at(i, t), 14 + word++ % 5);
        }
        assert_true(!form || doubled >= 3 * SEQUENCES);
        settings_release(&sheet.task);
    }
}

static void a_long_key_has_one_value(void **state)
{
    (void)state;
    fill("key-value-retrieval",
         "length=60 signs=5 key_signs=3 value_signs=2"); /* 7 pairs of 7, a tail of 6, 5 left */
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t matches = 0;
        for (int64_t t = 0; t < 5; t++)
            assert_int_equal(at(i, t), 6);
        assert_true(at(i, 54) == 7 && at(i, 58) == 5);
        for (int64_t pair = 5; pair < 54; pair += 7) {
            assert_true(at(i, pair + 3) == 5 && at(i, pair + 6) == 6);
            bool same = true;
            for (int64_t k = 0; k < 3; k++)
                same &= at(i, pair + k) == at(i, 55 + k);
            if (!same)
                continue;
            matches++;
            assert_int_equal(asked(i, 58), at(i, pair + 4));
            assert_int_equal(at(i, 59), at(i, pair + 4));
            assert_int_equal(asked(i, 59), at(i, pair + 5));
        }
        assert_int_equal(matches, 1);
    }
}

/* Runs the statement at `place`; returns the place behind it. */
static int64_t execute(int64_t i, int64_t place, int64_t *value)
{
    enum { SET = 2, END, NOT, AND, OR, QUESTION, VARIABLES };
    int64_t target = at(i, place) - VARIABLES, operand[2] = {0, 0}, count = 0, sign = 0;
    assert_in_range(target, 0, 2);
    assert_int_equal(at(i, place + 1), SET);
    for (place += 2; at(i, place) != END; place++) {
        int64_t token = at(i, place);
        if (token == NOT || token == AND || token == OR) {
            sign = token;
            continue;
        }
        assert_in_range(count, 0, 1);
        operand[count] = token < 2 ? token : value[token - VARIABLES];
        assert_true(operand[count++] >= 0);
    }
    assert_int_equal(count, sign == AND || sign == OR ? 2 : 1);
    value[target] = sign == NOT   ? !operand[0]
                    : sign == AND ? operand[0] && operand[1]
                    : sign == OR  ? operand[0] || operand[1]
                                  : operand[0];
    return place + 1;
}

static void programs_run_to_the_answer(void **state)
{
    (void)state;
    fill("variable-assignment", "length=41 variables=3");
    for (int64_t i = 0; i < SEQUENCES; i++) {
        int64_t value[3] = {-1, -1, -1}, place = 0;
        while (at(i, place) == 3)
            place++;
        assert_true(place < 4);
        while (place < 39)
            place = execute(i, place, value);
        assert_true(place == 39 && at(i, 39) == 7);
        assert_int_equal(asked(i, 40), value[at(i, 40) - 8]);
    }
}

/* ---- What holds for all ---- */

static void sequences_depend_on_seed_and_number_alone(void **state)
{
    (void)state;
    for (size_t k = 0; k < registry_count; k++) {
        if (registry_kernels[k]->slot != SLOT_TASK)
            continue;
        fill(registry_kernels[k]->name, "");
        real ids[LONGEST], targets[LONGEST], test[LONGEST];
        size_t size = (size_t)sheet.length * sizeof(real);
        task_fill(&sheet.task, SEED, 17, 1, ids, targets);
        assert_memory_equal(ids, sheet.ids[17], size);
        assert_memory_equal(targets, sheet.targets[17], size);
        task_fill(&sheet.task, SEED, TASK_TEST + 17, 1, test, targets);
        assert_memory_not_equal(ids, test, size);
        task_fill(&sheet.task, SEED + 1, 17, 1, test, targets);
        assert_memory_not_equal(ids, test, size);
        settings_release(&sheet.task);
    }
}

static void options_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][3] = {
        {"associative-recall", "length=15 pairs=4", "4 pairs"},
        {"associative-recall", "pairs=4 vocabulary=8", "twice the pairs"},
        {"selective-copying", "length=16 tokens=8", "over twice the tokens"},
        {"in-context-recall", "vocabulary=9 noise=0.1 noise_vocabulary=8", "a key and a value"},
        {"state-tracking", "group=permutations elements=8", "at most 7"},
        {"passkey-retrieval", "length=17 digits=5", "3 times the digits"},
        {"key-value-retrieval", "length=10", "at least 3"},
        {"key-value-retrieval", "length=64 signs=2", "more keys"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct settings task;
        struct error error = ERROR_INIT;
        settings_init(&task, registry_find(wrong[i][0]));
        set_options(&task, wrong[i][1]);
        assert_int_equal(task_validate(&task, &error), STATUS_USAGE);
        assert_non_null(strstr(error.message, wrong[i][0]));
        if (!strstr(error.message, wrong[i][2]))
            fail_msg("'%s' does not say '%s'", error.message, wrong[i][2]);
        settings_release(&task);
    }
}

static void a_mixer_is_no_task(void **state)
{
    (void)state;
    struct settings mixer;
    struct error error = ERROR_INIT;
    settings_init(&mixer, registry_find("attention"));
    assert_int_equal(task_validate(&mixer, &error), STATUS_USAGE);
    assert_non_null(strstr(error.message, "'attention' is no task but fills the slot mixer"));
    settings_release(&mixer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(recall_asks_each_key_once_for_its_value, release),
        cmocka_unit_test(recall_asks_soon_after_the_pairs),
        cmocka_unit_test_teardown(copying_says_the_tokens_in_order, release),
        cmocka_unit_test_teardown(induction_asks_what_followed_the_mark, release),
        cmocka_unit_test(in_context_recall_asks_keys_that_were_there),
        cmocka_unit_test_teardown(compression_asks_all_but_the_end, release),
        cmocka_unit_test(parity_and_sums_follow_the_moves),
        cmocka_unit_test_teardown(permutations_move_things, release),
        cmocka_unit_test(passkey_is_said_twice_and_asked_at_the_end),
        cmocka_unit_test_teardown(a_long_key_has_one_value, release),
        cmocka_unit_test_teardown(programs_run_to_the_answer, release),
        cmocka_unit_test(sequences_depend_on_seed_and_number_alone),
        cmocka_unit_test(options_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_mixer_is_no_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
