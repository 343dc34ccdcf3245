/* tests/test_image_config.c: shapes of networks for images, and their config.json. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/image_model.h"
#include "tests/suite.h"

static const md_image_config unet = {.backbone = MD_BACKBONE_UNET,
                                     .shape = {.Y = 28, .X = 30, .C = 3},
                                     .learned_variance = true,
                                     .classes = 2,
                                     .base = 16,
                                     .mults = {3, {1, 2, 2}},
                                     .res_blocks = 2,
                                     .attn = {2, {8, 15}}};

static const md_image_config dit = {.backbone = MD_BACKBONE_DIT,
                                    .shape = {.Y = 32, .X = 24, .C = 1},
                                    .patch = 4,
                                    .layers = 3,
                                    .dim = 48,
                                    .heads = 3,
                                    .ff = 128};

static const md_image_config encoder = {.backbone = MD_BACKBONE_ENCODER,
                                        .shape = {.Y = 28, .X = 28, .C = 1},
                                        .classes = 2,
                                        .noisy = true,
                                        .base = 16,
                                        .mults = {2, {1, 2}},
                                        .res_blocks = 1};

static const char members[] = "{\"process\": {\"timesteps\": 10}, \"class_names\": [\"a\", \"b\"]}";
static const char plain_members[] = "{\"process\": {}}";

static void save(const md_image_config *c, const char *text, const char *folder) {
    mdlm_error err = {0};
    cJSON *object = cJSON_Parse(text);
    assert_ok(md_image_config_save(c, object, folder, &err));
    cJSON_Delete(object);
}

/* The file of `c` with the value of one key replaced, or without the key when `value` is NULL.
 */
static mdlm_status load_changed(const md_image_config *c, const char *key, const char *value,
                                mdlm_error *why) {
    mdlm_error err = {0};
    md_image_config found;
    cJSON *root = NULL;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
    save(c, c->classes ? members : plain_members, folder);
    assert_ok(md_json_load(path, 1 << 16, &root, &err));
    cJSON_DeleteItemFromObjectCaseSensitive(root, key);
    if (value) cJSON_AddRawToObject(root, key, value);
    assert_ok(md_json_save(path, root, &err));
    mdlm_status status = md_image_config_load(folder, &found, NULL, why);
    cJSON_Delete(root);
    md_free(path);
    suite_tmp_remove(folder);
    return status;
}

/* --- config.json ----------------------------------------------------------------------------- */

START_TEST(a_config_survives_saving_and_loading) {
    const md_image_config *const list[] = {&unet, &dit, &encoder};
    for (int i = 0; i < 3; i++) {
        mdlm_error err = {0};
        md_image_config found;
        cJSON *file = NULL;
        char *folder = suite_tmp_dir();
        save(list[i], list[i]->classes ? members : plain_members, folder);
        ck_assert(md_image_config_in(folder));
        assert_ok(md_image_config_load(folder, &found, &file, &err));
        ck_assert(md_image_config_equal(&found, list[i]));
        ck_assert(!md_image_config_equal(&found, list[(i + 1) % 3]));
        const cJSON *process = cJSON_GetObjectItemCaseSensitive(file, "process");
        ck_assert(cJSON_IsObject(process));
        ck_assert_int_eq(cJSON_GetArraySize(process), i != 1);
        cJSON_Delete(file);
        suite_tmp_remove(folder);
    }
}
END_TEST

START_TEST(every_field_makes_a_difference) {
    for (int i = 0; i < 6; i++) {
        md_image_config c = unet;
        if (i == 0) c.shape.C = 1;
        if (i == 1) c.learned_variance = false;
        if (i == 2) c.mults.item[2] = 4;
        if (i == 3) c.attn.count = 1;
        if (i == 4) c.classes = 0;
        if (i == 5) c.res_blocks = 1;
        ck_assert(!md_image_config_equal(&c, &unet));
    }
    md_image_config clean = encoder;
    clean.noisy = false;
    ck_assert(!md_image_config_equal(&clean, &encoder));
}
END_TEST

START_TEST(a_classifier_says_whether_it_is_for_noisy_images) {
    mdlm_error err = {0};
    assert_fails(load_changed(&encoder, "noisy", NULL, &err), MDLM_INPUT, "noisy");
    assert_fails(load_changed(&encoder, "learned_variance", "false", &err), MDLM_INPUT,
                 "'learned_variance' is not a key of the backbone 'encoder'");
    assert_fails(load_changed(&unet, "noisy", "true", &err), MDLM_INPUT, "'noisy' is not a key");
    assert_fails(load_changed(&encoder, "process", NULL, &err), MDLM_INPUT, "process is missing");
    assert_fails(load_changed(&encoder, "noisy", "false", &err), MDLM_INPUT,
                 "a classifier of clean images has no process");
    assert_fails(load_changed(&encoder, "classes", "1", &err), MDLM_INPUT, "not 1");
}
END_TEST

START_TEST(a_key_that_nobody_knows_is_refused) {
    mdlm_error err = {0};
    assert_ok(load_changed(&unet, "class_names", NULL, &err));
    assert_fails(load_changed(&unet, "dim", "64", &err), MDLM_INPUT,
                 "'dim' is not a key of the backbone 'unet'");
    assert_fails(load_changed(&dit, "channel_mults", "[1]", &err), MDLM_INPUT,
                 "'channel_mults' is not a key of the backbone 'dit'");
    assert_fails(load_changed(&unet, "time_scale", "2", &err), MDLM_INPUT, "'time_scale'");
}
END_TEST

START_TEST(what_is_missing_is_named) {
    static const char *const keys[] = {"model_type",    "architectures",
                                       "value_range",   "torch_dtype",
                                       "backbone",      "learned_variance",
                                       "image_height",  "image_width",
                                       "channels",      "classes",
                                       "base_channels", "res_blocks",
                                       "channel_mults", "attention_resolutions",
                                       "process"};
    mdlm_error err = {0};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_fails(load_changed(&unet, keys[i], NULL, &err), MDLM_INPUT, keys[i]);
    static const char *const own[] = {"patch_size", "layers", "dim", "heads", "ff"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_fails(load_changed(&dit, own[i], NULL, &err), MDLM_INPUT, own[i]);
}
END_TEST

START_TEST(values_that_make_no_network_are_refused) {
    static const char *const cases[][3] = {
        {"model_type", "\"llada\"", "model_type is \"llada\""},
        {"value_range", "[0, 1]", "value_range is [0,1]"},
        {"backbone", "\"vit\"", "backbone is 'vit'"},
        {"backbone", "7", "backbone"},
        {"learned_variance", "1", "learned_variance"},
        {"channels", "5", "--channels 5"},
        {"channels", "0", "channels"},
        {"channels", "2.5", "channels"},
        {"channels", "\"3\"", "channels"},
        {"channels", "1e300", "channels"},
        {"image_height", "100000", "--image-size 100000"},
        {"image_width", "-1", "image_width"},
        {"base_channels", "12", "--base-channels 12 is not a multiple of 8"},
        {"base_channels", "1073741824", "--base-channels"},
        {"res_blocks", "1e9", "--res-blocks"},
        {"channel_mults", "[]", "--channel-mults has 0 levels"},
        {"channel_mults", "[1, 2, \"2\"]", "channel_mults"},
        {"channel_mults", "[0]", "channel_mults"},
        {"channel_mults", "[60000]", "--channel-mults"},
        {"channel_mults", "[1, 1, 1, 1, 1, 1, 1]", "at most"},
        {"channel_mults", "[1, 1, 1, 1, 1, 1, 1, 1, 1]", "channel_mults"},
        {"channel_mults", "3", "channel_mults"},
        {"attention_resolutions", "[1.5]", "attention_resolutions"},
        {"attention_resolutions", "[15, 16]",
         "--attn-res 16 is the size of no level: they halve from 30 to 8"},
        {"attention_resolutions", "[28]", "--attn-res 28"},
        {"attention_resolutions", "[4]", "--attn-res 4"},
        {"classes", "-1", "classes"},
        {"classes", "3", "class_names"},
        {"class_names", "[\"a\", 2]", "class_names"},
        {"class_names", "{\"a\": \"b\", \"c\": \"d\"}", "class_names"},
        {"process", "[]", "process"},
    };
    mdlm_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(load_changed(&unet, cases[i][0], cases[i][1], &err), MDLM_INPUT, cases[i][2]);
    assert_fails(load_changed(&dit, "patch_size", "5", &err), MDLM_INPUT,
                 "--patch-size 5 does not divide images of 24x32: the nearest that do are 4 and 8");
    assert_fails(load_changed(&dit, "heads", "5", &err), MDLM_INPUT, "not divisible by --heads 5");
    assert_fails(load_changed(&dit, "dim", "50", &err), MDLM_INPUT, "multiple of 4");
}
END_TEST

START_TEST(a_damaged_file_is_refused) {
    mdlm_error err = {0};
    md_image_config found;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err), *text;
    size_t size;
    assert_fails(md_image_config_load(folder, &found, NULL, &err), MDLM_INPUT, "config.json");
    ck_assert(!md_image_config_in(folder));
    save(&unet, members, folder);
    assert_ok(md_file_read(path, 1 << 16, &text, &size, &err));
    for (size_t cut = 0; cut + 2 < size; cut += 7) { /* its last byte is a line feed */
        assert_ok(md_file_write(path, text, cut, &err));
        assert_fails(md_image_config_load(folder, &found, NULL, &err), MDLM_INPUT, "config.json");
    }
    assert_fails(md_image_config_load("/nowhere/at/all", &found, NULL, &err), MDLM_INPUT,
                 "there is no model folder");
    md_free(text);
    md_free(path);
    suite_tmp_remove(folder);
}
END_TEST

/* --- sizes ------------------------------------------------------------------------------------ */

START_TEST(lists_of_numbers_are_read_strictly) {
    mdlm_error err = {0};
    md_image_list list;
    assert_ok(md_image_list_parse("attn-res", "", 64, &list, &err));
    ck_assert_int_eq(list.count, 0);
    assert_ok(md_image_list_parse("attn-res", "8,64", 64, &list, &err));
    ck_assert(list.count == 2 && list.item[0] == 8 && list.item[1] == 64);
    static const char *const bad[] = {
        "8,", ",8", "8;4", "8 ,4", "0", "65", "-1", "eight", "99999999999999999999", "1.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(md_image_list_parse("attn-res", bad[i], 64, &list, &err), MDLM_USAGE,
                     "--attn-res");
    assert_fails(md_image_list_parse("attn-res", "1,1,1,1,1,1,1,1,1", 64, &list, &err), MDLM_USAGE,
                 "more than 8");
    ck_assert_int_eq(list.count, 2);
}
END_TEST

/* Counts of an independent U-Net of the same shapes, in PyTorch. */
START_TEST(parameters_are_as_many_as_in_other_implementations) {
    static const struct {
        int size, channels, base, attn;
        int64_t parameters;
    } known[] = {{32, 1, 32, 8, 1623169}, {28, 1, 32, 7, 1623169}, {32, 3, 64, 8, 6472195}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        mdlm_error err = {0};
        md_image_model *model = NULL;
        const int size = known[i].size;
        const md_image_config c = {.backbone = MD_BACKBONE_UNET,
                                   .shape = {size, size, known[i].channels},
                                   .base = known[i].base,
                                   .mults = {3, {1, 2, 2}},
                                   .res_blocks = 2,
                                   .attn = {1, {known[i].attn}}};
        assert_ok(md_image_model_new(&c, false, &model, &err));
        ck_assert_int_eq(md_params_size(md_image_model_params(model)), known[i].parameters);
        md_image_model_free(model);
    }
}
END_TEST

/* Files of others rely on them. */
START_TEST(parameters_have_the_names_that_files_have) {
    static const char *const names[] = {"time_embedding.linear_1.weight",
                                        "class_embedding.weight",
                                        "conv_in.bias",
                                        "down_blocks.0.resnets.1.norm1.weight",
                                        "down_blocks.1.attentions.0.qkv.bias",
                                        "down_blocks.1.downsamplers.0.conv.weight",
                                        "mid_block.resnets.1.conv2.bias",
                                        "mid_block.attentions.0.group_norm.weight",
                                        "up_blocks.0.resnets.2.time_emb_proj.weight",
                                        "up_blocks.0.upsamplers.0.conv.bias",
                                        "up_blocks.1.attentions.2.to_out.weight",
                                        "up_blocks.2.resnets.0.conv_shortcut.weight",
                                        "conv_norm_out.bias",
                                        "conv_out.weight"};
    mdlm_error err = {0};
    md_image_model *model = NULL;
    assert_ok(md_image_model_new(&unet, false, &model, &err));
    const md_params *params = md_image_model_params(model);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(md_params_find(params, names[i]) >= 0, "there is no '%s'", names[i]);
    const md_tensor *w = md_params_tensor(params, md_params_find(params, "conv_out.weight"));
    ck_assert(w->dim[0] == 6 && w->dim[1] == 3 && w->dim[2] == 3 && w->dim[3] == 16);
    md_image_model_free(model);
}
END_TEST

int main(void) {
    Suite *s = suite_create("configurations of networks for images");
    suite_case(s, a_config_survives_saving_and_loading);
    suite_case(s, every_field_makes_a_difference);
    suite_case(s, a_classifier_says_whether_it_is_for_noisy_images);
    suite_case(s, a_key_that_nobody_knows_is_refused);
    suite_case(s, what_is_missing_is_named);
    suite_case(s, values_that_make_no_network_are_refused);
    suite_case(s, a_damaged_file_is_refused);
    suite_case(s, lists_of_numbers_are_read_strictly);
    suite_case(s, parameters_are_as_many_as_in_other_implementations);
    suite_case(s, parameters_have_the_names_that_files_have);
    return suite_run(s);
}
