/* corpora/corpus.c: a packed folder, mapped.
 *
 * Everything that a count or an extent relies on is checked when the folder is opened. Ids are
 * checked then too, in parts of up to MAX_CHECKED bytes; reading 100 GB before the first step
 * would be no service, so in larger parts an id out of range is read as end-of-text instead. Both
 * ways, an id that is not in the vocabulary never reaches a caller.
 */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpora_internal.h"

enum { MAX_MANIFEST = 1 << 28, MAX_CHECKED = 1 << 28 };

struct md_corpus {
    cJSON *json;
    md_manifest manifest;
    md_map ids[2], documents[2];
};

static md_part_stats part_stats(const md_corpus *c, md_part part) {
    return part == MD_PART_TRAIN ? c->manifest.stats.train : c->manifest.stats.val;
}

/* One id, whatever the width; not yet compared with the vocabulary. */
static uint32_t raw_id(const md_corpus *c, md_part part, int64_t at) {
    if (c->manifest.id_bits == 16) return ((const uint16_t *)c->ids[part].data)[at];
    return ((const uint32_t *)c->ids[part].data)[at];
}

static mdlm_status check_size(const md_map *map, int64_t count, int64_t each, const char *path,
                              mdlm_error *err) {
    if (map->size % (size_t)each == 0 && map->size / (size_t)each == (size_t)count) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' has %zu bytes: expected %lld items of %lld bytes", path,
                   map->size, (long long)count, (long long)each);
}

static mdlm_status check_ids(const md_corpus *c, md_part part, const char *path, mdlm_error *err) {
    int64_t count = part_stats(c, part).tokens;
    if (c->ids[part].size > MAX_CHECKED) return MDLM_OK;
    for (int64_t i = 0; i < count; i++) {
        uint32_t id = raw_id(c, part, i);
        if (id < c->manifest.vocab) continue;
        return md_fail(err, MDLM_INPUT, "'%s': id %u at %lld is outside the vocabulary of %lld",
                       path, id, (long long)i, (long long)c->manifest.vocab);
    }
    return MDLM_OK;
}

/* Offsets begin at 0, increase, and end at the number of tokens. */
static mdlm_status check_documents(const md_corpus *c, md_part part, const char *path,
                                   mdlm_error *err) {
    const int64_t *at = c->documents[part].data;
    md_part_stats stats = part_stats(c, part);
    if (at[0] != 0 || at[stats.documents] != stats.tokens) {
        return md_fail(err, MDLM_INPUT, "'%s' spans %lld to %lld: expected 0 to %lld", path,
                       (long long)at[0], (long long)at[stats.documents], (long long)stats.tokens);
    }
    for (int64_t i = 0; i < stats.documents; i++) {
        if (at[i] < at[i + 1]) continue;
        return md_fail(err, MDLM_INPUT, "'%s': document %lld ends before it begins", path,
                       (long long)i);
    }
    return MDLM_OK;
}

static mdlm_status open_part(md_corpus *c, md_part part, const char *folder, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    md_part_stats stats = part_stats(c, part);
    char *ids = md_path_join(folder, md_part_files[part][0], err);
    char *documents = md_path_join(folder, md_part_files[part][1], err);
    if (!ids || !documents) {
        status = MDLM_RUNTIME;
        goto done;
    }
    MD_GOTO(done, status, md_map_open(ids, &c->ids[part], err));
    MD_GOTO(done, status, md_map_open(documents, &c->documents[part], err));
    int64_t each = c->manifest.id_bits / 8;
    MD_GOTO(done, status, check_size(&c->ids[part], stats.tokens, each, ids, err));
    each = (int64_t)sizeof(int64_t);
    MD_GOTO(done, status,
            check_size(&c->documents[part], stats.documents + 1, each, documents, err));
    MD_GOTO(done, status, check_documents(c, part, documents, err));
    status = check_ids(c, part, ids, err);
done:
    md_free(ids);
    md_free(documents);
    return status;
}

mdlm_status md_corpus_open(const char *folder, md_corpus **out, mdlm_error *err) {
    md_corpus *c = md_alloc(1, sizeof *c, err);
    char *path = md_path_join(folder, MD_MANIFEST_FILE, err);
    mdlm_status status = MDLM_OK;
    if (!c || !path) {
        status = MDLM_RUNTIME;
        goto done;
    }
    MD_GOTO(done, status, md_json_load(path, MAX_MANIFEST, &c->json, err));
    MD_GOTO(done, status, md_manifest_check(c->json, path, &c->manifest, err));
    MD_GOTO(done, status, open_part(c, MD_PART_TRAIN, folder, err));
    MD_GOTO(done, status, open_part(c, MD_PART_VAL, folder, err));
    *out = c, c = NULL;
done:
    md_corpus_close(c);
    md_free(path);
    return status;
}

void md_corpus_close(md_corpus *c) {
    if (!c) return;
    for (int i = 0; i < 2; i++) {
        md_map_release(&c->ids[i]);
        md_map_release(&c->documents[i]);
    }
    cJSON_Delete(c->json);
    md_free(c);
}

md_corpus_stats md_corpus_get_stats(const md_corpus *c) {
    return c->manifest.stats;
}

int64_t md_corpus_tokens(const md_corpus *c, md_part part) {
    return part_stats(c, part).tokens;
}

const cJSON *md_corpus_json(const md_corpus *c) {
    return c->json;
}

bool md_corpus_matches(const md_corpus *c, const md_tokenizer *tok) {
    return c->manifest.fingerprint == md_fingerprint(tok);
}

void md_corpus_read(const md_corpus *c, md_part part, int64_t offset, int32_t *ids, int64_t count) {
    int64_t tokens = part_stats(c, part).tokens;
    MD_BUG_IF(offset < 0 || count < 0 || offset > tokens || count > tokens - offset);
    int32_t instead = (int32_t)c->manifest.end_of_text;
    for (int64_t i = 0; i < count; i++) {
        uint32_t id = raw_id(c, part, offset + i);
        ids[i] = id < c->manifest.vocab ? (int32_t)id : instead;
    }
}

const int64_t *md_corpus_documents(const md_corpus *c, md_part part) {
    return c->documents[part].data;
}
