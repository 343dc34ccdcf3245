/* tests/test_sampler_guide.c: guidance is its formula, whichever way the denoiser is asked. */
#include <math.h>

#include "sampler/guide.h"
#include "sampler/rule.h"
#include "tests/cached_model.h"
#include "tests/failing_memory.h"
#include "tests/suite.h"
#include "tests/table_model.h"

enum { T = CACHED_T, BLOCK = 4, B = 3, PROMPT = 5 };

static const double scales[] = {0, 0.5, 1, 2.5, -1};
enum { SCALES = sizeof scales / sizeof *scales };

static const uint8_t prompt[T] = {1, 1, 1, 1, 1};

/* Some visible tokens behind the prompt, too. */
static void lay_out(int32_t *ids, int canvases) {
    for (int i = 0; i < canvases * T; i++)
        ids[i] = i % T < PROMPT || i % 7 == 3 ? (i * i + i / T) % CACHED_MASK : CACHED_MASK;
}

static void without_prompt(const int32_t *ids, int canvases, int32_t *out) {
    for (int i = 0; i < canvases * T; i++) out[i] = prompt[i % T] ? CACHED_MASK : ids[i];
}

/* Three roundings of numbers below 20 that are scaled by 2.5 at most. */
static const double tolerance = 20e-6;

static void check(const float *found, const float *with, const float *without, int count,
                  double scale) {
    for (int i = 0; i < count; i++) {
        double expected = (double)without[i] + scale * ((double)with[i] - (double)without[i]);
        ck_assert_double_eq_tol((double)found[i], expected, tolerance);
    }
}

START_TEST(guidance_is_its_formula_on_every_canvas_of_the_table) {
    static table_model model;
    const uint8_t first_two[TABLE_T] = {1, 1};
    mdlm_error err = {0};
    table_init(&model);
    md_denoiser inner = table_denoiser(&model);
    for (int n = 0; n < SCALES; n++) {
        md_guide guide;
        assert_ok(md_guide_init(&guide, &inner, scales[n], first_two, TABLE_T, &err));
        md_denoiser guided = md_guide_denoiser(&guide);
        ck_assert_ptr_null(guided.predict_cached);
        for (int code = 0; code < TABLE_CANVASES; code++) {
            int32_t ids[TABLE_T];
            const int32_t rows[] = {2, 3};
            float found[2][TABLE_V + 1];
            table_canvas(code, ids);
            assert_ok(guided.predict(guided.context, ids, 1, TABLE_T, rows, 2, found[0], &err));
            ids[0] = ids[1] = TABLE_MASK;
            int bare = table_code(ids);
            for (int r = 0; r < 2; r++)
                check(found[r], model.logits[code][rows[r]], model.logits[bare][rows[r]],
                      TABLE_V + 1, scales[n]);
        }
        md_guide_release(&guide);
    }
}
END_TEST

/* Every position of every canvas, as `ask` asks for them. */
typedef mdlm_status (*ask_fn)(const md_denoiser *d, const int32_t *ids, float *logits,
                              mdlm_error *err);

static int all_rows(int32_t *rows) {
    for (int i = 0; i < B * T; i++) rows[i] = i;
    return B * T;
}

static mdlm_status ask_plainly(const md_denoiser *d, const int32_t *ids, float *logits,
                               mdlm_error *err) {
    int32_t rows[B * T];
    int count = all_rows(rows);
    return d->predict(d->context, ids, B, T, rows, count, logits, err);
}

/* The clean text is another, but for the prompt. */
static mdlm_status ask_in_pairs(const md_denoiser *d, const int32_t *ids, float *logits,
                                mdlm_error *err) {
    int32_t rows[B * T], clean[B * T];
    int count = all_rows(rows);
    for (int i = 0; i < B * T; i++) clean[i] = i % T < PROMPT ? ids[i] : (ids[i] + i) % CACHED_MASK;
    return d->predict_blocks(d->context, ids, clean, B, T, rows, count, logits, err);
}

/* Fills caches with canvases of masks behind the prompt, then computes some positions. */
static mdlm_status ask_with_caches(const md_denoiser *d, const int32_t *ids, float *logits,
                                   mdlm_error *err) {
    enum { FIRST = 8, END = 15 };
    int32_t old[B * T], rows[B * (END - FIRST)];
    void *caches[B];
    int count = 0;
    for (int i = 0; i < B * T; i++) old[i] = i % T < PROMPT ? ids[i] : CACHED_MASK;
    for (int b = 0; b < B; b++) {
        caches[b] = d->cache_new(d->context, T, err);
        ck_assert_ptr_nonnull(caches[b]);
        for (int j = FIRST; j < END; j++) rows[count++] = b * T + j;
    }
    md_cached_call call = {.caches = caches, .ids = old, .B = B, .T = T, .end = T};
    mdlm_status status = d->predict_cached(d->context, &call, err);
    call = (md_cached_call){caches, ids, B, T, FIRST, END, rows, count, logits};
    if (status == MDLM_OK) status = d->predict_cached(d->context, &call, err);
    for (int b = 0; b < B; b++) d->cache_free(caches[b]);
    return status;
}

static void check_asked(md_sight sight, ask_fn ask) {
    mdlm_error err = {0};
    cached_model model = {.sight = sight, .block = BLOCK};
    md_denoiser inner = cached_denoiser(&model);
    int32_t ids[B * T], bare[B * T];
    /* what is not asked for stays 0 */
    float with[B * T * CACHED_V] = {0}, without[B * T * CACHED_V] = {0};
    lay_out(ids, B);
    without_prompt(ids, B, bare);
    assert_ok(ask(&inner, ids, with, &err));
    if (ask == ask_in_pairs) { /* the prompt goes from both halves */
        int32_t clean[B * T], clean_bare[B * T], rows[B * T];
        int count = all_rows(rows);
        for (int i = 0; i < B * T; i++)
            clean[i] = i % T < PROMPT ? ids[i] : (ids[i] + i) % CACHED_MASK;
        without_prompt(clean, B, clean_bare);
        assert_ok(cached_blocks(&model, bare, clean_bare, B, T, rows, count, without, &err));
    } else {
        assert_ok(ask(&inner, bare, without, &err));
    }
    for (int n = 0; n < SCALES; n++) {
        float found[B * T * CACHED_V] = {0};
        md_guide guide;
        assert_ok(md_guide_init(&guide, &inner, scales[n], prompt, T, &err));
        md_denoiser guided = md_guide_denoiser(&guide);
        ck_assert(guided.sight == sight && guided.vocab == CACHED_V);
        assert_ok(ask(&guided, ids, found, &err));
        check(found, with, without, B * T * CACHED_V, scales[n]);
        if (scales[n] == 0) ck_assert_int_eq(memcmp(found, without, sizeof found), 0);
        md_guide_release(&guide);
    }
    ck_assert_int_eq(model.caches, 0);
}

START_TEST(guidance_is_its_formula_however_it_is_asked) {
    for (md_sight sight = MD_SEES_ALL; sight <= MD_SEES_PAST; sight++) {
        check_asked(sight, ask_plainly);
        check_asked(sight, ask_with_caches);
    }
    check_asked(MD_SEES_BLOCKS, ask_in_pairs);
}
END_TEST

static mdlm_status sample(cached_model *m, md_cache_kind kind, int32_t *ids, mdlm_error *err) {
    md_denoiser inner = cached_denoiser(m), guided;
    md_guide guide;
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    md_canvas canvas = {.ids = ids, .given = prompt, .samples = B, .length = T};
    mdlm_status status = md_guide_init(&guide, &inner, 2, prompt, T, err);
    if (status != MDLM_OK) return status;
    guided = md_guide_denoiser(&guide);
    opt.rule = &md_rule_left, opt.cache = kind;
    for (int i = 0; i < B * T; i++) ids[i] = i % T < PROMPT ? 2 : CACHED_MASK;
    status = md_sampler_run(&guided, &process, &opt, &canvas, NULL, err);
    md_guide_release(&guide);
    return status;
}

START_TEST(guided_samples_are_the_same_with_exact_caches) {
    for (md_sight sight = MD_SEES_BLOCKS; sight <= MD_SEES_PAST; sight++) {
        mdlm_error err = {0};
        cached_model model = {.sight = sight, .block = BLOCK};
        int32_t none[B * T], exact[B * T];
        assert_ok(sample(&model, MD_CACHE_NONE, none, &err));
        ck_assert_int_eq(model.cached_canvases, 0);
        assert_ok(sample(&model, MD_CACHE_EXACT, exact, &err));
        ck_assert_int_gt(model.cached_canvases, 0);
        ck_assert_int_eq(memcmp(none, exact, sizeof none), 0);
    }
}
END_TEST

static mdlm_status predict_infinite(void *context, const int32_t *ids, int batch, int length,
                                    const int32_t *rows, int count, float *logits,
                                    mdlm_error *err) {
    (void)context, (void)batch, (void)length, (void)rows, (void)err;
    for (int r = 0; r < count; r++) logits[2 * r] = -INFINITY, logits[2 * r + 1] = (float)ids[0];
    return MDLM_OK;
}

START_TEST(what_is_impossible_both_ways_stays_so) {
    mdlm_error err = {0};
    md_denoiser inner = {.vocab = 2, .mask_id = 1, .predict = predict_infinite};
    md_guide guide;
    const int32_t ids[] = {0, 0}, row = 1;
    const uint8_t first[] = {1, 0};
    float l[2];
    assert_ok(md_guide_init(&guide, &inner, 3, first, 2, &err));
    md_denoiser guided = md_guide_denoiser(&guide);
    assert_ok(guided.predict(guided.context, ids, 1, 2, &row, 1, l, &err));
    ck_assert(isinf(l[0]) && l[0] < 0 && l[1] == -2.0F); /* 1 + 3 (0 - 1) */
    md_guide_release(&guide);
}
END_TEST

START_TEST(a_failing_allocation_of_a_guide_is_reported) {
    mdlm_error err = {0};
    int failures = 0;
    for (;; failures++) {
        cached_model model = {.sight = MD_SEES_BLOCKS, .block = BLOCK};
        int32_t ids[B * T];
        memory_left = failures;
        mdlm_status status = sample(&model, MD_CACHE_EXACT, ids, &err);
        ck_assert_int_eq(model.caches, 0);
        if (status == MDLM_OK) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    memory_left = -1;
    ck_assert_int_ge(failures, 15);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler guidance");
    suite_case(s, guidance_is_its_formula_on_every_canvas_of_the_table);
    suite_case(s, guidance_is_its_formula_however_it_is_asked);
    suite_case(s, guided_samples_are_the_same_with_exact_caches);
    suite_case(s, what_is_impossible_both_ways_stays_so);
    suite_case(s, a_failing_allocation_of_a_guide_is_reported);
    return suite_run(s);
}
