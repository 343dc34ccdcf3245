/* tests/test_evaluate.c: how a corpus is cut, scored and counted (train/evaluate.h). */
#include "tests/test_evaluate.h"

static md_evaluation evaluate(const md_corpus *corpus, network *n, int seq_len,
                              const md_evaluate_options *opt) {
    md_denoiser denoiser = denoiser_of(n);
    md_evaluation e = {0};
    assert_ok(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, seq_len, tok, opt, &e, &err));
    return e;
}

/* The windows as the header promises them, cut here by hand. */
static md_likelihood_report by_hand(const md_corpus *corpus, int T, const int64_t *windows,
                                    int count, const int64_t *group,
                                    const md_evaluate_options *opt) {
    network n = {0};
    md_denoiser denoiser = denoiser_of(&n);
    md_likelihood_options o = {.draws = opt->draws, .batch = 1, .seed = opt->seed};
    md_likelihood sum = {0};
    const int64_t tokens = md_corpus_tokens(corpus, MD_PART_VAL);
    for (int i = 0; i < count; i++) {
        int32_t ids[LONGEST], length = 0;
        for (int j = 0; j < T; j++) {
            const int64_t at = windows[i] * T + j;
            ids[j] = PADDING;
            if (at >= tokens) continue;
            md_corpus_read(corpus, MD_PART_VAL, at, &ids[j], 1);
            length++;
        }
        md_likelihood_batch batch = {
            .ids = ids, .count = 1, .T = T, .first = i, .lengths = &length, .group = &group[i]};
        assert_ok(md_likelihood_add(&sum, &denoiser, &o, &batch, NULL, &err));
    }
    return md_likelihood_finish(&sum);
}

static void assert_same_report(const md_likelihood_report *a, const md_likelihood_report *b) {
    ck_assert(a->nats == b->nats && a->nats_per_token == b->nats_per_token);
    ck_assert(a->stderr_mc == b->stderr_mc && a->stderr_data == b->stderr_data);
    ck_assert_int_eq(a->tokens, b->tokens);
    ck_assert_int_eq(a->sequences, b->sequences);
    ck_assert_int_eq(a->groups, b->groups);
}

START_TEST(a_network_that_knows_nothing_pays_the_log_of_the_vocabulary) {
    md_corpus *corpus = three_documents();
    network n = {.uniform = V};
    md_evaluate_options opt = {.draws = 4000, .batch = 64, .seed = 1};
    md_evaluation e = evaluate(corpus, &n, 16, &opt);
    /* Only how many tokens a draw masks is random: the bar is that of counting. Four of them. */
    const double exact = log(V - 1.0), z = (e.report.nats_per_token - exact) / e.report.stderr_mc;
    ck_assert_msg(fabs(z) < 4, "%.6f nats, exact %.6f, z %g", e.report.nats_per_token, exact, z);
    ck_assert_double_lt(e.report.stderr_mc, 0.01 * exact);
    ck_assert_int_eq(n.wrong, 0);
    md_corpus_close(corpus);
}
END_TEST

/* Which tokens are masked does not depend on the network, so the rest of the estimate cancels. */
START_TEST(every_masked_token_pays_exactly_the_log_of_the_vocabulary_without_the_mask) {
    md_corpus *corpus = three_documents();
    network n = {.uniform = V}, wide = {.uniform = 2 * V};
    md_evaluate_options opt = {.draws = 6, .batch = 64, .seed = 3};
    double nats = evaluate(corpus, &n, 16, &opt).report.nats;
    double more = evaluate(corpus, &wide, 16, &opt).report.nats;
    ck_assert_double_gt(nats, 0);
    /* Both sums are of a few hundred terms in double precision. */
    ck_assert_double_eq_tol(more / nats, log(2 * V - 1) / log(V - 1), 1e-12);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(the_last_short_window_is_padded_and_counted) {
    md_corpus *corpus = three_documents();
    ck_assert_int_eq(md_corpus_tokens(corpus, MD_PART_VAL), 58);
    const int64_t windows[] = {0, 1, 2, 3}, group[] = {0, 0, 2, 2};
    network n = {.length = 58 - 3 * 16};
    md_evaluate_options opt = {.draws = 8, .batch = 3, .seed = 5};
    md_evaluation e = evaluate(corpus, &n, 16, &opt);
    ck_assert_int_eq(e.report.tokens, 58);
    ck_assert_int_eq(e.report.sequences, 4);
    ck_assert_int_eq(n.wrong, 0);
    ck_assert_int_le(n.largest, 3);
    md_likelihood_report expected = by_hand(corpus, 16, windows, 4, group, &opt);
    assert_same_report(&e.report, &expected);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(end_of_text_is_scored_and_is_no_byte) {
    md_corpus *corpus = three_documents();
    network n = {0};
    md_evaluate_options opt = {.draws = 4, .batch = 8, .seed = 5};
    md_evaluation e = evaluate(corpus, &n, 16, &opt);
    ck_assert_int_eq(e.bytes, 56);
    ck_assert_int_eq(e.report.tokens, 58);
    ck_assert_double_eq_tol(e.nats_per_byte, e.report.nats / 56, 1e-12);
    ck_assert_double_eq_tol(e.bits_per_byte, e.nats_per_byte / 0.69314718055994531, 1e-12);
    ck_assert_double_eq_tol(e.perplexity, exp(e.report.nats / 58), 1e-9);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(the_batch_does_not_change_the_result) {
    md_corpus *corpus = three_documents();
    md_evaluate_options opt = {.draws = 5, .batch = 1, .seed = 11};
    network first = {0};
    md_evaluation e = evaluate(corpus, &first, 4, &opt);
    static const int batches[] = {2, 3, 7, 64, 1 << 30};
    for (int i = 0; i < 5; i++) {
        network n = {0};
        opt.batch = batches[i];
        md_evaluation again = evaluate(corpus, &n, 4, &opt);
        assert_same_report(&e.report, &again.report);
        ck_assert_int_eq(e.bytes, again.bytes);
        ck_assert_int_lt(n.calls, first.calls);
    }
    opt.seed = 12;
    ck_assert_double_ne(evaluate(corpus, &first, 4, &opt).report.nats, e.report.nats);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(windows_are_grouped_by_the_document_of_their_first_token) {
    md_corpus *corpus = three_documents();
    network n = {0};
    md_evaluate_options opt = {.draws = 4, .batch = 8, .seed = 1};
    ck_assert_int_eq(evaluate(corpus, &n, 7, &opt).report.groups, 3);  /* 0 7 14 | 21 | 28 ... */
    ck_assert_int_eq(evaluate(corpus, &n, 10, &opt).report.groups, 2); /* 0 10 20 | 30 ... */
    const int64_t windows[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, group[] = {0, 0, 0, 1, 2, 2, 2, 2, 2};
    md_evaluation e = evaluate(corpus, &n, 7, &opt);
    md_likelihood_report expected = by_hand(corpus, 7, windows, 9, group, &opt);
    assert_same_report(&e.report, &expected);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(the_windows_of_a_single_document_are_groups_of_their_own) {
    md_corpus *corpus = corpus_of(DOCUMENT(TWENTY), DOCUMENT(TWENTY TWENTY));
    network n = {0};
    md_evaluate_options opt = {.draws = 4, .batch = 8, .seed = 1};
    md_evaluation e = evaluate(corpus, &n, 10, &opt);
    ck_assert_int_eq(e.report.groups, e.report.sequences);
    ck_assert_int_ge(e.report.groups, 4);
    ck_assert_double_gt(e.report.stderr_data, 0);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(fewer_windows_are_evenly_spread) {
    md_corpus *corpus = three_documents(); /* 15 windows of 4 */
    const int64_t windows[] = {0, 3, 7, 11}, group[] = {0, 0, 2, 2};
    network n = {0};
    md_evaluate_options opt = {.draws = 4, .batch = 3, .seed = 9, .max_windows = 4};
    md_evaluation e = evaluate(corpus, &n, 4, &opt);
    ck_assert_int_eq(e.report.sequences, 4);
    ck_assert_int_eq(e.report.tokens, 16);
    ck_assert_int_eq(e.bytes, 16); /* tokens 12-15 and 28-31 and 44-47: no end-of-text */
    md_likelihood_report expected = by_hand(corpus, 4, windows, 4, group, &opt);
    assert_same_report(&e.report, &expected);

    opt.max_windows = 15;
    md_evaluation all = evaluate(corpus, &n, 4, &opt);
    opt.max_windows = 1000;
    md_evaluation more = evaluate(corpus, &n, 4, &opt);
    opt.max_windows = 0;
    md_evaluation plain = evaluate(corpus, &n, 4, &opt);
    assert_same_report(&all.report, &plain.report);
    assert_same_report(&more.report, &plain.report);
    ck_assert_int_eq(plain.report.tokens, 58);
    md_corpus_close(corpus);
}
END_TEST

/* Remembers the reports of progress; cancels when `stop_at` canvases are done. */
typedef struct progress {
    int64_t done[MOST], total, stop_at;
    int count;
} progress;

static int on_progress(void *user, int64_t done, int64_t total) {
    progress *p = user;
    ck_assert_int_lt(p->count, MOST);
    p->done[p->count++] = done;
    p->total = total;
    return p->stop_at > 0 && done >= p->stop_at;
}

START_TEST(progress_is_told_and_can_cancel) {
    md_corpus *corpus = three_documents();
    progress p = {0};
    network n = {0};
    md_evaluate_options opt = {
        .draws = 16, .batch = 8, .seed = 9, .on_progress = on_progress, .user = &p};
    (void)evaluate(corpus, &n, 4, &opt);
    ck_assert_int_gt(p.count, 1);
    ck_assert_int_eq(p.total, 15 * 16);
    ck_assert_int_eq(p.done[p.count - 1], p.total);
    for (int i = 1; i < p.count; i++) ck_assert_int_gt(p.done[i], p.done[i - 1]);

    const int calls = n.calls;
    p = (progress){.stop_at = 1};
    n = (network){0};
    md_denoiser denoiser = denoiser_of(&n);
    md_evaluation e = {.bytes = -7};
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 4, tok, &opt, &e, &err),
                 MDLM_CANCELLED, "of 15 windows");
    ck_assert_int_eq(p.count, 1);
    ck_assert_int_lt(n.calls, calls);
    ck_assert_int_eq(e.bytes, -7);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(what_cannot_be_evaluated_is_refused) {
    md_corpus *corpus = three_documents();
    network n = {0};
    md_denoiser denoiser = denoiser_of(&n);
    md_evaluate_options opt = {.draws = 2, .batch = 2};
    md_evaluation e;
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 0, tok, &opt, &e, &err),
                 MDLM_USAGE, "seq_len is 0");
    opt.draws = 0;
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 4, tok, &opt, &e, &err),
                 MDLM_USAGE, "draws is 0");
    opt.draws = 2, opt.batch = -1;
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 4, tok, &opt, &e, &err),
                 MDLM_USAGE, "batch is -1");
    opt.batch = 2;
    denoiser.vocab = 100; /* a model of another tokenizer */
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 4, tok, &opt, &e, &err),
                 MDLM_INPUT, "not in a vocabulary of 100");
    md_corpus_close(corpus);
}
END_TEST

START_TEST(an_empty_part_is_refused) {
    char input[512], folder[512];
    md_pack_options pack = md_pack_defaults();
    md_corpus_stats stats;
    md_corpus *corpus = NULL;
    snprintf(input, sizeof input, "%s/a.txt", dir);
    snprintf(folder, sizeof folder, "%s/data", dir);
    pack.val_fraction = 0;
    assert_ok(md_file_write(input, TWENTY, 20, &err));
    assert_ok(md_corpus_pack((const char *const[]){input}, 1, tok, &pack, folder, &stats, &err));
    assert_ok(md_corpus_open(folder, &corpus, &err));
    network n = {0};
    md_denoiser denoiser = denoiser_of(&n);
    md_evaluate_options opt = {.draws = 2, .batch = 2};
    md_evaluation e;
    assert_fails(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, 4, tok, &opt, &e, &err),
                 MDLM_INPUT, "validation part of the corpus is empty");
    md_corpus_close(corpus);
}
END_TEST

int main(void) {
    Suite *s = suite_create("evaluate");
    add_case(s, a_network_that_knows_nothing_pays_the_log_of_the_vocabulary);
    add_case(s, every_masked_token_pays_exactly_the_log_of_the_vocabulary_without_the_mask);
    add_case(s, the_last_short_window_is_padded_and_counted);
    add_case(s, end_of_text_is_scored_and_is_no_byte);
    add_case(s, the_batch_does_not_change_the_result);
    add_case(s, windows_are_grouped_by_the_document_of_their_first_token);
    add_case(s, the_windows_of_a_single_document_are_groups_of_their_own);
    add_case(s, fewer_windows_are_evenly_spread);
    add_case(s, progress_is_told_and_can_cancel);
    add_case(s, what_cannot_be_evaluated_is_refused);
    add_case(s, an_empty_part_is_refused);
    return suite_run(s);
}
