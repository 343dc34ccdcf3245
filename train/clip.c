/* train/clip.c: see clip.h. */
#include "train/clip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/levels.h"
#include "train/text_task.h"

enum { MEASURED_SEQUENCES = 128, FEWEST_LOSSES = 16 };

const md_clip md_clips[MD_CLIPS] = {{0, 1}, {0, 0.5}, {0.5, 1}, {0.3, 0.8}, {0.45, 0.95}};

mdlm_status md_clip_parse(const char *text, bool *automatic, md_clip *out, mdlm_error *err) {
    char *comma = NULL, *end = NULL;
    bool measured = !strcmp(text, "auto"), valid = measured || !strcmp(text, "off");
    md_clip clip = md_clips[0];
    if (!valid) {
        clip.low = strtod(text, &comma);
        if (comma > text && *comma == ',') clip.high = strtod(comma + 1, &end);
        valid = end && end > comma + 1 && !*end && clip.low >= 0 && clip.low < clip.high &&
                clip.high <= 1;
    }
    if (!valid)
        return md_fail(err, MDLM_USAGE,
                       "--noise-clip '%s': expected auto, off, or two masked shares such as 0.3,0.8"
                       " (from 0 to 1, the lower one first)",
                       text);
    *automatic = measured;
    *out = clip;
    return MDLM_OK;
}

/* --- the choice ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    const md_level_loss *x = a, *y = b;
    if (x->share != y->share) return x->share < y->share ? -1 : 1;
    return (x->loss > y->loss) - (x->loss < y->loss);
}

bool md_clip_measured(const md_masked *process, md_clip clip, const md_level_loss *losses,
                      int64_t count, md_clip_moments *out) {
    md_masked clipped = *process;
    double sum = 0, squares = 0, span = 0, last_t = 0, last_x = 0;
    int inside = 0;
    md_masked_clip(&clipped, clip.low, clip.high);
    for (int64_t i = 0; i < count; i++) {
        double t = md_masked_time(process, 1 - losses[i].share);
        if (t < clipped.eps || t > clipped.end) continue;
        double x = clipped.scale * md_masked_weight(process, t) * losses[i].loss;
        if (inside++ > 0) {
            sum += (t - last_t) * (x + last_x) / 2;
            squares += (t - last_t) * (x - last_x) * (x - last_x) / 2;
            span += t - last_t;
        }
        last_t = t;
        last_x = x;
    }
    if (inside < FEWEST_LOSSES || span <= 0) return false;
    *out = (md_clip_moments){.mean = sum / span, .variance = squares / span};
    return true;
}

md_clip md_clip_choose(const md_masked *process, md_level_loss *losses, int64_t count, int blocks) {
    md_clip_moments whole, part;
    md_clip best = md_clips[0];
    qsort(losses, (size_t)count, sizeof *losses, compare);
    if (!md_clip_measured(process, md_clips[0], losses, count, &whole)) return best;
    double least = whole.variance / blocks;
    for (int i = 1; i < MD_CLIPS; i++) {
        if (!md_clip_measured(process, md_clips[i], losses, count, &part)) continue;
        double bias = part.mean - whole.mean, error = part.variance / blocks + bias * bias;
        if (!(error < least)) continue;
        least = error;
        best = md_clips[i];
    }
    return best;
}

/* --- the measurement -------------------------------------------------------------------------- */

/* Adds the units of sequence i of a measurement of one draw to `out`; returns how many. */
static int64_t add_units(const md_losses *l, int i, md_level_loss *out) {
    const int T = l->batch.T;
    const double *loss = l->loss + (int64_t)i * T;
    const uint8_t *keep = l->batch.keep + (int64_t)i * T;
    int64_t count = 0;
    for (int start = 0; start < T; start += l->unit) {
        double u = md_mask_level_time(l->opt.seed, l->draws, md_losses_unit(l, i, start), 0);
        double weighted = 0;
        int tokens = 0;
        for (int j = start; j < start + l->unit && j < T; j++) {
            weighted += loss[j];
            tokens += !keep[j];
        }
        if (tokens == 0) continue;
        out[count++] = (md_level_loss){.share = u * u, .loss = u / 2 * weighted / tokens};
    }
    return count;
}

static mdlm_status measure(md_text_task *t, const md_denoiser *denoiser, md_level_loss *out,
                           int64_t *count, mdlm_error *err) {
    const md_likelihood_options opt = {
        .method = MD_METHOD_NELBO, .draws = 1, .batch = t->sequences, .seed = t->seed};
    md_text_batch *text = &t->micro;
    for (int64_t first = 0; first < MEASURED_SEQUENCES; first += t->sequences) {
        md_losses losses;
        MD_TRY(t->data.read(t->data.context, 1, first, text, err));
        const md_likelihood_batch batch = {
            .ids = text->ids, .count = text->B, .T = text->T, .first = first, .keep = text->keep};
        MD_TRY(md_losses_measure(&losses, denoiser, &opt, &batch, err));
        for (int i = 0; i < text->B && first + i < MEASURED_SEQUENCES; i++)
            *count += add_units(&losses, i, out + *count);
        md_losses_release(&losses);
    }
    return MDLM_OK;
}

mdlm_status md_clip_measure(md_text_task *t, const md_denoiser *denoiser, md_clip *out,
                            mdlm_error *err) {
    int64_t count = 0;
    int units = (t->seq_len + denoiser->block_length - 1) / denoiser->block_length;
    md_level_loss *losses = md_alloc((size_t)units * MEASURED_SEQUENCES, sizeof *losses, err);
    if (!losses) return MDLM_RUNTIME;
    mdlm_status status = measure(t, denoiser, losses, &count, err);
    if (status == MDLM_OK) *out = md_clip_choose(&t->process, losses, count, units);
    md_free(losses);
    return status;
}
