/* tests/test_evaluate.h: a network that remembers what it was asked, small corpora, and the frame
 * of the tests of train/evaluate.h. */
#ifndef TESTS_TEST_EVALUATE_H
#define TESTS_TEST_EVALUATE_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/suite.h"
#include "train/evaluate.h"

static mdlm_error err;
static char *dir;
static md_tokenizer *tok;

enum { V = 259, MASK = 256, END = 257, PADDING = 258, LONGEST = 64, MOST = 64 };

/* A network that remembers what it was asked. */
typedef struct network {
    int uniform; /* its vocabulary when it knows nothing; 0: logits depend on the tokens beside and
                    on the position */
    int calls;
    int largest; /* canvases in a call */
    int wrong;   /* rows of visible tokens, padding that is not where it belongs */
    int length;  /* tokens of the last window; 0: not checked */
} network;

static inline mdlm_status predict(void *context, const int32_t *ids, int B, int T,
                                  const int32_t *rows, int count, float *logits,
                                  mdlm_error *error) {
    network *n = context;
    const int vocab = n->uniform ? n->uniform : V;
    (void)error;
    n->calls++;
    if (B > n->largest) n->largest = B;
    for (int i = 0; i < B * T; i++) {
        const bool padded = ids[i] == PADDING;
        n->wrong += padded && i % T < n->length;
        n->wrong += padded && i % T < T - 1 && ids[i + 1] != PADDING;
    }
    for (int r = 0; r < count; r++) {
        n->wrong += ids[rows[r]] != MASK;
        const int before = rows[r] % T > 0 ? ids[rows[r] - 1] : 0;
        const int after = rows[r] % T < T - 1 ? ids[rows[r] + 1] : 0;
        float *row = logits + (size_t)r * (size_t)vocab;
        for (int v = 0; v < vocab; v++) {
            float x = (float)((v * 31 + before * 17 + after * 5 + rows[r] % T) % 13) * 0.3F;
            row[v] = n->uniform ? 2.5F : x;
        }
        row[MASK] = 9; /* shows if it is not taken out */
    }
    return MDLM_OK;
}

static inline md_denoiser denoiser_of(network *n) {
    return (md_denoiser){
        .context = n, .vocab = n->uniform ? n->uniform : V, .mask_id = MASK, .predict = predict};
}

/* A corpus of documents, one a line of a .jsonl file; the training part holds all but `val`, which
 * is a file of its own. */
static inline md_corpus *corpus_of(const char *train, const char *val) {
    char input[512], held[512], folder[512];
    md_pack_options opt = md_pack_defaults();
    md_corpus_stats stats;
    md_corpus *corpus = NULL;
    snprintf(input, sizeof input, "%s/train.jsonl", dir);
    snprintf(held, sizeof held, "%s/val.jsonl", dir);
    snprintf(folder, sizeof folder, "%s/data", dir);
    assert_ok(md_file_write(input, train, strlen(train), &err));
    assert_ok(md_file_write(held, val, strlen(val), &err));
    opt.val_file = held;
    assert_ok(md_corpus_pack((const char *const[]){input}, 1, tok, &opt, folder, &stats, &err));
    assert_ok(md_corpus_open(folder, &corpus, &err));
    return corpus;
}

#define DOCUMENT(text) "{\"text\":\"" text "\"}\n"
#define TWENTY "abcdefghijklmnopqrst"

/* 20, 6 and 30 bytes with end-of-text between them: documents start at 0, 21 and 28. */
static inline md_corpus *three_documents(void) {
    return corpus_of(DOCUMENT(TWENTY),
                     DOCUMENT(TWENTY) DOCUMENT("uvwxyz") DOCUMENT("0123456789" TWENTY));
}

static inline void setup(void) {
    dir = suite_tmp_dir();
    assert_ok(md_tokenizer_bytes(&tok, &err));
}

static inline void teardown(void) {
    md_tokenizer_free(tok);
    suite_tmp_remove(dir);
}

static inline void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

#define add_case(s, test) add(s, #test, test)

#endif
