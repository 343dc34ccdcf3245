/* tests/test_sampler_network.c: samples of small networks of every sight: the same ids with exact
 * caches, in any batch, on any number of threads, with every rule and every set of kernels. */
#include "sampler/rule.h"
#include "tests/kernel_sets.h"
#include "tests/small_net.h"

enum { T = 26, SEQ = 16, BLOCK = 8, SAMPLES = 3, PROMPT = 3, END = 4 };

static const uint8_t prompt[T] = {1, 1, 1};

/* A network of this sight; a canvas of `length` is longer than the trained length where it may. */
typedef struct fixture {
    small_net net;
    md_transformer_view view;
    md_denoiser denoiser;
    int length;
} fixture;

static void start(fixture *f, md_sight sight, const md_kernels *kernels, int threads) {
    md_model_config config = small_config(2, SEQ);
    config.sight = sight;
    config.block_length = sight == MD_SEES_BLOCKS ? BLOCK : 0;
    *f = (fixture){.length = sight == MD_SEES_ALL ? SEQ : T};
    f->net.kernels = *kernels;
    small_net_start(&f->net, &config, threads);
    f->view = (md_transformer_view){f->net.net, f->net.tape};
    f->denoiser = md_transformer_denoiser(&f->view);
}

static void sample(fixture *f, const md_sampler_options *opt, int samples, int32_t *ids) {
    mdlm_error err = {0};
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_canvas canvas = {.ids = ids, .given = prompt, .samples = samples, .length = f->length};
    md_sampler_options with = *opt;
    with.kernels = &f->net.kernels, with.pool = f->net.pool;
    for (int i = 0; i < samples * f->length; i++) ids[i] = i % f->length < PROMPT ? 5 : SMALL_MASK;
    assert_ok(md_sampler_run(&f->denoiser, &process, &with, &canvas, NULL, &err));
}

static bool fits(const md_rule *rule, md_sight sight) {
    return sight != MD_SEES_PAST || rule->left_to_right;
}

/* Ids of every rule that fits this sight, one after the other; returns how many. */
enum { MOST = 20 * SAMPLES * T };

static int sample_all(fixture *f, md_cache_kind kind, bool one_by_one, int32_t *ids) {
    int count = 0;
    for (int n = 0; md_rule_names[n]; n++) {
        md_sampler_options opt = md_sampler_defaults();
        opt.rule = md_rule_find(md_rule_names[n]);
        if (!fits(opt.rule, f->denoiser.sight)) continue;
        opt.cache = kind, opt.steps = 9, opt.seed = 8, opt.eta = 0.3;
        opt.end_of_text = MD_END_STOP, opt.end_of_text_id = END;
        ck_assert_int_le(count + SAMPLES * f->length, MOST);
        if (!one_by_one) sample(f, &opt, SAMPLES, ids + count);
        for (int k = 0; one_by_one && k < SAMPLES; k++) {
            opt.first_index = k;
            sample(f, &opt, 1, ids + count + k * f->length);
        }
        count += SAMPLES * f->length;
    }
    return count;
}

/* No cache on one thread, an exact one on one thread sample by sample, and on three together. */
static void check_kernels(const md_kernels *kernels) {
    for (md_sight sight = MD_SEES_ALL; sight <= MD_SEES_PAST; sight++) {
        static int32_t expected[MOST], found[MOST];
        int count = 0;
        for (int threads = 1; threads <= 3; threads += 2) {
            fixture f;
            start(&f, sight, kernels, threads);
            if (threads == 1) count = sample_all(&f, MD_CACHE_NONE, false, expected);
            ck_assert_int_eq(sample_all(&f, MD_CACHE_EXACT, threads == 1, found), count);
            ck_assert_msg(!memcmp(found, expected, (size_t)count * sizeof *found),
                          "'%s' sight %d, %d threads", kernels->name, (int)sight, threads);
            small_net_release(&f.net);
        }
    }
}

START_TEST(exact_caches_threads_and_batches_give_the_same_ids) {
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) check_kernels(&kernels);
}
END_TEST

START_TEST(approximate_caches_are_close_and_do_not_depend_on_batch_or_threads) {
    for (md_cache_kind kind = MD_CACHE_PREFIX; kind <= MD_CACHE_DUAL; kind++) {
        static int32_t expected[MOST], found[MOST];
        md_kernels kernels;
        mdlm_error err;
        int count = 0;
        assert_ok(md_kernels_init(&kernels, NULL, &err));
        for (int threads = 1; threads <= 3; threads += 2) {
            fixture f;
            start(&f, MD_SEES_ALL, &kernels, threads);
            if (threads == 1) count = sample_all(&f, kind, false, expected);
            sample_all(&f, kind, true, found);
            ck_assert_int_eq(memcmp(found, expected, (size_t)count * sizeof *found), 0);
            small_net_release(&f.net);
        }
    }
}
END_TEST

static md_cache_drift drift_of(md_sight sight, md_cache_kind kind) {
    md_kernels kernels;
    mdlm_error err;
    fixture f;
    md_sampler_options opt = md_sampler_defaults();
    md_cache_drift drift = {0};
    int32_t ids[SAMPLES * T];
    assert_ok(md_kernels_init(&kernels, NULL, &err));
    start(&f, sight, &kernels, 2);
    opt.rule = &md_rule_left, opt.cache = kind, opt.drift = &drift;
    sample(&f, &opt, SAMPLES, ids);
    small_net_release(&f.net);
    return drift;
}

START_TEST(exact_caches_do_not_drift_and_approximate_ones_a_little) {
    for (md_sight sight = MD_SEES_ALL; sight <= MD_SEES_PAST; sight++) {
        md_cache_drift drift = drift_of(sight, MD_CACHE_EXACT);
        ck_assert_int_eq(drift.rows, SAMPLES * ((sight == MD_SEES_ALL ? SEQ : T) - PROMPT));
        ck_assert_int_eq(drift.argmax_differs, 0);
        /* the same logits, to the rounding of a set whose products depend on their size */
        ck_assert_double_lt(drift.kl_max, 1e-9);
    }
    md_cache_drift prefix = drift_of(MD_SEES_ALL, MD_CACHE_PREFIX);
    md_cache_drift dual = drift_of(MD_SEES_ALL, MD_CACHE_DUAL);
    ck_assert(prefix.kl_max > 1e-9 && dual.kl_max > 1e-9);
    /* what is off by a token in few is nowhere near what is unrelated */
    ck_assert(prefix.kl_sum / (double)prefix.rows < 1 && dual.kl_sum / (double)dual.rows < 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler and network");
    suite_case(s, exact_caches_threads_and_batches_give_the_same_ids);
    suite_case(s, approximate_caches_are_close_and_do_not_depend_on_batch_or_threads);
    suite_case(s, exact_caches_do_not_drift_and_approximate_ones_a_little);
    name_skipped_sets();
    return suite_run(s);
}
