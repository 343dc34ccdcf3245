/* model/image_config.c: see image_config.h. */
#include "model/image_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "model/config.h"

enum { MAX_SIDE = 4096, MAX_CHANNELS = 65536, MAX_BLOCKS = 512, GROUPS = 8 };
enum { MAX_CLASSES = 1 << 20, MAX_PIXEL_CHANNELS = 4 };
static const char MODEL_TYPE[] = "mdlm_image", FACTOR[] = "upscale_factor";

static const char *const backbones[] = {"unet", "dit", "encoder"};
enum { BACKBONES = sizeof backbones / sizeof *backbones };

const char *md_backbone_name(md_backbone_kind kind) {
    return backbones[kind];
}

bool md_backbone_find(const char *name, md_backbone_kind *out) {
    for (int i = 0; i < BACKBONES; i++) {
        if (strcmp(name, backbones[i])) continue;
        *out = (md_backbone_kind)i;
        return true;
    }
    return false;
}

mdlm_status md_image_list_parse(const char *flag, const char *text, int max, md_image_list *out,
                                mdlm_error *err) {
    md_image_list list = {0};
    for (const char *c = text; *c;) {
        char *end;
        errno = 0;
        long value = strtol(c, &end, 10);
        bool digits = *c >= '0' && *c <= '9' && (*end == 0 || (*end == ',' && end[1]));
        if (errno || !digits || value < 1 || value > max)
            return md_fail(err, MDLM_USAGE, "--%s '%s': expected numbers from 1 to %d, as in 1,2,2",
                           flag, text, max);
        if (list.count == MD_IMAGE_LIST)
            return md_fail(err, MDLM_USAGE, "--%s '%s' has more than %d numbers", flag, text,
                           MD_IMAGE_LIST);
        list.item[list.count++] = (int)value;
        c = *end ? end + 1 : end;
    }
    *out = list;
    return MDLM_OK;
}

bool md_image_config_classifies(const md_image_config *c) {
    return c->backbone == MD_BACKBONE_ENCODER;
}

bool md_image_config_noised(const md_image_config *c) {
    return !md_image_config_classifies(c) || c->noisy;
}

int md_image_config_outputs(const md_image_config *c) {
    if (md_image_config_classifies(c)) return 0;
    return c->learned_variance ? 2 * c->shape.C : c->shape.C;
}

int md_image_config_given(const md_image_config *c) {
    return c->factor > 0 ? c->shape.C + 1 : 0;
}

static mdlm_status check_factor(const md_image_config *c, mdlm_error *err) {
    enum { MOST = 16 };
    if (c->factor == 0) return MDLM_OK;
    if (c->factor < 2 || c->factor > MOST || md_image_config_classifies(c))
        return md_fail(err, MDLM_USAGE, "--factor %d: expected from 2 to %d, of no classifier",
                       c->factor, MOST);
    if (c->shape.Y % c->factor == 0 && c->shape.X % c->factor == 0) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "--factor %d: images of %dx%d cannot be made so many times smaller; "
                   "--image-size resizes them",
                   c->factor, c->shape.X, c->shape.Y);
}

/* --- checking --------------------------------------------------------------------------------- */

static mdlm_status check_size(const char *flag, int64_t value, int64_t max, mdlm_error *err) {
    if (value >= 1 && value <= max) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--%s %lld is out of range: expected 1 to %lld", flag,
                   (long long)value, (long long)max);
}

/* Every level halves the one above, and a side of 1 has no half. */
static mdlm_status check_levels(const md_image_config *c, mdlm_error *err) {
    const md_image_shape s = c->shape;
    int least = s.Y < s.X ? s.Y : s.X, levels = 1;
    for (; least > 1; levels++) least = (least + 1) / 2;
    if (c->mults.count <= levels) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "--channel-mults has %d levels: images of %dx%d can be halved for %d at most",
                   c->mults.count, s.X, s.Y, levels);
}

/* Attention is at sizes that there are. */
static mdlm_status check_attention(const md_image_config *c, mdlm_error *err) {
    const int full = c->shape.Y > c->shape.X ? c->shape.Y : c->shape.X;
    for (int i = 0; i < c->attn.count; i++) {
        int side = full, least = full;
        bool found = false;
        for (int l = 0; l < c->mults.count; l++, least = side, side = (side + 1) / 2)
            found = found || side == c->attn.item[i];
        if (!found)
            return md_fail(err, MDLM_USAGE,
                           "--attn-res %d is the size of no level: they halve from %d to %d",
                           c->attn.item[i], full, least);
    }
    return MDLM_OK;
}

static mdlm_status check_unet(const md_image_config *c, mdlm_error *err) {
    MD_TRY(check_size("base-channels", c->base, MAX_CHANNELS, err));
    MD_TRY(check_size("res-blocks", c->res_blocks, MAX_BLOCKS, err));
    if (c->base % GROUPS)
        return md_fail(err, MDLM_USAGE,
                       "--base-channels %d is not a multiple of %d: norms have %d groups", c->base,
                       GROUPS, GROUPS);
    if (c->mults.count < 1 || c->mults.count > MD_IMAGE_LIST || c->attn.count > MD_IMAGE_LIST)
        return md_fail(err, MDLM_USAGE, "--channel-mults has %d levels: expected 1 to %d",
                       c->mults.count, MD_IMAGE_LIST);
    for (int i = 0; i < c->mults.count; i++) {
        MD_TRY(check_size("channel-mults", c->mults.item[i], MAX_CHANNELS, err));
        MD_TRY(check_size("base-channels times --channel-mults",
                          (int64_t)c->base * c->mults.item[i], MAX_CHANNELS, err));
    }
    MD_TRY(check_levels(c, err));
    return check_attention(c, err);
}

/* Patches must fill the image. */
static mdlm_status check_patch(const md_image_config *c, mdlm_error *err) {
    const md_image_shape s = c->shape;
    MD_TRY(check_size("patch-size", c->patch, MAX_SIDE, err));
    if (s.Y % c->patch == 0 && s.X % c->patch == 0) return MDLM_OK;
    int below = c->patch, above = c->patch;
    while (s.Y % below || s.X % below) below--;
    while (above <= s.Y && above <= s.X && (s.Y % above || s.X % above)) above++;
    const bool larger = above <= s.Y && above <= s.X;
    return md_fail(err, MDLM_USAGE,
                   larger ? "--patch-size %d does not divide images of %dx%d: the nearest that do "
                            "are %d and %d"
                          : "--patch-size %d does not divide images of %dx%d: the nearest that "
                            "does is %d",
                   c->patch, s.X, s.Y, below, above);
}

static mdlm_status check_dit(const md_image_config *c, mdlm_error *err) {
    MD_TRY(check_patch(c, err));
    MD_TRY(check_size("layers", c->layers, MAX_BLOCKS, err));
    MD_TRY(check_size("dim", c->dim, MAX_CHANNELS, err));
    MD_TRY(check_size("heads", c->heads, 1024, err));
    MD_TRY(check_size("ff", c->ff, 4 * MAX_CHANNELS, err));
    if (c->dim % 4)
        return md_fail(err, MDLM_USAGE, "--dim %d is not a multiple of 4: positions need that",
                       c->dim);
    if (c->dim % c->heads)
        return md_fail(err, MDLM_USAGE, "--dim %d is not divisible by --heads %d", c->dim,
                       c->heads);
    return MDLM_OK;
}

mdlm_status md_image_config_check(const md_image_config *c, mdlm_error *err) {
    MD_TRY(check_size("image-size", c->shape.Y, MAX_SIDE, err));
    MD_TRY(check_size("image-size", c->shape.X, MAX_SIDE, err));
    MD_TRY(check_size("channels", c->shape.C, MAX_PIXEL_CHANNELS, err));
    if (c->classes < 0 || c->classes > MAX_CLASSES)
        return md_fail(err, MDLM_USAGE, "%d classes are out of range: expected 0 to %d", c->classes,
                       MAX_CLASSES);
    if (md_image_config_classifies(c) && c->classes < 2)
        return md_fail(err, MDLM_USAGE, "a classifier needs images of two classes or more, not %d",
                       c->classes);
    MD_TRY(check_factor(c, err));
    return c->backbone == MD_BACKBONE_DIT ? check_dit(c, err) : check_unet(c, err);
}

static bool same_list(const md_image_list *a, const md_image_list *b) {
    return a->count == b->count && !memcmp(a->item, b->item, (size_t)a->count * sizeof a->item[0]);
}

bool md_image_config_equal(const md_image_config *a, const md_image_config *b) {
    return a->backbone == b->backbone && a->shape.Y == b->shape.Y && a->shape.X == b->shape.X &&
           a->shape.C == b->shape.C && a->learned_variance == b->learned_variance &&
           a->classes == b->classes && a->noisy == b->noisy && a->factor == b->factor &&
           a->base == b->base && same_list(&a->mults, &b->mults) &&
           a->res_blocks == b->res_blocks && same_list(&a->attn, &b->attn) &&
           a->patch == b->patch && a->layers == b->layers && a->dim == b->dim &&
           a->heads == b->heads && a->ff == b->ff;
}

/* --- config.json ------------------------------------------------------------------------------ */

/* Keys with one value, as JSON text. */
static const struct {
    const char *key, *value;
} fixed[] = {
    {"model_type", "\"mdlm_image\""},
    {"architectures", "[\"MDLMImageModel\"]"},
    {"value_range", "[-1,1]"},
    {"torch_dtype", "\"float32\""},
};
enum { FIXED = sizeof fixed / sizeof *fixed };

/* Which backbones have a key. */
enum {
    OF_DIT = 1 << MD_BACKBONE_DIT,
    OF_ENCODER = 1 << MD_BACKBONE_ENCODER,
    OF_LEVELS = 1 << MD_BACKBONE_UNET | OF_ENCODER,
    OF_DRAWING = 1 << MD_BACKBONE_UNET | OF_DIT,
    OF_ALL = OF_LEVELS | OF_DIT,
};

/* Integers. */
static const struct {
    const char *key;
    size_t offset;
    int of, least;
} sizes[] = {
    {"image_height", offsetof(md_image_config, shape.Y), OF_ALL, 1},
    {"image_width", offsetof(md_image_config, shape.X), OF_ALL, 1},
    {"channels", offsetof(md_image_config, shape.C), OF_ALL, 1},
    {"classes", offsetof(md_image_config, classes), OF_ALL, 0},
    {"base_channels", offsetof(md_image_config, base), OF_LEVELS, 1},
    {"res_blocks", offsetof(md_image_config, res_blocks), OF_LEVELS, 1},
    {"patch_size", offsetof(md_image_config, patch), OF_DIT, 1},
    {"layers", offsetof(md_image_config, layers), OF_DIT, 1},
    {"dim", offsetof(md_image_config, dim), OF_DIT, 1},
    {"heads", offsetof(md_image_config, heads), OF_DIT, 1},
    {"ff", offsetof(md_image_config, ff), OF_DIT, 1},
};
enum { SIZES = sizeof sizes / sizeof *sizes };

static const struct {
    const char *key;
    size_t offset;
    int of;
} flags[] = {
    {"learned_variance", offsetof(md_image_config, learned_variance), OF_DRAWING},
    {"noisy", offsetof(md_image_config, noisy), OF_ENCODER},
};
enum { FLAGS = sizeof flags / sizeof *flags };

static const struct {
    const char *key;
    size_t offset;
} lists[] = {
    {"channel_mults", offsetof(md_image_config, mults)},
    {"attention_resolutions", offsetof(md_image_config, attn)},
};
enum { LISTS = sizeof lists / sizeof *lists };

static bool has(int of, md_backbone_kind kind) {
    return of >> kind & 1;
}

static bool known(const char *key, md_backbone_kind kind) {
    static const char *const others[] = {"backbone", "process", "class_names", NULL};
    bool found = md_word_listed(key, others);
    for (int i = 0; i < FIXED; i++) found = found || !strcmp(key, fixed[i].key);
    for (int i = 0; i < SIZES; i++)
        found = found || (has(sizes[i].of, kind) && !strcmp(key, sizes[i].key));
    for (int i = 0; i < FLAGS; i++)
        found = found || (has(flags[i].of, kind) && !strcmp(key, flags[i].key));
    for (int i = 0; i < LISTS; i++)
        found = found || (has(OF_LEVELS, kind) && !strcmp(key, lists[i].key));
    found = found || (has(OF_DRAWING, kind) && !strcmp(key, FACTOR));
    return found;
}

static mdlm_status check_keys(const cJSON *root, md_backbone_kind kind, const char *path,
                              mdlm_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, root) {
        if (!known(item->string, kind))
            return md_fail(err, MDLM_INPUT, "'%s': '%.60s' is not a key of the backbone '%s'", path,
                           item->string, backbones[kind]);
    }
    return MDLM_OK;
}

static mdlm_status check_fixed(const cJSON *root, const char *path, mdlm_error *err) {
    for (int i = 0; i < FIXED; i++) {
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(root, fixed[i].key);
        char *text = found ? cJSON_PrintUnformatted(found) : NULL;
        const bool same = text && !strcmp(text, fixed[i].value);
        mdlm_status status = MDLM_OK;
        if (!same)
            status = md_fail(err, MDLM_INPUT, "'%s': %s is %.60s, only %s is supported", path,
                             fixed[i].key, text ? text : "missing", fixed[i].value);
        cJSON_free(text);
        if (status != MDLM_OK) return status;
    }
    return MDLM_OK;
}

static mdlm_status read_list(const cJSON *root, const char *key, const char *path,
                             md_image_list *out, mdlm_error *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *item;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > MD_IMAGE_LIST)
        return md_fail(err, MDLM_INPUT, "'%s': %s must be a list of at most %d numbers", path, key,
                       MD_IMAGE_LIST);
    cJSON_ArrayForEach(item, list) {
        const double value = cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (!(value >= 1 && value <= MAX_CHANNELS) || value != (double)(int)value)
            return md_fail(err, MDLM_INPUT, "'%s': %s must hold whole numbers from 1 to %d", path,
                           key, MAX_CHANNELS);
        out->item[out->count++] = (int)value;
    }
    return MDLM_OK;
}

static mdlm_status read_config(const cJSON *root, const char *path, md_image_config *c,
                               mdlm_error *err) {
    const char *name;
    MD_TRY(check_fixed(root, path, err));
    MD_TRY(md_json_text(root, "backbone", path, &name, err));
    if (!md_backbone_find(name, &c->backbone))
        return md_fail(err, MDLM_INPUT, "'%s': backbone is '%.60s', expected unet, dit or encoder",
                       path, name);
    MD_TRY(check_keys(root, c->backbone, path, err));
    for (int i = 0; i < SIZES; i++) {
        int64_t value;
        if (!has(sizes[i].of, c->backbone)) continue;
        MD_TRY(md_json_int(root, sizes[i].key, path, sizes[i].least, 1 << 30, &value, err));
        *(int *)((char *)c + sizes[i].offset) = (int)value;
    }
    if (cJSON_HasObjectItem(root, FACTOR)) {
        int64_t factor;
        MD_TRY(md_json_int(root, FACTOR, path, 2, 1 << 30, &factor, err));
        c->factor = (int)factor;
    }
    for (int i = 0; i < FLAGS; i++) {
        bool *flag = (bool *)((char *)c + flags[i].offset);
        if (has(flags[i].of, c->backbone))
            MD_TRY(md_json_flag(root, flags[i].key, path, flag, err));
    }
    for (int i = 0; i < LISTS && has(OF_LEVELS, c->backbone); i++) {
        md_image_list *list = (md_image_list *)((char *)c + lists[i].offset);
        MD_TRY(read_list(root, lists[i].key, path, list, err));
    }
    mdlm_error why;
    if (md_image_config_check(c, &why) != MDLM_OK)
        return md_fail(err, MDLM_INPUT, "'%s': %s", path, why.message);
    return MDLM_OK;
}

/* The members of others. */
static mdlm_status check_members(const cJSON *root, const char *path, const md_image_config *c,
                                 mdlm_error *err) {
    const bool noised = md_image_config_noised(c);
    const cJSON *process = cJSON_GetObjectItemCaseSensitive(root, "process"), *name;
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(root, "class_names");
    if (noised && !cJSON_IsObject(process))
        return md_fail(err, MDLM_INPUT, "'%s': process is missing or no object", path);
    if (!noised && process)
        return md_fail(err, MDLM_INPUT, "'%s': a classifier of clean images has no process", path);
    if (!names) return MDLM_OK;
    bool texts = cJSON_IsArray(names) && cJSON_GetArraySize(names) == c->classes;
    cJSON_ArrayForEach(name, names) texts = texts && cJSON_IsString(name);
    if (texts) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': class_names must be a list of %d texts", path,
                   c->classes);
}

mdlm_status md_image_config_load(const char *folder, md_image_config *out, cJSON **file,
                                 mdlm_error *err) {
    md_image_config c = {0};
    cJSON *root = NULL;
    char *path = NULL;
    mdlm_status status;
    MD_GOTO(done, status, md_model_json_load(folder, &path, &root, err));
    MD_GOTO(done, status, read_config(root, path, &c, err));
    MD_GOTO(done, status, check_members(root, path, &c, err));
    *out = c;
    if (file) *file = root, root = NULL;
done:
    cJSON_Delete(root);
    md_free(path);
    return status;
}

static bool add_list(cJSON *root, const char *key, const md_image_list *list) {
    cJSON *array = cJSON_CreateIntArray(list->item, list->count);
    if (cJSON_AddItemToObject(root, key, array)) return true;
    cJSON_Delete(array);
    return false;
}

static bool fill_object(cJSON *root, const md_image_config *c, const cJSON *members) {
    bool ok = true;
    for (int i = 0; i < FIXED; i++)
        ok = cJSON_AddRawToObject(root, fixed[i].key, fixed[i].value) && ok;
    ok = cJSON_AddStringToObject(root, "backbone", backbones[c->backbone]) && ok;
    for (int i = 0; i < FLAGS; i++) {
        const bool flag = *(const bool *)((const char *)c + flags[i].offset);
        if (has(flags[i].of, c->backbone))
            ok = cJSON_AddBoolToObject(root, flags[i].key, flag) && ok;
    }
    for (int i = 0; i < SIZES; i++) {
        const int value = *(const int *)((const char *)c + sizes[i].offset);
        if (has(sizes[i].of, c->backbone))
            ok = cJSON_AddNumberToObject(root, sizes[i].key, value) && ok;
    }
    if (c->factor > 0) ok = cJSON_AddNumberToObject(root, FACTOR, c->factor) && ok;
    for (int i = 0; i < LISTS && has(OF_LEVELS, c->backbone); i++)
        ok = add_list(root, lists[i].key,
                      (const md_image_list *)((const char *)c + lists[i].offset)) &&
             ok;
    const cJSON *member;
    cJSON_ArrayForEach(member, members) {
        cJSON *copy = cJSON_Duplicate(member, true);
        if (cJSON_AddItemToObject(root, member->string, copy)) continue;
        cJSON_Delete(copy);
        return false;
    }
    return ok;
}

mdlm_status md_image_config_save(const md_image_config *c, const cJSON *members, const char *folder,
                                 mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, "config.json", err);
    cJSON *root = cJSON_CreateObject();
    if (path && root && fill_object(root, c, members)) {
        status = md_json_save(path, root, err);
    } else if (path) {
        md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
    }
    cJSON_Delete(root);
    md_free(path);
    return status;
}

bool md_image_config_in(const char *folder) {
    cJSON *root = NULL;
    char *path = NULL;
    bool found = false;
    if (md_model_json_load(folder, &path, &root, NULL) == MDLM_OK) {
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(root, "model_type");
        const char *name = cJSON_GetStringValue(type);
        found = name && !strcmp(name, MODEL_TYPE);
    }
    cJSON_Delete(root);
    md_free(path);
    return found;
}
