/* train/coverage.h: whether samples lie where real images do (precision), and everywhere where
 * these do (recall and coverage), by nearest neighbours in the features of a network.
 *
 *     md_coverage c;
 *     MD_TRY(md_coverage_measure(&real, &samples, MD_COVERAGE_NEIGHBOURS, pool, &c, err));
 *
 * Around each image of a set lies a ball that reaches to the k-th nearest other image of the set;
 * the set covers what is in one of its balls.
 *
 * Samples that are all alike and perfect have precision 1, a recall and a coverage near 0. All
 * three depend on the sizes of the sets, so they are stated beside those of as many real images in
 * the samples' place; of two equal sets of equal law coverage is 1 - 2^-k on average.
 */
#ifndef MD_TRAIN_COVERAGE_H
#define MD_TRAIN_COVERAGE_H

#include "base/error.h"
#include "base/pool.h"
#include "train/features.h"

enum { MD_COVERAGE_NEIGHBOURS = 5, MD_COVERAGE_MOST = 64 }; /* k: usual, and the largest */

typedef struct md_coverage {
    double precision; /* share of the samples that the real images cover (Kynkäänniemi et al. 2019)
                       */
    double recall;    /* share of the real images that the samples cover */
    double coverage; /* share of the real images whose ball holds a sample, which outliers among the
                        samples do not raise (Naeem et al. 2020) */
} md_coverage;

/* 1 <= k <= MD_COVERAGE_MOST. MDLM_INPUT when a set has not more than k rows. Both have one dim;
 * every number is finite. Time goes with (real + samples)^2 dim; the pool may be NULL. */
mdlm_status md_coverage_measure(const md_features *real, const md_features *samples, int k,
                                md_pool *pool, md_coverage *out, mdlm_error *err);

#endif
