/* cli/cmd_tokenize.c: `mdlm tokenize`: text to ids, ids to text, and training of tokenizers. */
#include <string.h>

#include "base/file.h"
#include "api/gguf_tokenizer.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "corpora/corpus.h"
#include "tokenizer/tokenizer.h"

#define TOKENIZE_OPTIONS(X) \
    X(TEXT, tokenizer, "", 0, 0, \
      "bytes, a tokenizer.json or a folder with one; empty: the model's. With --train: chars or " \
      "bpe") \
    X(FLAG, ids, false, 0, 0, "print ids (which is what happens anyway)") \
    X(FLAG, decode, false, 0, 0, "the input holds ids: print their text, byte for byte") \
    X(FLAG, train, false, 0, 0, "train a tokenizer on the text and save it in --out") \
    X(INT, vocab_size, 4096, 260, 1000000, "with --train: size of a bpe vocabulary") \
    X(FLAG, nfc, false, 0, 0, "with --train: a bpe that normalises text to NFC") \
    X(TEXT, out, "", 0, 0, "with --train: folder for tokenizer.json")

typedef struct tokenize_options {
    TOKENIZE_OPTIONS(MD_OPTION_FIELD)
} tokenize_options;

#define MD_OPTION_STRUCT tokenize_options
static const md_option table[] = {TOKENIZE_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

static mdlm_status load(const md_cli *cli, md_tokenizer **out, mdlm_error *err) {
    const tokenize_options *opt = cli->settings;
    if (strcmp(opt->tokenizer, "bytes") == 0) return md_tokenizer_bytes(out, err);
    if (strcmp(opt->tokenizer, "chars") == 0 || strcmp(opt->tokenizer, "bpe") == 0) {
        return md_fail(err, MDLM_USAGE,
                       "--tokenizer %s must be trained first: mdlm tokenize --train --tokenizer %s "
                       "--out FOLDER text.txt",
                       opt->tokenizer, opt->tokenizer);
    }
    if (*opt->tokenizer) return md_model_tokenizer(opt->tokenizer, NULL, out, err);
    if (!*cli->common.model && !md_is_dir(cli->model)) {
        return md_fail(err, MDLM_INPUT,
                       "there is no run in '%s': name a tokenizer with --tokenizer, for example "
                       "--tokenizer bytes",
                       cli->model);
    }
    md_model_config config;
    MD_TRY(md_model_config_load(cli->model, &config, err));
    return md_model_tokenizer(cli->model, &config, out, err);
}

static mdlm_status encode(const md_cli *cli, const md_tokenizer *tok, const md_buffer *input,
                          mdlm_error *err) {
    md_ids ids = {0};
    md_buffer text = {0};
    mdlm_status status =
        md_tokenizer_encode(tok, input->data ? input->data : "", input->size, &ids, err);
    if (status == MDLM_OK && cli->common.json) {
        md_json_line line;
        md_json_begin(&line);
        md_json_put_ids(&line, "ids", ids.data, ids.count);
        md_json_put_int(&line, "count", (int64_t)ids.count);
        md_json_put_int(&line, "bytes", (int64_t)input->size);
        status = md_json_end(&line, err);
    } else if (status == MDLM_OK) {
        status = md_cli_ids_text(&text, ids.data, ids.count, err);
        if (status == MDLM_OK) status = md_buffer_text(&text, "\n", err);
        if (status == MDLM_OK) status = md_cli_write(text.data, text.size, err);
    }
    md_buffer_release(&text);
    md_ids_release(&ids);
    return status;
}

static mdlm_status decode(const md_cli *cli, const md_tokenizer *tok, const md_buffer *input,
                          mdlm_error *err) {
    md_ids ids = {0};
    md_buffer text = {0};
    mdlm_status status = md_cli_ids_parse(input->data ? input->data : "", input->size,
                                          md_tokenizer_vocab_size(tok), &ids, err);
    if (status == MDLM_OK) status = md_tokenizer_decode(tok, ids.data, ids.count, &text, err);
    if (status == MDLM_OK && cli->common.json) {
        md_json_line line;
        md_json_begin(&line);
        md_json_put_text(&line, "text", text.data ? text.data : "", text.size);
        md_json_put_int(&line, "count", (int64_t)ids.count);
        md_json_put_int(&line, "bytes", (int64_t)text.size);
        status = md_json_end(&line, err);
    } else if (status == MDLM_OK) {
        status = md_cli_write(text.data, text.size, err);
    }
    md_buffer_release(&text);
    md_ids_release(&ids);
    return status;
}

static mdlm_status train_on(const tokenize_options *opt, md_text_source source, md_tokenizer **out,
                            mdlm_error *err) {
    if (strcmp(opt->tokenizer, "chars") == 0) return md_tokenizer_train_chars(source, out, err);
    md_bpe_options bpe = {.vocab_size = (int)opt->vocab_size, .nfc = opt->nfc};
    return md_tokenizer_train_bpe(source, &bpe, out, err);
}

static mdlm_status report(const md_cli *cli, const md_tokenizer *tok, mdlm_error *err) {
    const tokenize_options *opt = cli->settings;
    int size = md_tokenizer_vocab_size(tok);
    if (!cli->common.json) {
        md_cli_note(cli,
                    "'%s/tokenizer.json': %s, vocabulary %d; next: mdlm train --tokenizer %s "
                    "corpus.txt",
                    opt->out, md_tokenizer_kind_name(tok), size, opt->out);
        return MDLM_OK;
    }
    md_json_line line;
    md_json_begin(&line);
    md_json_put_string(&line, "tokenizer", md_tokenizer_kind_name(tok));
    md_json_put_int(&line, "vocab_size", size);
    md_json_put_string(&line, "out", opt->out);
    return md_json_end(&line, err);
}

static mdlm_status train(const md_cli *cli, const char *path, mdlm_error *err) {
    enum { SEQ_LEN = 1 << 20 }; /* nothing limits the length of a text here */
    const tokenize_options *opt = cli->settings;
    const char *kind = opt->tokenizer;
    if (*kind && strcmp(kind, "bpe") != 0 && strcmp(kind, "chars") != 0) {
        return md_fail(err, MDLM_USAGE, "--tokenizer '%s' cannot be trained: expected bpe or chars",
                       kind);
    }
    if (!*opt->out) return md_fail(err, MDLM_USAGE, "--train needs --out FOLDER");
    if (strcmp(path, "-") == 0) return md_fail(err, MDLM_USAGE, "--train needs a file, not '-'");
    md_reader *reader = NULL;
    md_tokenizer *tok = NULL;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_reader_open(&path, 1, &reader, err));
    MD_GOTO(done, status, train_on(opt, md_reader_source(reader), &tok, err));
    MD_GOTO(done, status, md_dir_make(opt->out, err));
    MD_GOTO(done, status, md_tokenizer_save(tok, opt->out, SEQ_LEN, err));
    status = report(cli, tok, err);
done:
    md_tokenizer_free(tok);
    md_reader_free(reader);
    return status;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const tokenize_options *opt = cli->settings;
    const char *path = md_cli_argument(cli);
    if (opt->decode + opt->ids + opt->train > 1) {
        return md_fail(err, MDLM_USAGE, "give one of --ids, --decode and --train");
    }
    if (opt->train) return train(cli, path, err);
    md_tokenizer *tok = NULL;
    md_buffer input = {0};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, load(cli, &tok, err));
    MD_GOTO(done, status, md_cli_read(path, &input, err));
    status = opt->decode ? decode(cli, tok, &input, err) : encode(cli, tok, &input, err);
done:
    md_buffer_release(&input);
    md_tokenizer_free(tok);
    return status;
}

static const md_cli_section sections[] = {{"Tokens", table}, {NULL, NULL}};
static const md_option_alias aliases[] = {{"-o", "out"}, {NULL, NULL}};

const md_command md_cmd_tokenize = {
    .name = "tokenize",
    .arguments = "FILE|-",
    .summary = "Turn text into token ids and back, or train a tokenizer.",
    .examples = "  printf 'To be' | mdlm tokenize -\n"
                "  mdlm tokenize --tokenizer bytes text.txt | mdlm tokenize --tokenizer bytes "
                "--decode -\n"
                "  mdlm tokenize --train --vocab-size 2048 --out tok corpus.txt\n",
    .settings_size = sizeof(tokenize_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .min_positional = 1,
    .max_positional = 1,
    .run = run,
};
