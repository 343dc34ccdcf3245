/* tensor/denoiser.h: where models and diffusion processes meet.
 *
 * A sampler or a likelihood estimate asks a denoiser; a transformer, a table of conditionals in a
 * test, or guidance around another denoiser answers. So model/ and diffusion/ never include each
 * other.
 */
#ifndef MD_TENSOR_DENOISER_H
#define MD_TENSOR_DENOISER_H

#include "base/error.h"

/* Predicts x0 of a masked canvas. */
typedef struct md_denoiser {
    void *context;
    int vocab; /* V: width of a row of logits */
    int32_t mask_id;
    /* ids: canvases [B, T]. rows: `count` indices into [0, B*T), ascending: the positions whose
     * logits are wanted. Writes logits [count, V] (natural logarithms up to a constant per row; the
     * mask's logit is set to -infinity by the caller, see SUBS in diffusion/masked.h). A row's
     * logits must not depend on B or on the other canvases. */
    mdlm_status (*predict)(void *context, const int32_t *ids, int B, int T, const int32_t *rows,
                           int count, float *logits, mdlm_error *err);
} md_denoiser;

#endif
