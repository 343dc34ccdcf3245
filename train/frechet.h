/* train/frechet.h: how far a set of images is from a reference, both taken for Gaussians in the
 * features of a network (Heusel et al. 2017: the FID where that network is Inception).
 *
 *     md_frechet *frechet = NULL;
 *     MD_TRY(md_frechet_new(&real, pool, &frechet, err));
 *     MD_TRY(md_frechet_measure(frechet, &samples, &opt, &report, err));
 *     MD_TRY(md_frechet_measure(frechet, &other_real, &opt, &floor, err));
 *     md_frechet_free(frechet);
 *
 *     distance = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)
 *
 * with means m and covariances C (divided by count - 1). Distances in the features of different
 * networks cannot be compared, nor can those of sets of different sizes: few images lie farther
 * from the reference than many of the same kind, even real ones. So a distance is stated beside its
 * floor, that of as many other real images.
 *
 * The square roots come from LAPACK's symmetric eigenvalues. The root of an eigenvalue that is 0
 * but for rounding leaves up to 1e-8 of the largest one: sets that are equal are about 1e-7 of the
 * trace apart.
 */
#ifndef MD_TRAIN_FRECHET_H
#define MD_TRAIN_FRECHET_H

#include "base/error.h"
#include "base/interval.h"
#include "base/pool.h"
#include "train/features.h"

typedef struct md_frechet md_frechet;

/* Decomposes the covariance of the reference, of which only that is kept. MDLM_INPUT for fewer than
 * two rows; MDLM_NUMERIC when a number is not finite. The pool (may be NULL) must outlive *out;
 * caller frees. */
mdlm_status md_frechet_new(const md_features *reference, md_pool *pool, md_frechet **out,
                           mdlm_error *err);
void md_frechet_free(md_frechet *frechet); /* accepts NULL */

typedef struct md_frechet_options {
    int resamples; /* of the bootstrap; 0: none, the report then has NaN for what needs it */
    uint64_t seed;
    /* Called between pieces of the bootstrap; non-zero cancels: MDLM_CANCELLED. May be NULL. */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} md_frechet_options;

/* The bootstrap (Efron 1979) draws as many samples from the samples, with replacement; the
 * reference stays as it is, so that two sets that were measured against it can be compared. */
typedef struct md_frechet_report {
    double distance;
    /* 95% for the mean distance of sets of this size: the percentiles of the resampled distances,
     * moved by `bias`, as a set drawn from the samples is farther away than they are. Rather wide
     * where there are few samples for many features. */
    md_interval interval;
    double bias; /* mean of the resampled distances less `distance`: about what is there because
                    samples are no more than they are, and vanishes as 1 / count */
} md_frechet_report;

/* `samples` have the reference's dim. Errors as md_frechet_new; `out` is untouched on failure. */
mdlm_status md_frechet_measure(const md_frechet *frechet, const md_features *samples,
                               const md_frechet_options *opt, md_frechet_report *out,
                               mdlm_error *err);

#endif
