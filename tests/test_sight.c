/* tests/test_sight.c: networks that see blocks or the past: their files, what a position depends
 * on, canvases longer than the trained length, noisy and clean blocks at once, and caches. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tests/kernel_sets.h"
#include "tests/small_net.h"

enum { V = SMALL_V, MASK = SMALL_MASK, SEQ = 48, BLOCK = 12, LONG = 150, MAX_B = 3 };

typedef struct fixture {
    small_net n;
    md_transformer_view view;
    md_denoiser d;
} fixture;

static mdlm_error err;

static md_model_config config_of(md_sight sight) {
    md_model_config c = small_config(2, SEQ);
    c.sight = sight;
    if (sight == MD_SEES_BLOCKS) c.block_length = BLOCK;
    return c;
}

static void start(fixture *f, const md_kernels *k, md_sight sight, int threads) {
    const md_model_config config = config_of(sight);
    f->n = (small_net){.kernels = *k};
    small_net_start(&f->n, &config, threads);
    f->view = (md_transformer_view){.net = f->n.net, .tape = f->n.tape};
    f->d = md_transformer_denoiser(&f->view);
    md_rng rng = {.seed = 3, .stream = MD_STREAM_MASK};
    for (uint32_t i = 0; i < SMALL_IDS; i++)
        f->n.ids[i] = i % 3 ? (int32_t)md_uniform_below(rng, 0, i, V) : MASK;
}

static void start_best(fixture *f, md_sight sight) {
    md_kernels k;
    assert_ok(md_kernels_init(&k, NULL, &err));
    start(f, &k, sight, 2);
}

/* Logits of every position of B canvases. */
static void predict_all(fixture *f, const int32_t *ids, int B, int T, float *logits) {
    int32_t rows[MAX_B * LONG];
    for (int i = 0; i < B * T; i++) rows[i] = i;
    assert_ok(f->d.predict(f->d.context, ids, B, T, rows, B * T, logits, &err));
}

static int block_end(int t, int T) {
    int end = (t / BLOCK + 1) * BLOCK;
    return end < T ? end : T;
}

/* --- files ----------------------------------------------------------------------------------- */

static const struct {
    md_sight sight;
    const char *type;
} types[] = {{MD_SEES_ALL, "llada"}, {MD_SEES_BLOCKS, "mdlm_block"}, {MD_SEES_PAST, "mdlm_ar"}};

START_TEST(config_json_says_what_a_position_sees) {
    md_model_config config = config_of(types[_i].sight), found;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
    const char *text;
    cJSON *root;
    assert_ok(md_model_config_save(&config, folder, &err));
    assert_ok(md_model_config_load(folder, &found, &err));
    ck_assert(md_model_config_equal(&found, &config));
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    assert_ok(md_json_text(root, "model_type", path, &text, &err));
    ck_assert_str_eq(text, types[_i].type);
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(root, "architectures");
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(classes, 0));
    ck_assert(!strcmp(name, "LLaDAModelLM") == (types[_i].sight == MD_SEES_ALL));
    ck_assert(cJSON_HasObjectItem(root, "block_length") == (types[_i].sight == MD_SEES_BLOCKS));
    cJSON_Delete(root);
    md_free(path);
    suite_tmp_remove(folder);
}
END_TEST

/* config.json of a network of blocks with another block_length; "": none. */
static mdlm_status load_with(const char *block_length) {
    md_model_config config = config_of(MD_SEES_BLOCKS), found;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
    cJSON *root;
    assert_ok(md_model_config_save(&config, folder, &err));
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    cJSON_DeleteItemFromObject(root, "block_length");
    if (*block_length) cJSON_AddRawToObject(root, "block_length", block_length);
    assert_ok(md_json_save(path, root, &err));
    mdlm_status status = md_model_config_load(folder, &found, &err);
    cJSON_Delete(root);
    md_free(path);
    suite_tmp_remove(folder);
    return status;
}

START_TEST(a_block_length_that_does_not_fit_is_refused) {
    static const char *const wrong[] = {"0", "-4", "96", "2.5", "\"4\"", "null", "1e30", ""};
    assert_ok(load_with("16"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(load_with(wrong[i]), MDLM_INPUT,
                     *wrong[i] == '9' ? "block-length 96" : "block_length");
    assert_fails(load_with("10"), MDLM_INPUT, "the nearest that do are 8 and 12");
}
END_TEST

/* --- what a position sees -------------------------------------------------------------------- */

/* The first token behind those that a row sees. */
static int sight_end(md_sight sight, int row, int T) {
    return sight == MD_SEES_BLOCKS ? block_end(row, T) : row;
}

/* A canvas of three times the trained length. */
START_TEST(a_position_depends_on_no_token_that_it_must_not_see) {
    static const md_sight both[] = {MD_SEES_BLOCKS, MD_SEES_PAST};
    static float before[LONG * V], after[LONG * V];
    fixture f;
    start_best(&f, both[_i]);
    predict_all(&f, f.n.ids, 1, LONG, before);
    for (int row = 0; row < LONG; row += 13) {
        int32_t ids[LONG];
        int end = sight_end(both[_i], row, LONG);
        for (int t = 0; t < LONG; t++) ids[t] = t < end ? f.n.ids[t] : (f.n.ids[t] + 7) % V;
        predict_all(&f, ids, 1, LONG, after);
        ck_assert_msg(!memcmp(before + row * V, after + row * V, V * sizeof *after), "%d", row);
        if (end == 0) continue;
        memcpy(ids, f.n.ids, sizeof ids);
        ids[end - 1] = (ids[end - 1] + 7) % V;
        predict_all(&f, ids, 1, LONG, after);
        ck_assert_msg(memcmp(before + row * V, after + row * V, V * sizeof *after) != 0, "%d", row);
    }
    small_net_release(&f.n);
}
END_TEST

/* A row of two layers sees the last SEQ tokens up to the end of its block (or up to itself), and
 * what the first of them sees. */
START_TEST(a_long_canvas_is_seen_through_a_window) {
    static const md_sight both[] = {MD_SEES_BLOCKS, MD_SEES_PAST};
    static float before[LONG * V], after[LONG * V];
    fixture f;
    start_best(&f, both[_i]);
    predict_all(&f, f.n.ids, 1, LONG, before);
    int row = LONG - 1, first = sight_end(both[_i], row, LONG) - SEQ;
    int oldest = both[_i] == MD_SEES_BLOCKS ? block_end(first, LONG) - SEQ : first + 1 - SEQ;
    for (int t = oldest - 4; t < oldest + 4; t++) {
        int32_t ids[LONG];
        memcpy(ids, f.n.ids, sizeof ids);
        ids[t] = (ids[t] + 7) % V;
        predict_all(&f, ids, 1, LONG, after);
        bool same = !memcmp(before + row * V, after + row * V, V * sizeof *after);
        ck_assert_msg(same == (t < oldest), "position %d of %d, first seen is %d", t, LONG, oldest);
    }
    small_net_release(&f.n);
}
END_TEST

/* Row i is computed from the i tokens before it: alone, they give the same. */
START_TEST(an_autoregressive_row_is_what_the_tokens_before_it_give) {
    static float whole[SEQ * V], part[SEQ * V];
    fixture f;
    start_best(&f, MD_SEES_PAST);
    predict_all(&f, f.n.ids, 1, SEQ, whole);
    for (int T = 1; T <= SEQ; T += 9) {
        predict_all(&f, f.n.ids, 1, T, part);
        ck_assert(!memcmp(whole, part, (size_t)T * V * sizeof *part));
    }
    small_net_release(&f.n);
}
END_TEST

START_TEST(a_network_that_sees_all_takes_no_longer_canvas) {
    static float logits[V];
    fixture f;
    int32_t row = 0;
    start_best(&f, MD_SEES_ALL);
    assert_fails(f.d.predict(f.d.context, f.n.ids, 1, SEQ + 1, &row, 1, logits, &err), MDLM_USAGE,
                 "49 tokens is longer than the 48");
    void *cache = f.d.cache_new(f.d.context, SEQ + 1, &err);
    const md_cached_call call = {.caches = &cache,
                                 .ids = f.n.ids,
                                 .B = 1,
                                 .T = SEQ + 1,
                                 .end = 5,
                                 .rows = &row,
                                 .count = 1,
                                 .logits = logits};
    assert_fails(f.d.predict_cached(f.d.context, &call, &err), MDLM_USAGE,
                 "49 tokens is longer than the 48");
    f.d.cache_free(cache);
    ck_assert(f.d.predict_blocks == NULL && f.d.block_length == 0);
    small_net_release(&f.n);
}
END_TEST

/* --- noisy and clean blocks ------------------------------------------------------------------ */

/* T: within the trained length, of whole blocks or not, and beyond it. */
START_TEST(pairs_give_what_the_canvas_of_clean_blocks_and_a_noisy_one_gives) {
    static const int lengths[] = {SEQ, SEQ - 5, 131};
    static float at_once[2 * LONG * V], one[LONG * V];
    int T = lengths[_i];
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        fixture f;
        int32_t rows[2 * LONG];
        start(&f, &k, MD_SEES_BLOCKS, 2);
        const int32_t *noisy = f.n.ids, *clean = f.n.ids + 2 * T;
        for (int i = 0; i < 2 * T; i++) rows[i] = i;
        assert_ok(f.d.predict_blocks(f.d.context, noisy, clean, 2, T, rows, 2 * T, at_once, &err));
        for (int b = 0; b < 2; b++) {
            for (int first = 0; first < T; first += BLOCK) {
                int32_t ids[LONG];
                for (int t = 0; t < T; t++) ids[t] = (t < first ? clean : noisy)[b * T + t];
                predict_all(&f, ids, 1, T, one);
                /* Sums begin elsewhere: rounding of two layers, 1e-6 of logits up to 30. */
                for (int i = first * V; i < block_end(first, T) * V; i++)
                    ck_assert_msg(fabsf(one[i] - at_once[b * T * V + i]) < 1e-4F,
                                  "'%s': position %d is off by %g", k.name, i / V,
                                  (double)fabsf(one[i] - at_once[b * T * V + i]));
            }
        }
        small_net_release(&f.n);
    }
}
END_TEST

START_TEST(pairs_do_not_depend_on_their_batch_or_threads) {
    static float together[3 * SEQ * V], alone[SEQ * V];
    fixture f, g;
    md_kernels k;
    int32_t rows[3 * SEQ];
    for (int i = 0; i < 3 * SEQ; i++) rows[i] = i;
    assert_ok(md_kernels_init(&k, NULL, &err));
    start(&f, &k, MD_SEES_BLOCKS, 3);
    start(&g, &k, MD_SEES_BLOCKS, 1);
    const int32_t *noisy = f.n.ids, *clean = f.n.ids + 3 * SEQ;
    assert_ok(f.d.predict_blocks(f.d.context, noisy, clean, 3, SEQ, rows, 3 * SEQ, together, &err));
    for (int b = 0; b < 3; b++) {
        assert_ok(g.d.predict_blocks(g.d.context, noisy + b * SEQ, clean + b * SEQ, 1, SEQ, rows,
                                     SEQ, alone, &err));
        ck_assert(!memcmp(alone, together + b * SEQ * V, sizeof alone));
    }
    small_net_release(&f.n);
    small_net_release(&g.n);
}
END_TEST

/* --- caches ---------------------------------------------------------------------------------- */

typedef struct cached_run {
    fixture *f;
    void *caches[MAX_B];
    int B, T;
} cached_run;

static void caches_init(cached_run *c, fixture *f, int B, int T) {
    *c = (cached_run){.f = f, .B = B, .T = T};
    for (int b = 0; b < B; b++) {
        c->caches[b] = f->d.cache_new(f->d.context, T, &err);
        ck_assert_ptr_nonnull(c->caches[b]);
    }
}

static void caches_release(cached_run *c) {
    for (int b = 0; b < c->B; b++) c->f->d.cache_free(c->caches[b]);
}

/* Computes [first, end) of all canvases; every other row's logits. */
static int cached_logits(cached_run *c, const int32_t *ids, int first, int end, int32_t *rows,
                         float *logits) {
    int count = 0;
    for (int b = 0; b < c->B; b++)
        for (int t = first; t < end; t += 2) rows[count++] = b * c->T + t;
    const md_cached_call call = {.caches = c->caches,
                                 .ids = ids,
                                 .B = c->B,
                                 .T = c->T,
                                 .first = first,
                                 .end = end,
                                 .rows = rows,
                                 .count = count,
                                 .logits = logits};
    assert_ok(c->f->d.predict_cached(c->f->d.context, &call, &err));
    return count;
}

/* [first, end) by way of the caches against `whole`, the logits of all. */
static void compare(cached_run *c, const int32_t *ids, int first, int end, const float *whole) {
    static float logits[MAX_B * LONG * V];
    int32_t rows[MAX_B * LONG];
    const md_kernels *k = &c->f->n.kernels;
    int count = cached_logits(c, ids, first, end, rows, logits);
    /* OpenBLAS adds up in another order when there are fewer rows: 1e-6 of logits up to 30. */
    double tolerance = strcmp(k->name, "openblas") ? 0 : 1e-4;
    for (int i = 0; i < count * V; i++) {
        double off = fabs((double)(logits[i] - whole[(int64_t)rows[i / V] * V + i % V]));
        ck_assert_msg(off <= tolerance, "%s, %s: position %d of %d is off by %g", k->name,
                      k->products, rows[i / V] % c->T, c->T, off);
    }
}

static const char *const dtypes[] = {"f32", "bf16", "q8_0"};

/* One after another from the left, by steps that are blocks or (past) anything; twice the trained
 * length. What stands behind in the canvas does not matter. */
static void fill_and_compare(md_sight sight, const char *dtype, int T, int step) {
    static float whole[2 * LONG * V];
    md_kernels k;
    for (int set = 0; next_kernels(&set, dtype, &k);) {
        fixture f;
        cached_run c;
        start(&f, &k, sight, 2);
        predict_all(&f, f.n.ids, 2, T, whole);
        caches_init(&c, &f, 2, T);
        for (int first = 0; first < T; first += step) {
            int end = first + step < T ? first + step : T;
            int32_t ids[2 * LONG];
            for (int i = 0; i < 2 * T; i++) ids[i] = i % T < end ? f.n.ids[i] : -1;
            compare(&c, ids, first, end, whole);
            compare(&c, ids, first, end, whole); /* again: it holds what it held */
        }
        compare(&c, f.n.ids, 0, T, whole);
        caches_release(&c);
        small_net_release(&f.n);
    }
}

START_TEST(blocks_by_way_of_a_cache_have_the_bits_of_the_whole_canvas) {
    fill_and_compare(MD_SEES_BLOCKS, dtypes[_i], SEQ, BLOCK);
    fill_and_compare(MD_SEES_BLOCKS, dtypes[_i], 101, BLOCK);
}
END_TEST

START_TEST(the_past_by_way_of_a_cache_has_the_bits_of_the_whole_canvas) {
    fill_and_compare(MD_SEES_PAST, dtypes[_i], 31, 1);
    fill_and_compare(MD_SEES_PAST, dtypes[_i], 101, 17);
}
END_TEST

START_TEST(a_cache_of_everything_is_exact_where_all_is_seen) {
    fill_and_compare(MD_SEES_ALL, dtypes[_i], SEQ, SEQ);
    fill_and_compare(MD_SEES_ALL, dtypes[_i], 29, 29);
}
END_TEST

/* Cached keys of the old canvas against those of the new one: close, not equal; and none of the
 * positions outside is computed again. */
START_TEST(a_stale_cache_is_used_as_it_is) {
    static float fresh[SEQ * V], stale[SEQ * V], again[SEQ * V];
    int32_t ids[SEQ], rows[SEQ];
    fixture f;
    cached_run c;
    start_best(&f, MD_SEES_ALL);
    memcpy(ids, f.n.ids, sizeof ids);
    caches_init(&c, &f, 1, SEQ);
    cached_logits(&c, ids, 0, SEQ, rows, fresh);
    for (int t = 0; t < SEQ; t += 5) ids[t] = (ids[t] + 7) % V;
    int count = cached_logits(&c, f.n.ids, 10, 20, rows, again);
    ck_assert(!memcmp(again, fresh + 5 * V, (size_t)count * V * sizeof *again));
    cached_logits(&c, ids, 10, 20, rows, stale);
    predict_all(&f, ids, 1, SEQ, fresh);
    ck_assert(memcmp(stale, fresh + 10 * V, V * sizeof *stale) != 0);
    ck_assert(memcmp(stale, again, V * sizeof *stale) != 0);
    caches_release(&c);
    small_net_release(&f.n);
}
END_TEST

START_TEST(canvases_of_one_call_do_not_meet) {
    static float together[MAX_B * BLOCK * V], alone[BLOCK * V];
    int32_t rows[MAX_B * BLOCK];
    fixture f;
    cached_run c;
    start_best(&f, MD_SEES_BLOCKS);
    caches_init(&c, &f, MAX_B, SEQ);
    cached_logits(&c, f.n.ids, 0, 2 * BLOCK, rows, (float[MAX_B * BLOCK * V]){0});
    int count = cached_logits(&c, f.n.ids, 2 * BLOCK, 3 * BLOCK, rows, together) / MAX_B;
    for (int b = 0; b < MAX_B; b++) {
        cached_run one = {.f = &f, .caches = {c.caches[b]}, .B = 1, .T = SEQ};
        cached_logits(&one, f.n.ids + b * SEQ, 2 * BLOCK, 3 * BLOCK, rows, alone);
        ck_assert(!memcmp(alone, together + b * count * V, (size_t)count * V * sizeof *alone));
    }
    caches_release(&c);
    small_net_release(&f.n);
}
END_TEST

START_TEST(ids_that_a_call_uses_are_checked) {
    fixture f;
    cached_run c;
    int32_t ids[SEQ], rows[] = {0}, noisy[SEQ] = {0};
    float logits[V];
    start_best(&f, MD_SEES_BLOCKS);
    caches_init(&c, &f, 1, SEQ);
    memcpy(ids, f.n.ids, sizeof ids);
    ids[13] = V;
    md_cached_call call = {.caches = c.caches, .ids = ids, .B = 1, .T = SEQ, .end = BLOCK};
    assert_ok(f.d.predict_cached(f.d.context, &call, &err)); /* fills the cache */
    call.first = BLOCK, call.end = 2 * BLOCK;
    assert_fails(f.d.predict_cached(f.d.context, &call, &err), MDLM_USAGE, "token id 23");
    assert_fails(f.d.predict_blocks(f.d.context, noisy, ids, 1, SEQ, rows, 1, logits, &err),
                 MDLM_USAGE, "token id 23");
    assert_fails(f.d.predict_blocks(f.d.context, ids, noisy, 1, SEQ, rows, 1, logits, &err),
                 MDLM_USAGE, "token id 23");
    caches_release(&c);
    small_net_release(&f.n);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sight");
    TCase *tc = tcase_create("each");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, config_json_says_what_a_position_sees, 0, 3);
    tcase_add_loop_test(tc, a_position_depends_on_no_token_that_it_must_not_see, 0, 2);
    tcase_add_loop_test(tc, a_long_canvas_is_seen_through_a_window, 0, 2);
    tcase_add_loop_test(tc, pairs_give_what_the_canvas_of_clean_blocks_and_a_noisy_one_gives, 0, 3);
    tcase_add_loop_test(tc, blocks_by_way_of_a_cache_have_the_bits_of_the_whole_canvas, 0, 3);
    tcase_add_loop_test(tc, the_past_by_way_of_a_cache_has_the_bits_of_the_whole_canvas, 0, 3);
    tcase_add_loop_test(tc, a_cache_of_everything_is_exact_where_all_is_seen, 0, 3);
    suite_add_tcase(s, tc);
    suite_case(s, a_block_length_that_does_not_fit_is_refused);
    suite_case(s, an_autoregressive_row_is_what_the_tokens_before_it_give);
    suite_case(s, a_network_that_sees_all_takes_no_longer_canvas);
    suite_case(s, pairs_do_not_depend_on_their_batch_or_threads);
    suite_case(s, a_stale_cache_is_used_as_it_is);
    suite_case(s, canvases_of_one_call_do_not_meet);
    suite_case(s, ids_that_a_call_uses_are_checked);
    name_skipped_sets();
    return suite_run(s);
}
