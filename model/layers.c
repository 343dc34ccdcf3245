/* model/layers.c: see layers.h. */
#include "model/layers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static const double NORM_EPS = 1e-5, SMALL = 0.02;

/* --- declaring -------------------------------------------------------------------------------- */

void md_builder_init(md_builder *b, md_params *params, mdlm_error *err) {
    *b = (md_builder){.params = params, .err = err};
}

void md_builder_scope(md_builder *b, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int length = vsnprintf(b->scope, sizeof b->scope, format, list);
    va_end(list);
    MD_BUG_IF(length < 0 || (size_t)length >= sizeof b->scope);
}

static mdlm_status remember(md_builder *b, md_init_kind init) {
    int count = md_params_count(b->params);
    if (count == b->capacity) {
        int capacity = count ? 2 * count : 64;
        unsigned char *grown = md_realloc(b->init, (size_t)capacity, sizeof *grown, b->err);
        if (!grown) return MDLM_RUNTIME;
        b->init = grown;
        b->capacity = capacity;
    }
    b->init[count] = (unsigned char)init;
    return MDLM_OK;
}

md_tensor *md_build_tensor(md_builder *b, const char *name, int rank, const int64_t *dim,
                           md_init_kind init) {
    char full[160];
    if (b->status != MDLM_OK) return NULL;
    snprintf(full, sizeof full, "%s%s%s", b->scope, *b->scope ? "." : "", name);
    b->status = remember(b, init);
    if (b->status != MDLM_OK) return NULL;
    unsigned flags = 0;
    if (rank > 1) flags = b->edge ? MD_PARAM_DECAY : MD_PARAM_DECAY | MD_PARAM_ORTHOGONAL;
    md_tensor *t = md_params_add(b->params, full, rank, dim, flags, b->err);
    if (!t) b->status = MDLM_RUNTIME;
    return t;
}

static md_tensor *build_part(md_builder *b, const char *name, const char *part, int rank,
                             const int64_t *dim, md_init_kind init) {
    char full[64];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return md_build_tensor(b, full, rank, dim, init);
}

md_conv_layer md_build_conv(md_builder *b, const char *name, md_conv_size s, md_init_kind init) {
    const int64_t dim[4] = {s.out, s.side, s.side, s.in};
    md_tensor *w = build_part(b, name, "weight", 4, dim, init);
    return (md_conv_layer){w, build_part(b, name, "bias", 1, dim, MD_INIT_ZERO)};
}

md_linear_layer md_build_linear_plain(md_builder *b, const char *name, int in, int out,
                                      md_init_kind init) {
    return (md_linear_layer){build_part(b, name, "weight", 2, (int64_t[]){out, in}, init), NULL};
}

md_linear_layer md_build_linear(md_builder *b, const char *name, int in, int out,
                                md_init_kind init) {
    md_linear_layer layer = md_build_linear_plain(b, name, in, out, init);
    layer.bias = build_part(b, name, "bias", 1, (int64_t[]){out}, MD_INIT_ZERO);
    return layer;
}

md_tensor *md_build_gain(md_builder *b, const char *name, int channels) {
    return build_part(b, name, "weight", 1, (int64_t[]){channels}, MD_INIT_ONE);
}

md_norm_layer md_build_norm(md_builder *b, const char *name, int channels) {
    md_tensor *gain = md_build_gain(b, name, channels);
    return (md_norm_layer){gain,
                           build_part(b, name, "bias", 1, (int64_t[]){channels}, MD_INIT_ZERO)};
}

mdlm_status md_builder_finish(md_builder *b, bool gradients, unsigned char **init) {
    mdlm_status status = b->status;
    if (status == MDLM_OK) status = md_params_seal(b->params, gradients, b->err);
    if (status == MDLM_OK) *init = b->init;
    if (status != MDLM_OK) md_free(b->init);
    b->init = NULL;
    return status;
}

/* --- beginning -------------------------------------------------------------------------------- */

static double deviation(const md_tensor *t, md_init_kind init) {
    if (init == MD_INIT_SMALL) return SMALL;
    return 1 / sqrt((double)(md_tensor_size(t) / t->dim[0]));
}

void md_layers_init(md_params *params, const unsigned char *init, uint64_t seed) {
    for (int i = 0; i < md_params_count(params); i++) {
        md_tensor *t = md_params_tensor(params, i);
        md_rng rng = {.seed = seed, .stream = MD_STREAM_INIT, .step = (uint64_t)i};
        const int64_t rows = md_tensor_rows(t), cols = md_tensor_cols(t);
        const bool drawn = init[i] == MD_INIT_FAN_IN || init[i] == MD_INIT_SMALL;
        const double scale = deviation(t, init[i]), same = init[i] == MD_INIT_ONE;
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t c = 0; c < cols; c++) {
                double z = drawn ? scale * md_normal(rng, (uint32_t)r, (uint32_t)c) : same;
                t->data[r * cols + c] = (md_real)z;
            }
        }
    }
}

/* --- running ---------------------------------------------------------------------------------- */

double md_weight_products(const md_tensor *w) {
    return w ? (double)md_tensor_size(w) : 0;
}

md_tensor *md_run_linear(md_tape *tape, const md_linear_layer *layer, md_tensor *x) {
    md_tensor *y = md_linear(tape, x, layer->w, NULL);
    return layer->bias ? md_add_channels(tape, y, layer->bias) : y;
}

md_tensor *md_run_conv(md_tape *tape, const md_conv_layer *layer, md_tensor *x, md_conv how) {
    if (!how.bias) how.bias = layer->bias;
    return md_conv2d(tape, x, layer->w, how);
}

md_tensor *md_run_norm(md_tape *tape, const md_norm_layer *layer, md_tensor *x, bool silu) {
    const md_group_norm_how how = {.groups = MD_NORM_GROUPS, .eps = NORM_EPS, .silu = silu};
    return md_group_norm(tape, x, layer->gain, layer->bias, how);
}

/* --- conditions ------------------------------------------------------------------------------- */

md_embedder md_build_embedder(md_builder *b, int frequencies, int out, int classes) {
    md_embedder e = {.frequencies = frequencies};
    const int64_t dim[2] = {classes + 1, out};
    md_builder_scope(b, "time_embedding");
    b->edge = true;
    e.first = md_build_linear(b, "linear_1", frequencies, out, MD_INIT_FAN_IN);
    b->edge = false;
    e.second = md_build_linear(b, "linear_2", out, out, MD_INIT_FAN_IN);
    md_builder_scope(b, "class_embedding");
    b->edge = true;
    if (classes > 0) e.classes = md_build_tensor(b, "weight", 2, dim, MD_INIT_SMALL);
    b->edge = false;
    return e;
}

void md_time_sinusoids(double t, int dim, md_real *out) {
    const int half = dim / 2;
    for (int i = 0; i < half; i++) {
        double angle = t * exp(-log(10000) * i / half);
        out[i] = (md_real)cos(angle);
        out[half + i] = (md_real)sin(angle);
    }
}

/* Rows of class_embedding, or NULL. */
static md_tensor *class_rows(md_tape *tape, const md_embedder *e, const md_image_condition *given) {
    int32_t *row = md_tape_alloc(tape, (size_t)given->B, sizeof *row);
    const int32_t none = (int32_t)e->classes->dim[0] - 1;
    for (int b = 0; row && b < given->B; b++) {
        row[b] = given->label && given->label[b] >= 0 ? given->label[b] : none;
        MD_BUG_IF(row[b] > none);
    }
    if (!row) return NULL;
    md_tensor *y = md_embedding(tape, e->classes, row, given->B);
    return md_reshape(tape, y, 3, (int64_t[]){given->B, 1, e->classes->dim[1]});
}

md_tensor *md_run_embedder(md_tape *tape, const md_embedder *e, const md_image_condition *given) {
    md_tensor *t = md_tape_tensor(tape, 3, (int64_t[]){given->B, 1, e->frequencies});
    for (int b = 0; t && b < given->B; b++) {
        md_time_sinusoids(given->time[b], e->frequencies, t->data + (int64_t)b * e->frequencies);
    }
    t = md_silu(tape, md_run_linear(tape, &e->first, t));
    t = md_run_linear(tape, &e->second, t);
    if (e->classes) t = md_add(tape, t, class_rows(tape, e, given));
    return md_silu(tape, t);
}

double md_embedder_products(const md_embedder *e) {
    return md_weight_products(e->first.w) + md_weight_products(e->second.w);
}
