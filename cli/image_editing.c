/* cli/image_editing.c: see image_editing.h. */
#include "cli/image_editing.h"

#include <string.h>

#include "base/memory.h"
#include "sampler/image_edit.h"

#define MD_OPTION_STRUCT md_cli_image_editing
const md_option md_cli_image_editing_table[] = {MD_CLI_IMAGE_EDITING_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

md_cli_image_sampling md_cli_image_editing_sampling(const md_cli_image_editing *opt) {
    md_cli_image_sampling how = opt->sampling;
    const bool edits = *opt->inpaint || *opt->init_image || *opt->interpolate;
    if (edits && !*how.class) how.class = "none";
    return how;
}

/* --- options ---------------------------------------------------------------------------------- */

static mdlm_status check_options(const md_cli *cli, const md_cli_image_editing *opt,
                                 mdlm_error *err) {
    static const char *const strength[] = {"strength", NULL};
    static const char *const repainting[] = {"mask", "resamplings", "jump", NULL};
    const int kinds = (*opt->inpaint != 0) + (*opt->init_image != 0) + (*opt->interpolate != 0);
    if (kinds > 1)
        return md_fail(err, MDLM_USAGE,
                       "expected one of --inpaint, --init-image and --interpolate");
    if (kinds == 0)
        MD_TRY(md_options_refuse(cli->options, strength, "images made of images: see --init-image",
                                 err));
    if (!*opt->inpaint) return md_options_refuse(cli->options, repainting, "--inpaint", err);
    if (!*opt->mask)
        return md_fail(err, MDLM_USAGE,
                       "--inpaint needs a --mask: a picture that is white where to repaint");
    return MDLM_OK;
}

/* Where the run begins, and how it goes. */
static void settle(const md_cli *cli, md_cli_image_edit *e, md_image_sampler_options *sampler) {
    const md_cli_image_editing *opt = e->opt;
    const bool given = md_options_origin(cli->options, "strength") != MD_ORIGIN_DEFAULT;
    if (!*opt->inpaint || given)
        sampler->start = md_image_edit_start(sampler->steps, opt->strength);
    sampler->one_noise = *opt->interpolate;
    sampler->jump = (int)opt->jump;
    sampler->resamplings = (int)opt->resamplings;
    e->steps = (int)md_image_sampler_steps(sampler, *opt->inpaint);
}

/* --- pictures --------------------------------------------------------------------------------- */

typedef struct wanted {
    const char *flag, *path;
    int channels;
    bool fit; /* images of another size are cut and resized, not refused */
} wanted;

/* Images of the model's size. */
static mdlm_status open_set(const md_cli_image_edit *e, wanted w, md_images **out,
                            mdlm_error *err) {
    const md_image_shape s = e->shape;
    md_images_options opt = md_images_defaults();
    const bool drawn = !md_file_exists(w.path) && !md_is_dir(w.path); /* of any size */
    opt.channels = w.channels;
    opt.image_size = s.Y == s.X && (w.fit || drawn) ? s.Y : 0;
    MD_TRY(md_images_open(w.path, &opt, out, err));
    const md_images_shape found = md_images_get_shape(*out);
    if (found.Y == s.Y && found.X == s.X) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "--%s '%s' is of %dx%d pixels: expected %dx%d, as the model makes", w.flag,
                   w.path, found.X, found.Y, s.X, s.Y);
}

static mdlm_status open_both(md_cli_image_edit *e, mdlm_error *err) {
    const char *text = e->opt->interpolate, *comma = strchr(text, ',');
    if (!comma || comma == text || !comma[1] || strchr(comma + 1, ','))
        return md_fail(err, MDLM_USAGE, "--interpolate '%s': expected two pictures, A.png,B.png",
                       text);
    char *path = md_strndup(text, (size_t)(comma - text), err);
    if (!path) return MDLM_RUNTIME;
    const wanted first = {"interpolate", path, e->shape.C, true};
    const wanted second = {"interpolate", comma + 1, e->shape.C, true};
    mdlm_status status = open_set(e, first, &e->source, err);
    if (status == MDLM_OK) status = open_set(e, second, &e->other, err);
    md_free(path);
    return status;
}

/* Of mask n: 1 for pixels nearer to white. Whether there are any. */
static bool read_mask(const md_cli_image_edit *e, int64_t n, uint8_t *repaint) {
    enum { HALF = 128 };
    const size_t pixels = (size_t)e->shape.Y * (size_t)e->shape.X;
    bool any = false;
    md_images_bytes(e->mask, n % md_images_count(e->mask), repaint);
    for (size_t p = 0; p < pixels; p++) any |= repaint[p] = repaint[p] >= HALF;
    return any;
}

static mdlm_status open_mask(md_cli_image_edit *e, mdlm_error *err) {
    const wanted mask = {"mask", e->opt->mask, 1, false};
    MD_TRY(open_set(e, mask, &e->mask, err));
    uint8_t *repaint = md_alloc((size_t)e->shape.Y, (size_t)e->shape.X, err);
    if (!repaint) return MDLM_RUNTIME;
    bool black = false;
    for (int64_t n = 0; n < md_images_count(e->mask); n++) black |= !read_mask(e, n, repaint);
    md_free(repaint);
    if (!black) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "--mask '%s' is black: nothing is to be painted", e->opt->mask);
}

mdlm_status md_cli_image_edit_init(const md_cli *cli, const md_cli_image_editing *opt,
                                   md_image_shape shape, md_image_sampler_options *sampler,
                                   md_cli_image_edit *e, mdlm_error *err) {
    e->opt = opt;
    e->shape = shape;
    e->size = (size_t)shape.Y * (size_t)shape.X * (size_t)shape.C;
    e->steps = (int)md_image_sampler_steps(sampler, false);
    MD_TRY(check_options(cli, opt, err));
    const wanted init = {"init-image", opt->init_image, shape.C, true};
    const wanted inpaint = {"inpaint", opt->inpaint, shape.C, false};
    if (*init.path) MD_TRY(open_set(e, init, &e->source, err));
    if (*opt->interpolate) MD_TRY(open_both(e, err));
    if (*inpaint.path) {
        MD_TRY(open_set(e, inpaint, &e->source, err));
        MD_TRY(open_mask(e, err));
    }
    if (e->source) settle(cli, e, sampler);
    return MDLM_OK;
}

void md_cli_image_edit_release(md_cli_image_edit *e) {
    md_images_free(e->source);
    md_images_free(e->other);
    md_images_free(e->mask);
    md_free(e->sources);
    md_free(e->masks);
    *e = (md_cli_image_edit){0};
}

/* --- a batch ---------------------------------------------------------------------------------- */

/* One image more, for the end of an interpolation. */
static mdlm_status make_room(md_cli_image_edit *e, int count, mdlm_error *err) {
    const size_t pixels = (size_t)e->shape.Y * (size_t)e->shape.X;
    if (count <= e->capacity) return MDLM_OK;
    md_free(e->sources);
    md_free(e->masks);
    e->sources = md_alloc((size_t)count + 1, e->size * sizeof *e->sources, err);
    e->masks = md_alloc((size_t)count, pixels, err);
    e->capacity = e->sources && e->masks ? count : 0;
    return e->capacity ? MDLM_OK : MDLM_RUNTIME;
}

static void take_one(md_cli_image_edit *e, int64_t n, float *out, float *other) {
    if (!e->other) {
        md_images_read(e->source, (e->first_index + n) % md_images_count(e->source), out);
        return;
    }
    md_images_read(e->source, 0, out);
    md_images_read(e->other, 0, other);
    md_image_edit_mix(out, other, e->total > 1 ? (double)n / (double)(e->total - 1) : 0.5, e->size,
                      out);
}

mdlm_status md_cli_image_edit_take(md_cli_image_edit *e, int64_t first, int count,
                                   md_image_batch *batch, mdlm_error *err) {
    const size_t pixels = (size_t)e->shape.Y * (size_t)e->shape.X;
    if (!e->source) return MDLM_OK;
    MD_TRY(make_room(e, count, err));
    for (int i = 0; i < count; i++) {
        take_one(e, first + i, e->sources + (size_t)i * e->size,
                 e->sources + (size_t)count * e->size);
        if (e->mask) read_mask(e, e->first_index + first + i, e->masks + (size_t)i * pixels);
    }
    batch->source = e->sources;
    batch->repaint = e->mask ? e->masks : NULL;
    return MDLM_OK;
}

/* --- what is said ----------------------------------------------------------------------------- */

void md_cli_image_edit_measure(md_cli_image_edit *e, const md_image_batch *batch, int i,
                               md_json_line *line) {
    if (!e->source) return;
    const float *x = batch->x + (size_t)i * e->size, *source = batch->source + (size_t)i * e->size;
    const double distance = md_image_edit_distance(x, source, e->size);
    e->distance += distance;
    e->measured++;
    if (line) md_json_put_real(line, "distance", distance);
    if (!e->mask) return;
    const uint8_t *repaint = batch->repaint + (size_t)i * (size_t)e->shape.Y * (size_t)e->shape.X;
    const double seam = md_image_edit_seam(e->shape, x, repaint);
    const double before = md_image_edit_seam(e->shape, source, repaint);
    e->seam += seam;
    e->seam_before += before;
    if (line) md_json_put_real(line, "seam", seam);
    if (line) md_json_put_real(line, "seam_source", before);
}

mdlm_status md_cli_image_edit_describe(const md_cli *cli, const md_cli_image_edit *e,
                                       md_buffer *out, mdlm_error *err) {
    const md_cli_image_editing *opt = e->opt;
    if (!e->source) return MDLM_OK;
    if (!e->mask)
        return md_buffer_printf(out, err, ", %s '%s', strength %g%s: %d steps",
                                e->other ? "between" : "from",
                                e->other ? opt->interpolate : opt->init_image, opt->strength,
                                md_cli_defaulted(cli, "strength"), e->steps);
    return md_buffer_printf(out, err,
                            ", '%s' repainted where '%s' is white, resamplings %d%s, jump %d%s: "
                            "%d steps",
                            opt->inpaint, opt->mask, (int)opt->resamplings,
                            md_cli_defaulted(cli, "resamplings"), (int)opt->jump,
                            md_cli_defaulted(cli, "jump"), e->steps);
}

void md_cli_image_edit_report(const md_cli *cli, const md_cli_image_edit *e) {
    const double n = (double)e->measured;
    if (e->measured == 0) return;
    if (!e->mask) {
        md_cli_note(cli, "distance from the source %.3f (root mean square, of -1 to 1)",
                    e->distance / n);
        return;
    }
    md_cli_note(cli, "across the border of the mask pixels differ by %.3f, in the source by %.3f",
                e->seam / n, e->seam_before / n);
}
