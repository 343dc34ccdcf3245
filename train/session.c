/* train/session.c: see session.h. */
#include "train/session.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/plan_loop.h"
#include "train/run_folder.h"

/* Passes events on; the first checkpoint makes a new run worth keeping. */
static int relay(void *user, const md_train_event *e) {
    md_session *s = user;
    if (e->kind == MD_EVENT_SAVED && s->unborn) {
        s->unborn = false;
        if (s->aside) md_dir_remove(s->aside, NULL);
    }
    return s->listener ? s->listener(s->listener_user, e) : 0;
}

void md_session_begin(md_session *s, const md_run_kind *kind, const md_train_request *request,
                      md_loop_settings *set, mdlm_error *err) {
    *s = (md_session){.kind = kind,
                      .request = *request,
                      .set = set,
                      .listener = request->on_event,
                      .listener_user = request->user,
                      .lock = -1};
    s->err = err ? err : &s->local;
    s->request.on_event = relay;
    s->request.user = s;
}

void md_session_end(md_session *s) {
    md_tape_free(s->tape);
    md_pool_free(s->pool);
    if (s->unborn) md_run_undo(s->request.run, s->aside);
    if (s->lock >= 0) close(s->lock);
    if (s->staging) md_dir_remove(s->staging, NULL);
    md_free(s->staging);
    md_free(s->aside);
}

/* When the settings are complete: after a run's own have been read. */
static mdlm_status open_machine(md_session *s) {
    MD_TRY(md_kernels_init(&s->kernels, s->request.kernels, s->err));
    if (!strcmp(s->set->dtype, "auto")) {
        s->set->dtype = md_kernels_fast_dtype(&s->kernels);
        if (s->request.options) md_options_chosen(s->request.options, "dtype");
    }
    MD_TRY(md_kernels_set_dtype(&s->kernels, s->set->dtype, s->err));
    s->pool = md_pool_new(s->request.threads, s->err);
    if (!s->pool) return MDLM_RUNTIME;
    s->tape = md_tape_new(s->pool, &s->kernels, s->err);
    return s->tape ? MDLM_OK : MDLM_RUNTIME;
}

mdlm_status md_session_stage(md_session *s) {
    MD_TRY(md_plan_check_length(s->set, s->err));
    MD_TRY(open_machine(s));
    MD_TRY(md_run_check_free(s->request.run, s->set->overwrite, s->err));
    return md_run_stage(s->request.run, &s->staging, s->err);
}

mdlm_status md_session_publish(md_session *s) {
    MD_TRY(md_run_publish(s->staging, s->request.run, &s->aside, s->err));
    md_free(s->staging);
    s->staging = NULL;
    s->unborn = true;
    return md_run_lock(s->request.run, &s->lock, s->err);
}

mdlm_status md_session_reopen(md_session *s, cJSON **data) {
    if (s->set->overwrite)
        return md_fail(s->err, MDLM_USAGE, "--resume and --overwrite exclude each other");
    if (*s->set->init) return md_fail(s->err, MDLM_USAGE, "--resume and --init exclude each other");
    MD_TRY(md_run_read(s->kind, &s->request, &s->request.seed, data, s->err));
    MD_TRY(open_machine(s));
    return md_run_lock(s->request.run, &s->lock, s->err);
}

mdlm_status md_session_write_run(md_session *s, const char *folder, const cJSON *data,
                                 int64_t parameters) {
    const md_run_facts facts = {.data = data, .kernels = s->kernels.name, .parameters = parameters};
    return md_run_write(s->kind, &s->request, folder, &facts, s->err);
}

mdlm_status md_session_say(md_session *s, md_train_event_kind kind, const char *text) {
    const md_train_event e = {.kind = kind, .text = text};
    if (!relay(s, &e)) return MDLM_OK;
    return md_fail(s->err, MDLM_CANCELLED, "stopped before the first step");
}

mdlm_status md_session_loop(md_session *s, const md_task *task, md_train_result *result) {
    const md_loop loop = {
        .task = task, .request = &s->request, .set = s->set, .pool = s->pool, .tape = s->tape};
    return md_loop_run(&loop, result, s->err);
}
