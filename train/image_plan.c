/* train/image_plan.c: see image_plan.h. */
#include "train/image_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/plan_loop.h"

/* --- what is learned -------------------------------------------------------------------------- */

/* A word that was left open. */
static void choose_word(md_options *o, const char *name, const char **value, const char *chosen) {
    if (strcmp(*value, "auto")) return;
    *value = chosen;
    if (o) md_options_chosen(o, name);
}

/* Flows draw better after little training than chains do; what only chains have asks for one. */
static const char *usual_process(const md_image_settings *s) {
    const bool chain = strcmp(s->noise_schedule, "auto") || s->zero_snr ||
                       !strcmp(s->prediction, "eps") || !strcmp(s->variance, "learned") ||
                       (strcmp(s->loss, "auto") && strcmp(s->loss, "v"));
    return chain ? "vp" : "flow";
}

/* The image itself learns fastest, weighted as velocities are (arXiv 2511.13720). */
static const char *usual_loss(const md_image_settings *s) {
    const bool open = !strcmp(s->prediction, "auto") || !strcmp(s->prediction, "x0");
    if (!strcmp(s->process, "flow")) return "v";
    if (!strcmp(s->variance, "learned")) return "hybrid";
    return !strcmp(s->process, "vp") && !s->zero_snr && open ? "v" : "simple";
}

static const char *usual_prediction(const md_image_settings *s) {
    if (!strcmp(s->loss, "min-snr") || !strcmp(s->loss, "v")) return "x0";
    return !strcmp(s->process, "vp") && !s->zero_snr ? "eps" : "v";
}

static void choose_aim(md_image_settings *s, md_options *o) {
    choose_word(o, "process", &s->process, usual_process(s));
    const bool vp = !strcmp(s->process, "vp");
    choose_word(o, "loss", &s->loss, usual_loss(s));
    choose_word(o, "prediction", &s->prediction, usual_prediction(s));
    const bool bound = !strcmp(s->loss, "vlb"), hybrid = !strcmp(s->loss, "hybrid");
    choose_word(o, "variance", &s->variance, bound || hybrid ? "learned" : "small");
    choose_word(o, "noise_schedule", &s->noise_schedule,
                bound && vp && !s->zero_snr ? "learned" : "cosine");
    const bool images = !strcmp(s->loss, "v") && !strcmp(s->prediction, "x0");
    const bool fixed = strcmp(s->noise_schedule, "learned") != 0;
    const char *times = bound                      ? "loss-aware"
                        : !vp || (images && fixed) ? "logit-normal"
                                                   : "uniform";
    choose_word(o, "timestep_sampling", &s->timestep_sampling, times);
}

static mdlm_status check_aim(const md_options *o, const md_image_aim *aim, mdlm_error *err) {
    static const char *const of_vp[] = {"noise_schedule", "zero_snr", NULL};
    md_gaussian trial = {0};
    MD_TRY(md_gaussian_init(&trial, &aim->process, err));
    md_gaussian_release(&trial);
    MD_TRY(md_loss_check(&aim->process, aim->loss, err));
    if (aim->times == MD_TIMES_LOGIT_NORMAL && aim->process.schedule == MD_BETA_LEARNED)
        return md_fail(err, MDLM_USAGE,
                       "--timestep-sampling logit-normal is for levels that do not move: expected "
                       "uniform or loss-aware with --noise-schedule learned");
    if (o && aim->process.process != MD_PROCESS_VP)
        MD_TRY(md_options_refuse(o, of_vp, "--process vp", err));
    return MDLM_OK;
}

static md_gaussian_options process_of(const md_image_settings *s) {
    return (md_gaussian_options){
        .process = (md_process_kind)md_name_value(md_process_names, s->process),
        .schedule = (md_beta_schedule)md_name_value(md_beta_schedule_names, s->noise_schedule),
        .timesteps = (int)s->timesteps,
        .zero_snr = s->zero_snr};
}

/* A classifier predicts no image: the process noises what it sees, if anything does. Its levels are
 * drawn evenly, as it is asked at all of them. */
static mdlm_status aim_at_classes(md_image_settings *s, md_options *o, md_image_aim *out,
                                  mdlm_error *err) {
    static const char *const drawing[] = {"prediction",        "variance",   "loss",
                                          "timestep_sampling", "class_drop", NULL};
    static const char *const noising[] = {"process", "timesteps", "noise_schedule", "zero_snr",
                                          NULL};
    if (o) MD_TRY(md_options_refuse(o, drawing, "--task generate", err));
    if (o && !s->noisy)
        MD_TRY(md_options_refuse(o, noising, "images with noise: leave --no-noisy out", err));
    if (!strcmp(s->noise_schedule, "learned"))
        return md_fail(err, MDLM_USAGE, "--noise-schedule learned is for --task generate");
    choose_word(o, "process", &s->process, usual_process(s));
    choose_word(o, "noise_schedule", &s->noise_schedule, "cosine");
    *out = (md_image_aim){.classify = true, .process = process_of(s)};
    out->process.prediction = MD_PREDICTS_IMAGE; /* which every process allows; nobody asks */
    return check_aim(o, out, err);
}

/* The small image says what there is to see, so classes are not told; and the bound is of images of
 * which nothing is known. */
static mdlm_status check_upscaling(const md_image_settings *s, const md_options *o,
                                   mdlm_error *err) {
    static const char *const classes[] = {"class_drop", NULL};
    if (o) MD_TRY(md_options_refuse(o, classes, "--task generate", err));
    if (strcmp(s->loss, "vlb")) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--loss vlb is for --task generate");
}

mdlm_status md_image_plan_aim(md_image_settings *s, md_options *o, md_image_aim *out,
                              mdlm_error *err) {
    static const char *const classifying[] = {"noisy", NULL};
    static const char *const enlarging[] = {"factor", "augment", NULL};
    const bool upscale = !strcmp(s->task, "upscale");
    if (o && !upscale) MD_TRY(md_options_refuse(o, enlarging, "--task upscale", err));
    if (!strcmp(s->task, "classify")) return aim_at_classes(s, o, out, err);
    if (o) MD_TRY(md_options_refuse(o, classifying, "--task classify", err));
    if (upscale) MD_TRY(check_upscaling(s, o, err));
    choose_aim(s, o);
    *out =
        (md_image_aim){.process = process_of(s),
                       .loss = (md_loss_kind)md_name_value(md_loss_names, s->loss),
                       .times = (md_times_kind)md_name_value(md_times_names, s->timestep_sampling)};
    out->process.prediction = (md_prediction_kind)md_name_value(md_prediction_names, s->prediction);
    out->process.variance = (md_variance_kind)md_name_value(md_variance_names, s->variance);
    return check_aim(o, out, err);
}

/* --- the network ------------------------------------------------------------------------------ */

/* Levels until a side of about 8 is left: for images of the sizes people train on, twice the
 * channels from the second level on. */
static const char *usual_mults(int side) {
    if (side <= 8) return "1";
    if (side <= 16) return "1,2";
    if (side <= 32) return "1,2,2";
    if (side <= 64) return "1,2,2,2";
    return side <= 128 ? "1,1,2,2,2" : "1,1,2,2,4,4";
}

static int larger_side(const md_image_config *c) {
    return c->shape.Y > c->shape.X ? c->shape.Y : c->shape.X;
}

/* Attention at the smallest size, if it is small. */
static mdlm_status usual_attention(md_options *o, md_image_config *c, mdlm_error *err) {
    char text[16] = "none";
    int side = larger_side(c);
    for (int l = 1; l < c->mults.count; l++) side = (side + 1) / 2;
    c->attn = (md_image_list){0};
    if (side <= 16) c->attn = (md_image_list){.count = 1, .item = {side}};
    if (side <= 16) snprintf(text, sizeof text, "%d", side);
    return o ? md_options_set(o, "attn_res", text, MD_ORIGIN_CHOSEN, err) : MDLM_OK;
}

static mdlm_status plan_unet(md_image_settings *s, md_options *o, md_image_config *c,
                             mdlm_error *err) {
    enum { MOST = 1 << 16 };
    md_plan_choose(o, "base_channels", &s->base_channels, 32);
    choose_word(o, "channel_mults", &s->channel_mults, usual_mults(larger_side(c)));
    c->base = (int)s->base_channels;
    c->res_blocks = (int)s->res_blocks;
    MD_TRY(md_image_list_parse("channel-mults", s->channel_mults, MOST, &c->mults, err));
    if (!strcmp(s->attn_res, "auto")) return usual_attention(o, c, err);
    const char *list = strcmp(s->attn_res, "none") ? s->attn_res : "";
    return md_image_list_parse("attn-res", list, MOST, &c->attn, err);
}

/* Some 64 patches, of a side that divides the image. */
static int64_t usual_patch(const md_image_shape s) {
    int64_t patch = 1;
    for (int64_t p = 2; p <= s.Y && p <= s.X; p++)
        if (s.Y % p == 0 && s.X % p == 0 && s.Y / p * (s.X / p) >= 49) patch = p;
    return patch;
}

static void plan_dit(md_image_settings *s, md_options *o, md_image_config *c) {
    md_plan_choose(o, "patch_size", &s->patch_size, usual_patch(c->shape));
    md_plan_choose(o, "layers", &s->layers, 6);
    md_plan_choose(o, "dim", &s->dim, 192);
    md_plan_choose(o, "heads", &s->heads, s->dim % 32 ? 1 : s->dim / 32);
    md_plan_choose(o, "ff", &s->ff, (s->dim * 8 / 3 + 31) / 32 * 32);
    c->patch = (int)s->patch_size;
    c->layers = (int)s->layers;
    c->dim = (int)s->dim;
    c->heads = (int)s->heads;
    c->ff = (int)s->ff;
}

/* Options of the other backbone. */
static mdlm_status check_idle(const md_image_settings *s, const md_options *o, mdlm_error *err) {
    static const char *const of_unet[] = {"base_channels", "channel_mults", "res_blocks",
                                          "attn_res", NULL};
    static const char *const of_dit[] = {"patch_size", "layers", "dim", "heads", "ff", NULL};
    if (!o) return MDLM_OK;
    return strcmp(s->backbone, "unet") ? md_options_refuse(o, of_unet, "--backbone unet", err)
                                       : md_options_refuse(o, of_dit, "--backbone dit", err);
}

mdlm_status md_image_plan_network(md_image_settings *s, md_options *o, md_image_shape shape,
                                  int classes, md_image_config *out, mdlm_error *err) {
    md_image_config c = {
        .shape = shape, .learned_variance = !strcmp(s->variance, "learned"), .classes = classes};
    MD_BUG_IF(!md_backbone_find(s->backbone, &c.backbone));
    if (!strcmp(s->task, "classify")) {
        if (c.backbone != MD_BACKBONE_UNET)
            return md_fail(err, MDLM_USAGE,
                           "--backbone %s is for --task generate: a classifier is half a U-Net",
                           s->backbone);
        c.backbone = MD_BACKBONE_ENCODER;
        c.noisy = s->noisy;
        c.learned_variance = false;
    }
    if (!strcmp(s->task, "upscale")) c.factor = (int)s->factor;
    MD_TRY(check_idle(s, o, err));
    if (c.backbone == MD_BACKBONE_DIT)
        plan_dit(s, o, &c);
    else
        MD_TRY(plan_unet(s, o, &c, err));
    MD_TRY(md_image_config_check(&c, err));
    *out = c;
    return MDLM_OK;
}

/* --- the training ----------------------------------------------------------------------------- */

int64_t md_image_plan_held(const md_image_settings *s, int64_t count) {
    int64_t held = (int64_t)floor(s->val_fraction * (double)count);
    if (held < 1) held = 1;
    return held < count ? held : count - 1;
}

void md_image_plan_training(md_image_settings *s, md_options *o, const md_image_config *c) {
    md_loop_settings *l = &s->loop;
    md_plan_choose(o, "batch_size", &l->batch_size, 32);
    if (l->time <= 0)
        md_plan_choose(o, "steps", &l->steps, md_image_config_classifies(c) ? 1000 : 3000);
    const bool muon = !strcmp(l->optimizer, "muon");
    const int width = c->backbone == MD_BACKBONE_DIT ? c->dim : 4 * c->base;
    const double narrow = fmin(2, sqrt(128.0 / width)); /* wider models want smaller steps */
    md_plan_choose_real(o, "lr", &l->lr, (muon ? 2e-3 : 1e-3) * narrow);
    if (muon) md_plan_choose_real(o, "muon_lr", &l->muon_lr, 0.03 * fmin(1, narrow));
    md_plan_intervals(l, o);
}

/* --- for people ------------------------------------------------------------------------------- */

enum { LARGE = 256 * 256 }; /* pixels: 64 times those of the usual 32x32 */

static mdlm_status describe_images(const md_image_settings *s, const md_images *images,
                                   md_buffer *out, mdlm_error *err) {
    const int64_t count = md_images_count(images), held = md_image_plan_held(s, count);
    const md_images_shape shape = md_images_get_shape(images);
    const int classes = md_images_classes(images);
    MD_TRY(md_buffer_printf(out, err,
                            "images: %lld to train on, %lld to validate, %dx%d, %d channel%s",
                            (long long)(count - held), (long long)held, shape.X, shape.Y, shape.C,
                            shape.C == 1 ? "" : "s"));
    if (classes > 0)
        MD_TRY(md_buffer_printf(out, err, ", %d classes\n", classes));
    else
        MD_TRY(md_buffer_text(out, ", no classes\n", err));
    if ((int64_t)shape.X * shape.Y <= LARGE) return MDLM_OK;
    return md_buffer_text(out,
                          "these are large: expect slow steps and much memory; --image-size 64 "
                          "makes them smaller\n",
                          err);
}

static mdlm_status describe_aim(const md_image_settings *s, md_buffer *out, mdlm_error *err) {
    const bool vp = !strcmp(s->process, "vp");
    const char *schedule = vp ? s->noise_schedule : "", *comma = vp ? ", " : "";
    const long long levels = s->timesteps;
    if (!strcmp(s->task, "upscale"))
        MD_TRY(md_buffer_printf(out, err, "task: make images %lld times as large\n",
                                (long long)s->factor));
    if (strcmp(s->task, "classify"))
        return md_buffer_printf(out, err, "process: %s%s%s, %lld levels, %s predicted, loss %s\n",
                                s->process, comma, schedule, levels, s->prediction, s->loss);
    if (!s->noisy) return md_buffer_text(out, "task: tell the classes of clean images\n", err);
    return md_buffer_printf(out, err,
                            "task: tell the classes of images at %lld levels of noise, %s%s%s\n",
                            levels, s->process, comma, schedule);
}

mdlm_status md_image_plan_describe(const md_image_settings *s, const md_options *o,
                                   const md_images *images, int64_t parameters, md_buffer *out,
                                   mdlm_error *err) {
    const md_loop_settings *l = &s->loop;
    const double per_step = (double)(l->batch_size * l->accum);
    MD_TRY(describe_images(s, images, out, err));
    if (*md_images_note(images)) MD_TRY(md_buffer_printf(out, err, "%s\n", md_images_note(images)));
    MD_TRY(md_buffer_printf(out, err, "model: %s, %.2f M parameters\n",
                            strcmp(s->task, "classify") ? s->backbone : "encoder",
                            (double)parameters / 1e6));
    MD_TRY(describe_aim(s, out, err));
    if (l->time > 0)
        MD_TRY(md_buffer_printf(out, err, "length: %.0f s of training, %.0f images a step\n",
                                l->time, per_step));
    else
        MD_TRY(md_buffer_printf(out, err, "length: %lld steps of %.0f images\n",
                                (long long)l->steps, per_step));
    return o ? md_options_describe(o, out, err) : MDLM_OK;
}
