/* tests/test_image_upscale.c: what a network that makes images larger is shown, and that it looks
 * at it. */
#include "train/image_upscale.h"

#include <math.h>
#include <string.h>

#include "sampler/image_guide.h"
#include "sampler/image_sampler.h"
#include "tests/gaussian_process.h"
#include "tests/image_net.h"

enum { LOW = 4, FACTOR = 2, C = 3, HIGH = LOW * FACTOR, PIXELS = HIGH * HIGH };

static md_upscale_given given_of(float *low, double augment, uint32_t sequence) {
    for (int i = 0; i < LOW * LOW * C; i++) low[i] = (float)sin(i);
    return (md_upscale_given){.low = low,
                              .shape = {LOW, LOW, C},
                              .factor = FACTOR,
                              .augment = augment,
                              .noise = {.seed = 3, .stream = MD_STREAM_AUGMENT},
                              .sequence = sequence};
}

START_TEST(without_noise_it_is_the_enlarged_image_and_a_plane_of_zeros) {
    float low[LOW * LOW * C], large[PIXELS * C], out[PIXELS * (C + 1)];
    const md_upscale_given g = given_of(low, 0, 0);
    md_enlarge(low, g.shape, FACTOR, large);
    md_upscale_give(&g, out);
    for (int p = 0; p < PIXELS; p++) {
        for (int c = 0; c < C; c++) ck_assert(out[p * (C + 1) + c] == large[p * C + c]);
        ck_assert(out[p * (C + 1) + C] == 0);
    }
}
END_TEST

START_TEST(noise_is_of_the_deviation_that_the_plane_says_and_of_the_image_alone) {
    enum { IMAGES = 50 };
    const double augment = 0.3;
    float low[LOW * LOW * C], clean[LOW * LOW * C], out[PIXELS * (C + 1)], again[PIXELS * (C + 1)];
    double squares = 0;
    (void)given_of(clean, 0, 0);
    for (uint32_t k = 0; k < IMAGES; k++) {
        const md_upscale_given g = given_of(low, augment, k);
        md_upscale_give(&g, out);
        for (int i = 0; i < LOW * LOW * C; i++)
            squares += pow((double)low[i] - (double)clean[i], 2) / (IMAGES * LOW * LOW * C);
        for (int p = 0; p < PIXELS; p++) ck_assert(out[p * (C + 1) + C] == (float)augment);
    }
    /* four standard errors of the variance of 2400 normals: 4 (2 / 2400)^1/2 = 12% */
    ck_assert_double_eq_tol(squares, augment * augment, 0.12 * augment * augment);
    const md_upscale_given last = given_of(low, augment, IMAGES - 1);
    md_upscale_give(&last, again);
    ck_assert(memcmp(out, again, sizeof out) == 0);
}
END_TEST

/* --- the network ------------------------------------------------------------------------------ */

static md_image_config config_of(md_backbone_kind backbone) {
    md_image_config c = {.backbone = backbone, .shape = {HIGH, HIGH, C}, .factor = FACTOR};
    if (backbone == MD_BACKBONE_UNET) {
        c.base = 8;
        c.mults = (md_image_list){.count = 1, .item = {1}};
        c.res_blocks = 1;
    } else {
        c.patch = 2, c.layers = 1, c.dim = 16, c.heads = 2, c.ff = 32;
    }
    return c;
}

START_TEST(a_prediction_depends_on_what_its_own_image_is_given) {
    enum { B = 3, SIZE = PIXELS * C, GIVEN = PIXELS * (C + 1) };
    for (int kind = MD_BACKBONE_UNET; kind <= MD_BACKBONE_DIT; kind++) {
        mdlm_error err;
        image_net n;
        const md_image_config config = config_of((md_backbone_kind)kind);
        float x[B * SIZE], given[B * GIVEN], all[B * SIZE], one[SIZE];
        const double time[B] = {1, 50, 900};
        image_net_init(&n, &config, NULL, 2);
        ck_assert_int_eq(n.denoiser.given, C + 1);
        for (int i = 0; i < B * SIZE; i++) x[i] = (float)sin(i);
        for (int i = 0; i < B * GIVEN; i++) given[i] = (float)cos(3 * i);
        md_image_query q = {.x = x, .time = time, .given = given, .B = B};
        assert_ok(n.denoiser.predict(n.denoiser.context, &q, all, &err));
        for (int b = 0; b < B; b++) {
            q = (md_image_query){
                .x = x + b * SIZE, .time = time + b, .given = given + b * GIVEN, .B = 1};
            assert_ok(n.denoiser.predict(n.denoiser.context, &q, one, &err));
            ck_assert(memcmp(one, all + b * SIZE, sizeof one) == 0);
        }
        given[2 * GIVEN + 7] += 1;
        q = (md_image_query){.x = x, .time = time, .given = given, .B = B};
        float other[B * SIZE];
        assert_ok(n.denoiser.predict(n.denoiser.context, &q, other, &err));
        ck_assert(memcmp(other, all, 2 * SIZE * sizeof *all) == 0);
        ck_assert(memcmp(other + 2 * SIZE, all + 2 * SIZE, SIZE * sizeof *all) != 0);
        image_net_release(&n);
    }
}
END_TEST

/* Says that the image is what it is given, of label 1 a little brighter. */
static mdlm_status repeat(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    const md_image_shape s = *(const md_image_shape *)context;
    const int size = s.Y * s.X * s.C;
    (void)err;
    for (int i = 0; i < q->B * size; i++)
        out[i] = q->given[i] + (q->label && q->label[i / size] == 1 ? 0.1F : 0);
    return MDLM_OK;
}

START_TEST(the_sampler_and_guidance_show_each_image_its_own) {
    enum { SAMPLES = 5, SIZE = 12 };
    mdlm_error err;
    md_image_shape shape = {2, 3, 2};
    const md_image_denoiser denoiser = {.context = &shape,
                                        .shape = shape,
                                        .outputs = 2,
                                        .classes = 2,
                                        .given = 2,
                                        .predict = repeat};
    md_gaussian process =
        gaussian_of((md_gaussian_options){.timesteps = 50, .prediction = MD_PREDICTS_IMAGE});
    md_image_sampler_options run = md_image_sampler_defaults(md_image_rule_find("ddim"), &process);
    float given[SAMPLES * SIZE], x[SAMPLES * SIZE];
    const int32_t label[SAMPLES] = {1, 0, 1, 1, -1};
    for (int i = 0; i < SAMPLES * SIZE; i++) given[i] = 0.5F * (float)sin(i);
    run.steps = 3;
    run.batch = 2;
    md_image_guide guide;
    assert_ok(md_image_guide_init(&guide, &denoiser, 3, &err));
    const md_image_denoiser guided = md_image_guide_denoiser(&guide);
    const md_image_batch batch = {.x = x, .label = label, .given = given, .samples = SAMPLES};
    assert_ok(md_image_sampler_run(&guided, &process, &run, &batch, NULL, &err));
    for (int i = 0; i < SAMPLES * SIZE; i++) {
        /* the last step ends at the estimate: 0 + 3 (0.1 - 0) of label 1 */
        const float bright = label[i / SIZE] == 1 ? 0.3F : 0;
        ck_assert_float_eq_tol(x[i], given[i] + bright, 1e-6F); /* roundings of numbers below 1 */
    }
    md_image_guide_release(&guide);
    md_gaussian_release(&process);
}
END_TEST

START_TEST(a_folder_says_the_factor_and_sizes_must_allow_it) {
    mdlm_error err;
    char *folder = suite_tmp_dir();
    md_image_config c = {.shape = {HIGH, HIGH, C}, .factor = FACTOR, .base = 8, .res_blocks = 1},
                    read;
    c.mults = (md_image_list){.count = 1, .item = {1}};
    cJSON *members = cJSON_CreateObject();
    cJSON_AddObjectToObject(members, "process");
    assert_ok(md_image_config_save(&c, members, folder, &err));
    assert_ok(md_image_config_load(folder, &read, NULL, &err));
    ck_assert_int_eq(read.factor, FACTOR);
    ck_assert_int_eq(md_image_config_given(&read), C + 1);
    ck_assert(md_image_config_equal(&c, &read));
    read.factor = 0;
    ck_assert(!md_image_config_equal(&c, &read));
    ck_assert_int_eq(md_image_config_given(&read), 0);
    c.factor = 3;
    assert_fails(md_image_config_check(&c, &err), MDLM_USAGE, "images of 8x8 cannot be made");
    c.factor = 17;
    assert_fails(md_image_config_check(&c, &err), MDLM_USAGE, "expected from 2 to 16");
    cJSON_Delete(members);
    suite_tmp_remove(folder);
}
END_TEST

int main(void) {
    Suite *s = suite_create("image upscale");
    suite_case(s, without_noise_it_is_the_enlarged_image_and_a_plane_of_zeros);
    suite_case(s, noise_is_of_the_deviation_that_the_plane_says_and_of_the_image_alone);
    suite_case(s, a_prediction_depends_on_what_its_own_image_is_given);
    suite_case(s, the_sampler_and_guidance_show_each_image_its_own);
    suite_case(s, a_folder_says_the_factor_and_sizes_must_allow_it);
    return suite_run(s);
}
