/* corpora/manifest.c: corpus.json, which says what a packed folder holds and where it is from. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "corpora/corpora_internal.h"

#define FORMAT "mdlm-corpus"
enum { VERSION = 1 };

static const int64_t max_exact = (int64_t)1 << 53; /* integers of JSON are doubles */

const char *const md_part_files[2][2] = {{"train.bin", "train.docs"}, {"val.bin", "val.docs"}};
static const char *const part_names[2] = {"train", "val"};
static const char *const rule_names[] = {"bytes", "documents", "file"};

int md_id_bits(int64_t vocab) {
    return vocab <= 1 << 16 ? 16 : 32;
}

uint64_t md_fingerprint(const md_tokenizer *tok) {
    int32_t vocab = md_tokenizer_vocab_size(tok);
    const char *kind = md_tokenizer_kind_name(tok);
    int32_t shape[4] = {vocab, md_tokenizer_mask(tok), md_tokenizer_end_of_text(tok),
                        md_tokenizer_padding(tok)};
    uint64_t hash = md_hash(shape, sizeof shape, md_hash(kind, strlen(kind), 0));
    for (int32_t id = 0; id < vocab; id++) {
        size_t size = 0;
        const char *piece = md_tokenizer_piece(tok, id, &size);
        hash = md_hash(size ? piece : "", size, hash);
    }
    return hash;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool add(cJSON *object, const char *key, cJSON *item) {
    if (item && object && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

static bool add_int(cJSON *object, const char *key, int64_t value) {
    return add(object, key, cJSON_CreateNumber((double)value));
}

static bool add_text(cJSON *object, const char *key, const char *value) {
    return add(object, key, cJSON_CreateString(value));
}

static bool add_hash(cJSON *object, const char *key, uint64_t value) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)value);
    return add_text(object, key, text);
}

static cJSON *new_tokenizer(const md_tokenizer *tok) {
    cJSON *object = cJSON_CreateObject();
    if (object && add_text(object, "kind", md_tokenizer_kind_name(tok)) &&
        add_int(object, "vocab", md_tokenizer_vocab_size(tok)) &&
        add_int(object, "end_of_text", md_tokenizer_end_of_text(tok)) &&
        add_hash(object, "fingerprint", md_fingerprint(tok)))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *new_range(int64_t from, int64_t to) {
    cJSON *range = cJSON_CreateArray();
    for (int i = 0; i < 2; i++) {
        cJSON *item = cJSON_CreateNumber((double)(i ? to : from));
        if (range && item && cJSON_AddItemToArray(range, item)) continue;
        cJSON_Delete(item);
        cJSON_Delete(range);
        return NULL;
    }
    return range;
}

static cJSON *new_split(const md_pack_options *opt, const md_split *split, int64_t bytes) {
    cJSON *object = cJSON_CreateObject();
    bool ok = object && add_text(object, "rule", rule_names[split->rule]) &&
              add(object, "val_fraction", cJSON_CreateNumber(opt->val_fraction));
    if (ok && split->rule == MD_SPLIT_BYTES)
        ok = add(object, "train_bytes", new_range(0, split->cut)) &&
             add(object, "val_bytes", new_range(split->cut, bytes));
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *new_part(const md_part_stats *stats) {
    cJSON *object = cJSON_CreateObject();
    if (object && add_int(object, "bytes", stats->bytes) &&
        add_int(object, "tokens", stats->tokens) && add_int(object, "documents", stats->documents))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *new_sources(const md_tally *tally) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < tally->count; i++) {
        const md_source_tally *source = &tally->sources[i];
        cJSON *object = cJSON_CreateObject();
        if (object && cJSON_AddItemToArray(list, object) &&
            add_text(object, "path", source->path) && add_int(object, "bytes", source->bytes) &&
            add_int(object, "documents", source->documents) &&
            add_hash(object, "hash", source->hash))
            continue;
        cJSON_Delete(list);
        list = NULL;
    }
    return list;
}

cJSON *md_manifest_new(const md_tokenizer *tok, const md_pack_options *opt, const md_split *split,
                       const md_tally *tally, const md_tally *val, const md_corpus_stats *stats) {
    cJSON *json = cJSON_CreateObject();
    bool ok = json && add_text(json, "format", FORMAT) && add_int(json, "version", VERSION) &&
              add(json, "tokenizer", new_tokenizer(tok)) &&
              add_int(json, "id_bits", md_id_bits(md_tokenizer_vocab_size(tok))) &&
              add(json, "split", new_split(opt, split, tally->bytes)) &&
              add(json, "train", new_part(&stats->train)) &&
              add(json, "val", new_part(&stats->val)) && add(json, "sources", new_sources(tally));
    if (ok && val) ok = add(json, "val_sources", new_sources(val));
    if (ok) return json;
    cJSON_Delete(json);
    return NULL;
}

/* --- checking --------------------------------------------------------------------------------- */

static mdlm_status get_object(const cJSON *json, const char *key, const char *name,
                              const cJSON **out, mdlm_error *err) {
    *out = cJSON_GetObjectItemCaseSensitive(json, key);
    if (cJSON_IsObject(*out)) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' has no object '%s'", name, key);
}

static mdlm_status check_part(const cJSON *json, int part, const char *name, md_part_stats *out,
                              mdlm_error *err) {
    const cJSON *object = NULL;
    MD_TRY(get_object(json, part_names[part], name, &object, err));
    MD_TRY(md_json_int(object, "bytes", name, 0, max_exact, &out->bytes, err));
    MD_TRY(md_json_int(object, "tokens", name, 0, max_exact, &out->tokens, err));
    return md_json_int(object, "documents", name, 0, out->tokens, &out->documents, err);
}

/* Adds the bytes and documents of a list of sources. */
static mdlm_status sum_sources(const cJSON *json, const char *key, const char *name, int64_t *bytes,
                               mdlm_error *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key), *source;
    if (!list && strcmp(key, "val_sources") == 0) return MDLM_OK;
    if (!cJSON_IsArray(list)) {
        return md_fail(err, MDLM_INPUT, "'%s' has no list '%s'", name, key);
    }
    cJSON_ArrayForEach(source, list) {
        const char *text = NULL;
        int64_t more = 0, documents = 0;
        MD_TRY(md_json_text(source, "path", name, &text, err));
        MD_TRY(md_json_text(source, "hash", name, &text, err));
        MD_TRY(md_json_int(source, "documents", name, 0, max_exact, &documents, err));
        MD_TRY(md_json_int(source, "bytes", name, 0, max_exact - *bytes, &more, err));
        *bytes += more;
    }
    return MDLM_OK;
}

static mdlm_status check_tokenizer(const cJSON *json, const char *name, md_manifest *m,
                                   mdlm_error *err) {
    const cJSON *tok = NULL;
    const char *text = NULL;
    unsigned long long fingerprint = 0;
    int end = 0;
    MD_TRY(get_object(json, "tokenizer", name, &tok, err));
    MD_TRY(md_json_text(tok, "kind", name, &text, err));
    MD_TRY(md_json_int(tok, "vocab", name, 1, INT32_MAX, &m->vocab, err));
    MD_TRY(md_json_int(tok, "end_of_text", name, 0, m->vocab - 1, &m->end_of_text, err));
    MD_TRY(md_json_text(tok, "fingerprint", name, &text, err));
    if (strlen(text) != 16 || sscanf(text, "%16llx%n", &fingerprint, &end) != 1 || end != 16) {
        return md_fail(err, MDLM_INPUT, "'%s' has a malformed fingerprint '%s'", name, text);
    }
    m->fingerprint = fingerprint;
    return MDLM_OK;
}

mdlm_status md_manifest_check(const cJSON *json, const char *name, md_manifest *out,
                              mdlm_error *err) {
    md_manifest m = {0};
    const char *format = NULL;
    int64_t version = 0, bytes = 0;
    MD_TRY(md_json_text(json, "format", name, &format, err));
    if (strcmp(format, FORMAT) != 0) {
        return md_fail(err, MDLM_INPUT, "'%s' has the format '%s': expected '%s'", name, format,
                       FORMAT);
    }
    MD_TRY(md_json_int(json, "version", name, VERSION, VERSION, &version, err));
    MD_TRY(check_tokenizer(json, name, &m, err));
    int expected = md_id_bits(m.vocab);
    MD_TRY(md_json_int(json, "id_bits", name, expected, expected, &m.id_bits, err));
    MD_TRY(check_part(json, MD_PART_TRAIN, name, &m.stats.train, err));
    MD_TRY(check_part(json, MD_PART_VAL, name, &m.stats.val, err));
    MD_TRY(sum_sources(json, "sources", name, &bytes, err));
    MD_TRY(sum_sources(json, "val_sources", name, &bytes, err));
    int64_t packed = m.stats.train.bytes + m.stats.val.bytes;
    if (bytes != packed) {
        return md_fail(err, MDLM_INPUT, "'%s': its parts have %lld bytes, its sources %lld", name,
                       (long long)packed, (long long)bytes);
    }
    *out = m;
    return MDLM_OK;
}
