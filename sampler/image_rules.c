/* sampler/image_rules.c: the list of rules for images, and what several of them share. */
#include <math.h>
#include <string.h>

#include "sampler/image_rule.h"

const char *const md_image_rule_names[] = {"ddpm",  "ddim",     "dpm++", "heun",
                                           "euler", "langevin", NULL};

static const md_image_rule *const rules[] = {
    &md_image_rule_ddpm, &md_image_rule_ddim,  &md_image_rule_dpm,
    &md_image_rule_heun, &md_image_rule_euler, &md_image_rule_langevin,
};

const md_image_rule *md_image_rule_find(const char *name) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(name, rules[i]->name) == 0) return rules[i];
    return NULL;
}

mdlm_status md_image_way_levels(const md_gaussian *process, const md_image_sampler_options *opt,
                                md_level *levels, mdlm_error *err) {
    const int each = opt->level_steps;
    MD_TRY(md_gaussian_spacing(process, opt->spacing, opt->steps, levels, err));
    levels[(int64_t)opt->steps * each] = levels[opt->steps];
    for (int n = opt->steps - 1; n >= 0; n--)
        for (int k = 0; k < each; k++) levels[(int64_t)n * each + k] = levels[n];
    return MDLM_OK;
}

md_image_move md_image_move_along(md_level from, md_level to, double noise) {
    double keep = sqrt(fmax(to.noise * to.noise - noise * noise, 0)) / from.noise;
    return (md_image_move){
        .at = from, .keep = keep, .image = to.signal - keep * from.signal, .noise = noise};
}
