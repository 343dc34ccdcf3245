/* tests/test_gaussian.c: schedules, levels, transitions and spacings of Gaussian diffusion. */
#include <math.h>
#include <string.h>

#include "diffusion/gaussian_schedule.h"
#include "diffusion/gaussian_spacing.h"
#include "tests/gaussian_process.h"

/* The processes of every kind, with few levels and many. */
enum { KINDS = 9 };
static md_gaussian kind(int i) {
    static const md_gaussian_options all[KINDS] = {
        {.schedule = MD_BETA_LINEAR, .timesteps = 1000},
        {.schedule = MD_BETA_COSINE, .timesteps = 50},
        {.schedule = MD_BETA_SCALED_LINEAR, .timesteps = 400},
        {.schedule = MD_BETA_SIGMOID, .timesteps = 1000},
        {.schedule = MD_BETA_LEARNED, .timesteps = 300},
        {.schedule = MD_BETA_COSINE,
         .timesteps = 1000,
         .zero_snr = true,
         .prediction = MD_PREDICTS_VELOCITY},
        {.process = MD_PROCESS_VE, .timesteps = 18},
        {.process = MD_PROCESS_FLOW, .timesteps = 1000, .prediction = MD_PREDICTS_IMAGE},
        {.process = MD_PROCESS_FLOW, .timesteps = 2, .prediction = MD_PREDICTS_VELOCITY},
    };
    return gaussian_of(all[i]);
}

static void assert_near(double value, double expected, double relative, const char *what) {
    ck_assert_msg(fabs(value - expected) <= relative * fabs(expected), "%s: %.12g, expected %.12g",
                  what, value, expected);
}

/* --- schedules ------------------------------------------------------------------------------- */

/* Values computed in double precision, independently; nine digits are printed. */
START_TEST(schedules_have_their_published_values) {
    const struct {
        md_beta_schedule schedule;
        int i;
        double beta, abar, small;
    } rows[] = {
        {MD_BETA_LINEAR, 1, 1.1991992e-4, .999780092, 5.45318766e-5},
        {MD_BETA_LINEAR, 499, .01004004, .0785872429, .0100313554},
        {MD_BETA_LINEAR, 999, .02, 4.03582977e-5, .0199999835},
        {MD_BETA_COSINE, 0, 4.12842248e-5, .999958716, 0},
        {MD_BETA_COSINE, 499, 3.14588623e-3, .49384359, 3.1361999e-3},
        {MD_BETA_COSINE, 999, .999, 2.42876691e-9, .998997576},
        {MD_BETA_SCALED_LINEAR, 999, .012, 4.66009851e-3, .0119993176},
    };
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        md_gaussian p = gaussian_chain(rows[n].schedule);
        int i = rows[n].i;
        md_level t = md_gaussian_level(&p, i), s = md_gaussian_level(&p, i - 1);
        md_transition back = md_gaussian_transition(&p, t, s);
        const char *name = md_beta_schedule_names[rows[n].schedule];
        assert_near(md_beta(rows[n].schedule, 1000, i), rows[n].beta, 1e-8, name);
        assert_near(back.large, rows[n].beta, 1e-8, name); /* for data N(0, I) */
        assert_near(t.signal * t.signal, rows[n].abar, 3e-9, name);
        assert_near(back.small, rows[n].small, 1e-8, name);
        ck_assert_double_eq(t.time, i);
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(zero_snr_ends_in_noise_and_begins_where_it_began) {
    md_gaussian p = gaussian_of((md_gaussian_options){
        .timesteps = 1000, .zero_snr = true, .prediction = MD_PREDICTS_VELOCITY});
    md_gaussian plain = gaussian_chain(MD_BETA_LINEAR);
    assert_near(p.levels[499].signal * p.levels[499].signal, .0760287505, 1e-8, "level 499");
    assert_near(p.levels[0].signal, plain.levels[0].signal, 1e-15, "level 0");
    ck_assert(p.levels[999].signal == 0 && p.levels[999].noise == 1);
    ck_assert(isinf(p.lambda[999]) && p.lambda[999] < 0);
    md_transition back = md_gaussian_transition(&p, p.levels[999], p.levels[998]);
    assert_near(back.image, p.levels[998].signal, 1e-15, "the image's part");
    ck_assert(back.noisy == 0); /* noise alone says nothing */
    md_gaussian_release(&p);
    md_gaussian_release(&plain);
}
END_TEST

START_TEST(linear_noise_is_157_times_the_image_at_its_end) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR);
    assert_near(p.levels[999].noise / p.levels[999].signal, 157.407, 1e-5, "sigma");
    assert_near(exp(-p.lambda[999] / 2), 157.407, 1e-5, "sigma by lambda");
    md_gaussian_release(&p);
}
END_TEST

/* abar is a falling sigmoid: half of it is left in the middle. */
START_TEST(the_sigmoid_is_symmetric) {
    md_gaussian p = gaussian_chain(MD_BETA_SIGMOID);
    for (int i = 99; i < 900; i += 100) {
        double a = p.levels[i].signal, b = p.levels[998 - i].signal;
        ck_assert_double_eq_tol(a * a + b * b, 1, 1e-12); /* rounding of 1000 products */
    }
    md_gaussian_release(&p);
}
END_TEST

START_TEST(every_process_goes_from_image_to_noise) {
    for (int n = 0; n < KINDS; n++) {
        md_gaussian p = kind(n);
        double before = INFINITY, late = -INFINITY;
        for (int i = 0; i < p.T; i++) {
            md_level at = md_gaussian_level(&p, i);
            ck_assert_msg(p.lambda[i] < before, "process %d, level %d: lambda %g after %g", n, i,
                          p.lambda[i], before);
            ck_assert_msg(at.time > late, "process %d, level %d: time %g after %g", n, i, at.time,
                          late);
            double lambda = 2 * log(at.signal / at.noise); /* to the rounding of signal near 1 */
            if (at.signal > 0) ck_assert_double_eq_tol(p.lambda[i], lambda, 1e-9);
            if (p.opt.process == MD_PROCESS_VP)
                ck_assert_double_eq_tol(at.signal * at.signal + at.noise * at.noise, 1, 1e-14);
            if (p.opt.process == MD_PROCESS_FLOW)
                ck_assert_double_eq_tol(at.signal + at.noise, 1, 1e-15);
            before = p.lambda[i], late = at.time;
        }
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(impossible_processes_are_refused) {
    const struct {
        md_gaussian_options opt;
        const char *message;
    } rows[] = {
        {{.timesteps = 1}, "1 timesteps: expected from 2 to 100000"},
        {{.timesteps = 100001}, "expected from 2 to 100000"},
        {{.timesteps = 20}, "'linear' reaches beta = 1 with 20 timesteps: expected more than 20"},
        {{.schedule = MD_BETA_SCALED_LINEAR, .timesteps = 12}, "expected more than 12"},
        {{.timesteps = 1000, .zero_snr = true}, "'eps' says nothing about the image"},
        {{.timesteps = 1000, .zero_snr = true, .prediction = MD_PREDICTS_SCORE}, "'score'"},
        {{.process = MD_PROCESS_FLOW, .timesteps = 1000}, "the process 'flow' ends in noise"},
        {{.process = MD_PROCESS_VE, .timesteps = 18, .zero_snr = true}, "not for ve"},
        {{.schedule = MD_BETA_LEARNED, .timesteps = 18, .zero_snr = true}, "not for 'learned'"},
    };
    mdlm_error err;
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        md_gaussian p = {0};
        assert_fails(md_gaussian_init(&p, &rows[n].opt, &err), MDLM_USAGE, rows[n].message);
        ck_assert_ptr_null(p.levels);
    }
    for (int T = 13; T <= 21; T += 8) { /* and just inside the bounds */
        md_gaussian p = gaussian_of((md_gaussian_options){
            .schedule = T == 13 ? MD_BETA_SCALED_LINEAR : MD_BETA_LINEAR, .timesteps = T});
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(names_are_found_by_value_and_back) {
    ck_assert_int_eq(md_name_value(md_process_names, "flow"), MD_PROCESS_FLOW);
    ck_assert_int_eq(md_name_value(md_beta_schedule_names, "scaled-linear"), MD_BETA_SCALED_LINEAR);
    ck_assert_int_eq(md_name_value(md_beta_schedule_names, "learned"), MD_BETA_LEARNED);
    ck_assert_int_eq(md_name_value(md_prediction_names, "v"), MD_PREDICTS_VELOCITY);
    ck_assert_int_eq(md_name_value(md_variance_names, "learned"), MD_VARIANCE_LEARNED);
    ck_assert_int_eq(md_name_value(md_spacing_names, "karras"), MD_SPACING_KARRAS);
    ck_assert_int_eq(md_name_value(md_spacing_names, "karas"), -1);
}
END_TEST

/* --- the learned schedule -------------------------------------------------------------------- */

/* What a trained network might have: little error where there is much noise. */
static double noise_error(double lambda) {
    return .8 / (1 + exp(-(lambda - 2) / 2));
}

static void learn(md_gaussian *p, int rounds) {
    for (int k = 0; k < rounds; k++) {
        for (int i = 0; i < p->T; i++) md_gaussian_observe(p, i, noise_error(p->lambda[i]));
        md_gaussian_place(p);
    }
}

START_TEST(a_learned_schedule_gives_every_step_the_same_share_of_the_bound) {
    md_gaussian p = kind(4);
    double least = INFINITY, most = 0;
    learn(&p, 200);
    ck_assert_double_eq(p.lambda[0], MD_LAMBDA_MOST);
    ck_assert_double_eq_tol(p.lambda[p.T - 1], MD_LAMBDA_LEAST, 1e-12);
    for (int i = 0; i + 10 < p.T && p.lambda[i + 10] > 0;
         i++) { /* over ten steps: jumps at knots */
        double middle = (p.lambda[i] + p.lambda[i + 10]) / 2;
        double share = noise_error(middle) * (p.lambda[i] - p.lambda[i + 10]);
        least = fmin(least, share), most = fmax(most, share);
    }
    /* Above lambda 0, where the tenth that is spread evenly is small beside what is measured. Even
     * spread would have a ratio of 3.7. */
    ck_assert_msg(most / least < 1.25, "shares of the bound from %g to %g", least, most);
    double gap = 0;
    for (int i = 1; i < p.T; i++) gap = fmax(gap, p.lambda[i - 1] - p.lambda[i]);
    ck_assert(gap < 10.1 * (MD_LAMBDA_MOST - MD_LAMBDA_LEAST) / p.T); /* nothing is out of sight */
    md_gaussian_release(&p);
}
END_TEST

START_TEST(a_learned_schedule_tells_the_network_the_same_wherever_levels_are) {
    md_gaussian p = kind(4), q = kind(4);
    learn(&p, 50);
    for (int i = 0; i < p.T; i += 7) { /* times are linear in lambda */
        double time = 1000 * (MD_LAMBDA_MOST - p.lambda[i]) / (MD_LAMBDA_MOST - MD_LAMBDA_LEAST);
        ck_assert_double_eq_tol(p.levels[i].time, time, 1e-9);
        double sigma = p.levels[i].noise / p.levels[i].signal;
        ck_assert_double_eq_tol(md_gaussian_level_at(&q, sigma).time, time, 1e-9);
    }
    ck_assert(fabs(p.lambda[150] - q.lambda[150]) > 1);
    md_gaussian_release(&p);
    md_gaussian_release(&q);
}
END_TEST

START_TEST(saved_rates_place_the_same_levels) {
    md_gaussian p = kind(4), q = kind(4);
    mdlm_error err;
    learn(&p, 20);
    assert_ok(md_gaussian_set_rates(&q, p.rate, &err));
    ck_assert_mem_eq(p.levels, q.levels, (size_t)p.T * sizeof *p.levels);
    md_gaussian_observe(&p, 3, NAN); /* passed over */
    ck_assert_mem_eq(p.rate, q.rate, sizeof p.rate);
    double none[MD_KNOTS] = {0}, bad[MD_KNOTS] = {[5] = NAN};
    assert_fails(md_gaussian_set_rates(&q, bad, &err), MDLM_INPUT, "rate 5");
    ck_assert_mem_eq(p.rate, q.rate, sizeof p.rate);
    assert_ok(md_gaussian_set_rates(&q, none, &err)); /* even */
    ck_assert_double_eq_tol(q.lambda[1] - q.lambda[0], q.lambda[299] - q.lambda[298], 1e-12);
    md_gaussian_release(&p);
    md_gaussian_release(&q);
}
END_TEST

/* --- transitions ----------------------------------------------------------------------------- */

START_TEST(the_posterior_has_its_published_coefficients) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR);
    md_transition back = md_gaussian_transition(&p, p.levels[1], p.levels[0]);
    assert_near(back.image, .5452915, 1e-7, "c1");
    assert_near(back.noisy, .4547085, 1e-6, "c2"); /* seven digits are printed */
    md_transition last = md_gaussian_transition(&p, p.levels[0], md_gaussian_level(&p, -1));
    ck_assert(last.image == 1 && last.noisy == 0 && last.small == 0);
    ck_assert_double_eq_tol(last.log_small, -9.816725, 5e-7);
    ck_assert_double_eq_tol(last.log_large, log(1e-4), 1e-12);
    md_gaussian_release(&p);
}
END_TEST

/* Gaussian data N(0, w) have x_s given x_t by ordinary regression; integrating x0 out of the
 * transition must give the same. Between any two levels of any process. */
START_TEST(transitions_agree_with_regression_between_any_two_levels) {
    const double w = .3;
    for (int n = 0; n < KINDS; n++) {
        md_gaussian p = kind(n);
        for (int j = 0; j < p.T; j += 1 + p.T / 7) {
            for (int i = -1; i < j; i += 1 + p.T / 9) {
                md_level t = md_gaussian_level(&p, j), s = md_gaussian_level(&p, i);
                md_transition back = md_gaussian_transition(&p, t, s);
                double ratio = t.signal / s.signal;
                double vs = s.signal * s.signal * w + s.noise * s.noise;
                double vt = t.signal * t.signal * w + t.noise * t.noise;
                double slope = ratio * vs / vt, rest = vs - slope * slope * vt;
                double guess = t.signal * w / vt, unsure = w - guess * guess * vt; /* x0 | x_t */
                ck_assert_double_eq_tol(back.image * guess + back.noisy, slope, 1e-9);
                ck_assert_double_eq_tol(back.image * back.image * unsure + back.small, rest, 1e-9);
            }
        }
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(large_variances_are_those_of_white_data) {
    for (int n = 0; n < KINDS; n++) {
        md_gaussian p = kind(n);
        md_level t = md_gaussian_level(&p, p.T - 1), s = md_gaussian_level(&p, p.T / 2 - 1);
        md_transition back = md_gaussian_transition(&p, t, s);
        double vs = s.signal * s.signal + s.noise * s.noise, ratio = t.signal / s.signal;
        double vt = t.signal * t.signal + t.noise * t.noise;
        ck_assert_double_eq_tol(back.large, vs - ratio * ratio * vs * vs / vt, 1e-12);
        ck_assert(back.large > back.small);
        md_gaussian_release(&p);
    }
}
END_TEST

/* beta' = 1 - abar_t / abar_s and beta~' (Improved DDPM 4); the DDIM variances are beta~' at
 * eta 1. */
START_TEST(strided_transitions_are_those_of_the_shorter_chain) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR);
    const struct {
        int t, s;
        double small;
    } rows[] = {{420, 400, .147720}, {980, 960, .324605}, {487, 486, .009792}};
    for (int n = 0; n < 3; n++) {
        md_level t = p.levels[rows[n].t], s = p.levels[rows[n].s];
        md_transition back = md_gaussian_transition(&p, t, s);
        double a = t.signal * t.signal, b = s.signal * s.signal;
        ck_assert_double_eq_tol(back.small, rows[n].small, 6e-7); /* six digits are printed */
        ck_assert_double_eq_tol(back.large, 1 - a / b, 1e-13);
        ck_assert_double_eq_tol(back.small, (1 - a / b) * (1 - b) / (1 - a), 1e-13);
    }
    md_gaussian_release(&p);
}
END_TEST

START_TEST(variances_are_chosen_by_their_kind) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR);
    md_transition back = md_gaussian_transition(&p, p.levels[10], p.levels[5]);
    md_transition last = md_gaussian_transition(&p, p.levels[0], md_gaussian_level(&p, -1));
    ck_assert_double_eq(md_gaussian_log_variance(&p, &back, 0), back.log_small);
    ck_assert_double_eq(md_gaussian_log_variance(&p, &last, 0), last.log_small);
    p.opt.variance = MD_VARIANCE_LARGE;
    ck_assert_double_eq(md_gaussian_log_variance(&p, &back, 0), back.log_large);
    ck_assert_double_eq(md_gaussian_log_variance(&p, &last, 0), last.log_small);
    p.opt.variance = MD_VARIANCE_LEARNED;
    ck_assert_double_eq(md_gaussian_log_variance(&p, &back, 1), back.log_large);
    ck_assert_double_eq(md_gaussian_log_variance(&p, &last, -1), last.log_small);
    ck_assert_double_eq(md_gaussian_log_variance(&p, &last, 1), last.log_large);
    ck_assert_double_eq_tol(md_gaussian_log_variance(&p, &back, -.5),
                            .25 * log(back.large) + .75 * log(back.small), 1e-12);
    md_gaussian_release(&p);
}
END_TEST

/* --- spacings -------------------------------------------------------------------------------- */

START_TEST(spacings_visit_the_levels_of_the_papers) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR);
    const struct {
        md_spacing_kind how;
        int N, index[13];
    } rows[] = {
        {MD_SPACING_LEADING, 10, {900, 800, 700, 600, 500, 400, 300, 200, 100, 0}},
        {MD_SPACING_LINSPACE, 10, {999, 888, 777, 666, 555, 444, 333, 222, 111, 0}},
        {MD_SPACING_TRAILING, 10, {999, 899, 799, 699, 599, 499, 399, 299, 199, 99}},
        {MD_SPACING_TRAILING, 13, {999, 922, 845, 768, 691, 614, 537, 461, 384, 307, 230, 153, 76}},
        {MD_SPACING_LEADING, 13, {912, 836, 760, 684, 608, 532, 456, 380, 304, 228, 152, 76, 0}},
        {MD_SPACING_LEADING, 3, {666, 333, 0}},
        {MD_SPACING_LINSPACE, 3, {999, 500, 0}}, /* 499.5: to even */
        {MD_SPACING_LINSPACE, 1, {999}},
        {MD_SPACING_TRAILING, 1, {999}},
    };
    mdlm_error err;
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        md_level levels[14];
        assert_ok(md_gaussian_spacing(&p, rows[n].how, rows[n].N, levels, &err));
        for (int k = 0; k < rows[n].N; k++)
            ck_assert_msg(levels[k].time == rows[n].index[k] &&
                              levels[k].signal == p.levels[rows[n].index[k]].signal,
                          "%s %d: level %g at %d, expected %d", md_spacing_names[rows[n].how],
                          rows[n].N, levels[k].time, k, rows[n].index[k]);
        ck_assert(levels[rows[n].N].signal == 1 && levels[rows[n].N].noise == 0);
    }
    md_gaussian_release(&p);
}
END_TEST

START_TEST(as_many_steps_as_levels_visit_every_level) {
    md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 97});
    md_level levels[98];
    mdlm_error err;
    for (int how = MD_SPACING_LEADING; how <= MD_SPACING_TRAILING; how++) {
        for (int N = 1; N <= 97; N++) { /* and fewer never visit one twice */
            assert_ok(md_gaussian_spacing(&p, (md_spacing_kind)how, N, levels, &err));
            for (int k = 1; k < N; k++) ck_assert(levels[k].time < levels[k - 1].time);
            ck_assert(levels[0].time <= 96 && levels[N - 1].time >= 0);
        }
        for (int k = 0; k < 97; k++) ck_assert_double_eq(levels[k].time, 96 - k);
    }
    md_gaussian_release(&p);
}
END_TEST

START_TEST(karras_sigmas_are_those_of_edm) {
    md_gaussian ve = kind(6), vp = gaussian_chain(MD_BETA_LINEAR),
                cosine = gaussian_chain(MD_BETA_COSINE);
    const double first[] = {80, 57.586, 40.786};
    md_level levels[19];
    mdlm_error err;
    assert_ok(md_gaussian_spacing(&ve, MD_SPACING_KARRAS, 18, levels, &err));
    for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(levels[k].noise, first[k], 5e-4);
    ck_assert_double_eq_tol(levels[17].noise, .002, 1e-15);
    for (int k = 0; k < 18; k++) { /* ve's own levels are the same, backwards */
        ck_assert_double_eq_tol(levels[k].noise, ve.levels[17 - k].noise, 1e-13);
        ck_assert_double_eq_tol(levels[k].time, log(levels[k].noise) / 4, 1e-15);
    }
    assert_ok(md_gaussian_spacing(&vp, MD_SPACING_KARRAS, 18, levels, &err));
    ck_assert_double_eq_tol(levels[0].noise / levels[0].signal, 80, 1e-10);
    ck_assert_double_eq_tol(levels[17].time, 0, 1e-9); /* sigma_0 = .01 is its least */
    for (int k = 1; k <= 18; k++) ck_assert(levels[k].noise < levels[k - 1].noise);
    assert_ok(md_gaussian_spacing(&cosine, MD_SPACING_KARRAS, 1, levels, &err));
    ck_assert_double_eq_tol(levels[0].noise / levels[0].signal, 80, 1e-10);
    md_gaussian_release(&ve);
    md_gaussian_release(&vp);
    md_gaussian_release(&cosine);
}
END_TEST

START_TEST(impossible_spacings_are_refused) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR), flow = kind(7);
    md_level level;
    mdlm_error err;
    assert_fails(md_gaussian_spacing(&p, MD_SPACING_TRAILING, 1001, &level, &err), MDLM_USAGE,
                 "1001 sampling steps of a process of 1000 timesteps: expected at most 1000");
    assert_fails(md_gaussian_spacing(&p, MD_SPACING_LEADING, 0, &level, &err), MDLM_USAGE,
                 "0 sampling steps");
    assert_fails(md_gaussian_spacing(&p, MD_SPACING_KARRAS, 100001, &level, &err), MDLM_USAGE,
                 "expected at most 100000");
    assert_fails(md_gaussian_spacing(&flow, MD_SPACING_LEADING, 50, &level, &err), MDLM_USAGE,
                 "expected 'linspace' or 'trailing'");
    md_gaussian_release(&flow);
    flow = kind(8); /* all levels are none left out */
    md_level three[3];
    assert_ok(md_gaussian_spacing(&flow, MD_SPACING_LEADING, 2, three, &err));
    ck_assert(three[0].noise == 1 && three[1].noise == .5);
    md_gaussian_release(&p);
    md_gaussian_release(&flow);
}
END_TEST

START_TEST(levels_between_levels_have_the_time_between) {
    for (int n = 0; n < KINDS; n++) {
        md_gaussian p = kind(n);
        for (int i = 0; i < p.T; i += 1 + p.T / 11) { /* a level itself */
            md_level at = p.levels[i], found = md_gaussian_level_at(&p, at.noise / at.signal);
            ck_assert_double_eq_tol(found.signal, at.signal, 1e-12);
            ck_assert_double_eq_tol(found.noise, at.noise, 1e-12 * fmax(1, at.noise));
            ck_assert_double_eq_tol(found.time, at.time, 1e-6);
        }
        double between =
            exp(-(p.lambda[0] + p.lambda[1]) / 4); /* lambda in the middle of 0 and 1 */
        md_level found = md_gaussian_level_at(&p, between);
        if (p.opt.process != MD_PROCESS_FLOW && p.T > 2)
            ck_assert_double_eq_tol(found.time, (p.levels[0].time + p.levels[1].time) / 2, 1e-9);
        if (p.opt.process != MD_PROCESS_VE) {
            found = md_gaussian_level_at(&p, INFINITY);
            ck_assert(found.signal == 0 && found.noise == 1);
            ck_assert_double_eq_tol(found.time, p.levels[p.T - 1].time, 1e-9);
        }
        ck_assert(md_gaussian_level_at(&p, 0).noise == 0);
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(what_a_network_is_told_says_the_level) {
    for (int n = 0; n < KINDS; n++) {
        md_gaussian p = kind(n);
        if (p.opt.schedule == MD_BETA_LEARNED) learn(&p, 50);
        for (int i = 0; i < p.T; i += 1 + p.T / 11) {
            md_level at = p.levels[i], found = md_gaussian_level_told(&p, at.time);
            /* through ln(sigma) with ve, and a thousand of flow */
            ck_assert_double_eq_tol(found.signal, at.signal, 1e-12);
            ck_assert_double_eq_tol(found.noise, at.noise, 1e-12 * fmax(1, at.noise));
        }
        for (int i = 0; i < p.T - 2; i += 1 + p.T / 5) { /* between levels */
            const double sigma = exp(-(0.3 * p.lambda[i] + 0.7 * p.lambda[i + 1]) / 2);
            const md_level at = md_gaussian_level_at(&p, sigma);
            md_level found = md_gaussian_level_told(&p, at.time);
            ck_assert_double_eq_tol(found.noise / found.signal / sigma, 1, 1e-9);
        }
        if (p.opt.process == MD_PROCESS_VP) {
            ck_assert(md_gaussian_level_told(&p, -1).noise == p.levels[0].noise);
            ck_assert(md_gaussian_level_told(&p, 1e9).noise == p.levels[p.T - 1].noise);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian");
    suite_case(s, schedules_have_their_published_values);
    suite_case(s, zero_snr_ends_in_noise_and_begins_where_it_began);
    suite_case(s, linear_noise_is_157_times_the_image_at_its_end);
    suite_case(s, the_sigmoid_is_symmetric);
    suite_case(s, every_process_goes_from_image_to_noise);
    suite_case(s, impossible_processes_are_refused);
    suite_case(s, names_are_found_by_value_and_back);
    suite_case(s, a_learned_schedule_gives_every_step_the_same_share_of_the_bound);
    suite_case(s, a_learned_schedule_tells_the_network_the_same_wherever_levels_are);
    suite_case(s, saved_rates_place_the_same_levels);
    suite_case(s, the_posterior_has_its_published_coefficients);
    suite_case(s, transitions_agree_with_regression_between_any_two_levels);
    suite_case(s, large_variances_are_those_of_white_data);
    suite_case(s, strided_transitions_are_those_of_the_shorter_chain);
    suite_case(s, variances_are_chosen_by_their_kind);
    suite_case(s, spacings_visit_the_levels_of_the_papers);
    suite_case(s, as_many_steps_as_levels_visit_every_level);
    suite_case(s, karras_sigmas_are_those_of_edm);
    suite_case(s, impossible_spacings_are_refused);
    suite_case(s, levels_between_levels_have_the_time_between);
    suite_case(s, what_a_network_is_told_says_the_level);
    return suite_run(s);
}
