/* base/error.h: how functions fail.
 *
 *     mdlm_status load(const char *path, thing **out, mdlm_error *err) {
 *         thing *t = NULL;
 *         mdlm_status status = MDLM_OK;
 *         MD_GOTO(done, status, step_one(&t, err));
 *         if (t->size < 1) MD_GOTO(done, status, md_fail(err, MDLM_INPUT, "'%s' is empty", path));
 *         *out = t, t = NULL;
 *     done:
 *         thing_free(t);
 *         return status;
 *     }
 *
 * The world's mistakes (files, memory, options) return a status and fill the caller's error.
 * A programmer's mistake aborts through MD_BUG_IF and must not be reachable from input.
 * Messages are lower case, one line, name the subject in single quotes, and state what was
 * expected and what was found.
 */
#ifndef MD_BASE_ERROR_H
#define MD_BASE_ERROR_H

#include "mdlm.h"

/* Fills `err` (may be NULL) and returns `status`. Control characters in the message become '?'. */
mdlm_status md_fail(mdlm_error *err, mdlm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with ": <strerror(errno)>" appended in lower case. */
mdlm_status md_fail_errno(mdlm_error *err, mdlm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

_Noreturn void md_bug(const char *file, int line, const char *condition);

/* Aborts with "BUG" when a programmer's assumption does not hold; stays in release builds. */
#define MD_BUG_IF(condition) \
    do { \
        if (condition) md_bug(__FILE__, __LINE__, #condition); \
    } while (0)

/* Returns the status of `call` from the current function when it is not MDLM_OK. */
#define MD_TRY(call) \
    do { \
        mdlm_status md_status_ = (call); \
        if (md_status_ != MDLM_OK) return md_status_; \
    } while (0)

/* Stores the status of `call` in `status` and jumps to `label` when it is not MDLM_OK. */
#define MD_GOTO(label, status, call) \
    do { \
        (status) = (call); \
        if ((status) != MDLM_OK) goto label; \
    } while (0)

#endif
