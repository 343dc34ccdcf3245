/* sampler/image_edit.h: images made of images, by the sampling loop as it is.
 *
 * Image to image (SDEdit, Meng et al. 2022): the run begins in the middle, with a source that has
 * the noise of that level. The more steps are left, the less remains of it.
 *
 *     opt.start = md_image_edit_start(opt.steps, 0.6);
 *     md_image_batch batch = {.x = x, .source = photos, .samples = B};
 *
 * Interpolation (Ho et al. 2020, section 4.3): the same of sources that fade from one image into
 * another, all with one noise, so that nothing but the source differs.
 *
 *     for (int k = 0; k < B; k++) md_image_edit_mix(a, b, k / (B - 1.0), size, mixed + k * size);
 *     opt.one_noise = true;
 *
 * Inpainting (RePaint, Lugmayr et al. 2022, algorithm 1): at every level, known pixels are those of
 * the source with fresh noise of that level, others are what the model makes of them; at the end
 * known pixels are the source's, bit for bit.
 *
 *     md_image_batch batch = {.x = x, .source = photos, .repaint = masks, .samples = B};
 *
 * One way down gives the others little time to agree with the known ones. So every `jump` steps
 * noise is added again, as much as these took away, and they are gone through once more, until they
 * were `resamplings` times. With jump j, a run of N steps has its ends of jumps at steps m with
 * m >= j and (N - 1 - m) mod j = 0, as in the paper's code; it takes about N * resamplings steps.
 */
#ifndef MD_SAMPLER_IMAGE_EDIT_H
#define MD_SAMPLER_IMAGE_EDIT_H

#include "diffusion/gaussian.h"
#include "tensor/denoiser.h"

/* The step that a run of `steps` begins with so that `strength` of it, in (0, 1], is left: at least
 * one. */
int md_image_edit_start(int steps, double strength);

/* out = (1 - share) a + share b, of [size] numbers. */
void md_image_edit_mix(const float *a, const float *b, double share, size_t size, float *out);

/* What going through steps again takes. */
typedef struct md_image_repeats {
    int first, steps; /* the run is of steps first .. steps - 1 */
    int jump, resamplings;
} md_image_repeats;
/* Steps in all. */
int64_t md_image_repeats_steps(const md_image_repeats *r);
/* Whether the `jump` steps before step `step` are gone through as often as there are resamplings.
 */
bool md_image_repeats_end(const md_image_repeats *r, int step);

/* What an image at level s becomes at level t, which has no less noise: x * keep + z * noise. */
typedef struct md_image_noising {
    double keep, noise;
} md_image_noising;
md_image_noising md_image_noising_of(md_level s, md_level t);

/* How hard the border of what was repainted is: the mean of |a - b| over all numbers a and b of
 * pixels side by side or one above the other, one of them repainted and one known. Beside the same
 * of the source it says whether there is a seam. 0 where there is no border. x [Y, X, C], repaint
 * [Y, X]. */
double md_image_edit_seam(md_image_shape shape, const float *x, const uint8_t *repaint);

/* Root of the mean square of the differences of [size] numbers. */
double md_image_edit_distance(const float *a, const float *b, size_t size);

#endif
