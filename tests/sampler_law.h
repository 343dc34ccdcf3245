/* tests/sampler_law.h: the laws of stepping rules on the table model, by enumeration, and what
 * compares a rule with them.
 *
 * A transition spreads the mass of one of the 4^4 canvases over the next ones; it states a rule's
 * law again, from the table's probabilities alone. Of a rule are compared
 *
 *   a step    frequencies of the next canvas from given ones, with rule.h's functions driven here
 *   a chain   frequencies of final canvases, with md_sampler_run, the law by dynamic programming
 *
 * by chi-square with a fixed seed: a right rule passes p > 1e-3 (RIGHT), one broken on purpose must
 * fail with p < 1e-6 (WRONG).
 *
 *     chain c = {.model = &model, .power = 1};
 *     md_sampler_options opt = md_sampler_defaults();
 *     opt.rule = &md_rule_random;
 *     ck_assert_double_gt(step_agreement(&opt, random_law, c), RIGHT);
 *     ck_assert_double_gt(chain_agreement(&opt, random_law, c, 3), RIGHT);
 */
#ifndef TESTS_SAMPLER_LAW_H
#define TESTS_SAMPLER_LAW_H

#include "sampler/draw.h"
#include "sampler/steps.h"
#include "tests/suite.h"
#include "tests/table_model.h"

enum { LAW_BATCH = 1000, LAW_BATCHES = 20, ALL_MASKED = TABLE_CANVASES - 1 };
static const double RIGHT = 1e-3, WRONG = 1e-6;

/* What a law depends on. */
typedef struct chain {
    const table_model *model;
    double power; /* 1 / temperature */
    int top_k;    /* 0: off */
    int banned;   /* bit v: token v may not be drawn */
    int late;     /* bit v: token v is set last */
    double alg_temperature, threshold, factor, eta;
    bool dream;            /* times, quotas and scores are Dream's */
    const float *set_with; /* [TABLE_T] */
    /* the step at hand; set_moment */
    int step, steps;
    double t, s, stay;
    int quota;
} chain;

/* Adds to next [TABLE_CANVASES] what becomes of `mass` at canvas `code`. */
typedef void (*transition_fn)(const chain *c, int code, double mass, double *next);

/* Step i of N under the linear schedule. */
static inline void set_moment(chain *c, int i, int N) {
    c->step = i, c->steps = N;
    c->t = 1 - (double)i / N, c->s = 1 - (i + 1.0) / N;
    if (c->dream) c->t = 1 - 0.999 * i / N, c->s = 1 - 0.999 * (i + 1) / N;
    if (i + 1 == N) c->s = 0;
    c->stay = c->s / c->t;
    c->quota = TABLE_T / N + (i < TABLE_T % N);
}

static inline int masked_set(int code) {
    int32_t ids[TABLE_T];
    int set = 0;
    table_canvas(code, ids);
    for (int j = 0; j < TABLE_T; j++) set |= (ids[j] == TABLE_MASK) << j;
    return set;
}

static inline int size_of(int set) {
    return __builtin_popcount((unsigned)set);
}

/* How many tokens the step commits at this canvas. */
static inline int quota_at(const chain *c, int code) {
    int masked = size_of(masked_set(code));
    if (!c->dream) return c->quota < masked ? c->quota : masked;
    return c->step + 1 == c->steps ? masked : (int)(masked * (1 - c->s / c->t));
}

/* p(v | canvas) without what is banned. */
static inline double plain_p(const chain *c, int code, int j, int v) {
    double sum = 0;
    for (int w = 0; w < TABLE_V; w++)
        if (!(c->banned >> w & 1)) sum += table_p(c->model, code, j, w);
    return c->banned >> v & 1 ? 0 : table_p(c->model, code, j, v) / sum;
}

/* What tokens are drawn from. */
static inline double drawn_p(const chain *c, int code, int j, int v) {
    double sum = 0, at_v = 0;
    for (int w = 0; w < TABLE_V; w++) {
        double p = plain_p(c, code, j, w);
        int before = 0;
        for (int x = 0; x < TABLE_V; x++) before += plain_p(c, code, j, x) > p;
        if (p <= 0 || (c->top_k > 0 && before >= c->top_k)) continue;
        sum += pow(p, c->power);
        if (w == v) at_v = pow(p, c->power);
    }
    return at_v / sum;
}

/* Spreads `mass` over the ways to fill the positions of `set`, each v ~ p given the canvas. */
static inline void fill_set(const chain *c, int code, int set, double mass, double *next) {
    int32_t ids[TABLE_T], now[TABLE_T];
    double p_of[TABLE_T][TABLE_V];
    table_canvas(code, ids);
    for (int j = 0; j < TABLE_T; j++)
        for (int v = 0; v < TABLE_V && (set >> j & 1); v++) p_of[j][v] = drawn_p(c, code, j, v);
    for (int combination = 0; combination < 81; combination++) {
        double p = mass;
        bool valid = true;
        memcpy(now, ids, sizeof now);
        for (int j = 0, rest = combination; j < TABLE_T; j++, rest /= 3) {
            if (set >> j & 1)
                p *= p_of[j][now[j] = rest % 3];
            else
                valid = valid && rest % 3 == 0;
        }
        if (valid) next[table_code(now)] += p;
    }
}

/* Each masked position on its own. */
static inline void ancestral_law(const chain *c, int code, double mass, double *next) {
    int masked = masked_set(code);
    for (int set = 0; set < 16; set++) {
        if (set & ~masked) continue;
        double p = pow(1 - c->stay, size_of(set)) * pow(c->stay, size_of(masked & ~set));
        fill_set(c, code, set, mass * p, next);
    }
}

/* All subsets of quota masked positions, equally likely. With quota 1 in every step this averages
 * over the 24 orders. */
static inline void random_law(const chain *c, int code, double mass, double *next) {
    int masked = masked_set(code), ways = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int set = 0; set < 16; set++) {
            if ((set & ~masked) || size_of(set) != quota_at(c, code)) continue;
            if (pass == 0)
                ways++;
            else
                fill_set(c, code, set, mass / ways, next);
        }
    }
}

/* Positions of `set` by falling score, the lower one of equals first; returns how many. */
static inline int ranking(const double *score, int set, int *order) {
    int n = 0;
    for (int j = 0; j < TABLE_T; j++) {
        if (!(set >> j & 1)) continue;
        int at = n++;
        for (; at > 0 && score[order[at - 1]] < score[j]; at--) order[at] = order[at - 1];
        order[at] = j;
    }
    return n;
}

/* Spreads mass over the canvases in which some of the masked positions hold their token of `drawn`
 * [TABLE_T]. */
typedef void (*accept_fn)(const chain *c, int code, const int32_t *drawn, double mass,
                          double *next);

/* A token is drawn for every masked position, and some are accepted. */
static inline void draw_and_accept(const chain *c, int code, double mass, double *next,
                                   accept_fn accept) {
    double all[TABLE_CANVASES] = {0};
    fill_set(c, code, masked_set(code), mass, all);
    for (int full = 0; full < TABLE_CANVASES; full++) {
        int32_t drawn[TABLE_T];
        table_canvas(full, drawn);
        if (all[full] > 0) accept(c, code, drawn, all[full], next);
    }
}

/* The canvas `code` with the tokens of `drawn` at the positions of `set`. */
static inline int with_tokens(int code, const int32_t *drawn, int set) {
    int32_t ids[TABLE_T];
    table_canvas(code, ids);
    for (int j = 0; j < TABLE_T; j++)
        if (set >> j & 1) ids[j] = drawn[j];
    return table_code(ids);
}

/* --- a rule against its law ------------------------------------------------------------------ */

/* The law after N steps from all masked. */
static inline void enumerate(transition_fn transition, chain c, int N, double *law) {
    double now[TABLE_CANVASES] = {0};
    now[ALL_MASKED] = 1;
    for (int i = 0; i < N; i++) {
        double next[TABLE_CANVASES] = {0};
        set_moment(&c, i, N);
        for (int code = 0; code < TABLE_CANVASES; code++)
            if (now[code] > 0) transition(&c, code, now[code], next);
        memcpy(now, next, sizeof now);
    }
    memcpy(law, now, sizeof now);
}

static inline void check_total(const double *law) {
    double total = 0;
    for (int code = 0; code < TABLE_CANVASES; code++) total += law[code];
    ck_assert_double_eq_tol(total, 1, 1e-12); /* sums of at most some thousand products */
}

/* p-value of so many batches of final canvases, from all masked, against a law after N steps. */
static inline double final_agreement(const md_sampler_options *options, table_model *model, int N,
                                     const double *law, int batches) {
    static int32_t ids[LAW_BATCH * TABLE_T];
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(model);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = *options;
    int count[TABLE_CANVASES] = {0};
    opt.steps = N, opt.seed = 77;
    check_total(law);
    for (int b = 0; b < batches; b++) {
        md_canvas canvas = {.ids = ids, .samples = LAW_BATCH, .length = TABLE_T};
        for (int i = 0; i < LAW_BATCH * TABLE_T; i++) ids[i] = TABLE_MASK;
        opt.first_index = (int64_t)b * LAW_BATCH;
        assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
        for (int k = 0; k < LAW_BATCH; k++) count[table_code(ids + k * TABLE_T)]++;
    }
    return chi_square_test(count, law, TABLE_CANVASES);
}

static inline double chain_agreement(const md_sampler_options *opt, transition_fn transition,
                                     chain c, int N) {
    double law[TABLE_CANVASES];
    table_model model = *c.model; /* its counters are written */
    enumerate(transition, c, N, law);
    return final_agreement(opt, &model, N, law, LAW_BATCHES);
}

/* What one step of the rule makes of the canvas `code`, in sample `sequence`. */
static inline int step_once(const md_sampler_options *opt, md_drawer *drawer, const chain *c,
                            int code, uint32_t sequence) {
    int32_t ids[TABLE_T];
    uint8_t want[TABLE_T] = {0};
    int scratch[2 * TABLE_T];
    double score[TABLE_T];
    md_proposal proposal[TABLE_T];
    md_draw draws[TABLE_T];
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_rng token = {.seed = 5, .stream = MD_STREAM_TOKEN};
    md_block_step b = {.length = TABLE_T,
                       .ids = ids,
                       .want = want,
                       .proposal = proposal,
                       .masked = size_of(masked_set(code)),
                       .mask_id = TABLE_MASK,
                       .steps = c->steps,
                       .set_with = c->set_with,
                       .options = opt,
                       .rng = {.seed = 5, .stream = MD_STREAM_REMASK},
                       .sequence = sequence,
                       .scratch = scratch,
                       .score = score};
    int count = 0;
    table_canvas(code, ids);
    md_steps_at(&b, &process, c->step);
    opt->rule->select(&b);
    for (int j = 0; j < TABLE_T; j++) {
        if (!want[j]) continue;
        draws[count++] = (md_draw){.logits = c->model->logits[code][j],
                                   .u = md_uniform(token, sequence, (uint32_t)j),
                                   .proposal = &proposal[j]};
    }
    if (md_drawer_draw(drawer, draws, count) != count) return -1;
    if (opt->rule->commit) opt->rule->commit(&b);
    for (int j = 0; j < TABLE_T && !opt->rule->commit; j++)
        if (want[j]) ids[j] = proposal[j].token;
    return table_code(ids);
}

/* p-value of the next canvas after `code` at the moment of c. */
static inline double next_agreement(const md_sampler_options *opt, transition_fn transition,
                                    const chain *c, int code) {
    mdlm_error err = {0};
    double law[TABLE_CANVASES] = {0};
    int count[TABLE_CANVASES] = {0};
    md_drawer *drawer = md_drawer_new(TABLE_V + 1, TABLE_MASK, opt, &err);
    ck_assert_ptr_nonnull(drawer);
    transition(c, code, 1, law);
    check_total(law);
    int failed = 0;
    for (uint32_t k = 0; k < LAW_BATCH * LAW_BATCHES; k++) {
        int after = step_once(opt, drawer, c, code, k);
        if (after < 0)
            failed++;
        else
            count[after]++;
    }
    ck_assert_int_eq(failed, 0);
    md_drawer_free(drawer);
    return chi_square_test(count, law, TABLE_CANVASES);
}

/* The least p-value of single steps, times their number (Bonferroni): from all masked, from mixed
 * canvases in the middle of a chain, from one without masks, and of a last step. ReMDM's greatest
 * rate is 1 in some of them and less in others. */
static inline double step_agreement(const md_sampler_options *opt, transition_fn transition,
                                    chain c) {
    static const struct {
        int32_t ids[TABLE_T];
        int step, steps;
    } from[] = {
        {{TABLE_MASK, TABLE_MASK, TABLE_MASK, TABLE_MASK}, 0, 2},
        {{TABLE_MASK, 1, TABLE_MASK, 0}, 3, 5},
        {{2, TABLE_MASK, TABLE_MASK, TABLE_MASK}, 1, 3},
        {{0, 2, 1, 2}, 5, 7},
        {{TABLE_MASK, 0, 2, TABLE_MASK}, 1, 2},
    };
    const int count = sizeof from / sizeof *from;
    double least = 1;
    for (int i = 0; i < count; i++) {
        set_moment(&c, from[i].step, from[i].steps);
        least = fmin(least, next_agreement(opt, transition, &c, table_code(from[i].ids)));
    }
    return fmin(1, least * count);
}

#endif
