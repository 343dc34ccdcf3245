/* tests/test_image_task.c: training on images as a task of the loop (train/image_task.h), its plan
 * and its files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/optim.h"
#include "tests/gaussian_process.h"
#include "tests/image_training.h"
#include "train/image_plan.h"

typedef struct variant {
    md_gaussian_options process;
    md_loss_kind loss;
    md_times_kind times;
    int batch, accum, threads;
    double class_drop;
} variant;

static const variant usual = {.process = {.schedule = MD_BETA_COSINE, .timesteps = 100},
                              .loss = MD_LOSS_SIMPLE,
                              .batch = 8,
                              .accum = 1,
                              .threads = 1};

static const variant bound = {
    .process = {.schedule = MD_BETA_LEARNED, .timesteps = 12, .variance = MD_VARIANCE_LEARNED},
    .loss = MD_LOSS_VLB,
    .times = MD_TIMES_LOSS_AWARE,
    .batch = 16,
    .accum = 1,
    .threads = 2};

static void open_set(training *t) {
    mdlm_error err = {0};
    md_images_options opt = md_images_defaults();
    opt.end = TRAINING_IMAGES;
    opt.image_size = TRAINING_SIDE;
    opt.channels = 1;
    assert_ok(md_images_open("shapes", &opt, &t->set, &err));
}

static void start(training *t, const variant *v) {
    mdlm_error err = {0};
    training_init(t, v->threads);
    open_set(t);
    t->setup.config =
        (md_image_config){.backbone = MD_BACKBONE_UNET,
                          .shape = {TRAINING_SIDE, TRAINING_SIDE, 1},
                          .learned_variance = v->process.variance == MD_VARIANCE_LEARNED,
                          .classes = md_images_classes(t->set),
                          .base = 16,
                          .mults = {2, {1, 1}},
                          .res_blocks = 1};
    t->setup.process = gaussian_of(v->process);
    assert_ok(md_times_init(&t->times, v->times, &t->setup.process, &err));
    training_start(
        t, &(md_image_task){
               .loss = v->loss, .batch = v->batch, .accum = v->accum, .class_drop = v->class_drop});
}

/* --- a step ----------------------------------------------------------------------------------- */

/* A network that says nothing has the squared error of the noise, which is 1 but for sampling: 512
 * numbers, standard error sqrt(2/512). */
START_TEST(a_network_that_says_zero_loses_the_noise) {
    training t;
    start(&t, &usual);
    ck_assert_double_eq_tol(training_step(&t, 1), 1, 0.2);
    training_release(&t);
}
END_TEST

/* Draws belong to the place of an image in the step, so however the step is cut, they are the same.
 * The tolerances are those of sums in another order. */
START_TEST(a_step_is_the_same_in_micro_batches) {
    training whole, parts;
    variant cut = usual;
    cut.batch = 2, cut.accum = 4, cut.class_drop = 0.5;
    variant uncut = usual;
    uncut.class_drop = 0.5;
    start(&whole, &uncut);
    start(&parts, &cut);
    training_shake(&whole);
    training_shake(&parts);
    ck_assert_int_eq(whole.task.parts, 1);
    ck_assert_int_eq(parts.task.parts, 4);
    const double a = training_step(&whole, 3), b = training_step(&parts, 3);
    ck_assert_double_eq_tol(a, b, 1e-6 * a);
    ck_assert_double_lt(training_difference(&whole, &parts), 1e-5);
    training_release(&parts);
    training_release(&whole);
}
END_TEST

START_TEST(a_step_has_the_same_bits_on_any_number_of_threads) {
    training one, four;
    variant threads = usual;
    threads.threads = 4;
    start(&one, &usual);
    start(&four, &threads);
    training_shake(&one);
    training_shake(&four);
    ck_assert(training_step(&one, 2) == training_step(&four, 2));
    ck_assert(training_difference(&one, &four) == 0);
    training_release(&four);
    training_release(&one);
}
END_TEST

/* Images, levels and noise change from step to step, and with nothing else. */
START_TEST(a_step_is_a_function_of_its_number) {
    training t;
    start(&t, &usual);
    training_shake(&t);
    const double first = training_step(&t, 1), second = training_step(&t, 2);
    ck_assert(first != second);
    ck_assert(training_step(&t, 1) == first);
    training_release(&t);
}
END_TEST

/* With labels kept from it, the table of classes learns about "no class" alone. */
START_TEST(dropped_labels_are_not_seen) {
    for (int drop = 0; drop < 2; drop++) {
        training t;
        variant v = usual;
        v.class_drop = drop;
        start(&t, &v);
        training_shake(&t);
        training_step(&t, 1);
        const md_params *params = md_image_model_params(t.model);
        const md_tensor *w =
            md_params_tensor(params, md_params_find(params, "class_embedding.weight"));
        double labelled = 0, none = 0;
        for (int64_t i = 0; i < md_tensor_size(w); i++) {
            const bool last = i / w->dim[1] == w->dim[0] - 1;
            *(last ? &none : &labelled) += fabs((double)w->grad[i]);
        }
        ck_assert((labelled == 0) == (drop == 1));
        ck_assert((none == 0) == (drop == 0));
        training_release(&t);
    }
}
END_TEST

/* --- ten steps -------------------------------------------------------------------------------- */

/* Everything that a training draws is in these numbers: order of images, levels, noise, labels,
 * initial weights. They were recorded; plain C kernels, so what varies is the compiler's order of
 * operations and the system's exp, below 1e-5 in ten steps. */
START_TEST(ten_steps_lose_what_they_have_always_lost) {
    static const double recorded[10] = {0.989914, 0.994606, 0.826619, 0.893567, 0.832440,
                                        0.729627, 0.657912, 0.665368, 0.598372, 0.556598};
    training t;
    mdlm_error err = {0};
    variant v = usual;
    v.class_drop = 0.1;
    start(&t, &v);
    md_optimizer_options options = md_optimizer_defaults();
    md_params *params = md_image_model_params(t.model);
    md_optimizer *optimizer = md_optimizer_new(params, &t.kernels, &options, &err);
    for (int i = 0; i < 10; i++) {
        md_optimizer_info info;
        const double loss = training_step(&t, i + 1);
        assert_ok(md_optimizer_step(optimizer, 2e-3, t.pool, &info, &err));
        ck_assert_msg(fabs(loss - recorded[i]) < 1e-4, "step %d loses %.6f, not %.6f", i + 1, loss,
                      recorded[i]);
    }
    md_optimizer_free(optimizer);
    training_release(&t);
}
END_TEST

/* --- validation ------------------------------------------------------------------------------- */

START_TEST(validation_is_always_the_same_and_sees_what_was_learned) {
    const variant *const list[] = {&usual, &bound};
    for (int i = 0; i < 2; i++) {
        training t;
        mdlm_error err = {0};
        double before, again, after;
        start(&t, list[i]);
        assert_ok(t.view.validate(t.view.context, false, &before, &err));
        training_step(&t, 1);
        assert_ok(t.view.validate(t.view.context, false, &again, &err));
        if (i == 0) ck_assert(before == again); /* the bound's levels have moved */
        training_shake(&t);
        assert_ok(t.view.validate(t.view.context, false, &after, &err));
        ck_assert(after != again);
        training_release(&t);
    }
}
END_TEST

/* Images of a set that is sorted by class are kept from training, some of each class. */
START_TEST(images_held_out_are_not_trained_on) {
    training t;
    start(&t, &usual);
    bool trained[TRAINING_IMAGES] = {false};
    int held[16] = {0};
    for (int64_t n = 0; n < 2 * (TRAINING_IMAGES - TRAINING_HELD); n++)
        trained[md_image_loader_index(&t.task.train, n)] = true;
    int count = 0;
    for (int i = 0; i < TRAINING_IMAGES; i++) count += trained[i];
    ck_assert_int_eq(count, TRAINING_IMAGES - TRAINING_HELD);
    for (int64_t n = 0; n < TRAINING_HELD; n++) {
        const int64_t i = md_image_loader_index(&t.task.held, n);
        ck_assert(!trained[i]);
        held[i / (TRAINING_IMAGES / 4)]++;
    }
    for (int quarter = 0; quarter < 4; quarter++) ck_assert_int_gt(held[quarter], 0);
    training_release(&t);
}
END_TEST

/* --- state ------------------------------------------------------------------------------------ */

START_TEST(what_losses_have_taught_is_saved) {
    training a, b;
    mdlm_error err = {0};
    start(&a, &bound);
    start(&b, &bound);
    for (int64_t step = 1; step <= 9; step++) training_step(&a, step);
    cJSON *state = cJSON_CreateObject();
    assert_ok(a.view.save_state(a.view.context, state, &err));
    assert_ok(b.view.load_state(b.view.context, state, &err));
    ck_assert(!memcmp(a.setup.process.rate, b.setup.process.rate, sizeof a.setup.process.rate));
    ck_assert(training_step(&a, 10) == training_step(&b, 10));
    ck_assert_int_eq(a.times.unknown, b.times.unknown);
    cJSON_DeleteItemFromObject(state, "schedule_rates");
    assert_fails(b.view.load_state(b.view.context, state, &err), MDLM_INPUT, "schedule_rates");
    cJSON_AddStringToObject(state, "schedule_rates", "none");
    assert_fails(b.view.load_state(b.view.context, state, &err), MDLM_INPUT, "schedule_rates");
    cJSON *empty = cJSON_CreateObject();
    assert_fails(b.view.load_state(b.view.context, empty, &err), MDLM_INPUT, "state.json");
    cJSON_Delete(empty);
    cJSON_Delete(state);
    training_release(&b);
    training_release(&a);
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

START_TEST(a_published_model_is_read_back_with_its_process) {
    training t;
    mdlm_error err = {0};
    md_image_setup found = {0};
    char *folder = suite_tmp_dir();
    start(&t, &bound);
    t.task.run = folder;
    const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    assert_ok(md_image_setup_name(&t.setup, names, t.setup.config.classes, &err));
    training_step(&t, 1);
    assert_ok(t.view.publish(t.view.context, &err));
    const md_real weight = *md_params_values(t.view.params);
    const double rate = t.setup.process.rate[3];
    *md_params_values(t.view.params) = 7;
    t.setup.process.rate[3] = 0.01;
    assert_ok(t.view.reload(t.view.context, &err));
    ck_assert(*md_params_values(t.view.params) == weight && t.setup.process.rate[3] == rate);
    assert_ok(md_image_setup_load(folder, &found, &err));
    ck_assert(md_image_config_equal(&found.config, &t.setup.config));
    ck_assert(!memcmp(found.process.levels, t.setup.process.levels,
                      (size_t)found.process.T * sizeof *found.process.levels));
    ck_assert_str_eq(found.class_names.items[7], "h");
    md_image_setup_release(&found);
    suite_tmp_remove(folder);
    training_release(&t);
}
END_TEST

/* config.json of `t` with one member replaced. */
static mdlm_status load_changed(training *t, const char *key, const char *value, mdlm_error *why) {
    mdlm_error err = {0};
    md_image_setup found = {0};
    cJSON *root = NULL;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
    assert_ok(md_image_setup_save(&t->setup, folder, &err));
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    cJSON_DeleteItemFromObjectCaseSensitive(root, key);
    if (value) cJSON_AddRawToObject(root, key, value);
    assert_ok(md_json_save(path, root, &err));
    mdlm_status status = md_image_setup_load(folder, &found, why);
    md_image_setup_release(&found);
    cJSON_Delete(root);
    md_free(path);
    suite_tmp_remove(folder);
    return status;
}

START_TEST(a_setup_that_contradicts_itself_is_refused) {
    training t;
    mdlm_error err = {0};
    start(&t, &usual);
    assert_fails(load_changed(&t, "x", NULL, &err), MDLM_INPUT, "class_names is missing");
    const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    assert_ok(md_image_setup_name(&t.setup, names, t.setup.config.classes, &err));
    assert_ok(load_changed(&t, "x", NULL, &err));
    assert_fails(load_changed(&t, "learned_variance", "true", &err), MDLM_INPUT,
                 "differ about learned variances");
    assert_fails(load_changed(&t, "class_names", "[\"a\"]", &err), MDLM_INPUT, "class_names");
    assert_fails(load_changed(&t, "process", "{}", &err), MDLM_INPUT, "config.json");
    assert_fails(load_changed(&t, "process",
                              "{\"kind\": \"vp\", \"noise_schedule\": \"linear\", "
                              "\"timesteps\": 20, \"zero_snr\": false, "
                              "\"prediction\": \"eps\", \"variance\": \"small\"}",
                              &err),
                 MDLM_INPUT, "beta = 1");
    training_release(&t);
}
END_TEST

/* --- the plan --------------------------------------------------------------------------------- */

static md_image_settings settings_of(const char *process, const char *loss) {
    md_image_settings s = training_settings("generate");
    s.process = process;
    s.loss = loss;
    return s;
}

START_TEST(what_is_left_open_suits_the_process) {
    static const struct {
        const char *process, *loss;
        md_prediction_kind prediction;
        md_loss_kind kind;
        md_variance_kind variance;
        md_times_kind times;
        md_beta_schedule schedule;
    } cases[] = {
        {"auto", "auto", MD_PREDICTS_IMAGE, MD_LOSS_V, MD_VARIANCE_SMALL, MD_TIMES_LOGIT_NORMAL,
         MD_BETA_COSINE},
        {"auto", "vlb", MD_PREDICTS_NOISE, MD_LOSS_VLB, MD_VARIANCE_LEARNED, MD_TIMES_LOSS_AWARE,
         MD_BETA_LEARNED},
        {"vp", "auto", MD_PREDICTS_IMAGE, MD_LOSS_V, MD_VARIANCE_SMALL, MD_TIMES_LOGIT_NORMAL,
         MD_BETA_COSINE},
        {"vp", "simple", MD_PREDICTS_NOISE, MD_LOSS_SIMPLE, MD_VARIANCE_SMALL, MD_TIMES_UNIFORM,
         MD_BETA_COSINE},
        {"vp", "vlb", MD_PREDICTS_NOISE, MD_LOSS_VLB, MD_VARIANCE_LEARNED, MD_TIMES_LOSS_AWARE,
         MD_BETA_LEARNED},
        {"vp", "hybrid", MD_PREDICTS_NOISE, MD_LOSS_HYBRID, MD_VARIANCE_LEARNED, MD_TIMES_UNIFORM,
         MD_BETA_COSINE},
        {"ve", "auto", MD_PREDICTS_VELOCITY, MD_LOSS_SIMPLE, MD_VARIANCE_SMALL,
         MD_TIMES_LOGIT_NORMAL, MD_BETA_COSINE},
        {"ve", "vlb", MD_PREDICTS_VELOCITY, MD_LOSS_VLB, MD_VARIANCE_LEARNED, MD_TIMES_LOSS_AWARE,
         MD_BETA_COSINE},
        {"vp", "score", MD_PREDICTS_NOISE, MD_LOSS_SCORE, MD_VARIANCE_SMALL, MD_TIMES_UNIFORM,
         MD_BETA_COSINE},
        {"flow", "auto", MD_PREDICTS_IMAGE, MD_LOSS_V, MD_VARIANCE_SMALL, MD_TIMES_LOGIT_NORMAL,
         MD_BETA_COSINE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdlm_error err = {0};
        md_image_aim aim;
        md_image_settings s = settings_of(cases[i].process, cases[i].loss);
        assert_ok(md_image_plan_aim(&s, NULL, &aim, &err));
        ck_assert_int_eq(aim.process.prediction, cases[i].prediction);
        ck_assert_int_eq(aim.process.variance, cases[i].variance);
        ck_assert_int_eq(aim.loss, cases[i].kind);
        ck_assert_int_eq(aim.times, cases[i].times);
        ck_assert_int_eq(aim.process.schedule, cases[i].schedule);
    }
    mdlm_error err = {0};
    md_image_aim aim;
    md_image_settings s = settings_of("vp", "auto");
    s.zero_snr = true;
    assert_ok(md_image_plan_aim(&s, NULL, &aim, &err));
    ck_assert_int_eq(aim.process.prediction, MD_PREDICTS_VELOCITY);
    s = settings_of("vp", "auto");
    s.prediction = "eps";
    assert_ok(md_image_plan_aim(&s, NULL, &aim, &err));
    ck_assert_int_eq(aim.loss, MD_LOSS_SIMPLE);
    s = settings_of("vp", "auto");
    s.variance = "learned";
    assert_ok(md_image_plan_aim(&s, NULL, &aim, &err));
    ck_assert_int_eq(aim.loss, MD_LOSS_HYBRID);
}
END_TEST

START_TEST(networks_fit_the_images) {
    static const struct {
        int side, levels, attention;
    } cases[] = {{8, 1, 8}, {16, 2, 8}, {28, 3, 7}, {32, 3, 8}, {64, 4, 8}, {128, 5, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdlm_error err = {0};
        md_image_config c;
        md_image_settings s = settings_of("vp", "auto");
        const md_image_shape shape = {cases[i].side, cases[i].side, 3};
        assert_ok(md_image_plan_network(&s, NULL, shape, 0, &c, &err));
        ck_assert_int_eq(c.mults.count, cases[i].levels);
        ck_assert(c.attn.count == 1 && c.attn.item[0] == cases[i].attention);
        s.backbone = "dit";
        assert_ok(md_image_plan_network(&s, NULL, shape, 0, &c, &err));
        ck_assert_int_ge(c.shape.Y / c.patch * (c.shape.X / c.patch), 49);
    }
}
END_TEST

START_TEST(some_images_are_kept_and_some_are_left) {
    md_image_settings s = settings_of("vp", "auto");
    ck_assert_int_eq(md_image_plan_held(&s, 1000), 100);
    ck_assert_int_eq(md_image_plan_held(&s, 2), 1);
    s.val_fraction = 0;
    ck_assert_int_eq(md_image_plan_held(&s, 1000), 1);
    s.val_fraction = 0.9;
    ck_assert_int_eq(md_image_plan_held(&s, 3), 2);
}
END_TEST

int main(void) {
    Suite *s = suite_create("training on images");
    suite_case(s, a_network_that_says_zero_loses_the_noise);
    suite_case(s, a_step_is_the_same_in_micro_batches);
    suite_case(s, a_step_has_the_same_bits_on_any_number_of_threads);
    suite_case(s, a_step_is_a_function_of_its_number);
    suite_case(s, dropped_labels_are_not_seen);
    suite_case(s, ten_steps_lose_what_they_have_always_lost);
    suite_case(s, validation_is_always_the_same_and_sees_what_was_learned);
    suite_case(s, images_held_out_are_not_trained_on);
    suite_case(s, what_losses_have_taught_is_saved);
    suite_case(s, a_published_model_is_read_back_with_its_process);
    suite_case(s, a_setup_that_contradicts_itself_is_refused);
    suite_case(s, what_is_left_open_suits_the_process);
    suite_case(s, networks_fit_the_images);
    suite_case(s, some_images_are_kept_and_some_are_left);
    return suite_run(s);
}
