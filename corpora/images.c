/* corpora/images.c: a path becomes a set of images; what a set says. See images.h. */
#include "corpora/images.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/rng.h"
#include "corpora/corpora_internal.h"
#include "corpora/images_internal.h"
#include "corpora/shapes.h"

#define SHAPES "shapes"
#define NOISE "noise"

md_images_options md_images_defaults(void) {
    return (md_images_options){.end = -1, .seed = 1};
}

/* Decimal digits from `text` on, at least one; *end is behind them. */
static bool parse_index(const char *text, const char **end, int64_t *out) {
    int64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++) {
        if (value > (INT64_MAX - 9) / 10) return false;
        value = value * 10 + (*c - '0');
    }
    *end = c;
    if (c == text) return false;
    *out = value;
    return true;
}

mdlm_status md_images_range(const char *text, md_images_options *opt, mdlm_error *err) {
    int64_t first = 0, end = -1;
    const char *at = text;
    bool fine = *at == ':' || parse_index(at, &at, &first);
    fine = fine && *at++ == ':' && (*at == 0 || (parse_index(at, &at, &end) && *at == 0));
    if (!fine || strlen(text) < 2 || (end >= 0 && first >= end)) {
        return md_fail(err, MDLM_USAGE,
                       "the range '%s': expected A:B (images A to B - 1), A: or :B", text);
    }
    opt->first = first;
    opt->end = end;
    return MDLM_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static mdlm_status read_shapes(const md_image_build *b, mdlm_error *err) {
    md_images *set = b->set;
    bool open_end = b->opt->end < 0; /* then the usual number, from wherever the range begins */
    int64_t total = INT64_MAX;
    if (open_end)
        total = b->opt->first < total - MD_SHAPES_COUNT ? b->opt->first + MD_SHAPES_COUNT : 0;
    MD_TRY(md_images_select(b, total, err));
    md_images_settle_shape(b, (md_images_shape){.Y = MD_SHAPES_SIDE, .X = MD_SHAPES_SIDE, .C = 3});
    set->format = SHAPES;
    set->seed = b->opt->seed;
    return md_images_name_classes(b, md_shape_kinds, MD_SHAPE_KINDS, err);
}

/* The reader for a file, by its name or its first bytes. */
static mdlm_status read_file(const md_image_build *b, mdlm_error *err) {
    size_t length = strlen(b->path);
    if (length >= 4 && !strcasecmp(b->path + length - 4, ".bin")) {
        return md_images_read_cifar(b, err);
    }
    md_sources sources = {0};
    md_input input = {.fd = -1};
    char start[8];
    size_t got = 0;
    mdlm_status status = md_input_open_path(&input, &sources, b->path, err);
    if (status == MDLM_OK) status = md_input_read(&input, start, sizeof start, &got, err);
    md_input_close(&input);
    bool gz = status == MDLM_OK && sources.items[0].gz;
    md_sources_release(&sources);
    if (status != MDLM_OK) return status;
    if (got >= 2 && start[0] == 0 && start[1] == 0) return md_images_read_idx(b, err);
    if (!gz && md_picture_known(start, got)) return md_images_read_picture(b, err);
    return md_fail(err, MDLM_INPUT,
                   "'%s' holds no images: expected IDX (.gz too), PNG, JPEG, CIFAR-10 (.bin), or a "
                   "folder",
                   b->path);
}

static mdlm_status read_set(const md_image_build *b, mdlm_error *err) {
    static const char *const drawn[] = {SHAPES};
    if (!md_file_exists(b->path)) {
        if (!strcmp(b->path, SHAPES)) return read_shapes(b, err);
        mdlm_status status = md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", b->path);
        bool near = md_suggest(b->path, drawn, 1) != NULL;
        return near ? md_fail(err, status, "cannot open '%s'; did you mean '" SHAPES "'?", b->path)
                    : status;
    }
    if (!md_is_dir(b->path)) return read_file(b, err);
    bool cifar = false;
    MD_TRY(md_images_is_cifar_folder(b->path, &cifar, err));
    return cifar ? md_images_read_cifar(b, err) : md_images_read_folder(b, err);
}

static size_t image_values(const md_images *set) {
    return (size_t)set->shape.Y * (size_t)set->shape.X * (size_t)set->shape.C;
}

/* Of everything that decides what a training sees; what is drawn is told by its first image. */
static mdlm_status hash_set(md_images *set, mdlm_error *err) {
    const int64_t facts[] = {set->shape.Y, set->shape.X, set->shape.C, set->count, set->classes};
    set->hash = md_hash(facts, sizeof facts, 0);
    if (set->bytes) {
        set->hash = md_hash(set->bytes, (size_t)set->count * image_values(set), set->hash);
        for (int64_t i = 0; set->labels && i < set->count; i++) {
            int32_t label = md_images_label(set, i);
            set->hash = md_hash(&label, sizeof label, set->hash);
        }
        return MDLM_OK;
    }
    const uint64_t drawn[] = {set->seed, (uint64_t)set->first};
    uint8_t *bytes = md_alloc(image_values(set), 1, err);
    if (!bytes) return MDLM_RUNTIME;
    md_images_bytes(set, 0, bytes);
    set->hash = md_hash(drawn, sizeof drawn, md_hash(bytes, image_values(set), set->hash));
    md_free(bytes);
    return MDLM_OK;
}

static bool add_numbers(cJSON *object, const char *key, const int64_t *values, int count) {
    cJSON *list = cJSON_AddArrayToObject(object, key);
    for (int i = 0; list && i < count; i++) {
        cJSON *item = cJSON_CreateNumber((double)values[i]);
        if (!item) return false;
        cJSON_AddItemToArray(list, item);
    }
    return list != NULL;
}

static bool add_names(cJSON *object, const md_images *set) {
    cJSON *list = cJSON_AddArrayToObject(object, "classes");
    for (int i = 0; list && i < set->classes; i++) {
        cJSON *item = cJSON_CreateString(set->names[i]);
        if (!item) return false;
        cJSON_AddItemToArray(list, item);
    }
    return list != NULL;
}

static mdlm_status describe(const char *path, md_images *set, mdlm_error *err) {
    const int64_t range[] = {set->first, set->first + set->count};
    const int64_t shape[] = {set->shape.Y, set->shape.X, set->shape.C};
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)set->hash);
    cJSON *json = set->json = cJSON_CreateObject();
    bool fine = json && cJSON_AddStringToObject(json, "source", path) &&
                cJSON_AddStringToObject(json, "format", set->format) &&
                add_numbers(json, "range", range, 2) && add_numbers(json, "shape", shape, 3) &&
                add_names(json, set) && cJSON_AddStringToObject(json, "hash", hash);
    if (fine && set->labels_at) fine = cJSON_AddStringToObject(json, "labels", set->labels_at);
    if (fine && !set->bytes) fine = cJSON_AddNumberToObject(json, "seed", (double)set->seed);
    return fine ? MDLM_OK : md_fail(err, MDLM_RUNTIME, "out of memory: cannot describe '%s'", path);
}

/* A set that was read, under a name: complete in *out, or freed. */
static mdlm_status finish(md_images *set, const char *source, md_images **out, mdlm_error *err) {
    mdlm_status status = hash_set(set, err);
    if (status == MDLM_OK) status = describe(source, set, err);
    if (status == MDLM_OK)
        *out = set;
    else
        md_images_free(set);
    return status;
}

mdlm_status md_images_open(const char *path, const md_images_options *opt, md_images **out,
                           mdlm_error *err) {
    md_images *set = md_alloc(1, sizeof *set, err);
    if (!set) return MDLM_RUNTIME;
    md_image_build build = {.path = path, .opt = opt, .set = set};
    mdlm_status status = read_set(&build, err);
    if (status == MDLM_OK && opt->labels && *opt->labels && !set->labels_at) {
        status =
            md_fail(err, MDLM_USAGE, "labels ('%s') come with IDX files: the format of '%s' is %s",
                    opt->labels, path, set->format);
    }
    if (status == MDLM_OK) return finish(set, path, out, err);
    md_images_free(set);
    return status;
}

mdlm_status md_images_noise(md_images_shape shape, int64_t count, uint64_t seed, md_images **out,
                            mdlm_error *err) {
    const md_rng rng = {.seed = seed, .stream = MD_STREAM_CORPUS};
    md_images *set = md_alloc(1, sizeof *set, err);
    if (!set) return MDLM_RUNTIME;
    set->shape = shape;
    set->count = count;
    set->format = NOISE;
    const size_t values = image_values(set);
    set->bytes = md_alloc((size_t)count, values, err);
    if (!set->bytes) {
        md_images_free(set);
        return MDLM_RUNTIME;
    }
    for (size_t i = 0; i < (size_t)count * values; i++)
        set->bytes[i] =
            (uint8_t)md_uniform_below(rng, (uint32_t)(i / values), (uint32_t)(i % values), 1 << 8);
    return finish(set, NOISE, out, err);
}

void md_images_free(md_images *set) {
    if (!set) return;
    for (int i = 0; i < set->classes; i++) md_free(set->names[i]);
    md_free(set->names);
    md_free(set->bytes);
    md_free(set->labels);
    md_free(set->meaning);
    md_free(set->labels_at);
    md_free(set->note);
    cJSON_Delete(set->json);
    md_free(set);
}

/* --- what a set says -------------------------------------------------------------------------- */

int64_t md_images_count(const md_images *set) {
    return set->count;
}

md_images_shape md_images_get_shape(const md_images *set) {
    return set->shape;
}

int md_images_classes(const md_images *set) {
    return set->classes;
}

const char *md_images_class_name(const md_images *set, int label) {
    MD_BUG_IF(label < 0 || label >= set->classes);
    return set->names[label];
}

static md_shape shape_at(const md_images *set, int64_t i) {
    MD_BUG_IF(i < 0 || i >= set->count);
    return md_shape_of(set->seed, set->first + i);
}

int32_t md_images_label(const md_images *set, int64_t i) {
    MD_BUG_IF(i < 0 || i >= set->count);
    if (set->bytes && !set->labels) return -1;
    int32_t label = set->labels ? set->labels[i] : shape_at(set, i).kind;
    return label >= 0 && set->meaning ? set->meaning[label] : label;
}

mdlm_status md_images_caption(const md_images *set, int64_t i, md_buffer *out, mdlm_error *err) {
    if (!set->bytes) {
        md_shape shape = shape_at(set, i);
        return md_shape_caption(&shape, out, err);
    }
    int32_t label = md_images_label(set, i);
    return label < 0 ? MDLM_OK : md_buffer_text(out, set->names[label], err);
}

void md_images_bytes(const md_images *set, int64_t i, uint8_t *out) {
    MD_BUG_IF(i < 0 || i >= set->count);
    size_t values = image_values(set);
    if (set->bytes) {
        memcpy(out, set->bytes + (size_t)i * values, values);
        return;
    }
    md_shape shape = shape_at(set, i);
    md_shape_draw(&shape, set->shape.Y, set->shape.C, out);
}

void md_images_read(const md_images *set, int64_t i, float *out) {
    size_t values = image_values(set);
    /* The bytes lie at the end of the room for numbers: number k ends before byte k + 1 begins. */
    uint8_t *bytes = (uint8_t *)out + values * (sizeof *out - 1);
    md_images_bytes(set, i, bytes);
    md_pixels_to_floats(bytes, values, out);
}

const cJSON *md_images_json(const md_images *set) {
    return set->json;
}

uint64_t md_images_hash(const md_images *set) {
    return set->hash;
}

const char *md_images_note(const md_images *set) {
    return set->note ? set->note : "";
}
