/* tests/test_checkpoint.c: what a training gets back after it, its disk or its power failed
 * (train/checkpoint.h). */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/safetensors.h"
#include "tests/suite.h"
#include "train/checkpoint.h"

static mdlm_error err;
static char *run;

enum { ROWS = 3, COLS = 5, SIZE = ROWS * COLS + COLS };

/* A small model in training: a matrix and a gain. */
typedef struct training {
    md_params *params;
    md_adamw *optimizer;
} training;

static training new_training(int64_t cols, double ema) {
    training t = {.params = md_params_new(&err)};
    md_params_add(t.params, "blocks.0.weight", 2, (int64_t[]){ROWS, cols}, true, &err);
    md_params_add(t.params, "norm", 1, (int64_t[]){cols}, false, &err);
    assert_ok(md_params_seal(t.params, true, &err));
    md_real *values = md_params_values(t.params);
    for (int64_t i = 0; i < md_params_size(t.params); i++) values[i] = (md_real)(0.1 * (double)i);
    md_adamw_options opt = md_adamw_defaults();
    opt.ema = ema;
    t.optimizer = md_adamw_new(t.params, &md_kernels_ref, &opt, &err);
    ck_assert_msg(t.optimizer != NULL, "%s", err.message);
    return t;
}

static void free_training(training *t) {
    md_adamw_free(t->optimizer);
    md_params_free(t->params);
}

static void step(training *t, uint32_t number) {
    md_rng rng = {.seed = 7, .stream = MD_STREAM_NOISE};
    md_real *grad = md_params_grads(t->params);
    for (uint32_t i = 0; i < md_params_size(t->params); i++) {
        grad[i] = (md_real)md_normal(rng, number, i);
    }
    assert_ok(md_adamw_step(t->optimizer, 0.01, NULL, NULL, &err));
}

static mdlm_status save(training *t, int64_t number, int keep) {
    cJSON *state = cJSON_CreateObject();
    cJSON_AddNumberToObject(state, "mark", 0.1 + (double)number);
    md_checkpoint c = {
        .params = t->params, .optimizer = t->optimizer, .step = number, .state = state};
    mdlm_status status = md_checkpoint_save(&c, run, keep, NULL, &err);
    cJSON_Delete(state);
    return status;
}

/* Checkpoints of steps 1, 2, ... last, each after a step of the optimizer. */
static training train_to(int last, int keep) {
    training t = new_training(COLS, 0.9);
    for (int i = 1; i <= last; i++) {
        step(&t, (uint32_t)i);
        assert_ok(save(&t, i, keep));
    }
    return t;
}

/* Loads into a new training, checks that its state is step `expected`'s, and returns the note. */
static char *load_step(int64_t expected, training *t) {
    char *note = NULL;
    *t = new_training(COLS, 0.9);
    md_checkpoint c = {.params = t->params, .optimizer = t->optimizer};
    assert_ok(md_checkpoint_load(&c, run, &note, &err));
    ck_assert_int_eq(c.step, expected);
    ck_assert_int_eq(md_adamw_steps(t->optimizer), expected);
    const cJSON *mark = cJSON_GetObjectItem(c.state, "mark");
    ck_assert(cJSON_IsNumber(mark) && mark->valuedouble == 0.1 + (double)expected);
    cJSON_Delete(c.state);
    return note;
}

static mdlm_status load(training *t) {
    md_checkpoint c = {.params = t->params, .optimizer = t->optimizer};
    mdlm_status status = md_checkpoint_load(&c, run, NULL, &err);
    if (status == MDLM_OK) cJSON_Delete(c.state);
    return status;
}

static void assert_same_bits(const training *a, const training *b) {
    const size_t bytes = (size_t)md_params_size(a->params) * sizeof(md_real);
    ck_assert_mem_eq(md_params_values(a->params), md_params_values(b->params), bytes);
    ck_assert_mem_eq(md_adamw_first(a->optimizer), md_adamw_first(b->optimizer), bytes);
    ck_assert_mem_eq(md_adamw_second(a->optimizer), md_adamw_second(b->optimizer), bytes);
    ck_assert_mem_eq(md_adamw_ema(a->optimizer), md_adamw_ema(b->optimizer), bytes);
    ck_assert_int_eq(md_adamw_steps(a->optimizer), md_adamw_steps(b->optimizer));
}

/* RUN/checkpoints/NAME; the two latest stay valid. */
static const char *in_run(const char *name) {
    static char paths[2][512];
    static int turn;
    char *path = paths[turn = !turn];
    snprintf(path, sizeof paths[0], "%s/checkpoints/%s", run, name);
    return path;
}

/* "step-2 step-3": what is there, sorted. */
static const char *listing(void) {
    static char text[512];
    md_names names = {0};
    text[0] = 0;
    assert_ok(md_dir_list(in_run(""), &names, &err));
    for (size_t i = 0; i < names.count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "", names.items[i]);
    }
    md_names_release(&names);
    return text;
}

static void flip_bit(const char *path, long offset, int whence) {
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    fseek(file, offset, whence);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* Replaces `from` by `to` (of any length) in a text file. */
static void edit(const char *path, const char *from, const char *to) {
    char *text = NULL;
    size_t size = 0;
    assert_ok(md_file_read(path, 1 << 20, &text, &size, &err));
    char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "'%s' lacks '%s'", path, from);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(file);
    md_free(text);
}

/* After damage to step 2: step 1 comes back whole, and the note names the file and the damage. */
static void assert_falls_back(const char *file, const char *damage) {
    training t, first = train_to(0, 1);
    step(&first, 1);
    char *note = load_step(1, &t);
    assert_same_bits(&first, &t);
    ck_assert_ptr_nonnull(note);
    ck_assert_msg(strstr(note, "step-2") && strstr(note, file) && strstr(note, damage), "note: %s",
                  note);
    ck_assert_ptr_null(strchr(note, '\n'));
    md_free(note);
    free_training(&first);
    free_training(&t);
}

static void setup(void) {
    run = suite_tmp_dir();
}

static void teardown(void) {
    suite_tmp_remove(run);
}

START_TEST(a_checkpoint_reads_back_bit_for_bit) {
    training saved = train_to(3, 2), loaded;
    md_params_values(saved.params)[0] = -0.0F;
    md_params_values(saved.params)[1] = 1e-42F; /* denormal */
    assert_ok(save(&saved, 3, 2));
    ck_assert_ptr_null(load_step(3, &loaded));
    assert_same_bits(&saved, &loaded);
    free_training(&saved);
    free_training(&loaded);
}
END_TEST

START_TEST(training_goes_on_as_if_it_had_not_stopped) {
    training straight = train_to(4, 1), resumed;
    ck_assert_ptr_null(load_step(4, &resumed));
    for (uint32_t i = 5; i < 9; i++) step(&straight, i), step(&resumed, i);
    assert_same_bits(&straight, &resumed);
    free_training(&straight);
    free_training(&resumed);
}
END_TEST

START_TEST(a_training_without_an_average_has_no_average_file) {
    training t = new_training(COLS, 0), other = new_training(COLS, 0.9);
    step(&t, 1);
    assert_ok(save(&t, 1, 1));
    ck_assert(!md_file_exists(in_run("step-1/ema.safetensors")));
    assert_ok(load(&t));
    assert_fails(load(&other), MDLM_INPUT, "expected an average");
    free_training(&t);
    free_training(&other);
}
END_TEST

START_TEST(the_newest_are_kept) {
    training t = train_to(11, 3);
    ck_assert_str_eq(listing(), "step-10 step-11 step-9");
    assert_ok(save(&t, 12, 1));
    ck_assert_str_eq(listing(), "step-12");
    free_training(&t);
}
END_TEST

START_TEST(saving_tells_the_folder) {
    training t = new_training(COLS, 0.9);
    cJSON *state = cJSON_CreateObject();
    md_checkpoint c = {
        .params = t.params, .optimizer = t.optimizer, .step = 1200, .state = state};
    char *path = NULL, *newest = NULL;
    assert_ok(md_checkpoint_save(&c, run, 1, &path, &err));
    ck_assert_str_eq(path, in_run("step-1200"));
    assert_ok(md_checkpoint_newest(run, &newest, &err));
    ck_assert_str_eq(newest, path);
    md_free(path);
    md_free(newest);
    cJSON_Delete(state);
    free_training(&t);
}
END_TEST

START_TEST(steps_of_a_lost_training_go_when_it_went_on_from_before_them) {
    training t = train_to(3, 3);
    ck_assert_int_eq(truncate(in_run("step-3/raw.safetensors"), 100), 0);
    assert_ok(save(&t, 2, 1)); /* keep 1 must not keep the damaged 3 and drop the new 2 */
    ck_assert_str_eq(listing(), "step-2");
    free_training(&t);
}
END_TEST

START_TEST(the_same_step_can_be_saved_again) {
    training t = train_to(2, 2), loaded;
    step(&t, 99);
    md_adamw_set_steps(t.optimizer, 2);
    assert_ok(save(&t, 2, 2));
    ck_assert_str_eq(listing(), "step-1 step-2");
    ck_assert_ptr_null(load_step(2, &loaded));
    assert_same_bits(&t, &loaded);
    free_training(&t);
    free_training(&loaded);
}
END_TEST

START_TEST(a_crash_while_a_step_is_replaced_leaves_the_old_one) {
    training t = train_to(2, 1), loaded;
    char old[512];
    snprintf(old, sizeof old, "%s", in_run(".old-step-2"));
    ck_assert_int_eq(rename(in_run("step-2"), old), 0);
    ck_assert_ptr_null(load_step(2, &loaded));
    assert_same_bits(&t, &loaded);
    assert_ok(save(&t, 2, 1));
    ck_assert_str_eq(listing(), "step-2");
    free_training(&t);
    free_training(&loaded);
}
END_TEST

START_TEST(a_truncated_file_falls_back) {
    training t = train_to(2, 2);
    ck_assert_int_eq(truncate(in_run("step-2/optimizer.safetensors"), 300), 0);
    assert_falls_back("optimizer.safetensors", "expected");
    free_training(&t);
}
END_TEST

START_TEST(a_flipped_bit_in_any_file_falls_back) {
    static const char *const files[] = {"raw.safetensors", "ema.safetensors",
                                        "optimizer.safetensors", "state.json"};
    training t = train_to(1, 2);
    step(&t, 2);
    for (int i = 0; i < 4; i++) {
        char name[64];
        assert_ok(save(&t, 2, 2));
        snprintf(name, sizeof name, "step-2/%s", files[i]);
        flip_bit(in_run(name), -3, SEEK_END);
        assert_falls_back(files[i], "hash");
    }
    free_training(&t);
}
END_TEST

START_TEST(a_missing_file_falls_back) {
    training t = train_to(2, 2);
    unlink(in_run("step-2/state.json"));
    assert_falls_back("state.json", "no such file");
    free_training(&t);
}
END_TEST

START_TEST(a_missing_manifest_falls_back) {
    training t = train_to(2, 2);
    unlink(in_run("step-2/manifest.json"));
    assert_falls_back("manifest.json", "no such file");
    free_training(&t);
}
END_TEST

START_TEST(a_manifest_that_lies_about_a_size_falls_back) {
    training t = train_to(2, 2);
    edit(in_run("step-2/manifest.json"), "\"bytes\":\t", "\"bytes\":\t1");
    assert_falls_back("raw.safetensors", "bytes, found");
    free_training(&t);
}
END_TEST

START_TEST(a_hostile_manifest_falls_back) {
    static const char *const edits[][3] = {
        {"\"raw.safetensors\"", "\"../../../etc/passwd\"", "unknown file"},
        {"\"ema.safetensors\"", "\"raw.safetensors\"", "twice"},
        {"\"step\":\t2", "\"step\":\t3", "out of range"},
        {"\"step\":\t2", "\"step\":\t-2e99", "out of range"},
        {"\"version\":\t1", "\"version\":\t2", "out of range"},
        {"mdlm-checkpoint", "other", "expected format"},
        {"\"files\":", "\"fields\":", "no object 'files'"},
        {"{", "[", "not valid JSON"},
    };
    training t = train_to(1, 2);
    step(&t, 2);
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        assert_ok(save(&t, 2, 2));
        edit(in_run("step-2/manifest.json"), edits[i][0], edits[i][1]);
        assert_falls_back("manifest.json", edits[i][2]);
    }
    free_training(&t);
}
END_TEST

/* Writes a file and a manifest that is right about it, as someone who means harm would. */
static void forge(const char *path, const char *name) {
    int64_t bytes = 0;
    uint64_t hash = 0;
    char text[128], digits[32];
    cJSON *json = NULL;
    assert_ok(md_file_size(path, &bytes, &err));
    assert_ok(md_file_hash(path, &hash, &err));
    snprintf(text, sizeof text, "%s", in_run("step-2/manifest.json"));
    assert_ok(md_json_load(text, 1 << 16, &json, &err));
    cJSON *entry = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "files"), name);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash);
    cJSON_ReplaceItemInObject(entry, "bytes", cJSON_CreateNumber((double)bytes));
    cJSON_ReplaceItemInObject(entry, "xxh3", cJSON_CreateString(digits));
    assert_ok(md_json_save(text, json, &err));
    cJSON_Delete(json);
}

START_TEST(a_forged_file_with_a_matching_hash_is_still_checked) {
    training t = train_to(2, 2), wide = new_training(COLS + 1, 0.9);
    char path[512];
    snprintf(path, sizeof path, "%s", in_run("step-2/raw.safetensors"));
    assert_ok(md_safetensors_write_params(path, wide.params, "", md_params_values(wide.params),
                                          &err));
    forge(path, "raw.safetensors");
    assert_falls_back("raw.safetensors", "expected shape [3, 5], found [3, 6]");

    md_params_values(t.params)[SIZE - 1] = NAN;
    assert_ok(md_safetensors_write_params(path, t.params, "", md_params_values(t.params), &err));
    forge(path, "raw.safetensors");
    assert_falls_back("raw.safetensors", "expected finite numbers");

    md_real values[SIZE] = {0};
    assert_ok(md_safetensors_write_params(path, t.params, "x.", values, &err));
    forge(path, "raw.safetensors");
    assert_falls_back("raw.safetensors", "has no tensor 'blocks.0.weight'");

    md_params_values(t.params)[SIZE - 1] = 1;
    assert_ok(save(&t, 2, 2));
    snprintf(path, sizeof path, "%s", in_run("step-2/optimizer.safetensors"));
    assert_ok(md_safetensors_write_params(path, t.params, "m.", values, &err));
    forge(path, "optimizer.safetensors");
    assert_falls_back("optimizer.safetensors", "no metadata");
    free_training(&t);
    free_training(&wide);
}
END_TEST

START_TEST(a_model_of_another_shape_is_refused_and_left_alone) {
    training t = train_to(2, 2), wide = new_training(COLS + 1, 0.9);
    training same = new_training(COLS + 1, 0.9);
    assert_fails(load(&wide), MDLM_INPUT, "expected shape [3, 6], found [3, 5]");
    assert_same_bits(&same, &wide);
    free_training(&t);
    free_training(&wide);
    free_training(&same);
}
END_TEST

START_TEST(when_none_is_sound_nothing_is_changed) {
    training t = train_to(2, 2), fresh = new_training(COLS, 0.9), same = new_training(COLS, 0.9);
    char *path = NULL;
    flip_bit(in_run("step-1/raw.safetensors"), -1, SEEK_END);
    flip_bit(in_run("step-2/optimizer.safetensors"), -1, SEEK_END);
    assert_fails(load(&fresh), MDLM_INPUT, "no checkpoint");
    assert_same_bits(&same, &fresh);
    assert_fails(md_checkpoint_newest(run, &path, &err), MDLM_INPUT, "no checkpoint");
    ck_assert_ptr_null(path);
    free_training(&t);
    free_training(&fresh);
    free_training(&same);
}
END_TEST

START_TEST(no_checkpoint_at_all_is_a_mistake_of_the_user) {
    training t = new_training(COLS, 0.9);
    char *path = NULL;
    assert_fails(load(&t), MDLM_USAGE, "no checkpoint");
    assert_fails(md_checkpoint_newest(run, &path, &err), MDLM_USAGE, "no checkpoint");
    assert_ok(md_dir_make(in_run("step-x"), &err));
    assert_ok(md_dir_make(in_run("step-01"), &err));
    assert_ok(md_dir_make(in_run("step-99999999999999999999"), &err));
    assert_fails(load(&t), MDLM_USAGE, "no checkpoint");
    free_training(&t);
}
END_TEST

START_TEST(the_newest_sound_folder_is_found) {
    training t = train_to(3, 3);
    char *path = NULL;
    unlink(in_run("step-3/manifest.json"));
    assert_ok(md_checkpoint_newest(run, &path, &err));
    ck_assert_str_eq(path, in_run("step-2"));
    md_free(path);
    free_training(&t);
}
END_TEST

START_TEST(a_leftover_of_a_crash_is_ignored_and_cleaned) {
    training t = train_to(1, 2), loaded;
    assert_ok(md_dir_make(in_run(".tmp-step-2/x"), &err));
    assert_ok(md_file_write(in_run(".tmp-step-2/raw.safetensors"), "half", 4, &err));
    assert_ok(md_dir_make(in_run(".tmp-step-7"), &err));
    ck_assert_ptr_null(load_step(1, &loaded));
    step(&t, 2);
    assert_ok(save(&t, 2, 2));
    ck_assert_str_eq(listing(), "step-1 step-2");
    free_training(&t);
    free_training(&loaded);
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_refused_and_the_old_checkpoint_survives) {
    training t = train_to(1, 1), loaded;
    md_real *const slabs[] = {md_params_values(t.params), md_adamw_first(t.optimizer),
                              md_adamw_second(t.optimizer), md_adamw_ema(t.optimizer)};
    static const char *const names[] = {"raw.safetensors 'norm'", "'m.norm'", "'v.norm'",
                                        "ema.safetensors 'norm'"};
    for (int i = 0; i < 4; i++) {
        md_real good = slabs[i][SIZE - 1];
        slabs[i][SIZE - 1] = i % 2 ? NAN : -INFINITY;
        assert_fails(save(&t, 2, 1), MDLM_NUMERIC, names[i]);
        slabs[i][SIZE - 1] = good;
    }
    ck_assert_str_eq(listing(), "step-1");
    ck_assert_ptr_null(load_step(1, &loaded));
    free_training(&t);
    free_training(&loaded);
}
END_TEST

START_TEST(a_run_that_cannot_be_written_says_so) {
    training t = new_training(COLS, 0.9);
    char *folder = run;
    char file[512];
    snprintf(file, sizeof file, "%s/checkpoints", folder);
    assert_ok(md_file_write(file, "x", 1, &err));
    assert_fails(save(&t, 1, 1), MDLM_WRITE, "checkpoints"); /* permissions would not stop root */
    run = file;
    assert_fails(save(&t, 1, 1), MDLM_WRITE, "checkpoints");
    run = folder;
    md_names names = {0};
    assert_ok(md_dir_list(run, &names, &err));
    ck_assert_uint_eq(names.count, 1);
    md_names_release(&names);
    free_training(&t);
}
END_TEST

/* Every file of a checkpoint in turn is the one that does not fit. */
START_TEST(a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written) {
    training t = train_to(1, 2), loaded;
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlim_t whole = limit.rlim_cur;
    signal(SIGXFSZ, SIG_IGN); /* so that write fails, as on a full disk */
    step(&t, 2);
    int refused = 0;
    for (rlim_t bytes = 0; bytes < 4096; bytes += 16) {
        limit.rlim_cur = bytes;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        mdlm_status status = save(&t, 2, 2);
        limit.rlim_cur = whole;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        if (status == MDLM_OK) break;
        ck_assert_int_eq(status, MDLM_WRITE);
        ck_assert_str_eq(listing(), "step-1");
        refused++;
    }
    ck_assert_int_gt(refused, 10);
    ck_assert_str_eq(listing(), "step-1 step-2");
    ck_assert_ptr_null(load_step(2, &loaded));
    free_training(&t);
    free_training(&loaded);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

#define add_case(s, test) add(s, #test, test)

int main(void) {
    Suite *s = suite_create("checkpoint");
    add_case(s, a_checkpoint_reads_back_bit_for_bit);
    add_case(s, training_goes_on_as_if_it_had_not_stopped);
    add_case(s, a_training_without_an_average_has_no_average_file);
    add_case(s, the_newest_are_kept);
    add_case(s, saving_tells_the_folder);
    add_case(s, steps_of_a_lost_training_go_when_it_went_on_from_before_them);
    add_case(s, the_same_step_can_be_saved_again);
    add_case(s, a_crash_while_a_step_is_replaced_leaves_the_old_one);
    add_case(s, a_truncated_file_falls_back);
    add_case(s, a_flipped_bit_in_any_file_falls_back);
    add_case(s, a_missing_file_falls_back);
    add_case(s, a_missing_manifest_falls_back);
    add_case(s, a_manifest_that_lies_about_a_size_falls_back);
    add_case(s, a_hostile_manifest_falls_back);
    add_case(s, a_forged_file_with_a_matching_hash_is_still_checked);
    add_case(s, a_model_of_another_shape_is_refused_and_left_alone);
    add_case(s, when_none_is_sound_nothing_is_changed);
    add_case(s, no_checkpoint_at_all_is_a_mistake_of_the_user);
    add_case(s, the_newest_sound_folder_is_found);
    add_case(s, a_leftover_of_a_crash_is_ignored_and_cleaned);
    add_case(s, numbers_that_are_not_finite_are_refused_and_the_old_checkpoint_survives);
    add_case(s, a_run_that_cannot_be_written_says_so);
    add_case(s, a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written);
    return suite_run(s);
}
