/* tokenizer/pattern.h: regular expressions of other people's tokenizers. Private to this folder.
 *
 *     md_pattern *p = NULL;
 *     MD_TRY(md_pattern_new("\\p{N}{1,3}", &p, err));
 *     md_pattern_run run = {.bytes = size};
 *     MD_TRY(md_pattern_find(p, &run, text, size, 0, &found, err));  found.start, found.end
 *     md_pattern_run_release(&run);
 *     md_pattern_free(p);
 *
 * The engine is Oniguruma, which Hugging Face's library uses too, with its default syntax. It may
 * be missing when the program is built: then md_pattern_new refuses and says so.
 *
 * A hostile expression ends with an error. Steps back are limited, by a constant and the length of
 * the text together, and the engine counts them. What an expression reads ahead in vain, as `a+b`
 * does at every letter of a long "aaaa", it counts nowhere, in any program: so the processor time
 * is limited too, to some twenty times what expressions of published tokenizers need.
 */
#ifndef MD_TOKENIZER_PATTERN_H
#define MD_TOKENIZER_PATTERN_H

#include "base/error.h"

enum { MD_PATTERN_BYTES = 1 << 14 }; /* longest expression */

typedef struct md_pattern md_pattern;

/* MDLM_INPUT for a malformed expression, or when the engine is not there. Caller frees *out. */
mdlm_status md_pattern_new(const char *source, md_pattern **out, mdlm_error *err);
void md_pattern_free(md_pattern *p); /* accepts NULL */

/* What one walk through a text needs: init with its size, one thread at a time. */
typedef struct md_pattern_run {
    size_t bytes; /* of the whole text, whose pieces are searched */
    void *region, *limits;
    size_t spent;  /* steps back so far */
    size_t shown;  /* bytes that the engine may have read since the time was last looked at */
    int64_t began; /* the thread's processor time then, in nanoseconds; 0: not yet */
} md_pattern_run;
void md_pattern_run_release(md_pattern_run *run);

typedef struct md_match {
    bool is; /* false: no match */
    size_t start, end;
} md_match;

/* The first match that starts at `from` or later. The text must be valid UTF-8. MDLM_INPUT when it
 * takes too many steps or too long. */
mdlm_status md_pattern_find(const md_pattern *p, md_pattern_run *run, const char *text, size_t size,
                            size_t from, md_match *found, mdlm_error *err);

#endif
