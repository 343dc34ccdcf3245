/* corpora/images_folder.c: PNG and JPEG files, one or a folder of them; see images.h.
 *
 * The files of a class come sorted by name. Classes are interleaved, each at its own pace, so that
 * every range of images shows all of them in about the shares that the folder has: file k of the
 * n of a class stands at (k + 1/2) / n.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "corpora/corpora_internal.h"
#include "corpora/images_internal.h"

typedef struct entry {
    const char *path; /* borrowed */
    int32_t label;
    int64_t place, of; /* this is file `place` of the `of` files of its class */
} entry;

typedef struct listing { /* init with {0} */
    md_sources sources;
    entry *files;
    int64_t count;
    char **names; /* classes, sorted */
    int classes;
    int64_t skipped;
    const char *first_skipped;
} listing;

static void release(listing *l) {
    for (int i = 0; i < l->classes; i++) md_free(l->names[i]);
    md_free(l->names);
    md_free(l->files);
    md_sources_release(&l->sources);
}

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text), n = strlen(end);
    return size >= n && !strcasecmp(text + size - n, end);
}

/* By its name, which it must then live up to; else by its first bytes. */
static mdlm_status is_picture(const md_source *source, bool *out, mdlm_error *err) {
    const char *path = source->path;
    *out = ends_with(path, ".png") || ends_with(path, ".jpg") || ends_with(path, ".jpeg");
    if (*out) return MDLM_OK;
    md_source plain = {.path = source->path};
    md_input input;
    char start[8];
    size_t got = 0;
    MD_TRY(md_input_open(&input, &plain, err));
    mdlm_status status = md_input_read(&input, start, sizeof start, &got, err);
    md_input_close(&input);
    *out = md_picture_known(start, got);
    return status;
}

/* The class of a file: the first folder below `root`. Files come sorted, so those of a class come
 * one after the other. -1 for files that are in no folder. */
static mdlm_status class_of(listing *l, const char *root, const char *path, int32_t *label,
                            mdlm_error *err) {
    const char *inside = path + strlen(root);
    while (*inside == '/') inside++;
    const char *slash = strchr(inside, '/');
    *label = -1;
    if (!slash) return MDLM_OK;
    size_t size = (size_t)(slash - inside);
    const char *last = l->classes > 0 ? l->names[l->classes - 1] : "";
    if (strlen(last) != size || memcmp(last, inside, size) != 0) {
        char **names = md_realloc(l->names, (size_t)l->classes + 1, sizeof *names, err);
        if (!names) return MDLM_RUNTIME;
        l->names = names;
        names[l->classes] = md_strndup(inside, size, err);
        if (!names[l->classes]) return MDLM_RUNTIME;
        l->classes++;
    }
    *label = l->classes - 1;
    return MDLM_OK;
}

static int by_share(const void *a, const void *b) {
    const entry *x = a, *y = b;
    int64_t left = (2 * x->place + 1) * y->of, right = (2 * y->place + 1) * x->of;
    if (left != right) return left < right ? -1 : 1;
    return (x->label > y->label) - (x->label < y->label);
}

static mdlm_status interleave(listing *l, mdlm_error *err) {
    int64_t *counts = md_alloc((size_t)l->classes + 1, sizeof *counts, err); /* [label + 1] */
    if (!counts) return MDLM_RUNTIME;
    for (int64_t i = 0; i < l->count; i++) l->files[i].place = counts[l->files[i].label + 1]++;
    for (int64_t i = 0; i < l->count; i++) l->files[i].of = counts[l->files[i].label + 1];
    md_free(counts);
    qsort(l->files, (size_t)l->count, sizeof *l->files, by_share);
    return MDLM_OK;
}

static mdlm_status list_files(const char *path, listing *l, mdlm_error *err) {
    MD_TRY(md_sources_add(&l->sources, path, err));
    l->files = md_alloc(l->sources.count, sizeof *l->files, err);
    if (!l->files) return MDLM_RUNTIME;
    for (size_t i = 0; i < l->sources.count; i++) {
        const md_source *source = &l->sources.items[i];
        bool picture = false;
        MD_TRY(is_picture(source, &picture, err));
        if (!picture && ends_with(source->path, "/" MD_CAPTIONS_FILE)) continue;
        if (!picture) {
            if (l->skipped++ == 0) l->first_skipped = source->path;
            continue;
        }
        entry *e = &l->files[l->count++];
        e->path = source->path;
        MD_TRY(class_of(l, path, source->path, &e->label, err));
    }
    if (l->count > 0) return interleave(l, err);
    return md_fail(err, MDLM_INPUT, "folder '%s' holds %lld files, but no PNG or JPEG", path,
                   (long long)l->skipped);
}

/* The shape that all images of the range have: the sides of the first, and as many channels as the
 * image that has the most. */
static mdlm_status common_shape(const md_image_build *b, const entry *files, int64_t count,
                                md_images_shape *shape, mdlm_error *err) {
    for (int64_t i = 0; i < count; i++) {
        md_picture p = {0};
        MD_TRY(md_picture_probe(files[i].path, &p, err));
        if (i == 0) *shape = (md_images_shape){.Y = p.Y, .X = p.X, .C = p.C};
        if (p.C > shape->C) shape->C = p.C;
        if (b->opt->image_size || (p.Y == shape->Y && p.X == shape->X)) continue;
        return md_fail(err, MDLM_INPUT,
                       "images have two sizes: '%s' %d x %d, '%s' %d x %d: expected one "
                       "(image-train fits them to an --image-size)",
                       files[0].path, shape->X, shape->Y, files[i].path, p.X, p.Y);
    }
    return MDLM_OK;
}

static mdlm_status note_skipped(const listing *l, md_images *set, mdlm_error *err) {
    if (l->skipped == 0) return MDLM_OK;
    md_buffer note = {0};
    MD_TRY(md_buffer_printf(&note, err, "skipped %lld file%s that %s no PNG or JPEG: '%s'%s",
                            (long long)l->skipped, l->skipped > 1 ? "s" : "",
                            l->skipped > 1 ? "are" : "is", l->first_skipped,
                            l->skipped > 1 ? " and others" : ""));
    set->note = md_buffer_take(&note);
    return MDLM_OK;
}

/* The files of the range, decoded, with their labels. */
static mdlm_status read_files(const md_image_build *b, const entry *files, mdlm_error *err) {
    md_images *set = b->set;
    md_images_shape shape = {0};
    MD_TRY(common_shape(b, files, set->count, &shape, err));
    MD_TRY(md_images_reserve(b, shape, err));
    for (int64_t k = 0; k < set->count; k++) {
        md_picture picture = {0};
        MD_TRY(md_picture_load(files[k].path, &picture, err));
        mdlm_status status = md_images_put(b, k, &picture, err);
        md_picture_release(&picture);
        if (status != MDLM_OK) return status;
        if (set->labels) set->labels[k] = files[k].label;
    }
    return MDLM_OK;
}

static mdlm_status read_listing(const md_image_build *b, listing *l, mdlm_error *err) {
    MD_TRY(list_files(b->path, l, err));
    MD_TRY(note_skipped(l, b->set, err));
    MD_TRY(md_images_select(b, l->count, err));
    if (l->classes > 0) MD_TRY(md_images_label_room(b, err));
    MD_TRY(read_files(b, l->files + b->set->first, err));
    if (l->classes == 0) return MDLM_OK;
    return md_images_name_classes(b, (const char *const *)l->names, l->classes, err);
}

mdlm_status md_images_read_folder(const md_image_build *b, mdlm_error *err) {
    listing l = {0};
    b->set->format = "folder";
    mdlm_status status = read_listing(b, &l, err);
    release(&l);
    return status;
}

mdlm_status md_images_read_picture(const md_image_build *b, mdlm_error *err) {
    entry only = {.path = b->path, .label = -1};
    b->set->format = "picture";
    MD_TRY(md_images_select(b, 1, err));
    return read_files(b, &only, err);
}
