/* tests/test_lora.c: adapters: merged, saved, loaded, and files that are not what they say. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/lora.h"
#include "tensor/safetensors.h"
#include "tests/kernel_sets.h"
#include "tests/small_net.h"

enum { V = SMALL_V, SEQ = 20, RANK = 3 };

typedef struct fixture {
    small_net n;
    md_lora *lora;
    char *folder;
} fixture;

static fixture f;
static mdlm_error err;

static void setup(void) {
    small_net_init(&f.n, NULL, 2, 2, SEQ);
    for (int i = 0; i < SEQ; i++) f.n.ids[i] = i * 5 % V;
    assert_ok(md_lora_new(f.n.net, RANK, false, &f.lora, &err));
    md_lora_init(f.lora, 7);
    f.folder = suite_tmp_dir();
}

static void teardown(void) {
    suite_tmp_remove(f.folder);
    md_lora_free(f.lora);
    small_net_release(&f.n);
}

/* B becomes something: what training does. */
static void train(void) {
    md_params *params = md_lora_params(f.lora);
    for (int64_t i = 0; i < md_params_size(params); i++)
        md_params_values(params)[i] +=
            (float)(0.2 *
                        md_uniform((md_rng){.seed = 9, .stream = MD_STREAM_INIT}, 0, (uint32_t)i) -
                    0.1);
}

static void logits_of(float logits[SEQ * V]) {
    md_transformer_view view = {.net = f.n.net, .tape = f.n.tape};
    md_denoiser d = md_transformer_denoiser(&view);
    int32_t rows[SEQ];
    for (int i = 0; i < SEQ; i++) rows[i] = i;
    assert_ok(d.predict(d.context, f.n.ids, 1, SEQ, rows, SEQ, logits, &err));
}

static double distance(const float *a, const float *b) {
    double most = 0, size = 0;
    for (int i = 0; i < SEQ * V; i++) {
        most = fmax(most, fabs((double)(a[i] - b[i])));
        size = fmax(size, fabs((double)a[i]));
    }
    return most / size;
}

START_TEST(new_adapters_change_nothing) {
    static float before[SEQ * V], after[SEQ * V];
    logits_of(before);
    md_transformer_set_lora(f.n.net, f.lora);
    logits_of(after);
    ck_assert(!memcmp(before, after, sizeof before));
}
END_TEST

START_TEST(merged_equals_applied) {
    static float without[SEQ * V], applied[SEQ * V], merged[SEQ * V];
    train();
    logits_of(without);
    md_transformer_set_lora(f.n.net, f.lora);
    logits_of(applied);
    md_transformer_set_lora(f.n.net, NULL);
    md_lora_merge(f.lora, f.n.net);
    logits_of(merged);
    /* Rounding of the weights to 24 bits, in two layers. */
    ck_assert_msg(distance(applied, merged) < 1e-5, "%g", distance(applied, merged));
    ck_assert(distance(applied, without) > 1e-3);
}
END_TEST

START_TEST(a_random_a_has_rows_of_norm_one) {
    const md_tensor *a = md_params_tensor(md_lora_params(f.lora), 0);
    double sum = 0;
    for (int i = 0; i < RANK * SMALL_C; i++) sum += (double)a->data[i] * (double)a->data[i];
    /* chi-square with 120 degrees of freedom: the mean of three rows, 4 sigma = 4 sqrt(2/120) */
    ck_assert_double_eq_tol(sum / RANK, 1, 0.52);
}
END_TEST

START_TEST(saved_adapters_are_read_back_in_bits) {
    md_lora *again = NULL;
    train();
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    ck_assert(md_lora_in(f.folder));
    assert_ok(md_lora_load(f.folder, NULL, f.n.net, &again, &err));
    ck_assert_int_eq(md_lora_rank(again), RANK);
    md_params *a = md_lora_params(f.lora), *b = md_lora_params(again);
    ck_assert(!memcmp(md_params_values(a), md_params_values(b),
                      (size_t)md_params_size(a) * sizeof(float)));
    md_lora_free(again);
}
END_TEST

START_TEST(a_checkpoint_of_the_adapters_is_read_by_its_own_names) {
    md_lora *again = NULL;
    md_params *a = md_lora_params(f.lora);
    char *path = md_path_join(f.folder, "ema.safetensors", &err);
    train();
    assert_ok(md_safetensors_write_params(path, a, "", md_params_values(a), &err));
    float old = md_params_values(a)[5];
    md_params_values(a)[5] = 1; /* what is published is something else */
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    assert_ok(md_lora_load(f.folder, path, f.n.net, &again, &err));
    ck_assert(md_params_values(md_lora_params(again))[5] == old);
    md_lora_free(again);
    md_free(path);
}
END_TEST

START_TEST(the_file_has_the_names_that_peft_gives) {
    md_safetensors *file;
    char *path = md_path_join(f.folder, MD_LORA_WEIGHTS, &err);
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    assert_ok(md_safetensors_open(path, &file, &err));
    ck_assert_int_eq(md_safetensors_count(file), 2 * 7 * 2);
    static const char *const last[] = {"q_proj",  "k_proj",  "v_proj", "attn_out",
                                       "ff_proj", "up_proj", "ff_out"};
    for (int i = 0; i < 7; i++) {
        char name[128];
        snprintf(name, sizeof name, "base_model.model.model.transformer.blocks.1.%s.lora_A.weight",
                 last[i]);
        const md_st_entry *e = md_safetensors_find(file, name);
        ck_assert_msg(e && e->rank == 2 && e->dim[0] == RANK, "%s", name);
    }
    md_safetensors_close(file);
    md_free(path);
}
END_TEST

/* --- files that are wrong -------------------------------------------------------------------- */

/* Saves, changes one member of the configuration (NULL: removes it), and loads. */
static mdlm_status load_changed(const char *key, const char *value) {
    cJSON *root;
    md_lora *again = NULL;
    char *path = md_path_join(f.folder, MD_LORA_CONFIG, &err);
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    cJSON_DeleteItemFromObject(root, key);
    if (value) cJSON_AddRawToObject(root, key, value);
    assert_ok(md_json_save(path, root, &err));
    mdlm_status status = md_lora_load(f.folder, NULL, f.n.net, &again, &err);
    ck_assert((status == MDLM_OK) == (again != NULL));
    md_lora_free(again);
    cJSON_Delete(root);
    md_free(path);
    return status;
}

START_TEST(configurations_of_other_adapters_are_refused_by_name) {
    static const char *const wrong[][2] = {
        {"peft_type", "\"IA3\""},
        {"bias", "\"all\""},
        {"use_rslora", "true"},
        {"use_dora", "true"},
        {"fan_in_fan_out", "true"},
        {"modules_to_save", "[\"ff_out\"]"},
        {"r", "0"},
        {"r", "2.5"},
        {"r", "\"3\""},
        {"r", NULL},
        {"lora_alpha", "0"},
        {"lora_alpha", "null"},
        {"lora_alpha", "-1"},
        {"base_model_name_or_path", "7"},
        {"base_model_name_or_path", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(load_changed(wrong[i][0], wrong[i][1]), MDLM_INPUT, wrong[i][0]);
    assert_ok(load_changed("use_rslora", NULL));
    assert_ok(load_changed("task_type", "\"CAUSAL_LM\""));
}
END_TEST

START_TEST(another_rank_than_the_weights_have_is_refused) {
    assert_fails(load_changed("r", "4"), MDLM_INPUT, "lora_A");
    assert_fails(load_changed("r", "41"), MDLM_INPUT, "expected 1 to 40");
    md_lora *other;
    assert_ok(md_lora_new(f.n.net, RANK + 1, false, &other, &err));
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    assert_fails(md_lora_read(other, f.folder, &err), MDLM_INPUT, "have rank 3: expected 4");
    md_lora_free(other);
    assert_fails(md_lora_new(f.n.net, 0, false, &other, &err), MDLM_USAGE, "--lora 0");
    assert_fails(md_lora_new(f.n.net, 41, false, &other, &err), MDLM_USAGE, "--lora 41");
}
END_TEST

START_TEST(alpha_over_rank_scales_what_is_read) {
    md_lora *again = NULL;
    train();
    assert_ok(load_changed("lora_alpha", "6")); /* twice the rank; the file stays */
    assert_ok(md_lora_load(f.folder, NULL, f.n.net, &again, &err));
    md_params *a = md_lora_params(f.lora), *b = md_lora_params(again);
    int i = md_params_find(a, "blocks.1.k_proj.lora_B");
    ck_assert_int_ge(i, 0);
    ck_assert(md_params_tensor(b, i)->data[4] == 2 * md_params_tensor(a, i)->data[4]);
    ck_assert(md_params_tensor(b, 0)->data[4] == md_params_tensor(a, 0)->data[4]);
    md_lora_free(again);
}
END_TEST

/* The tensors of a saved file, which `spoil` may change, written again and loaded. */
static mdlm_status load_spoiled(int which, md_st_source (*spoil)(md_st_source), bool drop) {
    md_safetensors *file;
    md_st_source list[32];
    md_lora *again = NULL;
    char *path = md_path_join(f.folder, MD_LORA_WEIGHTS, &err);
    char *other = md_path_join(f.folder, "other.safetensors", &err);
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    assert_ok(md_safetensors_open(path, &file, &err));
    int count = md_safetensors_count(file), kept = 0;
    for (int i = 0; i < count; i++) {
        const md_st_entry *e = md_safetensors_entry(file, i);
        md_st_source s = {.name = e->name, .dtype = e->dtype, .rank = e->rank, .data = e->data};
        memcpy(s.dim, e->dim, sizeof s.dim);
        if (i == which && drop) continue;
        list[kept++] = i == which ? spoil(s) : s;
    }
    assert_ok(md_safetensors_write(other, list, kept, NULL, &err));
    md_safetensors_close(file);
    ck_assert_int_eq(rename(other, path), 0);
    mdlm_status status = md_lora_load(f.folder, NULL, f.n.net, &again, &err);
    ck_assert((status == MDLM_OK) == (again != NULL));
    md_lora_free(again);
    md_free(path);
    md_free(other);
    return status;
}

static md_st_source renamed(md_st_source s) {
    s.name = "base_model.model.model.transformer.blocks.9.q_proj.lora_A.weight";
    return s;
}

static md_st_source turned(md_st_source s) {
    int64_t rows = s.dim[0];
    s.dim[0] = s.dim[1], s.dim[1] = rows;
    return s;
}

static md_st_source another(md_st_source s) {
    static const float values[RANK * 64] = {1};
    s.data = values;
    return s;
}

START_TEST(other_tensors_than_expected_are_refused_by_name) {
    const int q_proj = 8; /* lora_A of blocks.0.q_proj, in the order of names */
    assert_fails(load_spoiled(q_proj, NULL, true), MDLM_INPUT, "blocks.0.q_proj.lora_A");
    assert_fails(load_spoiled(q_proj, renamed, false), MDLM_INPUT, "q_proj.lora_A");
    assert_fails(load_spoiled(q_proj, turned, false), MDLM_INPUT, "blocks.0.q_proj.lora_A");
    assert_fails(load_spoiled(q_proj, another, false), MDLM_INPUT,
                 "'blocks.0.q_proj' and of 'blocks.0.k_proj' differ");
}
END_TEST

START_TEST(missing_files_are_named) {
    md_lora *again;
    assert_fails(md_lora_load(f.folder, NULL, f.n.net, &again, &err), MDLM_INPUT, MD_LORA_CONFIG);
    assert_ok(md_lora_save(f.lora, f.folder, "somewhere", &err));
    char *path = md_path_join(f.folder, MD_LORA_WEIGHTS, &err);
    ck_assert_int_eq(remove(path), 0);
    assert_fails(md_lora_load(f.folder, NULL, f.n.net, &again, &err), MDLM_INPUT, MD_LORA_WEIGHTS);
    md_free(path);
}
END_TEST

START_TEST(the_base_is_found_below_the_folder_or_where_it_stands) {
    char *base = md_path_join(f.folder, "base-model", &err), *found = NULL;
    assert_ok(md_lora_save(f.lora, f.folder, "base-model", &err));
    assert_fails(md_lora_base(f.folder, &found, &err), MDLM_INPUT, "no folder 'base-model'");
    assert_ok(md_dir_make(base, &err));
    assert_ok(md_lora_base(f.folder, &found, &err));
    ck_assert_str_eq(found, base);
    md_free(found);
    assert_ok(md_lora_save(f.lora, f.folder, base, &err));
    assert_ok(md_lora_base(f.folder, &found, &err));
    ck_assert_str_eq(found, base);
    md_free(found);
    assert_ok(md_lora_save(f.lora, f.folder, ".", &err)); /* of course it is there */
    assert_ok(md_lora_base(f.folder, &found, &err));
    md_free(found);
    md_free(base);
}
END_TEST

/* What an adapters' folder and its base hold, loaded at once. */
START_TEST(a_folder_of_adapters_gives_the_network_with_them_merged) {
    md_transformer *net = NULL;
    char *base = md_path_join(f.folder, "base-model", &err);
    char *adapters = md_path_join(f.folder, "adapters", &err);
    char *path = md_path_join(base, "model.safetensors", &err);
    train();
    assert_ok(md_dir_make(base, &err));
    assert_ok(md_dir_make(adapters, &err));
    assert_ok(md_model_config_save(md_transformer_config(f.n.net), base, &err));
    assert_ok(md_lora_save(f.lora, adapters, "../base-model", &err));
    assert_fails(md_transformer_load(adapters, NULL, false, &net, &err), MDLM_INPUT,
                 "base-model/model.safetensors");
    assert_ok(
        md_safetensors_write_params(path, f.n.params, "", md_params_values(f.n.params), &err));
    assert_ok(md_transformer_load(adapters, NULL, false, &net, &err));
    md_lora_merge(f.lora, f.n.net);
    ck_assert(!memcmp(md_params_values(f.n.params), md_params_values(md_transformer_params(net)),
                      (size_t)md_params_size(f.n.params) * sizeof(float)));
    md_transformer_free(net);
    /* The objective may have changed: the adapters' own configuration goes first. */
    md_model_config other = *md_transformer_config(f.n.net);
    other.sight = MD_SEES_PAST;
    assert_ok(md_model_config_save(&other, adapters, &err));
    assert_ok(md_transformer_load(adapters, NULL, false, &net, &err));
    ck_assert_int_eq(md_transformer_config(net)->sight, MD_SEES_PAST);
    md_transformer_free(net);
    md_free(base);
    md_free(adapters);
    md_free(path);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60); /* saving waits for the disk */
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("adapters");
    add(s, "new", new_adapters_change_nothing);
    add(s, "merged", merged_equals_applied);
    add(s, "init", a_random_a_has_rows_of_norm_one);
    add(s, "saved", saved_adapters_are_read_back_in_bits);
    add(s, "checkpoint", a_checkpoint_of_the_adapters_is_read_by_its_own_names);
    add(s, "names", the_file_has_the_names_that_peft_gives);
    add(s, "configuration", configurations_of_other_adapters_are_refused_by_name);
    add(s, "rank", another_rank_than_the_weights_have_is_refused);
    add(s, "alpha", alpha_over_rank_scales_what_is_read);
    add(s, "tensors", other_tensors_than_expected_are_refused_by_name);
    add(s, "files", missing_files_are_named);
    add(s, "base", the_base_is_found_below_the_folder_or_where_it_stands);
    add(s, "merged folder", a_folder_of_adapters_gives_the_network_with_them_merged);
    return suite_run(s);
}
