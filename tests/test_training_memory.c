/* tests/test_training_memory.c: what training takes is known before it begins (train/memory.h). */
#include "tests/suite.h"
#include "train/memory.h"

static const md_model_config config = {.layers = 2,
                                       .dim = 1024,
                                       .heads = 8,
                                       .kv_heads = 8,
                                       .ff = 4096,
                                       .vocab = 50000,
                                       .seq_len = 64,
                                       .rope_theta = 10000,
                                       .norm_eps = 1e-5};

static md_train_settings settings_of(const char *optimizer, double ema, int64_t lora) {
    return (md_train_settings){.loop = {.optimizer = optimizer, .ema = ema}, .lora = lora};
}

static int64_t copies(const char *optimizer, double ema, int64_t lora) {
    const md_train_settings set = settings_of(optimizer, ema, lora);
    const int64_t weights = 4 * md_model_config_parameters(&config);
    const int64_t bytes = md_training_bytes(&config, &set);
    ck_assert_int_eq(bytes % weights, 0);
    return bytes / weights;
}

START_TEST(memory_is_counted_in_copies_of_the_weights) {
    ck_assert_int_eq(copies("adamw", 0.999, 0), 5); /* weights, gradients, m, v, average */
    ck_assert_int_eq(copies("adamw", 0, 0), 4);
    ck_assert_int_eq(copies("muon", 0.999, 0), 4);
    ck_assert_int_eq(copies("adamw", 0.999, 8), 1);
}
END_TEST

START_TEST(what_does_not_fit_is_said_in_both_numbers) {
    mdlm_error err = {0};
    md_train_settings set = settings_of("adamw", 0.999, 0);
    const int64_t needed = md_training_bytes(&config, &set);
    assert_ok(md_training_check_memory("big", &config, &set, needed, &err));
    assert_fails(md_training_check_memory("big", &config, &set, needed - 1, &err), MDLM_RUNTIME,
                 "'big': training it needs at least 2.5 GiB of memory, 2.5 GiB are available "
                 "(adapters beside it, --lora: 0.5 GiB)");
    set.lora = 8;
    assert_ok(md_training_check_memory("big", &config, &set, needed - 1, &err));
    assert_fails(md_training_check_memory("big", &config, &set, 1 << 28, &err), MDLM_RUNTIME,
                 "training adapters beside it needs at least 0.5 GiB of memory, 0.2 GiB");
}
END_TEST

int main(void) {
    Suite *s = suite_create("memory of training");
    suite_case(s, memory_is_counted_in_copies_of_the_weights);
    suite_case(s, what_does_not_fit_is_said_in_both_numbers);
    return suite_run(s);
}
