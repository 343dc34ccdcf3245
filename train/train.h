/* train/train.h: train a model into a run folder.
 *
 *     md_train_request request = {.options = options, .run = "mdlm-run", .paths = paths,
 *                                 .path_count = 1, .seed = 1, .threads = 2, .on_event = show};
 *     md_train_result result;
 *     status = md_train_text(&request, &settings, &result, err);
 *
 * N steps give the same bits as k steps, a stop, `resume`, and N-k steps (not with `time`).
 */
#ifndef MD_TRAIN_TRAIN_H
#define MD_TRAIN_TRAIN_H

#include "train/measure.h"
#include "train/settings.h"

typedef enum md_train_event_kind {
    MD_EVENT_PACK,   /* reading the corpus: done and total bytes (0: unknown) */
    MD_EVENT_PLAN,   /* text: what was chosen and why, several lines */
    MD_EVENT_STEP,   /* after every optimizer step */
    MD_EVENT_EVAL,   /* after a validation: val_loss is new; best says whether it is the best */
    MD_EVENT_SAMPLE, /* text: a line that the model wrote, or that says where its pictures are */
    MD_EVENT_SAVED,  /* text: path of the checkpoint */
    MD_EVENT_NOTE,   /* text: something to know (a skipped step, an old checkpoint refused) */
} md_train_event_kind;

/* Numbers are valid for STEP and EVAL events. Losses are as `measure` says, NAN while unknown. */
typedef struct md_train_event {
    md_train_event_kind kind;
    const char *text;
    int64_t done, total;
    int64_t step, steps;     /* steps 0 when a time budget rules */
    double progress;         /* 0..1 of the steps or of the time */
    double seconds;          /* of training so far, earlier parts of the run included */
    double eta;              /* seconds to go */
    double items_per_second; /* over the last few seconds */
    const md_measure *measure;
    double train_loss; /* smoothed */
    double val_loss;
    bool best;
    double lr, grad_norm;
} md_train_event;

/* Non-zero stops after the current step: the run is saved and can be resumed. */
typedef int (*md_train_event_fn)(void *user, const md_train_event *event);

typedef struct md_train_request {
    md_options *options;      /* of the settings: records what was chosen; written to run.json */
    const char *command;      /* the command line, for run.json */
    const char *run;          /* folder */
    const char *const *paths; /* what to train on; none with resume */
    size_t path_count;
    uint64_t seed;
    bool seed_given;     /* asked for, so that a resumed run must have the same */
    int threads;         /* >= 1 */
    const char *kernels; /* NULL: the best */
    md_train_event_fn on_event;
    void *user;
} md_train_request;

typedef struct md_train_result {
    int64_t parameters, steps, items; /* items seen, this call and earlier parts of the run */
    double seconds, items_per_second; /* of training proper: evaluation and saving excluded */
    md_measure measure;               /* what items are, and losses */
    double train_loss, val_loss;      /* val_loss is the best one's EMA weights */
    int64_t peak_rss_bytes;
    bool stopped; /* by the callback or stop_at, before the planned end */
} md_train_result;

/* Trains a language model. Zeros in `settings` are filled with what was chosen.
 *
 * The run folder is a Hugging Face model folder: config.json, generation_config.json,
 * tokenizer.json, tokenizer_config.json, special_tokens_map.json, model.safetensors (EMA weights of
 * the best validation), and run.json, metrics.jsonl, loss.svg, data/ (the packed corpus),
 * checkpoints/step-N/. With `lora` adapter_config.json and adapter_model.safetensors (model/lora.h)
 * stand in the place of the weights, and the model of `init` must stay where it is. With `sft` the
 * corpus is prompts and answers (train/sft.h), and tokenizer_config.json has a chat template.
 *
 * MDLM_USAGE: settings that do not fit, a folder that holds a run (without resume or overwrite), no
 * run to resume, a run of another shape. MDLM_INPUT: corpus or checkpoint. MDLM_NUMERIC: the loss
 * or the gradients stay non-finite. MDLM_CANCELLED: stopped before any step was taken. When stopped
 * later: MDLM_OK with result->stopped. */
mdlm_status md_train_text(const md_train_request *request, md_train_settings *settings,
                          md_train_result *result, mdlm_error *err);

#endif
