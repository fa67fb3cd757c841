#include "base/memory.h"
#include "tensor/random.h"
#include "tensor/tensor.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 100003 };

/* The vectors that come with the authors' Random123 library (tests/kat_vectors). */
static void gives_the_published_vectors(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], words[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t words[4];
        philox4x32(known[i].counter, known[i].key, words);
        assert_memory_equal(words, known[i].words, sizeof words);
    }
}

/* Written down from the definition, apart from the code under test. */
static void maps_words_to_numbers_as_documented(void **state)
{
    const uint64_t seed = 0x123456789abcdef0, stream = 0xfedcba9876543210, block = 0x500000001;
    uint32_t words[4], counter[4] = {1, 5, 0x76543210, 0xfedcba98}, key[2] = {0x9abcdef0, 0x12345678};
    philox4x32(counter, key, words);
    real uniform[4], normal[4], integers[2];
    random_fill_uniform(seed, stream, 4 * block, 4, 2, 5, uniform);
    random_fill_normal(seed, stream, 4 * block, 4, 1, 0.5, normal);
    random_fill_integers(seed, stream, 2 * block, 2, 1000, integers);
    for (int i = 0; i < 4; i++) {
        assert_true(uniform[i] == (real)(2 + 3 * ((double)(words[i] / 512) + 0.5) / 8388608));
        double radius = sqrt(-2 * log(((double)words[i / 2 * 2] + 0.5) / 4294967296));
        double angle = 2 * acos(-1) * ((double)words[i / 2 * 2 + 1] + 0.5) / 4294967296;
        double expected = 1 + 0.5 * radius * (i % 2 ? sin(angle) : cos(angle));
        assert_true(fabs((double)normal[i] - expected) < 1e-6);
    }
    for (int i = 0; i < 2; i++) {
        double fraction = ((double)words[2 * i + 1] + (double)words[2 * i] / 4294967296) / 4294967296;
        assert_true(integers[i] == (real)floor(1000 * fraction));
        assert_true(random_integer(seed, stream, 2 * block + (uint64_t)i, 1000) == (uint64_t)integers[i]);
    }
}

typedef void (*filler)(uint64_t offset, int64_t count, real *values);

static void uniform(uint64_t offset, int64_t count, real *values)
{
    random_fill_uniform(7, 1, offset, count, -1, 3, values);
}

static void normal(uint64_t offset, int64_t count, real *values)
{
    random_fill_normal(7, 2, offset, count, 0.25, 2, values);
}

static void integers(uint64_t offset, int64_t count, real *values)
{
    random_fill_integers(7, 3, offset, count, 10, values);
}

static const filler fillers[] = {uniform, normal, integers};

static void is_the_same_for_any_threads_and_any_pieces(void **state)
{
    size_t bytes = COUNT * sizeof(real);
    real *whole = memory_allocate(bytes), *other = memory_allocate(bytes);
    for (int kind = 0; kind < 3; kind++) {
        tensor_set_threads(1);
        fillers[kind](11, COUNT, whole);
        for (int threads = 2; threads <= 7; threads++) {
            memset(other, 0xff, bytes);
            tensor_set_threads(threads);
            fillers[kind](11, COUNT, other);
            assert_memory_equal(other, whole, bytes);
        }
        memset(other, 0xff, bytes);
        for (int64_t at = 0, piece = 1; at < COUNT; at += piece, piece = piece % 7 + 1) {
            int64_t count = COUNT - at < piece ? COUNT - at : piece;
            fillers[kind](11 + (uint64_t)at, count, other + at);
        }
        assert_memory_equal(other, whole, bytes);
    }
    tensor_set_threads(0);
    free(whole);
    free(other);
}

static void differs_by_seed_stream_and_offset(void **state)
{
    real a[64], b[64];
    random_fill_uniform(1, 1, 0, 64, 0, 1, a);
    random_fill_uniform(2, 1, 0, 64, 0, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    random_fill_uniform(1, 2, 0, 64, 0, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    random_fill_uniform(1, 1, (uint64_t)1 << 40, 64, 0, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* Mean, variance and fourth moment within five standard errors. */
static void expect_moments(const real *values, double mean, double variance, double fourth)
{
    double sums[3] = {0};
    for (int i = 0; i < COUNT; i++) {
        double d = (double)values[i] - mean;
        sums[0] += d;
        sums[1] += d * d;
        sums[2] += d * d * d * d;
    }
    double n = COUNT;
    assert_true(fabs(sums[0] / n) < 5 * sqrt(variance / n));
    assert_true(fabs(sums[1] / n - variance) < 5 * sqrt((fourth - variance * variance) / n));
    assert_true(fabs(sums[2] / n - fourth) < 0.1 * fourth);
}

static void has_the_moments_of_its_distribution(void **state)
{
    real *values = memory_allocate(COUNT * sizeof *values);
    uniform(0, COUNT, values);
    expect_moments(values, 1, 16.0 / 12, 256.0 / 80);
    normal(0, COUNT, values);
    expect_moments(values, 0.25, 4, 3 * 16);
    free(values);
}

static void uniform_numbers_stay_inside_the_unit_interval(void **state)
{
    real *values = memory_allocate(COUNT * sizeof *values);
    double low = 1, high = 0;
    random_fill_uniform(3, 4, 0, COUNT, 0, 1, values);
    for (int i = 0; i < COUNT; i++) {
        low = fmin(low, (double)values[i]);
        high = fmax(high, (double)values[i]);
        assert_true((double)values[i] * 16777216 ==
                    floor((double)values[i] * 16777216)); /* exact in both precisions */
    }
    assert_true(low > 0 && low < 1e-3 && high < 1 && high > 0.999);
    free(values);
}

static void integers_below_n_are_equally_frequent(void **state)
{
    real *values = memory_allocate(COUNT * sizeof *values);
    int counts[10] = {0};
    integers(0, COUNT, values);
    for (int i = 0; i < COUNT; i++) {
        assert_true(values[i] >= 0 && values[i] < 10 && values[i] == (real)(int)values[i]);
        counts[(int)values[i]]++;
    }
    double chi_square = 0;
    for (int i = 0; i < 10; i++)
        chi_square += (counts[i] - COUNT / 10.0) * (counts[i] - COUNT / 10.0) / (COUNT / 10.0);
    assert_true(chi_square < 33.7); /* p = 0.0001 with 9 degrees of freedom */
    free(values);
    assert_true(random_integer(1, 1, 1, 1) == 0);
    uint64_t large = random_integer(1, 1, 2, UINT64_MAX);
    assert_true(large > UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_vectors),
        cmocka_unit_test(maps_words_to_numbers_as_documented),
        cmocka_unit_test(is_the_same_for_any_threads_and_any_pieces),
        cmocka_unit_test(differs_by_seed_stream_and_offset),
        cmocka_unit_test(has_the_moments_of_its_distribution),
        cmocka_unit_test(uniform_numbers_stay_inside_the_unit_interval),
        cmocka_unit_test(integers_below_n_are_equally_frequent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
