/* tokenizer/spaces_json.c: normalizers, and what a tokenizer.json says of marked spaces; see
 * tokenizer_json.h and spaces.h. */
#include <string.h>

#include "tokenizer/tokenizer_json.h"

static bool is_text(const cJSON *item, const char *text) {
    return cJSON_IsString(item) && strcmp(item->valuestring, text) == 0;
}

/* {"type": "Replace", "pattern": {"String": from}, "content": to} */
static bool replaces(const cJSON *node, const char *from, const char *to) {
    const cJSON *pattern = md_tokenizer_member(node, "pattern");
    return md_tokenizer_is(node, "Replace") &&
           is_text(md_tokenizer_member(pattern, "String"), from) &&
           is_text(md_tokenizer_member(node, "content"), to);
}

static mdlm_status read_normalizer(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    md_spaces *spaces = &f->tok->spaces;
    bool prepends = md_tokenizer_is(node, "Prepend") &&
                    is_text(md_tokenizer_member(node, "prepend"), MD_SPACE_MARK);
    if (md_tokenizer_is(node, "NFC"))
        f->tok->nfc = true;
    else if (replaces(node, " ", MD_SPACE_MARK))
        spaces->marked = true;
    else if (prepends && spaces->prefix == MD_PREFIX_NEVER)
        spaces->prefix = MD_PREFIX_ALWAYS;
    else
        return md_tokenizer_unsupported(f, "normalizer", md_tokenizer_type(node), err);
    return MDLM_OK;
}

mdlm_status md_tokenizer_file_normalizer(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    const cJSON *parts = md_tokenizer_member(node, "normalizers"), *part;
    if (md_tokenizer_absent(node)) return MDLM_OK;
    if (!md_tokenizer_is(node, "Sequence") || !cJSON_IsArray(parts)) {
        MD_TRY(read_normalizer(f, node, err));
    } else {
        cJSON_ArrayForEach(part, parts) MD_TRY(read_normalizer(f, part, err));
    }
    if (f->tok->spaces.marked || f->tok->spaces.prefix == MD_PREFIX_NEVER) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "'%s': the normalizer 'Prepend' is supported only with one that replaces spaces "
                   "by U+2581",
                   f->vocab.path);
}

/* "prepend_scheme", which older files say by "add_prefix_space". */
static mdlm_status read_prefix(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    static const struct {
        const char *name;
        md_prefix prefix;
    } schemes[] = {
        {"always", MD_PREFIX_PARTS}, {"first", MD_PREFIX_FIRST}, {"never", MD_PREFIX_NEVER}};
    const cJSON *scheme = md_tokenizer_member(node, "prepend_scheme");
    bool without = cJSON_IsFalse(md_tokenizer_member(node, "add_prefix_space"));
    const char *name = without ? "never" : "always";
    if (!md_tokenizer_absent(scheme))
        name = cJSON_IsString(scheme) ? scheme->valuestring : "(no text)";
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strcmp(schemes[i].name, name) != 0) continue;
        f->tok->spaces.prefix = schemes[i].prefix;
        return MDLM_OK;
    }
    return md_tokenizer_unsupported(f, "prepend_scheme", name, err);
}

mdlm_status md_tokenizer_file_metaspace(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    md_spaces *spaces = &f->tok->spaces;
    f->tok->kind = MD_TOKENIZER_BPE;
    if (!cJSON_IsTrue(md_tokenizer_member(f->model, "byte_fallback"))) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': a vocabulary that marks spaces with U+2581 is supported only with "
                       "byte_fallback",
                       f->vocab.path);
    }
    if (md_tokenizer_absent(node)) return MDLM_OK;
    if (spaces->marked || !is_text(md_tokenizer_member(node, "replacement"), MD_SPACE_MARK))
        return md_tokenizer_unsupported(f, "pre_tokenizer", md_tokenizer_type(node), err);
    spaces->marked = spaces->metaspace = true;
    spaces->split = !cJSON_IsFalse(md_tokenizer_member(node, "split"));
    return read_prefix(f, node, err);
}

static bool is_number(const cJSON *item, double value) {
    return cJSON_IsNumber(item) && item->valuedouble == value;
}

mdlm_status md_tokenizer_file_marked_decoder(md_tokenizer_file *f, const cJSON *node,
                                             mdlm_error *err) {
    const cJSON *parts = md_tokenizer_member(node, "decoders"), *part[4] = {0};
    int count = md_tokenizer_is(node, "Sequence") ? cJSON_GetArraySize(parts) : 0;
    for (int i = 0; i < 4 && i < count; i++) part[i] = cJSON_GetArrayItem(parts, i);
    bool strips = count == 4 && md_tokenizer_is(part[3], "Strip") &&
                  is_text(md_tokenizer_member(part[3], "content"), " ") &&
                  is_number(md_tokenizer_member(part[3], "start"), 1) &&
                  is_number(md_tokenizer_member(part[3], "stop"), 0);
    f->tok->spaces.dropped = strips;
    if ((count == 3 || strips) && replaces(part[0], MD_SPACE_MARK, " ") &&
        md_tokenizer_is(part[1], "ByteFallback") && md_tokenizer_is(part[2], "Fuse"))
        return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "'%s': decoder '%s' is not supported: where U+2581 marks spaces it must be the "
                   "sequence Replace, ByteFallback, Fuse, and Strip of one space or nothing",
                   f->vocab.path, md_tokenizer_type(node));
}
