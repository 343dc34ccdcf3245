/* cli/cmd_corpus.c: `mdlm corpus`: text and pictures made by a program, and the truth about them.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/corpus_shapes.h"
#include "cli/output.h"
#include "corpora/generators.h"

#define CORPUS_OPTIONS(X) \
    X(INT, bytes, 1000000, 1, 1e10, "how much; tales stop at the end of one") \
    X(INT, count, 4000, 1, 1e7, "questions (8100 at most) and shapes: how many") \
    X(INT, first_index, 0, 0, 1e12, \
      "questions and shapes: number of the first; others than the first N have numbers from N on") \
    X(TEXT, out, "", 0, 0, "file to write, in place of stdout; shapes: folder") \
    X(INT, image_size, 32, 8, 1024, "shapes: pixels a side") \
    X(FLAG, show, false, 0, 0, "shapes: show the first 64 in the terminal") \
    X(INT, chain_seed, 1, 0, 9007199254740991, \
      "markov: which chain; --seed is which text of that chain") \
    X(TEXT, nll, "", 0, 0, "markov: print -log p of this file under the chain; write nothing")

typedef struct corpus_options {
    CORPUS_OPTIONS(MD_OPTION_FIELD)
} corpus_options;

#define MD_OPTION_STRUCT corpus_options
static const md_option table[] = {CORPUS_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

static mdlm_status deliver(const corpus_options *opt, const md_buffer *text, mdlm_error *err) {
    if (!*opt->out) return md_cli_write(text->data, text->size, err);
    return md_file_write(opt->out, text->data, text->size, err);
}

/* With --json, what was made; stdout must then be free of text. */
static mdlm_status report(const md_cli *cli, const char *name, const md_buffer *text,
                          double entropy, mdlm_error *err) {
    const corpus_options *opt = cli->settings;
    if (!cli->common.json) {
        if (*opt->out) {
            const char *how = strcmp(name, "questions") ? "" : "--sft ";
            md_cli_note(cli, "%zu bytes in '%s'; next: mdlm train %s%s", text->size, opt->out, how,
                        opt->out);
        }
        return MDLM_OK;
    }
    md_json_line line;
    md_json_begin(&line);
    md_json_put_string(&line, "corpus", name);
    md_json_put_int(&line, "bytes", (int64_t)text->size);
    md_json_put_string(&line, "out", opt->out);
    md_json_put_int(&line, "seed", cli->common.seed);
    if (isfinite(entropy)) {
        md_json_put_int(&line, "chain_seed", opt->chain_seed);
        md_json_put_real(&line, "entropy_rate_nats_per_symbol", entropy);
        md_json_put_real(&line, "entropy_rate_bits_per_symbol", entropy / log(2));
    }
    return md_json_end(&line, err);
}

static mdlm_status tales(const md_cli *cli, mdlm_error *err) {
    const corpus_options *opt = cli->settings;
    md_buffer text = {0};
    mdlm_status status = md_tales((uint64_t)cli->common.seed, opt->bytes, &text, err);
    if (status == MDLM_OK) status = deliver(opt, &text, err);
    if (status == MDLM_OK) status = report(cli, "tales", &text, NAN, err);
    md_buffer_release(&text);
    return status;
}

static mdlm_status questions(const md_cli *cli, mdlm_error *err) {
    const corpus_options *opt = cli->settings;
    md_buffer text = {0};
    mdlm_status status =
        md_questions((uint64_t)cli->common.seed, opt->first_index, opt->count, &text, err);
    if (status == MDLM_OK) status = deliver(opt, &text, err);
    if (status == MDLM_OK) status = report(cli, "questions", &text, NAN, err);
    md_buffer_release(&text);
    return status;
}

static mdlm_status likelihood(const md_cli *cli, const md_markov *chain, mdlm_error *err) {
    const corpus_options *opt = cli->settings;
    md_buffer text = {0};
    double nats = 0;
    mdlm_status status = md_cli_read(opt->nll, &text, err);
    while (text.size > 0 && text.data[text.size - 1] == '\n') text.size--;
    if (status == MDLM_OK && text.size == 0) {
        status = md_fail(err, MDLM_INPUT, "'%s' is empty", opt->nll);
    }
    mdlm_error reason = {0};
    if (status == MDLM_OK &&
        (status = md_markov_nll(chain, text.data, text.size, &nats, &reason)) != MDLM_OK) {
        md_fail(err, status, "'%s': %s", opt->nll, reason.message);
    }
    double rate = nats / (double)text.size;
    if (status == MDLM_OK && cli->common.json) {
        md_json_line line;
        md_json_begin(&line);
        md_json_put_real(&line, "nll_nats", nats);
        md_json_put_real(&line, "nll_nats_per_byte", rate);
        md_json_put_int(&line, "bytes", (int64_t)text.size);
        md_json_put_int(&line, "chain_seed", opt->chain_seed);
        md_json_put_real(&line, "entropy_rate_nats_per_symbol", md_markov_entropy_rate(chain));
        status = md_json_end(&line, err);
    } else if (status == MDLM_OK) {
        status = md_cli_print(err, "-log p %.6f nats, %.6f nats/byte, %zu bytes\n", nats, rate,
                              text.size);
    }
    md_buffer_release(&text);
    return status;
}

static mdlm_status markov(const md_cli *cli, mdlm_error *err) {
    const corpus_options *opt = cli->settings;
    md_markov chain;
    md_markov_init(&chain, (uint64_t)opt->chain_seed);
    if (*opt->nll) return likelihood(cli, &chain, err);
    double entropy = md_markov_entropy_rate(&chain);
    md_buffer text = {0};
    mdlm_status status = md_markov_text(&chain, (uint64_t)cli->common.seed, opt->bytes, &text, err);
    if (status == MDLM_OK) status = deliver(opt, &text, err);
    if (status == MDLM_OK) {
        md_cli_note(cli, "entropy rate %.6f nats, %.6f bits per symbol (chain seed %lld%s)",
                    entropy, entropy / log(2), (long long)opt->chain_seed,
                    md_cli_defaulted(cli, "chain_seed"));
        status = report(cli, "markov", &text, entropy, err);
    }
    md_buffer_release(&text);
    return status;
}

/* A folder, or a look at it, or both. */
static mdlm_status shapes(const md_cli *cli, mdlm_error *err) {
    const corpus_options *opt = cli->settings;
    const md_shapes_folder what = {.folder = opt->out,
                                   .seed = (uint64_t)cli->common.seed,
                                   .first = opt->first_index,
                                   .count = opt->count,
                                   .image_size = (int)opt->image_size,
                                   .quiet = cli->common.quiet};
    if (!*opt->out && !opt->show) {
        return md_fail(err, MDLM_USAGE, "shapes are a folder of pictures: give it with --out");
    }
    if (*opt->out) MD_TRY(md_shapes_export(&what, err));
    if (cli->common.json) {
        md_json_line line;
        md_json_begin(&line);
        md_json_put_string(&line, "corpus", "shapes");
        md_json_put_int(&line, "images", opt->count);
        md_json_put_int(&line, "first_index", opt->first_index);
        md_json_put_int(&line, "image_size", opt->image_size);
        md_json_put_string(&line, "out", opt->out);
        md_json_put_int(&line, "seed", cli->common.seed);
        return md_json_end(&line, err);
    }
    if (opt->show) {
        bool shown = false;
        MD_TRY(md_shapes_show(&what, &shown, err));
        if (!shown) md_cli_note(cli, "stdout is no terminal that can show pictures");
    }
    if (*opt->out) {
        md_cli_note(cli, "%lld images in '%s'; next: mdlm image-train %s", (long long)opt->count,
                    opt->out, opt->out);
    }
    return MDLM_OK;
}

static const char *const of_markov[] = {"chain_seed", "nll", NULL};
static const char *const of_numbered[] = {"count", "first_index", NULL};
static const char *const of_texts[] = {"bytes", NULL};
static const char *const of_shapes[] = {"image_size", "show", NULL};

static mdlm_status refuse_others(const md_options *o, const char *name, mdlm_error *err) {
    bool is_markov = !strcmp(name, "markov"), is_shapes = !strcmp(name, "shapes");
    bool numbered = is_shapes || !strcmp(name, "questions");
    if (!is_markov) MD_TRY(md_options_refuse(o, of_markov, "markov, whose law is known", err));
    if (!is_shapes) MD_TRY(md_options_refuse(o, of_shapes, "shapes", err));
    if (!numbered) MD_TRY(md_options_refuse(o, of_numbered, "questions and shapes", err));
    if (numbered) MD_TRY(md_options_refuse(o, of_texts, "tales and markov", err));
    return MDLM_OK;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    static const char *const names[] = {"tales", "markov", "questions", "shapes"};
    static mdlm_status (*const make[])(const md_cli *, mdlm_error *) = {tales, markov, questions,
                                                                        shapes};
    enum { NAMES = sizeof names / sizeof *names };
    const corpus_options *opt = cli->settings;
    const char *name = md_cli_argument(cli);
    int which = 0;
    while (which < NAMES && strcmp(name, names[which])) which++;
    if (which == NAMES) {
        const char *near = md_suggest(name, names, NAMES);
        return md_fail(err, MDLM_USAGE, "unknown corpus '%s'; %s '%s'?", name,
                       near ? "did you mean" : "did you mean 'tales', 'markov', 'questions' or",
                       near ? near : "shapes");
    }
    MD_TRY(refuse_others(cli->options, name, err));
    if (cli->common.json && !*opt->out && !*opt->nll) {
        return md_fail(err, MDLM_USAGE, "--json needs --out: stdout cannot hold a corpus and JSON");
    }
    return make[which](cli, err);
}

static const md_cli_section sections[] = {{"Corpus", table}, {NULL, NULL}};
static const md_option_alias aliases[] = {{"-o", "out"}, {NULL, NULL}};

const md_command md_cmd_corpus = {
    .name = "corpus",
    .arguments = "tales|markov|questions|shapes",
    .summary =
        "Write a synthetic corpus: tales, markov (known entropy), questions (for --sft), shapes "
        "(pictures).",
    .examples = "  mdlm corpus tales --bytes 2000000 --out tales.txt\n"
                "  mdlm corpus markov --seed 2 --out other.txt     another text of the same chain\n"
                "  mdlm corpus markov --nll other.txt              its -log p, exactly\n"
                "  mdlm corpus questions --out questions.jsonl     sums and answers, for --sft\n"
                "  mdlm corpus questions --first-index 4000 --count 500 --out held-out.jsonl\n"
                "  mdlm corpus shapes --count 800 --out pictures   a folder of PNG and captions\n"
                "  mdlm corpus shapes --show                       a look at them\n",
    .notes = "markov: an order-1 chain over a..p, drawn from --chain-seed; --seed draws\n"
             "the text. Texts of one --chain-seed follow one law: train on --seed 1, evaluate on\n"
             "--seed 2.\n"
             "shapes: a folder for every class, files by number, captions in captions.jsonl; mdlm\n"
             "image-train needs none of this, it draws the same pictures by itself.\n",
    .settings_size = sizeof(corpus_options),
    .sections = sections,
    .aliases = aliases,
    .min_positional = 1,
    .max_positional = 1,
    .run = run,
};
