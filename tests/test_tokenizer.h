/* tests/test_tokenizer.h: what the tests of the tokenizer share. */
#ifndef TESTS_TEST_TOKENIZER_H
#define TESTS_TEST_TOKENIZER_H

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/suite.h"
#include "tokenizer/tokenizer.h"

/* A corpus of texts, each given once, in order; a NULL text ends it. */
typedef struct texts {
    const char *const *next;
} texts;

static inline mdlm_status texts_next(void *context, const char **text, size_t *size,
                                     mdlm_error *err) {
    texts *t = context;
    (void)err;
    *text = *t->next;
    *size = *text ? strlen(*t->next++) : 0;
    return MDLM_OK;
}

#define TEXTS(...) \
    ((md_text_source){texts_next, &(texts){(const char *const[]){__VA_ARGS__, NULL}}})

/* A number below n, the same in every run. */
static inline int draw(uint64_t seed, size_t position, int n) {
    md_rng rng = {.seed = seed, .stream = MD_STREAM_CORPUS};
    return (int)md_uniform_below(rng, 0, (uint32_t)position, (uint64_t)n);
}

#endif
