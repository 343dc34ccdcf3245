/* tests/test_gguf_model.c: networks in GGUF files (model/gguf.h, model/stream.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/gguf.h"
#include "model/transformer.h"
#include "tensor/safetensors.h"
#include "tests/suite.h"

static mdlm_error err;
static char *folder; /* each test runs in a process of its own: a model's folder */
static char path[512];

/* Sizes that differ from each other, and whole blocks of q8_0. */
static const md_model_config llada = {.layers = 2,
                                      .dim = 64,
                                      .heads = 4,
                                      .kv_heads = 2,
                                      .ff = 96,
                                      .vocab = 41,
                                      .seq_len = 24,
                                      .rope_theta = 500000,
                                      .norm_eps = 1e-5,
                                      .mask_id = 40,
                                      .end_of_text_id = 39,
                                      .padding_id = 39,
                                      .arch = MD_ARCH_LLADA};

static md_model_config dream(void) {
    md_model_config c = llada;
    c.arch = MD_ARCH_DREAM;
    c.qkv_bias = true;
    c.shifted = true;
    c.norm_eps = 1e-6;
    c.padding_id = 38;
    return c;
}

static md_model_config tied(void) {
    md_model_config c = llada;
    c.tied = true;
    c.kv_heads = c.heads;
    return c;
}

/* A folder with a network of random weights, every parameter another. */
static void enter(const md_model_config *config) {
    md_transformer *net = NULL;
    folder = suite_tmp_dir();
    snprintf(path, sizeof path, "%s/x.gguf", folder);
    assert_ok(md_transformer_new(config, false, &net, &err));
    md_transformer_init(net, 3);
    md_params *params = md_transformer_params(net);
    md_real *values = md_params_values(params);
    for (int64_t i = 0; i < md_params_size(params); i++) values[i] += (md_real)(i % 97) / 512;
    char *weights = md_path_join(folder, "model.safetensors", &err);
    assert_ok(md_safetensors_write_params(weights, params, "", values, &err));
    assert_ok(md_model_config_save(config, folder, &err));
    md_free(weights);
    md_transformer_free(net);
}

static void leave(void) {
    suite_tmp_remove(folder);
}

/* What a tokenizer would put. */
static void put_ids(md_gguf_writer *w, const md_model_config *c) {
    assert_ok(md_gguf_put_u32(w, "tokenizer.ggml.mask_token_id", (uint32_t)c->mask_id, &err));
    assert_ok(md_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)c->end_of_text_id, &err));
    assert_ok(md_gguf_put_u32(w, "tokenizer.ggml.padding_token_id", (uint32_t)c->padding_id, &err));
}

/* The model of the folder, or the file, as a GGUF file at `to`. */
static mdlm_status write_gguf(const char *from, const char *to, const md_storage *type) {
    md_gguf_writer *w = NULL;
    md_model_stream *s = NULL;
    assert_ok(md_model_stream_open(from, NULL, &s, &err));
    assert_ok(md_gguf_writer_new(&w, &err));
    mdlm_status status = md_gguf_put_config(w, md_model_stream_config(s), &err);
    if (status == MDLM_OK) {
        put_ids(w, md_model_stream_config(s));
        assert_ok(md_gguf_declare_params(w, s, type, &err));
        assert_ok(md_gguf_start(w, to, &err));
        assert_ok(md_gguf_append_params(w, s, NULL, &err));
        assert_ok(md_gguf_finish(w, &err));
    }
    md_gguf_writer_free(w);
    md_model_stream_close(s);
    return status;
}

static md_transformer *load(const char *from) {
    md_transformer *net = NULL;
    assert_ok(md_transformer_load(from, NULL, false, &net, &err));
    return net;
}

static void assert_same_weights(const char *a, const char *b) {
    md_transformer *one = load(a), *other = load(b);
    md_params *p = md_transformer_params(one), *q = md_transformer_params(other);
    ck_assert(md_model_config_equal(md_transformer_config(one), md_transformer_config(other)));
    ck_assert_int_eq(md_params_size(p), md_params_size(q));
    const size_t bytes = (size_t)md_params_size(p) * sizeof(md_real);
    ck_assert_int_eq(memcmp(md_params_values(p), md_params_values(q), bytes), 0);
    md_transformer_free(one);
    md_transformer_free(other);
}

/* ---- Round trips ---- */

START_TEST(a_model_survives_a_round_trip) {
    const md_model_config configs[] = {llada, tied(), dream()};
    for (int i = 0; i < 3; i++) {
        md_model_config found;
        enter(&configs[i]);
        assert_ok(write_gguf(folder, path, &md_storage_f32));
        assert_same_weights(folder, path);
        assert_ok(md_model_config_load(path, &found, &err));
        ck_assert_int_eq(found.padding_id, configs[i].padding_id);
        ck_assert_int_eq(found.end_of_text_id, configs[i].end_of_text_id);
        leave();
    }
}
END_TEST

/* Not what reading undoes: the order itself. */
START_TEST(rows_of_q_and_k_are_interleaved_for_llada_alone) {
    const md_model_config configs[] = {llada, dream()};
    static const char *const names[2][2] = {
        {"model.transformer.blocks.1.q_proj.weight", "model.transformer.blocks.1.k_proj.weight"},
        {"model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight"}};
    static const char *const theirs[] = {"blk.1.attn_q.weight", "blk.1.attn_k.weight"};
    for (int i = 0; i < 4; i++) {
        const md_model_config *c = &configs[i / 2];
        const int D = c->dim / c->heads, heads = i % 2 ? c->kv_heads : c->heads;
        md_gguf *file = NULL;
        enter(c);
        assert_ok(write_gguf(folder, path, &md_storage_f32));
        md_transformer *net = load(folder);
        md_params *params = md_transformer_params(net);
        const md_tensor *t = md_params_tensor(params, md_params_find(params, names[i / 2][i % 2]));
        assert_ok(md_gguf_open(path, &file, &err));
        const float *rows = md_gguf_find(file, theirs[i % 2])->data;
        for (int r = 0; r < heads * D; r++) {
            const int h = r / D, p = r % D / (D / 2), k = r % (D / 2);
            const int at = i < 2 ? h * D + 2 * k + p : r;
            for (int j = 0; j < c->dim; j++)
                ck_assert(rows[at * c->dim + j] == (float)t->data[r * c->dim + j]);
        }
        md_gguf_close(file);
        md_transformer_free(net);
        leave();
    }
}
END_TEST

/* Matrices lose what their type cannot hold, once; vectors nothing. */
START_TEST(smaller_types_are_for_matrices) {
    static const md_storage *const types[] = {&md_storage_bf16, &md_storage_q8_0};
    for (int i = 0; i < 2; i++) {
        char again[512];
        enter(&llada);
        snprintf(again, sizeof again, "%s/y.gguf", folder);
        assert_ok(write_gguf(folder, path, types[i]));
        assert_ok(write_gguf(path, again, types[i])); /* from one file to another */
        assert_same_weights(path, again);
        md_transformer *exact = load(folder), *stored = load(path);
        md_params *p = md_transformer_params(exact), *q = md_transformer_params(stored);
        for (int k = 0; k < md_params_count(p); k++) {
            const md_tensor *a = md_params_tensor(p, k), *b = md_params_tensor(q, k);
            double worst = 0, largest = 0;
            for (int64_t n = 0; n < md_tensor_size(a); n++) {
                worst = fmax(worst, fabs((double)(a->data[n] - b->data[n])));
                largest = fmax(largest, fabs((double)a->data[n]));
            }
            ck_assert((worst > 0) == (a->rank == 2));
            /* Half a unit in the last place of 8 bits, and of the scale, which has 11. */
            ck_assert_msg(worst <= largest / 230, "%s", md_params_name(p, k));
        }
        md_transformer_free(exact);
        md_transformer_free(stored);
        leave();
    }
}
END_TEST

START_TEST(a_config_that_reads_f32_says_the_decimal_that_was_meant) {
    md_model_config found;
    enter(&llada);
    assert_ok(write_gguf(folder, path, &md_storage_f32));
    assert_ok(md_model_config_load(path, &found, &err));
    ck_assert(found.norm_eps == 1e-5 && found.rope_theta == 500000);
    leave();
}
END_TEST

START_TEST(rows_of_a_stream_are_those_of_the_network) {
    enter(&llada);
    md_model_stream *s = NULL;
    md_real rows[3 * 64];
    assert_ok(md_model_stream_open(folder, NULL, &s, &err));
    md_transformer *net = load(folder);
    md_params *params = md_transformer_params(net);
    const int q = md_params_find(params, "model.transformer.blocks.1.q_proj.weight");
    ck_assert_str_eq(md_params_name(md_model_stream_params(s), q), md_params_name(params, q));
    md_model_stream_rows(s, q, 5, 3, rows);
    ck_assert_int_eq(memcmp(rows, md_params_tensor(params, q)->data + 5 * 64, sizeof rows), 0);
    md_transformer_free(net);
    md_model_stream_close(s);
    leave();
}
END_TEST

static int stop_at_three(void *user, int64_t done, int64_t total) {
    (void)user;
    ck_assert_int_lt(done, total);
    return done == 3;
}

START_TEST(a_copy_that_is_cancelled_leaves_nothing) {
    const md_stream_watch watch = {.on_progress = stop_at_three};
    md_gguf_writer *w = NULL;
    md_model_stream *s = NULL;
    enter(&llada);
    assert_ok(md_model_stream_open(folder, NULL, &s, &err));
    assert_ok(md_gguf_writer_new(&w, &err));
    assert_ok(md_gguf_declare_params(w, s, &md_storage_f32, &err));
    assert_ok(md_gguf_start(w, path, &err));
    assert_fails(md_gguf_append_params(w, s, &watch, &err), MDLM_CANCELLED, "cancelled");
    md_gguf_writer_free(w);
    ck_assert(!md_file_exists(path));
    md_model_stream_close(s);
    leave();
}
END_TEST

START_TEST(networks_without_an_architecture_are_not_written) {
    md_model_config blocks = llada, biased = llada;
    blocks.sight = MD_SEES_BLOCKS;
    blocks.block_length = 8;
    biased.qkv_bias = true;
    enter(&blocks);
    assert_fails(write_gguf(folder, path, &md_storage_f32), MDLM_USAGE,
                 "its positions do not see the whole canvas");
    ck_assert(!md_file_exists(path));
    leave();
    enter(&biased);
    assert_fails(write_gguf(folder, path, &md_storage_f32), MDLM_USAGE,
                 "its q, k and v have biases");
    leave();
}
END_TEST

/* ---- What is refused ---- */

/* The metadata of a small llada, each key as a u32, a number, a flag or a text. */
typedef struct key {
    const char *name;
    char kind; /* u, f, b, s; 0: the key is left out */
    double value;
    const char *text;
} key;

static const key keys[] = {{"general.architecture", 's', 0, "llada"},
                           {"llada.context_length", 'u', 24, NULL},
                           {"llada.embedding_length", 'u', 8, NULL},
                           {"llada.block_count", 'u', 1, NULL},
                           {"llada.feed_forward_length", 'u', 8, NULL},
                           {"llada.vocab_size", 'u', 5, NULL},
                           {"llada.attention.head_count", 'u', 2, NULL},
                           {"llada.attention.head_count_kv", 'u', 2, NULL},
                           {"llada.attention.layer_norm_rms_epsilon", 'f', 1e-5, NULL},
                           {"llada.attention.causal", 'b', 0, NULL},
                           {"llada.rope.freq_base", 'f', 10000, NULL},
                           {"diffusion.shift_logits", 'b', 0, NULL},
                           {"tokenizer.ggml.mask_token_id", 'u', 4, NULL}};
enum { KEYS = sizeof keys / sizeof *keys };

static void put_key(md_gguf_writer *w, key k) {
    mdlm_status status = MDLM_OK;
    if (k.kind == 'u') status = md_gguf_put_u32(w, k.name, (uint32_t)k.value, &err);
    if (k.kind == 'f') status = md_gguf_put_f32(w, k.name, (float)k.value, &err);
    if (k.kind == 'b') status = md_gguf_put_flag(w, k.name, k.value != 0, &err);
    if (k.kind == 's') status = md_gguf_put_text(w, k.name, k.text, &err);
    ck_assert_int_eq(status, MDLM_OK);
}

typedef struct shape {
    const char *name;
    int rank; /* 0: the tensor is left out */
    int64_t dim[MD_GGUF_MAX_RANK];
} shape;

static const shape shapes[] = {
    {"token_embd.weight", 2, {5, 8}},   {"blk.0.attn_norm.weight", 1, {8}},
    {"blk.0.attn_q.weight", 2, {8, 8}}, {"blk.0.attn_k.weight", 2, {8, 8}},
    {"blk.0.attn_v.weight", 2, {8, 8}}, {"blk.0.attn_output.weight", 2, {8, 8}},
    {"blk.0.ffn_norm.weight", 1, {8}},  {"blk.0.ffn_gate.weight", 2, {8, 8}},
    {"blk.0.ffn_up.weight", 2, {8, 8}}, {"blk.0.ffn_down.weight", 2, {8, 8}},
    {"output_norm.weight", 1, {8}}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The tensors in the file, of zeros. */
static void put_tensors(md_gguf_writer *w, const shape *list, int count) {
    static const md_real zeros[128];
    for (int i = 0; i < count; i++)
        assert_ok(
            md_gguf_declare(w, list[i].name, &md_storage_f32, list[i].rank, list[i].dim, &err));
    assert_ok(md_gguf_start(w, path, &err));
    for (int i = 0; i < count; i++) {
        int64_t size = 1;
        for (int d = 0; d < list[i].rank; d++) size *= list[i].dim[d];
        ck_assert_int_le(size, 128);
        assert_ok(md_gguf_append(w, zeros, size, &err));
    }
    assert_ok(md_gguf_finish(w, &err));
}

/* A file with these keys and tensors, of each of which one is another, one more, or left out. */
static void put_file(key changed, shape other) {
    md_gguf_writer *w = NULL;
    shape list[SHAPES + 1];
    int count = 0;
    assert_ok(md_gguf_writer_new(&w, &err));
    for (int i = 0; i < KEYS; i++) {
        if (!changed.name || strcmp(keys[i].name, changed.name) != 0) put_key(w, keys[i]);
    }
    if (changed.name) put_key(w, changed);
    for (int i = 0; i < SHAPES; i++) {
        if (!other.name || strcmp(shapes[i].name, other.name) != 0) list[count++] = shapes[i];
    }
    if (other.rank > 0) list[count++] = other;
    put_tensors(w, list, count);
    md_gguf_writer_free(w);
}

static void enter_empty(void) {
    folder = suite_tmp_dir();
    snprintf(path, sizeof path, "%s/x.gguf", folder);
}

START_TEST(what_metadata_ask_for_and_is_not_supported_is_refused) {
    static const struct {
        key changed;
        const char *message;
    } rows[] = {
        {{"general.architecture", 's', 0, "llama"}, "general.architecture is 'llama', only"},
        {{"general.architecture", 0, 0, NULL}, "has no key 'general.architecture'"},
        {{"llada.block_count", 0, 0, NULL}, "has no key 'llada.block_count'"},
        {{"llada.block_count", 'u', 0, NULL}, "found 0, in key 'llada.block_count'"},
        {{"llada.block_count", 's', 0, "1"}, "expected an integer, found a string"},
        {{"llada.block_count", 'u', 4e9, NULL}, "found 4000000000"},
        {{"llada.attention.head_count", 'u', 3, NULL}, "is not divisible by"},
        {{"llada.attention.head_count_kv", 'u', 4, NULL}, "is not divisible by"},
        {{"llada.vocab_size", 'u', 6, NULL}, "llada.vocab_size is 6, only 5 is supported"},
        {{"llada.attention.causal", 'b', 1, NULL}, "llada.attention.causal is true"},
        {{"llada.rope.scaling.type", 's', 0, "yarn"}, "scaled positions"},
        {{"llada.rope.scaling.factor", 'f', 4, NULL}, "scaled positions"},
        {{"llada.rope.dimension_count", 'u', 2, NULL},
         "llada.rope.dimension_count is 2, only 4 is supported"},
        {{"llada.attention.key_length", 'u', 8, NULL}, "key_length is 8, only 4"},
        {{"llada.expert_count", 'u', 8, NULL}, "expert_count is 8, only 0"},
        {{"tokenizer.ggml.mask_token_id", 0, 0, NULL}, "has no key 'tokenizer.ggml.mask_token_id'"},
        {{"tokenizer.ggml.mask_token_id", 'u', 5, NULL}, "expected 0 to 4, found 5"},
        {{"tokenizer.ggml.eos_token_id", 'u', 5, NULL}, "expected 0 to 4, found 5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        md_model_config c;
        enter_empty();
        put_file(rows[i].changed, (shape){0});
        assert_fails(md_model_config_load(path, &c, &err), MDLM_INPUT, rows[i].message);
        ck_assert_ptr_nonnull(strstr(err.message, path));
        leave();
    }
}
END_TEST

START_TEST(what_metadata_leave_out_has_llama_cpp_s_meaning) {
    static const key rows[] = {{"llada.attention.head_count_kv", 0, 0, NULL},
                               {"llada.rope.freq_base", 0, 0, NULL},
                               {"llada.vocab_size", 0, 0, NULL},
                               {"llada.attention.causal", 0, 0, NULL},
                               {"diffusion.shift_logits", 0, 0, NULL},
                               {"llada.rope.scaling.type", 's', 0, "none"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        md_model_config c;
        enter_empty();
        put_file(rows[i], (shape){0});
        assert_ok(md_model_config_load(path, &c, &err));
        ck_assert(c.kv_heads == 2 && c.rope_theta == 10000 && c.vocab == 5 && c.tied);
        ck_assert_int_eq(c.shifted, !strcmp(rows[i].name, "diffusion.shift_logits"));
        ck_assert(c.mask_id == 4 && c.end_of_text_id == -1 && c.padding_id == -1);
        leave();
    }
}
END_TEST

/* Rows of q and k are read by halves of heads, which other shapes do not have. */
START_TEST(tensors_that_the_metadata_do_not_describe_are_refused) {
    static const struct {
        shape other;
        const char *message;
    } rows[] = {
        {{"token_embd.weight", 0, {0}}, "has no tensor 'token_embd.weight'"},
        {{"blk.0.ffn_up.weight", 0, {0}}, "has no tensor 'model.transformer.blocks.0.up_proj"},
        {{"blk.0.attn_norm.weight", 1, {9}}, "expected shape [8], found [9]"},
        {{"blk.0.attn_q.weight", 2, {6, 8}}, "expected shape [8, 8], found [6, 8]"},
        {{"blk.0.attn_k.weight", 2, {16, 8}}, "expected shape [8, 8], found [16, 8]"},
        {{"blk.0.attn_q.weight", 1, {64}}, "expected shape [8, 8], found [64]"},
        {{"blk.0.attn_q.weight", 3, {2, 4, 8}}, "expected shape [8, 8], found [2, 4, 8]"},
        {{"blk.0.ffn_down.weight", 2, {4, 16}}, "expected shape [8, 8], found [4, 16]"},
        {{"blk.1.attn_q.weight", 2, {8, 8}}, "has a tensor that the model does not"},
        {{"rope_freqs.weight", 1, {4}}, "has a tensor that the model does not"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        md_transformer *net = NULL;
        md_model_stream *s = NULL;
        enter_empty();
        put_file((key){0}, rows[i].other);
        assert_fails(md_transformer_load(path, NULL, false, &net, &err), MDLM_INPUT,
                     rows[i].message);
        assert_fails(md_model_stream_open(path, NULL, &s, &err), MDLM_INPUT, rows[i].message);
        ck_assert_ptr_nonnull(strstr(err.message, path));
        ck_assert(!net && !s);
        leave();
    }
    enter_empty();
    put_file((key){0}, (shape){0});
    md_transformer_free(load(path)); /* unchanged it is fine */
    leave();
}
END_TEST

int main(void) {
    Suite *s = suite_create("gguf_model");
    suite_case(s, a_model_survives_a_round_trip);
    suite_case(s, rows_of_q_and_k_are_interleaved_for_llada_alone);
    suite_case(s, smaller_types_are_for_matrices);
    suite_case(s, a_config_that_reads_f32_says_the_decimal_that_was_meant);
    suite_case(s, rows_of_a_stream_are_those_of_the_network);
    suite_case(s, a_copy_that_is_cancelled_leaves_nothing);
    suite_case(s, networks_without_an_architecture_are_not_written);
    suite_case(s, what_metadata_ask_for_and_is_not_supported_is_refused);
    suite_case(s, what_metadata_leave_out_has_llama_cpp_s_meaning);
    suite_case(s, tensors_that_the_metadata_do_not_describe_are_refused);
    return suite_run(s);
}
