/* train/train.c: from a request to a trained run folder. */
#include "train/train.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/gguf.h"
#include "train/memory.h"
#include "train/packed_text.h"
#include "train/plan.h"
#include "train/session.h"
#include "train/sft.h"
#include "tokenizer/chat.h"
#include "train/text_task.h"

/* Everything that one training on text holds. */
typedef struct text_session {
    md_session run;
    md_train_settings *set;
    mdlm_error *err;
    md_tokenizer *tokenizer;
    md_corpus *corpus;
    md_transformer *net;
    md_lora *lora; /* beside it, with --lora */
    char *base;    /* and the folder of the network */
    md_model_config config;
    md_packed_text text; /* or, with --sft: */
    md_sft sft;
    md_text_task task;
    bool stopped; /* by the callback, while packing */
} text_session;

static const md_run_kind text_run = {
    .command = "train",
    .data = "corpus",
    .tables = (const md_option *const[]){md_model_settings_table, md_data_settings_table,
                                         md_objective_settings_table, md_text_loop_table,
                                         md_text_run_table, NULL},
    .shape = (const md_option *const[]){md_model_settings_table, md_data_settings_table, NULL},
    .state = (const char *const[]){"optimizer", "ema", "batch_size", "accum", "noise_schedule",
                                   "noise_clip", "objective", "block_length", "lora", NULL},
};

static void release(text_session *s) {
    md_text_task_release(&s->task);
    md_sft_release(&s->sft);
    md_transformer_free(s->net);
    md_lora_free(s->lora);
    md_free(s->base);
    md_corpus_close(s->corpus);
    md_tokenizer_free(s->tokenizer);
    md_session_end(&s->run);
}

static int show_packing(void *user, int64_t done, int64_t total) {
    text_session *s = user;
    md_train_event e = {.kind = MD_EVENT_PACK, .done = done, .total = total};
    if (s->run.request.on_event(s->run.request.user, &e)) s->stopped = true;
    return s->stopped;
}

static mdlm_status announce(text_session *s) {
    md_buffer text = {0};
    md_corpus_stats stats = md_corpus_get_stats(s->corpus);
    mdlm_status status =
        md_plan_describe(s->set, s->run.request.options, &stats, &s->config, &text, s->err);
    if (status == MDLM_OK) status = md_session_say(&s->run, MD_EVENT_PLAN, text.data);
    md_buffer_release(&text);
    return status;
}

/* --- a new run ------------------------------------------------------------------------------- */

/* --init's model keeps its tokenizer; one that the command line names must be of its kind. */
static mdlm_status inherit_tokenizer(text_session *s) {
    const char *name = s->set->tokenizer, *init = s->set->loop.init;
    md_model_config c;
    if (md_gguf_is(init)) {
        return md_fail(s->err, MDLM_USAGE,
                       "--init '%s' is a GGUF file: make it a folder first, mdlm convert %s FOLDER",
                       init, init);
    }
    MD_TRY(md_model_config_load(init, &c, s->err));
    const md_token_roles roles = {
        .mask = c.mask_id, .end_of_text = c.end_of_text_id, .padding = c.padding_id};
    MD_TRY(md_tokenizer_load_with(init, &roles, &s->tokenizer, s->err));
    const char *kind = md_tokenizer_kind_name(s->tokenizer);
    if (s->run.request.options && strcmp(name, kind) &&
        md_options_origin(s->run.request.options, "tokenizer") == MD_ORIGIN_GIVEN)
        return md_fail(s->err, MDLM_USAGE, "--tokenizer '%s': the model '%s' has its own (%s)",
                       name, s->set->loop.init, kind);
    return MDLM_OK;
}

static mdlm_status make_tokenizer(text_session *s) {
    const char *name = s->set->tokenizer;
    if (*s->set->loop.init) return inherit_tokenizer(s);
    if (!strcmp(name, "bytes")) return md_tokenizer_bytes(&s->tokenizer, s->err);
    bool chars = !strcmp(name, "chars"), bpe = !strcmp(name, "bpe");
    if (!chars && !bpe && !md_file_exists(name))
        return md_fail(s->err, MDLM_INPUT,
                       "--tokenizer '%s' is neither bytes, chars, bpe nor a "
                       "file",
                       name);
    if (!chars && !bpe) return md_tokenizer_load(name, &s->tokenizer, s->err);
    if (s->set->sft)
        return md_fail(s->err, MDLM_USAGE,
                       "--tokenizer %s learns from text: with --sft give --init MODEL, or a "
                       "tokenizer.json",
                       name);
    md_reader *reader = NULL;
    MD_TRY(md_reader_open(s->run.request.paths, s->run.request.path_count, &reader, s->err));
    md_bpe_options bpe_options = {.vocab_size = (int)s->set->vocab_size, .nfc = s->set->nfc};
    mdlm_status status =
        chars
            ? md_tokenizer_train_chars(md_reader_source(reader), &s->tokenizer, s->err)
            : md_tokenizer_train_bpe(md_reader_source(reader), &bpe_options, &s->tokenizer, s->err);
    md_reader_free(reader);
    return status;
}

static mdlm_status pack_corpus(text_session *s) {
    md_pack_options pack = md_pack_defaults();
    pack.val_fraction = s->set->val_fraction;
    pack.val_file = *s->set->val ? s->set->val : NULL;
    pack.on_progress = show_packing;
    pack.user = s;
    char *data = md_path_join(s->run.staging, "data", s->err);
    if (!data) return MDLM_RUNTIME;
    const char *const *paths = s->run.request.paths;
    size_t count = s->run.request.path_count;
    mdlm_status status =
        s->set->sft ? md_pairs_pack(paths, count, s->tokenizer, &pack, data, s->err)
                    : md_corpus_pack(paths, count, s->tokenizer, &pack, data, NULL, s->err);
    if (status == MDLM_OK) status = md_corpus_open(data, &s->corpus, s->err);
    md_free(data);
    return status;
}

/* What does not fit is left out, aloud. */
static mdlm_status open_pairs(text_session *s) {
    const md_sft_options options = {
        .padding = md_sft_padding_for(s->set->sft_padding, s->config.sight),
        .seq_len = s->config.seq_len,
        .block = s->config.sight == MD_SEES_BLOCKS ? s->config.block_length : 1,
        .seed = s->run.request.seed};
    MD_TRY(md_sft_init(&s->sft, s->corpus, s->tokenizer, &options, s->err));
    int64_t skipped = s->sft.skipped[MD_PART_TRAIN] + s->sft.skipped[MD_PART_VAL];
    if (skipped == 0) return MDLM_OK;
    char text[160];
    snprintf(text, sizeof text, "%lld pairs of more than %d tokens are left out",
             (long long)skipped, s->config.seq_len);
    return md_session_say(&s->run, MD_EVENT_NOTE, text);
}

/* Whether there is enough to train and to validate on. */
static mdlm_status check_parts(text_session *s) {
    if (s->set->sft) return open_pairs(s);
    int64_t train = md_corpus_tokens(s->corpus, MD_PART_TRAIN);
    int64_t val = md_corpus_tokens(s->corpus, MD_PART_VAL);
    const char *name = s->run.request.path_count ? s->run.request.paths[0] : s->run.request.run;
    if (train < s->config.seq_len) {
        return md_fail(s->err, MDLM_INPUT,
                       "'%s' has %lld tokens to train on, fewer than one "
                       "sequence of %d: use a longer text or a smaller --seq-len",
                       name, (long long)train, s->config.seq_len);
    }
    if (val < 1) {
        return md_fail(s->err, MDLM_INPUT,
                       "'%s' leaves nothing to validate on: use a larger "
                       "--val-fraction, or --val FILE",
                       name);
    }
    return MDLM_OK;
}

/* Takes a size over from --init's model; one that the command line gave must agree. */
static mdlm_status inherit(text_session *s, const char *name, int64_t *value, int64_t model) {
    bool given = s->run.request.options &&
                 md_options_origin(s->run.request.options, name) == MD_ORIGIN_GIVEN;
    if (given && *value != model) {
        return md_fail(s->err, MDLM_USAGE, "%s is %lld, but %lld in the model '%s'", name,
                       (long long)*value, (long long)model, s->set->loop.init);
    }
    *value = model;
    return MDLM_OK;
}

/* Positions are rotated, so a model learns on shorter sequences than its own as well; that is the
 * trained length then. */
static mdlm_status inherit_length(text_session *s) {
    md_train_settings *t = s->set;
    const md_options *o = s->run.request.options;
    const bool given = o && md_options_origin(o, "seq_len") >= MD_ORIGIN_FILE;
    if (given && t->seq_len > s->config.seq_len) {
        return md_fail(s->err, MDLM_USAGE, "--seq-len %lld is more than the %d of the model '%s'",
                       (long long)t->seq_len, s->config.seq_len, t->loop.init);
    }
    if (!given) t->seq_len = md_model_config_canvas(&s->config);
    s->config.seq_len = (int)t->seq_len;
    return MDLM_OK;
}

static mdlm_status inherit_shape(text_session *s) {
    md_train_settings *t = s->set;
    const md_model_config *c = &s->config;
    MD_TRY(inherit(s, "layers", &t->layers, c->layers));
    MD_TRY(inherit(s, "dim", &t->dim, c->dim));
    MD_TRY(inherit(s, "heads", &t->heads, c->heads));
    MD_TRY(inherit(s, "kv_heads", &t->kv_heads, c->kv_heads));
    MD_TRY(inherit(s, "ff", &t->ff, c->ff));
    MD_TRY(inherit_length(s));
    t->tied = c->tied;
    return MDLM_OK;
}

/* A model too large for the memory is refused before any text is read. */
static mdlm_status check_init(text_session *s) {
    const char *init = s->set->loop.init;
    md_model_config c;
    if (!*init || md_gguf_is(init)) return MDLM_OK; /* the second has its own message */
    MD_TRY(md_model_config_load(init, &c, s->err));
    return md_training_check_memory(init, &c, s->set, 0, s->err);
}

/* --init's objective goes on, unless another one was asked for: weights of one sight are a start
 * for another. */
static mdlm_status inherit_objective(text_session *s) {
    md_train_settings *t = s->set;
    md_options *o = s->run.request.options;
    md_model_config c;
    if (!*t->loop.init || (o && md_options_origin(o, "objective") >= MD_ORIGIN_FILE))
        return MDLM_OK;
    MD_TRY(md_model_config_load(t->loop.init, &c, s->err));
    t->objective = md_objective_for(c.sight)->name;
    if (t->block_length == 0) t->block_length = c.block_length;
    if (!o) return MDLM_OK;
    md_options_chosen(o, "objective");
    if (c.block_length > 0) md_options_chosen(o, "block_length");
    return MDLM_OK;
}

/* The shape: from --init's config.json, or planned. */
static mdlm_status shape_model(text_session *s) {
    md_corpus_stats stats = md_corpus_get_stats(s->corpus);
    int64_t bytes = stats.train.bytes;
    if (s->set->sft) md_plan_pairs(s->set, s->run.request.options, &stats);
    if (*s->set->loop.init) {
        md_model_config planned; /* for the batch size */
        MD_TRY(md_model_config_load(s->set->loop.init, &s->config, s->err));
        MD_TRY(inherit_shape(s));
        MD_TRY(md_plan_model(s->set, s->run.request.options, bytes, &planned, s->err));
        return md_plan_objective(s->set, s->run.request.options, &s->config, s->err);
    }
    MD_TRY(md_plan_model(s->set, s->run.request.options, bytes, &s->config, s->err));
    MD_TRY(md_plan_objective(s->set, s->run.request.options, &s->config, s->err));
    s->config.vocab = md_tokenizer_vocab_size(s->tokenizer);
    s->config.mask_id = md_tokenizer_mask(s->tokenizer);
    s->config.end_of_text_id = md_tokenizer_end_of_text(s->tokenizer);
    s->config.padding_id = md_tokenizer_padding(s->tokenizer);
    return md_model_config_check(&s->config, s->err);
}

/* Adapters beside the network, which then has no gradients of its own. */
static mdlm_status make_adapters(text_session *s) {
    if (s->set->lora == 0) return MDLM_OK;
    MD_TRY(md_lora_new(s->net, (int)s->set->lora, true, &s->lora, s->err));
    md_lora_init(s->lora, s->run.request.seed);
    md_transformer_set_lora(s->net, s->lora);
    return MDLM_OK;
}

/* Of the session's shape; `model` is where it comes from. */
static mdlm_status new_network(text_session *s, const char *model) {
    MD_TRY(md_training_check_memory(model, &s->config, s->set, 0, s->err));
    return md_transformer_new(&s->config, s->set->lora == 0, &s->net, s->err);
}

static mdlm_status make_network(text_session *s) {
    MD_TRY(new_network(s, *s->set->loop.init ? s->set->loop.init : s->run.request.run));
    if (!*s->set->loop.init) {
        md_transformer_init(s->net, s->run.request.seed);
        return MDLM_OK;
    }
    MD_TRY(md_transformer_take(s->net, s->set->loop.init, s->err));
    return make_adapters(s);
}

/* Adapters need their network: by a path that holds from wherever commands are run. */
static mdlm_status find_base(text_session *s) {
    const char *init = s->set->loop.init;
    char path[PATH_MAX];
    if (s->set->lora == 0) return MDLM_OK;
    if (!*init)
        return md_fail(s->err, MDLM_USAGE,
                       "--lora %lld needs --init MODEL: adapters change a model that is there",
                       (long long)s->set->lora);
    if (md_lora_in(init))
        return md_fail(s->err, MDLM_USAGE,
                       "'%s' holds adapters: merge them first, mdlm convert %s MERGED", init, init);
    if (!realpath(init, path)) return md_fail_errno(s->err, MDLM_INPUT, "cannot open '%s'", init);
    s->base = md_strdup(path, s->err);
    if (!s->base) return MDLM_RUNTIME;
    if (realpath(s->run.request.run, path) && !strcmp(path, s->base))
        return md_fail(s->err, MDLM_USAGE, "adapters need '%s' to stay: choose another --run",
                       init);
    return MDLM_OK;
}

static mdlm_status write_run(text_session *s, const char *folder) {
    return md_session_write_run(&s->run, folder, md_corpus_json(s->corpus),
                                md_model_config_parameters(&s->config));
}

static mdlm_status write_description(text_session *s, const char *folder) {
    MD_TRY(md_model_config_save(&s->config, folder, s->err));
    MD_TRY(md_tokenizer_save(s->tokenizer, folder, s->config.seq_len, s->err));
    if (s->lora) MD_TRY(md_lora_save(s->lora, folder, s->base, s->err));
    return write_run(s, folder);
}

/* Options of what this run has not. */
static mdlm_status check_idle(const text_session *s) {
    static const char *const of_pairs[] = {"sft_padding", NULL};
    static const char *const of_bpe[] = {"vocab_size", "nfc", NULL};
    static const char *const of_new[] = {"preset", "tied", NULL};
    const md_options *o = s->run.request.options;
    if (!o) return MDLM_OK;
    if (!s->set->sft) MD_TRY(md_options_refuse(o, of_pairs, "--sft", s->err));
    if (strcmp(s->set->tokenizer, "bpe"))
        MD_TRY(md_options_refuse(o, of_bpe, "--tokenizer bpe", s->err));
    if (!*s->set->loop.init) return MDLM_OK;
    return md_options_refuse(o, of_new, "a new network: that of --init has its own shape", s->err);
}

/* The mapped corpus moves with its folder, so it stays open across the rename. */
static mdlm_status start_run(text_session *s) {
    MD_TRY(check_idle(s));
    MD_TRY(find_base(s));
    MD_TRY(check_init(s));
    MD_TRY(inherit_objective(s));
    md_model_config early; /* settings that cannot fit are refused before any file is read */
    md_train_settings trial = *s->set;
    MD_TRY(md_plan_model(&trial, NULL, 0, &early, s->err));
    if (!*s->set->loop.init) MD_TRY(md_plan_objective(&trial, NULL, &early, s->err));
    if (s->run.request.path_count == 0)
        return md_fail(s->err, MDLM_USAGE, "there is no corpus: mdlm train corpus.txt");
    if (s->set->val_fraction == 0 && !*s->set->val)
        return md_fail(s->err, MDLM_USAGE,
                       "--val-fraction 0 leaves nothing to validate on: give "
                       "--val FILE");
    MD_TRY(md_session_stage(&s->run));
    MD_TRY(make_tokenizer(s));
    if (s->set->sft && !md_tokenizer_template(s->tokenizer))
        MD_TRY(md_tokenizer_set_template(s->tokenizer, md_chat_plain_template, s->err));
    MD_TRY(pack_corpus(s));
    MD_TRY(shape_model(s));
    MD_TRY(check_parts(s));
    md_corpus_stats stats = md_corpus_get_stats(s->corpus);
    md_plan_training(s->set, s->run.request.options, &stats, &s->config);
    MD_TRY(make_network(s));
    MD_TRY(announce(s));
    MD_TRY(write_description(s, s->run.staging));
    return md_session_publish(&s->run);
}

/* --- an earlier run -------------------------------------------------------------------------- */

static mdlm_status reopen_run(text_session *s) {
    const char *run = s->run.request.run;
    MD_TRY(md_session_reopen(&s->run, NULL));
    MD_TRY(md_tokenizer_load(run, &s->tokenizer, s->err));
    MD_TRY(md_model_config_load(run, &s->config, s->err));
    char *data = md_path_join(run, "data", s->err);
    if (!data) return MDLM_RUNTIME;
    mdlm_status status = md_corpus_open(data, &s->corpus, s->err);
    md_free(data);
    MD_TRY(status);
    MD_TRY(check_parts(s));
    const cJSON *sources = cJSON_GetObjectItemCaseSensitive(md_corpus_json(s->corpus), "sources");
    MD_TRY(md_run_check_sources(&s->run.request, sources, s->err));
    md_corpus_stats stats = md_corpus_get_stats(s->corpus);
    md_plan_training(s->set, s->run.request.options, &stats, &s->config);
    MD_TRY(announce(s));
    MD_TRY(new_network(s, run));
    if (s->set->lora > 0) {
        MD_TRY(md_lora_base(run, &s->base, s->err));
        MD_TRY(md_transformer_take(s->net, s->base, s->err));
        MD_TRY(make_adapters(s));
    }
    return write_run(s, run); /* what this call changed holds for the next one too */
}

/* --- both ------------------------------------------------------------------------------------ */

static mdlm_status make_task(text_session *s) {
    const md_objective *objective = md_objective_find(s->set->objective);
    MD_BUG_IF(!objective);
    if (!s->set->sft) {
        MD_TRY(md_packed_text_init(&s->text, s->corpus, s->tokenizer, s->config.seq_len,
                                   s->run.request.seed, s->err));
        s->text.short_batches = objective->short_batches;
    }
    s->task = (md_text_task){.net = s->net,
                             .lora = s->lora,
                             .base = s->base,
                             .tokenizer = s->tokenizer,
                             .data = s->set->sft ? md_sft_sequences(&s->sft)
                                                 : md_packed_text_sequences(&s->text),
                             .objective = objective,
                             .tape = s->run.tape,
                             .run = s->run.request.run,
                             .seed = s->run.request.seed,
                             .batch = (int)s->set->loop.batch_size,
                             .accum = (int)s->set->loop.accum,
                             .seq_len = s->config.seq_len,
                             .training = {.dropout = s->set->dropout,
                                          .checkpoint = s->set->loop.checkpoint_activations}};
    MD_TRY(md_masked_from_name(s->set->noise_schedule, &s->task.process, s->err));
    MD_TRY(md_clip_parse(s->set->noise_clip, &s->task.clip_auto, &s->task.clip, s->err));
    s->task.clip_auto = s->task.clip_auto && objective->sight == MD_SEES_BLOCKS;
    md_text_task_clip(&s->task, s->task.clip);
    return md_text_task_init(&s->task, s->err);
}

static mdlm_status train(text_session *s, md_train_result *result) {
    MD_TRY(s->set->loop.resume ? reopen_run(s) : start_run(s));
    MD_TRY(make_task(s));
    md_task task = md_text_task_view(&s->task);
    return md_session_loop(&s->run, &task, result);
}

mdlm_status md_train_text(const md_train_request *request, md_train_settings *settings,
                          md_train_result *result, mdlm_error *err) {
    text_session s = {.set = settings};
    md_session_begin(&s.run, &text_run, request, &settings->loop, err);
    s.err = s.run.err;
    mdlm_status status = train(&s, result);
    release(&s);
    return status;
}
