/* cli/image_sampling.c: see image_sampling.h. */
#include "cli/image_sampling.h"

#include <string.h>

#include "base/memory.h"
#include "sampler/image_rule.h"
#include "train/image_data.h"
#include "train/run_folder.h"

#define MD_OPTION_STRUCT md_cli_image_sampling
const md_option md_cli_image_sampling_table[] = {MD_CLI_IMAGE_SAMPLING_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

static mdlm_status refuse_idle(const md_cli *cli, const md_image_rule *rule, mdlm_error *err) {
    static const char *const ddim[] = {"eta", NULL}, *const ddpm[] = {"variance", NULL};
    static const char *const langevin[] = {"level_steps", "step_size", NULL};
    if (rule != &md_image_rule_ddim)
        MD_TRY(md_options_refuse(cli->options, ddim, "--sampler ddim", err));
    if (rule != &md_image_rule_ddpm)
        MD_TRY(md_options_refuse(cli->options, ddpm, "--sampler ddpm", err));
    if (rule != &md_image_rule_langevin)
        MD_TRY(md_options_refuse(cli->options, langevin, "--sampler langevin", err));
    return MDLM_OK;
}

static const md_image_rule *choose_rule(const md_cli *cli, const char *name) {
    if (strcmp(name, "auto") != 0) return md_image_rule_find(name);
    const bool eta = md_options_origin(cli->options, "eta") != MD_ORIGIN_DEFAULT;
    return eta ? &md_image_rule_ddim : &md_image_rule_ddpm;
}

static void settle_sampling(const md_cli *cli, const md_cli_image_sampling *opt,
                            const md_cli_image_model *model, md_cli_image_sampler *s) {
    md_image_sampler_options *o = &s->options;
    const int variance = md_name_value(md_variance_names, opt->variance);
    const int spacing = md_name_value(md_spacing_names, opt->spacing);
    s->process = model->setup.process;
    if (variance >= 0) s->process.opt.variance = (md_variance_kind)variance;
    *o = md_image_sampler_defaults(choose_rule(cli, opt->sampler), &s->process);
    if (spacing >= 0) o->spacing = (md_spacing_kind)spacing;
    if (opt->steps > 0) o->steps = (int)opt->steps;
    if (o->rule->level_steps > 0) o->level_steps = (int)opt->level_steps;
    o->eta = opt->eta;
    o->step_size = opt->step_size;
    o->clip.on = strcmp(opt->clip_x0, "none") != 0;
    if (strcmp(opt->clip_x0, "dynamic") == 0) o->clip.quantile = 0.995;
    o->seed = (uint64_t)cli->common.seed;
    o->pool = model->pool;
}

/* Classes, and guidance to them. */
static mdlm_status settle_classes(const md_cli_image_sampling *opt, md_cli_image_model *model,
                                  const md_cli_image_steering *steering, md_cli_image_sampler *s,
                                  mdlm_error *err) {
    const char *text = opt->class;
    bool any = false;
    s->named = &model->setup;
    if (steering && model->setup.config.classes == 0) s->named = &steering->by->setup;
    if (!*text) text = s->named->config.classes > 0 ? "all" : "none";
    MD_TRY(md_cli_classes_parse(s->named, text, &s->classes, &s->class_count, err));
    for (int i = 0; i < s->class_count; i++) any = any || s->classes[i] >= 0;
    if (opt->guidance_scale != 1 && model->setup.config.classes > 0 && !any)
        return md_fail(err, MDLM_USAGE, "--guidance-scale is for images of a class: see --class");
    if (steering && !any)
        return md_fail(err, MDLM_USAGE, "--classifier guides images of a class: see --class");
    MD_TRY(md_image_guide_init(&s->guide, &model->denoiser, opt->guidance_scale, err));
    s->denoiser = s->guided = md_image_guide_denoiser(&s->guide);
    return MDLM_OK;
}

/* A classifier has learned the noise of one process, whose times it is told. */
static mdlm_status check_process(const md_cli_image_steering *steering, const md_gaussian *process,
                                 mdlm_error *err) {
    const md_gaussian_options *own = &steering->by->setup.process.opt, *p = &process->opt;
    const bool chain = p->process == MD_PROCESS_VP;
    const bool same = own->process == p->process &&
                      (!chain || (own->schedule == p->schedule && own->zero_snr == p->zero_snr &&
                                  own->timesteps == p->timesteps));
    if (same || !steering->by->classifier.noisy) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "--classifier '%s' has learned other noise than the model: expected one that "
                   "was trained with --process %s%s%s --timesteps %d",
                   steering->run, md_process_names[p->process], chain ? " --noise-schedule " : "",
                   chain ? md_beta_schedule_names[p->schedule] : "", p->timesteps);
}

static mdlm_status settle_steering(const md_cli_image_steering *steering, md_cli_image_sampler *s,
                                   mdlm_error *err) {
    if (!steering) return MDLM_OK;
    MD_TRY(check_process(steering, &s->process, err));
    MD_TRY(md_image_steer_init(&s->steer, &s->guided, &steering->by->classifier, &s->process,
                               steering->scale, err));
    s->denoiser = md_image_steer_denoiser(&s->steer);
    return MDLM_OK;
}

mdlm_status md_cli_image_sampler_init(const md_cli *cli, const md_cli_image_sampling *opt,
                                      md_cli_image_model *model,
                                      const md_cli_image_steering *steering,
                                      md_cli_image_sampler *s, mdlm_error *err) {
    settle_sampling(cli, opt, model, s);
    MD_TRY(refuse_idle(cli, s->options.rule, err));
    MD_TRY(settle_classes(opt, model, steering, s, err));
    MD_TRY(settle_steering(steering, s, err));
    return md_image_sampler_check(&s->denoiser, &s->process, &s->options, err);
}

void md_cli_image_sampler_release(md_cli_image_sampler *s) {
    md_image_steer_release(&s->steer);
    md_image_guide_release(&s->guide);
    md_free(s->classes);
    *s = (md_cli_image_sampler){0};
}

void md_cli_image_sampler_labels(const md_cli_image_sampler *s, int64_t first, int count,
                                 int32_t *label) {
    for (int i = 0; i < count; i++) label[i] = s->classes[(first + i) % s->class_count];
}

mdlm_status md_cli_image_sampler_describe(const md_cli *cli, const md_cli_image_sampling *opt,
                                          const md_cli_image_sampler *s, md_buffer *out,
                                          mdlm_error *err) {
    MD_TRY(md_buffer_printf(out, err, "sampler %s%s, steps %d%s, ", s->options.rule->name,
                            md_cli_defaulted(cli, "sampler"), s->options.steps,
                            md_cli_defaulted(cli, "steps")));
    if (s->options.rule->level_steps > 0)
        MD_TRY(md_buffer_printf(out, err, "level steps %d%s of size %g%s, ", s->options.level_steps,
                                md_cli_defaulted(cli, "level_steps"), s->options.step_size,
                                md_cli_defaulted(cli, "step_size")));
    return md_buffer_printf(out, err,
                            "spacing %s%s, clip-x0 %s%s, guidance scale %g%s, seed %lld%s",
                            md_spacing_names[s->options.spacing], md_cli_defaulted(cli, "spacing"),
                            opt->clip_x0, md_cli_defaulted(cli, "clip_x0"), opt->guidance_scale,
                            md_cli_defaulted(cli, "guidance_scale"), (long long)cli->common.seed,
                            md_cli_defaulted(cli, "seed"));
}

/* Images of no class, alone or to be guided away from, are what a share of the training was for. */
void md_cli_image_sampler_warn(const md_cli *cli, const md_cli_image_sampler *s) {
    md_image_record record = {0};
    bool none = s->guide.scale != 1;
    for (int i = 0; i < s->class_count; i++) none = none || s->classes[i] < 0;
    if (none && s->guided.classes > 0 && md_run_exists(cli->model) &&
        md_image_record_load(cli->model, &record, NULL) == MDLM_OK && record.set.class_drop == 0)
        md_cli_note(cli,
                    "note: with --class-drop 0 the model has not learned what images of no class "
                    "look like: guidance and --class none may lead astray");
    md_image_record_release(&record);
}
