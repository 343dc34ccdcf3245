/* tensor/denoiser.h: where models and diffusion processes meet.
 *
 * A sampler or a likelihood estimate asks a denoiser; a transformer or a U-Net, a table of
 * conditionals in a test, or guidance around another denoiser answers. So model/ and diffusion/
 * never include each other. Whoever needs to know what an image shows (guidance, evaluation) asks a
 * classifier in the same way.
 */
#ifndef MD_TENSOR_DENOISER_H
#define MD_TENSOR_DENOISER_H

#include "base/error.h"

/* Which positions of a canvas decide the logits of position i. */
typedef enum md_sight {
    MD_SEES_ALL,    /* all: a bidirectional model */
    MD_SEES_BLOCKS, /* those up to the end of i's block of block_length positions, counted from the
                       start of the canvas: block diffusion (BD3-LM) */
    MD_SEES_PAST,   /* those before i, so not i itself: an autoregressive model */
} md_sight;

/* A call that computes some positions of canvases, and takes the others from caches. */
typedef struct md_cached_call {
    void *const *caches; /* [B] of cache_new, for canvases of T tokens */
    const int32_t *ids;  /* [B, T] */
    int B, T;
    int first, end; /* positions [first, end) are computed from their ids, and the caches then hold
                       them; others are seen as the caches hold them, whatever `ids` says of them */
    const int32_t *rows; /* as predict's; positions in [first, end) */
    int count;           /* 0: nothing but filling the caches */
    float *logits;
} md_cached_call;

/* Predicts x0 of a masked canvas. */
typedef struct md_denoiser {
    void *context;
    int vocab; /* V: width of a row of logits */
    int32_t mask_id;
    md_sight sight;
    int block_length; /* MD_SEES_BLOCKS; else 0 */
    /* ids: canvases [B, T]. rows: `count` indices into [0, B*T), ascending: the positions whose
     * logits are wanted. Writes logits [count, V] (natural logarithms up to a constant per row; the
     * mask's logit is set to -infinity by the caller, see SUBS in diffusion/masked.h). A row's
     * logits must not depend on B or on the other canvases. */
    mdlm_status (*predict)(void *context, const int32_t *ids, int B, int T, const int32_t *rows,
                           int count, float *logits, mdlm_error *err);
    /* MD_SEES_BLOCKS, else NULL: the same for every block of `noisy` [B, T] at once, each with the
     * blocks before it as they are in `clean` [B, T]: a row's logits are those that predict gives
     * for the canvas made of clean's earlier blocks and noisy's own. */
    mdlm_status (*predict_blocks)(void *context, const int32_t *noisy, const int32_t *clean, int B,
                                  int T, const int32_t *rows, int count, float *logits,
                                  mdlm_error *err);
    /* Caches of keys and values; all three are NULL for a denoiser that has none. A new cache holds
     * nothing: the first call must fill what later ones rely on. Where sight is MD_SEES_BLOCKS or
     * MD_SEES_PAST and the positions before `first` hold what they held when they were computed,
     * predict_cached gives the logits of predict, bit for bit where the kernels allow (and else to
     * rounding); with MD_SEES_ALL it is an approximation unless [first, end) is everything. */
    void *(*cache_new)(void *context, int T, mdlm_error *err); /* NULL on failure; caller frees */
    void (*cache_free)(void *cache);                           /* accepts NULL */
    mdlm_status (*predict_cached)(void *context, const md_cached_call *call, mdlm_error *err);
} md_denoiser;

/* Images are rows of pixels of channels: [B, Y, X, C], C fastest, values in [-1, 1] where they are
 * clean. */
typedef struct md_image_shape {
    int Y, X, C;
} md_image_shape;

/* What a network for images is asked. */
typedef struct md_image_query {
    const float *x;       /* [B, Y, X, C], noisy images times md_gaussian_input (1 but for
                             variance-exploding processes) */
    const double *time;   /* [B], what the process calls the noise level of each (md_level.time) */
    const int32_t *label; /* [B], -1: of no class; NULL: none is */
    const float *given;   /* [B, Y, X, given] what the network is shown beside x; NULL where it is
                             shown nothing (md_image_denoiser.given) */
    int B;
} md_image_query;

/* Predicts what a Gaussian process asks for (noise, image or velocity: diffusion/gaussian.h) of
 * noisy images. Guidance is a wrapper around another one. */
typedef struct md_image_denoiser {
    void *context;
    md_image_shape shape;
    int outputs; /* C, or 2 C: of each pixel C predictions, then C numbers that say the variance */
    int classes; /* labels are 0 .. classes - 1; 0: the model takes none */
    int given;   /* channels of another image that goes with each, of the same sides (the picture
                    that is to be made larger, say); 0: none */
    /* Writes out [B, Y, X, outputs]. An image's prediction must not depend on B or on the other
     * images. */
    mdlm_status (*predict)(void *context, const md_image_query *query, float *out, mdlm_error *err);
} md_image_denoiser;

/* What a classifier is wanted to say of the images of a query; NULL: not wanted. Overwritten. */
typedef struct md_image_verdict {
    float *log_p;    /* [B, classes] ln p(class | x, time) */
    float *features; /* [B, features] the layer before the last: what images are compared by */
    float *gradient; /* [B, Y, X, C] of ln p(label | x, time) by query->x (a chain rule away from
                        the noisy image where that is scaled); 0 where the label is -1 */
} md_image_verdict;

/* Says which class an image shows. */
typedef struct md_image_classifier {
    void *context;
    md_image_shape shape;
    int classes;  /* >= 1 */
    int features; /* >= 1 */
    bool noisy; /* it has learned from noisy images, and query->time says how noisy these are; else
                   it is for clean ones, and the time is not read (may be NULL) */
    /* query->label (for the gradient alone, else not read) is below classes, or -1: MDLM_USAGE.
     * What is said of an image must not depend on B or on the other images. */
    mdlm_status (*classify)(void *context, const md_image_query *query, const md_image_verdict *out,
                            mdlm_error *err);
} md_image_classifier;

#endif
