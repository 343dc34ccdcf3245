/* diffusion/gaussian_spacing.h: which levels a sampler of N steps visits.
 *
 *     md_level levels[51];
 *     MD_TRY(md_gaussian_spacing(&p, MD_SPACING_TRAILING, 50, levels, err));
 *     for (int n = 0; n < 50; n++) step from levels[n] to levels[n + 1];      the last is clean
 *
 * The network is told the time of the level itself, whatever was skipped. For T = 1000, N = 10:
 *
 *     leading    floor(T/N) k, k = N-1 .. 0            900 800 .. 0      (DDIM)
 *     linspace   round((T-1) k / (N-1))                999 888 .. 0      (N = 1: T-1)
 *     trailing   round(T k / N) - 1, k = N .. 1        999 899 .. 99     (zero SNR, table 2)
 *     karras     sigma_n^(1/7) even from the process's largest sigma, 80 at most, to its smallest,
 *                .002 at least (EDM eq. 5)             between levels, too
 *
 * Halves round to even. Leading never visits the noisiest level, so it is not for zero SNR.
 */
#ifndef MD_DIFFUSION_GAUSSIAN_SPACING_H
#define MD_DIFFUSION_GAUSSIAN_SPACING_H

#include "diffusion/gaussian.h"

typedef enum md_spacing_kind {
    MD_SPACING_LEADING,
    MD_SPACING_LINSPACE,
    MD_SPACING_TRAILING,
    MD_SPACING_KARRAS,
} md_spacing_kind;
extern const char *const md_spacing_names[]; /* by value, ended by NULL */

/* Writes levels [N + 1], noisiest first. MDLM_USAGE: N < 1; N > T (karras: any N up to
 * MD_MOST_TIMESTEPS); leading where the noisiest level is noise alone. */
mdlm_status md_gaussian_spacing(const md_gaussian *p, md_spacing_kind how, int N, md_level *levels,
                                mdlm_error *err);

/* The number of the level that step n of N starts from; leading, linspace and trailing. */
int md_spacing_index(md_spacing_kind how, int T, int N, int n);

/* EDM, table 1: the sigmas that ve and karras span. */
#define MD_EDM_SIGMA_LEAST .002
#define MD_EDM_SIGMA_MOST 80.0

/* EDM eq. 5: sigma n of N, from `largest` to `smallest`. */
double md_karras_sigma(double smallest, double largest, int N, int n);

#endif
