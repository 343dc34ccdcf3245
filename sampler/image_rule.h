/* sampler/image_rule.h: a rule says how images go from one noise level to the next.
 *
 * Every rule that we have is a sum of the same four things, and differs in their factors:
 *
 *     x <- keep * x + image * x0 + before * x0_before + noise * z          z ~ N(0, I)
 *
 * x0 is what the network takes x for at level `at`, clipped; x0_before what it said the time before
 * (at the step before or, with heun, a moment ago). So a rule computes numbers, and the loop alone
 * touches images. One step is one move, or two (heun).
 *
 *     rule      keep, image from                    noise      accuracy
 *     ddpm      the posterior q(x_s | x_t, x0)      its own    1   (Ho et al. 2020, algorithm 2)
 *     ddim      s x0 + sqrt(n^2 - noise^2) eps      eta        1   (Song et al. 2021, eq. 12)
 *     euler     the same with noise 0               0          1
 *     heun      euler, then the mean of two slopes  0          2   (Karras et al. 2022, alg. 1)
 *     dpm++     a line through two x0               0          2   (Lu et al. 2022, 2M)
 *     langevin  the score, several steps a level    step_size      (Song & Ermon 2019, alg. 1)
 *
 * Recipe for a new rule: a file image_rule_NAME.c that defines `const md_image_rule
 * md_image_rule_NAME`, two lines in image_rules.c, the name in the options of image-generate, its
 * closed form in tests/test_image_rules.c.
 */
#ifndef MD_SAMPLER_IMAGE_RULE_H
#define MD_SAMPLER_IMAGE_RULE_H

#include "sampler/image_sampler.h"

typedef struct md_image_move {
    md_level at;
    double keep, image, before, noise;
    bool learned; /* the noise of each number is what the network says between those of `back` */
    md_transition back;
} md_image_move;

/* A step from level `from` to level `to`, which has less noise or, where a rule takes several steps
 * at a level, is the same. */
typedef struct md_image_way {
    const md_gaussian *process;
    const md_image_sampler_options *options;
    bool first;      /* there is no x0_before */
    md_level before; /* where the step before came from */
    md_level from, to;
} md_image_way;

enum { MD_IMAGE_MOVES = 2 };

struct md_image_rule {
    const char *name;
    const char *help; /* one line */
    int steps;        /* default; as many as the process has levels where those are fewer */
    int level_steps;  /* default; 0: one, and no other number will do */
    bool karras;      /* of a chain, levels are visited by their sigma (EDM); else trailing */
    int (*moves)(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]);
};

extern const md_image_rule md_image_rule_ddpm;
extern const md_image_rule md_image_rule_ddim;
extern const md_image_rule md_image_rule_dpm; /* "dpm++" */
extern const md_image_rule md_image_rule_heun;
extern const md_image_rule md_image_rule_euler;
extern const md_image_rule md_image_rule_langevin;

/* The levels of a way's steps [steps * level_steps + 1], the clean image last. Errors as
 * md_image_sampler_check, of `steps`, `level_steps` and `spacing`. */
mdlm_status md_image_way_levels(const md_gaussian *process, const md_image_sampler_options *opt,
                                md_level *levels, mdlm_error *err);

/* For rules: x_s = s x0 + sqrt(n^2 - noise^2) eps + noise z, (s, n) being the level `to` and eps
 * what x at `from` holds beside x0. Without noise: exact where neither x0 nor eps change on the way
 * (DDIM eq. 13; Euler's step along a flow, or in the coordinates x / signal, sigma). */
md_image_move md_image_move_along(md_level from, md_level to, double noise);

#endif
