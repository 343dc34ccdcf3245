/* sampler/guide.h: unsupervised classifier-free guidance, as a denoiser around another (LLaDA).
 *
 *     l = l_u + scale * (l_c - l_u)
 *
 * l_c are the logits of the canvas, l_u those of the canvas with its prompt masked. Scale 1 is no
 * guidance (use the denoiser itself), 0 forgets the prompt. Two evaluations per canvas.
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
    int32_t *ids;    /* work space: canvases with the prompt masked */
    float *logits;   /* l_u */
    size_t ids_capacity, logits_capacity;
} md_guide;

/* Copies `prompt` [T]. The inner denoiser must outlive the guide. Canvases have T tokens. */
mdlm_status md_guide_init(md_guide *guide, const md_denoiser *inner, double scale,
                          const uint8_t *prompt, int T, mdlm_error *err);
void md_guide_release(md_guide *guide); /* accepts an empty struct */
/* Caches and blocks work as the inner denoiser's do. */
md_denoiser md_guide_denoiser(md_guide *guide);

#endif
