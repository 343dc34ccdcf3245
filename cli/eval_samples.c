/* cli/eval_samples.c: see eval_samples.h. */
#include "cli/eval_samples.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/output.h"
#include "corpora/quality.h"

/* --- the reference ---------------------------------------------------------------------------- */

/* What the run was trained on, and the tokenizer that reads it. */
static mdlm_status open_own(const md_cli *cli, md_tokenizer **tok, md_reference **out,
                            mdlm_error *err) {
    char *folder = md_path_join(cli->model, "data", err);
    if (!folder) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    if (!md_is_dir(folder)) {
        status = md_fail(err, MDLM_USAGE,
                         "'%s' keeps no corpus: name one, --samples FILE --reference corpus.txt",
                         cli->model);
    }
    if (status == MDLM_OK) status = md_tokenizer_load(cli->model, tok, err);
    if (status == MDLM_OK) status = md_reference_packed(folder, *tok, out, err);
    md_free(folder);
    return status;
}

static mdlm_status open_reference(const md_cli *cli, const char *path, md_tokenizer **tok,
                                  md_reference **out, mdlm_error *err) {
    if (!*path) return open_own(cli, tok, out, err);
    return md_reference_files(&path, 1, md_pack_defaults().val_fraction, out, err);
}

/* --- printing --------------------------------------------------------------------------------- */

typedef struct row {
    const char *name, *unit;
    double samples, held_out;
    int decimals;
} row;

static mdlm_status print_row(row r, mdlm_error *err) {
    const double values[2] = {r.samples, r.held_out};
    MD_TRY(md_cli_print(err, "%-24s", r.name));
    for (int i = 0; i < 2; i++) {
        if (isfinite(values[i]))
            MD_TRY(md_cli_print(err, "%12.*f", r.decimals, values[i]));
        else
            MD_TRY(md_cli_print(err, "%12s", "n/a"));
    }
    return md_cli_print(err, "   %s\n", r.unit);
}

static mdlm_status print_shares(const md_quality *s, const md_quality *h, mdlm_error *err) {
    char name[32];
    for (int n = 1; n <= MD_DISTINCT; n++) {
        snprintf(name, sizeof name, "distinct-%d", n);
        const char *unit = n == 1 ? "different words / words" : "... of n words";
        MD_TRY(print_row((row){name, unit, s->distinct[n - 1], h->distinct[n - 1], 3}, err));
    }
    row repetition = {"repetition", "4-grams of words seen before in the same text", s->repetition,
                      h->repetition, 3};
    row valid = {"word validity", "words that the reference has", s->word_validity,
                 h->word_validity, 3};
    MD_TRY(print_row(repetition, err));
    MD_TRY(print_row(valid, err));
    for (int n = 2; n <= MD_NOVELTY; n++) {
        snprintf(name, sizeof name, "novel %d-grams, words", n);
        const char *unit = n == 2 ? "not in the reference" : "";
        MD_TRY(print_row((row){name, unit, s->novel_words[n], h->novel_words[n], 3}, err));
    }
    for (int n = 2; n <= MD_NOVELTY; n++) {
        snprintf(name, sizeof name, "novel %d-grams, bytes", n);
        MD_TRY(print_row((row){name, "", s->novel_bytes[n], h->novel_bytes[n], 3}, err));
    }
    return MDLM_OK;
}

static mdlm_status print_text(const md_quality_report *r, int64_t order, mdlm_error *err) {
    const md_quality *s = &r->samples, *h = &r->held_out;
    char model[64];
    snprintf(model, sizeof model, "under %lld-grams of the reference", (long long)order);
    MD_TRY(md_cli_print(err, "%-24s%12s%12s\n", "", "samples", "held out"));
    const row rows[] = {
        {"perplexity per byte", model, s->perplexity, h->perplexity, 4},
        {"nats per byte", "", s->nats_per_byte, h->nats_per_byte, 4},
        {"  +- over texts", "standard error", s->stderr_nats, h->stderr_nats, 4},
        {"entropy, bytes", "bits/byte, of all texts together", s->entropy_byte, h->entropy_byte, 3},
        {"entropy, bytes of a text", "bits/byte, mean over texts", s->entropy_text, h->entropy_text,
         3},
        {"entropy, words", "bits/word, of all texts together", s->entropy_word, h->entropy_word, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) MD_TRY(print_row(rows[i], err));
    MD_TRY(print_shares(s, h, err));
    row bytes = {"longest copy, bytes", "longest span that the reference has",
                 (double)s->copied_bytes, (double)h->copied_bytes, 0};
    row words = {"longest copy, words", "", (double)s->copied_words, (double)h->copied_words, 0};
    MD_TRY(print_row(bytes, err));
    MD_TRY(print_row(words, err));
    return md_cli_print(err,
                        "%lld samples (%lld empty), %lld bytes, %lld words; reference %lld bytes, "
                        "held out %lld\n",
                        (long long)s->texts, (long long)s->empty, (long long)s->bytes,
                        (long long)s->words, (long long)r->reference_bytes,
                        (long long)r->held_out_bytes);
}

static void put_reals(md_json_line *line, const char *key, const double *values, int count) {
    md_json_open(line, key, '[');
    for (int i = 0; i < count; i++) md_json_put_real(line, NULL, values[i]);
    md_json_close(line, ']');
}

static void put_quality(md_json_line *line, const md_quality *q) {
    md_json_put_int(line, "texts", q->texts);
    md_json_put_int(line, "empty", q->empty);
    md_json_put_int(line, "bytes", q->bytes);
    md_json_put_int(line, "words", q->words);
    md_json_put_real(line, "nats_per_byte", q->nats_per_byte);
    md_json_put_real(line, "stderr_nats_per_byte", q->stderr_nats);
    md_json_put_real(line, "bits_per_byte", q->bits_per_byte);
    md_json_put_real(line, "perplexity", q->perplexity);
    md_json_put_real(line, "entropy_bits_per_byte", q->entropy_byte);
    md_json_put_real(line, "entropy_bits_per_byte_within_texts", q->entropy_text);
    md_json_put_real(line, "entropy_bits_per_word", q->entropy_word);
    put_reals(line, "distinct", q->distinct, MD_DISTINCT);
    md_json_put_real(line, "repetition", q->repetition);
    md_json_put_real(line, "word_validity", q->word_validity);
    put_reals(line, "novel_words", q->novel_words + 2, MD_NOVELTY - 1);
    put_reals(line, "novel_bytes", q->novel_bytes + 2, MD_NOVELTY - 1);
    md_json_put_int(line, "longest_copy_bytes", q->copied_bytes);
    md_json_put_int(line, "longest_copy_words", q->copied_words);
}

/* The longest span that was copied, as it stands in the samples. */
static void put_copy(md_json_line *line, const md_samples *samples, const md_quality *q) {
    size_t size;
    if (q->copied_bytes == 0) return;
    const char *text = md_sample(samples, q->copied_text, &size);
    md_json_put_text(line, "longest_copy", text + q->copied_at, (size_t)q->copied_bytes);
}

static mdlm_status print_json(const md_samples *samples, const md_quality_report *r, int64_t order,
                              mdlm_error *err) {
    md_json_line line;
    md_json_begin(&line);
    put_quality(&line, &r->samples);
    put_copy(&line, samples, &r->samples);
    md_json_open(&line, "held_out", '{');
    put_quality(&line, &r->held_out);
    md_json_close(&line, '}');
    md_json_put_int(&line, "order", order);
    md_json_put_int(&line, "reference_bytes", r->reference_bytes);
    md_json_put_int(&line, "held_out_bytes", r->held_out_bytes);
    return md_json_end(&line, err);
}

mdlm_status md_eval_samples(const md_cli *cli, const md_eval_samples_options *opt,
                            mdlm_error *err) {
    md_samples samples = {0};
    md_tokenizer *tok = NULL;
    md_reference *ref = NULL;
    md_quality_report report;
    md_quality_options how = {.order = (int)opt->order};
    mdlm_status status;
    MD_GOTO(done, status, md_samples_read(&samples, opt->samples, err));
    MD_GOTO(done, status, open_reference(cli, opt->reference, &tok, &ref, err));
    md_cli_note(cli, "%zu samples of '%s' against '%s'%s, n-grams of %lld bytes%s", samples.count,
                opt->samples, *opt->reference ? opt->reference : cli->model,
                *opt->reference ? ", its last tenth or a tenth of its documents held out"
                                : ", its validation part held out",
                (long long)opt->order, md_cli_defaulted(cli, "order"));
    MD_GOTO(done, status, md_quality_measure(&samples, ref, &how, &report, err));
    status = cli->common.json ? print_json(&samples, &report, opt->order, err)
                              : print_text(&report, opt->order, err);
done:
    md_reference_free(ref);
    md_tokenizer_free(tok);
    md_samples_release(&samples);
    return status;
}
