/* The search for a crossing on a made-up clock: what it finds is where the made-up times cross, and it stays
 * within its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/crossing.h"
#include "tensor/random.h"
#include <cmocka.h>
#include <math.h>

/* Two costs, fixed + part * length^power each, timed with an error of up to `noise` and a range that covers
 * it. */
struct machine {
    double fixed[2], part[2], power[2];
    double noise;
    uint64_t seed;
    int64_t shortest, longest; /* lengths that both take */
    size_t asked;
    double cost_s; /* of a comparison, and */
    double slope;  /* a token more */
    size_t bytes;  /* a token */
};

static double seconds(const struct machine *machine, int which, double length)
{
    return machine->fixed[which] + machine->part[which] * pow(length, machine->power[which]);
}

static double ratio(const struct machine *machine, double length)
{
    return seconds(machine, 0, length) / seconds(machine, 1, length);
}

static enum status compare(void *argument, int64_t length, struct crossing_point *point, struct error *error)
{
    struct machine *machine = argument;
    real noise;
    if (length < machine->shortest || length > machine->longest)
        return error_set(error, STATUS_USAGE, "no length of %lld", (long long)length);
    random_fill_uniform(machine->seed, 1, (uint64_t)length, 1, -1, 1, &noise);
    point->ratio = ratio(machine, (double)length) * exp(machine->noise * (double)noise);
    point->low = point->ratio * exp(-machine->noise);
    point->high = point->ratio * exp(machine->noise);
    point->cost_s = machine->cost_s + machine->slope * (double)length;
    point->bytes = machine->bytes * (size_t)length;
    machine->asked++;
    return STATUS_OK;
}

static const struct machine plain = {
    .fixed = {1, 1}, .part = {1, 1}, .power = {1, 1}, .shortest = 1, .longest = INT64_MAX, .cost_s = 1};

static void find(struct machine *machine, struct crossing_search search, struct crossing *crossing)
{
    struct error error = ERROR_INIT;
    search.first = search.first ? search.first : 16;
    search.last = search.last ? search.last : 16384;
    search.budget_s = search.budget_s > 0 ? search.budget_s : 1e9;
    search.memory = search.memory ? search.memory : SIZE_MAX;
    search.compare = compare;
    search.argument = machine;
    if (crossing_find(&search, crossing, &error))
        fail_msg("%s", error.message);
    for (size_t i = 1; i < crossing->count; i++)
        assert_true(crossing->points[i - 1].length < crossing->points[i].length);
}

/* A linear and a quadratic method that cross at a length drawn between 20 and 12000. */
static struct machine crossing_at(uint64_t seed, double noise, double *length)
{
    real draw;
    struct machine machine = plain;
    random_fill_uniform(seed, 2, 0, 1, 0, 1, &draw);
    *length = 20 * pow(600, (double)draw);
    machine.power[1] = 2;
    machine.fixed[0] = 3;
    machine.part[1] = (2 + *length) / (*length * *length); /* 3 + T = 1 + part T^2 there */
    machine.noise = noise;
    machine.seed = seed;
    return machine;
}

static void without_noise_the_crossing_is_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct crossing crossing;
        double length;
        struct machine machine = crossing_at(seed, 0, &length);
        find(&machine, (struct crossing_search){0}, &crossing);
        assert_int_equal(crossing.changes, 1);
        assert_int_equal(crossing.winner, -1);
        assert_true(fabs(crossing.length - length) < fmax(1, 0.01 * length));
        assert_true(crossing.low <= crossing.length && crossing.length <= crossing.high);
        assert_true(machine.asked == crossing.count && crossing.count <= 11 + 12);
    }
}

static void with_noise_the_crossing_is_within_its_range(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct crossing crossing;
        double length;
        struct machine machine = crossing_at(seed, 0.05, &length);
        find(&machine, (struct crossing_search){0}, &crossing);
        assert_int_equal(crossing.winner, -1);
        if (crossing.changes == 0) /* it ties at the shortest lengths */
            continue;
        assert_true(crossing.low <= crossing.length && crossing.length <= crossing.high);
        /* The range covers the error: the curves between the points are nearly straight. */
        assert_true(crossing.low <= 1.03 * length && length <= 1.03 * crossing.high);
        /* 5 % of noise at a slope of up to 1 are about 10 % of length each way, and the slope falls to 1/3 at
         * short ones. */
        assert_true(crossing.high / crossing.low < 1.8);
    }
}

static void swapped_the_answer_is_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct crossing one, other;
        double length;
        struct machine machine = crossing_at(seed, 0, &length), swapped = machine;
        for (int i = 0; i < 2; i++) {
            swapped.fixed[i] = machine.fixed[1 - i];
            swapped.part[i] = machine.part[1 - i];
            swapped.power[i] = machine.power[1 - i];
        }
        find(&machine, (struct crossing_search){0}, &one);
        find(&swapped, (struct crossing_search){0}, &other);
        assert_int_equal(one.winner, -other.winner);
        assert_true(fabs(one.length / other.length - 1) < 1e-9);
    }
}

static void one_that_is_always_faster_does_not_cross(void **state)
{
    (void)state;
    struct machine machine = plain;
    struct crossing crossing;
    machine.part[1] = 2;
    find(&machine, (struct crossing_search){0}, &crossing);
    assert_int_equal(crossing.changes, 0);
    assert_int_equal(crossing.winner, -1);
    assert_true(isnan(crossing.length) && isnan(crossing.low) && isnan(crossing.high));
    assert_int_equal(crossing.count, 11);
    assert_int_equal(crossing.end, CROSSING_LENGTH);
}

static void equal_ones_tie(void **state)
{
    (void)state;
    struct machine machine = plain;
    struct crossing crossing;
    machine.noise = 0.02;
    find(&machine, (struct crossing_search){0}, &crossing);
    assert_int_equal(crossing.winner, 0);
    assert_int_equal(crossing.changes, 0);
    assert_int_equal(crossing.count, 11);
}

static void the_last_length_is_measured(void **state)
{
    (void)state;
    struct machine machine = plain;
    struct crossing crossing;
    find(&machine, (struct crossing_search){.first = 100, .last = 1000}, &crossing);
    assert_int_equal(crossing.count, 5);
    assert_int_equal(crossing.points[4].length, 1000);
    find(&machine, (struct crossing_search){.first = 100, .last = 100}, &crossing);
    assert_int_equal(crossing.count, 1);
}

static void the_budget_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct crossing crossing;
        double length, total = 0;
        struct machine machine = crossing_at(seed, 0, &length);
        machine.slope = 0.01; /* 164 s at 16384 tokens */
        find(&machine, (struct crossing_search){.budget_s = 60}, &crossing);
        for (size_t i = 0; i < crossing.count; i++)
            total += crossing.points[i].cost_s;
        assert_true(total <= 60);
        assert_int_equal(crossing.end, CROSSING_BUDGET);
    }
    struct machine slow = plain;
    struct crossing crossing;
    slow.cost_s = 1000;
    find(&slow, (struct crossing_search){.budget_s = 60}, &crossing); /* something is always measured */
    assert_int_equal(crossing.count, 1);
}

static void the_memory_holds(void **state)
{
    (void)state;
    struct machine machine = plain;
    struct crossing crossing;
    machine.bytes = 1000;
    find(&machine, (struct crossing_search){.memory = 1000 * 1024}, &crossing);
    assert_int_equal(crossing.points[crossing.count - 1].length, 1024);
    assert_int_equal(crossing.end, CROSSING_MEMORY);
}

static void lengths_that_are_refused_are_passed_over(void **state)
{
    (void)state;
    struct machine machine = plain;
    struct crossing crossing;
    machine.shortest = 60;
    machine.longest = 3000;
    find(&machine, (struct crossing_search){0}, &crossing);
    assert_int_equal(crossing.points[0].length, 64);
    assert_int_equal(crossing.points[crossing.count - 1].length, 2048);
    assert_int_equal(crossing.end, CROSSING_REFUSED);
    assert_string_equal(crossing.refusal.message, "no length of 4096");
    struct error error = ERROR_INIT;
    struct crossing_search search = {
        .first = 16, .last = 32, .budget_s = 1, .memory = 1, .compare = compare, .argument = &machine};
    assert_int_equal(crossing_find(&search, &crossing, &error), STATUS_USAGE);
    assert_string_equal(error.message, "no length of 16");
}

/* 1 + T against a cost that is below it at short lengths, above it in the middle and below again. */
static enum status compare_twice(void *argument, int64_t length, struct crossing_point *point,
                                 struct error *error)
{
    double x = log2((double)length) - 9;
    (void)argument;
    (void)error;
    point->ratio = point->low = point->high = exp(1 - x * x / 4); /* 1 at 2^7 and 2^11 */
    point->cost_s = 1;
    return STATUS_OK;
}

static void of_several_changes_the_last_is_found(void **state)
{
    (void)state;
    struct crossing_search search = {
        .first = 24, .last = 20000, .budget_s = 1e9, .memory = SIZE_MAX, .compare = compare_twice};
    struct crossing crossing;
    struct error error = ERROR_INIT;
    assert_int_equal(crossing_find(&search, &crossing, &error), STATUS_OK);
    assert_int_equal(crossing.changes, 2);
    assert_int_equal(crossing.winner, -1);
    assert_true(fabs(crossing.length - 2048) < 0.01 * 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_noise_the_crossing_is_exact),
        cmocka_unit_test(with_noise_the_crossing_is_within_its_range),
        cmocka_unit_test(swapped_the_answer_is_the_same),
        cmocka_unit_test(one_that_is_always_faster_does_not_cross),
        cmocka_unit_test(equal_ones_tie),
        cmocka_unit_test(the_last_length_is_measured),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(the_memory_holds),
        cmocka_unit_test(lengths_that_are_refused_are_passed_over),
        cmocka_unit_test(of_several_changes_the_last_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
