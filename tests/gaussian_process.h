/* tests/gaussian_process.h: Gaussian processes from their options, which a test knows to be good.
 *
 *     md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 100});
 *     md_gaussian chain = gaussian_chain(MD_BETA_COSINE);
 *     md_gaussian_release(&p);
 */
#ifndef TESTS_GAUSSIAN_PROCESS_H
#define TESTS_GAUSSIAN_PROCESS_H

#include "diffusion/gaussian.h"
#include "tests/suite.h"

static inline md_gaussian gaussian_of(md_gaussian_options opt) {
    md_gaussian p = {0};
    mdlm_error err;
    assert_ok(md_gaussian_init(&p, &opt, &err));
    return p;
}

/* Of 1000 levels. */
static inline md_gaussian gaussian_chain(md_beta_schedule schedule) {
    return gaussian_of((md_gaussian_options){.schedule = schedule, .timesteps = 1000});
}

#endif
