/* tests/test_gaussian_json.c: a process in a model's config.json. */
#include "diffusion/gaussian_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/gaussian_schedule.h"
#include "tests/suite.h"

static const md_gaussian_options kinds[] = {
    {.timesteps = 1000},
    {.schedule = MD_BETA_COSINE,
     .timesteps = 50,
     .zero_snr = true,
     .prediction = MD_PREDICTS_VELOCITY,
     .variance = MD_VARIANCE_LEARNED},
    {.schedule = MD_BETA_LEARNED, .timesteps = 200, .variance = MD_VARIANCE_LARGE},
    {.process = MD_PROCESS_VE, .timesteps = 40, .prediction = MD_PREDICTS_SCORE},
    {.process = MD_PROCESS_FLOW, .timesteps = 1000, .prediction = MD_PREDICTS_IMAGE},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

START_TEST(a_process_survives_its_json) {
    char *dir = suite_tmp_dir(), *path = NULL;
    if (asprintf(&path, "%s/config.json", dir) < 0) abort();
    for (int k = 0; k < KINDS; k++) {
        md_gaussian p = {0}, q = {0};
        mdlm_error err;
        cJSON *back = NULL;
        assert_ok(md_gaussian_init(&p, &kinds[k], &err));
        for (int i = 0; i < 5000; i++) /* a schedule that has learned moves */
            md_gaussian_observe(&p, i % p.T, 0.1 + 0.8 * (i % p.T) / p.T);
        md_gaussian_place(&p);
        cJSON *object = md_gaussian_to_json(&p);
        assert_ok(md_json_save(path, object, &err));
        assert_ok(md_json_load(path, 1 << 16, &back, &err));
        assert_ok(md_gaussian_from_json(back, "config.json", &q, &err));
        ck_assert_int_eq(q.T, p.T);
        ck_assert_mem_eq(q.levels, p.levels, (size_t)p.T * sizeof *p.levels);
        ck_assert_int_eq(q.opt.prediction, p.opt.prediction);
        ck_assert_int_eq(q.opt.variance, p.opt.variance);
        ck_assert_int_eq(q.opt.process, p.opt.process);
        ck_assert_int_eq(q.opt.schedule, p.opt.schedule);
        cJSON_Delete(object);
        cJSON_Delete(back);
        md_gaussian_release(&p);
        md_gaussian_release(&q);
    }
    free(path);
    suite_tmp_remove(dir);
}
END_TEST

/* On failure nothing is left to release. */
static mdlm_status read_text(const char *text, mdlm_error *err) {
    md_gaussian p = {0};
    cJSON *object = NULL;
    ck_assert_int_eq(md_json_parse(text, strlen(text), "config.json", &object, err), MDLM_OK);
    mdlm_status status = md_gaussian_from_json(object, "c.json", &p, err);
    ck_assert(status == MDLM_OK || p.levels == NULL);
    cJSON_Delete(object);
    md_gaussian_release(&p);
    return status;
}

START_TEST(what_is_no_process_is_refused) {
    mdlm_error err;
#define VE "\"kind\": \"ve\", \"timesteps\": 40, \"variance\": \"small\""
#define VP "\"kind\": \"vp\", \"prediction\": \"eps\", \"variance\": \"small\""
    static const char *const wrong[][2] = {
        {"{}", "kind"},
        {"{\"kind\": \"vq\"}", "'c.json': process.kind is 'vq', which is not known"},
        {"{" VE "}", "prediction"},
        {"{" VE ", \"prediction\": \"eps\", \"zero_snr\": false}", "process.zero_snr is not known"},
        {"{" VE ", \"prediction\": 1}", "prediction"},
        {"{" VP ", \"timesteps\": 1, \"noise_schedule\": \"cosine\", \"zero_snr\": false}",
         "timesteps"},
        {"{" VP ", \"timesteps\": 20, \"noise_schedule\": \"linear\", \"zero_snr\": false}",
         "'c.json': process: the noise schedule 'linear' reaches beta = 1"},
        {"{" VP ", \"timesteps\": 50, \"noise_schedule\": \"cosine\", \"zero_snr\": true}",
         "zero terminal snr"},
        {"{" VP ", \"timesteps\": 50, \"noise_schedule\": \"learned\", \"zero_snr\": false}",
         "no key 'rates'"},
        {"{" VP ", \"timesteps\": 50, \"noise_schedule\": \"learned\", \"zero_snr\": false, "
         "\"rates\": [1, 2]}",
         "'rates' is not a list of 32 numbers"},
        {"{" VP ", \"timesteps\": 50, \"noise_schedule\": \"cosine\", \"zero_snr\": false, "
         "\"rates\": []}",
         "process.rates is not known"},
    };
    assert_ok(read_text("{" VE ", \"prediction\": \"eps\"}", &err));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(read_text(wrong[i][0], &err), MDLM_INPUT, wrong[i][1]);
#undef VE
#undef VP
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian json");
    suite_case(s, a_process_survives_its_json);
    suite_case(s, what_is_no_process_is_refused);
    return suite_run(s);
}
