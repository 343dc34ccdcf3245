/* corpora/pairs.c: see pairs.h. */
#include "corpora/pairs.h"

#include <string.h>

#include "base/memory.h"
#include "corpora/corpora_internal.h"
#include "tokenizer/chat.h"

#define PAIRS_KEY "pairs" /* true in corpus.json */

/* --- reading ---------------------------------------------------------------------------------- */

struct md_pair_reader {
    md_sources sources;
    size_t next; /* source to open */
    md_input input;
    bool open;
    md_jsonl lines;
    mdlm_message *messages; /* [MD_PAIR_MESSAGES] */
};

mdlm_status md_pair_reader_open(const char *const *paths, size_t count, md_pair_reader **out,
                                mdlm_error *err) {
    md_pair_reader *r = md_alloc(1, sizeof *r, err);
    if (!r) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    for (size_t i = 0; i < count; i++)
        MD_GOTO(done, status, md_sources_add(&r->sources, paths[i], err));
    r->messages = md_alloc(MD_PAIR_MESSAGES, sizeof *r->messages, err);
    status = r->messages ? MDLM_OK : MDLM_RUNTIME;
    if (status == MDLM_OK) *out = r, r = NULL;
done:
    md_pair_reader_free(r);
    return status;
}

void md_pair_reader_free(md_pair_reader *r) {
    if (!r) return;
    if (r->open) md_input_close(&r->input);
    md_jsonl_release(&r->lines);
    md_sources_release(&r->sources);
    md_free(r->messages);
    md_free(r);
}

/* The next line's value; NULL at the end of the last file. */
static mdlm_status next_value(md_pair_reader *r, const cJSON **value, mdlm_error *err) {
    for (;;) {
        if (!r->open) {
            *value = NULL;
            if (r->next == r->sources.count) return MDLM_OK;
            MD_TRY(md_input_open(&r->input, &r->sources.items[r->next], err));
            r->open = true;
            r->next++;
        }
        MD_TRY(md_jsonl_value(&r->lines, &r->input, value, err));
        if (*value) return MDLM_OK;
        md_input_close(&r->input);
        md_jsonl_release(&r->lines);
        r->open = false;
    }
}

static mdlm_status fail_line(const md_pair_reader *r, const char *what, mdlm_error *err) {
    return md_fail(err, MDLM_INPUT, "'%s' line %lld: %s", r->input.path, (long long)r->lines.number,
                   what);
}

static mdlm_message message(const char *role, const char *text) {
    return (mdlm_message){.role = role, .text = text, .text_bytes = strlen(text)};
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static mdlm_status read_messages(md_pair_reader *r, const cJSON *list, md_pair *pair,
                                 mdlm_error *err) {
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        const char *role = text_of(item, "role"), *content = text_of(item, "content");
        if (!role || !content)
            return fail_line(r, "expected messages with a string \"role\" and \"content\"", err);
        if (count == MD_PAIR_MESSAGES) return fail_line(r, "there are too many messages", err);
        r->messages[count++] = message(role, content);
    }
    if (count < 2) return fail_line(r, "expected at least two messages", err);
    const mdlm_message *last = &r->messages[count - 1];
    if (strcmp(last->role, "assistant"))
        return fail_line(r, "the last message is not the assistant's", err);
    pair->count = count - 1;
    pair->response = last->text;
    return MDLM_OK;
}

static mdlm_status read_pair(md_pair_reader *r, const cJSON *value, md_pair *pair,
                             mdlm_error *err) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(value, "messages");
    const char *prompt = text_of(value, "prompt"), *response = text_of(value, "response");
    if (cJSON_IsArray(list)) return read_messages(r, list, pair, err);
    if (!prompt || !response)
        return fail_line(
            r, "expected an object with strings \"prompt\" and \"response\", or with \"messages\"",
            err);
    r->messages[0] = message("user", prompt);
    pair->count = 1;
    pair->response = response;
    return MDLM_OK;
}

mdlm_status md_pair_reader_next(md_pair_reader *r, md_pair *pair, mdlm_error *err) {
    const cJSON *value;
    *pair = (md_pair){.prompt = NULL};
    MD_TRY(next_value(r, &value, err));
    if (!value) return MDLM_OK;
    md_pair found = {.prompt = r->messages, .path = r->input.path, .line = r->lines.number};
    MD_TRY(read_pair(r, value, &found, err));
    if (!*found.response) return fail_line(r, "the response is empty", err);
    found.response_bytes = strlen(found.response);
    *pair = found;
    return MDLM_OK;
}

/* --- packing ---------------------------------------------------------------------------------- */

typedef struct packer {
    const md_tokenizer *tok;
    const md_pack_options *opt;
    md_chat *chat;
    md_packing out;
    md_tally tally, val_tally;
    md_ids ids;
} packer;

/* Uniform on [0, 1), and the same for equal prompts. */
static double prompt_share(const md_pair *pair) {
    uint64_t hash = 0;
    for (size_t i = 0; i < pair->count; i++) {
        const mdlm_message *m = &pair->prompt[i];
        hash = md_hash(m->role, strlen(m->role), hash);
        hash = md_hash(m->text, m->text_bytes, hash);
    }
    return (double)(hash >> 11) * 0x1p-53;
}

static mdlm_status add_answer(packer *p, const md_pair *pair, md_part part, mdlm_error *err) {
    p->ids.count = 0;
    MD_TRY(md_tokenizer_encode(p->tok, pair->response, pair->response_bytes, &p->ids, err));
    MD_TRY(md_ids_push(&p->ids, md_tokenizer_end_of_text(p->tok), err));
    MD_TRY(md_packing_document(&p->out, part, err));
    p->out.parts[part].stats.bytes += (int64_t)pair->response_bytes;
    return md_packing_ids(&p->out, part, p->ids.data, p->ids.count, err);
}

static mdlm_status add_prompt(packer *p, const md_pair *pair, md_part part, mdlm_error *err) {
    mdlm_error why = {0};
    p->ids.count = 0;
    mdlm_status status = md_chat_encode(p->chat, pair->prompt, pair->count, true, &p->ids, &why);
    if (status == MDLM_OK && p->ids.count == 0)
        status = md_fail(&why, MDLM_INPUT, "the chat template makes nothing of it");
    if (status != MDLM_OK)
        return md_fail(err, status, "'%s' line %lld: %s", pair->path, (long long)pair->line,
                       why.message);
    for (size_t i = 0; i < pair->count; i++)
        p->out.parts[part].stats.bytes += (int64_t)pair->prompt[i].text_bytes;
    MD_TRY(md_packing_document(&p->out, part, err));
    return md_packing_ids(&p->out, part, p->ids.data, p->ids.count, err);
}

/* Two documents: what the prompt's messages say, and the response. */
static void tally_pair(md_tally *tally, const md_pair *pair, size_t source) {
    for (size_t i = 0; i < pair->count; i++) {
        const mdlm_message *m = &pair->prompt[i];
        md_piece piece = {m->text, m->text_bytes, source, i + 1 == pair->count};
        md_tally_add(tally, &piece, NULL);
    }
    md_piece response = {pair->response, pair->response_bytes, source, true};
    md_tally_add(tally, &response, NULL);
}

static mdlm_status pack_files(packer *p, const char *const *paths, size_t count, bool val,
                              mdlm_error *err) {
    md_tally *tally = val ? &p->val_tally : &p->tally;
    md_pair_reader *reader = NULL;
    mdlm_status status;
    MD_GOTO(done, status, md_pair_reader_open(paths, count, &reader, err));
    MD_GOTO(done, status, md_tally_init(tally, &reader->sources, err));
    for (;;) {
        md_pair pair;
        MD_GOTO(done, status, md_pair_reader_next(reader, &pair, err));
        if (!pair.prompt) break;
        tally_pair(tally, &pair, reader->next - 1);
        bool held_out = !p->opt->val_file && prompt_share(&pair) < p->opt->val_fraction;
        md_part part = val || held_out ? MD_PART_VAL : MD_PART_TRAIN;
        MD_GOTO(done, status, add_prompt(p, &pair, part, err));
        MD_GOTO(done, status, add_answer(p, &pair, part, err));
        if (p->opt->on_progress && p->opt->on_progress(p->opt->user, tally->bytes, 0) != 0) {
            status = md_fail(err, MDLM_CANCELLED, "packing was cancelled");
            goto done;
        }
    }
    md_tally_finish(tally);
    if (tally->documents == 0)
        status = md_fail(err, MDLM_INPUT, "'%s' holds no prompt and response", paths[0]);
done:
    md_pair_reader_free(reader);
    return status;
}

static mdlm_status finish(packer *p, mdlm_error *err) {
    const md_split split = {.rule = p->opt->val_file ? MD_SPLIT_FILE : MD_SPLIT_DOCUMENTS};
    const md_tally *val = p->opt->val_file ? &p->val_tally : NULL;
    md_corpus_stats stats = md_packing_stats(&p->out);
    cJSON *json = md_manifest_new(p->tok, p->opt, &split, &p->tally, val, &stats);
    if (json && !cJSON_AddTrueToObject(json, PAIRS_KEY)) {
        cJSON_Delete(json);
        json = NULL;
    }
    mdlm_status status = md_packing_commit(&p->out, json, err);
    cJSON_Delete(json);
    return status;
}

mdlm_status md_pairs_pack(const char *const *paths, size_t count, const md_tokenizer *tok,
                          const md_pack_options *opt, const char *folder, mdlm_error *err) {
    MD_TRY(md_pack_options_check(opt, err));
    packer p = {.tok = tok, .opt = opt};
    mdlm_status status;
    MD_GOTO(done, status, md_chat_new(tok, &p.chat, err));
    MD_GOTO(done, status, md_packing_open(&p.out, folder, tok, err));
    MD_GOTO(done, status, pack_files(&p, paths, count, false, err));
    if (opt->val_file) MD_GOTO(done, status, pack_files(&p, &opt->val_file, 1, true, err));
    status = finish(&p, err);
done:
    md_packing_release(&p.out);
    md_chat_free(p.chat);
    md_ids_release(&p.ids);
    md_tally_release(&p.tally);
    md_tally_release(&p.val_tally);
    return status;
}

/* --- packed ----------------------------------------------------------------------------------- */

bool md_corpus_holds_pairs(const md_corpus *corpus) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(md_corpus_json(corpus), PAIRS_KEY));
}

int64_t md_pairs_count(const md_corpus *corpus, md_part part) {
    md_corpus_stats stats = md_corpus_get_stats(corpus);
    return (part == MD_PART_TRAIN ? stats.train : stats.val).documents / 2;
}

md_packed_pair md_pairs_get(const md_corpus *corpus, md_part part, int64_t i) {
    MD_BUG_IF(i < 0 || i >= md_pairs_count(corpus, part));
    const int64_t *at = md_corpus_documents(corpus, part) + 2 * i;
    return (md_packed_pair){.offset = at[0], .prompt = at[1] - at[0], .answer = at[2] - at[1]};
}
