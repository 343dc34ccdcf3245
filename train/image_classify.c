/* train/image_classify.c: what a classifier learns and is validated by. See image_task.h. */
#include "base/interval.h"
#include "base/memory.h"
#include "tensor/ops.h"
#include "train/image_labels.h"
#include "train/image_task.h"

md_tensor *md_image_task_label_loss(md_image_task *t, md_tape *tape, md_tensor *features, int n,
                                    double share) {
    md_real *weight = md_tape_alloc(tape, (size_t)n, sizeof *weight);
    if (!weight) return NULL;
    for (int i = 0; i < n; i++) weight[i] = (md_real)share;
    const md_cross_entropy_args args = {.target = t->micro.label, .weight = weight, .banned = -1};
    return md_linear_cross_entropy(tape, features, md_image_model_head(t->model), &args);
}

/* Images that are held out, from the first again, scored at their levels: all at level 0 with
 * `least`, else as val_level says. */
static mdlm_status score_held(md_image_task *t, int64_t count, bool least, md_label_score *score,
                              mdlm_error *err) {
    md_image_view view = {.model = t->model, .tape = t->tape};
    const md_image_classifier classifier = md_image_model_classifier(&view);
    md_label_judge judge = {.classifier = &classifier,
                            .process = classifier.noisy ? &t->setup->process : NULL,
                            .seed = t->seed};
    mdlm_status status = md_label_judge_init(&judge, t->images, err);
    int *level = md_alloc((size_t)t->images, sizeof *level, err);
    if (!level) status = MDLM_RUNTIME;
    for (int64_t first = 0; first < count && status == MDLM_OK; first += t->images) {
        const int64_t left = count - first;
        const md_label_batch batch = {.images = t->micro.image,
                                      .labels = t->micro.label,
                                      .level = level,
                                      .count = left < t->images ? (int)left : t->images,
                                      .first = first};
        for (int i = 0; i < batch.count; i++)
            level[i] = least ? 0 : md_image_task_val_level(t, first + i, count);
        md_image_loader_read(&t->held, first, batch.count, t->micro.image, t->micro.label);
        status = md_label_judge_add(&judge, &batch, score, err);
    }
    md_free(level);
    md_label_judge_release(&judge);
    return status;
}

mdlm_status md_image_task_val_labels(md_image_task *t, int64_t count, double *value,
                                     mdlm_error *err) {
    md_label_score score = {0};
    MD_TRY(score_held(t, count, false, &score, err));
    *value = md_label_score_nats(&score);
    return MDLM_OK;
}

mdlm_status md_image_task_say_labels(md_image_task *t, md_buffer *text, mdlm_error *err) {
    enum { IMAGES = 512 };
    md_label_score score = {0};
    const int64_t count = t->held.count < IMAGES ? t->held.count : IMAGES;
    MD_TRY(score_held(t, count, true, &score, err));
    const md_interval share = md_wilson(score.right, score.images);
    return md_buffer_printf(text, err,
                            "%.1f%% of %lld images held out are told right (%.1f to %.1f)",
                            100 * (double)score.right / (double)score.images,
                            (long long)score.images, 100 * share.low, 100 * share.high);
}
