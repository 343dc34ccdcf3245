/* tests/test_base_rng.c: known answers, ranges and moments of the random numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/suite.h"

START_TEST(philox_gives_the_known_answers) {
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        /* Random123's kat_vectors, philox4x32 with 10 rounds. */
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        md_philox(cases[i].counter, cases[i].key, out);
        ck_assert_mem_eq(out, cases[i].out, sizeof out);
    }
}
END_TEST

START_TEST(a_place_is_laid_out_in_the_counter_as_promised) {
    md_rng rng = {.seed = 0x299f31d0a4093822, .stream = 0x44, .step = 0x03707313198a2e};
    uint32_t bits[4];
    md_rng_bits(rng, 0x85a308d3, 0x243f6a88, bits);
    uint32_t counter[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x44 | 0x037073u << 8};
    uint32_t key[2] = {0xa4093822, 0x299f31d0}, expected[4];
    md_philox(counter, key, expected);
    ck_assert_mem_eq(bits, expected, sizeof bits);
}
END_TEST

START_TEST(every_coordinate_changes_the_draw) {
    md_rng rng = {.seed = 1, .stream = MD_STREAM_MASK, .step = 7}, other = rng;
    double u = md_uniform(rng, 2, 3);
    ck_assert(u == md_uniform(rng, 2, 3));
    ck_assert(u != md_uniform(rng, 3, 2));
    ck_assert(u != md_uniform(rng, 2, 4));
    other.step += UINT64_C(1) << 40;
    ck_assert(u != md_uniform(other, 2, 3));
    other = rng, other.seed += UINT64_C(1) << 40;
    ck_assert(u != md_uniform(other, 2, 3));
    other = rng, other.stream = MD_STREAM_TIME;
    ck_assert(u != md_uniform(other, 2, 3));
}
END_TEST

enum { DRAWS = 200000 };

/* Tolerances are five standard errors of each estimate: a wrong generator misses them by far, and
 * the draws are fixed, so a right one never fails. */
START_TEST(uniform_draws_have_the_moments_of_the_unit_interval) {
    md_rng rng = {.seed = 42, .stream = MD_STREAM_TIME};
    double sum = 0, squares = 0, least = 2, most = -1;
    for (uint32_t i = 0; i < DRAWS; i++) {
        double u = md_uniform(rng, 0, i);
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
        least = fmin(least, u);
        most = fmax(most, u);
    }
    ck_assert_double_eq_tol(sum / DRAWS, 0.5, 5 * sqrt(1.0 / 12 / DRAWS));
    ck_assert_double_eq_tol(squares / DRAWS, 1.0 / 12, 5 * sqrt(1.0 / 180 / DRAWS));
    ck_assert(least > 0 && least < 1e-4);
    ck_assert(most < 1 && most > 1 - 1e-4);
}
END_TEST

START_TEST(normal_draws_have_the_moments_of_a_gaussian) {
    md_rng rng = {.seed = 42, .stream = MD_STREAM_NOISE};
    double moments[5] = {0};
    for (uint32_t i = 0; i < DRAWS; i++) {
        double x = md_normal(rng, 1, i);
        for (int k = 1; k < 5; k++) moments[k] += pow(x, k) / DRAWS;
    }
    /* Variances of x, x^2, x^3, x^4 are 1, 2, 15, 96. */
    ck_assert_double_eq_tol(moments[1], 0, 5 * sqrt(1.0 / DRAWS));
    ck_assert_double_eq_tol(moments[2], 1, 5 * sqrt(2.0 / DRAWS));
    ck_assert_double_eq_tol(moments[3], 0, 5 * sqrt(15.0 / DRAWS));
    ck_assert_double_eq_tol(moments[4], 3, 5 * sqrt(96.0 / DRAWS));
}
END_TEST

/* Both uniforms of a place as Box and Muller use them, from the bits and the system's functions. */
static double normal_by_library(md_rng rng, uint32_t sequence, uint32_t position) {
    uint32_t b[4];
    md_rng_bits(rng, sequence, position, b);
    double u = ((double)(((uint64_t)b[1] << 32 | b[0]) >> 12) + 0.5) * 0x1p-52;
    double v = ((double)(((uint64_t)b[3] << 32 | b[2]) >> 12) + 0.5) * 0x1p-52;
    return sqrt(-2 * log(u)) * cos(2 * acos(-1) * v);
}

/* A dozen roundings of numbers of size 1, and the radius' of 6 at most. */
START_TEST(normal_draws_are_those_of_the_library_functions) {
    md_rng rng = {.seed = 8, .stream = MD_STREAM_NOISE, .step = UINT64_C(1) << 40};
    for (uint32_t i = 0; i < DRAWS; i++) {
        double expected = normal_by_library(rng, 6, i);
        ck_assert_double_eq_tol(md_normal(rng, 6, i), expected, 1e-14);
    }
}
END_TEST

START_TEST(many_normals_are_the_single_ones_bit_for_bit) {
    enum { MOST = 150 };
    md_rng rng = {.seed = 5, .stream = MD_STREAM_NOISE, .step = 77};
    static const uint32_t firsts[] = {0, 3, UINT32_MAX - 20};
    for (size_t f = 0; f < 3; f++)
        for (int64_t count = 0; count <= MOST; count += 1 + count / 7) {
            float found[MOST + 1];
            found[count] = 9;
            md_normal_fill(rng, 4, firsts[f], count, found);
            for (int64_t i = 0; i < count; i++)
                ck_assert(found[i] == (float)md_normal(rng, 4, firsts[f] + (uint32_t)i));
            ck_assert(found[count] == 9);
        }
}
END_TEST

START_TEST(bounded_draws_cover_their_range_evenly) {
    md_rng rng = {.seed = 3, .stream = MD_STREAM_TOKEN};
    enum { SIDES = 7 };
    int counts[SIDES] = {0};
    for (uint32_t i = 0; i < 70000; i++) {
        uint64_t side = md_uniform_below(rng, 0, i, SIDES);
        if (side >= SIDES) ck_abort_msg("%d is not a side", (int)side);
        counts[side]++;
    }
    double expected = 70000.0 / SIDES, deviation = sqrt(expected * (1 - 1.0 / SIDES));
    for (int i = 0; i < SIDES; i++) ck_assert_double_eq_tol(counts[i], expected, 5 * deviation);
    for (uint32_t i = 0; i < 100; i++) ck_assert_uint_eq(md_uniform_below(rng, 0, i, 1), 0);
    ck_assert_uint_gt(md_uniform_below(rng, 0, 0, UINT64_MAX) >> 32, 0);
}
END_TEST

START_TEST(a_permutation_reaches_every_item_once) {
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4096, 4097, 20000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t n = sizes[s];
        md_rng rng = {.seed = s, .stream = MD_STREAM_ORDER, .step = 5};
        unsigned char *seen = calloc(n, 1);
        ck_assert_ptr_nonnull(seen);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t item = md_permute(rng, i, n);
            if (item >= n || seen[item]) ck_abort_msg("item %d again or outside", (int)item);
            seen[item] = 1;
        }
        free(seen);
    }
}
END_TEST

START_TEST(a_permutation_works_at_the_largest_sizes) {
    md_rng rng = {.seed = 9, .stream = MD_STREAM_ORDER};
    static const uint64_t sizes[] = {UINT64_MAX, (UINT64_C(1) << 62) + 1, UINT64_C(1) << 62};
    for (size_t s = 0; s < 3; s++) {
        uint64_t a = md_permute(rng, 0, sizes[s]), b = md_permute(rng, sizes[s] - 1, sizes[s]);
        ck_assert(a < sizes[s] && b < sizes[s] && a != b);
    }
}
END_TEST

START_TEST(a_permutation_mixes_and_follows_its_key) {
    enum { N = 1000 };
    md_rng rng = {.seed = 1, .stream = MD_STREAM_ORDER}, next = rng;
    next.step = 1;
    int fixed = 0, same = 0, rising = 0;
    for (uint64_t i = 0; i < N; i++) {
        fixed += md_permute(rng, i, N) == i;
        same += md_permute(rng, i, N) == md_permute(next, i, N);
        rising += i > 0 && md_permute(rng, i, N) > md_permute(rng, i - 1, N);
    }
    /* Fixed points and coincidences are Poisson(1); rises have mean N/2, variance N/12. */
    ck_assert_int_lt(fixed, 10);
    ck_assert_int_lt(same, 10);
    ck_assert_double_eq_tol(rising, N / 2.0, 5 * sqrt(N / 12.0));
}
END_TEST

START_TEST(small_permutations_all_occur_about_equally_often) {
    int counts[27] = {0};
    enum { KEYS = 6000 };
    for (uint64_t seed = 0; seed < KEYS; seed++) {
        md_rng rng = {.seed = seed, .stream = MD_STREAM_ORDER};
        counts[md_permute(rng, 0, 3) * 9 + md_permute(rng, 1, 3) * 3 + md_permute(rng, 2, 3)]++;
    }
    int kinds = 0;
    for (int i = 0; i < 27; i++) {
        if (counts[i] == 0) continue;
        kinds++;
        ck_assert_double_eq_tol(counts[i], KEYS / 6.0, 5 * sqrt(KEYS * 5.0 / 36));
    }
    ck_assert_int_eq(kinds, 6);
}
END_TEST

int main(void) {
    Suite *s = suite_create("rng");
    suite_case(s, philox_gives_the_known_answers);
    suite_case(s, a_place_is_laid_out_in_the_counter_as_promised);
    suite_case(s, every_coordinate_changes_the_draw);
    suite_case(s, uniform_draws_have_the_moments_of_the_unit_interval);
    suite_case(s, normal_draws_have_the_moments_of_a_gaussian);
    suite_case(s, normal_draws_are_those_of_the_library_functions);
    suite_case(s, many_normals_are_the_single_ones_bit_for_bit);
    suite_case(s, bounded_draws_cover_their_range_evenly);
    suite_case(s, a_permutation_reaches_every_item_once);
    suite_case(s, a_permutation_works_at_the_largest_sizes);
    suite_case(s, a_permutation_mixes_and_follows_its_key);
    suite_case(s, small_permutations_all_occur_about_equally_often);
    return suite_run(s);
}
