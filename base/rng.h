/* base/rng.h: counter-based random numbers (Philox4x32-10, Salmon et al. 2011).
 *
 *     md_rng rng = {.seed = 1, .stream = MD_STREAM_MASK, .step = 7};
 *     double u = md_uniform(rng, sequence, position);
 *
 * A draw is a pure function of (seed, stream, step, sequence, position): it does not depend on the
 * batch size, on the number of threads, or on what was drawn before. There is no state to save.
 */
#ifndef MD_BASE_RNG_H
#define MD_BASE_RNG_H

#include <stdint.h>

/* What the draw is for. Values are part of the reproducibility promise: append only. */
typedef enum md_stream {
    MD_STREAM_INIT = 1,  /* initial weights */
    MD_STREAM_ORDER = 2, /* order of the training data */
    MD_STREAM_TIME = 3,  /* noise levels in training */
    MD_STREAM_MASK = 4,  /* corruption in training */
    MD_STREAM_DROPOUT = 5,
    MD_STREAM_EVAL_TIME = 6, /* noise levels in evaluation */
    MD_STREAM_EVAL_MASK = 7,
    MD_STREAM_TOKEN = 8,   /* sampler: which token */
    MD_STREAM_REMASK = 9,  /* sampler: which positions */
    MD_STREAM_CORPUS = 10, /* synthetic corpora */
    MD_STREAM_NOISE = 11,  /* Gaussian noise */
    MD_STREAM_ROOM = 12,   /* room behind an answer in fine-tuning */
    MD_STREAM_FLIP = 13,   /* which images are mirrored in training */
    MD_STREAM_EVAL_NOISE = 14,
    MD_STREAM_LABEL = 15,     /* which labels the network does not see in training */
    MD_STREAM_SPLIT = 16,     /* which images are kept for validation */
    MD_STREAM_BOOTSTRAP = 17, /* which samples are drawn again */
    MD_STREAM_AUGMENT = 18,   /* noise of the image that is made larger */
    MD_STREAM_KNOWN = 19,     /* sampler: noise of known pixels, and on the way back to more */
} md_stream;

typedef struct md_rng {
    uint64_t seed;
    uint32_t stream; /* md_stream */
    uint64_t step;   /* training step, sampling step, layer or draw number: 56 bits are used */
} md_rng;

/* The bare generator: ten rounds on a 128-bit counter with a 64-bit key. */
void md_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 128 bits for one place. */
void md_rng_bits(md_rng rng, uint32_t sequence, uint32_t position, uint32_t out[4]);

/* Uniform on the open interval (0,1), 53 bits. */
double md_uniform(md_rng rng, uint32_t sequence, uint32_t position);

/* Uniform integer in [0, n), n >= 1, without modulo bias beyond 2^-64 * n. */
uint64_t md_uniform_below(md_rng rng, uint32_t sequence, uint32_t position, uint64_t n);

/* Standard normal (Box-Muller on the 128 bits of the place). Arithmetic of its own instead of the
 * system's logarithm and cosine: the same bits wherever IEEE arithmetic is. */
double md_normal(md_rng rng, uint32_t sequence, uint32_t position);
/* out[i] = (float)md_normal(rng, sequence, first + i) for i in [0, count), many at a time. */
void md_normal_fill(md_rng rng, uint32_t sequence, uint32_t first, int64_t count, float *out);

/* A pseudo-random permutation of 0..n-1 evaluated at i (cycle-walking Feistel network keyed by
 * rng): the shuffled order of any number of items without storing it. */
uint64_t md_permute(md_rng rng, uint64_t i, uint64_t n);

#endif
