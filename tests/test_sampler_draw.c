/* tests/test_sampler_draw.c: one token from one row: closed forms, edges, extremes. */
#include <math.h>

#include "sampler/draw.h"
#include "tests/suite.h"
#include "tests/table_model.h"

enum { V = 6, MASK = 2, DRAWS = 100000 };

/* Probabilities .1, .3, -, .15, .4, .05: the mask would win by far. */
static const double law[V] = {0.1, 0.3, 0, 0.15, 0.4, 0.05};
static float row[V];

static void make_row(void) {
    for (int v = 0; v < V; v++) row[v] = v == MASK ? 50.0F : (float)log(law[v]) + 3.0F;
}

static md_drawer *drawer_of(const md_sampler_options *opt) {
    mdlm_error err = {0};
    md_drawer *d = md_drawer_new(V, MASK, opt, &err);
    ck_assert_ptr_nonnull(d);
    return d;
}

static md_sampler_options options(double temperature, int top_k, double top_p) {
    md_sampler_options opt = md_sampler_defaults();
    opt.temperature = temperature, opt.top_k = top_k, opt.top_p = top_p;
    return opt;
}

static md_drawer *drawer(double temperature, int top_k, double top_p) {
    const md_sampler_options opt = options(temperature, top_k, top_p);
    return drawer_of(&opt);
}

static bool draw(md_drawer *d, const float *logits, double u, md_proposal *out) {
    md_draw one = {.logits = logits, .u = u, .proposal = out};
    return md_drawer_draw(d, &one, 1) == 1;
}

/* p-value of draws under the options against `expected`, which is normalised here. */
static double agreement(double temperature, int top_k, double top_p, const double *expected) {
    md_drawer *d = drawer(temperature, top_k, top_p);
    md_rng rng = {.seed = 12, .stream = MD_STREAM_TOKEN};
    int count[V] = {0};
    double normal[V], sum = 0;
    bool fine = true;
    make_row();
    for (int v = 0; v < V; v++) sum += expected[v];
    for (int v = 0; v < V; v++) normal[v] = expected[v] / sum;
    for (uint32_t i = 0; i < DRAWS; i++) {
        md_proposal p = {.token = -1};
        fine = fine && draw(d, row, md_uniform(rng, i, 0), &p) && p.token != MASK;
        fine = fine && fabs(p.confidence - law[p.token]) < 1e-6; /* logits are floats */
        if (fine) count[p.token]++;
    }
    ck_assert(fine);
    md_drawer_free(d);
    return chi_square_test(count, normal, V);
}

START_TEST(temperature_one_draws_from_the_softmax) {
    ck_assert_double_gt(agreement(1, 0, 1, law), 1e-3);
}
END_TEST

START_TEST(temperature_is_a_power_of_the_probabilities) {
    double sharp[V], flat[V], slightly[V];
    for (int v = 0; v < V; v++) {
        sharp[v] = law[v] > 0 ? pow(law[v], 1 / 0.5) : 0;
        flat[v] = law[v] > 0 ? pow(law[v], 1 / 2.0) : 0;
        slightly[v] = law[v] > 0 ? pow(law[v], 1 / 0.9) : 0;
    }
    ck_assert_double_gt(agreement(0.5, 0, 1, sharp), 1e-3);
    ck_assert_double_gt(agreement(2, 0, 1, flat), 1e-3);
    ck_assert_double_lt(agreement(1, 0, 1, slightly), 1e-6); /* the check can fail */
}
END_TEST

START_TEST(top_k_keeps_the_most_probable) {
    const double three[V] = {0, 0.3, 0, 0.15, 0.4, 0}, one[V] = {0, 0, 0, 0, 1, 0};
    ck_assert_double_gt(agreement(1, 3, 1, three), 1e-3);
    ck_assert_double_gt(agreement(1, 1, 1, one), 1e-3);
    ck_assert_double_gt(agreement(1, 5, 1, law), 1e-3);
    ck_assert_double_gt(agreement(1, 1000, 1, law), 1e-3);
}
END_TEST

START_TEST(top_p_keeps_the_smallest_set_that_reaches_its_share) {
    const double two[V] = {0, 0.3, 0, 0, 0.4, 0}, three[V] = {0, 0.3, 0, 0.15, 0.4, 0};
    const double one[V] = {0, 0, 0, 0, 1, 0};
    ck_assert_double_gt(agreement(1, 0, 0.39, one), 1e-3);
    ck_assert_double_gt(agreement(1, 0, 0.41, two), 1e-3);
    ck_assert_double_gt(agreement(1, 0, 0.69, two), 1e-3);
    ck_assert_double_gt(agreement(1, 0, 0.71, three), 1e-3);
    ck_assert_double_gt(agreement(1, 0, 1e-9, one), 1e-3);
}
END_TEST

START_TEST(top_p_follows_temperature_and_top_k) {
    /* At temperature 1/2 the shares are .01, .09, .0225, .16, .0025 of .285: two reach .877. */
    const double sharp[V] = {0, 0.09, 0, 0, 0.16, 0};
    ck_assert_double_gt(agreement(0.5, 0, 0.87, sharp), 1e-3);
    /* Of the three that top-k leaves (.85 in all), two hold .8235. */
    const double two[V] = {0, 0.3, 0, 0, 0.4, 0}, three[V] = {0, 0.3, 0, 0.15, 0.4, 0};
    ck_assert_double_gt(agreement(1, 3, 0.82, two), 1e-3);
    ck_assert_double_gt(agreement(1, 3, 0.83, three), 1e-3);
}
END_TEST

START_TEST(equal_tokens_are_kept_by_the_lower_id) {
    const float equal[V] = {1.0F, 1.0F, 9.0F, 1.0F, 1.0F, 1.0F};
    md_drawer *k = drawer(1, 2, 1), *p = drawer(1, 0, 0.3), *greedy = drawer(0, 0, 1);
    for (int i = 0; i < 100; i++) {
        md_proposal a, b, c;
        double u = (i + 0.5) / 100;
        ck_assert(draw(k, equal, u, &a) && draw(p, equal, u, &b) && draw(greedy, equal, u, &c));
        ck_assert_int_eq(a.token, i >= 50);
        ck_assert_int_eq(b.token, i >= 50);
        ck_assert_int_eq(c.token, 0);
    }
    md_drawer_free(k);
    md_drawer_free(p);
    md_drawer_free(greedy);
}
END_TEST

START_TEST(temperature_zero_takes_the_most_probable) {
    md_drawer *d = drawer(0, 2, 0.1);
    make_row();
    for (int i = 0; i < 100; i++) {
        md_proposal p;
        ck_assert(draw(d, row, (i + 0.5) / 100, &p));
        ck_assert_int_eq(p.token, 4);
        ck_assert_double_eq_tol(p.confidence, 0.4, 1e-6);
    }
    md_drawer_free(d);
}
END_TEST

/* A float32 uniform or Gumbel variable stops near 1e-8; here 1e-12 has its exact share. */
START_TEST(tiny_probabilities_keep_their_share) {
    const float tail[V] = {-27.631021F, 0.0F, 9.0F, -INFINITY, -INFINITY, -INFINITY};
    double p0 = exp((double)tail[0]);
    md_drawer *d = drawer(1, 0, 1);
    md_proposal p;
    ck_assert_double_eq_tol(p0, 1e-12, 1e-18);
    ck_assert(draw(d, tail, 0.999 * p0, &p));
    ck_assert_int_eq(p.token, 0);
    ck_assert_double_eq_tol(p.confidence, 1e-12, 1e-18);
    ck_assert(draw(d, tail, 1.001 * p0, &p));
    ck_assert_int_eq(p.token, 1);
    md_drawer_free(d);
}
END_TEST

START_TEST(the_ends_of_the_unit_interval_draw_possible_tokens) {
    const float ends[V] = {-INFINITY, 0.0F, 9.0F, 1.0F, 2.0F, -INFINITY};
    const double temperatures[] = {1e-300, 0.1, 1, 1e300};
    for (int i = 0; i < 4; i++) {
        md_drawer *d = drawer(temperatures[i], 0, 1);
        md_proposal low, high;
        ck_assert(draw(d, ends, 0x1p-54, &low));
        ck_assert(draw(d, ends, 1 - 0x1p-53, &high));
        ck_assert_int_eq(low.token, i == 0 ? 4 : 1);
        ck_assert_int_eq(high.token, 4);
        md_drawer_free(d);
    }
}
END_TEST

START_TEST(rows_that_are_no_distribution_are_refused) {
    const float bad[][V] = {
        {0, NAN, 0, 0, 0, 0},
        {0, 0, 0, 0, 0, NAN},
        {NAN, 0, 0, 0, 0, 0},
        {0, 0, 0, INFINITY, 0, 0},
        {-INFINITY, -INFINITY, 0, -INFINITY, -INFINITY, -INFINITY},
    };
    const double temperatures[] = {0, 1};
    for (int t = 0; t < 2; t++) {
        md_drawer *d = drawer(temperatures[t], 0, 1);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            md_proposal p = {.token = 7};
            ck_assert_msg(!draw(d, bad[i], 0.5, &p), "row %zu", i);
            ck_assert_int_eq(p.token, 7);
        }
        md_drawer_free(d);
    }
}
END_TEST

/* --- what may be drawn ----------------------------------------------------------------------- */

/* Confidence, entropy and margin of p [V] when `token` is drawn. */
static void check_scores(const md_proposal *found, const double *p, int token) {
    double sum = 0, entropy = 0, first = 0, second = 0;
    for (int v = 0; v < V; v++) sum += p[v];
    for (int v = 0; v < V; v++) {
        double q = p[v] / sum;
        if (q > 0) entropy -= q * log(q);
        second = fmax(second, fmin(q, first));
        first = fmax(q, first);
    }
    /* logits are floats, and so are weights */
    ck_assert_int_eq(found->token, token);
    ck_assert_double_eq_tol(found->confidence, p[token] / sum, 1e-6);
    ck_assert_double_eq_tol(found->best_confidence, first, 1e-6);
    ck_assert_double_eq_tol(found->entropy, entropy, 1e-6);
    ck_assert_double_eq_tol(found->margin, first - second, 1e-6);
}

START_TEST(forbidden_tokens_are_no_part_of_the_distribution) {
    /* Without token 4, and NaN where nothing may be drawn does not matter. */
    const uint8_t allowed[V] = {1, 1, 1, 1, 0, 1}, others[V] = {0, 1, 0, 1, 1, 0};
    const double rest[V] = {0.1, 0.3, 0, 0.15, 0, 0.05}, both[V] = {0, 0.3, 0, 0.15, 0, 0};
    const double temperatures[] = {0, 0.5, 1, 3};
    make_row();
    for (int i = 0; i < 16; i++) {
        md_sampler_options opt = options(temperatures[i % 4], 0, 1);
        md_proposal one, two;
        if (i & 4) opt.allowed = allowed;
        if (!(i & 4)) opt.end_of_text = MD_END_FORBID, opt.end_of_text_id = 4;
        row[4] = i & 8 ? NAN : 3.0F;
        md_drawer *d = drawer_of(&opt);
        for (int n = 0; n < 100; n++) {
            md_draw draws[] = {
                {.logits = row, .u = (n + 0.5) / 100, .proposal = &one},
                {.logits = row, .u = (n + 0.5) / 100, .allowed = others, .proposal = &two}};
            ck_assert_int_eq(md_drawer_draw(d, draws, 2), 2);
            ck_assert(one.token != 4 && (two.token == 1 || two.token == 3));
            check_scores(&one, rest, opt.temperature > 0 ? one.token : 1);
            check_scores(&two, both, opt.temperature > 0 ? two.token : 1);
        }
        md_drawer_free(d);
    }
}
END_TEST

START_TEST(a_row_of_which_nothing_may_be_drawn_says_so) {
    const uint8_t allowed[V] = {1, 0, 1, 0, 0, 1}, none[V] = {0, 1, 0, 0, 1, 0};
    const float impossible[V] = {-INFINITY, 0, 0, 0, 0, -INFINITY}, broken[V] = {NAN};
    md_proposal p = {.token = 7};
    md_sampler_options opt = options(1, 0, 1);
    opt.allowed = allowed;
    for (int i = 0; i < 2; i++) {
        opt.temperature = i;
        md_drawer *d = drawer_of(&opt);
        md_draw draws[] = {{.logits = row, .u = 0.5, .allowed = none, .proposal = &p},
                           {.logits = impossible, .u = 0.5, .proposal = &p},
                           {.logits = broken, .u = 0.5, .proposal = &p}};
        make_row();
        ck_assert_int_eq(md_drawer_draw(d, draws, 3), 0);
        ck_assert(!draws[0].drawn && draws[0].none_allowed);
        ck_assert(!draws[1].drawn && draws[1].none_allowed);
        ck_assert(!draws[2].drawn && !draws[2].none_allowed);
        ck_assert_int_eq(p.token, 7);
        md_drawer_free(d);
    }
}
END_TEST

START_TEST(late_end_of_text_is_drawn_and_marked) {
    const double temperatures[] = {0, 1, 3};
    make_row();
    for (int i = 0; i < 3; i++) {
        md_sampler_options opt = options(temperatures[i], 0, 1);
        opt.end_of_text = MD_END_LATE, opt.end_of_text_id = 4;
        md_drawer *d = drawer_of(&opt), *keep = drawer(temperatures[i], 0, 1);
        for (int n = 0; n < 100; n++) {
            md_proposal late, same;
            ck_assert(draw(d, row, (n + 0.5) / 100, &late));
            ck_assert(draw(keep, row, (n + 0.5) / 100, &same));
            ck_assert_int_eq(late.late, late.token == 4);
            ck_assert(!same.late);
            check_scores(&late, law, same.token);
        }
        md_drawer_free(d);
        md_drawer_free(keep);
    }
}
END_TEST

START_TEST(dream_scores_the_distribution_that_it_draws_from) {
    const double sharp[V] = {0.01, 0.09, 0, 0.0225, 0.16, 0.0025};
    const double two[V] = {0, 0.09, 0, 0, 0.16, 0}, one[V] = {0, 0, 0, 0, 1, 0};
    const struct {
        int top_k;
        double temperature, top_p;
        const double *p;
    } cases[] = {{0, 0.5, 1, sharp}, {2, 0.5, 1, two}, {0, 0.5, 0.8, two},
                 {1, 0.5, 1, one},   {0, 1, 1, law},   {2, 0, 0.5, law}};
    make_row();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        md_sampler_options opt = options(cases[c].temperature, cases[c].top_k, cases[c].top_p);
        opt.compat = MD_COMPAT_DREAM;
        md_drawer *d = drawer_of(&opt);
        for (int n = 0; n < 100; n++) {
            md_proposal p;
            ck_assert(draw(d, row, (n + 0.5) / 100, &p));
            ck_assert_int_eq(p.best, 4);
            check_scores(&p, cases[c].p, p.token);
        }
        md_drawer_free(d);
    }
}
END_TEST

/* The law of chi-square itself: known quantiles. */
START_TEST(chi_square_tails_match_the_tables) {
    ck_assert_double_eq_tol(chi_square_tail(3.841459, 1), 0.05, 1e-6);
    ck_assert_double_eq_tol(chi_square_tail(18.307038, 10), 0.05, 1e-6);
    ck_assert_double_eq_tol(chi_square_tail(10.828, 1), 0.001, 1e-6);
    ck_assert_double_eq_tol(chi_square_tail(77.0, 80), 0.57493, 1e-3);
    ck_assert_double_eq_tol(chi_square_tail(2.0, 2), exp(-1), 1e-12);
    ck_assert_double_eq_tol(chi_square_tail(60.0, 2), exp(-30), 1e-20);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler draw");
    suite_case(s, chi_square_tails_match_the_tables);
    suite_case(s, temperature_one_draws_from_the_softmax);
    suite_case(s, temperature_is_a_power_of_the_probabilities);
    suite_case(s, top_k_keeps_the_most_probable);
    suite_case(s, top_p_keeps_the_smallest_set_that_reaches_its_share);
    suite_case(s, top_p_follows_temperature_and_top_k);
    suite_case(s, equal_tokens_are_kept_by_the_lower_id);
    suite_case(s, temperature_zero_takes_the_most_probable);
    suite_case(s, tiny_probabilities_keep_their_share);
    suite_case(s, the_ends_of_the_unit_interval_draw_possible_tokens);
    suite_case(s, rows_that_are_no_distribution_are_refused);
    suite_case(s, forbidden_tokens_are_no_part_of_the_distribution);
    suite_case(s, a_row_of_which_nothing_may_be_drawn_says_so);
    suite_case(s, late_end_of_text_is_drawn_and_marked);
    suite_case(s, dream_scores_the_distribution_that_it_draws_from);
    return suite_run(s);
}
