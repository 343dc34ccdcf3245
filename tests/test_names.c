/* tests/test_names.c: what weights are called in files of each kind. */
#include <string.h>

#include "model/names.h"
#include "tests/suite.h"

static const struct {
    md_role role;
    int layer;
    bool bias;
    const char *name[MD_NAMINGS]; /* NULL: there is none */
} expected[] = {
    {MD_ROLE_EMBEDDING,
     -1,
     false,
     {"model.transformer.wte.weight", "model.embed_tokens.weight", "backbone.vocab_embed.embedding",
      "transformer.wte.weight", "token_embd.weight"}},
    {MD_ROLE_HEAD,
     -1,
     false,
     {"model.transformer.ff_out.weight", "lm_head.weight", "backbone.output_layer.linear.weight",
      "lm_head.weight", "output.weight"}},
    {MD_ROLE_DOWN,
     31,
     false,
     {"model.transformer.blocks.31.ff_out.weight", "model.layers.31.mlp.down_proj.weight",
      "backbone.blocks.31.mlp.2.weight", "transformer.h.31.mlp.swiglu.w3.weight",
      "blk.31.ffn_down.weight"}},
    {MD_ROLE_Q,
     0,
     true,
     {"model.transformer.blocks.0.q_proj.bias", "model.layers.0.self_attn.q_proj.bias", NULL,
      "transformer.h.0.attn.attn.q.bias", "blk.0.attn_q.bias"}},
    {MD_ROLE_MODULATION,
     7,
     true,
     {NULL, NULL, "backbone.blocks.7.adaLN_modulation.bias", NULL, NULL}},
    {MD_ROLE_EMBEDDING,
     -1,
     true,
     {"model.transformer.wte.bias", "model.embed_tokens.bias", NULL, "transformer.wte.bias",
      "token_embd.bias"}},
};
enum { EXPECTED = sizeof expected / sizeof *expected };

START_TEST(roles_have_the_published_names) {
    for (int i = 0; i < EXPECTED; i++) {
        for (int n = 0; n < MD_NAMINGS; n++) {
            char name[MD_NAME_ROOM];
            const bool found = md_name_of((md_naming)n, expected[i].role, expected[i].layer,
                                          expected[i].bias, name);
            ck_assert_int_eq(found, expected[i].name[n] != NULL);
            if (found) ck_assert_str_eq(name, expected[i].name[n]);
        }
    }
}
END_TEST

/* Of every role, in blocks with numbers of one digit and of many. */
START_TEST(names_are_understood_again) {
    static const int layers[] = {0, 9, 10, 511};
    int names = 0;
    for (int n = 0; n < MD_NAMINGS; n++) {
        for (int i = 0; i < MD_ROLES * 4 * 2; i++) {
            char name[MD_NAME_ROOM];
            md_role role = (md_role)(i / 8), found;
            int layer = md_role_is_inner(role) ? layers[i / 2 % 4] : -1, at;
            bool bias = i % 2, found_bias;
            if (!md_name_of((md_naming)n, role, layer, bias, name)) continue;
            ck_assert(md_name_parse((md_naming)n, name, &found, &at, &found_bias));
            ck_assert_msg(found == role && at == layer && found_bias == bias, "'%s'", name);
            names++;
        }
    }
    ck_assert_int_ge(names, 400);
}
END_TEST

START_TEST(names_go_from_one_naming_to_another) {
    char name[MD_NAME_ROOM];
    ck_assert(md_name_translate("blk.3.attn_q.bias", MD_NAMING_GGUF, MD_NAMING_DREAM, name));
    ck_assert_str_eq(name, "model.layers.3.self_attn.q_proj.bias");
    ck_assert(md_name_translate("model.transformer.blocks.12.ff_out.weight", MD_NAMING_LLADA,
                                MD_NAMING_GGUF, name));
    ck_assert_str_eq(name, "blk.12.ffn_down.weight");
    ck_assert(!md_name_translate("backbone.sigma_map.mlp.0.weight", MD_NAMING_MDLM, MD_NAMING_GGUF,
                                 name));
}
END_TEST

START_TEST(names_of_nothing_are_not_understood) {
    static const char *const wrong[] = {
        "",
        "model",
        "model.transformer.blocks.0.q_proj",
        "model.transformer.blocks.0.q_proj.weights",
        "model.transformer.blocks.00.q_proj.weight",
        "model.transformer.blocks.-1.q_proj.weight",
        "model.transformer.blocks. 1.q_proj.weight",
        "model.transformer.blocks..q_proj.weight",
        "model.transformer.blocks.99999999999999999999.q_proj.weight",
        "model.transformer.blocks.#.q_proj.weight",
        "model.transformer.ff_out.weight.weight",
        "model.embed_tokens.weight",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        md_role role;
        int layer;
        bool bias;
        ck_assert_msg(!md_name_parse(MD_NAMING_LLADA, wrong[i], &role, &layer, &bias), "'%s'",
                      wrong[i]);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("names of weights");
    suite_case(s, roles_have_the_published_names);
    suite_case(s, names_are_understood_again);
    suite_case(s, names_go_from_one_naming_to_another);
    suite_case(s, names_of_nothing_are_not_understood);
    return suite_run(s);
}
