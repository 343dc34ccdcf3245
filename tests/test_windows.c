/* tests/test_windows.c: windows with context, shares of documents, and two models on one text
 * (train/evaluate.h). */
#include "tests/test_evaluate.h"

static md_evaluation run(const md_corpus *corpus, network *n, int seq_len,
                         const md_evaluate_options *opt) {
    md_denoiser denoiser = denoiser_of(n);
    md_evaluation e = {0};
    assert_ok(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, seq_len, tok, opt, &e, &err));
    return e;
}

/* --- context ---------------------------------------------------------------------------------- */

/* The last `scored` tokens of the window from `offset` on, cut here by hand; number i. */
static double by_hand(const md_corpus *corpus, int T, int i, int64_t offset, int scored,
                      const md_evaluate_options *opt) {
    network n = {0};
    md_denoiser denoiser = denoiser_of(&n);
    md_likelihood_options o = {
        .method = opt->method, .draws = opt->draws, .batch = 1, .seed = opt->seed};
    int32_t ids[LONGEST], length = T;
    uint8_t keep[LONGEST] = {0};
    double nats = -1;
    int64_t rest = md_corpus_tokens(corpus, MD_PART_VAL) - offset;
    if (rest < T) length = (int32_t)rest;
    for (int j = 0; j < T; j++) ids[j] = PADDING;
    md_corpus_read(corpus, MD_PART_VAL, offset, ids, length);
    for (int j = 0; j < T - scored; j++) keep[j] = 1;
    md_likelihood sum = {0};
    md_likelihood_batch batch = {
        .ids = ids, .count = 1, .T = T, .first = i, .lengths = &length, .keep = keep};
    assert_ok(md_likelihood_add(&sum, &denoiser, &o, &batch, &nats, &err));
    return nats;
}

START_TEST(a_window_scores_what_earlier_ones_have_not_and_sees_what_they_have) {
    md_corpus *corpus = three_documents(); /* 58 tokens */
    for (int method = 0; method < 3; method++) {
        md_evaluate_options opt = {
            .method = (md_method)method, .draws = 6, .batch = 5, .seed = 5, .stride = 5};
        network n = {0};
        md_evaluation e = run(corpus, &n, 16, &opt);
        /* From 0, 5, ... until 58 is reached: the last window, of 13 tokens, scores 2. */
        double nats = by_hand(corpus, 16, 0, 0, 16, &opt);
        for (int i = 1; i < 10; i++) nats += by_hand(corpus, 16, i, 5 * i, 5, &opt);
        ck_assert_int_eq(e.windows, 10);
        ck_assert_int_eq(e.report.tokens, 58);
        ck_assert_int_eq(e.bytes, 56);
        ck_assert_double_eq_tol(e.report.nats, nats, 1e-9); /* sums in another order */
        ck_assert_int_eq(n.wrong, 0);
    }
    md_corpus_close(corpus);
}
END_TEST

/* A network that knows nothing pays the log of the vocabulary for every token, whatever its
 * context; the chain says so exactly. */
START_TEST(every_token_is_scored_once_whatever_the_stride) {
    md_corpus *corpus = three_documents();
    for (int stride = 1; stride <= 16; stride++) {
        md_evaluate_options opt = {
            .method = MD_METHOD_CHAIN, .draws = 1, .batch = 64, .stride = stride};
        network n = {.uniform = V};
        md_evaluation e = run(corpus, &n, 16, &opt);
        ck_assert_int_eq(e.report.tokens, 58);
        ck_assert_double_eq_tol(e.report.nats, 58 * log(V - 1.0), 1e-9);
        ck_assert_double_eq(e.report.stderr_mc, 0);
    }
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_stride_beyond_the_window_is_refused) {
    md_corpus *corpus = three_documents();
    network n = {0};
    md_denoiser denoiser = denoiser_of(&n);
    md_evaluate_options opt = {.draws = 2, .batch = 2, .stride = 17};
    md_evaluation e;
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 16, tok, &opt, &e, &err),
                 MDLM_USAGE, "expected 1 to 16");
    opt.stride = -1;
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 16, tok, &opt, &e, &err),
                 MDLM_USAGE, "stride of -1");
    md_corpus_close(corpus);
}
END_TEST

/* --- items ------------------------------------------------------------------------------------ */

typedef struct list {
    md_evaluate_item item[MOST];
    int count, stop_at;
} list;

static mdlm_status remember(void *user, const md_evaluate_item *item, mdlm_error *error) {
    list *l = user;
    ck_assert_int_lt(l->count, MOST);
    l->item[l->count++] = *item;
    if (l->count == l->stop_at) return md_fail(error, MDLM_WRITE, "the disk is full");
    return MDLM_OK;
}

START_TEST(items_are_documents_wherever_windows_end) {
    md_corpus *corpus = three_documents();
    static const int64_t offsets[] = {0, 21, 28}, tokens[] = {21, 7, 30}, bytes[] = {20, 6, 30};
    static const int shapes[][2] = {{16, 16}, {16, 3}, {64, 64}, {4, 4}};
    for (int shape = 0; shape < 4; shape++) {
        list l = {0};
        network n = {.uniform = V};
        md_evaluate_options opt = {.method = MD_METHOD_CHAIN,
                                   .draws = 1,
                                   .batch = 3,
                                   .stride = shapes[shape][1],
                                   .on_item = remember,
                                   .user = &l};
        run(corpus, &n, shapes[shape][0], &opt);
        ck_assert_int_eq(l.count, 3);
        for (int i = 0; i < 3; i++) {
            ck_assert(l.item[i].document);
            ck_assert_int_eq(l.item[i].index, i);
            ck_assert_int_eq(l.item[i].offset, offsets[i]);
            ck_assert_int_eq(l.item[i].tokens, tokens[i]);
            ck_assert_int_eq(l.item[i].bytes, bytes[i]);
            ck_assert_double_eq_tol(l.item[i].nats, (double)tokens[i] * log(V - 1.0), 1e-9);
            ck_assert_double_eq(l.item[i].stderr_mc, 0);
        }
    }
    md_corpus_close(corpus);
}
END_TEST

/* A network that knows nothing, so that the truth is known: what is random is how many tokens of a
 * document the masks of a window hit. 600 squares know their mean to 6%, the 21 degrees of freedom
 * of an item's bar add 15% to each: the bounds are four times that. */
START_TEST(items_add_up_and_know_their_errors) {
    enum { SEEDS = 200 };
    md_corpus *corpus = three_documents();
    for (int method = 0; method < 2; method++) {
        double squares = 0, claimed = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            list l = {0};
            network n = {.uniform = V};
            md_evaluate_options opt = {.method = (md_method)method,
                                       .draws = 16,
                                       .batch = 64,
                                       .seed = (uint64_t)seed,
                                       .on_item = remember,
                                       .user = &l};
            md_evaluation e = run(corpus, &n, 16, &opt);
            double nats = 0;
            for (int i = 0; i < l.count; i++) {
                double gap = l.item[i].nats - (double)l.item[i].tokens * log(V - 1.0);
                nats += l.item[i].nats;
                squares += gap * gap;
                claimed += l.item[i].stderr_mc * l.item[i].stderr_mc;
            }
            ck_assert_double_eq_tol(nats, e.report.nats, 1e-9); /* sums in another order */
        }
        ck_assert_msg(claimed > 0.75 * squares && claimed < 1.35 * squares,
                      "method %d: claimed/true %g", method, claimed / squares);
    }
    md_corpus_close(corpus);
}
END_TEST

START_TEST(the_items_of_a_single_document_are_its_windows) {
    md_corpus *corpus = corpus_of(DOCUMENT(TWENTY), DOCUMENT(TWENTY TWENTY));
    list l = {0};
    network n = {0};
    md_evaluate_options opt = {
        .draws = 4, .batch = 8, .seed = 1, .stride = 8, .on_item = remember, .user = &l};
    md_evaluation e = run(corpus, &n, 10, &opt);
    ck_assert_int_eq(l.count, e.windows);
    ck_assert_int_eq(l.count, 5);
    for (int i = 0; i < l.count; i++) {
        ck_assert(!l.item[i].document);
        ck_assert_int_eq(l.item[i].index, i);
        ck_assert_int_eq(l.item[i].offset, i ? 8 * i + 2 : 0);
        ck_assert_int_eq(l.item[i].tokens, i == 0 ? 10 : i == 4 ? 6 : 8);
    }
    md_corpus_close(corpus);
}
END_TEST

START_TEST(an_item_that_cannot_be_written_ends_the_evaluation) {
    md_corpus *corpus = three_documents();
    list l = {.stop_at = 2};
    network n = {0};
    md_denoiser denoiser = denoiser_of(&n);
    md_evaluate_options opt = {.draws = 2, .batch = 2, .on_item = remember, .user = &l};
    md_evaluation e = {.bytes = -7};
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 4, tok, &opt, &e, &err),
                 MDLM_WRITE, "disk is full");
    ck_assert_int_eq(l.count, 2);
    ck_assert_int_eq(e.bytes, -7);
    md_corpus_close(corpus);
}
END_TEST

/* --- two models ------------------------------------------------------------------------------- */

START_TEST(a_model_does_not_differ_from_itself) {
    md_corpus *corpus = three_documents();
    list l = {0};
    network n = {0}, twin = {0};
    md_denoiser other = denoiser_of(&twin);
    md_evaluate_options opt = {
        .draws = 4, .batch = 8, .seed = 1, .other = &other, .on_item = remember, .user = &l};
    md_evaluation e = run(corpus, &n, 10, &opt);
    ck_assert(e.paired);
    ck_assert_double_eq(e.difference.nats, 0);
    ck_assert_double_eq(e.difference.stderr_mc, 0);
    ck_assert_double_eq(e.difference.stderr_data, 0);
    ck_assert_double_eq(e.other.nats, e.report.nats);
    ck_assert_double_eq(e.other.stderr_mc, e.report.stderr_mc);
    ck_assert_double_eq(l.item[1].diff_nats, 0);
    ck_assert_double_eq(l.item[1].other_nats, l.item[1].nats);
    md_corpus_close(corpus);
}
END_TEST

/* The same masks, so the difference is known exactly, though neither likelihood is: every masked
 * token costs the logarithm of the ratio of the vocabularies less. */
START_TEST(a_difference_on_the_same_masks_has_the_error_of_what_differs) {
    md_corpus *corpus = three_documents();
    network n = {.uniform = V}, wide = {.uniform = 2 * V};
    md_denoiser other = denoiser_of(&wide);
    md_evaluate_options opt = {
        .method = MD_METHOD_COUNT, .draws = 4, .batch = 8, .seed = 1, .other = &other};
    md_evaluation e = run(corpus, &n, 10, &opt);
    double exact = 58 * log((V - 1.0) / (2 * V - 1.0));
    ck_assert(e.paired);
    ck_assert_double_eq_tol(e.difference.nats, exact, 1e-9);
    ck_assert_double_lt(e.difference.stderr_mc, 1e-6); /* rounding of what is constant */
    ck_assert_double_eq_tol(e.other.nats - e.report.nats, -exact, 1e-9);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_model_of_the_past_shares_windows_but_no_masks) {
    md_corpus *corpus = three_documents();
    list l = {0};
    network n = {0}, past = {.uniform = V};
    md_denoiser other = denoiser_of(&past);
    other.sight = MD_SEES_PAST;
    md_evaluate_options opt = {
        .draws = 4, .batch = 8, .seed = 1, .other = &other, .on_item = remember, .user = &l};
    md_evaluation e = run(corpus, &n, 10, &opt);
    ck_assert(!e.paired);
    ck_assert_double_eq_tol(e.other.nats, 58 * log(V - 1.0), 1e-9);
    ck_assert_double_eq(e.other.stderr_mc, 0);
    ck_assert_double_eq_tol(e.difference.nats, e.report.nats - e.other.nats, 1e-9);
    ck_assert_double_eq(e.difference.stderr_mc, e.report.stderr_mc);
    ck_assert_double_gt(e.difference.stderr_data, 0);
    ck_assert_double_eq(l.item[0].diff_stderr_mc, l.item[0].stderr_mc);
    md_corpus_close(corpus);
}
END_TEST

static int keep_last(void *user, int64_t done, int64_t total) {
    int64_t *last = user;
    last[0] = done, last[1] = total;
    return 0;
}

START_TEST(progress_counts_the_canvases_of_both_models) {
    md_corpus *corpus = three_documents(); /* 4 windows of 16 */
    network n = {0}, past = {.uniform = V};
    md_denoiser other = denoiser_of(&past);
    int64_t last[2] = {0};
    other.sight = MD_SEES_PAST;
    md_evaluate_options opt = {
        .draws = 4, .batch = 3, .other = &other, .on_progress = keep_last, .user = last};
    run(corpus, &n, 16, &opt);
    ck_assert_int_eq(last[0], 4 * (4 + 1));
    ck_assert_int_eq(last[1], 4 * (4 + 1));
    opt.method = MD_METHOD_CHAIN;
    run(corpus, &n, 16, &opt);
    ck_assert_int_eq(last[0], 4 * (16 + 1));
    ck_assert_int_eq(last[1], 4 * (16 + 1));
    md_corpus_close(corpus);
}
END_TEST

START_TEST(another_first_number_gives_other_masks) {
    md_corpus *corpus = three_documents();
    network n = {0};
    md_evaluate_options opt = {.draws = 4, .batch = 8, .seed = 1};
    double nats = run(corpus, &n, 16, &opt).report.nats;
    opt.first = 4;
    ck_assert_double_ne(run(corpus, &n, 16, &opt).report.nats, nats);
    md_corpus_close(corpus);
}
END_TEST

int main(void) {
    Suite *s = suite_create("windows");
    add_case(s, a_window_scores_what_earlier_ones_have_not_and_sees_what_they_have);
    add_case(s, every_token_is_scored_once_whatever_the_stride);
    add_case(s, a_stride_beyond_the_window_is_refused);
    add_case(s, items_are_documents_wherever_windows_end);
    add_case(s, items_add_up_and_know_their_errors);
    add_case(s, the_items_of_a_single_document_are_its_windows);
    add_case(s, an_item_that_cannot_be_written_ends_the_evaluation);
    add_case(s, a_model_does_not_differ_from_itself);
    add_case(s, a_difference_on_the_same_masks_has_the_error_of_what_differs);
    add_case(s, a_model_of_the_past_shares_windows_but_no_masks);
    add_case(s, progress_counts_the_canvases_of_both_models);
    add_case(s, another_first_number_gives_other_masks);
    return suite_run(s);
}
