/* train/session.h: what every training has beside its model and its data: the run's folder, the
 * machine, the events.
 *
 *     md_session s;
 *     md_session_begin(&s, &kind, request, &settings->loop, err);
 *     a new run:      MD_TRY(md_session_stage(&s));             s.staging: prepare everything in it
 *                     MD_TRY(md_session_publish(&s));           it is the run now, and locked
 *     an earlier one: MD_TRY(md_session_reopen(&s, &data));     its options are the settings now
 *     both:           MD_TRY(md_session_loop(&s, &task, &result));
 *     md_session_end(&s);
 *
 * A new run that saves no checkpoint is undone at the end, and what it was to replace put back.
 */
#ifndef MD_TRAIN_SESSION_H
#define MD_TRAIN_SESSION_H

#include "train/loop.h"
#include "train/run.h"

typedef struct md_session {
    const md_run_kind *kind;
    md_train_request request; /* whose events go through the session */
    md_loop_settings *set;
    mdlm_error *err; /* never NULL */
    char *staging;   /* while a new run is prepared; else NULL */
    md_pool *pool;   /* the machine: after stage or reopen */
    md_kernels kernels;
    md_tape *tape;

    /* the session's own */
    md_train_event_fn listener; /* the caller's; may be NULL */
    void *listener_user;
    mdlm_error local;
    char *aside; /* the old run that a new one replaces, until the new one has saved something */
    bool unborn; /* a new run that has saved nothing yet */
    int lock;    /* descriptor of the run's folder; -1: none */
} md_session;

/* The session stays where it is: its request points to it. */
void md_session_begin(md_session *s, const md_run_kind *kind, const md_train_request *request,
                      md_loop_settings *set, mdlm_error *err);
void md_session_end(md_session *s); /* after a failure, too */

/* Checks that the run's folder may be taken, opens the machine, and makes the folder in which the
 * run is prepared. */
mdlm_status md_session_stage(md_session *s);
/* Puts it in place. */
mdlm_status md_session_publish(md_session *s);

/* Takes over the options and the seed of the run that `resume` goes on with, and opens the machine.
 * *data as md_run_read. */
mdlm_status md_session_reopen(md_session *s, cJSON **data);

/* Writes run.json into a folder. */
mdlm_status md_session_write_run(md_session *s, const char *folder, const cJSON *data,
                                 int64_t parameters);

/* An event that carries text. MDLM_CANCELLED when the listener asks to stop. */
mdlm_status md_session_say(md_session *s, md_train_event_kind kind, const char *text);

mdlm_status md_session_loop(md_session *s, const md_task *task, md_train_result *result);

#endif
