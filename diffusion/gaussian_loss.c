/* diffusion/gaussian_loss.c: see gaussian_loss.h. */
#include "diffusion/gaussian_loss.h"

#include <math.h>

const char *const md_loss_names[] = {"simple", "hybrid", "vlb", "min-snr", "v", "score", NULL};

static const double ln2 = 0.69314718055994530942;
static const double half_bin = 1.0 / 255, edge = .999, least_likelihood = 1e-12;
static const double most_snr = 5;         /* gamma of min-snr */
static const double least_noise = .05;    /* of the v loss of x0 */
static const double hybrid_share = 0.001; /* lambda of hybrid, of the whole bound */

mdlm_status md_loss_check(const md_gaussian_options *opt, md_loss_kind kind, mdlm_error *err) {
    if (kind != MD_LOSS_HYBRID || opt->variance == MD_VARIANCE_LEARNED) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "the loss 'hybrid' is for learned variances, not for '%s': expected 'simple'",
                   md_variance_names[opt->variance]);
}

int md_gaussian_outputs(const md_gaussian_options *opt) {
    return opt->variance == MD_VARIANCE_LEARNED ? 2 : 1;
}

void md_gaussian_corrupt(const md_gaussian *p, int index, const float *x0, const float *eps,
                         int64_t count, float *x) {
    md_level at = md_gaussian_level(p, index);
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(at.signal * (double)x0[i] + at.noise * (double)eps[i]);
}

/* --- terms of the bound, of one number ------------------------------------------------------- */

/* In nats, with derivatives by the mean and by the logarithm of the network's variance. */
typedef struct term {
    double nats, by_mean, by_log;
} term;

/* Of N(m1, variance = e^l1) from N(m1 + miss, e^l2). */
static term divergence(double miss, double variance, double l1, double l2) {
    double inverse = exp(-l2), narrow = variance * inverse, off = miss * miss * inverse;
    return (term){.nats = (-1 + l2 - l1 + narrow + off) / 2,
                  .by_mean = miss * inverse,
                  .by_log = (1 - narrow - off) / 2};
}

double md_normal_divergence(double m1, double l1, double m2, double l2) {
    return divergence(m2 - m1, exp(l1), l1, l2).nats / ln2;
}

static double below(double z) {
    return erfc(-z * M_SQRT1_2) / 2;
}

static double density(double z) {
    return exp(-z * z / 2) * M_2_SQRTPI * M_SQRT1_2 / 2;
}

/* A difference of two tails is taken on the side where they are small. */
static term decoder(double x0, double m, double l) {
    bool first = x0<-edge, last = x0> edge;
    double scale = exp(-l / 2), high = (x0 - m + half_bin) * scale,
           low = (x0 - m - half_bin) * scale;
    double p = first     ? below(high)
               : last    ? below(-low)
               : low > 0 ? below(-low) - below(-high)
                         : below(high) - below(low);
    if (p <= least_likelihood) return (term){.nats = -log(least_likelihood)};
    double at_high = last ? 0 : density(high), at_low = first ? 0 : density(low);
    return (term){.nats = -log(p),
                  .by_mean = (at_high - at_low) * scale / p,
                  .by_log = (high * at_high - low * at_low) / (2 * p)};
}

double md_decoder_bits(double x0, double m, double l) {
    return decoder(x0, m, l).nats / ln2;
}

/* What one image's terms have in common. */
typedef struct bound {
    const md_gaussian *p;
    bool decodes; /* level 0 */
    md_transition back;
    md_reading image; /* x0 of an output */
} bound;

static bound bound_at(const md_gaussian *p, int index) {
    md_level t = md_gaussian_level(p, index), s = md_gaussian_level(p, index - 1);
    return (bound){.p = p,
                   .decodes = index == 0,
                   .back = md_gaussian_transition(p, t, s),
                   .image = md_prediction_read(p, t, p->opt.prediction, MD_PREDICTS_IMAGE)};
}

/* by_mean is by the guess of x0 in the result. The decoder's mean is the guess. */
static term bound_term(const bound *b, double x0, double guess, double said) {
    double l = md_gaussian_log_variance(b->p, &b->back, said);
    if (b->decodes) return decoder(x0, guess, l);
    term t = divergence(b->back.image * (guess - x0), b->back.small, b->back.log_small, l);
    t.by_mean *= b->back.image;
    return t;
}

double md_gaussian_term(const md_gaussian *p, const md_noisy_image *z, bool clip) {
    bound b = bound_at(p, z->index);
    bool learned = p->opt.variance == MD_VARIANCE_LEARNED;
    int width = learned ? 2 * z->C : z->C;
    double nats = 0;
    for (int64_t k = 0; k < z->pixels; k++) {
        for (int c = 0; c < z->C; c++) {
            const float *out = z->out + k * width + c;
            int64_t i = k * z->C + c;
            double guess = b.image.x * (double)z->noisy[i] + b.image.out * (double)out[0];
            if (clip) guess = guess < -1 ? -1 : guess > 1 ? 1 : guess; /* NaN stays */
            nats +=
                bound_term(&b, (double)z->image[i], guess, learned ? (double)out[z->C] : 0).nats;
        }
    }
    return nats / ln2 / ((double)z->pixels * z->C);
}

double md_gaussian_prior(const md_gaussian *p, const float *image, int64_t count) {
    md_level last = md_gaussian_level(p, p->T - 1);
    double l1 = 2 * log(last.noise), l2 = 2 * log(md_gaussian_start(p, last)), bits = 0;
    for (int64_t i = 0; i < count; i++)
        bits += md_normal_divergence(last.signal * (double)image[i], l1, 0, l2);
    return bits / (double)count;
}

/* --- losses ---------------------------------------------------------------------------------- */

/* value = square * mean e^2 + bits * L_i, and L_i moves the prediction where `moves` says so. */
typedef struct weights {
    double square, bits;
    bool moves;
} weights;

static weights weights_of(const md_gaussian *p, md_loss_kind kind, md_level at, double own) {
    bool learned = p->opt.variance == MD_VARIANCE_LEARNED;
    weights w = {.square = 1, .bits = learned ? hybrid_share * p->T : 0};
    double snr = at.signal * at.signal / (at.noise * at.noise), per_v;
    switch (kind) {
    case MD_LOSS_SIMPLE:
    case MD_LOSS_HYBRID: break;
    case MD_LOSS_VLB: return (weights){.bits = p->T, .moves = true};
    case MD_LOSS_MIN_SNR: w.square = own * own * fmin(snr, most_snr); break;
    case MD_LOSS_V:
        per_v = md_prediction_read(p, at, MD_PREDICTS_VELOCITY, MD_PREDICTS_IMAGE).out;
        if (p->opt.prediction == MD_PREDICTS_IMAGE) per_v = fmax(fabs(per_v), least_noise);
        w.square = own * own / (per_v * per_v);
        break;
    case MD_LOSS_SCORE: w.square = own * own * snr; break;
    }
    return w;
}

md_image_loss md_gaussian_loss(const md_gaussian *p, md_loss_kind kind, const md_noisy_image *z,
                               double weight, float *gradient) {
    md_level at = md_gaussian_level(p, z->index);
    bound b = bound_at(p, z->index);
    double own = b.image.out; /* d x0 / d out */
    weights w = weights_of(p, kind, at, own);
    /* The output that would be right: x0 = image.x * x + own * out, solved with x in full. */
    double from_image = (1 - b.image.x * at.signal) / own, from_noise = -b.image.x * at.noise / own;
    bool learned = p->opt.variance == MD_VARIANCE_LEARNED;
    int width = learned ? 2 * z->C : z->C;
    double count = (double)z->pixels * z->C, per_bit = w.bits / ln2;
    double by_said = learned ? (b.back.log_large - b.back.log_small) / 2 : 0;
    double squares = 0, nats = 0, scale = weight / count;

    for (int64_t k = 0; k < z->pixels; k++) {
        for (int c = 0; c < z->C; c++) {
            int64_t i = k * z->C + c, o = k * width + c;
            double x0 = (double)z->image[i], out = (double)z->out[o];
            double e = out - from_image * x0 - from_noise * (double)z->noise[i];
            double said = learned ? (double)z->out[o + z->C] : 0;
            term t = {0};
            if (w.bits > 0)
                t = bound_term(&b, x0, b.image.x * (double)z->noisy[i] + own * out, said);
            squares += e * e;
            nats += t.nats;
            if (!gradient) continue;
            double by_out = w.moves ? per_bit * t.by_mean * own : 2 * w.square * e;
            gradient[o] = (float)(scale * by_out);
            if (learned) gradient[o + z->C] = (float)(scale * per_bit * t.by_log * by_said);
        }
    }
    double to_noise = at.signal * own / at.noise;
    return (md_image_loss){.value = (w.square * squares + per_bit * nats) / count,
                           .noise_error = to_noise * to_noise * squares / count};
}
