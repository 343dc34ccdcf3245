/* cli/cmd_chat.c: `mdlm chat`: a conversation with a fine-tuned model, line by line, on mdlm.h
 * alone. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/extent.h"
#include "cli/output.h"
#include "cli/sampling.h"
#include "cli/view.h"

enum { SHORTEST = 8, LARGEST_LINE = 1 << 20 };

#define CHAT_OPTIONS(X) \
    X(TEXT, system, "", 0, 0, "what the model is told before the conversation") \
    X(INT, length, 0, 1, 1048576, \
      "room for an answer, in tokens; a quarter of the trained length") \
    X(INT, blocks, 1, 1, 1048576, "fill an answer in this many equal blocks from left to right") \
    X(INT, block_length, 0, 1, 1048576, "tokens in a block, in place of --blocks") \
    X(FLAG, history, true, 0, 0, "--no-history: each line is a conversation of its own") \
    X(FLAG, show, false, 0, 0, "draw the unmasking even off a terminal")

typedef struct chat_options {
    md_cli_sampling sampling; /* first, so that its tables fit */
    CHAT_OPTIONS(MD_OPTION_FIELD)
} chat_options;

#define MD_OPTION_STRUCT chat_options
static const md_option table[] = {CHAT_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

typedef struct turn {
    const char *role;
    char *text;
    size_t size;
} turn;

typedef struct job {
    md_cli *cli;
    const chat_options *opt;
    mdlm_model *model;
    mdlm_fill_options fill;
    md_cli_tokens tokens;   /* that `fill` points to */
    int room;               /* tokens for an answer */
    bool asks;              /* somebody sits at a terminal */
    turn *turns;            /* the system's first, if there is one */
    mdlm_message *messages; /* [capacity] */
    size_t count, capacity, system;
    int64_t answers;
    mdlm_drift drift; /* of all answers, with --verify-cache */
    md_view view;
} job;

static bool given(const job *j, const char *name) {
    return md_options_origin(j->cli->options, name) != MD_ORIGIN_DEFAULT;
}

/* --- the conversation ------------------------------------------------------------------------- */

static mdlm_status add_turn(job *j, const char *role, const char *text, size_t size,
                            mdlm_error *err) {
    if (j->count == j->capacity) {
        size_t capacity = j->capacity ? 2 * j->capacity : 16;
        turn *turns = md_realloc(j->turns, capacity, sizeof *turns, err);
        if (!turns) return MDLM_RUNTIME;
        j->turns = turns;
        mdlm_message *messages = md_realloc(j->messages, capacity, sizeof *messages, err);
        if (!messages) return MDLM_RUNTIME;
        j->messages = messages;
        j->capacity = capacity;
    }
    char *copy = md_strndup(text, size, err);
    if (!copy) return MDLM_RUNTIME;
    j->turns[j->count++] = (turn){role, copy, size};
    return MDLM_OK;
}

/* Forgets turns [first, first + n). */
static void drop_turns(job *j, size_t first, size_t n) {
    if (n == 0) return;
    for (size_t i = first; i < first + n; i++) md_free(j->turns[i].text);
    memmove(j->turns + first, j->turns + first + n, (j->count - first - n) * sizeof *j->turns);
    j->count -= n;
}

static mdlm_status encode(const job *j, int32_t **ids, size_t *count, mdlm_error *err) {
    for (size_t i = 0; i < j->count; i++)
        j->messages[i] = (mdlm_message){j->turns[i].role, j->turns[i].text, j->turns[i].size};
    return mdlm_tokenize_chat(j->model, j->messages, j->count, ids, count, err);
}

/* The prompt's ids. The oldest questions and answers are forgotten until there is room for an
 * answer. */
static mdlm_status encode_what_fits(job *j, int32_t **ids, size_t *count, int64_t *forgotten,
                                    mdlm_error *err) {
    size_t most = (size_t)mdlm_info(j->model).seq_len;
    for (;;) {
        MD_TRY(encode(j, ids, count, err));
        if (*count + (size_t)j->room <= most) break;
        mdlm_ids_free(*ids);
        *ids = NULL;
        if (j->count < j->system + 3)
            return md_fail(
                err, MDLM_USAGE,
                "this makes %zu tokens: with room for %d they are more than the %zu that "
                "the model was trained on",
                *count, j->room, most);
        drop_turns(j, j->system, 2);
        *forgotten += 2;
    }
    if (*forgotten > 0)
        md_cli_note(j->cli, "(the oldest %lld messages no longer fit and are forgotten)",
                    (long long)*forgotten);
    return MDLM_OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static int on_step(void *user, const mdlm_step *step) {
    job *j = user;
    md_view_step(&j->view, step);
    return 0;
}

static mdlm_status print_answer(const job *j, const mdlm_result *result, int64_t forgotten,
                                double seconds, mdlm_error *err) {
    const mdlm_sample *s = mdlm_result_sample(result, 0);
    if (j->cli->common.json) {
        int steps;
        int64_t evaluations;
        mdlm_result_work(result, &steps, &evaluations);
        md_json_line line;
        md_json_begin(&line);
        md_json_put_int(&line, "index", s->index);
        md_json_put_text(&line, "answer", s->new_text, s->new_text_bytes);
        md_json_put_ids(&line, "ids", s->new_ids, (size_t)s->new_length);
        md_json_put_int(&line, "forgotten", forgotten);
        md_json_put_int(&line, "steps", steps);
        md_json_put_int(&line, "evaluations", evaluations);
        md_json_put_real(&line, "seconds", seconds);
        MD_TRY(md_json_end(&line, err));
    } else {
        md_buffer safe = {0};
        bool terminal = isatty(STDOUT_FILENO);
        mdlm_status status = terminal
                                 ? md_terminal_text(&safe, s->new_text, s->new_text_bytes, err)
                                 : md_buffer_append(&safe, s->new_text, s->new_text_bytes, err);
        if (status == MDLM_OK) status = md_buffer_text(&safe, "\n", err);
        if (status == MDLM_OK) status = md_cli_write(safe.data, safe.size, err);
        md_buffer_release(&safe);
        MD_TRY(status);
    }
    return md_cli_flush(err);
}

static mdlm_status answer(job *j, mdlm_error *err) {
    int32_t *ids = NULL;
    size_t count = 0;
    int64_t forgotten = 0;
    mdlm_result *result = NULL;
    mdlm_status status;
    MD_GOTO(done, status, encode_what_fits(j, &ids, &count, &forgotten, err));
    const mdlm_span spans[] = {{.ids = ids, .ids_count = count}, {.hole = j->room}};
    j->fill.first_index = j->answers++;
    double start = md_now();
    status = mdlm_fill(j->model, spans, 2, &j->fill, &result, err);
    md_view_clear(&j->view);
    if (status != MDLM_OK) goto done;
    md_cli_drift_add(&j->drift, result);
    MD_GOTO(done, status, print_answer(j, result, forgotten, md_now() - start, err));
    const mdlm_sample *s = mdlm_result_sample(result, 0);
    status = add_turn(j, "assistant", s->new_text, s->new_text_bytes, err);
done:
    mdlm_result_free(result);
    mdlm_ids_free(ids);
    return status;
}

/* A line without its line feed; *end when there is none left. */
static mdlm_status read_line(const job *j, md_buffer *line, bool *end, mdlm_error *err) {
    int c;
    md_buffer_clear(line);
    MD_TRY(md_buffer_text(line, "", err));
    if (j->asks) fputs("> ", stderr);
    while ((c = getchar()) != EOF && c != '\n') {
        char byte = (char)c;
        MD_TRY(md_buffer_append(line, &byte, 1, err));
        if (line->size > LARGEST_LINE)
            return md_fail(err, MDLM_INPUT, "a line of more than %d bytes", LARGEST_LINE);
    }
    if (ferror(stdin)) return md_fail_errno(err, MDLM_INPUT, "cannot read stdin");
    *end = c == EOF && line->size == 0;
    if (*end && j->asks) fputc('\n', stderr);
    return MDLM_OK;
}

/* Where somebody can try again, a message that cannot be answered does not end the conversation. */
static mdlm_status recover(job *j, mdlm_status status, mdlm_error *err) {
    if (!j->asks || (status != MDLM_USAGE && status != MDLM_INPUT)) return status;
    md_cli_note(j->cli, "%s", err->message);
    *err = (mdlm_error){0};
    drop_turns(j, j->count - 1, 1);
    return MDLM_OK;
}

static mdlm_status converse(job *j, mdlm_error *err) {
    md_buffer line = {0};
    mdlm_status status = MDLM_OK;
    for (bool end = false;;) {
        MD_GOTO(done, status, read_line(j, &line, &end, err));
        if (end) break;
        if (line.size == 0) continue;
        if (!j->opt->history) drop_turns(j, j->system, j->count - j->system);
        MD_GOTO(done, status, add_turn(j, "user", line.data, line.size, err));
        status = answer(j, err);
        if (status != MDLM_OK) MD_GOTO(done, status, recover(j, status, err));
    }
    if (j->fill.verify_cache) md_cli_drift_note(&j->opt->sampling, &j->drift);
done:
    md_buffer_release(&line);
    return status;
}

/* --- the beginning ---------------------------------------------------------------------------- */

static mdlm_status settle(job *j, mdlm_error *err) {
    const chat_options *o = j->opt;
    int canvas = mdlm_info(j->model).canvas;
    int64_t quarter = canvas / 4 > SHORTEST ? canvas / 4 : SHORTEST;
    const md_extent_wish wish = {.length = o->length > 0 ? o->length : quarter,
                                 .blocks = o->blocks,
                                 .blocks_given = given(j, "blocks"),
                                 .block_length = o->block_length};
    md_extent extent;
    MD_TRY(md_extent_plan(&wish, mdlm_info(j->model), 0, &extent, err));
    MD_TRY(md_cli_sampling_fill(j->cli, &o->sampling, j->model, &j->tokens, &j->fill, err));
    j->room = extent.length;
    j->fill.blocks = extent.blocks;
    j->fill.on_step = on_step;
    j->fill.user = j;
    md_cli_note(j->cli, "%s: sampler %s%s, temperature %g%s, room for %d tokens%s, seed %lld%s",
                j->cli->model, j->fill.sampler, md_cli_defaulted(j->cli, "sampler"),
                j->fill.temperature, md_cli_defaulted(j->cli, "temperature"), j->room,
                md_cli_defaulted(j->cli, "length"), (long long)j->cli->common.seed,
                md_cli_defaulted(j->cli, "seed"));
    return MDLM_OK;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    job j = {.cli = cli, .opt = cli->settings, .asks = isatty(STDIN_FILENO) && !cli->common.quiet};
    mdlm_status status;
    MD_GOTO(done, status, md_cli_load(cli, &j.model, err));
    if (!mdlm_has_chat_template(j.model))
        md_cli_note(cli, "'%s' has no chat template: talking to it with a plain one", cli->model);
    MD_GOTO(done, status, settle(&j, err));
    if (*j.opt->system) {
        MD_GOTO(done, status, add_turn(&j, "system", j.opt->system, strlen(j.opt->system), err));
        j.system = 1;
    }
    j.view = md_view_start(j.model, !cli->common.json && !cli->common.quiet, j.opt->show);
    status = converse(&j, err);
done:
    while (j.count > 0) drop_turns(&j, j.count - 1, 1);
    md_free(j.turns);
    md_free(j.messages);
    mdlm_free(j.model);
    md_cli_tokens_release(&j.tokens);
    return status;
}

static const md_cli_section sections[] = {{"Conversation", table},
                                          {"Sampling", md_cli_answer_sampling_table},
                                          {"Constraints", md_cli_answer_constraint_table},
                                          {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-n", "length"},           {"--n-predict", "length"}, {"--max-new-tokens", "length"},
    {"--gen-length", "length"}, MD_CLI_SAMPLING_ALIASES,   {NULL, NULL},
};

const md_command md_cmd_chat = {
    .name = "chat",
    .arguments = "",
    .summary = "Talk with a fine-tuned model, a line at a time.",
    .examples = "  mdlm chat                                     Ctrl-D ends the conversation\n"
                "  mdlm chat --system 'Be brief.' --temp 0.7\n"
                "  echo 'What is 47 + 38?' | mdlm chat --quiet   an answer a line\n"
                "  mdlm chat --no-history --json < questions.txt\n",
    .notes = "A model learns to answer with `mdlm train --sft`. Unless told otherwise answers are "
             "the likeliest\nand end at end-of-text.\n",
    .settings_size = sizeof(chat_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .run = run,
};
