/* model/image_model.c: see image_model.h. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/image_internal.h"
#include "tensor/weights.h"

mdlm_status md_image_model_new(const md_image_config *config, bool gradients, md_image_model **out,
                               mdlm_error *err) {
    static const md_backbone *const backbones[] = {&md_backbone_unet, &md_backbone_dit,
                                                   &md_backbone_encoder};
    mdlm_status status = MDLM_RUNTIME;
    md_builder b;
    MD_TRY(md_image_config_check(config, err));
    md_image_model *model = md_alloc(1, sizeof *model, err);
    if (!model) return MDLM_RUNTIME;
    model->config = *config;
    model->backbone = backbones[config->backbone];
    model->params = md_params_new(err);
    if (!model->params) goto done;
    md_builder_init(&b, model->params, err);
    model->net = model->backbone->build(&model->config, &b, err);
    if (!model->net && b.status == MDLM_OK) b.status = MDLM_RUNTIME;
    MD_GOTO(done, status, md_builder_finish(&b, gradients, &model->init));
    *out = model;
    model = NULL;
done:
    md_image_model_free(model);
    return status;
}

void md_image_model_free(md_image_model *model) {
    if (!model) return;
    md_params_free(model->params);
    md_free(model->init);
    md_free(model->net);
    md_free(model);
}

void md_image_model_init(md_image_model *model, uint64_t seed) {
    md_layers_init(model->params, model->init, seed);
}

const md_image_config *md_image_model_config(const md_image_model *model) {
    return &model->config;
}

md_params *md_image_model_params(md_image_model *model) {
    return model->params;
}

/* --- running ---------------------------------------------------------------------------------- */

md_tensor *md_run_part(md_tape *tape, const md_image_pass *pass, md_part_fn fn, const void *context,
                       md_tensor *x, const int64_t dim[4]) {
    if (pass->checkpoint) return md_checkpoint(tape, fn, context, x);
    if (md_tape_recording(tape)) return fn(context, tape, x);
    md_tensor *kept = x ? md_tape_tensor(tape, x->rank, dim) : NULL;
    if (!kept) return NULL;
    md_arena_mark mark = md_tape_mark(tape);
    md_tensor *y = fn(context, tape, x);
    if (!y) return NULL;
    MD_BUG_IF(md_tensor_size(y) != md_tensor_size(kept));
    memcpy(kept->data, y->data, (size_t)md_tensor_size(y) * sizeof *y->data);
    md_tape_rewind(tape, mark);
    return kept;
}

/* Of x, what is given as a prediction: as many numbers a pixel as the network says. */
static md_tensor *given_of(md_tape *tape, const md_image_config *c, const md_tensor *x) {
    const int outputs = md_image_config_outputs(c), C = c->shape.C;
    const int64_t all = x->dim[3], pixels = md_tensor_size(x) / all;
    md_tensor *y = md_tape_tensor(tape, 4, (int64_t[]){x->dim[0], x->dim[1], x->dim[2], outputs});
    for (int64_t p = 0; y && p < pixels; p++)
        for (int k = 0; k < outputs; k++)
            y->data[p * outputs + k] = k < C ? x->data[p * all + C + k] : 0;
    return y;
}

md_tensor *md_image_model_forward(md_image_model *model, md_tape *tape, md_tensor *x,
                                  const md_image_condition *given,
                                  const md_image_training *training) {
    md_image_pass pass = {0};
    const md_image_shape s = model->config.shape;
    if (!x) return NULL;
    MD_BUG_IF(x->rank != 4 || x->dim[0] != given->B || x->dim[1] != s.Y || x->dim[2] != s.X ||
              x->dim[3] != s.C + md_image_config_given(&model->config));
    if (training && md_tape_recording(tape)) {
        pass.dropout = training->dropout;
        pass.checkpoint = training->checkpoint;
    }
    md_tensor *y = model->backbone->forward(model->net, tape, x, given, &pass);
    if (model->config.factor == 0 || !y) return y;
    md_tensor *shown = given_of(tape, &model->config, x);
    return shown ? md_add(tape, y, shown) : NULL;
}

md_tensor *md_image_model_head(const md_image_model *model) {
    return model->backbone->head ? model->backbone->head(model->net) : NULL;
}

double md_image_model_products(const md_image_model *model) {
    return model->backbone->products(model->net);
}

/* --- as a denoiser ---------------------------------------------------------------------------- */

int md_images_at_once(const md_image_config *c) {
    enum { PIXELS = 16384 };
    const int64_t image = (int64_t)c->shape.Y * c->shape.X;
    return image < PIXELS ? (int)(PIXELS / image) : 1;
}

mdlm_status md_image_check_labels(const md_image_config *c, const int32_t *label, int B,
                                  mdlm_error *err) {
    for (int b = 0; label && b < B; b++) {
        if (label[b] >= -1 && label[b] < c->classes) continue;
        if (c->classes == 0)
            return md_fail(err, MDLM_USAGE, "class %d: this model was trained without classes",
                           label[b]);
        return md_fail(err, MDLM_USAGE, "class %d is not one of this model: expected 0 to %d",
                       label[b], c->classes - 1);
    }
    return MDLM_OK;
}

md_tensor *md_image_input(md_tape *tape, const md_image_config *c, const md_image_query *q) {
    const md_image_shape s = c->shape;
    const int given = md_image_config_given(c), all = s.C + given;
    const int64_t pixels = (int64_t)q->B * s.Y * s.X;
    md_tensor *in = md_tape_tensor(tape, 4, (int64_t[]){q->B, s.Y, s.X, all});
    for (int64_t p = 0; in && p < pixels; p++) {
        md_real *to = in->data + p * all;
        for (int k = 0; k < s.C; k++) to[k] = (md_real)q->x[p * s.C + k];
        for (int k = 0; k < given; k++) to[s.C + k] = (md_real)q->given[p * given + k];
    }
    return in;
}

static mdlm_status predict_some(const md_image_view *view, const md_image_query *q, float *out,
                                mdlm_error *err) {
    const md_image_condition given = {.B = q->B, .time = q->time, .label = q->label};
    md_tape_begin(view->tape, false, (md_rng){0});
    md_tensor *in = md_image_input(view->tape, &view->model->config, q);
    md_tensor *y = md_image_model_forward(view->model, view->tape, in, &given, NULL);
    if (!y) return md_tape_status(view->tape, err);
    for (int64_t i = 0; i < md_tensor_size(y); i++) out[i] = (float)y->data[i];
    return MDLM_OK;
}

static mdlm_status predict(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    const md_image_view *view = context;
    const md_image_config *c = &view->model->config;
    const size_t pixels = (size_t)c->shape.Y * (size_t)c->shape.X;
    const size_t in = pixels * (size_t)c->shape.C,
                 given = pixels * (size_t)md_image_config_given(c);
    const size_t result = pixels * (size_t)md_image_config_outputs(c);
    const int step = md_images_at_once(c);
    MD_BUG_IF(given > 0 && !q->given);
    MD_TRY(md_image_check_labels(c, q->label, q->B, err));
    for (int first = 0; first < q->B; first += step) {
        const size_t at = (size_t)first;
        const md_image_query some = {.B = q->B - first < step ? q->B - first : step,
                                     .x = q->x + at * in,
                                     .time = q->time + at,
                                     .label = q->label ? q->label + at : NULL,
                                     .given = given ? q->given + at * given : NULL};
        MD_TRY(predict_some(view, &some, out + at * result, err));
    }
    return MDLM_OK;
}

md_image_denoiser md_image_model_denoiser(md_image_view *view) {
    const md_image_config *c = &view->model->config;
    MD_BUG_IF(md_image_config_classifies(c));
    return (md_image_denoiser){.context = view,
                               .shape = c->shape,
                               .outputs = md_image_config_outputs(c),
                               .classes = c->classes,
                               .given = md_image_config_given(c),
                               .predict = predict};
}

/* --- files ------------------------------------------------------------------------------------ */

mdlm_status md_image_model_load(const char *folder, const char *weights, md_image_model **out,
                                cJSON **file, mdlm_error *err) {
    md_image_config config;
    md_image_model *model = NULL;
    cJSON *object = NULL;
    mdlm_status status;
    char *path = weights ? md_strdup(weights, err) : md_path_join(folder, "model.safetensors", err);
    if (!path) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_image_config_load(folder, &config, file ? &object : NULL, err));
    MD_GOTO(done, status, md_image_model_new(&config, false, &model, err));
    md_params *params = model->params;
    MD_GOTO(done, status, md_weights_load_params(path, params, "", md_params_values(params), err));
    *out = model;
    model = NULL;
    if (file) *file = object;
    object = NULL;
done:
    cJSON_Delete(object);
    md_image_model_free(model);
    md_free(path);
    return status;
}
