/* sampler/image_steer.h: guidance by a classifier of noisy images, as a denoiser around another
 * (Sohl-Dickstein et al. 2015; Dhariwal & Nichol 2021, section 4).
 *
 *     md_image_steer steer;
 *     MD_TRY(md_image_steer_init(&steer, &denoiser, &classifier, &process, 2.0, err));
 *     md_image_denoiser steered = md_image_steer_denoiser(&steer);     valid as long as steer
 *     md_image_steer_release(&steer);
 *
 * With g the gradient of ln p(label | x_t) by x_t, taken at x_t itself:
 *
 *     eps <- eps - scale * noise * g          which is     x0 <- x0 + scale * noise^2 / signal * g
 *
 * and whatever the network predicts is changed so that it says this. By Tweedie's formula x0 is
 * E[x0 | x_t] with x_t's own density and, at scale 1 with a true classifier, E[x0 | x_t, label]
 * with the one above: so it serves every rule, not DDIM alone (the paper's algorithm 2). The
 * posterior mean of DDPM is moved, through x0, by
 *
 *     scale * beta / sqrt(alpha) * g
 *
 * where the paper's algorithm 1 has scale * Sigma * g at the mean: the same to first order in beta
 * with Sigma = beta (--variance large), and a little more with beta~.
 *
 * A network that knows classes is told the label, too, and then both guide to it; around guidance
 * with scale 0 (sampler/image_guide.h) the classifier guides alone. Images without a label (-1) are
 * not guided; nor is noise alone (signal 0), which shows no class.
 */
#ifndef MD_SAMPLER_IMAGE_STEER_H
#define MD_SAMPLER_IMAGE_STEER_H

#include "diffusion/gaussian.h"
#include "tensor/denoiser.h"

typedef struct md_image_steer {
    const md_image_denoiser *inner;
    const md_image_classifier *classifier;
    const md_gaussian *process;
    double scale;
    float *gradient; /* grown as calls need it */
    size_t capacity; /* numbers in it */
} md_image_steer;

/* All three must outlive the steer; the classifier has learned the levels of the process. Scale 0
 * asks no classifier. MDLM_USAGE: a scale that is not finite; a classifier of images of another
 * size, of other classes than the model's, or of clean images. */
mdlm_status md_image_steer_init(md_image_steer *steer, const md_image_denoiser *inner,
                                const md_image_classifier *classifier, const md_gaussian *process,
                                double scale, mdlm_error *err);
void md_image_steer_release(md_image_steer *steer); /* accepts an empty struct */
/* Its classes are the classifier's. */
md_image_denoiser md_image_steer_denoiser(md_image_steer *steer);

#endif
