/* sampler/rule_remdm.c: remasking discrete diffusion (ReMDM, Wang et al. 2025).
 *
 * From t to s a visible token becomes a mask again with probability sigma, and a masked one takes
 * v ~ p with probability
 *
 *     (alpha_s - (1 - sigma) alpha_t) / (1 - alpha_t) = 1 - (stay - sigma alpha_t / (1 - alpha_t)),
 *
 * stay = (1 - alpha_s) / (1 - alpha_t), so that the share of visible tokens at s is alpha_s
 * whatever sigma is. It is at most sigma_max = min(1, (1 - alpha_s) / alpha_t), 0 at the last step.
 * A position that was masked again is predicted at a later step. The choice does not look at p, so
 * only tokens that are unmasked are predicted. Each position of the block uses its one draw.
 *
 *   cap      sigma = min(eta, sigma_max), eta = 0.008
 *   rescale  sigma = eta sigma_max, eta = 0.015
 *   conf     sigma = sigma_max softmax(-psi) over visible positions, psi the probability that the
 *            token was set with; 0 at masked positions
 *   loop     t in (0.05, 0.55]: alpha is held at 0.9 and sigma = eta = 0.02; before and after alpha
 *            runs linearly from 0 to 0.9 and from 0.9 to 1 without remasking. These are its own
 *            alpha: the noise schedule does not matter
 */
#include <math.h>

#include "sampler/rule.h"

static const double t_on = 0.55, t_off = 0.05, alpha_on = 0.9;

static double eta_or(const md_block_step *b, double fallback) {
    return b->options->eta >= 0 ? b->options->eta : fallback;
}

static double sigma_max(double alpha_t, double alpha_s) {
    return fmin(1, (1 - alpha_s) / alpha_t); /* 1 at alpha_t = 0 */
}

/* Whether position j, masked or not, changes; in scratch for those that become masks. */
static void choose(md_block_step *b, int j, double sigma, double alpha_t, double stay) {
    bool masked = b->ids[j] == b->mask_id;
    double u = md_uniform(b->rng, b->sequence, (uint32_t)j);
    b->want[j] = masked && u >= stay - sigma * alpha_t / (1 - alpha_t);
    b->scratch[j] = !masked && u < sigma;
}

static void commit_both(md_block_step *b) {
    for (int j = 0; j < b->length; j++) {
        if (b->want[j]) b->ids[j] = b->proposal[j].token;
        if (b->scratch[j]) b->ids[j] = b->mask_id;
    }
}

static void select_cap(md_block_step *b) {
    double sigma = fmin(eta_or(b, 0.008), sigma_max(b->alpha_t, b->alpha_s));
    for (int j = 0; j < b->length; j++) choose(b, j, sigma, b->alpha_t, b->stay);
}

static void select_rescale(md_block_step *b) {
    double sigma = eta_or(b, 0.015) * sigma_max(b->alpha_t, b->alpha_s);
    for (int j = 0; j < b->length; j++) choose(b, j, sigma, b->alpha_t, b->stay);
}

static void select_conf(md_block_step *b) {
    double most = sigma_max(b->alpha_t, b->alpha_s), sum = 0;
    for (int j = 0; j < b->length; j++)
        if (b->ids[j] != b->mask_id) sum += exp(-(double)b->set_with[j]);
    for (int j = 0; j < b->length; j++) {
        bool masked = b->ids[j] == b->mask_id;
        double sigma = masked ? 0 : most * exp(-(double)b->set_with[j]) / sum;
        choose(b, j, sigma, b->alpha_t, b->stay);
    }
}

static double loop_alpha(double t) {
    if (t > t_on) return alpha_on * (1 - t) / (1 - t_on);
    return t > t_off ? alpha_on : 1 - (1 - alpha_on) * t / t_off;
}

static void select_loop(md_block_step *b) {
    double alpha_t = loop_alpha(b->t), alpha_s = loop_alpha(b->s), sigma = 0;
    if (b->t <= t_on && b->t > t_off) sigma = fmin(eta_or(b, 0.02), sigma_max(alpha_t, alpha_s));
    for (int j = 0; j < b->length; j++) choose(b, j, sigma, alpha_t, (1 - alpha_s) / (1 - alpha_t));
}

const md_rule md_rule_remdm_cap = {
    .name = "remdm-cap",
    .help = "ancestral, and a token is masked again with probability --eta (0.008) at most",
    .remasks = true,
    .select = select_cap,
    .commit = commit_both,
};

const md_rule md_rule_remdm_rescale = {
    .name = "remdm-rescale",
    .help = "ancestral, and tokens are masked again at --eta (0.015) of the greatest rate",
    .remasks = true,
    .select = select_rescale,
    .commit = commit_both,
};

const md_rule md_rule_remdm_conf = {
    .name = "remdm-conf",
    .help = "ancestral, and tokens are masked again the rather the less probable they were",
    .remasks = true,
    .select = select_conf,
    .commit = commit_both,
};

const md_rule md_rule_remdm_loop = {
    .name = "remdm-loop",
    .help = "fills 90%, then masks again and refills at rate --eta (0.02), then fills the rest",
    .remasks = true,
    .select = select_loop,
    .commit = commit_both,
};
