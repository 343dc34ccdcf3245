/* tests/test_golden_kinds.c: other people's networks against PyTorch.
 *
 * tests/data/golden-kinds/ has the logits of Dream, MDLM and SMDM, of small random weights, as
 * re-statements of their published code compute them in double precision. Here the same weights, an
 * integer hash of the published names, go through files: config.json and model.safetensors are
 * written, opened, and asked through the denoiser. What differs is our float rounding, about 1e-6
 * of the norm.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/transformer.h"
#include "tensor/safetensors.h"
#include "tests/golden.h"
#include "tests/hashed.h"
#include "tests/kernel_sets.h"

enum { B = 3, T = 9, N = B * T, V = 11, C = 16, LAYERS = 2, IDS = 1000 };
static const double TOLERANCE = 1e-5; /* ten times what float rounding makes of two layers */

/* '#' is the block's number; cols 0: a vector. */
typedef struct file_tensor {
    const char *name;
    int rows, cols;
} file_tensor;

#define DREAM_BLOCK(kv) \
    {"model.layers.#.input_layernorm.weight", C, 0}, \
        {"model.layers.#.self_attn.q_proj.weight", C, C}, \
        {"model.layers.#.self_attn.k_proj.weight", kv, C}, \
        {"model.layers.#.self_attn.v_proj.weight", kv, C}, \
        {"model.layers.#.self_attn.q_proj.bias", C, 0}, \
        {"model.layers.#.self_attn.k_proj.bias", kv, 0}, \
        {"model.layers.#.self_attn.v_proj.bias", kv, 0}, \
        {"model.layers.#.self_attn.o_proj.weight", C, C}, \
        {"model.layers.#.post_attention_layernorm.weight", C, 0}, \
        {"model.layers.#.mlp.gate_proj.weight", 24, C}, \
        {"model.layers.#.mlp.up_proj.weight", 24, C}, { \
        "model.layers.#.mlp.down_proj.weight", C, 24 \
    }

static const file_tensor dream[] = {{"model.embed_tokens.weight", V, C},
                                    DREAM_BLOCK(8),
                                    {"model.norm.weight", C, 0},
                                    {"lm_head.weight", V, C},
                                    {NULL, 0, 0}};

static const file_tensor dream_tied[] = {
    {"model.embed_tokens.weight", V, C}, DREAM_BLOCK(C), {"model.norm.weight", C, 0}, {NULL, 0, 0}};

#define SMDM(qkv) \
    {"transformer.wte.weight", V, C}, {"transformer.h.#.norm_1.weight", C, 0}, \
        {"transformer.h.#.attn.attn.weight", qkv, C}, {"transformer.h.#.attn.proj.weight", C, C}, \
        {"transformer.h.#.norm_2.weight", C, 0}, {"transformer.h.#.mlp.swiglu.w1.weight", 24, C}, \
        {"transformer.h.#.mlp.swiglu.w2.weight", 24, C}, \
        {"transformer.h.#.mlp.swiglu.w3.weight", C, 24}, { \
        "transformer.ln_f.weight", C, 0 \
    }

static const file_tensor smdm[] = {SMDM(3 * C), {"lm_head.weight", V - 1, C}, {NULL, 0, 0}};
static const file_tensor smdm_grouped[] = {SMDM(2 * C), {"lm_head.weight", V - 1, C}, {NULL, 0, 0}};

enum { COND = 8, ANGLES = 4 };

/* Published files have the angles of positions, too. */
static const file_tensor mdlm[] = {
    {"backbone.vocab_embed.embedding", V, C},
    {"backbone.sigma_map.mlp.0.weight", COND, 256},
    {"backbone.sigma_map.mlp.0.bias", COND, 0},
    {"backbone.sigma_map.mlp.2.weight", COND, COND},
    {"backbone.sigma_map.mlp.2.bias", COND, 0},
    {"backbone.rotary_emb.inv_freq", ANGLES, 0},
    {"backbone.blocks.#.norm1.weight", C, 0},
    {"backbone.blocks.#.attn_qkv.weight", 3 * C, C},
    {"backbone.blocks.#.attn_out.weight", C, C},
    {"backbone.blocks.#.norm2.weight", C, 0},
    {"backbone.blocks.#.mlp.0.weight", 4 * C, C},
    {"backbone.blocks.#.mlp.0.bias", 4 * C, 0},
    {"backbone.blocks.#.mlp.2.weight", C, 4 * C},
    {"backbone.blocks.#.mlp.2.bias", C, 0},
    {"backbone.blocks.#.adaLN_modulation.weight", 6 * C, COND},
    {"backbone.blocks.#.adaLN_modulation.bias", 6 * C, 0},
    {"backbone.output_layer.norm_final.weight", C, 0},
    {"backbone.output_layer.linear.weight", V, C},
    {"backbone.output_layer.linear.bias", V, 0},
    {"backbone.output_layer.adaLN_modulation.weight", 2 * C, COND},
    {"backbone.output_layer.adaLN_modulation.bias", 2 * C, 0},
    {NULL, 0, 0},
};

typedef struct variant {
    const char *name;
    const file_tensor *tensors;
    const char *config;
} variant;

#define DREAM_CONFIG(heads, kv, tied) \
    "{\"model_type\": \"Dream\", \"hidden_size\": 16, \"num_hidden_layers\": 2," \
    " \"num_attention_heads\": " heads ", \"num_key_value_heads\": " kv "," \
    " \"intermediate_size\": 24, \"max_position_embeddings\": 32, \"vocab_size\": 11," \
    " \"rope_theta\": 1e6, \"rms_norm_eps\": 1e-6, \"tie_word_embeddings\": " tied "," \
    " \"mask_token_id\": 10, \"hidden_act\": \"silu\"}"
#define SMDM_CONFIG(heads, groups) \
    "{\"model_type\": \"smdm\", \"n_embd\": 16, \"n_layer\": 2, \"n_head\": " heads "," \
    " \"n_query_groups\": " groups ", \"intermediate_size\": 24, \"block_size\": 32," \
    " \"padded_vocab_size\": 10}"

static const variant variants[] = {
    {"dream", dream, DREAM_CONFIG("4", "2", "false")},
    {"dream-tied", dream_tied, DREAM_CONFIG("2", "2", "true")},
    {"mdlm", mdlm,
     "{\"model_type\": \"mdlm\", \"hidden_dim\": 16, \"n_blocks\": 2, \"n_heads\": 2,"
     " \"cond_dim\": 8, \"model_length\": 32, \"vocab_size\": 11, \"time_conditioning\": false}"},
    {"smdm", smdm, SMDM_CONFIG("2", "2")},
    {"smdm-grouped", smdm_grouped, SMDM_CONFIG("4", "2")},
};
enum { VARIANTS = sizeof variants / sizeof *variants, DREAM = 0, MDLM = 2, SMDM_FIRST = 3 };

/* --- files ----------------------------------------------------------------------------------- */

static char *expanded(const char *pattern, int layer) {
    char *name = md_alloc(strlen(pattern) + 12, 1, NULL);
    const char *hole = strchr(pattern, '#');
    ck_assert(name != NULL);
    if (hole)
        sprintf(name, "%.*s%d%s", (int)(hole - pattern), pattern, layer, hole + 1);
    else
        strcpy(name, pattern);
    return name;
}

static float *hashed_values(const char *name, int count) {
    float *values = md_alloc((size_t)count, sizeof *values, NULL);
    const size_t n = strlen(name);
    const bool gain =
        (strstr(name, "norm") || strstr(name, "ln_f")) && !strcmp(name + n - 6, "weight");
    ck_assert(values != NULL);
    for (int i = 0; i < count; i++) {
        double u = unit(name_hash(name), (uint32_t)i);
        values[i] = (float)(gain ? 1 + 0.5 * u : u);
    }
    return values;
}

enum { MOST = 64 };

static void write_weights(const variant *v, const char *folder) {
    mdlm_error err;
    md_st_source list[MOST];
    char *names[MOST];
    float *values[MOST];
    int count = 0;
    for (const file_tensor *t = v->tensors; t->name; t++) {
        for (int layer = 0; layer < (strchr(t->name, '#') ? LAYERS : 1); layer++, count++) {
            ck_assert(count < MOST);
            names[count] = expanded(t->name, layer);
            values[count] = hashed_values(names[count], t->rows * (t->cols ? t->cols : 1));
            list[count] = (md_st_source){.name = names[count],
                                         .dtype = MD_ST_F32,
                                         .rank = t->cols ? 2 : 1,
                                         .dim = {t->rows, t->cols},
                                         .data = values[count]};
        }
    }
    char *path = md_path_join(folder, "model.safetensors", &err);
    assert_ok(md_safetensors_write(path, list, count, NULL, &err));
    for (int i = 0; i < count; i++) md_free(names[i]), md_free(values[i]);
    md_free(path);
}

static char *write_folder(const variant *v) {
    mdlm_error err;
    char *folder = suite_tmp_dir(), *path = md_path_join(folder, "config.json", &err);
    assert_ok(md_file_write(path, v->config, strlen(v->config), &err));
    write_weights(v, folder);
    md_free(path);
    return folder;
}

/* --- a network ------------------------------------------------------------------------------- */

typedef struct fixture {
    const variant *variant;
    golden golden;
    md_transformer *net;
    md_transformer_view view;
    md_denoiser denoiser;
    int32_t ids[N];
} fixture;

static void fixture_init(fixture *f, const variant *v, const char *kernel_set) {
    mdlm_error err = {0};
    char *folder = write_folder(v);
    *f = (fixture){.variant = v};
    golden_init(&f->golden, "golden-kinds", v->name, kernel_set);
    assert_ok(md_transformer_load(folder, NULL, false, &f->net, &err));
    f->view = (md_transformer_view){.net = f->net, .tape = f->golden.tape};
    f->denoiser = md_transformer_denoiser(&f->view);
    for (uint32_t i = 0; i < N; i++) f->ids[i] = (int32_t)(hash32(IDS, i) % V);
    suite_tmp_remove(folder);
}

static void fixture_release(fixture *f) {
    md_transformer_free(f->net);
    golden_release(&f->golden);
}

static void with_every_set(void (*check)(fixture *f)) {
    md_kernels kernels;
    for (int set = 0; next_kernels(&set, "f32", &kernels);) {
        for (int i = 0; i < VARIANTS; i++) {
            fixture f;
            fixture_init(&f, &variants[i], kernels.name);
            check(&f);
            fixture_release(&f);
        }
    }
}

static void predict_all(fixture *f, float logits[N * V]) {
    mdlm_error err = {0};
    int32_t rows[N];
    for (int i = 0; i < N; i++) rows[i] = i;
    ck_assert_int_eq(f->denoiser.vocab, V);
    assert_ok(f->denoiser.predict(f->denoiser.context, f->ids, B, T, rows, N, logits, &err));
}

/* --- the tests ------------------------------------------------------------------------------- */

/* SMDM's ids are one more than its logits: the mask has none. */
static void check_logits(fixture *f) {
    float logits[N * V], scored[N * V];
    const int unscored = f->variant - variants >= SMDM_FIRST;
    int count = 0;
    predict_all(f, logits);
    for (int i = 0; i < N * V; i++) {
        const bool known = i % V < V - unscored;
        if (known)
            scored[count++] = logits[i];
        else
            ck_assert(isinf(logits[i]) && logits[i] < 0);
    }
    golden_close(&f->golden, "logits", scored, count, TOLERANCE);
}

START_TEST(logits_are_those_of_the_published_code) {
    with_every_set(check_logits);
}
END_TEST

/* A cache that holds the canvas as it is changes nothing, wherever the computed part begins:
 * shifted logits of its first position come from the one before. */
static void check_caches(fixture *f) {
    mdlm_error err = {0};
    float all[N * V], some[T * V];
    int32_t rows[T];
    void *cache = f->denoiser.cache_new(f->denoiser.context, T, &err);
    ck_assert(cache != NULL);
    predict_all(f, all);
    md_cached_call call = {
        .caches = &cache, .ids = f->ids, .B = 1, .T = T, .end = T, .rows = rows, .logits = some};
    assert_ok(f->denoiser.predict_cached(f->denoiser.context, &call, &err));
    for (call.first = 0; call.first < T; call.first += 2) {
        call.end = call.first == 4 ? 7 : T;
        call.count = call.end - call.first;
        for (int i = 0; i < call.count; i++) rows[i] = call.first + i;
        assert_ok(f->denoiser.predict_cached(f->denoiser.context, &call, &err));
        for (int i = 0; i < call.count * V; i++) {
            const float expected = all[call.first * V + i];
            ck_assert_msg(some[i] == expected || fabs((double)(some[i] - expected)) < 1e-5,
                          "%s from %d: %g in place of %g", f->variant->name, call.first,
                          (double)some[i], (double)expected);
        }
    }
    f->denoiser.cache_free(cache);
}

START_TEST(caches_that_hold_the_canvas_change_nothing) {
    with_every_set(check_caches);
}
END_TEST

/* Bits of a row do not depend on the other canvases. */
static void check_alone(fixture *f) {
    mdlm_error err = {0};
    float all[N * V], alone[T * V];
    int32_t rows[T];
    predict_all(f, all);
    for (int i = 0; i < T; i++) rows[i] = i;
    assert_ok(f->denoiser.predict(f->denoiser.context, f->ids + 2 * T, 1, T, rows, T, alone, &err));
    ck_assert(!memcmp(alone, all + 2 * T * V, sizeof alone));
}

START_TEST(a_canvas_has_the_same_bits_alone) {
    with_every_set(check_alone);
}
END_TEST

/* As it is loaded for use: weights packed from the file, rows of the embedding left in it. */
START_TEST(packed_from_their_files_they_have_the_same_bits) {
    mdlm_error err = {0};
    for (int i = 0; i < VARIANTS; i++) {
        fixture f;
        float all[N * V], packed[N * V];
        fixture_init(&f, &variants[i], NULL);
        assert_ok(md_transformer_pack(f.net, &f.golden.kernels, &err));
        predict_all(&f, all);
        char *folder = write_folder(&variants[i]);
        const md_transformer_packing how = {.kernels = &f.golden.kernels, .pool = f.golden.pool};
        md_transformer_free(f.net);
        assert_ok(md_transformer_load_packed(folder, NULL, &how, &f.net, &err));
        f.view.net = f.net;
        predict_all(&f, packed);
        ck_assert_msg(!memcmp(all, packed, sizeof all), "%s", variants[i].name);
        suite_tmp_remove(folder);
        fixture_release(&f);
    }
}
END_TEST

START_TEST(kinds_that_have_no_loss_are_not_trained) {
    mdlm_error err = {0};
    for (int i = MDLM; i < VARIANTS; i++) {
        md_transformer *net = NULL;
        char *folder = write_folder(&variants[i]);
        assert_fails(md_transformer_load(folder, NULL, true, &net, &err), MDLM_USAGE,
                     i == MDLM ? "MDLM" : "SMDM");
        suite_tmp_remove(folder);
    }
}
END_TEST

/* The weights of one kind beside the configuration of another, or of another shape. */
START_TEST(files_that_do_not_fit_their_configuration_are_refused) {
    static const struct {
        int tensors, config;
        const char *says;
    } wrong[] = {
        {DREAM, MDLM, "backbone.vocab_embed.embedding"},
        {MDLM, DREAM, "model.embed_tokens.weight"},
        {DREAM, DREAM + 1, "'lm_head.weight' is another matrix"},
        {DREAM + 1, DREAM, "k_proj"},
        {SMDM_FIRST, SMDM_FIRST + 1, "transformer.h.0.attn.attn.weight"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mdlm_error err = {0};
        md_transformer *net = NULL;
        const variant mixed = {.tensors = variants[wrong[i].tensors].tensors,
                               .config = variants[wrong[i].config].config};
        char *folder = write_folder(&mixed);
        assert_fails(md_transformer_load(folder, NULL, false, &net, &err), MDLM_INPUT,
                     wrong[i].says);
        suite_tmp_remove(folder);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("other people's networks against PyTorch");
    suite_case(s, logits_are_those_of_the_published_code);
    suite_case(s, caches_that_hold_the_canvas_change_nothing);
    suite_case(s, a_canvas_has_the_same_bits_alone);
    suite_case(s, packed_from_their_files_they_have_the_same_bits);
    suite_case(s, kinds_that_have_no_loss_are_not_trained);
    suite_case(s, files_that_do_not_fit_their_configuration_are_refused);
    name_skipped_sets();
    return suite_run(s);
}
