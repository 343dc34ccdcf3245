/* cli/eval_upscale.c: see eval_upscale.h. */
#include "cli/eval_upscale.h"

#include <math.h>
#include <string.h>

#include "base/interval.h"
#include "base/memory.h"
#include "cli/output.h"
#include "sampler/image_rule.h"
#include "train/image_upscale.h"

enum { AT_ONCE = 64 };

typedef struct scoring {
    const md_eval_upscale *e;
    md_cli_image_sampler sampler;
    md_upscale_given small;              /* one small image, without noise */
    float *truth, *x;                    /* [AT_ONCE, Y, X, C] */
    float *given;                        /* [AT_ONCE, Y, X, C + 1] small images, enlarged */
    float *cubic;                        /* [Y, X, C] one of them */
    double psnr, bicubic, gain, squares; /* sums; the last two of the difference */
    int64_t better, done;
} scoring;

static size_t pixels_of(const scoring *s) {
    const md_image_shape shape = s->e->model->setup.config.shape;
    return (size_t)shape.Y * (size_t)shape.X;
}

static size_t channels_of(const scoring *s) {
    return (size_t)s->small.shape.C;
}

static mdlm_status make_room(scoring *s, mdlm_error *err) {
    const size_t pixels = pixels_of(s), size = pixels * channels_of(s);
    s->truth = md_alloc(AT_ONCE, size * sizeof *s->truth, err);
    s->x = md_alloc(AT_ONCE, size * sizeof *s->x, err);
    s->given = md_alloc(AT_ONCE, (size + pixels) * sizeof *s->given, err);
    s->small.low = md_alloc(size, sizeof *s->small.low, err);
    s->cubic = md_alloc(size, sizeof *s->cubic, err);
    return s->truth && s->x && s->given && s->small.low && s->cubic ? MDLM_OK : MDLM_RUNTIME;
}

static void release(scoring *s) {
    md_cli_image_sampler_release(&s->sampler);
    md_free(s->truth);
    md_free(s->x);
    md_free(s->given);
    md_free(s->small.low);
    md_free(s->cubic);
}

static mdlm_status start(scoring *s, mdlm_error *err) {
    const md_eval_upscale *e = s->e;
    s->small = md_upscale_of(&e->model->setup.config);
    MD_TRY(md_cli_image_sampler_init(e->cli, e->sampling, e->model, NULL, &s->sampler, err));
    return make_room(s, err);
}

/* --- scoring ---------------------------------------------------------------------------------- */

static int on_step(void *user, const md_image_step *step) {
    const scoring *s = user;
    const int64_t now = s->done * step->steps + (int64_t)step->step * step->samples;
    return md_eta_update(s->e->eta, now, s->e->count * step->steps);
}

/* What the network is shown of image i of the batch. */
static void prepare(scoring *s, int i) {
    const size_t pixels = pixels_of(s), C = channels_of(s);
    md_upscale_give_shrunk(&s->small, s->truth + (size_t)i * pixels * C,
                           s->given + (size_t)i * pixels * (C + 1));
}

/* What bicubic interpolation made of image i, which is what the network was shown. */
static void take_cubic(scoring *s, int i) {
    const size_t pixels = pixels_of(s), C = channels_of(s);
    const float *given = s->given + (size_t)i * pixels * (C + 1);
    for (size_t p = 0; p < pixels; p++)
        memcpy(s->cubic + p * C, given + p * (C + 1), C * sizeof *given);
}

static void judge(scoring *s, int i) {
    const size_t size = pixels_of(s) * channels_of(s);
    const float *truth = s->truth + (size_t)i * size;
    take_cubic(s, i);
    const double psnr = md_psnr(s->x + (size_t)i * size, truth, size);
    const double bicubic = md_psnr(s->cubic, truth, size), gain = psnr - bicubic;
    s->psnr += psnr;
    s->bicubic += bicubic;
    s->gain += gain;
    s->squares += gain * gain;
    s->better += gain > 0;
}

static mdlm_status score(scoring *s, int count, mdlm_error *err) {
    md_image_sampler_options opt = s->sampler.options;
    const md_image_batch batch = {.x = s->x, .given = s->given, .samples = count};
    opt.first_index = s->done;
    opt.on_step = on_step;
    opt.user = s;
    md_image_loader_read(&s->e->from->loader, s->done, count, s->truth, NULL);
    for (int i = 0; i < count; i++) prepare(s, i);
    MD_TRY(
        md_image_sampler_run(&s->sampler.denoiser, &s->sampler.process, &opt, &batch, NULL, err));
    for (int i = 0; i < count; i++) judge(s, i);
    s->done += count;
    return MDLM_OK;
}

/* --- telling ---------------------------------------------------------------------------------- */

static mdlm_status announce(const scoring *s, mdlm_error *err) {
    const md_eval_upscale *e = s->e;
    const md_images_shape low = s->small.shape;
    const md_image_shape high = e->model->setup.config.shape;
    md_buffer how = {0};
    mdlm_status status = md_cli_image_sampler_describe(e->cli, e->sampling, &s->sampler, &how, err);
    if (status == MDLM_OK)
        md_cli_note(e->cli, "%s: %lld of %lld images of '%s', split %s, %dx%d to %dx%d, %s",
                    e->cli->model, (long long)e->count, (long long)e->from->loader.count,
                    e->from->source, e->from->split, low.X, low.Y, high.X, high.Y, how.data);
    md_buffer_release(&how);
    return status;
}

static mdlm_status report(const scoring *s, mdlm_error *err) {
    const double n = (double)s->done, gain = s->gain / n;
    const double error = n > 1 ? sqrt(fmax(0, s->squares / n - gain * gain) / (n - 1)) : NAN;
    const md_interval share = md_wilson(s->better, s->done);
    md_json_line line;
    if (!s->e->cli->common.json) {
        MD_TRY(md_cli_print(err, "psnr     %7.2f dB\nbicubic  %7.2f dB\n", s->psnr / n,
                            s->bicubic / n));
        return md_cli_print(err,
                            "gain     %7.2f dB  +- %.2f\n%lld images, nearer than bicubic in "
                            "%.1f%% of them\n",
                            gain, error, (long long)s->done, 100 * (double)s->better / n);
    }
    md_json_begin(&line);
    md_json_put_real(&line, "psnr", s->psnr / n);
    md_json_put_real(&line, "psnr_bicubic", s->bicubic / n);
    md_json_put_real(&line, "psnr_gain", gain);
    md_json_put_real(&line, "stderr", error);
    md_json_put_real(&line, "better", (double)s->better / n);
    md_json_put_real(&line, "better_low", share.low);
    md_json_put_real(&line, "better_high", share.high);
    md_json_put_int(&line, "images", s->done);
    md_json_put_int(&line, "factor", s->small.factor);
    md_json_put_string(&line, "sampler", s->sampler.options.rule->name);
    md_json_put_int(&line, "steps", s->sampler.options.steps);
    md_json_put_string(&line, "source", s->e->from->source);
    md_json_put_string(&line, "split", s->e->from->split);
    md_json_put_string(&line, "weights", s->e->cli->common.weights);
    return md_json_end(&line, err);
}

static mdlm_status run(scoring *s, mdlm_error *err) {
    MD_TRY(start(s, err));
    MD_TRY(announce(s, err));
    md_eta_begin(s->e->eta, "denoising");
    while (s->done < s->e->count) {
        const int64_t left = s->e->count - s->done;
        MD_TRY(score(s, left < AT_ONCE ? (int)left : AT_ONCE, err));
    }
    md_eta_clear(s->e->eta);
    return report(s, err);
}

mdlm_status md_eval_upscale_run(const md_eval_upscale *e, mdlm_error *err) {
    scoring s = {.e = e};
    mdlm_status status = run(&s, err);
    md_eta_clear(e->eta);
    release(&s);
    return status;
}
