/* tests/test_image_task.c: training on images as a task of the loop (train/image_task.h), its plan
 * and its files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/optim.h"
#include "tests/suite.h"
#include "train/image_plan.h"
#include "train/image_task.h"

enum { SIDE = 8, IMAGES = 400, HELD = 40 };

typedef struct fixture {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_images *set;
    md_image_setup setup;
    md_times times;
    md_image_model *model;
    md_image_task task;
    md_task view;
} fixture;

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

static void open_set(fixture *f) {
    mdlm_error err = {0};
    md_images_options opt = md_images_defaults();
    opt.end = IMAGES;
    opt.image_size = SIDE;
    opt.channels = 1;
    assert_ok(md_images_open("shapes", &opt, &f->set, &err));
}

static void fixture_init(fixture *f, const variant *v) {
    mdlm_error err = {0};
    *f = (fixture){.pool = md_pool_new(v->threads, &err)};
    assert_ok(md_kernels_init(&f->kernels, "ref", &err));
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    open_set(f);
    f->setup.config =
        (md_image_config){.backbone = MD_BACKBONE_UNET,
                          .shape = {SIDE, SIDE, 1},
                          .learned_variance = v->process.variance == MD_VARIANCE_LEARNED,
                          .classes = md_images_classes(f->set),
                          .base = 16,
                          .mults = {2, {1, 1}},
                          .res_blocks = 1};
    assert_ok(md_gaussian_init(&f->setup.process, &v->process, &err));
    assert_ok(md_times_init(&f->times, v->times, &f->setup.process, &err));
    assert_ok(md_image_model_new(&f->setup.config, true, &f->model, &err));
    md_image_model_init(f->model, 3);
    f->task = (md_image_task){.model = f->model,
                              .setup = &f->setup,
                              .times = &f->times,
                              .loss = v->loss,
                              .pool = f->pool,
                              .tape = f->tape,
                              .seed = 5,
                              .batch = v->batch,
                              .accum = v->accum,
                              .class_drop = v->class_drop};
    assert_ok(md_image_loader_init(&f->task.train, f->set, 0, IMAGES - HELD, 5, &err));
    assert_ok(md_image_loader_init(&f->task.held, f->set, IMAGES - HELD, HELD, 5, &err));
    f->task.train.mixed = f->task.held.mixed = true;
    assert_ok(md_image_task_init(&f->task, &err));
    f->view = md_image_task_view(&f->task);
}

static void fixture_release(fixture *f) {
    md_image_task_release(&f->task);
    md_image_model_free(f->model);
    md_times_release(&f->times);
    md_image_setup_release(&f->setup);
    md_images_free(f->set);
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

/* Weights with no zeros in the last layer, so that predictions say something. */
static void shake(fixture *f) {
    md_params *params = md_image_model_params(f->model);
    md_real *values = md_params_values(params);
    for (int64_t i = 0; i < md_params_size(params); i++) {
        const md_rng rng = {.seed = 8, .stream = MD_STREAM_INIT};
        values[i] += (md_real)(0.05 * md_normal(rng, 0, (uint32_t)i));
    }
}

/* The loss of a step, and its gradients in the slab. */
static double step_of(fixture *f, int64_t step) {
    mdlm_error err = {0};
    double loss;
    const md_rng key = {.seed = 5, .stream = MD_STREAM_DROPOUT, .step = (uint64_t)step};
    assert_ok(md_task_run(&f->view, f->tape, key, true, &loss, &err));
    return loss;
}

/* --- a step ----------------------------------------------------------------------------------- */

/* A network that says nothing has the squared error of the noise, which is 1 but for sampling: 512
 * numbers, standard error sqrt(2/512). */
START_TEST(a_network_that_says_zero_loses_the_noise) {
    fixture f;
    fixture_init(&f, &usual);
    ck_assert_double_eq_tol(step_of(&f, 1), 1, 0.2);
    fixture_release(&f);
}
END_TEST

static double gradient_difference(fixture *a, fixture *b) {
    const md_params *p = md_image_model_params(a->model), *q = md_image_model_params(b->model);
    double difference = 0, total = 0;
    for (int64_t i = 0; i < md_params_size(p); i++) {
        const double x = (double)md_params_grads(p)[i], y = (double)md_params_grads(q)[i];
        difference += (x - y) * (x - y);
        total += x * x;
    }
    return sqrt(difference / total);
}

/* Draws belong to the place of an image in the step, so however the step is cut, they are the same.
 * The tolerances are those of sums in another order. */
START_TEST(a_step_is_the_same_in_micro_batches) {
    fixture whole, parts;
    variant cut = usual;
    cut.batch = 2, cut.accum = 4, cut.class_drop = 0.5;
    variant uncut = usual;
    uncut.class_drop = 0.5;
    fixture_init(&whole, &uncut);
    fixture_init(&parts, &cut);
    shake(&whole);
    shake(&parts);
    ck_assert_int_eq(whole.task.parts, 1);
    ck_assert_int_eq(parts.task.parts, 4);
    const double a = step_of(&whole, 3), b = step_of(&parts, 3);
    ck_assert_double_eq_tol(a, b, 1e-6 * a);
    ck_assert_double_lt(gradient_difference(&whole, &parts), 1e-5);
    fixture_release(&parts);
    fixture_release(&whole);
}
END_TEST

START_TEST(a_step_has_the_same_bits_on_any_number_of_threads) {
    fixture one, four;
    variant threads = usual;
    threads.threads = 4;
    fixture_init(&one, &usual);
    fixture_init(&four, &threads);
    shake(&one);
    shake(&four);
    ck_assert(step_of(&one, 2) == step_of(&four, 2));
    ck_assert(gradient_difference(&one, &four) == 0);
    fixture_release(&four);
    fixture_release(&one);
}
END_TEST

/* Images, levels and noise change from step to step, and with nothing else. */
START_TEST(a_step_is_a_function_of_its_number) {
    fixture f;
    fixture_init(&f, &usual);
    shake(&f);
    const double first = step_of(&f, 1), second = step_of(&f, 2);
    ck_assert(first != second);
    ck_assert(step_of(&f, 1) == first);
    fixture_release(&f);
}
END_TEST

/* With labels kept from it, the table of classes learns about "no class" alone. */
START_TEST(dropped_labels_are_not_seen) {
    for (int drop = 0; drop < 2; drop++) {
        fixture f;
        variant v = usual;
        v.class_drop = drop;
        fixture_init(&f, &v);
        shake(&f);
        step_of(&f, 1);
        const md_params *params = md_image_model_params(f.model);
        const md_tensor *w =
            md_params_tensor(params, md_params_find(params, "class_embedding.weight"));
        double labelled = 0, none = 0;
        for (int64_t i = 0; i < md_tensor_size(w); i++) {
            const bool last = i / w->dim[1] == w->dim[0] - 1;
            *(last ? &none : &labelled) += fabs((double)w->grad[i]);
        }
        ck_assert((labelled == 0) == (drop == 1));
        ck_assert((none == 0) == (drop == 0));
        fixture_release(&f);
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
    fixture f;
    mdlm_error err = {0};
    variant v = usual;
    v.class_drop = 0.1;
    fixture_init(&f, &v);
    md_optimizer_options options = md_optimizer_defaults();
    md_params *params = md_image_model_params(f.model);
    md_optimizer *optimizer = md_optimizer_new(params, &f.kernels, &options, &err);
    for (int i = 0; i < 10; i++) {
        md_optimizer_info info;
        const double loss = step_of(&f, i + 1);
        assert_ok(md_optimizer_step(optimizer, 2e-3, f.pool, &info, &err));
        ck_assert_msg(fabs(loss - recorded[i]) < 1e-4, "step %d loses %.6f, not %.6f", i + 1, loss,
                      recorded[i]);
    }
    md_optimizer_free(optimizer);
    fixture_release(&f);
}
END_TEST

/* --- validation ------------------------------------------------------------------------------- */

START_TEST(validation_is_always_the_same_and_sees_what_was_learned) {
    const variant *const list[] = {&usual, &bound};
    for (int i = 0; i < 2; i++) {
        fixture f;
        mdlm_error err = {0};
        double before, again, after;
        fixture_init(&f, list[i]);
        assert_ok(f.view.validate(f.view.context, false, &before, &err));
        step_of(&f, 1);
        assert_ok(f.view.validate(f.view.context, false, &again, &err));
        if (i == 0) ck_assert(before == again); /* the bound's levels have moved */
        shake(&f);
        assert_ok(f.view.validate(f.view.context, false, &after, &err));
        ck_assert(after != again);
        fixture_release(&f);
    }
}
END_TEST

/* Images of a set that is sorted by class are kept from training, some of each class. */
START_TEST(images_held_out_are_not_trained_on) {
    fixture f;
    fixture_init(&f, &usual);
    bool trained[IMAGES] = {false};
    int held[16] = {0};
    for (int64_t n = 0; n < 2 * (IMAGES - HELD); n++)
        trained[md_image_loader_index(&f.task.train, n)] = true;
    int count = 0;
    for (int i = 0; i < IMAGES; i++) count += trained[i];
    ck_assert_int_eq(count, IMAGES - HELD);
    for (int64_t n = 0; n < HELD; n++) {
        const int64_t i = md_image_loader_index(&f.task.held, n);
        ck_assert(!trained[i]);
        held[i / (IMAGES / 4)]++;
    }
    for (int quarter = 0; quarter < 4; quarter++) ck_assert_int_gt(held[quarter], 0);
    fixture_release(&f);
}
END_TEST

/* --- state ------------------------------------------------------------------------------------ */

START_TEST(what_losses_have_taught_is_saved) {
    fixture a, b;
    mdlm_error err = {0};
    fixture_init(&a, &bound);
    fixture_init(&b, &bound);
    for (int64_t step = 1; step <= 9; step++) step_of(&a, step);
    cJSON *state = cJSON_CreateObject();
    assert_ok(a.view.save_state(a.view.context, state, &err));
    assert_ok(b.view.load_state(b.view.context, state, &err));
    ck_assert(!memcmp(a.setup.process.rate, b.setup.process.rate, sizeof a.setup.process.rate));
    ck_assert(step_of(&a, 10) == step_of(&b, 10));
    ck_assert_int_eq(a.times.unknown, b.times.unknown);
    cJSON_DeleteItemFromObject(state, "schedule_rates");
    assert_fails(b.view.load_state(b.view.context, state, &err), MDLM_INPUT, "schedule_rates");
    cJSON_AddStringToObject(state, "schedule_rates", "none");
    assert_fails(b.view.load_state(b.view.context, state, &err), MDLM_INPUT, "schedule_rates");
    cJSON *empty = cJSON_CreateObject();
    assert_fails(b.view.load_state(b.view.context, empty, &err), MDLM_INPUT, "state.json");
    cJSON_Delete(empty);
    cJSON_Delete(state);
    fixture_release(&b);
    fixture_release(&a);
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

START_TEST(a_published_model_is_read_back_with_its_process) {
    fixture f;
    mdlm_error err = {0};
    md_image_setup found = {0};
    char *folder = suite_tmp_dir();
    fixture_init(&f, &bound);
    f.task.run = folder;
    const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    assert_ok(md_image_setup_name(&f.setup, names, f.setup.config.classes, &err));
    step_of(&f, 1);
    assert_ok(f.view.publish(f.view.context, &err));
    const md_real weight = *md_params_values(f.view.params);
    const double rate = f.setup.process.rate[3];
    *md_params_values(f.view.params) = 7;
    f.setup.process.rate[3] = 0.01;
    assert_ok(f.view.reload(f.view.context, &err));
    ck_assert(*md_params_values(f.view.params) == weight && f.setup.process.rate[3] == rate);
    assert_ok(md_image_setup_load(folder, &found, &err));
    ck_assert(md_image_config_equal(&found.config, &f.setup.config));
    ck_assert(!memcmp(found.process.levels, f.setup.process.levels,
                      (size_t)found.process.T * sizeof *found.process.levels));
    ck_assert_str_eq(found.class_names.items[7], "h");
    md_image_setup_release(&found);
    suite_tmp_remove(folder);
    fixture_release(&f);
}
END_TEST

/* config.json of `f` with one member replaced. */
static mdlm_status load_changed(fixture *f, const char *key, const char *value, mdlm_error *why) {
    mdlm_error err = {0};
    md_image_setup found = {0};
    cJSON *root = NULL;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
    assert_ok(md_image_setup_save(&f->setup, folder, &err));
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
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, &usual);
    assert_fails(load_changed(&f, "x", NULL, &err), MDLM_INPUT, "class_names is missing");
    const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    assert_ok(md_image_setup_name(&f.setup, names, f.setup.config.classes, &err));
    assert_ok(load_changed(&f, "x", NULL, &err));
    assert_fails(load_changed(&f, "learned_variance", "true", &err), MDLM_INPUT,
                 "differ about learned variances");
    assert_fails(load_changed(&f, "class_names", "[\"a\"]", &err), MDLM_INPUT, "class_names");
    assert_fails(load_changed(&f, "process", "{}", &err), MDLM_INPUT, "config.json");
    assert_fails(load_changed(&f, "process",
                              "{\"kind\": \"vp\", \"noise_schedule\": \"linear\", "
                              "\"timesteps\": 20, \"zero_snr\": false, "
                              "\"prediction\": \"eps\", \"variance\": \"small\"}",
                              &err),
                 MDLM_INPUT, "beta = 1");
    fixture_release(&f);
}
END_TEST

/* --- the plan --------------------------------------------------------------------------------- */

static md_image_settings settings_of(const char *process, const char *loss) {
    return (md_image_settings){.task = "generate",
                               .noisy = true,
                               .backbone = "unet",
                               .channel_mults = "auto",
                               .res_blocks = 2,
                               .attn_res = "auto",
                               .process = process,
                               .timesteps = 1000,
                               .noise_schedule = "auto",
                               .prediction = "auto",
                               .variance = "auto",
                               .loss = loss,
                               .timestep_sampling = "auto",
                               .val_fraction = 0.1,
                               .loop = {.optimizer = "adamw", .accum = 1}};
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
