/* tests/test_checkpoint.c: saving the state of a training, through crashes and full disks
 * (train/checkpoint.h). Damaged checkpoints are in test_checkpoint_damage.c. */
#include "tests/test_checkpoint.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

START_TEST(matrices_without_a_second_moment_save_none) {
    training t[2], other = new_training(COLS, 0.9);
    md_safetensors *file = NULL;
    for (int i = 0; i < 2; i++) t[i] = new_training_with(MD_OPTIMIZER_MUON, COLS, 0.9);
    for (uint32_t i = 1; i < 4; i++) step(&t[0], i);
    assert_ok(save(&t[0], 3, 1));
    assert_ok(md_safetensors_open(in_run("step-3/optimizer.safetensors"), &file, &err));
    ck_assert_int_eq(md_safetensors_count(file), 3);
    ck_assert_ptr_null(md_safetensors_find(file, "v.blocks.0.weight"));
    ck_assert_ptr_nonnull(md_safetensors_find(file, "v.norm"));
    md_safetensors_close(file);
    assert_ok(load(&t[1]));
    for (uint32_t i = 4; i < 6; i++) step(&t[0], i), step(&t[1], i);
    assert_same_bits(&t[0], &t[1]);
    assert_fails(load(&other), MDLM_INPUT, "no tensor 'v.blocks.0.weight'");
    for (int i = 0; i < 2; i++) free_training(&t[i]);
    free_training(&other);
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
    md_checkpoint c = {.params = t.params, .optimizer = t.optimizer, .step = 1200, .state = state};
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
    md_optimizer_set_steps(t.optimizer, 2);
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
    md_real *const slabs[] = {md_params_values(t.params), md_optimizer_first(t.optimizer),
                              md_optimizer_second(t.optimizer), md_optimizer_ema(t.optimizer)};
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

/* Saves step after step until it is killed, and tells of each. */
static void save_forever(int64_t from, int tell) {
    training t = new_training(COLS, 0.9);
    for (int64_t i = from;; i++) {
        step(&t, (uint32_t)i);
        md_optimizer_set_steps(t.optimizer, i);
        if (save(&t, i, 2) != MDLM_OK || write(tell, "", 1) != 1) _exit(1);
    }
}

/* Starts it, waits for `saves` of its saves and a while longer, and kills it. */
static void train_and_kill(int64_t from, int saves, double seconds) {
    int ends[2], status = 0;
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) save_forever(from, ends[1]);
    close(ends[1]); /* so that the end of the child would end the wait */
    for (int i = 0; i < saves; i++) ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    usleep((useconds_t)(1e6 * seconds));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    close(ends[0]);
}

START_TEST(a_training_killed_at_any_moment_leaves_a_sound_checkpoint) {
    enum { KILLS = 40 };
    training t = train_to(1, 2), loaded;
    int64_t at = 1;
    const double before = md_now();
    assert_ok(save(&t, 1, 2));
    const double save_seconds = fmin(md_now() - before, 0.25); /* of a disk that may be slow */
    for (int i = 0; i < KILLS; i++) {
        const int saves = i % 3; /* 0: while the step at hand is replaced */
        train_and_kill(at, saves, save_seconds * (1 + i) / KILLS);
        char *path = NULL;
        assert_ok(md_checkpoint_newest(run, &path, &err));
        const int64_t found = strtoll(strrchr(path, '-') + 1, NULL, 10);
        ck_assert_int_ge(found, saves > 0 ? at + saves - 1 : at);
        md_free(path);
        at = found;
        md_free(load_step(at, &loaded));
        free_training(&loaded);
    }
    free_training(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("checkpoint");
    add_case(s, a_checkpoint_reads_back_bit_for_bit);
    add_case(s, training_goes_on_as_if_it_had_not_stopped);
    add_case(s, matrices_without_a_second_moment_save_none);
    add_case(s, a_training_without_an_average_has_no_average_file);
    add_case(s, the_newest_are_kept);
    add_case(s, saving_tells_the_folder);
    add_case(s, steps_of_a_lost_training_go_when_it_went_on_from_before_them);
    add_case(s, the_same_step_can_be_saved_again);
    add_case(s, a_crash_while_a_step_is_replaced_leaves_the_old_one);
    add_case(s, a_leftover_of_a_crash_is_ignored_and_cleaned);
    add_case(s, numbers_that_are_not_finite_are_refused_and_the_old_checkpoint_survives);
    add_case(s, a_run_that_cannot_be_written_says_so);
    add_case(s, a_full_disk_leaves_the_old_checkpoint_and_nothing_half_written);
    add_case(s, a_training_killed_at_any_moment_leaves_a_sound_checkpoint);
    return suite_run(s);
}
