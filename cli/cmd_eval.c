/* cli/cmd_eval.c: `mdlm eval`: the likelihood of a text under a model (eval_text.c), a report on
 * what a model wrote (eval_samples.c), or on how it answers (eval_answers.c). */
#include "cli/commands.h"
#include "cli/eval_answers.h"
#include "cli/signals.h"
#include "cli/eval_samples.h"
#include "cli/eval_text.h"

typedef struct eval_options {
    md_eval_text_options text; /* first, so that its table fits */
    MD_EVAL_SAMPLES_OPTIONS(MD_OPTION_FIELD)
    MD_EVAL_ANSWERS_OPTIONS(MD_OPTION_FIELD)
} eval_options;

#define MD_OPTION_STRUCT eval_options
static const md_option samples_table[] = {MD_EVAL_SAMPLES_OPTIONS(MD_OPTION_ROW){0}};
static const md_option answers_table[] = {MD_EVAL_ANSWERS_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

/* Options that one of the three alone knows. */
static const char *const of_text[] = {"method", "mc", "split", "window", "stride", "compare", NULL};
static const char *const of_samples[] = {"reference", "order", NULL};
static const char *const of_answers[] = {"sampler", "steps", "blocks", "temperature", "room", NULL};
static const char *const not_of_samples[] = {"items", "batch_size", NULL};

static const char text_use[] = "the likelihood of a text: mdlm eval FILE";
static const char samples_use[] = "mdlm eval --samples FILE";
static const char answers_use[] = "mdlm eval --answers FILE";

static mdlm_status report_samples(const md_cli *cli, mdlm_error *err) {
    const eval_options *o = cli->settings;
    MD_TRY(md_options_refuse(cli->options, of_text, text_use, err));
    MD_TRY(md_options_refuse(cli->options, not_of_samples, text_use, err));
    MD_TRY(md_options_refuse(cli->options, of_answers, answers_use, err));
    if (md_cli_argument(cli)) {
        return md_fail(err, MDLM_USAGE,
                       "--samples takes the place of '%s': the text to compare with "
                       "is --reference",
                       md_cli_argument(cli));
    }
    md_eval_samples_options opt = {o->samples, o->reference, o->order};
    return md_eval_samples(cli, &opt, err);
}

static mdlm_status judge_answers(const md_cli *cli, mdlm_error *err) {
    const eval_options *o = cli->settings;
    MD_TRY(md_options_refuse(cli->options, of_text, text_use, err));
    MD_TRY(md_options_refuse(cli->options, of_samples, samples_use, err));
    if (md_cli_argument(cli) || *o->samples) {
        return md_fail(err, MDLM_USAGE, "--answers takes the place of '%s'",
                       md_cli_argument(cli) ? md_cli_argument(cli) : "--samples");
    }
    md_eval_answers_options opt = {.answers = o->answers,
                                   .sampler = o->sampler,
                                   .steps = o->steps,
                                   .blocks = o->blocks,
                                   .temperature = o->temperature,
                                   .room = o->room,
                                   .items = o->text.items,
                                   .batch_size = o->text.batch_size};
    md_cli_signals_catch();
    return md_eval_answers(cli, &opt, err);
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const eval_options *given = cli->settings;
    if (*given->answers) return judge_answers(cli, err);
    if (*given->samples) return report_samples(cli, err);
    MD_TRY(md_options_refuse(cli->options, of_samples, samples_use, err));
    MD_TRY(md_options_refuse(cli->options, of_answers, answers_use, err));
    return md_eval_text(cli, &given->text, err);
}

static const md_cli_section sections[] = {{"Evaluation", md_eval_text_table},
                                          {"Samples", samples_table},
                                          {"Answers", answers_table},
                                          {NULL, NULL}};

static const md_option_alias aliases[] = {{"--draws", "mc"},
                                          {"-c", "window"},
                                          {"--ctx-size", "window"},
                                          {"--temp", "temperature"},
                                          {NULL, NULL}};

const md_command md_cmd_eval = {
    .name = "eval",
    .arguments = "[FILE]",
    .summary = "Bound the likelihood of a text, with the errors of the bound.",
    .examples = "  mdlm eval other.txt             a text that the model has not seen\n"
                "  mdlm eval                       the validation part of the run's corpus\n"
                "  mdlm eval other.txt --mc 64     a smaller error\n"
                "  mdlm eval other.txt --method count   LLaDA's estimate: a smaller error still\n"
                "  mdlm eval book.txt --stride 32 --items windows.jsonl   given the text before\n"
                "  mdlm eval other.txt --compare run2   two models on the same masks\n"
                "  mdlm eval corpus.txt --split all --json\n"
                "  mdlm generate --num-samples 64 --json > out.jsonl\n"
                "  mdlm eval --samples out.jsonl --reference corpus.txt   what was written\n"
                "  mdlm eval --answers held-out.jsonl     a fine-tuned model's answers\n",
    .notes =
        "The bound is in nats; +- is a standard error: of the drawn masks, which more --mc "
        "make smaller,\nand of the documents, which a larger text makes smaller.\n"
        "With --method chain, or a model trained with --objective ar, the likelihood is exact.\n"
        "--items writes JSON lines: kind, index, part, offset (in tokens), tokens, bytes, nats and "
        "stderr_mc\n(both of all its tokens). --compare: this model less the other, so below 0 is "
        "better; models of\ndifferent tokenizers are compared per byte, on all of a named text.\n"
        "--samples needs no model: it reports entropy, distinct n-grams, novelty against the "
        "reference,\nand the perplexity under an n-gram model of it, beside the same of "
        "reference text held out.\n",
    .settings_size = sizeof(eval_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .max_positional = 1,
    .run = run,
};
