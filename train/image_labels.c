/* train/image_labels.c: see image_labels.h. */
#include "train/image_labels.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "diffusion/gaussian_loss.h"

double md_label_score_nats(const md_label_score *s) {
    return s->nats / (double)s->images;
}

double md_label_score_stderr(const md_label_score *s) {
    const double n = (double)s->images, mean = s->nats / n;
    if (s->images < 2) return NAN;
    return sqrt(fmax(0, s->squares / n - mean * mean) / (n - 1));
}

int md_label_likeliest(const float *log_p, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (log_p[c] > log_p[best]) best = c;
    return best;
}

static size_t image_size(const md_label_judge *j) {
    const md_image_shape s = j->classifier->shape;
    return (size_t)s.Y * (size_t)s.X * (size_t)s.C;
}

mdlm_status md_label_judge_init(md_label_judge *j, int most, mdlm_error *err) {
    const size_t n = (size_t)most, size = image_size(j);
    MD_BUG_IF(j->classifier->noisy != (j->process != NULL));
    j->most = most;
    j->x = md_alloc(n, size * sizeof *j->x, err);
    j->noise = md_alloc(size, sizeof *j->noise, err);
    j->log_p = md_alloc(n, (size_t)j->classifier->classes * sizeof *j->log_p, err);
    j->time = md_alloc(n, sizeof *j->time, err);
    return j->x && j->noise && j->log_p && j->time ? MDLM_OK : MDLM_RUNTIME;
}

void md_label_judge_release(md_label_judge *j) {
    md_free(j->x);
    md_free(j->noise);
    md_free(j->log_p);
    md_free(j->time);
    *j = (md_label_judge){0};
}

/* Image i as the classifier is to see it. */
static void noise_image(md_label_judge *j, const md_label_batch *b, int i) {
    const size_t size = image_size(j);
    const float *image = b->images + (size_t)i * size;
    float *x = j->x + (size_t)i * size;
    if (!j->process) {
        memcpy(x, image, size * sizeof *x);
        return;
    }
    const int level = b->level[i];
    const md_level at = md_gaussian_level(j->process, level);
    j->time[i] = at.time;
    const md_rng rng = {.seed = j->seed, .stream = MD_STREAM_EVAL_NOISE, .step = (uint64_t)level};
    md_normal_fill(rng, (uint32_t)(b->first + i), 0, (int64_t)size, j->noise);
    md_gaussian_corrupt(j->process, level, image, j->noise, (int64_t)size, x);
    const float scale = (float)md_gaussian_input(j->process, at);
    for (size_t k = 0; k < size; k++) x[k] *= scale;
}

static mdlm_status count_image(const md_label_judge *j, const float *log_p, int32_t label,
                               md_label_score *score, mdlm_error *err) {
    const int classes = j->classifier->classes;
    MD_BUG_IF(label >= classes);
    const double nats = -(double)log_p[label];
    if (!isfinite(nats))
        return md_fail(err, MDLM_NUMERIC, "the classifier's probabilities are not finite");
    score->images++;
    score->right += md_label_likeliest(log_p, classes) == label;
    score->nats += nats;
    score->squares += nats * nats;
    return MDLM_OK;
}

mdlm_status md_label_judge_add(md_label_judge *j, const md_label_batch *b, md_label_score *score,
                               mdlm_error *err) {
    const md_image_query query = {.x = j->x, .time = j->process ? j->time : NULL, .B = b->count};
    const md_image_verdict verdict = {.log_p = j->log_p};
    MD_BUG_IF(b->count > j->most);
    for (int i = 0; i < b->count; i++) noise_image(j, b, i);
    MD_TRY(j->classifier->classify(j->classifier->context, &query, &verdict, err));
    for (int i = 0; i < b->count; i++) {
        if (b->labels[i] < 0) continue;
        const float *log_p = j->log_p + (size_t)i * (size_t)j->classifier->classes;
        MD_TRY(count_image(j, log_p, b->labels[i], score, err));
    }
    return MDLM_OK;
}
