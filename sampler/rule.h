/* sampler/rule.h: a stepping rule decides which tokens of a block are committed at a step.
 *
 * A rule sees one sample's current block, twice a step:
 *   1. `select` marks in want[] the positions whose proposals it needs. It decides from the canvas,
 *      the time and its draws alone. If it marks none, this canvas is not evaluated at this step.
 *   2. For each marked position the loop asks the network and draws a proposal: a token v ~ p
 *      (temperature, top-k, top-p applied) and its confidence.
 *   3. `commit` writes ids[j] = proposal[j].token where it accepts. NULL: accept all that select
 *      marked. (Rules that mask again write mask_id at visible positions of the block.)
 * So a rule whose choice of positions does not look at the network (ancestral, first-hitting,
 * random) pays for the rows that it commits and no others. When a commit leaves a canvas as it was,
 * the next step draws from the same logits again (sampler/kept.h), so no rule pays twice for one
 * state of a canvas, unless it then marks positions that it had not or memory runs short.
 *
 * Recipe for a new rule: a file rule_NAME.c that defines `const md_rule md_rule_NAME`, two lines in
 * rules.c, tests of its step and of its chain by tests/sampler_law.h.
 */
#ifndef MD_SAMPLER_RULE_H
#define MD_SAMPLER_RULE_H

#include "sampler/sampler.h"

typedef struct md_proposal {
    int32_t token;
    int32_t best; /* the most probable token, the lower id of equals */
    /* of p = softmax of the un-tempered logits, mask and forbidden tokens excluded; with
     * MD_COMPAT_DREAM of the tempered and truncated distribution that the token is drawn from: */
    double confidence;      /* p(token) */
    double best_confidence; /* p(best) */
    double entropy;         /* -sum p ln p, nats */
    double margin;          /* between the most probable token and the next */
    bool late; /* the token is end-of-text under MD_END_LATE: it comes after all others */
} md_proposal;

typedef struct md_block_step {
    /* the block: `length` open positions of the canvas, in order */
    int length;
    int32_t *ids;                /* [length] mask_id where still masked; commit writes */
    uint8_t *want;               /* [length] all 0 when select starts; select writes 1 */
    const md_proposal *proposal; /* [length] for commit; valid where want[j] */
    int masked;                  /* how many are masked now */
    int32_t mask_id;
    /* time: step `step` (0-based) of `steps` in this block goes from t = 1 - step/steps to
     * s = t - 1/steps; s = 0 at the last */
    int step, steps;
    double t, s;
    double alpha_t, alpha_s; /* probabilities to be visible; alpha_s = 1 at the last step */
    double stay; /* (1 - alpha_s) / (1 - alpha_t): probability to stay masked; 0 at the last */
    int quota;   /* tokens to commit at this step, for rules that count (sampler/steps.h) */
    const float *set_with; /* [length] probability that a visible token had when it was committed */
    const md_sampler_options *options; /* thresholds and the like */
    /* draws: md_uniform(rng, sequence, j) with j in [0, length); rng.step differs every step. A
     * place (j) drawn in select must not be drawn again in commit. */
    md_rng rng;
    uint32_t sequence;
    int *scratch;  /* [2 * length], kept from select to commit */
    double *score; /* [length], kept from select to commit */
} md_block_step;

struct md_rule {
    const char *name;
    const char *help;        /* one line */
    bool one_token_per_step; /* as many steps as open positions, whatever --steps says */
    bool until_filled;       /* steps until no position of the block is masked, at most as many as
                                it has; each must commit one. --steps does not matter */
    bool left_to_right;      /* commits a position only after all before it */
    bool remasks;            /* may mask visible tokens of the block again, so that none of them is
                                settled before the block is */
    void (*select)(md_block_step *b);
    void (*commit)(md_block_step *b); /* NULL: commit what was selected */
};

extern const md_rule md_rule_ancestral;     /* stays masked with probability s/t */
extern const md_rule md_rule_first_hitting; /* one uniformly chosen position a step */
extern const md_rule md_rule_random;        /* LLaDA: n_i of m at random */
extern const md_rule md_rule_left;          /* the n_i leftmost */
extern const md_rule md_rule_confidence;    /* LLaDA low_confidence: the n_i most confident */
extern const md_rule md_rule_margin;        /* Dream topk_margin: n_i by p1 - p2 */
extern const md_rule md_rule_entropy;       /* Dream: the n_i of least entropy */
extern const md_rule md_rule_origin;        /* Dream: each with 1 - s/t on its own times */
extern const md_rule md_rule_threshold;     /* Fast-dLLM: all confident ones, one at least */
extern const md_rule md_rule_factor;        /* Fast-dLLM: as many as are confident together */
extern const md_rule md_rule_remdm_cap;     /* ReMDM: visible tokens become masks again */
extern const md_rule md_rule_remdm_rescale;
extern const md_rule md_rule_remdm_conf;
extern const md_rule md_rule_remdm_loop;

/* For rules. */
/* Indices of the masked positions, ascending, in `out` [masked]. */
void md_rule_masked(const md_block_step *b, int *out);
/* Marks n of the masked positions, every subset equally likely. Uses scratch and draws 0..n-1. */
void md_rule_select_uniformly(md_block_step *b, int n);
/* Marks each masked position on its own with probability 1 - stay. Position j uses draw j. */
void md_rule_select_each(md_block_step *b, double stay);
/* Marks every masked position, but none if the quota is 0. Uses no draws. */
void md_rule_select_masked(md_block_step *b);

typedef double (*md_score_fn)(const md_proposal *proposal); /* finite; the greater the sooner */
/* Writes score [length] at marked positions; -infinity for what is late. */
void md_rule_score(md_block_step *b, md_score_fn score);
/* The position of the greatest score of those marked and still masked, the lower one of equals; -1:
 * none is left. */
int md_rule_best(const md_block_step *b);
/* Commits `quota` of the marked positions: those of the greatest scores, or with alg_temperature >
 * 0 drawn one after the other without replacement from the softmax of scores over it; what is late
 * after all others. Uses score, and with alg_temperature draw j for position j. */
void md_rule_commit_by_score(md_block_step *b, md_score_fn score);

#endif
