/* tests/test_out_of_memory_files.c: every allocation fails in turn while models' files are read and
 * written. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/transformer.h"
#include "tensor/gguf.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"
#include "tests/fail_in_turn.h"
#include "tests/suite.h"
#include "tokenizer/tokenizer.h"

static char *gguf_path;

/* Written and read back. */
static mdlm_status write_and_read_gguf(mdlm_error *err) {
    static const md_gguf_string words[] = {{"one", 3}, {"two", 3}};
    md_gguf_string *list = NULL;
    size_t count = 0;
    md_gguf_writer *w = NULL;
    md_gguf *file = NULL;
    mdlm_status status;
    MD_GOTO(done, status, md_gguf_writer_new(&w, err));
    MD_GOTO(done, status, md_gguf_put_strings(w, "words", words, 2, err));
    MD_GOTO(done, status, md_gguf_declare(w, "x", &md_storage_f32, 1, (int64_t[]){1}, err));
    MD_GOTO(done, status, md_gguf_start(w, gguf_path, err));
    MD_GOTO(done, status, md_gguf_append(w, (const md_real[]){1}, 1, err));
    MD_GOTO(done, status, md_gguf_finish(w, err));
    MD_GOTO(done, status, md_gguf_open(gguf_path, &file, err));
    status = md_gguf_strings(file, "words", &list, &count, err);
done:
    md_free(list);
    md_gguf_close(file);
    md_gguf_writer_free(w);
    return status;
}

/* --- weights ---------------------------------------------------------------------------------- */

static char *folder; /* of a network in two shards */
static md_kernels kernels;

enum { V = 23 };

/* Its files: every other tensor in one of them, and in the first a head that is the embedding. */
static void put_network(void) {
    static const md_model_config config = {.layers = 1,
                                           .dim = 40,
                                           .heads = 4,
                                           .kv_heads = 2,
                                           .ff = 80,
                                           .vocab = V,
                                           .tied = true,
                                           .seq_len = 37,
                                           .rope_theta = 10000,
                                           .norm_eps = 1e-5,
                                           .mask_id = V - 1,
                                           .end_of_text_id = -1,
                                           .padding_id = -1};
    mdlm_error err;
    md_transformer *net = NULL;
    assert_ok(md_kernels_init(&kernels, NULL, &err));
    assert_ok(md_transformer_new(&config, false, &net, &err));
    assert_ok(md_model_config_save(&config, folder, &err));
    md_params *params = md_transformer_params(net);
    char *index = md_path_join(folder, "model.safetensors.index.json", &err);
    md_writer *w = NULL;
    assert_ok(md_writer_open(index, &w, &err));
    assert_ok(md_writer_printf(w, &err, "{\"weight_map\": {"));
    for (int part = 0; part < 2; part++) {
        md_st_source list[16];
        int count = 0;
        for (int i = part; i < md_params_count(params); i += 2) {
            const md_tensor *t = md_params_tensor(params, i);
            const char *name = md_params_name(params, i);
            list[count++] =
                (md_st_source){name, MD_ST_F32, t->rank, {t->dim[0], t->dim[1]}, t->data};
            assert_ok(
                md_writer_printf(w, &err, "%s\"%s\": \"%d\"", i == 0 ? "" : ", ", name, part));
        }
        if (part == 0) {
            list[count] = list[0];
            list[count++].name = MD_LLADA_PREFIX "ff_out.weight";
            assert_ok(md_writer_printf(w, &err, ", \"%s\": \"0\"", list[count - 1].name));
        }
        char *path = md_path_join(folder, part ? "1" : "0", &err);
        assert_ok(md_safetensors_write(path, list, count, NULL, &err));
        md_free(path);
    }
    assert_ok(md_writer_printf(w, &err, "}}"));
    assert_ok(md_writer_commit(w, &err));
    md_writer_free(w);
    md_free(index);
    md_transformer_free(net);
}

static mdlm_status load_packed(mdlm_error *err) {
    const md_transformer_packing how = {.kernels = &kernels};
    md_transformer *net = NULL;
    mdlm_status status = md_transformer_load_packed(folder, NULL, &how, &net, err);
    if ((status == MDLM_OK) != (net != NULL)) ck_abort_msg("status %d", (int)status);
    md_transformer_free(net);
    return status;
}

static mdlm_status load_slab(mdlm_error *err) {
    md_transformer *net = NULL;
    mdlm_status status = md_transformer_load(folder, NULL, true, &net, err);
    md_transformer_free(net);
    return status;
}

/* --- a tokenizer ------------------------------------------------------------------------------ */

/* With marked spaces; it encodes, decodes and is written. */
static mdlm_status load_tokenizer(mdlm_error *err) {
    static const md_token_roles roles = {.mask = 356, .end_of_text = 2, .padding = -1};
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    md_buffer text = {0};
    mdlm_status status =
        md_tokenizer_load_with(TEST_DATA "/golden-spaces/tokenizer.json", &roles, &tok, err);
    if (status == MDLM_OK) status = md_tokenizer_encode(tok, "the \xff cat", 9, &ids, err);
    if (status == MDLM_OK) status = md_tokenizer_decode(tok, ids.data, ids.count, &text, err);
    if (status == MDLM_OK && strcmp(text.data, "the \xff cat") != 0) ck_abort_msg("another text");
    if (status == MDLM_OK) status = md_tokenizer_save(tok, folder, 8, err);
    md_buffer_release(&text);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
    return status;
}

/* --- the tests ------------------------------------------------------------------------------- */

START_TEST(a_gguf_file_says_so_and_leaves_nothing) {
    mdlm_error err;
    char *dir = suite_tmp_dir();
    gguf_path = md_path_join(dir, "x.gguf", &err);
    fail_in_turn(write_and_read_gguf, 15);
    md_free(gguf_path);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(a_network_in_shards_says_so_and_leaves_nothing) {
    folder = suite_tmp_dir();
    put_network();
    fail_in_turn(load_packed, 40);
    fail_in_turn(load_slab, 40);
    suite_tmp_remove(folder);
}
END_TEST

START_TEST(a_tokenizer_says_so_and_leaves_nothing) {
    folder = suite_tmp_dir();
    fail_in_turn(load_tokenizer, 100);
    suite_tmp_remove(folder);
}
END_TEST

int main(void) {
    Suite *s = suite_create("out of memory with files");
    suite_case(s, a_gguf_file_says_so_and_leaves_nothing);
    suite_case(s, a_tokenizer_says_so_and_leaves_nothing);
    suite_case(s, a_network_in_shards_says_so_and_leaves_nothing);
    return suite_run(s);
}
