/* tests/test_config_kinds.c: config.json of other people's networks (Dream, MDLM, SMDM), and what
 * theirs and LLaDA's say to Hugging Face's loader. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "model/config.h"
#include "tests/suite.h"

/* A published file with small sizes, and what it says. */
typedef struct kind {
    const char *name, *text;
    md_model_config config;
} kind;

static const kind kinds[] = {
    {"Dream",
     "{\"architectures\": [\"DreamModel\"], \"attention_dropout\": 0.0,\n"
     " \"auto_map\": {\"AutoModel\": \"modeling_dream.DreamModel\"}, \"bos_token_id\": 40,\n"
     " \"eos_token_id\": 40, \"hidden_act\": \"silu\", \"hidden_size\": 24,\n"
     " \"initializer_range\": 0.02, \"intermediate_size\": 40, \"mask_token_id\": 45,\n"
     " \"max_position_embeddings\": 128, \"max_window_layers\": 28, \"model_type\": \"Dream\",\n"
     " \"num_attention_heads\": 6, \"num_hidden_layers\": 3, \"num_key_value_heads\": 2,\n"
     " \"pad_token_id\": 41, \"rms_norm_eps\": 1e-06, \"rope_scaling\": null,\n"
     " \"rope_theta\": 1000000.0, \"sliding_window\": null, \"tie_word_embeddings\": false,\n"
     " \"torch_dtype\": \"bfloat16\", \"use_cache\": true, \"use_mrope\": false,\n"
     " \"use_sliding_window\": false, \"vocab_size\": 50}",
     {.layers = 3,
      .dim = 24,
      .heads = 6,
      .kv_heads = 2,
      .ff = 40,
      .vocab = 50,
      .seq_len = 128,
      .rope_theta = 1e6,
      .norm_eps = 1e-6,
      .mask_id = 45,
      .end_of_text_id = 40,
      .padding_id = 41,
      .arch = MD_ARCH_DREAM,
      .qkv_bias = true,
      .shifted = true}},
    {"MDLM",
     "{\"architectures\": [\"MDLM\"], \"cond_dim\": 16, \"dropout\": 0.1, \"hidden_dim\": 24,\n"
     " \"auto_map\": {\"AutoModelForMaskedLM\": \"modeling_mdlm.MDLM\"}, \"model_length\": 64,\n"
     " \"model_type\": \"mdlm\", \"n_blocks\": 3, \"n_heads\": 6, \"return_dict\": false,\n"
     " \"time_conditioning\": false, \"torch_dtype\": \"float32\", \"vocab_size\": 50}",
     {.layers = 3,
      .dim = 24,
      .heads = 6,
      .kv_heads = 6,
      .ff = 96,
      .vocab = 50,
      .seq_len = 64,
      .rope_theta = 10000,
      .norm_eps = 1e-5,
      .mask_id = 49,
      .end_of_text_id = -1,
      .padding_id = -1,
      .arch = MD_ARCH_MDLM,
      .cond_dim = 16}},
    {"SMDM",
     "{\"model_type\": \"smdm\", \"_norm_class\": \"RMSNorm\", \"_mlp_class\": \"LLaMAMLP\",\n"
     " \"bias\": false, \"block_size\": 64, \"condense_ratio\": 1, \"intermediate_size\": 40,\n"
     " \"n_embd\": 24, \"n_head\": 6, \"n_layer\": 3, \"n_query_groups\": 3,\n"
     " \"padded_vocab_size\": 49, \"parallel_residual\": false, \"rotary_percentage\": 1.0}",
     {.layers = 3,
      .dim = 24,
      .heads = 6,
      .kv_heads = 3,
      .ff = 40,
      .vocab = 50,
      .seq_len = 64,
      .rope_theta = 10000,
      .norm_eps = 1e-5,
      .mask_id = 49,
      .end_of_text_id = -1,
      .padding_id = -1,
      .arch = MD_ARCH_SMDM,
      .unscored = 1}},
};
enum { KINDS = sizeof kinds / sizeof *kinds, DREAM = 0, MDLM, SMDM };

static mdlm_status load_text(const char *text, md_model_config *out, mdlm_error *err) {
    mdlm_error why;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &why);
    ck_assert(path != NULL && md_file_write(path, text, strlen(text), &why) == MDLM_OK);
    mdlm_status status = md_model_config_load(folder, out, err);
    free(path);
    suite_tmp_remove(folder);
    return status;
}

/* The file with the value of one key replaced, or without the key when `value` is NULL. */
static mdlm_status load_changed(const kind *k, const char *key, const char *value,
                                md_model_config *out, mdlm_error *err) {
    cJSON *root = cJSON_Parse(k->text);
    ck_assert(root != NULL);
    cJSON_DeleteItemFromObjectCaseSensitive(root, key);
    if (value) cJSON_AddRawToObject(root, key, value);
    char *text = cJSON_Print(root);
    mdlm_status status = load_text(text, out, err);
    cJSON_free(text);
    cJSON_Delete(root);
    return status;
}

static void assert_equal(const md_model_config *a, const md_model_config *b, const char *name) {
    ck_assert_msg(md_model_config_equal(a, b), "%s", name);
    ck_assert_int_eq(a->end_of_text_id, b->end_of_text_id);
    ck_assert_int_eq(a->padding_id, b->padding_id);
}

START_TEST(the_keys_of_other_networks_are_understood) {
    const kind *k = &kinds[_i];
    mdlm_error err = {0};
    md_model_config found;
    assert_ok(load_text(k->text, &found, &err));
    assert_equal(&found, &k->config, k->name);
    assert_ok(md_model_config_check(&k->config, &err));
}
END_TEST

START_TEST(a_config_survives_saving_and_loading) {
    mdlm_error err = {0};
    md_model_config list[2] = {kinds[_i].config, kinds[_i].config}, found;
    list[1].mask_id = 7, list[1].end_of_text_id = 3, list[1].padding_id = 4;
    if (_i == DREAM) list[1].shifted = false, list[1].tied = true, list[1].kv_heads = 6;
    for (int i = 0; i < 2; i++) {
        char *folder = suite_tmp_dir();
        assert_ok(md_model_config_save(&list[i], folder, &err));
        assert_ok(md_model_config_load(folder, &found, &err));
        assert_equal(&found, &list[i], kinds[_i].name);
        suite_tmp_remove(folder);
    }
}
END_TEST

/* Each would compute something else than we do. */
START_TEST(what_changes_the_mathematics_is_refused_by_name) {
    static const struct {
        int kind;
        const char *key, *value;
    } changed[] = {
        {DREAM, "hidden_act", "\"gelu\""},
        {DREAM, "rope_scaling", "[\"linear\"]"},
        {DREAM, "use_sliding_window", "true"},
        {DREAM, "use_mrope", "true"},
        {DREAM, "partial_rotary_factor", "0.5"},
        {DREAM, "mlp_bias", "true"},
        {DREAM, "block_size", "32"},
        {DREAM, "quantization_config", "{\"bits\":8}"},
        {MDLM, "time_conditioning", "true"},
        {SMDM, "_norm_class", "\"LayerNorm\""},
        {SMDM, "_norm_class", "\"RMSNorm|\""},
        {SMDM, "_mlp_class", "\"GptNeoxMLP\""},
        {SMDM, "bias", "true"},
        {SMDM, "rotary_percentage", "0.25"},
        {SMDM, "condense_ratio", "2"},
        {SMDM, "parallel_residual", "true"},
    };
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        const kind *k = &kinds[changed[i].kind];
        mdlm_error err = {0};
        md_model_config found = k->config;
        assert_fails(load_changed(k, changed[i].key, changed[i].value, &found, &err), MDLM_INPUT,
                     changed[i].key);
        ck_assert_msg(strstr(err.message, changed[i].value) != NULL, "%s", err.message);
        assert_equal(&found, &k->config, "untouched");
    }
}
END_TEST

START_TEST(sizes_that_do_not_fit_are_refused_by_name) {
    static const struct {
        int kind;
        const char *key, *value, *says;
    } wrong[] = {
        {DREAM, "hidden_size", NULL, "hidden_size"},
        {DREAM, "head_dim", "8", "head_dim"},
        {DREAM, "vocab_size", "45", "mask_token_id"},
        {DREAM, "num_key_value_heads", "4", "divisible"},
        {DREAM, "tie_word_embeddings", "0", "tie_word_embeddings"},
        {MDLM, "cond_dim", "0", "cond_dim"},
        {MDLM, "cond_dim", "65537", "cond-dim"},
        {MDLM, "cond_dim", NULL, "cond_dim"},
        {MDLM, "hidden_dim", "2000000000", "hidden_dim"},
        {MDLM, "n_heads", "5", "divisible"},
        {SMDM, "padded_vocab_size", "2147483647", "padded_vocab_size"},
        {SMDM, "padded_vocab_size", "0", "padded_vocab_size"},
        {SMDM, "norm_eps", "\"small\"", "norm_eps"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const kind *k = &kinds[wrong[i].kind];
        mdlm_error err = {0};
        md_model_config found;
        assert_fails(load_changed(k, wrong[i].key, wrong[i].value, &found, &err), MDLM_INPUT,
                     wrong[i].says);
    }
}
END_TEST

START_TEST(keys_that_may_be_missing_have_their_defaults) {
    mdlm_error err = {0};
    md_model_config found;
    assert_ok(load_changed(&kinds[DREAM], "num_key_value_heads", NULL, &found, &err));
    ck_assert_int_eq(found.kv_heads, 6);
    assert_ok(load_changed(&kinds[DREAM], "head_dim", "4", &found, &err));
    assert_ok(load_changed(&kinds[DREAM], "shift_logits", "false", &found, &err));
    ck_assert(!found.shifted && found.qkv_bias);
    assert_ok(load_changed(&kinds[MDLM], "mask_token_id", "5", &found, &err));
    ck_assert_int_eq(found.mask_id, 5);
    assert_ok(load_changed(&kinds[SMDM], "n_query_groups", "null", &found, &err));
    ck_assert_int_eq(found.kv_heads, 6);
    assert_ok(load_changed(&kinds[SMDM], "rope_base", "500", &found, &err));
    ck_assert(found.rope_theta == 500);
}
END_TEST

/* Files of newer programs have what was rope_theta and rope_scaling in one object. */
START_TEST(positions_are_read_in_both_forms) {
    mdlm_error err = {0};
    md_model_config found;
    char *text = strdup(kinds[DREAM].text), *theta = strstr(text, "\"rope_theta\": 1000000.0,");
    ck_assert(theta != NULL);
    memset(theta, ' ', strlen("\"rope_theta\": 1000000.0,"));
    const kind bare = {"Dream", text, kinds[DREAM].config};
    assert_fails(load_text(text, &found, &err), MDLM_INPUT, "rope_theta");
    assert_ok(load_changed(&bare, "rope_parameters",
                           "{\"rope_theta\": 1e6, \"rope_type\": \"default\"}", &found, &err));
    assert_equal(&found, &kinds[DREAM].config, "rope_parameters");
    assert_fails(
        load_changed(&bare, "rope_parameters", "{\"rope_type\": \"default\"}", &found, &err),
        MDLM_INPUT, "rope_theta");
    free(text);
    static const char *const plain[] = {
        "null", "{\"rope_type\": \"default\"}", "{\"rope_theta\": 1e6, \"type\": \"default\"}",
        "{\"rope_type\": \"default\", \"partial_rotary_factor\": 1.0}"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_ok(load_changed(&kinds[DREAM], "rope_parameters", plain[i], &found, &err));
        assert_equal(&found, &kinds[DREAM].config, plain[i]);
    }
}
END_TEST

START_TEST(positions_that_are_scaled_are_refused_by_their_type) {
    static const struct {
        const char *key, *value, *says;
    } wrong[] = {
        {"rope_scaling", "{\"rope_type\":\"linear\",\"factor\":2}",
         "rope_scaling is of the type 'linear', only 'default'"},
        {"rope_scaling", "{\"type\":\"yarn\",\"factor\":4}", "of the type 'yarn'"},
        {"rope_scaling", "{\"factor\":4}", "rope_scaling has no rope_type"},
        {"rope_parameters", "{\"rope_theta\":1e6,\"rope_type\":\"llama3\"}",
         "rope_parameters is of the type 'llama3'"},
        {"rope_parameters", "{\"full_attention\":{\"rope_type\":\"default\"}}", "no rope_type"},
        {"rope_parameters", "\"default\"", "no rope_type"},
        {"rope_parameters", "{\"rope_theta\":5e5,\"rope_type\":\"default\"}",
         "rope_theta is 1e+06, but 500000 in rope_parameters"},
        {"rope_parameters", "{\"rope_type\":\"default\",\"partial_rotary_factor\":0.5}",
         "partial_rotary_factor"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mdlm_error err = {0};
        md_model_config found;
        assert_fails(load_changed(&kinds[DREAM], wrong[i].key, wrong[i].value, &found, &err),
                     MDLM_INPUT, wrong[i].says);
    }
}
END_TEST

START_TEST(positions_of_dream_are_no_canvas) {
    md_model_config c = kinds[DREAM].config;
    ck_assert_int_eq(md_model_config_canvas(&c), 128);
    c.seq_len = 131072;
    ck_assert_int_eq(md_model_config_canvas(&c), 2048);
    c = kinds[MDLM].config;
    c.seq_len = 131072;
    ck_assert_int_eq(md_model_config_canvas(&c), 131072);
}
END_TEST

/* Networks that have no such form, as --init with another objective could ask for. */
START_TEST(kinds_that_see_all_refuse_another_sight) {
    mdlm_error err = {0};
    for (int i = 0; i < KINDS; i++) {
        md_model_config c = kinds[i].config;
        c.sight = MD_SEES_PAST;
        assert_fails(md_model_config_check(&c, &err), MDLM_USAGE, kinds[i].name);
    }
    md_model_config c = kinds[MDLM].config;
    c.kv_heads = 3;
    assert_fails(md_model_config_check(&c, &err), MDLM_USAGE, "kv-heads");
    c = kinds[SMDM].config;
    c.tied = true;
    assert_fails(md_model_config_check(&c, &err), MDLM_USAGE, "head");
}
END_TEST

/* What AutoModel needs with trust_remote_code: the repository, the module and the class. */
START_TEST(written_folders_say_where_their_code_is) {
    static const struct {
        int kind; /* -1: LLaDA's */
        const char *type, *code, *opens;
    } expected[] = {
        {-1, "llada", "GSAI-ML/LLaDA-8B-Base--modeling_llada.LLaDAModelLM", "AutoModelForCausalLM"},
        {DREAM, "Dream", "Dream-org/Dream-v0-Base-7B--modeling_dream.DreamModel", "AutoModel"},
        {MDLM, "mdlm", "kuleshov-group/mdlm-owt--modeling_mdlm.MDLM", "AutoModelForMaskedLM"},
        {SMDM, "smdm", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        mdlm_error err = {0};
        cJSON *root = NULL;
        md_model_config c = kinds[DREAM].config;
        if (expected[i].kind < 0)
            c.arch = MD_ARCH_LLADA, c.qkv_bias = c.shifted = false;
        else
            c = kinds[expected[i].kind].config;
        char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
        assert_ok(md_model_config_save(&c, folder, &err));
        assert_ok(md_json_load(path, 1 << 16, &root, &err));
        const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "auto_map");
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "model_type")),
                         expected[i].type);
        ck_assert((map != NULL) == (expected[i].code != NULL));
        /* Hugging Face's loader takes any quantization_config, null too, for a quantized model. */
        ck_assert(!cJSON_HasObjectItem(root, "quantization_config"));
        if (map) {
            const cJSON *code = cJSON_GetObjectItemCaseSensitive(map, expected[i].opens);
            ck_assert_str_eq(cJSON_GetStringValue(code), expected[i].code);
            ck_assert(cJSON_GetObjectItemCaseSensitive(map, "AutoConfig") != NULL);
        }
        cJSON_Delete(root);
        free(path);
        suite_tmp_remove(folder);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("configurations of other networks");
    TCase *tc = tcase_create("kinds");
    tcase_add_loop_test(tc, the_keys_of_other_networks_are_understood, 0, KINDS);
    tcase_add_loop_test(tc, a_config_survives_saving_and_loading, 0, KINDS);
    suite_add_tcase(s, tc);
    suite_case(s, what_changes_the_mathematics_is_refused_by_name);
    suite_case(s, sizes_that_do_not_fit_are_refused_by_name);
    suite_case(s, keys_that_may_be_missing_have_their_defaults);
    suite_case(s, positions_are_read_in_both_forms);
    suite_case(s, positions_that_are_scaled_are_refused_by_their_type);
    suite_case(s, positions_of_dream_are_no_canvas);
    suite_case(s, kinds_that_see_all_refuse_another_sight);
    suite_case(s, written_folders_say_where_their_code_is);
    return suite_run(s);
}
