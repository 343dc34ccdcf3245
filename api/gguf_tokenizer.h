/* api/gguf_tokenizer.h: tokenizers in the metadata of GGUF files, and where a model's tokenizer is.
 *
 *     md_tokenizer *tok = NULL;
 *     MD_TRY(md_model_tokenizer("model.gguf", &config, &tok, err));
 */
#ifndef MD_API_GGUF_TOKENIZER_H
#define MD_API_GGUF_TOKENIZER_H

#include "model/config.h"
#include "tensor/gguf.h"
#include "tokenizer/tokenizer.h"

/* Of the keys tokenizer.ggml.* and tokenizer.chat_template (tokenizer/arrays.h). A file that names
 * no mask, of a vocabulary alone, has one behind its tokens. Caller frees. */
mdlm_status md_gguf_tokenizer(const md_gguf *file, md_tokenizer **out, mdlm_error *err);
/* Puts these keys, for an embedding of `rows` rows, at least the vocabulary. */
mdlm_status md_gguf_put_tokenizer(md_gguf_writer *w, const md_tokenizer *tok, int rows,
                                  mdlm_error *err);

/* The tokenizer of a GGUF file, or of a model's folder (or of a tokenizer.json); of a folder of
 * adapters, which may have it with the network that they belong to. `config`, where it is known:
 * its ids are taken where the tokenizer's own files are silent, and MDLM_INPUT when the tokenizer
 * has another mask or more ids than the model. Caller frees. */
mdlm_status md_model_tokenizer(const char *path, const md_model_config *config, md_tokenizer **out,
                               mdlm_error *err);

#endif
