/* tokenizer/pattern.c: see pattern.h. */
#include "tokenizer/pattern.h"

#include <string.h>

#include "base/memory.h"

#ifdef MDLM_HAVE_ONIG

#include <oniguruma.h>
#include <time.h>

#include "tokenizer/unicode.h"

/* Most expressions take few steps back at a place. One that takes more is tried again with twice
 * the limit, which is then counted, until the text's allowance is used up. */
enum { FREE_STEPS = 64, STEPS = 1 << 22, STEPS_PER_BYTE = 64 };
/* Nanoseconds; and after how many bytes, at some 3 ns each, the time is worth a look. */
enum { TIME = 500000000, TIME_PER_BYTE = 10000, SHOWN_BETWEEN = 1 << 24 };

struct md_pattern {
    regex_t *regex;
};

/* The engine's words for one of its codes. */
static mdlm_status refuse(mdlm_error *err, int code, OnigErrorInfo *info, const char *source) {
    UChar why[ONIG_MAX_ERROR_MESSAGE_LEN];
    onig_error_code_to_str(why, code, info);
    return md_fail(err, MDLM_INPUT, "the expression '%.200s' cannot be read: %s", source,
                   (const char *)why);
}

mdlm_status md_pattern_new(const char *source, md_pattern **out, mdlm_error *err) {
    size_t size = strlen(source);
    if (size > MD_PATTERN_BYTES) {
        return md_fail(err, MDLM_INPUT, "the expression '%.40s...' has %zu bytes, more than %d",
                       source, size, MD_PATTERN_BYTES);
    }
    OnigEncoding encoding = ONIG_ENCODING_UTF8;
    OnigErrorInfo info;
    md_pattern *p = md_alloc(1, sizeof *p, err);
    if (!p) return MDLM_RUNTIME;
    int code = onig_initialize(&encoding, 1);
    const UChar *text = (const UChar *)source;
    if (code == ONIG_NORMAL && !md_is_utf8(source, size)) code = ONIGERR_INVALID_CODE_POINT_VALUE;
    if (code == ONIG_NORMAL) {
        code = onig_new(&p->regex, text, text + size, ONIG_OPTION_NONE, encoding,
                        ONIG_SYNTAX_DEFAULT, &info);
    }
    if (code != ONIG_NORMAL) {
        bool about_text = onig_is_error_code_needs_param(code);
        md_free(p);
        return refuse(err, code, about_text ? &info : NULL, source);
    }
    *out = p;
    return MDLM_OK;
}

void md_pattern_free(md_pattern *p) {
    if (!p) return;
    onig_free(p->regex);
    md_free(p);
}

void md_pattern_run_release(md_pattern_run *run) {
    if (run->region) onig_region_free(run->region, 1);
    if (run->limits) onig_free_match_param(run->limits);
    *run = (md_pattern_run){0};
}

static mdlm_status prepare(md_pattern_run *run, mdlm_error *err) {
    if (!run->region) run->region = onig_region_new();
    if (!run->limits) run->limits = onig_new_match_param();
    if (run->region && run->limits) return MDLM_OK;
    return md_fail(err, MDLM_RUNTIME, "out of memory while splitting text");
}

/* Tries one place. *length is negative when there is no match. */
static mdlm_status match_at(const md_pattern *p, md_pattern_run *run, const char *text, size_t size,
                            size_t at, int *length, mdlm_error *err) {
    const UChar *begin = (const UChar *)text, *end = begin + size;
    size_t allowed =
        run->bytes < SIZE_MAX / 2 / STEPS_PER_BYTE ? STEPS + STEPS_PER_BYTE * run->bytes : SIZE_MAX;
    *length = ONIGERR_RETRY_LIMIT_IN_MATCH_OVER;
    for (size_t limit = FREE_STEPS; *length == ONIGERR_RETRY_LIMIT_IN_MATCH_OVER; limit *= 2) {
        if (limit > FREE_STEPS) run->spent += limit;
        if (run->spent > allowed) {
            return md_fail(err, MDLM_INPUT,
                           "the tokenizer's expression takes more than %zu steps on this text",
                           allowed);
        }
        onig_initialize_match_param(run->limits);
        onig_set_retry_limit_in_match_of_match_param(run->limits, limit);
        *length = onig_match_with_param(p->regex, begin, end, begin + at, run->region,
                                        ONIG_OPTION_NONE, run->limits);
    }
    if (*length >= 0 || *length == ONIG_MISMATCH) return MDLM_OK;
    UChar why[ONIG_MAX_ERROR_MESSAGE_LEN];
    onig_error_code_to_str(why, *length);
    return md_fail(err, MDLM_INPUT, "the tokenizer's expression fails on this text: %s",
                   (const char *)why);
}

/* Before the engine sees `size` bytes. */
static mdlm_status check_time(md_pattern_run *run, size_t size, mdlm_error *err) {
    run->shown += size;
    if (run->shown < SHOWN_BETWEEN) return MDLM_OK;
    run->shown = 0;
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    int64_t at = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (run->began == 0) run->began = at;
    double seconds = 1e-9 * ((double)TIME + (double)TIME_PER_BYTE * (double)run->bytes);
    if (1e-9 * (double)(at - run->began) <= seconds) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "the tokenizer's expression takes more than %.1f seconds of processor time on "
                   "this text of %zu bytes",
                   seconds, run->bytes);
}

/* Not the engine's own search: its limit of steps is one for each place, however many there are. */
mdlm_status md_pattern_find(const md_pattern *p, md_pattern_run *run, const char *text, size_t size,
                            size_t from, md_match *found, mdlm_error *err) {
    MD_TRY(prepare(run, err));
    *found = (md_match){0};
    for (size_t at = from; !found->is; md_utf8_next(text, size, &at)) {
        int length;
        MD_TRY(check_time(run, size - at, err));
        MD_TRY(match_at(p, run, text, size, at, &length, err));
        if (length >= 0) *found = (md_match){true, at, at + (size_t)length};
        if (at == size) break;
    }
    return MDLM_OK;
}

#else

mdlm_status md_pattern_new(const char *source, md_pattern **out, mdlm_error *err) {
    (void)out;
    return md_fail(err, MDLM_INPUT,
                   "the tokenizer's expression '%.200s' needs Oniguruma, which this program was "
                   "built without",
                   source);
}

void md_pattern_free(md_pattern *p) {
    (void)p;
}

void md_pattern_run_release(md_pattern_run *run) {
    *run = (md_pattern_run){0};
}

mdlm_status md_pattern_find(const md_pattern *p, md_pattern_run *run, const char *text, size_t size,
                            size_t from, md_match *found, mdlm_error *err) {
    (void)run, (void)text, (void)size, (void)from, (void)found, (void)err;
    MD_BUG_IF(p == NULL); /* there are no patterns */
    return MDLM_RUNTIME;
}

#endif
