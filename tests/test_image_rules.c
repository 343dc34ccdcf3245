/* tests/test_image_rules.c: rules for images, in numbers: golden values, closed forms, orders. */
#include "tests/image_law.h"

static const md_image_rule *const all_rules[] = {&md_image_rule_ddpm,  &md_image_rule_ddim,
                                                 &md_image_rule_dpm,   &md_image_rule_heun,
                                                 &md_image_rule_euler, &md_image_rule_langevin};
enum { RULES = sizeof all_rules / sizeof *all_rules };

/* diffusers' linear betas and OpenAI's are one schedule at T = 1000. */
static md_gaussian linear(md_variance_kind variance) {
    return gaussian_of((md_gaussian_options){.timesteps = 1000, .variance = variance});
}

static md_image_sampler_options options(const md_image_rule *rule, const md_gaussian *p,
                                        int steps) {
    md_image_sampler_options opt = md_image_sampler_defaults(rule, p);
    opt.steps = steps;
    opt.spacing = MD_SPACING_TRAILING;
    return opt;
}

static md_image_move only_move(const md_image_rule *rule, const md_gaussian *p, md_level from,
                               md_level to, double eta) {
    md_image_sampler_options opt = options(rule, p, 1);
    md_image_move move[MD_IMAGE_MOVES];
    opt.eta = eta;
    md_image_way way = {
        .process = p, .options = &opt, .first = true, .before = from, .from = from, .to = to};
    ck_assert_int_eq(rule->moves(&way, move), 1);
    return move[0];
}

/* --- golden values --------------------------------------------------------------------------- */

/* Computed in double precision, independently: what samples of data N(0, 1/4) come out as. Seven
 * digits are printed. */
static const struct {
    const char *rule;
    md_variance_kind variance;
    int steps;
    double eta, output;
} outputs[] = {
    {"ddpm", MD_VARIANCE_SMALL, 1000, 0, .2461252}, {"ddpm", MD_VARIANCE_LARGE, 1000, 0, .2507521},
    {"ddim", MD_VARIANCE_SMALL, 1000, 0, .2484975}, {"ddim", MD_VARIANCE_SMALL, 50, 0, .2222205},
    {"ddpm", MD_VARIANCE_SMALL, 50, 0, .1972249},   {"ddpm", MD_VARIANCE_LARGE, 50, 0, .2618567},
    {"ddim", MD_VARIANCE_SMALL, 50, 1, .1972249},   {"ddim", MD_VARIANCE_SMALL, 1000, 1, .2461252},
};

/* How far a rule is from a row of the table. */
static double miss(const md_image_rule *rule, int row) {
    md_gaussian p = linear(outputs[row].variance);
    md_image_sampler_options opt = options(rule, &p, outputs[row].steps);
    opt.eta = outputs[row].eta;
    double variance = law_variance(&p, &opt, 0.25);
    md_gaussian_release(&p);
    return fabs(variance - outputs[row].output);
}

START_TEST(rules_give_gaussian_data_their_known_variances) {
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
        ck_assert_double_lt(miss(md_image_rule_find(outputs[i].rule), (int)i), 6e-8);
}
END_TEST

/* What others got wrong: the level before is taken for the one step below, not the next visited. */
static int one_level_down(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    md_image_way wrong = *way;
    wrong.to = md_gaussian_level(way->process, (int)way->from.time - 1);
    return md_image_rule_ddpm.moves(&wrong, move);
}

/* Noise also on the way to the clean image, of the size of the step before. */
static int noise_at_the_end(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    int moves = md_image_rule_ddpm.moves(way, move);
    if (way->to.noise <= 0) move[0].noise = sqrt(move[0].back.large);
    return moves;
}

/* eps is not told that there is noise beside it. */
static int ddim_with_too_much_eps(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    int moves = md_image_rule_ddim.moves(way, move);
    move[0].keep = way->to.noise / way->from.noise;
    move[0].image = way->to.signal - move[0].keep * way->from.signal;
    return moves;
}

START_TEST(broken_rules_miss_the_variances) {
    const md_image_rule skipping = {.name = "skipping", .moves = one_level_down};
    const md_image_rule noisy = {.name = "noisy", .moves = noise_at_the_end};
    const md_image_rule eps = {.name = "eps", .moves = ddim_with_too_much_eps};
    ck_assert_double_gt(miss(&skipping, 4), 1e-2);
    ck_assert_double_gt(miss(&noisy, 0), 1e-5);
    ck_assert_double_gt(miss(&eps, 6), 1e-2);
    ck_assert_double_gt(miss(&md_image_rule_ddpm, 2), 1e-3);
}
END_TEST

/* diffusers' own test values, to as many digits as they have. */
START_TEST(ddim_has_its_published_variances) {
    static const struct {
        int from, to;
        double variance;
    } rows[] = {{420, 400, .147720}, {980, 960, .324605}, {487, 486, .009792}};
    md_gaussian p = linear(MD_VARIANCE_SMALL);
    for (int i = 0; i < 3; i++) {
        md_image_move m = only_move(&md_image_rule_ddim, &p, md_gaussian_level(&p, rows[i].from),
                                    md_gaussian_level(&p, rows[i].to), 1);
        ck_assert_double_eq_tol(m.noise * m.noise, rows[i].variance, 1e-5);
        md_image_move half = only_move(&md_image_rule_ddim, &p, md_gaussian_level(&p, rows[i].from),
                                       md_gaussian_level(&p, rows[i].to), 0.5);
        ck_assert_double_eq_tol(half.noise, m.noise / 2, 1e-15);
    }
    md_gaussian_release(&p);
}
END_TEST

/* DDPM eq. 7 in its own letters; linear 1000 at i = 1 has known factors. */
START_TEST(ddpm_is_the_posterior) {
    md_gaussian p = linear(MD_VARIANCE_SMALL), large = linear(MD_VARIANCE_LARGE);
    for (int i = 1; i < 1000; i += 111) {
        md_level t = md_gaussian_level(&p, i), s = md_gaussian_level(&p, i - 1);
        double abar = t.signal * t.signal, before = s.signal * s.signal;
        double alpha = abar / before, beta = 1 - alpha;
        md_image_move m = only_move(&md_image_rule_ddpm, &p, t, s, 0);
        md_image_move l = only_move(&md_image_rule_ddpm, &large, t, s, 0);
        /* differences of numbers near 1, of 1e-4 and more */
        ck_assert_double_eq_tol(m.image, beta * s.signal / (1 - abar), 1e-9);
        ck_assert_double_eq_tol(m.keep, (1 - before) * sqrt(alpha) / (1 - abar), 1e-9);
        ck_assert_double_eq_tol(m.noise, sqrt(beta * (1 - before) / (1 - abar)), 1e-9);
        ck_assert_double_eq_tol(l.noise, sqrt(beta), 1e-9);
        ck_assert(l.keep == m.keep && l.image == m.image && m.before == 0);
    }
    md_image_move m =
        only_move(&md_image_rule_ddpm, &p, md_gaussian_level(&p, 1), md_gaussian_level(&p, 0), 0);
    ck_assert_double_eq_tol(m.image, .5452915, 5e-8);
    ck_assert_double_eq_tol(m.keep, .4547085, 5e-8);
    md_gaussian_release(&p);
    md_gaussian_release(&large);
}
END_TEST

/* --- closed forms ---------------------------------------------------------------------------- */

/* Chains with betas, with levels between, with none at the end; one that explodes; a flow. */
enum { KINDS = 5 };
static md_gaussian kind(int i) {
    static const md_gaussian_options all[KINDS] = {
        {.timesteps = 1000},
        {.schedule = MD_BETA_COSINE, .timesteps = 400},
        {.schedule = MD_BETA_COSINE,
         .timesteps = 1000,
         .zero_snr = true,
         .prediction = MD_PREDICTS_VELOCITY},
        {.process = MD_PROCESS_VE, .timesteps = 100, .prediction = MD_PREDICTS_IMAGE},
        {.process = MD_PROCESS_FLOW, .timesteps = 1000, .prediction = MD_PREDICTS_VELOCITY},
    };
    return gaussian_of(all[i]);
}

/* Levels of some steps of a process: [steps + 1]. */
static void levels_of(const md_gaussian *p, int steps, md_level *levels) {
    mdlm_error err;
    assert_ok(md_gaussian_spacing(p, MD_SPACING_TRAILING, steps, levels, &err));
}

START_TEST(every_rule_takes_a_point_to_itself) {
    enum { STEPS = 7 };
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        md_level levels[STEPS + 1];
        levels_of(&p, STEPS, levels);
        for (int r = 0; r < RULES; r++) {
            md_image_sampler_options opt = options(all_rules[r], &p, STEPS);
            for (int i = 0; i < STEPS; i++) {
                const md_image_way way = law_way(&p, &opt, levels, i);
                md_image_move move[MD_IMAGE_MOVES];
                int moves = all_rules[r]->moves(&way, move);
                double x = levels[i].signal; /* the image 1, without noise */
                for (int n = 0; n < moves; n++)
                    x = move[n].keep * x + move[n].image + move[n].before;
                ck_assert_double_eq_tol(x, levels[i + 1].signal, 1e-12);
            }
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* What is noise beside the image keeps its size, in all rules without noise of their own. */
START_TEST(rules_without_noise_keep_eps) {
    enum { STEPS = 7 };
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        md_level levels[STEPS + 1];
        levels_of(&p, STEPS, levels);
        for (int r = 1; r < RULES; r++) {
            if (all_rules[r] == &md_image_rule_langevin) continue;
            md_image_sampler_options opt = options(all_rules[r], &p, STEPS);
            law_state s = law_walk(&p, levels, STEPS - 1, &opt, 0); /* the data are the point 0 */
            ck_assert_double_eq_tol(s.x, levels[STEPS - 1].noise / levels[0].noise, 1e-12);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(ddim_with_eta_one_is_ddpm) {
    enum { STEPS = 20 };
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        md_level levels[STEPS + 1];
        levels_of(&p, STEPS, levels);
        for (int i = 0; i < STEPS; i++) {
            md_image_move a = only_move(&md_image_rule_ddpm, &p, levels[i], levels[i + 1], 0);
            md_image_move b = only_move(&md_image_rule_ddim, &p, levels[i], levels[i + 1], 1);
            ck_assert_double_eq_tol(a.keep, b.keep, 1e-9); /* the root of a small difference */
            ck_assert_double_eq_tol(a.image, b.image, 1e-9);
            ck_assert_double_eq_tol(a.noise, b.noise, 1e-12);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* Euler's step in the coordinates that books use, from x and x0 of any size. */
static double euler_by_hand(bool flow, md_level s, md_level t, double x, double x0) {
    if (flow) return x + (t.signal - s.signal) * (x0 - x) / (1 - s.signal);
    double sigma = s.noise / s.signal, next = t.noise / t.signal, scaled = x / s.signal;
    return t.signal * (scaled + (next - sigma) * (scaled - x0) / sigma);
}

START_TEST(euler_goes_along_the_slope) {
    enum { STEPS = 9 };
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        bool flow = p.opt.process == MD_PROCESS_FLOW;
        md_level levels[STEPS + 1];
        levels_of(&p, STEPS, levels);
        for (int i = flow ? 0 : 1; i < STEPS; i++) { /* noise alone has no sigma */
            md_image_move m = only_move(&md_image_rule_euler, &p, levels[i], levels[i + 1], 0);
            double expected = euler_by_hand(flow, levels[i], levels[i + 1], 0.7, -0.4);
            ck_assert_double_eq_tol(m.keep * 0.7 + m.image * -0.4, expected, 1e-12);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* Both slopes as books write them. */
static double heun_by_hand(bool flow, md_level s, md_level t, double x, double x0, double next_x0) {
    double y = euler_by_hand(flow, s, t, x, x0);
    if (flow) {
        double first = (x0 - x) / (1 - s.signal), second = (next_x0 - y) / (1 - t.signal);
        return x + (t.signal - s.signal) * (first + second) / 2;
    }
    double sigma = s.noise / s.signal, next = t.noise / t.signal;
    double first = (x / s.signal - x0) / sigma, second = (y / t.signal - next_x0) / next;
    return t.signal * (x / s.signal + (next - sigma) * (first + second) / 2);
}

START_TEST(heun_takes_the_mean_of_two_slopes) {
    enum { STEPS = 9 };
    const double x = 0.7, x0 = -0.4, next_x0 = 0.3;
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        md_image_sampler_options opt = options(&md_image_rule_heun, &p, STEPS);
        bool flow = p.opt.process == MD_PROCESS_FLOW;
        md_level levels[STEPS + 1];
        levels_of(&p, STEPS, levels);
        for (int i = flow ? 0 : 1; i < STEPS; i++) {
            md_image_move m[MD_IMAGE_MOVES];
            md_image_way way = {
                .process = &p, .options = &opt, .from = levels[i], .to = levels[i + 1]};
            int moves = md_image_rule_heun.moves(&way, m);
            ck_assert_int_eq(moves, i + 1 < STEPS ? 2 : 1);
            double y = m[0].keep * x + m[0].image * x0;
            if (moves == 2) {
                ck_assert(m[1].at.time == levels[i + 1].time);
                y = m[1].keep * y + m[1].image * next_x0 + m[1].before * x0;
                double expected = heun_by_hand(flow, levels[i], levels[i + 1], x, x0, next_x0);
                ck_assert_double_eq_tol(y, expected, 1e-11); /* slopes of up to 1e3 */
            }
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* x'=(sigma'/sigma) x - (e^-h - 1) D for x over signal. */
START_TEST(dpm_goes_along_the_line_through_two_estimates) {
    enum { STEPS = 9 };
    const double x = 0.7, x0 = -0.4, x0_before = 0.9;
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        md_image_sampler_options opt = options(&md_image_rule_dpm, &p, STEPS);
        md_level levels[STEPS + 1];
        levels_of(&p, STEPS, levels);
        for (int i = 2; i + 1 < STEPS; i++) {
            md_image_move m[MD_IMAGE_MOVES];
            const md_image_way way = law_way(&p, &opt, levels, i);
            ck_assert_int_eq(md_image_rule_dpm.moves(&way, m), 1);
            double sigma[3];
            for (int n = 0; n < 3; n++)
                sigma[n] = levels[i - 1 + n].noise / levels[i - 1 + n].signal;
            double h = log(sigma[1] / sigma[2]), r = log(sigma[0] / sigma[1]) / h;
            double D = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * x0_before;
            double expected = sigma[2] / sigma[1] * x / levels[i].signal - (exp(-h) - 1) * D;
            ck_assert_double_eq_tol(m->keep * x + m->image * x0 + m->before * x0_before,
                                    expected * levels[i + 1].signal, 1e-12);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* --- Langevin dynamics ----------------------------------------------------------------------- */

/* The variance that steps at one level end up with, of data N(0, v). */
static double at_one_level(const md_image_rule *rule, const md_gaussian *p, md_level at,
                           double step_size, double v) {
    md_image_sampler_options opt = options(rule, p, 1);
    opt.step_size = step_size;
    md_image_way way = {
        .process = p, .options = &opt, .first = true, .before = at, .from = at, .to = at};
    law_state s = {.x = 1};
    for (int i = 0; i < 4000; i++) law_step(&s, &way, v);
    return s.x * s.x + s.noise;
}

/* x0(x) = s rho x / ... makes of the step x' = g x + fresh noise with g = a + (1 - a) rho, where a
 * = 1 - step_size / 2 and rho is the data's share of V = s^2 v + n^2; so the variance that stays is
 * V (1 + a) / (1 + g). It is V, the law of the level, as steps get small, and where there is
 * nothing but noise whatever their size. */
START_TEST(langevin_dynamics_end_in_the_law_of_their_level) {
    static const double sizes[] = {0.01, 0.2, 0.5, 2};
    const double v = 0.25;
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        for (int i = 0; i < 4; i++) {
            md_level at = md_gaussian_level_at(&p, 0.6);
            const double image = at.signal * at.signal * v, V = image + at.noise * at.noise;
            const double a = 1 - sizes[i] / 2, g = a + (1 - a) * image / V;
            const double found = at_one_level(&md_image_rule_langevin, &p, at, sizes[i], v);
            ck_assert_double_eq_tol(found / V, (1 + a) / (1 + g), 1e-9); /* 4000 roundings */
            if (i == 0) ck_assert_double_eq_tol(found / V, 1, 2e-3);
            ck_assert_double_eq_tol(at_one_level(&md_image_rule_langevin, &p, at, sizes[i], 0),
                                    at.noise * at.noise, 1e-9);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* alpha/2 of the score, and the variance alpha (1 - step_size / 4). */
START_TEST(a_step_of_langevin_dynamics_is_the_score_and_noise) {
    const double x = 0.7, x0 = -0.4, size = 0.3;
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        md_image_sampler_options opt = options(&md_image_rule_langevin, &p, 1);
        md_level at = md_gaussian_level_at(&p, 0.9), next = md_gaussian_level_at(&p, 0.8);
        md_image_way way = {.process = &p, .options = &opt, .before = at, .from = at, .to = at};
        const double alpha = size * at.noise * at.noise;
        const double score = -(x - at.signal * x0) / (at.noise * at.noise);
        md_image_move stay[MD_IMAGE_MOVES], go[MD_IMAGE_MOVES];
        opt.step_size = size;
        ck_assert_int_eq(md_image_rule_langevin.moves(&way, stay), 1);
        ck_assert_double_eq_tol(stay->keep * x + stay->image * x0, x + alpha / 2 * score, 1e-12);
        ck_assert_double_eq_tol(stay->noise * stay->noise, alpha * (1 - size / 4), 1e-12);
        way.to = next; /* the same in the coordinates x / signal */
        ck_assert_int_eq(md_image_rule_langevin.moves(&way, go), 1);
        const double scale = next.signal / at.signal;
        ck_assert_double_eq_tol(go->keep, scale * stay->keep, 1e-12);
        ck_assert_double_eq_tol(go->image, scale * stay->image, 1e-12);
        ck_assert_double_eq_tol(go->noise, scale * stay->noise, 1e-12);
        md_gaussian_release(&p);
    }
}
END_TEST

/* The whole score in the place of half of it. */
static int twice_the_score(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    int moves = md_image_rule_langevin.moves(way, move);
    move[0].image *= 2;
    if (way->from.signal > 0) move[0].keep -= move[0].image / 2 / way->from.signal;
    return moves;
}

/* What samples of N(0, 1/4) come out as, as a share of that. */
static double annealed(const md_image_rule *rule, const md_gaussian *p, int level_steps,
                       double step_size) {
    md_image_sampler_options opt = options(rule, p, 100);
    opt.spacing = p->opt.process == MD_PROCESS_FLOW ? MD_SPACING_TRAILING : MD_SPACING_KARRAS;
    opt.level_steps = level_steps;
    opt.step_size = step_size;
    return law_variance(p, &opt, 0.25) / 0.25;
}

/* Steps of half a variance are too long where image and noise are of one size, and 100 levels too
 * few for the last to be mixed: a few parts in a hundred together. */
START_TEST(annealed_langevin_dynamics_reach_the_data) {
    const md_image_rule twice = {.name = "twice", .level_steps = 1, .moves = twice_the_score};
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        ck_assert_double_eq_tol(annealed(&md_image_rule_langevin, &p, 5, 0.5), 1, 0.05);
        ck_assert_double_eq_tol(annealed(&md_image_rule_langevin, &p, 40, 0.1), 1, 0.06);
        ck_assert_double_lt(annealed(&twice, &p, 40, 0.1), 0.6);
        md_gaussian_release(&p);
    }
}
END_TEST

/* --- orders ---------------------------------------------------------------------------------- */

/* The probability flow of data N(0, v) multiplies x / signal by sqrt((v + sigma'^2) / (v +
 * sigma^2)). The error of a rule's factor over N equal steps, from sigma 20 to .05: in ln(sigma);
 * or, for flows, in t. */
static double flow_error(const md_image_rule *rule, const md_gaussian *p, int N) {
    enum { MOST = 1000 };
    static md_level levels[MOST + 1];
    const double v = 0.25, high = 20, low = 0.05;
    const bool flow = p->opt.process == MD_PROCESS_FLOW;
    for (int i = 0; i <= N; i++) {
        double part = (double)i / N, sigma = high * pow(low / high, part);
        if (flow) {
            double noise = high / (1 + high) + part * (low / (1 + low) - high / (1 + high));
            sigma = noise / (1 - noise);
        }
        levels[i] = md_gaussian_level_at(p, sigma);
    }
    md_image_sampler_options opt = options(rule, p, N);
    double found = law_walk(p, levels, N, &opt, v).x;
    double exact = levels[N].signal / levels[0].signal * sqrt((v + low * low) / (v + high * high));
    return fabs(found / exact - 1);
}

/* log2 of what halving the steps' length divides the error by. */
static double order(const md_image_rule *rule, const md_gaussian *p) {
    return log2(flow_error(rule, p, 400) / flow_error(rule, p, 800));
}

/* The corrector is left out. */
static int half_a_heun(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    md_image_rule_heun.moves(way, move);
    return 1;
}

/* r upside down matters where steps differ in length. */
static int dpm_with_half_the_slope(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    int moves = md_image_rule_dpm.moves(way, move);
    move[0].image += move[0].before / 2;
    move[0].before /= 2;
    return moves;
}

START_TEST(rules_have_their_order) {
    const md_image_rule no_corrector = {.name = "half", .moves = half_a_heun};
    const md_image_rule slope = {.name = "slope", .moves = dpm_with_half_the_slope};
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = kind(k);
        /* the next term of the error is a few parts in a hundred at these lengths */
        ck_assert_double_eq_tol(order(&md_image_rule_euler, &p), 1, 0.1);
        ck_assert_double_eq_tol(order(&md_image_rule_ddim, &p), 1, 0.1);
        ck_assert_double_eq_tol(order(&md_image_rule_heun, &p), 2, 0.1);
        ck_assert_double_eq_tol(order(&md_image_rule_dpm, &p), 2, 0.1);
        ck_assert_double_eq_tol(order(&no_corrector, &p), 1, 0.1);
        ck_assert_double_eq_tol(order(&slope, &p), 1, 0.1);
        md_gaussian_release(&p);
    }
}
END_TEST

/* --- the table of rules ---------------------------------------------------------------------- */

START_TEST(rules_are_found_by_name) {
    for (int i = 0; i < RULES; i++) {
        ck_assert_str_eq(md_image_rule_names[i], all_rules[i]->name);
        ck_assert_ptr_eq(md_image_rule_find(all_rules[i]->name), all_rules[i]);
    }
    ck_assert_ptr_null(md_image_rule_names[RULES]);
    ck_assert_ptr_null(md_image_rule_find("ancestral"));
}
END_TEST

START_TEST(defaults_fit_the_process) {
    md_gaussian p = kind(0), ve = kind(3), flow = kind(4);
    ck_assert_int_eq(md_image_sampler_defaults(&md_image_rule_ddpm, &p).steps, 250);
    ck_assert_int_eq(md_image_sampler_defaults(&md_image_rule_ddpm, &ve).steps, 100);
    ck_assert_int_eq(md_image_sampler_defaults(&md_image_rule_ddim, &p).spacing,
                     MD_SPACING_TRAILING);
    ck_assert_int_eq(md_image_sampler_defaults(&md_image_rule_heun, &p).spacing, MD_SPACING_KARRAS);
    ck_assert_int_eq(md_image_sampler_defaults(&md_image_rule_heun, &flow).spacing,
                     MD_SPACING_TRAILING);
    ck_assert_int_eq(md_image_sampler_defaults(&md_image_rule_ddim, &ve).spacing,
                     MD_SPACING_KARRAS);
    md_gaussian_release(&p);
    md_gaussian_release(&ve);
    md_gaussian_release(&flow);
}
END_TEST

int main(void) {
    Suite *s = suite_create("image rules");
    suite_case(s, rules_give_gaussian_data_their_known_variances);
    suite_case(s, broken_rules_miss_the_variances);
    suite_case(s, ddim_has_its_published_variances);
    suite_case(s, ddpm_is_the_posterior);
    suite_case(s, every_rule_takes_a_point_to_itself);
    suite_case(s, rules_without_noise_keep_eps);
    suite_case(s, ddim_with_eta_one_is_ddpm);
    suite_case(s, euler_goes_along_the_slope);
    suite_case(s, heun_takes_the_mean_of_two_slopes);
    suite_case(s, dpm_goes_along_the_line_through_two_estimates);
    suite_case(s, langevin_dynamics_end_in_the_law_of_their_level);
    suite_case(s, a_step_of_langevin_dynamics_is_the_score_and_noise);
    suite_case(s, annealed_langevin_dynamics_reach_the_data);
    suite_case(s, rules_have_their_order);
    suite_case(s, rules_are_found_by_name);
    suite_case(s, defaults_fit_the_process);
    return suite_run(s);
}
