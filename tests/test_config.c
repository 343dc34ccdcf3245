/* tests/test_config.c: shapes of a model, config.json, presets, and the parameters they make. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/transformer.h"
#include "tests/suite.h"

static const md_model_config sample = {.layers = 3,
                                       .dim = 24,
                                       .heads = 6,
                                       .kv_heads = 2,
                                       .ff = 40,
                                       .vocab = 259,
                                       .seq_len = 128,
                                       .rope_theta = 10000,
                                       .norm_eps = 1e-5,
                                       .tied = true,
                                       .mask_id = 256,
                                       .end_of_text_id = 257,
                                       .padding_id = 258};

/* The keys that LLaDA-8B-Base's config.json has, with the sizes of `sample`. */
static const char llada[] =
    "{\"activation_type\": \"silu\", \"alibi\": false, \"alibi_bias_max\": 8.0,\n"
    " \"architectures\": [\"LLaDAModelLM\"], \"attention_dropout\": 0.0,\n"
    " \"attention_layer_norm\": false, \"attention_layer_norm_with_affine\": true,\n"
    " \"auto_map\": {\"AutoConfig\": \"configuration_llada.LLaDAConfig\"},\n"
    " \"bias_for_layer_norm\": false, \"block_group_size\": 1, \"block_type\": \"llama\",\n"
    " \"clip_qkv\": null, \"d_model\": 24, \"embedding_dropout\": 0.0, \"embedding_size\": 259,\n"
    " \"eos_token_id\": 257, \"flash_attention\": false, \"include_bias\": false,\n"
    " \"include_qkv_bias\": false, \"init_cutoff_factor\": null, \"init_device\": \"meta\",\n"
    " \"init_fn\": \"mitchell\", \"init_std\": 0.02, \"input_emb_norm\": false,\n"
    " \"layer_norm_type\": \"rms\", \"layer_norm_with_affine\": true, \"mask_token_id\": 256,\n"
    " \"max_sequence_length\": 128, \"mlp_hidden_size\": 40, \"mlp_ratio\": 4,\n"
    " \"model_type\": \"llada\", \"multi_query_attention\": null, \"n_heads\": 6,\n"
    " \"n_kv_heads\": 2, \"n_layers\": 3, \"pad_token_id\": 258, \"precision\": \"amp_bf16\",\n"
    " \"residual_dropout\": 0.0, \"rms_norm_eps\": 1e-05, \"rope\": true,\n"
    " \"rope_full_precision\": true, \"rope_theta\": 10000.0, \"scale_logits\": false,\n"
    " \"torch_dtype\": \"bfloat16\", \"transformers_version\": \"4.46.3\",\n"
    " \"use_cache\": false, \"vocab_size\": 259, \"weight_tying\": true}\n";

static void write_text(const char *folder, const char *text, size_t size) {
    mdlm_error err;
    char *path = md_path_join(folder, "config.json", &err);
    ck_assert(path != NULL);
    assert_ok(md_file_write(path, text, size, &err));
    md_free(path);
}

static mdlm_status load_text(const char *text, md_model_config *out, mdlm_error *err) {
    char *folder = suite_tmp_dir();
    write_text(folder, text, strlen(text));
    mdlm_status status = md_model_config_load(folder, out, err);
    suite_tmp_remove(folder);
    return status;
}

/* LLaDA's file with the value of one key replaced, or without the key when `value` is NULL. */
static mdlm_status load_changed(const char *key, const char *value, md_model_config *out,
                                mdlm_error *err) {
    cJSON *root = cJSON_Parse(llada);
    ck_assert(root != NULL);
    cJSON_DeleteItemFromObjectCaseSensitive(root, key);
    if (value) cJSON_AddRawToObject(root, key, value);
    char *text = cJSON_Print(root);
    mdlm_status status = load_text(text, out, err);
    cJSON_free(text);
    cJSON_Delete(root);
    return status;
}

static void assert_equal(const md_model_config *a, const md_model_config *b) {
    ck_assert(md_model_config_equal(a, b));
    ck_assert_int_eq(a->end_of_text_id, b->end_of_text_id);
    ck_assert_int_eq(a->padding_id, b->padding_id);
}

/* --- config.json ----------------------------------------------------------------------------- */

START_TEST(a_config_survives_saving_and_loading) {
    md_model_config list[4] = {sample, sample, sample, sample}, found;
    list[1].tied = false;
    list[1].norm_eps = 1e-6 * (1 + 1e-15); /* every digit is kept */
    list[1].rope_theta = 500000.1;
    list[2].end_of_text_id = list[2].padding_id = -1;
    list[3].mask_id = 0;
    list[3].kv_heads = 6;
    for (int i = 0; i < 4; i++) {
        mdlm_error err = {0};
        char *folder = suite_tmp_dir();
        assert_ok(md_model_config_save(&list[i], folder, &err));
        assert_ok(md_model_config_load(folder, &found, &err));
        assert_equal(&found, &list[i]);
        ck_assert(found.norm_eps == list[i].norm_eps && found.rope_theta == list[i].rope_theta);
        suite_tmp_remove(folder);
    }
}
END_TEST

START_TEST(saving_writes_the_constants_and_the_generation_config) {
    mdlm_error err = {0};
    char *folder = suite_tmp_dir();
    const char *text;
    int64_t id;
    cJSON *root = NULL;
    assert_ok(md_model_config_save(&sample, folder, &err));
    char *path = md_path_join(folder, "config.json", &err);
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    assert_ok(md_json_text(root, "model_type", path, &text, &err));
    ck_assert_str_eq(text, "llada");
    assert_ok(md_json_text(root, "block_type", path, &text, &err));
    ck_assert_str_eq(text, "llama");
    assert_ok(md_json_text(root, "layer_norm_type", path, &text, &err));
    ck_assert_str_eq(text, "rms");
    assert_ok(md_json_text(root, "activation_type", path, &text, &err));
    ck_assert_str_eq(text, "silu");
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(root, "include_bias")));
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "rope")));
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(root, "architectures");
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(classes, 0)), "LLaDAModelLM");
    cJSON_Delete(root);
    md_free(path);
    path = md_path_join(folder, "generation_config.json", &err);
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    assert_ok(md_json_int(root, "eos_token_id", path, 0, 300, &id, &err));
    ck_assert_int_eq(id, 257);
    cJSON_Delete(root);
    md_free(path);
    suite_tmp_remove(folder);
}
END_TEST

START_TEST(the_keys_of_llada_are_understood) {
    mdlm_error err = {0};
    md_model_config found;
    assert_ok(load_text(llada, &found, &err));
    assert_equal(&found, &sample);
}
END_TEST

START_TEST(another_value_of_a_constant_is_refused_by_name) {
    static const char *const changed[][2] = {
        {"model_type", "\"llama\""},
        {"model_type", "null"},
        {"model_type", "7"},
        {"block_type", "\"sequential\""},
        {"layer_norm_type", "\"default\""},
        {"activation_type", "\"swiglu\""},
        {"rope", "false"},
        {"alibi", "true"},
        {"include_bias", "true"},
        {"bias_for_layer_norm", "true"},
        {"layer_norm_with_affine", "false"},
        {"attention_layer_norm", "true"},
        {"scale_logits", "true"},
        {"input_emb_norm", "true"},
        {"block_group_size", "2"},
        {"multi_query_attention", "true"},
        {"clip_qkv", "8.5"},
        {"rope_scaling", "\"yarn\""},
        {"quantization_config", "{\"bits\":4}"},
        {"block_type", "[\"llama\"]"},
        {"block_type", "\"lla\""},
    };
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        mdlm_error err = {0};
        md_model_config found = sample;
        assert_fails(load_changed(changed[i][0], changed[i][1], &found, &err), MDLM_INPUT,
                     changed[i][0]);
        ck_assert_msg(strstr(err.message, changed[i][1]) != NULL, "%s", err.message);
        assert_equal(&found, &sample); /* untouched */
    }
}
END_TEST

START_TEST(missing_constants_are_taken_as_said) {
    static const char *const optional[] = {"model_type", "block_type",      "layer_norm_type",
                                           "rope",       "alibi",           "include_bias",
                                           "clip_qkv",   "block_group_size"};
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
        mdlm_error err = {0};
        md_model_config found;
        assert_ok(load_changed(optional[i], NULL, &found, &err));
        assert_equal(&found, &sample);
    }
}
END_TEST

START_TEST(missing_keys_are_named) {
    static const char *const required[] = {
        "d_model",    "n_layers",   "n_heads",      "max_sequence_length",
        "vocab_size", "rope_theta", "rms_norm_eps", "weight_tying"};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        mdlm_error err = {0};
        md_model_config found = sample;
        assert_fails(load_changed(required[i], NULL, &found, &err), MDLM_INPUT, required[i]);
        assert_equal(&found, &sample);
    }
    mdlm_error err = {0};
    md_model_config found;
    assert_fails(load_changed("mask_token_id", NULL, &found, &err), MDLM_INPUT, "mask token id");
}
END_TEST

START_TEST(keys_that_may_be_missing_have_their_defaults) {
    mdlm_error err = {0};
    md_model_config found;
    assert_ok(load_changed("n_kv_heads", NULL, &found, &err));
    ck_assert_int_eq(found.kv_heads, sample.heads);
    assert_ok(load_changed("n_kv_heads", "null", &found, &err));
    ck_assert_int_eq(found.kv_heads, sample.heads);
    assert_ok(load_changed("embedding_size", NULL, &found, &err));
    ck_assert_int_eq(found.vocab, 259);
    assert_ok(load_changed("embedding_size", "320", &found, &err)); /* padded rows */
    ck_assert_int_eq(found.vocab, 320);
    assert_ok(load_changed("mlp_hidden_size", "null", &found, &err)); /* mlp_ratio is 4 */
    ck_assert_int_eq(found.ff, 4 * sample.dim);
    assert_ok(load_changed("rope_scaling", "{\"rope_type\": \"default\"}", &found, &err));
    assert_equal(&found, &sample);
    assert_ok(load_changed("include_qkv_bias", "true", &found, &err));
    ck_assert(found.qkv_bias && !found.shifted);
    assert_ok(load_changed("eos_token_id", "null", &found, &err));
    ck_assert_int_eq(found.end_of_text_id, -1);
    assert_ok(load_changed("pad_token_id", NULL, &found, &err));
    ck_assert_int_eq(found.padding_id, -1);
}
END_TEST

START_TEST(mistyped_and_out_of_range_values_are_refused_by_name) {
    static const char *const wrong[][2] = {
        {"d_model", "\"24\""},
        {"d_model", "24.5"},
        {"d_model", "0"},
        {"d_model", "-24"},
        {"d_model", "1e300"},
        {"d_model", "[24]"},
        {"d_model", "null"},
        {"n_layers", "0"},
        {"n_layers", "99999999999"},
        {"n_heads", "0"},
        {"n_heads", "true"},
        {"n_kv_heads", "0"},
        {"n_kv_heads", "-1"},
        {"mlp_hidden_size", "0"},
        {"max_sequence_length", "0"},
        {"vocab_size", "0"},
        {"vocab_size", "1e10"},
        {"embedding_size", "0"},
        {"vocab_size", "300"}, /* fewer rows of the embedding than ids */
        {"include_qkv_bias", "1"},
        {"rope_theta", "\"big\""},
        {"rope_theta", "1e999"},
        {"rope_theta", "-1"},
        {"rope_theta", "1"},
        {"rms_norm_eps", "0"},
        {"rms_norm_eps", "-1e-5"},
        {"rms_norm_eps", "null"},
        {"weight_tying", "1"},
        {"weight_tying", "\"no\""},
        {"mask_token_id", "259"},
        {"mask_token_id", "-1"},
        {"mask_token_id", "1.5"},
        {"eos_token_id", "259"},
        {"eos_token_id", "[257]"},
        {"pad_token_id", "4000000000"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mdlm_error err = {0};
        md_model_config found = sample;
        assert_fails(load_changed(wrong[i][0], wrong[i][1], &found, &err), MDLM_INPUT, wrong[i][0]);
        assert_equal(&found, &sample);
    }
}
END_TEST

/* These name the flag of the command line; in a file they are bad input all the same. */
START_TEST(shapes_that_do_not_fit_together_are_refused) {
    static const char *const wrong[][3] = {
        {"d_model", "26", "divisible"},
        {"n_heads", "5", "divisible"},
        {"n_kv_heads", "4", "divisible"},
        {"n_kv_heads", "12", "divisible"},
        {"d_model", "18", "odd"},
        {"n_layers", "513", "512"},
        {"d_model", "65544", "65536"},
        {"mlp_hidden_size", "262145", "262144"},
        {"max_sequence_length", "1048577", "1048576"},
        {"embedding_size", "4194305", "4194304"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mdlm_error err = {0};
        md_model_config found = sample;
        assert_fails(load_changed(wrong[i][0], wrong[i][1], &found, &err), MDLM_INPUT, wrong[i][2]);
        ck_assert_msg(strstr(err.message, "config.json") != NULL, "%s", err.message);
        assert_equal(&found, &sample);
    }
}
END_TEST

START_TEST(files_that_are_no_config_are_refused) {
    mdlm_error err = {0};
    md_model_config found = sample;
    char *folder = suite_tmp_dir();
    assert_fails(md_model_config_load("/nonexistent-folder", &found, &err), MDLM_INPUT,
                 "/nonexistent-folder");
    assert_fails(md_model_config_load(folder, &found, &err), MDLM_INPUT, "config.json");
    suite_tmp_remove(folder);
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "7",
                                        "null",
                                        "{}",
                                        "{\"d_model\": 24,}",
                                        "{\"d_model\": 24, \"d_model\": 48}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_fails(load_text(texts[i], &found, &err), MDLM_INPUT, "config.json");
    assert_equal(&found, &sample);
}
END_TEST

START_TEST(a_truncated_config_is_refused_wherever_it_ends) {
    size_t size = strlen(llada) - 2; /* without the brace and the newline */
    for (size_t end = 0; end < size; end += 7) {
        mdlm_error err = {0};
        md_model_config found = sample;
        char *folder = suite_tmp_dir();
        write_text(folder, llada, end);
        assert_fails(md_model_config_load(folder, &found, &err), MDLM_INPUT, "config.json");
        assert_equal(&found, &sample);
        suite_tmp_remove(folder);
    }
}
END_TEST

/* --- checks and presets ---------------------------------------------------------------------- */

START_TEST(options_out_of_range_name_their_flag) {
    const struct {
        size_t offset;
        int value;
        const char *flag;
    } wrong[] = {
        {offsetof(md_model_config, layers), 0, "--layers 0"},
        {offsetof(md_model_config, dim), -24, "--dim -24"},
        {offsetof(md_model_config, heads), 5, "--heads 5"},
        {offsetof(md_model_config, kv_heads), 4, "--kv-heads 4"},
        {offsetof(md_model_config, ff), 1 << 30, "--ff"},
        {offsetof(md_model_config, vocab), 0, "--vocab-size 0"},
        {offsetof(md_model_config, seq_len), 0, "--seq-len 0"},
        {offsetof(md_model_config, mask_id), 259, "259"},
        {offsetof(md_model_config, mask_id), -1, "-1"},
    };
    mdlm_error err = {0};
    assert_ok(md_model_config_check(&sample, &err));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        md_model_config c = sample;
        memcpy((char *)&c + wrong[i].offset, &wrong[i].value, sizeof wrong[i].value);
        assert_fails(md_model_config_check(&c, &err), MDLM_USAGE, wrong[i].flag);
        md_transformer *net = NULL;
        assert_fails(md_transformer_new(&c, false, &net, &err), MDLM_USAGE, wrong[i].flag);
        ck_assert(net == NULL);
    }
    md_model_config c = sample;
    c.rope_theta = NAN;
    ck_assert_int_eq(md_model_config_check(&c, &err), MDLM_USAGE);
    c = sample;
    c.norm_eps = NAN;
    ck_assert_int_eq(md_model_config_check(&c, &err), MDLM_USAGE);
}
END_TEST

START_TEST(configs_that_differ_anywhere_are_not_equal) {
    enum { FIELDS = 16 };
    md_model_config c[FIELDS];
    for (int i = 0; i < FIELDS; i++) c[i] = sample;
    c[0].layers++, c[1].dim++, c[2].heads++, c[3].kv_heads++, c[4].ff++, c[5].vocab++;
    c[6].seq_len++, c[7].rope_theta++, c[8].norm_eps *= 2, c[9].tied = false, c[10].mask_id++;
    c[11].arch = MD_ARCH_DREAM, c[12].qkv_bias = true, c[13].shifted = true, c[14].unscored++;
    c[15].cond_dim++;
    for (int i = 0; i < FIELDS; i++) ck_assert_msg(!md_model_config_equal(&c[i], &sample), "%d", i);
}
END_TEST

/* Millions of parameters of a preset. */
static double preset_size(const md_preset *p, int vocab, bool tied) {
    mdlm_error err = {0};
    md_model_config c = {.layers = p->layers,
                         .dim = p->dim,
                         .heads = p->heads,
                         .kv_heads = p->kv_heads,
                         .ff = p->ff,
                         .vocab = vocab,
                         .seq_len = p->seq_len,
                         .rope_theta = 10000,
                         .norm_eps = 1e-5,
                         .tied = tied,
                         .mask_id = vocab - 1};
    assert_ok(md_model_config_check(&c, &err));
    return (double)md_model_config_parameters(&c) / 1e6;
}

START_TEST(presets_are_valid_grow_and_have_the_size_of_their_name) {
    double last = 0;
    int count = 0;
    for (const md_preset *p = md_presets; p->name; p++, count++) {
        /* Bytes and a few special tokens; and a head of its own over GPT-2's vocabulary, which is
         * what the names of the larger ones count. */
        double size = preset_size(p, 260, true), full = preset_size(p, 50257, false);
        double named = atof(p->name) * (p->name[strlen(p->name) - 1] == 'b' ? 1000 : 1);
        bool small = named < 100;
        ck_assert_msg(small ? fabs(size / named - 1) < 0.2 : size < named && named < 1.05 * full,
                      "preset '%s' has %.3g to %.3g million parameters", p->name, size, full);
        ck_assert_double_gt(size, last);
        ck_assert_int_ge(p->batch_size, 1);
        ck_assert_ptr_eq(md_preset_find(p->name), p);
        last = size;
    }
    ck_assert_int_ge(count, 5);
    ck_assert(md_preset_find("9000b") == NULL);
    ck_assert(md_preset_find("") == NULL);
}
END_TEST

/* --- parameters ------------------------------------------------------------------------------ */

START_TEST(the_number_of_parameters_is_the_size_of_the_slab) {
    for (int i = 0; i < 8; i++) {
        mdlm_error err = {0};
        md_model_config c = sample;
        md_transformer *net = NULL;
        c.tied = i & 1;
        c.kv_heads = i & 2 ? 1 : 6;
        c.layers = i & 4 ? 1 : 4;
        assert_ok(md_transformer_new(&c, false, &net, &err));
        md_params *params = md_transformer_params(net);
        ck_assert_int_eq(md_params_size(params), md_model_config_parameters(&c));
        ck_assert_int_eq(md_params_count(params), 9 * c.layers + (c.tied ? 2 : 3));
        ck_assert(md_params_grads(params) == NULL);
        ck_assert(md_model_config_equal(md_transformer_config(net), &c));
        md_transformer_free(net);
    }
    md_transformer_free(NULL);
}
END_TEST

static md_transformer *initialised(const md_model_config *c, uint64_t seed) {
    mdlm_error err = {0};
    md_transformer *net = NULL;
    assert_ok(md_transformer_new(c, false, &net, &err));
    md_transformer_init(net, seed);
    return net;
}

/* What a parameter is drawn from: its standard deviation, 0 for gains of one. */
static double expected_std(const char *name, int layers) {
    if (strstr(name, "norm") || strstr(name, "ln_f")) return 0;
    bool residual =
        strstr(name, ".blocks.") && (strstr(name, ".attn_out.") || strstr(name, ".ff_out."));
    return residual ? 0.02 / sqrt(2.0 * layers) : 0.02;
}

START_TEST(initial_weights_have_their_statistics) {
    md_model_config c = sample;
    c.dim = 60, c.ff = 90, c.tied = false;
    md_transformer *net = initialised(&c, 11);
    md_params *params = md_transformer_params(net);
    for (int i = 0; i < md_params_count(params); i++) {
        const md_tensor *t = md_params_tensor(params, i);
        const char *name = md_params_name(params, i);
        double std = expected_std(name, c.layers), n = (double)md_tensor_size(t);
        double sum = 0, square = 0;
        for (int64_t k = 0; k < md_tensor_size(t); k++) {
            double z = (double)t->data[k];
            sum += z;
            square += z * z;
        }
        ck_assert_msg((t->rank == 1) == (std == 0), "'%s'", name);
        bool inner = t->rank == 2 && strstr(name, ".blocks."); /* not the embedding, not the head */
        unsigned flags = (t->rank == 2 ? MD_PARAM_DECAY : 0) | (inner ? MD_PARAM_ORTHOGONAL : 0);
        ck_assert_msg(md_params_flags(params, i) == flags, "flags of '%s'", name);
        if (std == 0) {
            ck_assert_msg(sum == n && square == n, "'%s' is not all ones", name);
            continue;
        }
        /* Five standard deviations of a mean and of a variance of n normal numbers. */
        ck_assert_msg(fabs(sum / n) < 5 * std / sqrt(n), "the mean of '%s' is %g", name, sum / n);
        ck_assert_msg(fabs(square / n / (std * std) - 1) < 5 * sqrt(2 / n),
                      "the variance of '%s' is %g of what it should be", name,
                      square / n / (std * std));
    }
    md_transformer_free(net);
}
END_TEST

START_TEST(initial_weights_depend_on_the_seed_and_the_tensor_alone) {
    md_transformer *a = initialised(&sample, 1), *b = initialised(&sample, 1);
    md_transformer *other = initialised(&sample, 2);
    md_params *params = md_transformer_params(a);
    size_t bytes = (size_t)md_params_size(params) * sizeof(md_real);
    const md_real *values = md_params_values(params);
    ck_assert(!memcmp(values, md_params_values(md_transformer_params(b)), bytes));
    ck_assert(memcmp(values, md_params_values(md_transformer_params(other)), bytes));
    int q0 = md_params_find(params, MD_LLADA_PREFIX "blocks.0.q_proj.weight");
    int q1 = md_params_find(params, MD_LLADA_PREFIX "blocks.1.q_proj.weight");
    ck_assert(q0 >= 0 && q1 >= 0);
    ck_assert(memcmp(md_params_tensor(params, q0)->data, md_params_tensor(params, q1)->data,
                     64 * sizeof *values));
    md_transformer_free(a);
    md_transformer_free(b);
    md_transformer_free(other);
}
END_TEST

START_TEST(tensors_have_the_names_and_shapes_of_llada) {
    static const struct {
        const char *name;
        int64_t rows, cols; /* cols 0: a vector */
    } expected[] = {
        {"wte", 259, 24},
        {"blocks.2.attn_norm", 24, 0},
        {"blocks.2.q_proj", 24, 24},
        {"blocks.2.k_proj", 8, 24},
        {"blocks.2.v_proj", 8, 24},
        {"blocks.2.attn_out", 24, 24},
        {"blocks.2.ff_norm", 24, 0},
        {"blocks.2.ff_proj", 40, 24},
        {"blocks.2.up_proj", 40, 24},
        {"blocks.2.ff_out", 24, 40},
        {"ln_f", 24, 0},
        {"ff_out", 259, 24},
    };
    md_model_config c = sample;
    c.tied = false;
    md_transformer *net = initialised(&c, 1);
    md_params *params = md_transformer_params(net);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        char name[96];
        snprintf(name, sizeof name, MD_LLADA_PREFIX "%s.weight", expected[i].name);
        int at = md_params_find(params, name);
        ck_assert_msg(at >= 0, "there is no '%s'", name);
        const md_tensor *t = md_params_tensor(params, at);
        ck_assert_int_eq(t->rank, expected[i].cols ? 2 : 1);
        ck_assert_int_eq(t->dim[0], expected[i].rows);
        if (expected[i].cols) ck_assert_int_eq(t->dim[1], expected[i].cols);
    }
    md_transformer_free(net);
}
END_TEST

int main(void) {
    Suite *s = suite_create("model configuration");
    suite_case(s, a_config_survives_saving_and_loading);
    suite_case(s, saving_writes_the_constants_and_the_generation_config);
    suite_case(s, the_keys_of_llada_are_understood);
    suite_case(s, another_value_of_a_constant_is_refused_by_name);
    suite_case(s, missing_constants_are_taken_as_said);
    suite_case(s, missing_keys_are_named);
    suite_case(s, keys_that_may_be_missing_have_their_defaults);
    suite_case(s, mistyped_and_out_of_range_values_are_refused_by_name);
    suite_case(s, shapes_that_do_not_fit_together_are_refused);
    suite_case(s, files_that_are_no_config_are_refused);
    suite_case(s, a_truncated_config_is_refused_wherever_it_ends);
    suite_case(s, options_out_of_range_name_their_flag);
    suite_case(s, configs_that_differ_anywhere_are_not_equal);
    suite_case(s, presets_are_valid_grow_and_have_the_size_of_their_name);
    suite_case(s, the_number_of_parameters_is_the_size_of_the_slab);
    suite_case(s, initial_weights_have_their_statistics);
    suite_case(s, initial_weights_depend_on_the_seed_and_the_tensor_alone);
    suite_case(s, tensors_have_the_names_and_shapes_of_llada);
    return suite_run(s);
}
