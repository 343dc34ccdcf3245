/* diffusion/likelihood_internal.h: what the halves of likelihood.h share. */
#ifndef MD_DIFFUSION_LIKELIHOOD_INTERNAL_H
#define MD_DIFFUSION_LIKELIHOOD_INTERNAL_H

#include "diffusion/levels.h"

/* The scored positions of sequence i in [first, end), ascending, go to `open` unless NULL; returns
 * how many. */
int md_likelihood_open(const md_likelihood_batch *batch, int i, int first, int end, int32_t *open);

#endif
