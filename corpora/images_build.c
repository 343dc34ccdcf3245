/* corpora/images_build.c: from pictures to a set of one shape; see images_internal.h. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "corpora/images_internal.h"

static mdlm_status check_options(const md_images_options *opt, mdlm_error *err) {
    if (opt->channels != 0 && opt->channels != 1 && opt->channels != 3 && opt->channels != 4) {
        return md_fail(err, MDLM_USAGE,
                       "images of %d channels: expected 1 (grey), 3 (RGB) or 4 (RGBA)",
                       opt->channels);
    }
    if (opt->image_size < 0 || opt->image_size > MD_PICTURE_SIDE) {
        return md_fail(err, MDLM_USAGE, "an image size of %d pixels: expected at most %d",
                       opt->image_size, MD_PICTURE_SIDE);
    }
    return MDLM_OK;
}

mdlm_status md_images_select(const md_image_build *b, int64_t total, mdlm_error *err) {
    const md_images_options *opt = b->opt;
    MD_TRY(check_options(opt, err));
    int64_t end = opt->end < 0 ? total : opt->end;
    if (opt->first < 0 || opt->first >= end || end > total) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' holds the images 0:%lld: the range %lld:%lld is no part of them",
                       b->path, (long long)total, (long long)opt->first, (long long)end);
    }
    b->set->first = opt->first;
    b->set->count = end - opt->first;
    return MDLM_OK;
}

void md_images_settle_shape(const md_image_build *b, md_images_shape native) {
    const md_images_options *opt = b->opt;
    b->set->shape = (md_images_shape){
        .Y = opt->image_size ? opt->image_size : native.Y,
        .X = opt->image_size ? opt->image_size : native.X,
        .C = opt->channels   ? opt->channels
             : native.C <= 2 ? 1
                             : 3,
    };
}

static size_t image_bytes(const md_images *set) {
    /* Sides are at most MD_PICTURE_SIDE: 2^30 bytes. */
    return (size_t)set->shape.Y * (size_t)set->shape.X * (size_t)set->shape.C;
}

mdlm_status md_images_reserve(const md_image_build *b, md_images_shape native, mdlm_error *err) {
    md_images_settle_shape(b, native);
    b->set->bytes = md_alloc((size_t)b->set->count, image_bytes(b->set), err);
    return b->set->bytes ? MDLM_OK : MDLM_RUNTIME;
}

mdlm_status md_images_label_room(const md_image_build *b, mdlm_error *err) {
    md_images *set = b->set;
    set->labels = md_alloc((size_t)set->count, sizeof *set->labels, err);
    return set->labels ? MDLM_OK : MDLM_RUNTIME;
}

mdlm_status md_images_put(const md_image_build *b, int64_t k, md_picture *picture,
                          mdlm_error *err) {
    md_images *set = b->set;
    MD_BUG_IF(k < 0 || k >= set->count);
    if (b->opt->image_size) MD_TRY(md_picture_fit(picture, b->opt->image_size, err));
    MD_TRY(md_picture_convert(picture, set->shape.C, err));
    MD_BUG_IF(picture->Y != set->shape.Y || picture->X != set->shape.X);
    size_t bytes = image_bytes(set);
    memcpy(set->bytes + (size_t)k * bytes, picture->pixels, bytes);
    return MDLM_OK;
}

/* --- classes ---------------------------------------------------------------------------------- */

static mdlm_status copy_names(md_images *set, const char *const *names, int classes,
                              mdlm_error *err) {
    set->names = md_alloc((size_t)classes, sizeof *set->names, err);
    if (!set->names) return MDLM_RUNTIME;
    for (set->classes = 0; set->classes < classes; set->classes++) {
        char number[16];
        snprintf(number, sizeof number, "%d", set->classes);
        char *name = md_strdup(names ? names[set->classes] : number, err);
        if (!name) return MDLM_RUNTIME;
        set->names[set->classes] = name;
    }
    return MDLM_OK;
}

/* What a model calls label `c` of the set; -1 when it does not know it. */
static int32_t meaning_of(const md_images_options *opt, const char *const *names, int c) {
    if (!names || !opt->class_names) return c < opt->classes ? c : -1;
    for (int m = 0; m < opt->classes; m++) {
        if (!strcmp(names[c], opt->class_names[m])) return m;
    }
    return -1;
}

/* Fails for the first image of a class that the model does not know. What is drawn has them all. */
static mdlm_status check_meaning(const md_image_build *b, const char *const *names, int classes,
                                 mdlm_error *err) {
    const md_images *set = b->set;
    int64_t images = set->labels ? set->count : classes;
    for (int64_t k = 0; k < images; k++) {
        int32_t label = set->labels ? set->labels[k] : (int32_t)k;
        if (label < 0 || set->meaning[label] >= 0) continue;
        if (!names || !b->opt->class_names) {
            return md_fail(err, MDLM_INPUT, "image %lld of '%s' has the label %d: expected 0 to %d",
                           (long long)(set->first + k), b->path, (int)label, b->opt->classes - 1);
        }
        return md_fail(err, MDLM_INPUT,
                       "'%s' has images of the class '%s', which is none of the %d"
                       " of the model",
                       b->path, names[label], b->opt->classes);
    }
    return MDLM_OK;
}

mdlm_status md_images_name_classes(const md_image_build *b, const char *const *names, int classes,
                                   mdlm_error *err) {
    const md_images_options *opt = b->opt;
    md_images *set = b->set;
    if (opt->classes == 0) return copy_names(set, names, classes, err);
    set->meaning = md_alloc((size_t)classes, sizeof *set->meaning, err);
    if (!set->meaning) return MDLM_RUNTIME;
    for (int c = 0; c < classes; c++) set->meaning[c] = meaning_of(opt, names, c);
    MD_TRY(check_meaning(b, names, classes, err));
    return copy_names(set, opt->class_names, opt->classes, err);
}
