/* sampler/guide.h: unsupervised classifier-free guidance, as a denoiser around another (LLaDA).
 *
 *     l = l_u + scale * (l_c - l_u)
 *
 * l_c are the logits of the canvas, l_u those of the canvas with its prompt masked. Scale 1 is no
 * guidance (use the denoiser itself), 0 forgets the prompt. Two evaluations per canvas, which the
 * sampler counts as one. Where both logits are -infinity, so is l; logits that are infinite in one
 * of the two alone give an l that is no distribution.
 *
 *     md_guide guide;
 *     MD_TRY(md_guide_init(&guide, &denoiser, 2.0, prompt, T, err));
 *     md_denoiser guided = md_guide_denoiser(&guide);           valid as long as guide
 *     md_guide_release(&guide);
 */
#ifndef MD_SAMPLER_GUIDE_H
#define MD_SAMPLER_GUIDE_H

#include "tensor/denoiser.h"

typedef struct md_guide {
    const md_denoiser *inner;
    double scale;
    int T;
    uint8_t *prompt; /* [T] 1: masked in l_u */
    /* work space, grown as calls need it */
    int32_t *ids;  /* canvases with the prompt masked */
    float *logits; /* l_u */
    void **caches; /* of one half of the pairs */
    size_t ids_capacity, logits_capacity, caches_capacity;
} md_guide;

/* Copies `prompt` [T]. The inner denoiser must outlive the guide. Canvases have T tokens at most;
 * position i of each is that of the prompt. */
mdlm_status md_guide_init(md_guide *guide, const md_denoiser *inner, double scale,
                          const uint8_t *prompt, int T, mdlm_error *err);
void md_guide_release(md_guide *guide); /* accepts an empty struct */
/* Caches (two of the inner denoiser's each) and blocks work as the inner denoiser's do. */
md_denoiser md_guide_denoiser(md_guide *guide);

#endif
