/* tests/model_folder.h: a folder with a tokenizer and a tiny network of random weights. Of two
 * layers: with one, keys and values see no context, and every cache is exact. */
#ifndef TESTS_MODEL_FOLDER_H
#define TESTS_MODEL_FOLDER_H

#include <stdlib.h>

#include "base/file.h"
#include "model/transformer.h"
#include "tensor/safetensors.h"
#include "tests/suite.h"
#include "tokenizer/tokenizer.h"

typedef struct model_shape {
    int seq_len;
    md_sight sight;
    int block_length;
    double scale; /* of weights: 1 says next to nothing about tokens, 20 a lot */
} model_shape;

/* suite_tmp_remove removes it. */
static inline char *model_folder(const md_tokenizer *tok, model_shape shape) {
    mdlm_error err;
    md_transformer *net = NULL;
    char *folder = suite_tmp_dir();
    md_model_config config = {.layers = 2,
                              .dim = 16,
                              .heads = 2,
                              .kv_heads = 1,
                              .ff = 24,
                              .vocab = md_tokenizer_vocab_size(tok),
                              .seq_len = shape.seq_len,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5,
                              .mask_id = md_tokenizer_mask(tok),
                              .end_of_text_id = md_tokenizer_end_of_text(tok),
                              .padding_id = md_tokenizer_padding(tok),
                              .sight = shape.sight,
                              .block_length = shape.block_length};
    assert_ok(md_transformer_new(&config, false, &net, &err));
    md_transformer_init(net, 3);
    md_params *params = md_transformer_params(net);
    md_real *values = md_params_values(params);
    for (int64_t i = 0; i < md_params_size(params); i++) values[i] *= (md_real)shape.scale;
    char *path = md_path_join(folder, "model.safetensors", &err);
    assert_ok(md_safetensors_write_params(path, params, "", values, &err));
    assert_ok(md_model_config_save(&config, folder, &err));
    assert_ok(md_tokenizer_save(tok, folder, shape.seq_len, &err));
    free(path);
    md_transformer_free(net);
    return folder;
}

#endif
