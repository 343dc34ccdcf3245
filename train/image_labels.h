/* train/image_labels.h: how well a classifier tells what images show, at levels of noise.
 *
 *     md_label_judge judge = {.classifier = &classifier, .process = &process, .seed = seed};
 *     md_label_score score = {0};
 *     MD_GOTO(done, status, md_label_judge_init(&judge, 64, err));
 *     const md_label_batch batch = {.images = x, .labels = y, .level = level, .count = n};
 *     MD_GOTO(done, status, md_label_judge_add(&judge, &batch, &score, err));
 *     accuracy = (double)score.right / (double)score.images;           base/interval.h
 *     done: md_label_judge_release(&judge);
 *
 * Noise is keyed by (seed, level, number of the image), so batches do not matter.
 */
#ifndef MD_TRAIN_IMAGE_LABELS_H
#define MD_TRAIN_IMAGE_LABELS_H

#include "diffusion/gaussian.h"
#include "tensor/denoiser.h"

/* Sums over images; begins as {0}. */
typedef struct md_label_score {
    int64_t images;
    int64_t right;        /* whose label has the highest probability; of equals the first counts */
    double nats, squares; /* -ln p(label | image), and its square */
} md_label_score;
double md_label_score_nats(const md_label_score *s);   /* the mean */
double md_label_score_stderr(const md_label_score *s); /* of the mean; NaN for fewer than two */

/* The class whose log_p is highest, of [classes]; of equals the first. */
int md_label_likeliest(const float *log_p, int classes);

typedef struct md_label_judge {
    const md_image_classifier *classifier;
    const md_gaussian *process; /* of a noisy classifier; else NULL */
    uint64_t seed;
    /* work space */
    int most;
    float *x, *noise; /* [most, Y, X, C], and one image */
    float *log_p;     /* [most, classes] */
    double *time;     /* [most] */
} md_label_judge;

/* The fields before the work space are set. At most `most` images a call. Release after a failure,
 * too. */
mdlm_status md_label_judge_init(md_label_judge *j, int most, mdlm_error *err);
void md_label_judge_release(md_label_judge *j);

typedef struct md_label_batch {
    const float *images;   /* [count, Y, X, C] clean, in [-1, 1] */
    const int32_t *labels; /* [count] below the classes; -1: passed over */
    const int *level;      /* [count] of the process, 0 .. T-1; not read without one */
    int count;
    int64_t first; /* number of the first image */
} md_label_batch;
/* Adds to *score; j->log_p then holds what was said of each. MDLM_NUMERIC when the classifier says
 * what is no number. */
mdlm_status md_label_judge_add(md_label_judge *j, const md_label_batch *b, md_label_score *score,
                               mdlm_error *err);

#endif
