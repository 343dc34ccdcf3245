/* train/features.h: images as a network sees them: a row of numbers for each, in which sets of
 * images are compared (train/frechet.h, train/coverage.h).
 */
#ifndef MD_TRAIN_FEATURES_H
#define MD_TRAIN_FEATURES_H

#include <stdint.h>

/* Rows of numbers; a part of a set is a struct of its own that points into it. */
typedef struct md_features {
    const float *x; /* [count, dim] */
    int64_t count;
    int dim;
} md_features;

#endif
