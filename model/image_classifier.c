/* model/image_classifier.c: an encoder as a classifier. See image_model.h. */
#include <math.h>

#include "model/image_internal.h"

/* Logits [B, 1, classes] to ln p, in double precision. */
static void normalise(const md_tensor *logits, double *log_p) {
    const int64_t classes = md_tensor_cols(logits);
    for (int64_t b = 0; b < logits->dim[0]; b++, log_p += classes) {
        const md_real *z = logits->data + b * classes;
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < classes; c++) most = fmax(most, (double)z[c]);
        for (int64_t c = 0; c < classes; c++) sum += exp((double)z[c] - most);
        for (int64_t c = 0; c < classes; c++) log_p[c] = (double)z[c] - most - log(sum);
    }
}

/* The sum of ln p(label) over the images, of which each has a gradient of its own; by the logits it
 * is 1 for the label minus p. */
static md_tensor *label_sum(md_tape *tape, md_tensor *logits, const double *log_p,
                            const int32_t *label) {
    const int64_t B = logits->dim[0], classes = md_tensor_cols(logits);
    md_real *slope = md_tape_alloc(tape, (size_t)(B * classes), sizeof *slope);
    double sum = 0;
    if (!slope) return NULL;
    for (int64_t b = 0; b < B; b++) {
        const int32_t own = label ? label[b] : -1;
        const double *row = log_p + b * classes;
        if (own >= 0) sum += row[own];
        for (int64_t c = 0; c < classes; c++)
            slope[b * classes + c] = own < 0 ? 0 : (md_real)((c == own) - exp(row[c]));
    }
    return md_known_loss(tape, logits, sum, slope);
}

static mdlm_status classify_some(const md_image_view *view, const md_image_query *q,
                                 const md_image_verdict *out, mdlm_error *err) {
    const md_image_config *c = &view->model->config;
    const md_image_condition given = {.B = q->B, .time = q->time};
    md_tape *tape = view->tape;
    md_tape_begin(tape, out->gradient != NULL, (md_rng){0});
    md_tape_keep_apart(tape);
    md_tensor *x = md_image_input(tape, c, q);
    if (!x) return md_tape_status(tape, err);
    x->needs_grad = true;
    md_tensor *h = md_image_model_forward(view->model, tape, x, &given, NULL);
    md_tensor *logits = md_linear(tape, h, md_image_model_head(view->model), NULL);
    const size_t said = (size_t)q->B * (size_t)c->classes;
    double *log_p = md_tape_alloc(tape, said, sizeof *log_p);
    if (!logits || !log_p) return md_tape_status(tape, err);
    normalise(logits, log_p);
    for (size_t i = 0; out->log_p && i < said; i++) out->log_p[i] = (float)log_p[i];
    for (int64_t i = 0; out->features && i < md_tensor_size(h); i++)
        out->features[i] = (float)h->data[i];
    if (!out->gradient) return MDLM_OK;
    MD_TRY(md_tape_backward(tape, label_sum(tape, logits, log_p, q->label), err));
    for (int64_t i = 0; i < md_tensor_size(x); i++) out->gradient[i] = (float)x->grad[i];
    return MDLM_OK;
}

static mdlm_status classify(void *context, const md_image_query *q, const md_image_verdict *out,
                            mdlm_error *err) {
    const md_image_view *view = context;
    const md_image_config *c = &view->model->config;
    const md_tensor *head = md_image_model_head(view->model);
    const size_t image = (size_t)c->shape.Y * (size_t)c->shape.X * (size_t)c->shape.C;
    const int step = md_images_at_once(c);
    MD_BUG_IF(out->gradient && head->needs_grad);
    if (out->gradient) MD_TRY(md_image_check_labels(c, q->label, q->B, err));
    for (int first = 0; first < q->B; first += step) {
        const size_t at = (size_t)first, F = (size_t)head->dim[1];
        const md_image_query part = {.x = q->x + at * image,
                                     .time = c->noisy ? q->time + at : NULL,
                                     .label = q->label ? q->label + at : NULL,
                                     .B = q->B - first < step ? q->B - first : step};
        const md_image_verdict to = {.log_p =
                                         out->log_p ? out->log_p + at * (size_t)c->classes : NULL,
                                     .features = out->features ? out->features + at * F : NULL,
                                     .gradient = out->gradient ? out->gradient + at * image : NULL};
        MD_TRY(classify_some(view, &part, &to, err));
    }
    return MDLM_OK;
}

md_image_classifier md_image_model_classifier(md_image_view *view) {
    const md_image_config *c = &view->model->config;
    const md_tensor *head = md_image_model_head(view->model);
    MD_BUG_IF(!head);
    return (md_image_classifier){.context = view,
                                 .shape = c->shape,
                                 .classes = c->classes,
                                 .features = (int)head->dim[1],
                                 .noisy = c->noisy,
                                 .classify = classify};
}
