/* corpora/images_cifar.c: CIFAR-10, binary version: records of a label and 32 x 32 bytes each of
 * red, of green and of blue (Krizhevsky 2009). */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/images_internal.h"

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    RECORD = 1 + 3 * PLANE,
    RECORD_OF_100 = RECORD + 1, /* CIFAR-100 has two labels */
    CLASSES = 10,
    BATCH_BYTES = 1 << 30, /* of a file that is read whole; the usual ones have 30,730,000 */
};

static const char *const class_names[CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

static bool is_batch(const char *name) {
    size_t size = strlen(name);
    return !strncmp(name, "data_batch_", 11) && size > 15 && !strcmp(name + size - 4, ".bin");
}

/* Keeps the names of batches alone. */
static mdlm_status list_batches(const char *folder, md_names *out, mdlm_error *err) {
    MD_TRY(md_dir_list(folder, out, err));
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (is_batch(out->items[i]))
            out->items[kept++] = out->items[i];
        else
            md_free(out->items[i]);
    }
    out->count = kept;
    return MDLM_OK;
}

mdlm_status md_images_is_cifar_folder(const char *path, bool *out, mdlm_error *err) {
    md_names names = {0};
    mdlm_status status = list_batches(path, &names, err);
    *out = names.count > 0;
    md_names_release(&names);
    return status;
}

static mdlm_status count_records(const char *path, int64_t *records, mdlm_error *err) {
    int64_t bytes = 0;
    MD_TRY(md_file_size(path, &bytes, err));
    *records = bytes / RECORD;
    if (bytes > 0 && bytes % RECORD == 0) return MDLM_OK;
    bool other = bytes > 0 && bytes % RECORD_OF_100 == 0;
    return md_fail(err, MDLM_INPUT,
                   "'%s' has %lld bytes: expected a multiple of %d, the records of CIFAR-10%s",
                   path, (long long)bytes, RECORD, other ? " (these could be of CIFAR-100)" : "");
}

/* Planes to pixels. */
static mdlm_status put_record(const md_image_build *b, int64_t k, const uint8_t *planes,
                              mdlm_error *err) {
    md_picture picture = {0};
    MD_TRY(md_picture_init(&picture, SIDE, SIDE, 3, err));
    for (int i = 0; i < PLANE; i++) {
        for (int c = 0; c < 3; c++) picture.pixels[3 * i + c] = planes[c * PLANE + i];
    }
    mdlm_status status = md_images_put(b, k, &picture, err);
    md_picture_release(&picture);
    return status;
}

/* The records of one file, the first of which is image number `from` of the source. */
static mdlm_status read_batch(const md_image_build *b, const char *path, int64_t from,
                              mdlm_error *err) {
    md_images *set = b->set;
    char *bytes = NULL;
    size_t size = 0;
    MD_TRY(md_file_read(path, BATCH_BYTES, &bytes, &size, err));
    mdlm_status status = MDLM_OK;
    for (int64_t i = 0; status == MDLM_OK && i < (int64_t)(size / RECORD); i++) {
        const uint8_t *record = (const uint8_t *)bytes + i * RECORD;
        int64_t k = from + i - set->first;
        if (record[0] >= CLASSES) {
            status = md_fail(err, MDLM_INPUT,
                             "'%s': image %lld has the label %d: expected 0 to %d, so this is not "
                             "CIFAR-10",
                             path, (long long)i, record[0], CLASSES - 1);
        } else if (k >= 0 && k < set->count) {
            set->labels[k] = record[0];
            status = put_record(b, k, record + 1, err);
        }
    }
    md_free(bytes);
    return status;
}

/* `files` are counted first, then read. */
static mdlm_status read_batches(const md_image_build *b, char *const *files, size_t count,
                                mdlm_error *err) {
    int64_t total = 0, from = 0, records = 0;
    for (size_t i = 0; i < count; i++, total += records) {
        MD_TRY(count_records(files[i], &records, err));
    }
    MD_TRY(md_images_select(b, total, err));
    MD_TRY(md_images_reserve(b, (md_images_shape){.Y = SIDE, .X = SIDE, .C = 3}, err));
    MD_TRY(md_images_label_room(b, err));
    for (size_t i = 0; i < count; i++, from += records) {
        MD_TRY(count_records(files[i], &records, err));
        MD_TRY(read_batch(b, files[i], from, err));
    }
    return md_images_name_classes(b, class_names, CLASSES, err);
}

mdlm_status md_images_read_cifar(const md_image_build *b, mdlm_error *err) {
    b->set->format = "cifar-10";
    if (!md_is_dir(b->path)) {
        char *only = md_strdup(b->path, err);
        mdlm_status status = only ? read_batches(b, &only, 1, err) : MDLM_RUNTIME;
        md_free(only);
        return status;
    }
    md_names names = {0};
    mdlm_status status = list_batches(b->path, &names, err);
    for (size_t i = 0; status == MDLM_OK && i < names.count; i++) {
        char *path = md_path_join(b->path, names.items[i], err);
        md_free(names.items[i]);
        names.items[i] = path;
        if (!path) status = MDLM_RUNTIME;
    }
    if (status == MDLM_OK) status = read_batches(b, names.items, names.count, err);
    md_names_release(&names);
    return status;
}
