/* cli/cmd_generate.c: `mdlm generate`, on mdlm.h alone: what it does, any program can do. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/view.h"

enum { AT_ONCE = 16 }; /* samples in a batch; a sample does not depend on its neighbours */

#define GENERATE_OPTIONS(X) \
    X(TEXT, prompt, "", 0, 0, "text to go on from") \
    X(TEXT, prompt_file, "", 0, 0, "the same from a file, byte for byte") \
    X(INT, length, 0, 1, 1048576, "new tokens; what fits the trained length if not given") \
    X(INT, blocks, 1, 1, 1048576, "fill this many equal blocks from left to right") \
    X(INT, block_length, 0, 1, 1048576, "tokens in a block, in place of --blocks") \
    X(INT, steps, 0, 1, 1048576, "sampling steps in all; one per new token if not given") \
    X(CHOICE, sampler, "ancestral", 0, 0, \
      "ancestral|first-hitting=first_hitting|random|confidence=low_confidence=maskgit_plus: " \
      "which masks a step fills") \
    X(REAL, temperature, 1, 0, 100, "1: the model's own distribution; 0: the likeliest token") \
    X(INT, top_k, 0, 0, 1000000, "draw from the k likeliest tokens; 0: from all") \
    X(REAL, top_p, 1, 0, 1, "draw from the likeliest tokens that make up this probability") \
    X(INT, num_samples, 1, 1, 1000000, "texts to write") \
    X(INT, first_index, 0, 0, 4000000000, \
      "number of the first text: a text depends on seed and number") \
    X(FLAG, ids, false, 0, 0, "print the new token ids, one line a text") \
    X(FLAG, show, false, 0, 0, "draw the unmasking even off a terminal")

typedef struct generate_options {
    GENERATE_OPTIONS(MD_OPTION_FIELD)
} generate_options;

#define MD_OPTION_STRUCT generate_options
static const md_option table[] = {GENERATE_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

typedef struct job {
    md_cli *cli;
    const generate_options *opt;
    mdlm_model *model;
    md_buffer prompt;
    int length, blocks;
    md_view view;
} job;

static bool given(const job *j, const char *name) {
    return md_options_origin(j->cli->options, name) != MD_ORIGIN_DEFAULT;
}

static mdlm_status read_prompt(job *j, mdlm_error *err) {
    const generate_options *opt = j->opt;
    if (!*opt->prompt_file) return md_buffer_text(&j->prompt, opt->prompt, err);
    if (*opt->prompt) return md_fail(err, MDLM_USAGE, "give --prompt or --prompt-file, not both");
    return md_cli_read(opt->prompt_file, &j->prompt, err);
}

/* The divisors of `length` around `wanted`, for a message. */
static mdlm_status no_divisor(const char *flag, int64_t wanted, int64_t length, mdlm_error *err) {
    int64_t below = wanted < length ? wanted : length, above = wanted;
    while (length % below != 0) below--;
    while (above < length && length % above != 0) above++;
    if (above > length) above = below;
    return md_fail(err, MDLM_USAGE,
                   "%s %lld does not divide the %lld new tokens: the nearest that do are %lld and "
                   "%lld",
                   flag, (long long)wanted, (long long)length, (long long)below, (long long)above);
}

/* Length and blocks from whichever of --length, --blocks and --block-length were given. After a
 * prompt, whose tokens nobody counts, a length that nobody chose is rounded down to whole blocks.
 */
static mdlm_status plan(job *j, mdlm_error *err) {
    const generate_options *opt = j->opt;
    int32_t *ids = NULL;
    size_t used = 0;
    MD_TRY(mdlm_tokenize(j->model, j->prompt.data, j->prompt.size, &ids, &used, err));
    mdlm_ids_free(ids);
    int64_t room = mdlm_info(j->model).seq_len, length = opt->length, blocks = opt->blocks;
    bool by_length = opt->block_length > 0;
    int64_t unit = by_length ? opt->block_length : blocks;
    if (length < 1) {
        length = (int64_t)used < room ? room - (int64_t)used : 1;
        if (used > 0) length = length < unit ? unit : length - length % unit;
        if (by_length && given(j, "blocks")) length = blocks * opt->block_length;
    }
    if (length % unit != 0) {
        return no_divisor(by_length ? "--block-length" : "--blocks", unit, length, err);
    }
    if (by_length && given(j, "blocks") && blocks * opt->block_length != length) {
        return md_fail(err, MDLM_USAGE,
                       "--blocks %lld of --block-length %lld are %lld tokens, not --length %lld",
                       (long long)blocks, (long long)unit, (long long)(blocks * unit),
                       (long long)length);
    }
    if (length > INT32_MAX) return md_fail(err, MDLM_USAGE, "--length is too large");
    j->length = (int)length;
    j->blocks = (int)(by_length ? length / unit : blocks);
    return MDLM_OK;
}

static void announce(const job *j) {
    const md_cli *cli = j->cli;
    const generate_options *opt = j->opt;
    long long steps = opt->steps > 0 ? opt->steps : j->length;
    md_cli_note(cli,
                "%s: sampler %s%s, length %d%s, blocks %d%s, steps %lld%s, temperature %g%s, "
                "seed %lld%s",
                cli->model, opt->sampler, md_cli_defaulted(cli, "sampler"), j->length,
                md_cli_defaulted(cli, "length"), j->blocks,
                opt->block_length > 0 ? "" : md_cli_defaulted(cli, "blocks"), steps,
                md_cli_defaulted(cli, "steps"), opt->temperature,
                md_cli_defaulted(cli, "temperature"), (long long)cli->common.seed,
                md_cli_defaulted(cli, "seed"));
}

static int on_step(void *user, const mdlm_step *step) {
    md_view_step(user, step);
    return md_cli_signal();
}

static mdlm_status print_ids(const mdlm_sample *s, mdlm_error *err) {
    md_buffer line = {0};
    mdlm_status status = md_cli_ids_text(&line, s->new_ids, (size_t)s->new_length, err);
    if (status == MDLM_OK) status = md_buffer_text(&line, "\n", err);
    if (status == MDLM_OK) status = md_cli_write(line.data, line.size, err);
    md_buffer_release(&line);
    return status;
}

/* Byte for byte, unless a terminal would take some of the bytes as commands. */
static mdlm_status print_text(const job *j, const mdlm_sample *s, mdlm_error *err) {
    if (j->opt->num_samples > 1) {
        MD_TRY(md_cli_print(err, "--- sample %lld\n", (long long)s->index));
    }
    md_buffer safe = {0};
    mdlm_status status = MDLM_OK;
    if (isatty(STDOUT_FILENO)) {
        status = md_terminal_text(&safe, s->text, s->text_bytes, err);
        if (status == MDLM_OK) status = md_cli_write(safe.data, safe.size, err);
        md_buffer_release(&safe);
    } else {
        status = md_cli_write(s->text, s->text_bytes, err);
    }
    return status == MDLM_OK ? md_cli_write("\n", 1, err) : status;
}

static mdlm_status print_json(const mdlm_result *result, const mdlm_sample *s, double seconds,
                              mdlm_error *err) {
    int steps = 0, count = mdlm_result_count(result);
    int64_t evaluations = 0;
    mdlm_result_work(result, &steps, &evaluations);
    md_json_line line;
    md_json_begin(&line);
    md_json_put_int(&line, "index", s->index);
    md_json_put_text(&line, "text", s->text, s->text_bytes);
    md_json_put_ids(&line, "ids", s->new_ids, (size_t)s->new_length);
    md_json_open(&line, "fills", '[');
    md_json_put_text(&line, NULL, s->new_text, s->new_text_bytes);
    md_json_close(&line, ']');
    md_json_put_int(&line, "steps", steps);
    /* The batch is counted as a whole: each text gets its share. */
    md_json_put_int(&line, "evaluations", (evaluations + count - 1) / count);
    md_json_put_real(&line, "seconds", seconds);
    md_json_put_real(&line, "tokens_per_second", (double)s->new_length * count / seconds);
    return md_json_end(&line, err);
}

static mdlm_status print_samples(const job *j, const mdlm_result *result, double seconds,
                                 mdlm_error *err) {
    for (int i = 0; i < mdlm_result_count(result); i++) {
        const mdlm_sample *s = mdlm_result_sample(result, i);
        if (j->cli->common.json) {
            MD_TRY(print_json(result, s, seconds, err));
        } else if (j->opt->ids) {
            MD_TRY(print_ids(s, err));
        } else {
            MD_TRY(print_text(j, s, err));
        }
    }
    return md_cli_flush(err);
}

/* One batch of samples, from number `first` of this call on. A cancelled one is printed too. */
static mdlm_status fill(job *j, int64_t first, int count, mdlm_error *err) {
    const generate_options *opt = j->opt;
    mdlm_fill_options fill = mdlm_fill_defaults();
    fill.sampler = opt->sampler;
    fill.steps = (int)opt->steps;
    fill.blocks = j->blocks;
    fill.temperature = opt->temperature;
    fill.top_k = (int)opt->top_k;
    fill.top_p = opt->top_p;
    fill.samples = count;
    fill.first_index = opt->first_index + first;
    fill.seed = (uint64_t)j->cli->common.seed;
    fill.on_step = on_step;
    fill.user = &j->view;
    mdlm_span spans[2] = {{.text = j->prompt.data, .text_bytes = j->prompt.size},
                          {.hole = j->length}};
    bool prompted = j->prompt.size > 0;
    mdlm_result *result = NULL;
    double start = md_now();
    mdlm_status status =
        mdlm_fill(j->model, prompted ? spans : spans + 1, prompted ? 2 : 1, &fill, &result, err);
    double seconds = md_now() - start;
    md_view_clear(&j->view);
    if (status == MDLM_OK || status == MDLM_CANCELLED) {
        mdlm_status printed = result ? print_samples(j, result, seconds, err) : MDLM_OK;
        if (printed != MDLM_OK)
            status = printed;
        else if (err)
            err->message[0] = 0; /* who pressed Ctrl-C needs no telling */
    }
    mdlm_result_free(result);
    return status;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    job j = {.cli = cli, .opt = cli->settings};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, read_prompt(&j, err));
    MD_GOTO(done, status, md_cli_load(cli, &j.model, err));
    MD_GOTO(done, status, plan(&j, err));
    announce(&j);
    bool plain = cli->common.json || cli->common.quiet || j.opt->ids;
    j.view = md_view_start(j.model, !plain, j.opt->show);
    md_cli_signals_catch();
    for (int64_t first = 0; first < j.opt->num_samples; first += AT_ONCE) {
        int64_t left = j.opt->num_samples - first;
        MD_GOTO(done, status, fill(&j, first, (int)(left < AT_ONCE ? left : AT_ONCE), err));
    }
done:
    mdlm_free(j.model);
    md_buffer_release(&j.prompt);
    return status;
}

static const md_cli_section sections[] = {{"Text", table}, {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-p", "prompt"},
    {"-f", "prompt_file"},
    {"-n", "length"},
    {"--n-predict", "length"},
    {"--max-new-tokens", "length"},
    {"--gen-length", "length"},
    {"--temp", "temperature"},
    {NULL, NULL},
};

const md_command md_cmd_generate = {
    .name = "generate",
    .arguments = "",
    .summary = "Write text; on a terminal the unmasking is shown live.",
    .examples = "  mdlm generate --blocks 8                       the trained length, in 8 blocks\n"
                "  mdlm generate -p 'Once upon a time' -n 64      64 new tokens after a prompt\n"
                "  mdlm generate --sampler confidence --steps 16  several tokens a step\n"
                "  mdlm generate --num-samples 4 --json           four texts as JSON lines\n",
    .notes = "The text is followed by one line feed. Several texts come after lines `--- sample K`."
             "\nCtrl-C prints what is there.\n",
    .settings_size = sizeof(generate_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .run = run,
};
