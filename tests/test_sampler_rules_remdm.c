/* tests/test_sampler_rules_remdm.c: ReMDM's rules against their exactly enumerated laws
 * (tests/sampler_law.h). Given what a step does at each position, these are independent.
 */
#include <math.h>
#include <string.h>

#include "tests/sampler_law.h"

static table_model model;

static const float some_set_with[TABLE_T] = {0.9F, 0.2F, 0.6F, 0.05F};

/* From alpha_t to alpha_s, a visible token of position j goes with probability sigma[j]. */
static void remask(const chain *c, int code, const double *sigma, double alpha_t, double alpha_s,
                   double mass, double *next) {
    int32_t ids[TABLE_T], now[TABLE_T];
    double q[TABLE_T][TABLE_V + 1] = {{0}};
    table_canvas(code, ids);
    for (int j = 0; j < TABLE_T; j++) {
        double unmask = (alpha_s - (1 - sigma[j]) * alpha_t) / (1 - alpha_t);
        bool masked = ids[j] == TABLE_MASK;
        for (int v = 0; v < TABLE_V; v++)
            q[j][v] = masked ? unmask * drawn_p(c, code, j, v) : (ids[j] == v) * (1 - sigma[j]);
        q[j][TABLE_MASK] = masked ? 1 - unmask : sigma[j];
    }
    for (int to = 0; to < TABLE_CANVASES; to++) {
        double p = mass;
        table_canvas(to, now);
        for (int j = 0; j < TABLE_T; j++) p *= q[j][now[j]];
        next[to] += p;
    }
}

static double sigma_max(double alpha_t, double alpha_s) {
    return alpha_t > 0 ? fmin(1, (1 - alpha_s) / alpha_t) : 1;
}

static void remask_evenly(const chain *c, int code, double sigma, double mass, double *next) {
    const double all[TABLE_T] = {sigma, sigma, sigma, sigma};
    remask(c, code, all, 1 - c->t, 1 - c->s, mass, next);
}

static void cap_law(const chain *c, int code, double mass, double *next) {
    remask_evenly(c, code, fmin(c->eta, sigma_max(1 - c->t, 1 - c->s)), mass, next);
}

static void rescale_law(const chain *c, int code, double mass, double *next) {
    remask_evenly(c, code, c->eta * sigma_max(1 - c->t, 1 - c->s), mass, next);
}

static void conf_law(const chain *c, int code, double mass, double *next) {
    double sigma[TABLE_T] = {0}, sum = 0;
    int visible = 15 & ~masked_set(code);
    for (int j = 0; j < TABLE_T; j++)
        if (visible >> j & 1) sum += sigma[j] = exp(-(double)c->set_with[j]);
    for (int j = 0; j < TABLE_T && visible; j++) sigma[j] *= sigma_max(1 - c->t, 1 - c->s) / sum;
    remask(c, code, sigma, 1 - c->t, 1 - c->s, mass, next);
}

/* The share that is visible: to 0.9 until t = 0.55, from 0.05 on to 1. */
static double loop_alpha(double t) {
    if (t <= 0.05) return 1 - t / 0.05 * 0.1;
    return t <= 0.55 ? 0.9 : (1 - t) / 0.45 * 0.9;
}

static void loop_law(const chain *c, int code, double mass, double *next) {
    double alpha_t = loop_alpha(c->t), alpha_s = loop_alpha(c->s), sigma[TABLE_T];
    bool on = c->t <= 0.55 && c->t > 0.05;
    for (int j = 0; j < TABLE_T; j++) sigma[j] = on ? fmin(c->eta, sigma_max(alpha_t, alpha_s)) : 0;
    remask(c, code, sigma, alpha_t, alpha_s, mass, next);
}

static const struct {
    const md_rule *rule;
    transition_fn law;
    double eta, fallback; /* eta large enough to show in a short chain, and the default */
} evenly[] = {
    {&md_rule_remdm_cap, cap_law, 0.3, 0.008},
    {&md_rule_remdm_rescale, rescale_law, 0.5, 0.015},
    {&md_rule_remdm_loop, loop_law, 0.1, 0.02},
};
enum { EVENLY = sizeof evenly / sizeof *evenly };

static md_sampler_options with(const md_rule *rule, double eta) {
    md_sampler_options opt = md_sampler_defaults();
    opt.rule = rule, opt.eta = eta;
    return opt;
}

static chain plain(double eta) {
    return (chain){.model = &model, .power = 1, .eta = eta, .set_with = some_set_with};
}

START_TEST(tokens_are_masked_again_at_the_rate_of_the_rule) {
    for (int i = 0; i < EVENLY; i++) {
        const double etas[] = {0, evenly[i].eta, 1};
        for (int n = 0; n < 3; n++) {
            md_sampler_options opt = with(evenly[i].rule, etas[n]);
            ck_assert_double_gt(step_agreement(&opt, evenly[i].law, plain(etas[n])), RIGHT);
            for (int steps = 2; steps <= 8; steps += 3) {
                double p = chain_agreement(&opt, evenly[i].law, plain(etas[n]), steps);
                ck_assert_msg(p > RIGHT, "%s, eta %g, %d steps: p %g", opt.rule->name, etas[n],
                              steps, p);
            }
        }
    }
}
END_TEST

/* Of tokens that are all visible, in the middle of the time. */
static double visible_agreement(const md_sampler_options *opt, transition_fn law, chain c) {
    set_moment(&c, 10, 20);
    return next_agreement(opt, law, &c, 0);
}

START_TEST(etas_are_the_papers_unless_given) {
    for (int i = 0; i < EVENLY; i++) {
        md_sampler_options opt = with(evenly[i].rule, -1);
        double usual = evenly[i].fallback;
        ck_assert_double_gt(visible_agreement(&opt, evenly[i].law, plain(usual)), RIGHT);
        ck_assert_double_lt(visible_agreement(&opt, evenly[i].law, plain(usual * 1.5)), WRONG);
    }
}
END_TEST

START_TEST(without_remasking_it_is_ancestral) {
    const chain c = plain(0);
    for (int i = 0; i < 2; i++) {
        md_sampler_options opt = with(evenly[i].rule, 0);
        ck_assert_double_gt(chain_agreement(&opt, ancestral_law, c, 4), RIGHT);
    }
}
END_TEST

START_TEST(conf_masks_the_least_probable_tokens_the_most) {
    md_sampler_options opt = with(&md_rule_remdm_conf, -1);
    ck_assert_double_gt(step_agreement(&opt, conf_law, plain(0)), RIGHT);
}
END_TEST

/* The law after four steps. What a token was set with depends on the canvas then, so the first two
 * steps are gone through path by path; the last masks nothing. */
static void enumerate_conf(double *law) {
    double first[TABLE_CANVASES] = {0}, third[TABLE_CANVASES] = {0};
    chain c = plain(0);
    set_moment(&c, 0, 4);
    conf_law(&c, ALL_MASKED, 1, first);
    for (int one = 0; one < TABLE_CANVASES; one++) {
        double second[TABLE_CANVASES] = {0};
        float set_with[TABLE_T] = {0}, then[TABLE_T];
        int32_t ids[TABLE_T], now[TABLE_T];
        table_canvas(one, ids);
        for (int j = 0; j < TABLE_T; j++)
            if (ids[j] != TABLE_MASK) set_with[j] = (float)table_p(&model, ALL_MASKED, j, ids[j]);
        set_moment(&c, 1, 4);
        c.set_with = set_with;
        conf_law(&c, one, first[one], second);
        for (int two = 0; two < TABLE_CANVASES; two++) {
            if (second[two] <= 0) continue;
            table_canvas(two, now);
            for (int j = 0; j < TABLE_T; j++) {
                bool anew = ids[j] == TABLE_MASK && now[j] != TABLE_MASK;
                then[j] = anew ? (float)table_p(&model, one, j, now[j]) : set_with[j];
            }
            set_moment(&c, 2, 4);
            c.set_with = then;
            conf_law(&c, two, second[two], third);
        }
    }
    set_moment(&c, 3, 4);
    c.set_with = some_set_with; /* whatever: its rate is 0 */
    for (int code = 0; code < TABLE_CANVASES; code++)
        if (third[code] > 0) conf_law(&c, code, third[code], law);
}

static void select_with_complement(md_block_step *b) {
    float turned[TABLE_T];
    const float *set_with = b->set_with;
    for (int j = 0; j < b->length; j++) turned[j] = b->ids[j] == b->mask_id ? 0 : 1 - set_with[j];
    b->set_with = turned;
    md_rule_remdm_conf.select(b);
    b->set_with = set_with;
}

START_TEST(conf_remembers_what_tokens_were_set_with) {
    double law[TABLE_CANVASES] = {0};
    md_rule broken = md_rule_remdm_conf;
    md_sampler_options opt = with(&md_rule_remdm_conf, -1);
    enumerate_conf(law);
    ck_assert_double_gt(final_agreement(&opt, &model, 4, law, 5 * LAW_BATCHES), RIGHT);
    broken.select = select_with_complement;
    opt.rule = &broken;
    ck_assert_double_lt(step_agreement(&opt, conf_law, plain(0)), WRONG);
    ck_assert_double_lt(final_agreement(&opt, &model, 4, law, 5 * LAW_BATCHES), WRONG);
}
END_TEST

/* --- broken on purpose ----------------------------------------------------------------------- */

/* Masked tokens are unmasked as if none were masked again. */
static void select_without_balance(md_block_step *b) {
    md_rule_remdm_cap.select(b);
    for (int j = 0; j < b->length; j++)
        if (b->ids[j] == b->mask_id)
            b->want[j] = md_uniform(b->rng, b->sequence, (uint32_t)j) >= b->stay;
}

START_TEST(remasking_that_is_not_balanced_is_caught) {
    md_rule broken = md_rule_remdm_cap;
    broken.select = select_without_balance;
    md_sampler_options opt = with(&broken, 0.3);
    ck_assert_double_lt(step_agreement(&opt, cap_law, plain(0.3)), WRONG);
    ck_assert_double_lt(chain_agreement(&opt, cap_law, plain(0.3), 5), WRONG);
}
END_TEST

START_TEST(one_rate_in_the_place_of_another_is_caught) {
    for (int i = 0; i < EVENLY; i++) {
        const chain c = plain(evenly[i].eta);
        const md_rule *other = evenly[(i + 1) % EVENLY].rule;
        md_sampler_options opt = with(other, evenly[i].eta);
        ck_assert_double_lt(step_agreement(&opt, evenly[i].law, c), WRONG);
        ck_assert_double_lt(chain_agreement(&opt, evenly[i].law, c, 5), WRONG);
    }
}
END_TEST

/* Stops holding alpha at half the time. */
static void select_half(md_block_step *b) {
    if (b->t < 0.3) b->t = fmin(b->t, 0.05);
    md_rule_remdm_loop.select(b);
}

START_TEST(a_loop_that_ends_early_is_caught) {
    md_rule broken = md_rule_remdm_loop;
    broken.select = select_half;
    md_sampler_options opt = with(&broken, 0.1);
    chain c = plain(0.1);
    set_moment(&c, 8, 10);
    ck_assert_double_lt(next_agreement(&opt, loop_law, &c, 0), WRONG);
    ck_assert_double_lt(chain_agreement(&opt, loop_law, c, 10), WRONG);
}
END_TEST

int main(void) {
    table_init(&model);
    Suite *s = suite_create("sampler rules of ReMDM");
    suite_case(s, tokens_are_masked_again_at_the_rate_of_the_rule);
    suite_case(s, etas_are_the_papers_unless_given);
    suite_case(s, without_remasking_it_is_ancestral);
    suite_case(s, conf_masks_the_least_probable_tokens_the_most);
    suite_case(s, conf_remembers_what_tokens_were_set_with);
    suite_case(s, remasking_that_is_not_balanced_is_caught);
    suite_case(s, one_rate_in_the_place_of_another_is_caught);
    suite_case(s, a_loop_that_ends_early_is_caught);
    return suite_run(s);
}
