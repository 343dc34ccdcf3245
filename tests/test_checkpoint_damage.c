/* tests/test_checkpoint_damage.c: what a training gets back after its checkpoints were damaged, or
 * written by someone who means harm (train/checkpoint.h). */
#include "tests/test_checkpoint.h"

#include <math.h>
#include <unistd.h>

#include "tensor/safetensors.h"

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

START_TEST(a_manifest_that_does_not_vouch_for_every_file_falls_back) {
    static const char *const files[] = {"raw.safetensors", "optimizer.safetensors", "state.json"};
    training t = train_to(2, 2);
    for (int i = 0; i < 3; i++) {
        char path[512];
        cJSON *json = NULL;
        assert_ok(save(&t, 2, 2));
        snprintf(path, sizeof path, "%s", in_run("step-2/manifest.json"));
        assert_ok(md_json_load(path, 1 << 16, &json, &err));
        cJSON_DeleteItemFromObject(cJSON_GetObjectItem(json, "files"), files[i]);
        assert_ok(md_json_save(path, json, &err));
        cJSON_Delete(json);
        assert_falls_back(files[i], "does not list");
    }
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
    assert_ok(
        md_safetensors_write_params(path, wide.params, "", md_params_values(wide.params), &err));
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

    md_st_source extra[] = {{"blocks.0.weight", MD_ST_F32, 2, {ROWS, COLS}, values},
                            {"norm", MD_ST_F32, 1, {COLS}, values},
                            {"unknown", MD_ST_F32, 1, {COLS}, values}};
    assert_ok(md_safetensors_write(path, extra, 3, NULL, &err));
    forge(path, "raw.safetensors");
    assert_falls_back("raw.safetensors", "expected 2 tensors, found 3");

    md_params_values(t.params)[SIZE - 1] = 1;
    assert_ok(save(&t, 2, 2));
    snprintf(path, sizeof path, "%s", in_run("step-2/optimizer.safetensors"));
    assert_ok(md_safetensors_write_params(path, t.params, "m.", values, &err));
    forge(path, "optimizer.safetensors");
    assert_falls_back("optimizer.safetensors", "has no key 'optimizer_steps'");
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

int main(void) {
    Suite *s = suite_create("checkpoint damage");
    add_case(s, a_truncated_file_falls_back);
    add_case(s, a_flipped_bit_in_any_file_falls_back);
    add_case(s, a_missing_file_falls_back);
    add_case(s, a_manifest_that_does_not_vouch_for_every_file_falls_back);
    add_case(s, a_missing_manifest_falls_back);
    add_case(s, a_manifest_that_lies_about_a_size_falls_back);
    add_case(s, a_hostile_manifest_falls_back);
    add_case(s, a_forged_file_with_a_matching_hash_is_still_checked);
    add_case(s, a_model_of_another_shape_is_refused_and_left_alone);
    add_case(s, when_none_is_sound_nothing_is_changed);
    add_case(s, no_checkpoint_at_all_is_a_mistake_of_the_user);
    add_case(s, the_newest_sound_folder_is_found);
    return suite_run(s);
}
