/* cli/eval_source.c: see eval_source.h. */
#include "cli/eval_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/pairs.h"

static bool has_hash(const cJSON *sources, const char *hash) {
    const cJSON *source;
    cJSON_ArrayForEach(source, sources) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(source, "hash");
        if (cJSON_IsString(item) && strcmp(item->valuestring, hash) == 0) return true;
    }
    return false;
}

static const cJSON *sources_of(const md_corpus *corpus) {
    return cJSON_GetObjectItemCaseSensitive(md_corpus_json(corpus), "sources");
}

/* Whether a plain file is all of a corpus. */
static bool is_whole(const md_corpus *corpus, const char *path) {
    char text[32];
    uint64_t hash;
    if (!corpus || cJSON_GetArraySize(sources_of(corpus)) != 1) return false;
    if (md_is_dir(path) || md_file_hash(path, &hash, NULL) != MDLM_OK) return false;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return has_hash(sources_of(corpus), text);
}

/* How many sources of a packed corpus are also sources of another: .gz, .jsonl, folders too. */
static int shared_sources(const md_corpus *whole, const md_corpus *part) {
    const cJSON *source;
    int count = 0;
    if (!whole) return 0;
    cJSON_ArrayForEach(source, sources_of(part)) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(source, "hash");
        count += cJSON_IsString(item) && has_hash(sources_of(whole), item->valuestring);
    }
    return count;
}

/* The corpus that the model was trained on, or NULL where it is not kept. */
static mdlm_status open_own(const md_cli *cli, md_corpus **out, mdlm_error *err) {
    char *folder = md_path_join(cli->model, "data", err);
    if (!folder) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    if (md_is_dir(folder)) status = md_corpus_open(folder, out, err);
    md_free(folder);
    return status;
}

static mdlm_status make_temporary(md_eval_source *s, mdlm_error *err) {
    const char *root = getenv("TMPDIR");
    char *path = md_path_join(root && *root ? root : "/tmp", "mdlm-eval-XXXXXX", err);
    if (!path) return MDLM_RUNTIME;
    if (!mkdtemp(path)) {
        mdlm_status status = md_fail_errno(err, MDLM_WRITE, "cannot make folder '%s'", path);
        md_free(path);
        return status;
    }
    s->temporary = path;
    return MDLM_OK;
}

/* Packs `path` into a temporary folder, split only when a part of it is asked for. */
static mdlm_status pack(md_eval_source *s, const char *path, const md_tokenizer *tok,
                        const char *split, md_eta *eta, md_corpus **out, mdlm_error *err) {
    bool whole = strcmp(split, "auto") == 0 || strcmp(split, "all") == 0;
    md_pack_options options = md_pack_defaults();
    if (whole) options.val_fraction = 0;
    options.on_progress = md_eta_update;
    options.user = eta;
    MD_TRY(make_temporary(s, err));
    md_eta_begin(eta, "reading");
    md_corpus_stats stats;
    MD_TRY(md_corpus_pack(&path, 1, tok, &options, s->temporary, &stats, err));
    md_eta_clear(eta);
    s->split = whole ? "all" : split;
    return md_corpus_open(s->temporary, out, err);
}

static void choose_own(md_eval_source *s, const md_cli *cli, const char *split, const char *what) {
    bool automatic = strcmp(split, "auto") == 0;
    s->split = automatic ? "val" : split;
    s->both = strcmp(s->split, "all") == 0;
    if (!automatic) return;
    md_cli_note(cli, "%s: scoring its validation part (--split all scores everything)", what);
}

/* MDLM_OK with *out NULL where the run keeps no corpus, or none that can be read and none that is
 * needed. */
static mdlm_status find_own(const md_cli *cli, md_corpus **out, mdlm_error *err) {
    mdlm_error reason = {0};
    mdlm_status status = open_own(cli, out, &reason);
    if (status == MDLM_OK) return MDLM_OK;
    if (!md_cli_argument(cli)) return md_fail(err, status, "%s", reason.message);
    md_cli_note(cli, "note: cannot tell whether this is the run's own corpus: %s", reason.message);
    return MDLM_OK;
}

mdlm_status md_eval_source_open(md_eval_source *out, const md_cli *cli, const md_tokenizer *tok,
                                const char *split, md_eta *eta, mdlm_error *err) {
    const char *path = md_cli_argument(cli);
    md_corpus *own = NULL, *other = NULL;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, find_own(cli, &own, err));
    if (!path && own && md_corpus_holds_pairs(own)) {
        status = md_fail(err, MDLM_USAGE,
                         "'%s' was fine-tuned on prompts and responses: mdlm eval --answers "
                         "pairs.jsonl, or name a text",
                         cli->model);
        goto done;
    }
    if (!path && !own) {
        status = md_fail(err, MDLM_USAGE, "'%s' keeps no corpus: name a text, mdlm eval text.txt",
                         cli->model);
        goto done;
    }
    if (path && !is_whole(own, path)) {
        MD_GOTO(done, status, pack(out, path, tok, split, eta, &other, err));
        int shared = shared_sources(own, other), all = cJSON_GetArraySize(sources_of(other));
        if (!shared || shared != all || all != cJSON_GetArraySize(sources_of(own))) {
            if (shared) md_cli_note(cli, "note: the model was trained on part of this text");
            out->corpus = other, other = NULL;
            goto done;
        }
    }
    choose_own(out, cli, split,
               path ? "this is the corpus that the model was trained on" : "the run's own corpus");
    out->corpus = own, own = NULL;
done:
    md_corpus_close(own);
    md_corpus_close(other);
    return status;
}

mdlm_status md_eval_source_pack(md_eval_source *out, const char *path, const md_tokenizer *tok,
                                md_eta *eta, mdlm_error *err) {
    return pack(out, path, tok, "all", eta, &out->corpus, err);
}

void md_eval_source_release(md_eval_source *s) {
    md_corpus_close(s->corpus);
    if (s->temporary) (void)md_dir_remove(s->temporary, NULL);
    md_free(s->temporary);
    *s = (md_eval_source){0};
}
