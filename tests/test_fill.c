/* tests/test_fill.c: what mdlm_fill promises whatever the model says: given text, constraints, the
 * end of text, models of every objective. Weights are random; each promise is a hard one. */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "mdlm.h"
#include "sampler/sampler.h"
#include "tests/model_folder.h"
#include "tests/test_tokenizer.h"

enum { SEQ_LEN = 24, KINDS = 3, MARKED = KINDS };

static mdlm_error err;

static md_tokenizer *tokenizer_of_kind(int kind) {
    md_tokenizer *tok = NULL;
    static const md_bpe_options opt = {.vocab_size = 290};
    md_text_source source = TEXTS("To be, or not to be: 2024-02-03 and 1999-12-31 and 10 or 20",
                                  "not to be or to be 1234 abab caf\xc3\xa9 \xc3\xa9t\xc3\xa9");
    const md_token_roles roles = {.mask = 356, .end_of_text = 2, .padding = -1};
    const char *marked = TEST_DATA "/golden-spaces/tokenizer.json";
    if (kind == MARKED) assert_ok(md_tokenizer_load_with(marked, &roles, &tok, &err));
    if (kind == 0) assert_ok(md_tokenizer_bytes(&tok, &err));
    if (kind == 1) assert_ok(md_tokenizer_train_chars(source, &tok, &err));
    if (kind == 2) assert_ok(md_tokenizer_train_bpe(source, &opt, &tok, &err));
    return tok;
}

static mdlm_model *load(int kind, md_sight sight) {
    mdlm_model *model = NULL;
    md_tokenizer *tok = tokenizer_of_kind(kind);
    char *folder = model_folder(tok, (model_shape){.seq_len = SEQ_LEN,
                                                   .sight = sight,
                                                   .block_length = sight == MD_SEES_BLOCKS ? 8 : 0,
                                                   .scale = 20});
    assert_ok(mdlm_load(folder, &(mdlm_load_options){.threads = 1}, &model, &err));
    suite_tmp_remove(folder);
    md_tokenizer_free(tok);
    return model;
}

/* POSIX's matcher is the judge: the texts here have no NUL. */
static bool posix_matches(const char *pattern, const char *text, size_t bytes) {
    regex_t re;
    if (strlen(text) != bytes) return false;
    ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool yes = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return yes;
}

static mdlm_span text_span(const char *text) {
    return (mdlm_span){.text = text, .text_bytes = strlen(text)};
}

/* Runs one fill and judges the text from `skip` bytes on. */
static void judge(mdlm_model *model, const mdlm_span *spans, size_t count, size_t skip,
                  const mdlm_fill_options *opt) {
    mdlm_result *result = NULL;
    char pattern[100];
    snprintf(pattern, sizeof pattern, "^(%s)$", opt->regex);
    assert_ok(mdlm_fill(model, spans, count, opt, &result, &err));
    for (int i = 0; i < mdlm_result_count(result); i++) {
        const mdlm_sample *s = mdlm_result_sample(result, i);
        for (int j = 0; j < s->length; j++) ck_assert_int_ne(s->ids[j], mdlm_info(model).mask_id);
        ck_assert_msg(posix_matches(pattern, s->text + skip, s->text_bytes - skip),
                      "%s, temperature %g: '%s' is not /%s/", opt->sampler, opt->temperature,
                      s->text, opt->regex);
    }
    mdlm_result_free(result);
}

static const char *const patterns[] = {"[0-9]{2,4}-[a-f]+(x|y)?", "(be |to |or )*(be|not)",
                                       "a*b{3}[ab !A-Z]{2,6}"};

/* Every rule, with and without blocks, temperature 0 and 1, for bytes, characters and BPE. */
START_TEST(a_constrained_sample_matches_under_every_rule) {
    mdlm_model *model = load(_i, MD_SEES_ALL);
    mdlm_span spans[] = {text_span("caf\xc3\xa9 "), {.hole = 12}};
    mdlm_fill_options opt = mdlm_fill_defaults();
    opt.samples = 2;
    for (const char *const *name = md_rule_names; *name; name++) {
        for (int variant = 0; variant < 12; variant++) {
            opt.sampler = *name;
            opt.regex = patterns[variant % 3];
            opt.temperature = variant / 3 % 2;
            opt.blocks = variant < 6 ? 1 : 3;
            opt.steps = variant % 2 ? 6 : 0;
            opt.edit_threshold = variant == 5 ? 0.2 : 0;
            opt.end_of_text = variant == 4 ? "stop" : variant == 8 ? "late" : "keep";
            opt.cache = variant == 10 ? "dual" : "exact";
            judge(model, spans, 2, 6, &opt);
        }
    }
    mdlm_free(model);
}
END_TEST

START_TEST(a_constrained_infilling_matches_and_keeps_its_spans) {
    mdlm_model *model = load(_i, MD_SEES_ALL);
    mdlm_span spans[] = {text_span("To "), {.hole = 5}, text_span(" or "), {.hole = 4}};
    mdlm_fill_options opt = mdlm_fill_defaults();
    opt.samples = 2;
    opt.regex_whole = true;
    opt.regex = "To [a-z ]+ or [0-9]{1,4}";
    for (const char *const *name = md_rule_names; *name; name++) {
        opt.sampler = *name;
        opt.temperature = (int)(name - md_rule_names) % 2;
        judge(model, spans, 4, 0, &opt);
    }
    mdlm_free(model);
}
END_TEST

START_TEST(models_of_every_objective_can_be_constrained) {
    static const md_sight sights[] = {MD_SEES_BLOCKS, MD_SEES_PAST};
    mdlm_span spans[] = {text_span("ab"), {.hole = 30}}; /* longer than trained */
    mdlm_fill_options opt = mdlm_fill_defaults();
    opt.regex = "[a-z]{10,20}(-[0-9]+)+";
    for (int i = 0; i < 2; i++) {
        mdlm_model *model = load(0, sights[i]);
        for (int t = 0; t < 2; t++) {
            opt.temperature = t;
            judge(model, spans, 2, 2, &opt);
        }
        mdlm_free(model);
    }
}
END_TEST

START_TEST(an_impossible_constraint_fails_before_sampling) {
    mdlm_model *model = load(0, MD_SEES_ALL);
    mdlm_span spans[] = {text_span("ab"), {.hole = 4}, text_span("yz")};
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *result = NULL;
    opt.regex = "[0-9]{6}";
    assert_fails(mdlm_fill(model, spans, 2, &opt, &result, &err), MDLM_USAGE, "at least 6 tokens");
    opt.regex = "[0-9]*";
    assert_fails(mdlm_fill(model, spans, 3, &opt, &result, &err), MDLM_USAGE, "contradicts");
    opt.regex = "[0-9]{3}";
    opt.end_of_text = "forbid";
    assert_fails(mdlm_fill(model, spans, 2, &opt, &result, &err), MDLM_USAGE, "just 4 tokens");
    opt.regex = "a(";
    assert_fails(mdlm_fill(model, spans, 2, &opt, &result, &err), MDLM_USAGE, "byte 2");
    opt.regex = "\\d+";
    opt.allowed = (const int32_t[]){'a', 'b'};
    opt.allowed_count = 2;
    assert_fails(mdlm_fill(model, spans, 2, &opt, &result, &err), MDLM_USAGE, "may be drawn");
    ck_assert_ptr_null(result);
    mdlm_free(model);
}
END_TEST

/* Spans hold what tokenizers do not know: bytes that are no UTF-8, the mask's own spelling. */
START_TEST(given_text_comes_back_byte_for_byte) {
    static const char *const given[] = {"\xff\xc3", "<|mask|>", "\xe2\x82\xac z\xcc\x81"};
    mdlm_model *model = load(_i, MD_SEES_ALL);
    mdlm_fill_options opt = mdlm_fill_defaults();
    for (int i = 0; i < 3; i++) {
        mdlm_result *result = NULL;
        mdlm_span spans[] = {
            {.hole = 2}, text_span(given[i]), {.hole = 3}, {.hole = 1}, text_span("!")};
        assert_ok(mdlm_fill(model, spans, 5, &opt, &result, &err));
        const mdlm_sample *s = mdlm_result_sample(result, 0);
        const mdlm_hole *h = s->holes;
        ck_assert_int_eq(s->hole_count, 3);
        size_t size = strlen(given[i]), fills = 0;
        for (int n = 0; n < 3; n++) fills += h[n].text_bytes;
        ck_assert_uint_eq(s->text_bytes, fills + size + 1);
        ck_assert_uint_eq(s->new_text_bytes, fills);
        ck_assert_mem_eq(s->text, h[0].text, h[0].text_bytes);
        ck_assert_mem_eq(s->text + h[0].text_bytes, given[i], size);
        ck_assert_mem_eq(s->text + h[0].text_bytes + size, h[1].text,
                         h[1].text_bytes + h[2].text_bytes);
        ck_assert_int_eq(h[2].start, h[1].start + 3);
        ck_assert_int_eq(s->text[s->text_bytes - 1], '!');
        mdlm_result_free(result);
    }
    mdlm_free(model);
}
END_TEST

START_TEST(only_allowed_tokens_are_drawn) {
    mdlm_model *model = load(0, MD_SEES_ALL);
    mdlm_span hole = {.hole = 20};
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *result = NULL;
    opt.allowed = (const int32_t[]){'a', 'b', 'c'};
    opt.allowed_count = 3;
    opt.forbidden = (const int32_t[]){'b'};
    opt.forbidden_count = 1;
    assert_ok(mdlm_fill(model, &hole, 1, &opt, &result, &err));
    const mdlm_sample *s = mdlm_result_sample(result, 0);
    for (int i = 0; i < s->length; i++) ck_assert(s->ids[i] == 'a' || s->ids[i] == 'c');
    mdlm_result_free(result);
    opt.allowed_count = 2;
    opt.forbidden = (const int32_t[]){'b', 'a'};
    opt.forbidden_count = 2;
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "no token is left");
    opt.forbidden = (const int32_t[]){5000};
    opt.forbidden_count = 1;
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "5000");
    mdlm_free(model);
}
END_TEST

/* Of "a" and end-of-text alone, so that texts end somewhere. */
START_TEST(texts_stop_at_end_of_text_when_asked_to) {
    mdlm_model *model = load(0, MD_SEES_ALL);
    int32_t end = mdlm_info(model).end_of_text_id;
    mdlm_span spans[] = {text_span("p"), {.hole = 12}};
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *result = NULL;
    const int32_t two[] = {'a', end};
    int shorter = 0;
    opt.allowed = two;
    opt.allowed_count = 2;
    opt.samples = 8;
    opt.temperature = 30;
    opt.blocks = 6;
    opt.end_of_text = "stop";
    assert_ok(mdlm_fill(model, spans, 2, &opt, &result, &err));
    for (int k = 0; k < 8; k++) {
        const mdlm_sample *s = mdlm_result_sample(result, k);
        size_t first = 1;
        while (first < 13 && s->ids[first] != end) first++;
        ck_assert_uint_eq(s->text_bytes, first);
        ck_assert_uint_eq(s->new_text_bytes, first - 1);
        ck_assert_uint_eq(s->holes[0].text_bytes, first - 1);
        for (size_t i = first + 1; i < 13; i++)
            if (i >= first + 2) ck_assert_int_eq(s->ids[i], end); /* blocks of two */
        shorter += first < 13;
    }
    ck_assert_int_gt(shorter, 0);
    mdlm_result_free(result);
    opt.end_of_text = "forbid";
    assert_ok(mdlm_fill(model, spans, 2, &opt, &result, &err));
    for (int k = 0; k < 8; k++) ck_assert_uint_eq(mdlm_result_sample(result, k)->text_bytes, 13);
    mdlm_result_free(result);
    mdlm_free(model);
}
END_TEST

/* A vocabulary that puts a space before a text, and that has none but " the" to draw. */
START_TEST(only_the_beginning_of_a_text_loses_its_space) {
    mdlm_model *model = load(MARKED, MD_SEES_ALL);
    const mdlm_span spans[] = {{.hole = 2}, text_span(" cat"), {.hole = 1}};
    const int32_t the = 262, cat = 287;
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *result = NULL;
    opt.allowed = &the;
    opt.allowed_count = 1;
    assert_ok(mdlm_fill(model, spans, 3, &opt, &result, &err));
    const mdlm_sample *s = mdlm_result_sample(result, 0);
    ck_assert_int_eq(s->length, 4);
    ck_assert_int_eq(s->ids[2], cat);
    ck_assert_str_eq(s->text, "the the cat the");
    ck_assert_str_eq(s->new_text, "the the the");
    ck_assert_uint_eq(s->holes[0].text_bytes, strlen("the the"));
    ck_assert_uint_eq(s->holes[1].text_bytes, strlen(" the"));
    mdlm_result_free(result);
    mdlm_free(model);
}
END_TEST

START_TEST(models_that_see_no_further_write_longer_than_trained) {
    mdlm_span hole = {.hole = 3 * SEQ_LEN};
    mdlm_result *result = NULL;
    mdlm_model *all = load(0, MD_SEES_ALL), *past = load(0, MD_SEES_PAST);
    mdlm_model *blocks = load(0, MD_SEES_BLOCKS);
    mdlm_fill_options opt = mdlm_fill_defaults();
    assert_fails(mdlm_fill(all, &hole, 1, NULL, &result, &err), MDLM_USAGE, "trained on");
    assert_ok(mdlm_fill(blocks, &hole, 1, NULL, &result, &err));
    mdlm_result_free(result);
    assert_ok(mdlm_fill(past, &hole, 1, NULL, &result, &err)); /* by `left`, as nobody chose */
    mdlm_result_free(result);
    opt.sampler = "ancestral";
    assert_fails(mdlm_fill(past, &hole, 1, &opt, &result, &err), MDLM_USAGE, "left");
    ck_assert_str_eq(mdlm_info(past).objective, "ar");
    ck_assert_str_eq(mdlm_info(blocks).objective, "block");
    ck_assert_int_eq(mdlm_info(blocks).block_length, 8);
    mdlm_free(all);
    mdlm_free(past);
    mdlm_free(blocks);
}
END_TEST

/* Scale 1 is off; another scale changes logits, and with nothing given there is nothing to do. */
START_TEST(guidance_counts_what_is_given) {
    mdlm_model *model = load(0, MD_SEES_ALL);
    mdlm_span spans[] = {text_span("abcdefgh"), {.hole = 12}};
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *r[4] = {NULL};
    const int32_t *ids[4];
    for (int i = 0; i < 4; i++) {
        opt.guidance_scale = i % 2 ? 4 : 1;
        assert_ok(mdlm_fill(model, i < 2 ? spans : spans + 1, i < 2 ? 2 : 1, &opt, &r[i], &err));
        ids[i] = mdlm_result_sample(r[i], 0)->new_ids;
    }
    ck_assert_mem_ne(ids[0], ids[1], 12 * sizeof(int32_t));
    ck_assert_mem_eq(ids[2], ids[3], 12 * sizeof(int32_t));
    for (int i = 0; i < 4; i++) mdlm_result_free(r[i]);
    opt.guidance_scale = -1;
    assert_fails(mdlm_fill(model, spans, 2, &opt, &r[0], &err), MDLM_USAGE, "guidance");
    mdlm_free(model);
}
END_TEST

START_TEST(the_drift_of_a_cache_is_told_when_asked_for) {
    mdlm_model *model = load(0, MD_SEES_ALL);
    mdlm_span spans[] = {text_span("abc"), {.hole = 16}};
    mdlm_fill_options opt = mdlm_fill_defaults();
    static const char *const caches[] = {"none", "exact", "prefix", "dual"};
    for (int i = 0; i < 4; i++) {
        mdlm_result *result = NULL;
        mdlm_drift drift = {.rows = -1};
        opt.cache = caches[i];
        opt.blocks = 4;
        opt.verify_cache = false;
        assert_ok(mdlm_fill(model, spans, 2, &opt, &result, &err));
        ck_assert(!mdlm_result_drift(result, &drift) && drift.rows == -1);
        mdlm_result_free(result);
        opt.verify_cache = true;
        assert_ok(mdlm_fill(model, spans, 2, &opt, &result, &err));
        ck_assert(mdlm_result_drift(result, &drift));
        ck_assert(drift.exact == (i < 2));
        ck_assert_int_eq(drift.rows, 16); /* ancestral: each draw is committed */
        ck_assert((drift.kl_max > 0) == (i >= 2));
        ck_assert(drift.kl_mean <= drift.kl_max);
        mdlm_result_free(result);
    }
    mdlm_free(model);
}
END_TEST

START_TEST(words_that_nobody_knows_are_refused) {
    mdlm_model *model = load(0, MD_SEES_ALL);
    mdlm_span hole = {.hole = 2};
    mdlm_result *result = NULL;
    mdlm_fill_options opt = mdlm_fill_defaults();
    opt.cache = "warm";
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "cache 'warm'");
    opt = mdlm_fill_defaults();
    opt.compat = "gpt";
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "'gpt'");
    opt = mdlm_fill_defaults();
    opt.end_of_text = "never";
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "'never'");
    opt = mdlm_fill_defaults();
    opt.step_schedule = "sine";
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "'sine'");
    mdlm_free(model);
}
END_TEST

int main(void) {
    Suite *s = suite_create("filling");
    TCase *tc = tcase_create("tokenizers");
    tcase_add_loop_test(tc, a_constrained_sample_matches_under_every_rule, 0, KINDS);
    tcase_add_loop_test(tc, a_constrained_infilling_matches_and_keeps_its_spans, 0, KINDS);
    tcase_add_loop_test(tc, given_text_comes_back_byte_for_byte, 0, KINDS);
    suite_add_tcase(s, tc);
    suite_case(s, models_of_every_objective_can_be_constrained);
    suite_case(s, an_impossible_constraint_fails_before_sampling);
    suite_case(s, only_allowed_tokens_are_drawn);
    suite_case(s, texts_stop_at_end_of_text_when_asked_to);
    suite_case(s, only_the_beginning_of_a_text_loses_its_space);
    suite_case(s, models_that_see_no_further_write_longer_than_trained);
    suite_case(s, guidance_counts_what_is_given);
    suite_case(s, the_drift_of_a_cache_is_told_when_asked_for);
    suite_case(s, words_that_nobody_knows_are_refused);
    return suite_run(s);
}
