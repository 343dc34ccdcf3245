/* cli/eval_answers.c: see eval_answers.h.
 *
 * Prompts of equal length make a batch: an answer is the same whatever its batch.
 */
#include "cli/eval_answers.h"

#include <stdlib.h>
#include <string.h>

#include "api/fill_options.h"
#include "base/file.h"
#include "base/interval.h"
#include "base/memory.h"
#include "cli/eta.h"
#include "cli/output.h"
#include "corpora/pairs.h"
#include "tokenizer/chat.h"

typedef struct question {
    size_t number;           /* in the file, from 0 */
    size_t prompt, response; /* where they begin in job.ids and job.text */
    size_t prompt_tokens, response_bytes;
    int64_t line;
    md_buffer answer;
    bool correct;
} question;

typedef struct job {
    const md_cli *cli;
    const md_eval_answers_options *opt;
    mdlm_model *model;
    md_chat *chat;
    md_ids ids;     /* prompts, one after another */
    md_buffer text; /* responses */
    question *items;
    size_t count, capacity;
    size_t longest; /* tokens of a response, end-of-text included */
    int room;
    const char *rule; /* the sampler's name */
    int64_t correct;
    md_sampler_options sampler;
    md_eta eta;
} job;

/* --- the questions ---------------------------------------------------------------------------- */

static mdlm_status measure_response(job *j, const md_pair *pair, mdlm_error *err) {
    md_ids ids = {0};
    mdlm_status status =
        md_tokenizer_encode(j->model->tokenizer, pair->response, pair->response_bytes, &ids, err);
    if (ids.count + 1 > j->longest) j->longest = ids.count + 1;
    md_ids_release(&ids);
    return status;
}

static mdlm_status add_question(job *j, const md_pair *pair, mdlm_error *err) {
    if (j->count == j->capacity) {
        size_t capacity = j->capacity ? 2 * j->capacity : 256;
        question *items = md_realloc(j->items, capacity, sizeof *items, err);
        if (!items) return MDLM_RUNTIME;
        j->items = items;
        j->capacity = capacity;
    }
    question q = {.number = j->count,
                  .prompt = j->ids.count,
                  .response = j->text.size,
                  .response_bytes = pair->response_bytes,
                  .line = pair->line};
    mdlm_error why = {0};
    mdlm_status status = md_chat_encode(j->chat, pair->prompt, pair->count, true, &j->ids, &why);
    if (status != MDLM_OK)
        return md_fail(err, status, "'%s' line %lld: %s", pair->path, (long long)pair->line,
                       why.message);
    q.prompt_tokens = j->ids.count - q.prompt;
    MD_TRY(md_buffer_append(&j->text, pair->response, pair->response_bytes, err));
    MD_TRY(measure_response(j, pair, err));
    j->items[j->count++] = q;
    return MDLM_OK;
}

static mdlm_status read_questions(job *j, mdlm_error *err) {
    md_pair_reader *reader = NULL;
    md_pair pair = {0};
    mdlm_status status = md_pair_reader_open(&j->opt->answers, 1, &reader, err);
    while (status == MDLM_OK) {
        status = md_pair_reader_next(reader, &pair, err);
        if (status != MDLM_OK || !pair.prompt) break;
        status = add_question(j, &pair, err);
    }
    md_pair_reader_free(reader);
    if (status == MDLM_OK && j->count == 0)
        status = md_fail(err, MDLM_INPUT, "'%s' holds no prompt and response", j->opt->answers);
    return status;
}

/* By length of the prompt, then as in the file. */
static int by_length(const void *a, const void *b) {
    const question *x = a, *y = b;
    if (x->prompt_tokens != y->prompt_tokens) return x->prompt_tokens < y->prompt_tokens ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static int by_number(const void *a, const void *b) {
    const question *x = a, *y = b;
    return x->number < y->number ? -1 : 1;
}

static mdlm_status check_room(job *j, mdlm_error *err) {
    mdlm_model_info info = mdlm_info(j->model);
    int64_t room = j->opt->room > 0 ? j->opt->room : (int64_t)j->longest, blocks = j->opt->blocks;
    if (j->opt->room == 0) room = (room + blocks - 1) / blocks * blocks;
    if (room % blocks)
        return md_fail(err, MDLM_USAGE, "--blocks %lld does not divide the room of %lld tokens",
                       (long long)blocks, (long long)room);
    const question *longest = &j->items[j->count - 1];
    if (j->model->denoiser.sight == MD_SEES_ALL &&
        longest->prompt_tokens + (size_t)room > (size_t)info.seq_len) {
        /* Who named the room can name another; else it is the file that asks for too much. */
        return md_fail(err, j->opt->room > 0 ? MDLM_USAGE : MDLM_INPUT,
                       "'%s' line %lld: a prompt of %zu tokens and room for %lld are more than the "
                       "%d that this model was trained on",
                       j->opt->answers, (long long)longest->line, longest->prompt_tokens,
                       (long long)room, info.seq_len);
    }
    j->room = (int)room;
    return MDLM_OK;
}

/* --- the answers ------------------------------------------------------------------------------ */

/* The text of an answer's ids up to end-of-text, compared. */
static mdlm_status judge(job *j, question *q, const int32_t *ids, mdlm_error *err) {
    const md_tokenizer *tok = j->model->tokenizer;
    int end = 0;
    while (end < j->room && ids[end] != md_tokenizer_end_of_text(tok)) end++;
    MD_TRY(md_tokenizer_decode(tok, ids, (size_t)end, &q->answer, err));
    q->correct = q->answer.size == q->response_bytes &&
                 (q->answer.size == 0 ||
                  memcmp(q->answer.data, j->text.data + q->response, q->answer.size) == 0);
    j->correct += q->correct;
    return MDLM_OK;
}

/* Questions [first, first + count), whose prompts are of one length. */
static mdlm_status answer_batch(job *j, size_t first, size_t count, mdlm_error *err) {
    size_t prompt = j->items[first].prompt_tokens, T = prompt + (size_t)j->room;
    int32_t *ids = md_alloc(count * T, sizeof *ids, err);
    uint8_t *given = md_alloc(T, sizeof *given, err);
    mdlm_status status = ids && given ? MDLM_OK : MDLM_RUNTIME;
    if (status != MDLM_OK) goto done;
    for (size_t i = 0; i < T; i++) given[i] = i < prompt;
    for (size_t k = 0; k < count; k++) {
        const int32_t *from = j->ids.data + j->items[first + k].prompt;
        for (size_t i = 0; i < T; i++)
            ids[k * T + i] = i < prompt ? from[i] : md_tokenizer_mask(j->model->tokenizer);
    }
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_canvas canvas = {.ids = ids, .given = given, .samples = (int)count, .length = (int)T};
    j->sampler.first_index = (int64_t)first;
    MD_GOTO(done, status,
            md_sampler_run(&j->model->denoiser, &process, &j->sampler, &canvas, NULL, err));
    for (size_t k = 0; k < count; k++)
        MD_GOTO(done, status, judge(j, &j->items[first + k], ids + k * T + prompt, err));
done:
    md_free(ids);
    md_free(given);
    return status;
}

static mdlm_status answer_all(job *j, mdlm_error *err) {
    size_t first = 0, most = (size_t)j->opt->batch_size;
    md_eta_begin(&j->eta, "answering");
    while (first < j->count) {
        size_t count = 1;
        while (first + count < j->count && count < most &&
               j->items[first + count].prompt_tokens == j->items[first].prompt_tokens)
            count++;
        MD_TRY(answer_batch(j, first, count, err));
        first += count;
        if (md_eta_update(&j->eta, (int64_t)first, (int64_t)j->count))
            return md_fail(err, MDLM_CANCELLED, "stopped after %zu of %zu answers", first,
                           j->count);
    }
    return MDLM_OK;
}

static mdlm_status choose_sampler(job *j, mdlm_error *err) {
    mdlm_fill_options fill = mdlm_fill_defaults();
    uint8_t *allowed = NULL;
    bool left = j->model->denoiser.sight == MD_SEES_PAST &&
                md_options_origin(j->cli->options, "sampler") == MD_ORIGIN_DEFAULT;
    j->rule = left ? "left" : j->opt->sampler;
    fill.sampler = j->rule;
    fill.steps = (int)j->opt->steps;
    fill.blocks = (int)j->opt->blocks;
    fill.temperature = j->opt->temperature;
    fill.seed = (uint64_t)j->cli->common.seed;
    mdlm_status status = md_fill_options_read(&fill, j->model, &j->sampler, &allowed, err);
    MD_BUG_IF(allowed); /* every token may be drawn */
    return status;
}

/* --- the report ------------------------------------------------------------------------------- */

static mdlm_status write_items(job *j, mdlm_error *err) {
    md_writer *file = NULL;
    if (!*j->opt->items) return MDLM_OK;
    qsort(j->items, j->count, sizeof *j->items, by_number);
    mdlm_status status = md_writer_open(j->opt->items, &file, err);
    for (size_t i = 0; i < j->count && status == MDLM_OK; i++) {
        const question *q = &j->items[i];
        md_json_line line;
        md_json_begin(&line);
        md_json_put_int(&line, "line", q->line);
        md_json_put_flag(&line, "correct", q->correct);
        md_json_put_text(&line, "answer", q->answer.data ? q->answer.data : "", q->answer.size);
        md_json_put_text(&line, "response", j->text.data + q->response, q->response_bytes);
        status = md_json_end_in(&line, file, err);
    }
    if (status == MDLM_OK) status = md_writer_commit(file, err);
    md_writer_free(file);
    return status;
}

static mdlm_status report(const job *j, double seconds, mdlm_error *err) {
    double share = (double)j->correct / (double)j->count;
    md_interval ci = md_wilson(j->correct, (int64_t)j->count);
    if (!j->cli->common.json)
        return md_cli_print(err, "exact match  %.4f  (95%%: %.4f to %.4f), %lld of %zu answers\n",
                            share, ci.low, ci.high, (long long)j->correct, j->count);
    md_json_line line;
    md_json_begin(&line);
    md_json_put_real(&line, "exact_match", share);
    md_json_put_real(&line, "exact_match_low", ci.low);
    md_json_put_real(&line, "exact_match_high", ci.high);
    md_json_put_int(&line, "correct", j->correct);
    md_json_put_int(&line, "count", (int64_t)j->count);
    md_json_put_int(&line, "room", j->room);
    md_json_put_real(&line, "seconds", seconds);
    return md_json_end(&line, err);
}

static mdlm_status prepare(job *j, mdlm_error *err) {
    MD_TRY(md_cli_load(j->cli, &j->model, err));
    if (!mdlm_has_chat_template(j->model))
        md_cli_note(j->cli, "'%s' has no chat template: asking with a plain one", j->cli->model);
    MD_TRY(md_chat_new(j->model->tokenizer, &j->chat, err));
    MD_TRY(read_questions(j, err));
    qsort(j->items, j->count, sizeof *j->items, by_length);
    MD_TRY(check_room(j, err));
    MD_TRY(choose_sampler(j, err));
    md_cli_note(j->cli, "%s: %zu questions, room for %d tokens%s, sampler %s%s, temperature %g%s",
                j->cli->model, j->count, j->room, md_cli_defaulted(j->cli, "room"), j->rule,
                md_cli_defaulted(j->cli, "sampler"), j->opt->temperature,
                md_cli_defaulted(j->cli, "temperature"));
    return MDLM_OK;
}

mdlm_status md_eval_answers(const md_cli *cli, const md_eval_answers_options *opt,
                            mdlm_error *err) {
    job j = {.cli = cli, .opt = opt, .eta = md_eta_start(cli->common.quiet)};
    mdlm_status status;
    MD_GOTO(done, status, prepare(&j, err));
    double start = md_now();
    MD_GOTO(done, status, answer_all(&j, err));
    md_eta_clear(&j.eta);
    MD_GOTO(done, status, write_items(&j, err));
    status = report(&j, md_now() - start, err);
done:
    md_eta_clear(&j.eta);
    for (size_t i = 0; i < j.count; i++) md_buffer_release(&j.items[i].answer);
    md_free(j.items);
    md_buffer_release(&j.text);
    md_ids_release(&j.ids);
    md_chat_free(j.chat);
    mdlm_free(j.model);
    return status;
}
