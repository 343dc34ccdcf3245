/* train/image_judge.c: see image_judge.h. */
#include "train/image_judge.h"

#include "base/memory.h"
#include "corpora/picture.h"
#include "train/image_labels.h"

enum { AT_ONCE = 64 }; /* images in a call of the classifier */

static size_t image_size(const md_image_judge *j) {
    const md_image_shape s = j->classifier->shape;
    return (size_t)s.Y * (size_t)s.X * (size_t)s.C;
}

mdlm_status md_image_judge_init(md_image_judge *j, const md_image_classifier *classifier,
                                int64_t capacity, mdlm_error *err) {
    MD_BUG_IF(classifier->noisy);
    const size_t dim = (size_t)classifier->features;
    *j = (md_image_judge){.classifier = classifier, .capacity = capacity};
    j->rows = md_alloc((size_t)capacity, dim * sizeof *j->rows, err);
    j->x = md_alloc(AT_ONCE, image_size(j) * sizeof *j->x, err);
    j->bytes = md_alloc(AT_ONCE, image_size(j), err);
    j->log_p = md_alloc(AT_ONCE, (size_t)classifier->classes * sizeof *j->log_p, err);
    j->features = (md_features){.x = j->rows, .dim = classifier->features};
    return j->rows && j->x && j->bytes && j->log_p ? MDLM_OK : MDLM_RUNTIME;
}

void md_image_judge_release(md_image_judge *j) {
    md_free(j->rows);
    md_free(j->x);
    md_free(j->bytes);
    md_free(j->log_p);
    *j = (md_image_judge){0};
}

static void count_right(md_image_judge *j, const int32_t *label, int count) {
    const int classes = j->classifier->classes;
    for (int i = 0; i < count; i++) {
        const float *log_p = j->log_p + (size_t)i * (size_t)classes;
        j->labelled += label[i] >= 0;
        j->right += label[i] == md_label_likeliest(log_p, classes);
    }
}

static mdlm_status add(md_image_judge *j, const float *x, const int32_t *label, int count,
                       mdlm_error *err) {
    const size_t size = (size_t)count * image_size(j);
    const md_image_query query = {.x = j->x, .B = count};
    const md_image_verdict out = {.log_p = label ? j->log_p : NULL,
                                  .features = j->rows +
                                              (size_t)j->features.count * (size_t)j->features.dim};
    md_pixels_from_floats(x, size, j->bytes);
    md_pixels_to_floats(j->bytes, size, j->x);
    MD_TRY(j->classifier->classify(j->classifier->context, &query, &out, err));
    if (label) count_right(j, label, count);
    j->features.count += count;
    return MDLM_OK;
}

mdlm_status md_image_judge_add(md_image_judge *j, const float *x, const int32_t *label,
                               int64_t count, mdlm_error *err) {
    MD_BUG_IF(count > j->capacity - j->features.count);
    for (int64_t first = 0; first < count; first += AT_ONCE) {
        const int64_t left = count - first;
        MD_TRY(add(j, x + (size_t)first * image_size(j), label ? label + first : NULL,
                   left < AT_ONCE ? (int)left : AT_ONCE, err));
    }
    return MDLM_OK;
}
