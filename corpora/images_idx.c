/* corpora/images_idx.c: the IDX format of MNIST and its relatives, plain or compressed by gzip.
 *
 *     bytes 0, 0; type of the numbers (8: unsigned bytes); number of dimensions;
 *     each dimension, 32 bits big-endian; the numbers
 *
 * A header can promise anything, so it is held against the size of the file before there is memory
 * for it: deflate makes at most 1032 bytes of one.
 */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpora_internal.h"
#include "corpora/images_internal.h"
#include "corpora/picture_internal.h"

enum { UNSIGNED_BYTES = 8, MAX_DIMENSIONS = 4, MOST_PER_GZ_BYTE = 1032, SKIP_BYTES = 1 << 16 };

typedef struct idx { /* init with {.input.fd = -1} */
    md_sources sources;
    md_input input;
    int dimensions;
    int64_t size[MAX_DIMENSIONS]; /* 1 where there are fewer dimensions */
} idx;

static void close_idx(idx *f) {
    md_input_close(&f->input);
    md_sources_release(&f->sources);
}

static int64_t item_bytes(const idx *f) {
    return f->size[1] * f->size[2] * f->size[3];
}

/* Bytes from `at` of the items on. */
static mdlm_status read_exactly(idx *f, void *bytes, size_t want, int64_t at, mdlm_error *err) {
    size_t got = 0;
    MD_TRY(md_input_read(&f->input, bytes, want, &got, err));
    if (got == want) return MDLM_OK;
    return md_fail(
        err, MDLM_INPUT,
        "'%s' is truncated: its header promises %lld items of %lld bytes, and it ends in "
        "number %lld",
        f->input.path, (long long)f->size[0], (long long)item_bytes(f),
        (long long)((at + (int64_t)got) / item_bytes(f)));
}

/* Sizes that a picture may have, and that the file can hold. */
static mdlm_status check_sizes(const idx *f, mdlm_error *err) {
    const char *path = f->input.path;
    MD_TRY(md_picture_check_size(path, (uint64_t)f->size[1], (uint64_t)f->size[2], err));
    if (f->size[3] != 1 && f->size[3] != 3 && f->size[3] != 4) {
        return md_fail(err, MDLM_INPUT, "'%s' has pixels of %lld bytes: expected 1, 3 or 4", path,
                       (long long)f->size[3]);
    }
    int64_t bytes = 0, most;
    MD_TRY(md_file_size(path, &bytes, err));
    most = f->sources.items[0].gz ? bytes * MOST_PER_GZ_BYTE : bytes;
    if (f->size[0] < 1) return md_fail(err, MDLM_INPUT, "'%s' holds nothing", path);
    if (f->size[0] <= most / item_bytes(f)) return MDLM_OK;
    return md_fail(
        err, MDLM_INPUT,
        "'%s' is truncated: its header promises %lld items of %lld bytes, and it has %lld "
        "bytes%s",
        path, (long long)f->size[0], (long long)item_bytes(f), (long long)bytes,
        f->sources.items[0].gz ? " compressed" : "");
}

/* Opens a file of `least` to `most` dimensions. */
static mdlm_status open_idx(idx *f, const char *path, int least, int most, mdlm_error *err) {
    unsigned char magic[4], size[4];
    size_t got = 0;
    MD_TRY(md_input_open_path(&f->input, &f->sources, path, err));
    MD_TRY(md_input_read(&f->input, (char *)magic, sizeof magic, &got, err));
    if (got < sizeof magic || magic[0] || magic[1]) {
        return md_fail(err, MDLM_INPUT, "'%s' is not an IDX file", path);
    }
    if (magic[2] != UNSIGNED_BYTES) {
        return md_fail(err, MDLM_INPUT, "'%s' holds IDX numbers of type %d: expected 8, bytes",
                       path, magic[2]);
    }
    if (magic[3] < least || magic[3] > most) {
        return md_fail(err, MDLM_INPUT, "'%s' has %d dimensions: expected %s", path, magic[3],
                       least == 1 ? "1 (labels)" : "3 or 4 (images)");
    }
    f->dimensions = magic[3];
    for (int d = 0; d < MAX_DIMENSIONS; d++) {
        f->size[d] = 1;
        if (d >= f->dimensions) continue;
        MD_TRY(md_input_read(&f->input, (char *)size, sizeof size, &got, err));
        if (got < sizeof size) {
            return md_fail(err, MDLM_INPUT, "'%s' is truncated: its header has no end", path);
        }
        f->size[d] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
    }
    return check_sizes(f, err);
}

/* From byte `at` of the items on, nothing but the promised items is left. */
static mdlm_status read_rest(idx *f, int64_t at, mdlm_error *err) {
    char rest[SKIP_BYTES];
    int64_t end = f->size[0] * item_bytes(f), n;
    for (; at < end; at += n) {
        n = end - at < SKIP_BYTES ? end - at : SKIP_BYTES;
        MD_TRY(read_exactly(f, rest, (size_t)n, at, err));
    }
    size_t more = 0;
    MD_TRY(md_input_read(&f->input, rest, 1, &more, err));
    if (more == 0) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' goes on after the %lld items that its header promises",
                   f->input.path, (long long)f->size[0]);
}

/* --- labels ----------------------------------------------------------------------------------- */

/* Replaces the last `from` in the file's name by `to`, of the same length; false without one. */
static bool rename_part(char *path, const char *from, const char *to) {
    char *name = strrchr(path, '/'), *found = NULL;
    name = name ? name + 1 : path;
    for (char *at = name; (at = strstr(at, from)) != NULL; at++) found = at;
    if (found) memcpy(found, to, strlen(to));
    return found != NULL;
}

/* "train-images-idx3-ubyte.gz" -> "train-labels-idx1-ubyte", with ".gz" or without; NULL in *out
 * when there is no such file. Caller frees. */
static mdlm_status labels_beside(const char *path, char **out, mdlm_error *err) {
    md_buffer name = {0};
    MD_TRY(md_buffer_printf(&name, err, "%s.gz", path));
    bool renamed = rename_part(name.data, "images", "labels");
    if (renamed && !rename_part(name.data, "idx3", "idx1")) rename_part(name.data, "idx4", "idx1");
    /* The path with ".gz" behind it may be one ".gz" too long, or too short. */
    for (int cut = 0; renamed && cut <= 2; cut++) {
        if (md_file_exists(name.data)) {
            *out = md_buffer_take(&name);
            return MDLM_OK;
        }
        size_t end = name.size - 3;
        if (strcmp(name.data + end, ".gz") != 0) break;
        name.data[end] = 0;
        name.size = end;
    }
    md_buffer_release(&name);
    *out = NULL;
    return MDLM_OK;
}

/* Keeps those of the range; *classes is one more than the largest of all. */
static mdlm_status read_all_labels(const md_image_build *b, idx *f, int *classes, mdlm_error *err) {
    const md_images *set = b->set;
    uint8_t block[SKIP_BYTES];
    *classes = 0;
    for (int64_t at = 0; at < f->size[0]; at += SKIP_BYTES) {
        int64_t n = f->size[0] - at < SKIP_BYTES ? f->size[0] - at : SKIP_BYTES;
        MD_TRY(read_exactly(f, block, (size_t)n, at, err));
        for (int64_t k = 0; k < n; k++) {
            if (block[k] >= *classes) *classes = block[k] + 1;
            int64_t i = at + k - set->first;
            if (i >= 0 && i < set->count) set->labels[i] = block[k];
        }
    }
    return read_rest(f, f->size[0], err);
}

static mdlm_status read_labels(const md_image_build *b, int64_t images, mdlm_error *err) {
    idx f = {.input.fd = -1};
    int classes = 0;
    mdlm_status status = open_idx(&f, b->set->labels_at, 1, 1, err);
    if (status == MDLM_OK && f.size[0] != images) {
        status = md_fail(err, MDLM_INPUT,
                         "'%s' has %lld labels: expected one for each of the %lld images of '%s'",
                         b->set->labels_at, (long long)f.size[0], (long long)images, b->path);
    }
    if (status == MDLM_OK) status = md_images_label_room(b, err);
    if (status == MDLM_OK) status = read_all_labels(b, &f, &classes, err);
    if (status == MDLM_OK) status = md_images_name_classes(b, NULL, classes, err);
    close_idx(&f);
    return status;
}

static mdlm_status find_labels(const md_image_build *b, mdlm_error *err) {
    md_images *set = b->set;
    if (b->opt->labels && *b->opt->labels) {
        set->labels_at = md_strdup(b->opt->labels, err);
        return set->labels_at ? MDLM_OK : MDLM_RUNTIME;
    }
    MD_TRY(labels_beside(b->path, &set->labels_at, err));
    if (set->labels_at) return MDLM_OK;
    md_buffer note = {0};
    MD_TRY(md_buffer_printf(&note, err, "no file of labels lies beside '%s'", b->path));
    set->note = md_buffer_take(&note);
    return MDLM_OK;
}

/* --- images ----------------------------------------------------------------------------------- */

static mdlm_status read_images(const md_image_build *b, idx *f, mdlm_error *err) {
    md_images *set = b->set;
    int Y = (int)f->size[1], X = (int)f->size[2], C = (int)f->size[3];
    int64_t bytes = item_bytes(f);
    MD_TRY(md_images_select(b, f->size[0], err));
    MD_TRY(md_images_reserve(b, (md_images_shape){.Y = Y, .X = X, .C = C}, err));
    for (int64_t i = 0; i < set->first + set->count; i++) {
        md_picture picture = {0};
        MD_TRY(md_picture_init(&picture, Y, X, C, err));
        mdlm_status status = read_exactly(f, picture.pixels, (size_t)bytes, i * bytes, err);
        if (status == MDLM_OK && i >= set->first) {
            status = md_images_put(b, i - set->first, &picture, err);
        }
        md_picture_release(&picture);
        if (status != MDLM_OK) return status;
    }
    return read_rest(f, (set->first + set->count) * bytes, err);
}

mdlm_status md_images_read_idx(const md_image_build *b, mdlm_error *err) {
    idx f = {.input.fd = -1};
    b->set->format = "idx";
    mdlm_status status = open_idx(&f, b->path, 3, 4, err);
    if (status == MDLM_OK) status = find_labels(b, err);
    if (status == MDLM_OK) status = read_images(b, &f, err);
    if (status == MDLM_OK && b->set->labels_at) status = read_labels(b, f.size[0], err);
    close_idx(&f);
    return status;
}
