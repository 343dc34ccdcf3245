/* tokenizer/pipeline_json.c: what a tokenizer.json does to text before and after its model; see
 * tokenizer_json.h. */
#include <string.h>

#include "tokenizer/tokenizer_json.h"

/* --- pre-tokenizers ----------------------------------------------------------------------------
 */

static mdlm_status read_behaviour(const md_tokenizer_file *f, const cJSON *node, md_behaviour *out,
                                  mdlm_error *err) {
    const cJSON *item = md_tokenizer_member(node, "behavior");
    const char *name = cJSON_IsString(item) ? item->valuestring : "(none)";
    for (int i = 0; i < MD_BEHAVIOURS; i++) {
        if (strcmp(md_behaviour_name((md_behaviour)i), name)) continue;
        *out = (md_behaviour)i;
        return MDLM_OK;
    }
    return md_tokenizer_unsupported(f, "pre_tokenizer behavior", name, err);
}

static mdlm_status add_cut(md_tokenizer_file *f, const md_cut *cut, mdlm_error *err) {
    mdlm_error why = {0};
    mdlm_status status = md_cuts_add(&f->tok->cuts, cut, &why);
    if (status == MDLM_OK) return MDLM_OK;
    return md_fail(err, status, "'%s': %s", f->vocab.path, why.message);
}

static mdlm_status read_split(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    const cJSON *pattern = md_tokenizer_member(node, "pattern");
    const cJSON *regex = md_tokenizer_member(pattern, "Regex");
    const cJSON *text = md_tokenizer_member(pattern, "String");
    const cJSON *source = regex ? regex : text;
    md_cut cut = {.literal = !regex, .invert = cJSON_IsTrue(md_tokenizer_member(node, "invert"))};
    if (!cJSON_IsString(source)) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': the pattern of the pre_tokenizer 'Split' is neither a Regex nor a "
                       "String",
                       f->vocab.path);
    }
    cut.source = source->valuestring;
    MD_TRY(read_behaviour(f, node, &cut.behaviour, err));
    return add_cut(f, &cut, err);
}

static mdlm_status read_digits(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    bool individual = cJSON_IsTrue(md_tokenizer_member(node, "individual_digits"));
    return add_cut(f, &(md_cut){.source = individual ? "\\p{N}" : "\\p{N}+"}, err);
}

static mdlm_status read_punctuation(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    md_cut cut = {.source = "[\\p{P}$+<=>^`|~]"}; /* ASCII's symbols count */
    if (md_tokenizer_member(node, "behavior")) {
        MD_TRY(read_behaviour(f, node, &cut.behaviour, err));
    }
    return add_cut(f, &cut, err);
}

/* After this text is in the byte alphabet, so it comes last. */
static mdlm_status read_byte_level(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    if (!cJSON_IsFalse(md_tokenizer_member(node, "add_prefix_space"))) { /* the default is true */
        if (f->tok->cuts.count > 0)
            return md_tokenizer_unsupported(f, "pre_tokenizer feature", "add_prefix_space", err);
        f->tok->spaces.prefix = MD_PREFIX_PARTS;
    }
    f->tok->kind = MD_TOKENIZER_BPE;
    if (cJSON_IsFalse(md_tokenizer_member(node, "use_regex"))) return MDLM_OK;
    return add_cut(f, &(md_cut){.source = md_expression_gpt2}, err);
}

static mdlm_status read_part(md_tokenizer_file *f, const cJSON *node, bool last, mdlm_error *err) {
    if (md_tokenizer_is(node, "ByteLevel") == last) {
        if (last) return read_byte_level(f, node, err);
        if (md_tokenizer_is(node, "Split")) return read_split(f, node, err);
        if (md_tokenizer_is(node, "Digits")) return read_digits(f, node, err);
        if (md_tokenizer_is(node, "Punctuation")) return read_punctuation(f, node, err);
    }
    if (!last) return md_tokenizer_unsupported(f, "pre_tokenizer", md_tokenizer_type(node), err);
    return md_fail(err, MDLM_INPUT,
                   "'%s': pre_tokenizer '%s' is not supported: expected ByteLevel, or a Sequence "
                   "that ends with it",
                   f->vocab.path, md_tokenizer_type(node));
}

static mdlm_status read_pre_tokenizer(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    bool fallback = cJSON_IsTrue(md_tokenizer_member(f->model, "byte_fallback"));
    if (f->tok->spaces.marked || md_tokenizer_is(node, "Metaspace"))
        return md_tokenizer_file_metaspace(f, node, err);
    if (md_tokenizer_absent(node) && fallback) {
        f->tok->kind = MD_TOKENIZER_CHARS;
        return MDLM_OK;
    }
    const cJSON *parts = md_tokenizer_member(node, "pretokenizers"), *part;
    if (!md_tokenizer_is(node, "Sequence") || !cJSON_IsArray(parts) || !parts->child) {
        return read_part(f, node, true, err);
    }
    cJSON_ArrayForEach(part, parts) MD_TRY(read_part(f, part, part->next == NULL, err));
    return MDLM_OK;
}

static mdlm_status check_decoder(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    const cJSON *parts = md_tokenizer_member(node, "decoders");
    const cJSON *first = cJSON_IsArray(parts) ? parts->child : NULL;
    const cJSON *second = first ? first->next : NULL;
    if (f->tok->spaces.marked) return md_tokenizer_file_marked_decoder(f, node, err);
    if (f->tok->kind != MD_TOKENIZER_CHARS) {
        const cJSON *only = first && !second && md_tokenizer_is(node, "Sequence") ? first : node;
        if (md_tokenizer_is(only, "ByteLevel")) return MDLM_OK;
        return md_tokenizer_unsupported(f, "decoder", md_tokenizer_type(node), err);
    }
    if (!md_tokenizer_is(node, "Sequence") || !md_tokenizer_is(first, "ByteFallback") ||
        !md_tokenizer_is(second, "Fuse") || second->next) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': decoder '%s' is not supported: with byte_fallback it must be the "
                       "sequence ByteFallback, Fuse",
                       f->vocab.path, md_tokenizer_type(node));
    }
    return MDLM_OK;
}

mdlm_status md_tokenizer_file_pipeline(md_tokenizer_file *f, mdlm_error *err) {
    MD_TRY(md_tokenizer_file_normalizer(f, md_tokenizer_member(f->root, "normalizer"), err));
    MD_TRY(read_pre_tokenizer(f, md_tokenizer_member(f->root, "pre_tokenizer"), err));
    return check_decoder(f, md_tokenizer_member(f->root, "decoder"), err);
}

/* --- post-processors ---------------------------------------------------------------------------
 */

/* The ids that a template's special token stands for. */
static mdlm_status add_template_token(md_tokenizer_file *f, const cJSON *node, const cJSON *piece,
                                      md_ids *ids, mdlm_error *err) {
    const cJSON *name = md_tokenizer_member(piece, "id");
    const char *key = cJSON_IsString(name) ? name->valuestring : "";
    const cJSON *token = md_tokenizer_member(md_tokenizer_member(node, "special_tokens"), key);
    const cJSON *list = md_tokenizer_member(token, "ids"), *item;
    if (!cJSON_IsArray(list)) {
        return md_fail(err, MDLM_INPUT, "'%s': TemplateProcessing says no ids of '%s'",
                       f->vocab.path, key);
    }
    cJSON_ArrayForEach(item, list) {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(id >= 0 && id < (double)f->tok->count) || id != (double)(int32_t)id) {
            return md_fail(err, MDLM_INPUT, "'%s': an id of '%s' is not in the vocabulary",
                           f->vocab.path, key);
        }
        if (!f->tok->entries[(int32_t)id].special) {
            return md_fail(err, MDLM_INPUT, "'%s': TemplateProcessing adds id %d, no special token",
                           f->vocab.path, (int32_t)id);
        }
        MD_TRY(md_ids_push(ids, (int32_t)id, err));
    }
    return MDLM_OK;
}

static mdlm_status read_template(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    const cJSON *single = md_tokenizer_member(node, "single"), *piece;
    md_ids *ids = &f->tok->before;
    cJSON_ArrayForEach(piece, single) {
        const cJSON *token = md_tokenizer_member(piece, "SpecialToken");
        if (token) {
            MD_TRY(add_template_token(f, node, token, ids, err));
        } else if (md_tokenizer_member(piece, "Sequence") && ids == &f->tok->before) {
            ids = &f->tok->after;
        } else {
            ids = NULL;
            break;
        }
    }
    if (ids == &f->tok->after && cJSON_IsArray(single)) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "'%s': post_processor 'TemplateProcessing' is not one text and special tokens",
                   f->vocab.path);
}

static mdlm_status read_post_processor(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    bool framed = f->tok->before.count > 0 || f->tok->after.count > 0;
    if (md_tokenizer_is(node, "ByteLevel")) return MDLM_OK; /* only moves offsets */
    if (md_tokenizer_is(node, "TemplateProcessing") && !framed) return read_template(f, node, err);
    return md_tokenizer_unsupported(f, "post_processor", md_tokenizer_type(node), err);
}

mdlm_status md_tokenizer_file_post_processor(md_tokenizer_file *f, mdlm_error *err) {
    const cJSON *node = md_tokenizer_member(f->root, "post_processor"), *part;
    const cJSON *parts = md_tokenizer_member(node, "processors");
    if (md_tokenizer_absent(node)) return MDLM_OK;
    if (!md_tokenizer_is(node, "Sequence") || !cJSON_IsArray(parts)) {
        return read_post_processor(f, node, err);
    }
    cJSON_ArrayForEach(part, parts) MD_TRY(read_post_processor(f, part, err));
    return MDLM_OK;
}
