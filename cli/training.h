/* cli/training.h: what `train` and `image-train` have in common: what they show while they run, and
 * their report.
 *
 *     md_training t;
 *     MD_TRY(md_training_begin(&t, cli, paths, count, err));
 *     status = md_train_text(&t.request, settings, &t.result, err);
 *     md_training_end(&t);
 *     if (status == MDLM_OK) status = md_training_report(&t, &words, err);
 */
#ifndef MD_CLI_TRAINING_H
#define MD_CLI_TRAINING_H

#include "cli/common.h"
#include "cli/terminal.h"
#include "train/train.h"

typedef struct md_training {
    const md_cli *cli;
    md_train_request request; /* complete; its events are shown */
    md_train_result result;
    /* its own */
    md_progress progress;
    double drawn;      /* md_now() of the last line */
    md_buffer command; /* as it can be typed again */
} md_training;

/* Stays where it is until the end: the request points to it. Signals are caught from here on. Paths
 * are not copied. On failure there is nothing to end. */
mdlm_status md_training_begin(md_training *t, const md_cli *cli, const char *const *paths,
                              size_t count, mdlm_error *err);
/* The screen is free again. Request and result stay valid, but for the request's command. */
void md_training_end(md_training *t);

typedef struct md_training_words {
    const char *next;  /* what to type next: "to let it write: mdlm generate --blocks 8" */
    bool unit_in_keys; /* "train_nelbo_nats_per_byte", not "train_nelbo" */
} md_training_words;

/* A summary and the next command on stderr, with --json the result on stdout. */
mdlm_status md_training_report(const md_training *t, const md_training_words *words,
                               mdlm_error *err);

#endif
