#include "tensor/random.h"
#include "tensor/operation.h"
#include <math.h>

enum {
    ROUNDS = 10,
    TILE = 4096 /* numbers that one iteration of a parallel loop makes */
};

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * c0, p1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

/* Words of one block of a sequence: the key is the seed, the counter the block's number and the stream. */
static void block_words(uint64_t seed, uint64_t stream, uint64_t block, uint32_t words[4])
{
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    philox4x32(counter, key, words);
}

/* What becomes of a block's words. */
struct distribution {
    void (*numbers)(const struct distribution *distribution, const uint32_t words[4], double numbers[4]);
    int per_block; /* numbers that a block gives: 2 or 4 */
    double start, scale;
    uint64_t below;
};

static void fill(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count,
                 const struct distribution *distribution, real *values)
{
    uint64_t per_block = (uint64_t)distribution->per_block;
#pragma omp parallel for num_threads(threads_for(8.0 * (double)count)) schedule(static)
    for (int64_t from = 0; from < count; from += TILE) {
        int64_t to = count - from < TILE ? count : from + TILE;
        for (int64_t i = from; i < to;) {
            uint64_t index = offset + (uint64_t)i;
            uint32_t words[4];
            double numbers[4];
            block_words(seed, stream, index / per_block, words);
            distribution->numbers(distribution, words, numbers);
            for (uint64_t lane = index % per_block; lane < per_block && i < to; lane++)
                values[i++] = (real)numbers[lane];
        }
    }
}

static void uniform_numbers(const struct distribution *distribution, const uint32_t words[4],
                            double numbers[4])
{
    for (int i = 0; i < 4; i++)
        numbers[i] = distribution->start + distribution->scale * ((words[i] >> 9) + 0.5) * 0x1p-23;
}

void random_fill_uniform(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count, double low,
                         double high, real *values)
{
    fill(seed, stream, offset, count, &(struct distribution){uniform_numbers, 4, low, high - low, 0}, values);
}

static void normal_numbers(const struct distribution *distribution, const uint32_t words[4],
                           double numbers[4])
{
    for (int i = 0; i < 4; i += 2) {
        double radius = distribution->scale * sqrt(-2 * log((words[i] + 0.5) * 0x1p-32));
        double angle = 6.283185307179586 * ((words[i + 1] + 0.5) * 0x1p-32);
        numbers[i] = distribution->start + radius * cos(angle);
        numbers[i + 1] = distribution->start + radius * sin(angle);
    }
}

void random_fill_normal(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count, double mean,
                        double deviation, real *values)
{
    fill(seed, stream, offset, count, &(struct distribution){normal_numbers, 4, mean, deviation, 0}, values);
}

/* The high half of a product with 64 random bits: biased by less than below / 2^64. */
static uint64_t scaled_integer(const uint32_t pair[2], uint64_t below)
{
    uint64_t bits = (uint64_t)pair[1] << 32 | pair[0];
    return (uint64_t)((unsigned __int128)bits * below >> 64);
}

static void integer_numbers(const struct distribution *distribution, const uint32_t words[4],
                            double numbers[4])
{
    numbers[0] = (double)scaled_integer(words, distribution->below);
    numbers[1] = (double)scaled_integer(words + 2, distribution->below);
}

void random_fill_integers(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count, uint64_t below,
                          real *values)
{
    fill(seed, stream, offset, count, &(struct distribution){integer_numbers, 2, 0, 1, below}, values);
}

uint64_t random_integer(uint64_t seed, uint64_t stream, uint64_t index, uint64_t below)
{
    uint32_t words[4];
    block_words(seed, stream, index / 2, words);
    return scaled_integer(words + index % 2 * 2, below);
}
