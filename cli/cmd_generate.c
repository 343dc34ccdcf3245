/* cli/cmd_generate.c: `mdlm generate`, on mdlm.h alone: what it does, any program can do. */
#include <stdio.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/extent.h"
#include "cli/html.h"
#include "cli/infill.h"
#include "cli/samples.h"
#include "cli/sampling.h"
#include "cli/signals.h"
#include "cli/view.h"

enum { AT_ONCE = 16 }; /* samples in a batch; a sample does not depend on its neighbours */

#define GENERATE_OPTIONS(X) \
    X(TEXT, prompt, "", 0, 0, "text to go on from") \
    X(TEXT, prompt_file, "", 0, 0, "the same from a file, byte for byte") \
    X(TEXT, infill, "", 0, 0, "text with holes to fill: [MASK] or [MASK*N]; \\[MASK] is text") \
    X(INT, length, 0, 1, 1048576, \
      "new tokens; if not given, what fits the trained length (2048 for Dream)") \
    X(INT, blocks, 1, 1, 1048576, "fill this many equal blocks from left to right") \
    X(INT, block_length, 0, 1, 1048576, "tokens in a block, in place of --blocks") \
    X(FLAG, chat, false, 0, 0, \
      "the prompt is a message: ask by the model's chat template, stop at end-of-text") \
    X(INT, num_samples, 1, 1, 1000000, "texts to write") \
    X(INT, first_index, 0, 0, 4000000000, \
      "number of the first text: a text depends on seed and number") \
    X(FLAG, ids, false, 0, 0, "print the new token ids, one line a text") \
    X(FLAG, show, false, 0, 0, "draw the unmasking even off a terminal") \
    X(TEXT, html, "", 0, 0, "write the unmasking of the first text as a page that plays it")

typedef struct generate_options {
    md_cli_sampling sampling; /* first, so that its tables fit */
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
    int32_t *chat_ids; /* what the template makes of it, with --chat */
    md_infill infill;
    mdlm_span spans[2];      /* prompt and hole */
    const mdlm_span *canvas; /* these, or the infill's */
    size_t canvas_count;
    md_extent extent;
    mdlm_fill_options fill;
    md_cli_tokens tokens; /* that `fill` points to */
    md_view view;
    md_html *html; /* until the first text is saved; NULL: not asked for */
    mdlm_drift drift;
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

/* The text of --infill has its own places and lengths. */
static mdlm_status check_infill(const job *j, mdlm_error *err) {
    static const char *const others[] = {"prompt", "prompt_file", "length", "chat"};
    static const char *const flags[] = {"--prompt", "--prompt-file", "--length", "--chat"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (given(j, others[i]))
            return md_fail(err, MDLM_USAGE, "give --infill or %s, not both", flags[i]);
    return MDLM_OK;
}

static mdlm_status lay_out_infill(job *j, md_extent_wish *wish, mdlm_error *err) {
    MD_TRY(md_infill_parse(j->opt->infill, mdlm_info(j->model).seq_len, &j->infill, err));
    j->canvas = j->infill.spans;
    j->canvas_count = j->infill.count;
    wish->length = j->infill.holes;
    wish->scattered = true;
    return md_extent_plan(wish, mdlm_info(j->model), 0, &j->extent, err);
}

static mdlm_status lay_out_chat(job *j, const md_extent_wish *wish, mdlm_error *err) {
    const mdlm_message question = {
        .role = "user", .text = j->prompt.data, .text_bytes = j->prompt.size};
    size_t used = 0;
    if (!mdlm_has_chat_template(j->model))
        md_cli_note(j->cli, "'%s' has no chat template: asking with a plain one", j->cli->model);
    MD_TRY(mdlm_tokenize_chat(j->model, &question, 1, &j->chat_ids, &used, err));
    MD_TRY(md_extent_plan(wish, mdlm_info(j->model), used, &j->extent, err));
    j->spans[0] = (mdlm_span){.ids = j->chat_ids, .ids_count = used};
    j->spans[1] = (mdlm_span){.hole = j->extent.length};
    j->canvas = j->spans;
    j->canvas_count = 2;
    return MDLM_OK;
}

static mdlm_status lay_out_prompt(job *j, const md_extent_wish *wish, mdlm_error *err) {
    int32_t *ids = NULL;
    size_t used = 0;
    bool prompted = j->prompt.size > 0;
    MD_TRY(mdlm_tokenize(j->model, j->prompt.data, j->prompt.size, &ids, &used, err));
    mdlm_ids_free(ids);
    MD_TRY(md_extent_plan(wish, mdlm_info(j->model), used, &j->extent, err));
    j->spans[0] = (mdlm_span){.text = j->prompt.data, .text_bytes = j->prompt.size};
    j->spans[1] = (mdlm_span){.hole = j->extent.length};
    j->canvas = prompted ? j->spans : j->spans + 1;
    j->canvas_count = prompted ? 2 : 1;
    return MDLM_OK;
}

static mdlm_status lay_out(job *j, mdlm_error *err) {
    md_extent_wish wish = {.length = j->opt->length,
                           .blocks = j->opt->blocks,
                           .blocks_given = given(j, "blocks"),
                           .block_length = j->opt->block_length};
    if (j->opt->chat) return lay_out_chat(j, &wish, err);
    return given(j, "infill") ? lay_out_infill(j, &wish, err) : lay_out_prompt(j, &wish, err);
}

static mdlm_status settle(job *j, mdlm_error *err) {
    MD_TRY(md_cli_sampling_fill(j->cli, &j->opt->sampling, j->model, &j->tokens, &j->fill, err));
    j->fill.blocks = j->extent.blocks;
    j->fill.regex_whole = given(j, "infill");
    if (j->opt->chat && !given(j, "end_of_text")) j->fill.end_of_text = "stop";
    return MDLM_OK;
}

static void announce(const job *j) {
    const md_cli *cli = j->cli;
    const md_cli_sampling *s = &j->opt->sampling;
    long long steps = s->steps > 0 ? s->steps : j->extent.length;
    md_cli_note(cli,
                "%s: sampler %s%s, length %d%s, blocks %d%s, steps %lld%s, temperature %g%s, "
                "seed %lld%s",
                cli->model, j->fill.sampler, md_cli_defaulted(cli, "sampler"), j->extent.length,
                given(j, "infill") ? "" : md_cli_defaulted(cli, "length"), j->extent.blocks,
                j->opt->block_length > 0 ? "" : md_cli_defaulted(cli, "blocks"), steps,
                md_cli_defaulted(cli, "steps"), s->temperature,
                md_cli_defaulted(cli, "temperature"), (long long)cli->common.seed,
                md_cli_defaulted(cli, "seed"));
}

static int on_step(void *user, const mdlm_step *step) {
    job *j = user;
    md_view_step(&j->view, step);
    if (j->html) md_html_step(j->html, step);
    return md_cli_signal();
}

static mdlm_status print(const job *j, const mdlm_result *result, double seconds, mdlm_error *err) {
    md_samples_form form = j->opt->ids ? MD_SAMPLES_IDS : MD_SAMPLES_TEXT;
    if (j->cli->common.json) form = MD_SAMPLES_JSON;
    return md_samples_print(result, form, j->opt->num_samples > 1, seconds, err);
}

/* Once, of the first text. */
static mdlm_status save_html(job *j, const mdlm_result *result, mdlm_error *err) {
    char caption[100];
    if (!j->html) return MDLM_OK;
    snprintf(caption, sizeof caption, "sampler %s, temperature %g, seed %lld", j->fill.sampler,
             j->fill.temperature, (long long)j->cli->common.seed);
    mdlm_status status = md_html_save(j->html, mdlm_result_sample(result, 0), caption, err);
    md_html_free(j->html);
    j->html = NULL;
    return status;
}

/* One batch of samples, from number `first` of this call on. A cancelled one is printed too. */
static mdlm_status fill(job *j, int64_t first, int count, mdlm_error *err) {
    mdlm_fill_options options = j->fill;
    options.samples = count;
    options.first_index = j->opt->first_index + first;
    options.on_step = on_step;
    options.user = j;
    mdlm_result *result = NULL;
    double start = md_now();
    mdlm_status status = mdlm_fill(j->model, j->canvas, j->canvas_count, &options, &result, err);
    double seconds = md_now() - start;
    md_view_clear(&j->view);
    if (status == MDLM_OK || status == MDLM_CANCELLED) {
        md_cli_drift_add(&j->drift, result);
        mdlm_status printed = print(j, result, seconds, err);
        if (printed == MDLM_OK) printed = save_html(j, result, err);
        if (printed != MDLM_OK)
            status = printed;
        else if (err)
            err->message[0] = 0; /* who pressed Ctrl-C needs no telling */
    }
    mdlm_result_free(result);
    return status;
}

static mdlm_status fill_all(job *j, mdlm_error *err) {
    const md_cli *cli = j->cli;
    bool plain = cli->common.json || cli->common.quiet || j->opt->ids;
    j->view = md_view_start(j->model, !plain, j->opt->show);
    md_cli_signals_catch();
    for (int64_t first = 0; first < j->opt->num_samples; first += AT_ONCE) {
        int64_t left = j->opt->num_samples - first;
        MD_TRY(fill(j, first, (int)(left < AT_ONCE ? left : AT_ONCE), err));
    }
    if (j->fill.verify_cache) md_cli_drift_note(&j->opt->sampling, &j->drift);
    return MDLM_OK;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    job j = {.cli = cli, .opt = cli->settings};
    mdlm_status status = MDLM_OK;
    if (given(&j, "infill")) MD_GOTO(done, status, check_infill(&j, err));
    MD_GOTO(done, status, read_prompt(&j, err));
    MD_GOTO(done, status, md_cli_load(cli, &j.model, err));
    MD_GOTO(done, status, lay_out(&j, err));
    MD_GOTO(done, status, settle(&j, err));
    if (*j.opt->html) MD_GOTO(done, status, md_html_open(j.opt->html, j.model, &j.html, err));
    announce(&j);
    MD_GOTO(done, status, fill_all(&j, err));
done:
    md_html_free(j.html);
    mdlm_free(j.model);
    mdlm_ids_free(j.chat_ids);
    md_buffer_release(&j.prompt);
    md_infill_release(&j.infill);
    md_cli_tokens_release(&j.tokens);
    return status;
}

static const md_cli_section sections[] = {{"Text", table},
                                          {"Sampling", md_cli_sampling_table},
                                          {"Constraints", md_cli_constraint_table},
                                          {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-p", "prompt"},
    {"-f", "prompt_file"},
    {"-n", "length"},
    {"--n-predict", "length"},
    {"--max-new-tokens", "length"},
    {"--gen-length", "length"},
    MD_CLI_SAMPLING_ALIASES,
    {NULL, NULL},
};

const md_command md_cmd_generate = {
    .name = "generate",
    .arguments = "",
    .summary = "Write text; on a terminal the unmasking is shown live.",
    .examples = "  mdlm generate --blocks 8                       the trained length, in 8 blocks\n"
                "  mdlm generate -p 'Once upon a time' -n 64      64 new tokens after a prompt\n"
                "  mdlm generate --sampler confidence --steps 16  several tokens a step\n"
                "  mdlm generate --infill 'To [MASK*5] or not'    fill what is missing\n"
                "  mdlm generate -n 8 --regex '\\d+-\\d+'           what the text must look like\n"
                "  mdlm generate --num-samples 4 --json           four texts as JSON lines\n",
    .notes = "The text is followed by one line feed. Several texts come after lines `--- sample K`."
             "\nCtrl-C prints what is there.\n\n"
             "--infill: a backslash before [MASK] or [MASK*N] makes it text, two make a backslash\n"
             "and a hole; given text comes back byte for byte.\n\n"
             "--regex: x . [a-z] [^a-z] \\d \\w \\s \\D \\W \\S \\n \\t \\xHH xy x|y (x) x* x+ x? "
             "x{m,n}, from\n"
             "end to end; after a prompt it is about the new text, with --infill about all of it.\n"
             "End-of-text fills what a shorter text leaves.\n",
    .settings_size = sizeof(generate_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .run = run,
};
