/* tests/test_image_model.c: networks for images: how they begin, sizes, labels, files, and that an
 * image's prediction depends on nothing else. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/safetensors.h"
#include "tests/image_net.h"
#include "tests/kernel_sets.h"

static const md_image_config unet = {.backbone = MD_BACKBONE_UNET,
                                     .shape = {.Y = 11, .X = 10, .C = 3},
                                     .classes = 4,
                                     .base = 16,
                                     .mults = {2, {1, 2}},
                                     .res_blocks = 1,
                                     .attn = {1, {6}}};

static const md_image_config dit = {.backbone = MD_BACKBONE_DIT,
                                    .shape = {.Y = 8, .X = 12, .C = 1},
                                    .learned_variance = true,
                                    .classes = 2,
                                    .patch = 2,
                                    .layers = 2,
                                    .dim = 32,
                                    .heads = 4,
                                    .ff = 48};

enum { MAX_VALUES = 1 << 14 };

/* Pixels of image number `index`, and what else it is told. */
static void image(const md_image_shape s, int index, float *x, double *time, int32_t *label) {
    const md_rng rng = {.seed = 9, .stream = MD_STREAM_NOISE};
    for (int i = 0; i < s.Y * s.X * s.C; i++)
        x[i] = (float)md_normal(rng, (uint32_t)index, (uint32_t)i);
    *time = 13.0 * index;
    *label = index % 3 - 1;
}

/* Predictions of images first .. first + B - 1, one after the other in out. */
static void predict(image_net *n, int first, int B, float *out) {
    mdlm_error err = {0};
    static float x[MAX_VALUES];
    double time[64];
    int32_t label[64];
    const md_image_shape s = n->denoiser.shape;
    for (int b = 0; b < B; b++)
        image(s, first + b, x + (ptrdiff_t)b * s.Y * s.X * s.C, &time[b], &label[b]);
    assert_ok(n->denoiser.predict(n->denoiser.context,
                                  &(md_image_query){.x = x, .time = time, .label = label, .B = B},
                                  out, &err));
}

/* --- how they begin --------------------------------------------------------------------------- */

START_TEST(a_network_begins_by_predicting_zero) {
    const md_image_config *const list[] = {&unet, &dit};
    for (int i = 0; i < 2; i++) {
        image_net n;
        float out[MAX_VALUES];
        image_net_init(&n, list[i], NULL, 1);
        md_image_model_init(n.model, 3);
        predict(&n, 0, 2, out);
        const int64_t count = 2 * n.denoiser.shape.Y * n.denoiser.shape.X * n.denoiser.outputs;
        for (int64_t k = 0; k < count; k++) ck_assert(out[k] == 0);
        image_net_release(&n);
    }
}
END_TEST

START_TEST(weights_begin_as_wide_as_what_they_sum_over) {
    image_net n;
    image_net_init(&n, &unet, NULL, 1);
    md_image_model_init(n.model, 3);
    const md_params *params = md_image_model_params(n.model);
    const md_tensor *w =
        md_params_tensor(params, md_params_find(params, "mid_block.resnets.0.conv1.weight"));
    double squares = 0;
    for (int64_t i = 0; i < md_tensor_size(w); i++)
        squares += (double)w->data[i] * (double)w->data[i];
    const double variance = squares / (double)md_tensor_size(w);
    /* Of 9,216 draws: the standard error is 1.5%. */
    ck_assert_double_eq_tol(variance * 9 * 32, 1, 0.06);
    image_net_release(&n);
}
END_TEST

/* Counted by hooks on every layer of bench/torch_ddpm_peer.py, and by hand for the transformer:
 * 9,216 of time, 2,048 of the last modulation, 24 tokens x 384 at both ends, two blocks of 6,144 +
 * 24 x 8,704 + 2 x 24 x 24 x 32. */
START_TEST(products_are_those_of_every_layer) {
    md_image_config small = unet, large = unet;
    small.shape = large.shape = (md_image_shape){.Y = 32, .X = 32, .C = 1};
    large.shape.C = 3;
    small.classes = large.classes = 0;
    small.base = 32;
    large.base = 64;
    small.res_blocks = large.res_blocks = 2;
    small.mults = large.mults = (md_image_list){3, {1, 2, 2}};
    small.attn = large.attn = (md_image_list){1, {8}};
    const struct {
        const md_image_config *config;
        int64_t products, parameters;
    } cases[] = {{&small, 362749952, 1623169},
                 {&large, 1445888000, 6472195},
                 {&unet, 7504192, 177427 + 5 * 64}, /* four classes and none */
                 {&dit, 524288, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mdlm_error err = {0};
        md_image_model *model = NULL;
        assert_ok(md_image_model_new(cases[i].config, false, &model, &err));
        ck_assert_double_eq(md_image_model_products(model), (double)cases[i].products);
        if (cases[i].parameters)
            ck_assert_int_eq(md_params_size(md_image_model_params(model)), cases[i].parameters);
        md_image_model_free(model);
    }
}
END_TEST

/* --- what a prediction depends on ------------------------------------------------------------- */

static void check_independence(const md_image_config *config, const char *set) {
    image_net one, two;
    static float together[MAX_VALUES], alone[MAX_VALUES], again[MAX_VALUES];
    enum { B = 5 };
    image_net_init(&one, config, set, 1);
    image_net_init(&two, config, set, 3);
    const size_t size =
        (size_t)(one.denoiser.shape.Y * one.denoiser.shape.X * one.denoiser.outputs);
    predict(&one, 0, B, together);
    predict(&two, 0, B, again);
    ck_assert(!memcmp(together, again, B * size * sizeof *together));
    for (size_t b = 0; b < B; b++) {
        predict(&two, (int)b, 1, alone);
        ck_assert_msg(!memcmp(alone, together + b * size, size * sizeof *alone),
                      "'%s' kernels: image %zu has other bits in a batch", set, b);
    }
    image_net_release(&two);
    image_net_release(&one);
}

START_TEST(a_prediction_depends_on_no_other_image_and_on_no_thread) {
    md_kernels kernels;
    for (int set = 0; next_kernels(&set, "f32", &kernels);) {
        check_independence(&unet, kernels.name);
        check_independence(&dit, kernels.name);
    }
}
END_TEST

/* More than go through the network at once. */
START_TEST(so_does_one_of_many) {
    const md_image_config small = {.backbone = MD_BACKBONE_UNET,
                                   .shape = {.Y = 32, .X = 32, .C = 1},
                                   .base = 8,
                                   .mults = {1, {1}},
                                   .res_blocks = 1};
    image_net n;
    enum { MANY = 18 };
    static float many[MANY * 1024], few[3 * 1024];
    static float x[MANY * 1024];
    mdlm_error err = {0};
    double time[MANY];
    int32_t label[MANY];
    image_net_init(&n, &small, NULL, 2);
    for (int b = 0; b < MANY; b++) image(small.shape, b, x + b * 1024, &time[b], &label[b]);
    assert_ok(n.denoiser.predict(n.denoiser.context,
                                 &(md_image_query){.x = x, .time = time, .B = MANY}, many, &err));
    assert_ok(n.denoiser.predict(n.denoiser.context,
                                 &(md_image_query){.x = x + 15 * 1024, .time = time + 15, .B = 3},
                                 few, &err));
    ck_assert(!memcmp(few, many + 15 * 1024, sizeof few));
    image_net_release(&n);
}
END_TEST

static double difference(const float *a, const float *b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += fabs((double)a[i] - (double)b[i]);
    return sum;
}

START_TEST(time_and_label_matter) {
    const md_image_config *const list[] = {&unet, &dit};
    for (int i = 0; i < 2; i++) {
        image_net n;
        mdlm_error err = {0};
        float x[MAX_VALUES], out[4][MAX_VALUES];
        const double times[4] = {10, 11, 10, 10};
        const int32_t labels[4] = {1, 1, 0, -1};
        double time;
        int32_t label;
        image_net_init(&n, list[i], NULL, 1);
        image(n.denoiser.shape, 0, x, &time, &label);
        const int64_t count = n.denoiser.shape.Y * n.denoiser.shape.X * n.denoiser.outputs;
        for (int k = 0; k < 4; k++)
            assert_ok(n.denoiser.predict(
                n.denoiser.context,
                &(md_image_query){.x = x, .time = &times[k], .label = &labels[k], .B = 1}, out[k],
                &err));
        for (int k = 1; k < 4; k++)
            ck_assert_double_gt(difference(out[0], out[k], count), 1e-3 * (double)count);
        float none[MAX_VALUES];
        assert_ok(n.denoiser.predict(
            n.denoiser.context, &(md_image_query){.x = x, .time = &times[3], .B = 1}, none, &err));
        ck_assert(!memcmp(none, out[3], (size_t)count * sizeof *none));
        image_net_release(&n);
    }
}
END_TEST

START_TEST(a_label_that_is_no_class_is_refused) {
    image_net n;
    mdlm_error err = {0};
    float x[MAX_VALUES] = {0}, out[MAX_VALUES];
    const double time[2] = {1, 1};
    int32_t label[2] = {0, 4};
    image_net_init(&n, &unet, NULL, 1);
    assert_fails(n.denoiser.predict(n.denoiser.context,
                                    &(md_image_query){.x = x, .time = time, .label = label, .B = 2},
                                    out, &err),
                 MDLM_USAGE, "class 4 is not one of this model: expected 0 to 3");
    label[1] = -2;
    assert_fails(n.denoiser.predict(n.denoiser.context,
                                    &(md_image_query){.x = x, .time = time, .label = label, .B = 2},
                                    out, &err),
                 MDLM_USAGE, "class -2");
    image_net_release(&n);
    md_image_config none = unet;
    none.classes = 0;
    image_net_init(&n, &none, NULL, 1);
    assert_fails(n.denoiser.predict(n.denoiser.context,
                                    &(md_image_query){.x = x, .time = time, .label = label, .B = 1},
                                    out, &err),
                 MDLM_USAGE, "trained without classes");
    image_net_release(&n);
}
END_TEST

/* --- sizes ------------------------------------------------------------------------------------ */

START_TEST(any_size_and_up_to_four_channels_will_do) {
    static const md_image_shape shapes[] = {{28, 28, 1}, {1, 1, 1}, {7, 7, 4},
                                            {5, 17, 2},  {2, 3, 3}, {9, 1, 1}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        image_net n;
        float out[MAX_VALUES];
        md_image_config c = unet;
        c.shape = shapes[i];
        c.mults.count = shapes[i].Y == 1 || shapes[i].X == 1 ? 1 : 2;
        c.attn.count = 0;
        image_net_init(&n, &c, NULL, 2);
        predict(&n, 0, 2, out);
        const int64_t count = 2 * c.shape.Y * c.shape.X * c.shape.C;
        double sum = 0;
        for (int64_t k = 0; k < count; k++) sum += fabs((double)out[k]);
        ck_assert_msg(isfinite(sum) && sum > 1e-2 * (double)count, "%dx%dx%d gives %g", c.shape.Y,
                      c.shape.X, c.shape.C, sum);
        image_net_release(&n);
    }
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

static char *save(image_net *n, const char *name) {
    mdlm_error err = {0};
    char *folder = suite_tmp_dir();
    cJSON *members = cJSON_Parse("{\"process\": {\"timesteps\": 5}}");
    md_params *params = md_image_model_params(n->model);
    char *path = md_path_join(folder, name, &err);
    assert_ok(md_image_config_save(md_image_model_config(n->model), members, folder, &err));
    assert_ok(md_safetensors_write_params(path, params, "", md_params_values(params), &err));
    md_free(path);
    cJSON_Delete(members);
    return folder;
}

START_TEST(a_network_survives_its_files) {
    const md_image_config *const list[] = {&unet, &dit};
    for (int i = 0; i < 2; i++) {
        image_net n;
        mdlm_error err = {0};
        md_image_model *again = NULL;
        cJSON *file = NULL;
        image_net_init(&n, list[i], NULL, 1);
        char *folder = save(&n, "model.safetensors");
        assert_ok(md_image_model_load(folder, NULL, &again, &file, &err));
        ck_assert(cJSON_HasObjectItem(file, "process"));
        ck_assert(md_image_config_equal(md_image_model_config(again), list[i]));
        md_params *a = md_image_model_params(n.model), *b = md_image_model_params(again);
        ck_assert_int_eq(md_params_size(a), md_params_size(b));
        ck_assert(!memcmp(md_params_values(a), md_params_values(b),
                          (size_t)md_params_size(a) * sizeof(md_real)));
        cJSON_Delete(file);
        md_image_model_free(again);
        suite_tmp_remove(folder);
        image_net_release(&n);
    }
}
END_TEST

START_TEST(weights_of_another_network_are_refused) {
    image_net n;
    mdlm_error err = {0};
    md_image_model *again = NULL;
    image_net_init(&n, &unet, NULL, 1);
    char *folder = save(&n, "other.safetensors"),
         *other = md_path_join(folder, "other.safetensors", &err);
    assert_fails(md_image_model_load(folder, NULL, &again, NULL, &err), MDLM_INPUT,
                 "model.safetensors");
    assert_ok(md_image_model_load(folder, other, &again, NULL, &err));
    md_image_model_free(again);
    md_image_config wider = unet;
    wider.base = 24;
    cJSON *members = cJSON_Parse("{\"process\": {}}");
    assert_ok(md_image_config_save(&wider, members, folder, &err));
    assert_fails(md_image_model_load(folder, other, &again, NULL, &err), MDLM_INPUT, "shape");
    cJSON_Delete(members);
    md_free(other);
    suite_tmp_remove(folder);
    image_net_release(&n);
}
END_TEST

int main(void) {
    Suite *s = suite_create("networks for images");
    suite_case(s, a_network_begins_by_predicting_zero);
    suite_case(s, weights_begin_as_wide_as_what_they_sum_over);
    suite_case(s, products_are_those_of_every_layer);
    suite_case(s, a_prediction_depends_on_no_other_image_and_on_no_thread);
    suite_case(s, so_does_one_of_many);
    suite_case(s, time_and_label_matter);
    suite_case(s, a_label_that_is_no_class_is_refused);
    suite_case(s, any_size_and_up_to_four_channels_will_do);
    suite_case(s, a_network_survives_its_files);
    suite_case(s, weights_of_another_network_are_refused);
    name_skipped_sets();
    return suite_run(s);
}
