/* corpora/image_loader.c: which image of a set is training example number n. */
#include <string.h>

#include "base/rng.h"
#include "corpora/images.h"

mdlm_status md_image_loader_init(md_image_loader *loader, const md_images *set, int64_t first,
                                 int64_t count, uint64_t seed, mdlm_error *err) {
    int64_t all = md_images_count(set);
    if (first < 0 || count < 1 || count > all || first > all - count) {
        return md_fail(err, MDLM_INPUT, "images %lld:%lld of a set of %lld: expected a part of it",
                       (long long)first, (long long)(first + count), (long long)all);
    }
    *loader = (md_image_loader){.set = set, .first = first, .count = count, .seed = seed};
    return MDLM_OK;
}

static md_rng rng_of(const md_image_loader *loader, md_stream stream, int64_t n) {
    return (md_rng){.seed = loader->seed, .stream = stream, .step = (uint64_t)(n / loader->count)};
}

int64_t md_image_loader_index(const md_image_loader *loader, int64_t n) {
    MD_BUG_IF(n < 0);
    uint64_t place = (uint64_t)(n % loader->count), all = (uint64_t)md_images_count(loader->set);
    place = md_permute(rng_of(loader, MD_STREAM_ORDER, n), place, (uint64_t)loader->count) +
            (uint64_t)loader->first;
    if (!loader->mixed) return (int64_t)place;
    return (int64_t)md_permute((md_rng){.stream = MD_STREAM_SPLIT}, place, all);
}

static void mirror(md_images_shape shape, float *image) {
    size_t C = (size_t)shape.C, row = (size_t)shape.X * C;
    for (int y = 0; y < shape.Y; y++, image += row) {
        float *left = image, *right = image + row - C;
        for (; left < right; left += C, right -= C) {
            float pixel[4];
            memcpy(pixel, left, C * sizeof *pixel);
            memcpy(left, right, C * sizeof *pixel);
            memcpy(right, pixel, C * sizeof *pixel);
        }
    }
}

void md_image_loader_read(const md_image_loader *loader, int64_t first, int count, float *x,
                          int32_t *labels) {
    md_images_shape shape = md_images_get_shape(loader->set);
    size_t values = (size_t)shape.Y * (size_t)shape.X * (size_t)shape.C;
    for (int i = 0; i < count; i++, x += values) {
        int64_t n = first + i, image = md_image_loader_index(loader, n);
        md_images_read(loader->set, image, x);
        if (labels) labels[i] = md_images_label(loader->set, image);
        if (!loader->flip) continue;
        md_rng rng = rng_of(loader, MD_STREAM_FLIP, n);
        if (md_uniform_below(rng, (uint32_t)image, (uint32_t)(image >> 32), 2)) mirror(shape, x);
    }
}
