/* cli/cmd_train.c: `mdlm train`: settings to train/, its events to the screen. */
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/training.h"

static mdlm_status train(md_cli *cli, const char **paths, size_t count, mdlm_error *err) {
    md_train_settings *settings = cli->settings;
    md_training t;
    MD_TRY(md_training_begin(&t, cli, paths, count, err));
    mdlm_status status = md_train_text(&t.request, settings, &t.result, err);
    md_training_end(&t);
    MD_TRY(status);
    const md_training_words words = {.next = settings->sft
                                                 ? "to talk to it:    mdlm chat"
                                                 : "to let it write: mdlm generate --blocks 8",
                                     .unit_in_keys = true};
    return md_training_report(&t, &words, err);
}

/* Trains on the files that an earlier run was trained on, as its run.json (--config) has them. */
static mdlm_status train_again(md_cli *cli, mdlm_error *err) {
    enum { LARGEST = 1 << 26 };
    const char *path = cli->common.config;
    cJSON *root = NULL;
    MD_TRY(md_json_load(path, LARGEST, &root, err));
    const cJSON *corpus = cJSON_GetObjectItemCaseSensitive(root, "corpus"), *source;
    const cJSON *sources = cJSON_GetObjectItemCaseSensitive(corpus, "sources");
    mdlm_status status = MDLM_RUNTIME;
    size_t count = 0;
    const char **paths = md_alloc((size_t)cJSON_GetArraySize(sources), sizeof *paths, err);
    if (!paths) goto done;
    cJSON_ArrayForEach(source, sources) {
        MD_GOTO(done, status, md_json_text(source, "path", path, &paths[count], err));
        count++;
    }
    if (count == 0) {
        status = md_fail(err, MDLM_USAGE, "'%s' names no corpus: mdlm train corpus.txt --config %s",
                         path, path);
        goto done;
    }
    status = train(cli, paths, count, err);
done:
    md_free(paths);
    cJSON_Delete(root);
    return status;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const md_train_settings *settings = cli->settings;
    size_t count = md_options_positional_count(cli->options);
    if (count == 0 && !settings->loop.resume && *cli->common.config) return train_again(cli, err);
    if (count == 0 && !settings->loop.resume) {
        return md_fail(err, MDLM_USAGE, "train needs a corpus: mdlm train corpus.txt");
    }
    const char **paths = md_alloc(count, sizeof *paths, err);
    if (!paths) return MDLM_RUNTIME;
    for (size_t i = 0; i < count; i++) paths[i] = md_options_positional(cli->options, i);
    mdlm_status status = train(cli, paths, count, err);
    md_free(paths);
    return status;
}

static const md_cli_section sections[] = {
    {"Data", md_data_settings_table},
    {"Network", md_model_settings_table},
    {"Objective", md_objective_settings_table},
    {"Training", md_text_loop_table},
    {"Run", md_text_run_table},
    {NULL, NULL},
};

static const md_option_alias aliases[] = {
    {"-c", "seq_len"}, {"--ctx-size", "seq_len"}, {"-m", "init"}, {"--model", "init"}, {NULL, NULL},
};

const md_command md_cmd_train = {
    .name = "train",
    .arguments = "FILE...",
    .summary = "Train a model on text; the size fits the corpus unless you choose it.",
    .examples = "  mdlm train corpus.txt                          everything chosen for you\n"
                "  mdlm train corpus.txt --time 10m               for ten minutes\n"
                "  mdlm train books/ notes.jsonl.gz --preset 10m  folders, .jsonl and .gz too\n"
                "  mdlm train --sft pairs.jsonl --init mdlm-run --run tuned   to answer prompts\n"
                "  mdlm train corpus.txt --layers 6 --dim 384 --heads 6 --steps 5000 --run big\n"
                "  mdlm train corpus.txt --objective block --block-length 16  text of any length\n"
                "  mdlm train corpus.txt --objective ar           the autoregressive baseline\n"
                "  mdlm train --resume                            go on after Ctrl-C\n",
    .notes =
        "FILE is UTF-8 text (any bytes), .jsonl (member \"text\"), a folder, or these as\n"
        ".gz. Ctrl-C saves the run; a second Ctrl-C does not wait for that.\n"
        "With --sft losses are per token of the answers (their end-of-text included). What is\n"
        "learned of the end-of-text after an answer is in the loss, not in those tokens.\n",
    .settings_size = sizeof(md_train_settings),
    .sections = sections,
    .aliases = aliases,
    .max_positional = SIZE_MAX,
    .run = run,
};
