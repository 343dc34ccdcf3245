/* tests/test_image_classify.c: training of a classifier (train/image_task.h), its plan and its
 * files, and how well it tells images (train/image_labels.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/optim.h"
#include "tests/gaussian_process.h"
#include "tests/image_training.h"
#include "train/image_labels.h"
#include "train/image_plan.h"

enum {
    SIDE = TRAINING_SIDE,
    IMAGES = TRAINING_IMAGES,
    PIXELS = SIDE * SIDE,
    LEVELS = 100,
    CLASSES = 4
};

typedef struct variant {
    bool noisy;
    int batch, accum, threads;
} variant;

/* Random pixels, and a quarter of the image, which is the class, with brighter ones; as IDX. */
static void fill(unsigned char *images, unsigned char *labels) {
    const md_rng rng = {.seed = 3, .stream = MD_STREAM_CORPUS};
    for (uint32_t i = 0; i < IMAGES; i++) {
        labels[i] = (unsigned char)md_uniform_below(rng, i, PIXELS, CLASSES);
        for (uint32_t k = 0; k < PIXELS; k++) {
            const int quarter = (k / SIDE >= SIDE / 2) * 2 + (k % SIDE >= SIDE / 2);
            const unsigned drawn = (unsigned)md_uniform_below(rng, i, k, 128);
            images[i * PIXELS + k] = (unsigned char)(drawn + (quarter == labels[i] ? 96 : 0));
        }
    }
}

static void open_set(training *t) {
    mdlm_error err = {0};
    static unsigned char images[16 + IMAGES * PIXELS] = {
        0, 0, 8, 3, 0, 0, IMAGES >> 8, IMAGES & 255, 0, 0, 0, SIDE, 0, 0, 0, SIDE};
    static unsigned char labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, IMAGES >> 8, IMAGES & 255};
    md_images_options opt = md_images_defaults();
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "images-idx3", &err);
    char *beside = md_path_join(folder, "labels-idx1", &err);
    fill(images + 16, labels + 8);
    assert_ok(md_file_write(path, images, sizeof images, &err));
    assert_ok(md_file_write(beside, labels, sizeof labels, &err));
    assert_ok(md_images_open(path, &opt, &t->set, &err));
    md_free(beside);
    md_free(path);
    suite_tmp_remove(folder);
}

static void start(training *t, variant v) {
    mdlm_error err = {0};
    training_init(t, v.threads);
    open_set(t);
    t->setup.config = (md_image_config){.backbone = MD_BACKBONE_ENCODER,
                                        .shape = {SIDE, SIDE, 1},
                                        .classes = md_images_classes(t->set),
                                        .noisy = v.noisy,
                                        .base = 16,
                                        .mults = {2, {1, 1}},
                                        .res_blocks = 1};
    if (v.noisy) {
        t->setup.process =
            gaussian_of((md_gaussian_options){.schedule = MD_BETA_COSINE, .timesteps = LEVELS});
        assert_ok(md_times_init(&t->times, MD_TIMES_UNIFORM, &t->setup.process, &err));
    }
    training_start(t, &(md_image_task){.batch = v.batch,
                                       .accum = v.accum,
                                       .class_drop = 1}); /* which does not matter */
}

/* --- a step ----------------------------------------------------------------------------------- */

static void forget_head(training *t) {
    md_tensor *head = md_image_model_head(t->model);
    memset(head->data, 0, (size_t)md_tensor_size(head) * sizeof *head->data);
}

START_TEST(a_classifier_without_an_opinion_loses_the_logarithm_of_the_classes) {
    for (int noisy = 0; noisy < 2; noisy++) {
        training t;
        double value;
        mdlm_error err = {0};
        start(&t, (variant){noisy, 8, 1, 1});
        forget_head(&t);
        const double expected = log(CLASSES);
        ck_assert_double_eq_tol(training_step(&t, 1), expected, 1e-6); /* single precision */
        assert_ok(t.view.validate(t.view.context, true, &value, &err));
        ck_assert_double_eq_tol(value, expected, 1e-6);
        training_release(&t);
    }
}
END_TEST

/* The tolerances are those of sums in another order. */
START_TEST(a_step_is_the_same_in_micro_batches_and_on_any_number_of_threads) {
    for (int noisy = 0; noisy < 2; noisy++) {
        training whole, parts, threads;
        start(&whole, (variant){noisy, 8, 1, 1});
        start(&parts, (variant){noisy, 2, 4, 1});
        start(&threads, (variant){noisy, 8, 1, 4});
        training_shake(&whole);
        training_shake(&parts);
        training_shake(&threads);
        const double a = training_step(&whole, 3), b = training_step(&parts, 3);
        ck_assert_double_eq_tol(a, b, 1e-6 * a);
        ck_assert_double_lt(training_difference(&whole, &parts), 1e-5);
        ck_assert(training_step(&threads, 3) == a);
        ck_assert(training_difference(&whole, &threads) == 0);
        training_release(&threads);
        training_release(&parts);
        training_release(&whole);
    }
}
END_TEST

/* Half of ln 4 is what one loses who knows half of the image. */
START_TEST(sixty_steps_tell_where_an_image_is_bright) {
    training t;
    mdlm_error err = {0};
    double value;
    start(&t, (variant){false, 16, 1, 2});
    md_optimizer_options options = md_optimizer_defaults();
    md_params *params = md_image_model_params(t.model);
    md_optimizer *optimizer = md_optimizer_new(params, &t.kernels, &options, &err);
    for (int i = 0; i < 60; i++) {
        training_step(&t, i + 1);
        assert_ok(md_optimizer_step(optimizer, 3e-3, t.pool, NULL, &err));
    }
    assert_ok(t.view.validate(t.view.context, true, &value, &err));
    ck_assert_double_lt(value, log(CLASSES) / 2);
    md_buffer text = {0};
    assert_ok(t.view.sample(t.view.context, 60, &text, &err));
    ck_assert(strstr(text.data, "% of 40 images held out are told right") != NULL);
    ck_assert_double_gt(strtod(text.data, NULL), 50);
    md_buffer_release(&text);
    md_optimizer_free(optimizer);
    training_release(&t);
}
END_TEST

/* --- judging ---------------------------------------------------------------------------------- */

/* Says that an image is of the class that its first pixel names, 0 or 1, with probability 3/4, and
 * remembers what it was asked. */
typedef struct table {
    int calls;
    double time[8];
    float x[8];
} table;

static mdlm_status classify_table(void *context, const md_image_query *q,
                                  const md_image_verdict *out, mdlm_error *err) {
    table *t = context;
    (void)err;
    for (int b = 0; b < q->B; b++) {
        const bool one = q->x[2 * b] > 0.5f;
        t->x[b] = q->x[2 * b];
        t->time[b] = q->time ? q->time[b] : -1;
        out->log_p[2 * b] = (float)log(one ? 0.25 : 0.75);
        out->log_p[2 * b + 1] = (float)log(one ? 0.75 : 0.25);
    }
    t->calls++;
    return MDLM_OK;
}

static md_image_classifier table_classifier(table *t, bool noisy) {
    return (md_image_classifier){.context = t,
                                 .shape = {1, 2, 1},
                                 .classes = 2,
                                 .features = 1,
                                 .noisy = noisy,
                                 .classify = classify_table};
}

START_TEST(a_score_counts_what_was_told_right_and_how_surely) {
    table t = {0};
    mdlm_error err = {0};
    const md_image_classifier classifier = table_classifier(&t, false);
    md_label_judge judge = {.classifier = &classifier};
    md_label_score score = {0};
    const float x[] = {0, 0, 1, 0, 1, 0, 0, 0};
    const int32_t labels[] = {0, 1, 0, -1};
    assert_ok(md_label_judge_init(&judge, 4, &err));
    ck_assert(isnan(md_label_score_stderr(&score)));
    const md_label_batch batch = {.images = x, .labels = labels, .count = 4};
    assert_ok(md_label_judge_add(&judge, &batch, &score, &err));
    ck_assert_int_eq(score.images, 3);
    ck_assert_int_eq(score.right, 2);
    /* -ln of 3/4, 3/4, 1/4: mean, and its error with n - 1 */
    const double a = -log(0.75), b = -log(0.25), mean = (2 * a + b) / 3;
    const double variance = (2 * (a - mean) * (a - mean) + (b - mean) * (b - mean)) / 2;
    ck_assert_double_eq_tol(md_label_score_nats(&score), mean, 1e-6); /* single precision */
    ck_assert_double_eq_tol(md_label_score_stderr(&score), sqrt(variance / 3), 1e-6);
    md_label_judge_release(&judge);
}
END_TEST

/* Noise of an image belongs to its number and its level, and the classifier is told the level. */
START_TEST(images_are_noised_as_their_levels_say_in_any_batch) {
    table t = {0};
    mdlm_error err = {0};
    md_gaussian process = gaussian_of((md_gaussian_options){
        .process = MD_PROCESS_VE, .timesteps = 10, .prediction = MD_PREDICTS_IMAGE});
    const md_image_classifier classifier = table_classifier(&t, true);
    md_label_judge judge = {.classifier = &classifier, .process = &process, .seed = 4};
    md_label_score score = {0};
    const float x[] = {0, 0, 1, 0, 1, 0};
    const int32_t labels[] = {0, 1, 0};
    const int level[] = {0, 9, 9};
    assert_ok(md_label_judge_init(&judge, 3, &err));
    md_label_batch batch = {.images = x, .labels = labels, .level = level, .count = 3, .first = 7};
    assert_ok(md_label_judge_add(&judge, &batch, &score, &err));
    const table all = t;
    const md_level most = md_gaussian_level(&process, 9), least = md_gaussian_level(&process, 0);
    ck_assert(all.time[0] == least.time && all.time[1] == most.time);
    const md_rng rng = {.seed = 4, .stream = MD_STREAM_EVAL_NOISE, .step = 9};
    const double expected =
        (1 + most.noise * md_normal(rng, 9, 0)) * md_gaussian_input(&process, most);
    ck_assert_double_eq_tol((double)all.x[2], expected, 1e-6 * fabs(expected) + 1e-6);
    ck_assert(all.x[1] != all.x[2]);
    batch = (md_label_batch){
        .images = x + 4, .labels = labels + 2, .level = level + 2, .count = 1, .first = 9};
    assert_ok(md_label_judge_add(&judge, &batch, &score, &err));
    ck_assert(t.x[0] == all.x[2] && t.time[0] == all.time[2]);
    md_label_judge_release(&judge);
    md_gaussian_release(&process);
}
END_TEST

/* --- the plan and the files ------------------------------------------------------------------- */

static md_image_settings settings_of(bool noisy) {
    md_image_settings s = training_settings("classify");
    s.noisy = noisy;
    s.process = "vp";
    return s;
}

START_TEST(the_plan_of_a_classifier_is_an_encoder) {
    const md_image_shape shape = {28, 28, 1};
    for (int noisy = 0; noisy < 2; noisy++) {
        md_image_settings s = settings_of(noisy);
        md_image_aim aim;
        md_image_config config;
        mdlm_error err = {0};
        assert_ok(md_image_plan_aim(&s, NULL, &aim, &err));
        ck_assert(aim.classify);
        ck_assert_int_eq(aim.process.schedule, MD_BETA_COSINE);
        ck_assert_int_eq(aim.times, MD_TIMES_UNIFORM);
        assert_ok(md_image_plan_network(&s, NULL, shape, 10, &config, &err));
        ck_assert_int_eq(config.backbone, MD_BACKBONE_ENCODER);
        ck_assert(config.noisy == (noisy == 1));
        ck_assert_int_eq(config.mults.count, 3);
        assert_fails(md_image_plan_network(&s, NULL, shape, 1, &config, &err), MDLM_USAGE,
                     "two classes or more, not 1");
        s.backbone = "dit";
        assert_fails(md_image_plan_network(&s, NULL, shape, 10, &config, &err), MDLM_USAGE,
                     "--backbone dit is for --task generate");
        s.noise_schedule = "learned";
        assert_fails(md_image_plan_aim(&s, NULL, &aim, &err), MDLM_USAGE, "--task generate");
    }
}
END_TEST

/* A flow, and a chain that ends in noise alone, cannot predict noise, which nobody asks for. */
START_TEST(every_process_can_noise_a_classifiers_images) {
    static const char *const processes[] = {"vp", "ve", "flow"};
    md_image_settings open = settings_of(true);
    md_image_aim usual;
    mdlm_error err = {0};
    open.process = "auto";
    assert_ok(md_image_plan_aim(&open, NULL, &usual, &err));
    ck_assert_int_eq(usual.process.process, MD_PROCESS_FLOW); /* as of the models that it guides */
    for (int i = 0; i < 4; i++) {
        md_image_settings s = settings_of(true);
        md_image_aim aim;
        s.process = processes[i % 3];
        s.zero_snr = i == 3;
        assert_ok(md_image_plan_aim(&s, NULL, &aim, &err));
    }
}
END_TEST

START_TEST(a_setup_survives_its_files_with_a_process_or_without) {
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int noisy = 0; noisy < 2; noisy++) {
        training t;
        mdlm_error err = {0};
        md_image_setup found = {0};
        start(&t, (variant){noisy, 8, 1, 1});
        ck_assert_int_eq(t.setup.config.classes, CLASSES);
        assert_ok(md_image_setup_name(&t.setup, names, t.setup.config.classes, &err));
        char *folder = suite_tmp_dir();
        assert_ok(md_image_setup_save(&t.setup, folder, &err));
        assert_ok(md_image_setup_load(folder, &found, &err));
        ck_assert(md_image_config_equal(&found.config, &t.setup.config));
        ck_assert_int_eq(found.process.T, noisy ? LEVELS : 0);
        md_image_setup_release(&found);
        suite_tmp_remove(folder);
        training_release(&t);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("training of classifiers of images");
    suite_case(s, a_classifier_without_an_opinion_loses_the_logarithm_of_the_classes);
    suite_case(s, a_step_is_the_same_in_micro_batches_and_on_any_number_of_threads);
    suite_case(s, sixty_steps_tell_where_an_image_is_bright);
    suite_case(s, a_score_counts_what_was_told_right_and_how_surely);
    suite_case(s, images_are_noised_as_their_levels_say_in_any_batch);
    suite_case(s, the_plan_of_a_classifier_is_an_encoder);
    suite_case(s, every_process_can_noise_a_classifiers_images);
    suite_case(s, a_setup_survives_its_files_with_a_process_or_without);
    return suite_run(s);
}
