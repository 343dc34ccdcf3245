/* model/gguf.h: networks in GGUF files: their shape as metadata, their weights by our names.
 *
 *     md_model_config config;
 *     md_weights *weights = NULL;
 *     MD_TRY(md_gguf_model_open("model.gguf", &config, &weights, err));
 *
 *     MD_TRY(md_gguf_put_config(writer, &config, err));
 *     MD_TRY(md_gguf_declare_params(writer, stream, &md_storage_bf16, err));
 *     MD_TRY(md_gguf_start(writer, "out.gguf", err));
 *     MD_TRY(md_gguf_append_params(writer, stream, NULL, err));
 *     MD_TRY(md_gguf_finish(writer, err));
 *
 * Architectures "llada" and "dream", with llama.cpp's keys (ARCH is the architecture):
 *
 *   ARCH.context_length, embedding_length, block_count, feed_forward_length, vocab_size,
 *   ARCH.attention.head_count, head_count_kv, layer_norm_rms_epsilon, causal (false),
 *   ARCH.rope.freq_base, dimension_count; diffusion.shift_logits (true when it is missing);
 *   tokenizer.ggml.mask_token_id, eos_token_id, padding_token_id
 *
 * Refused (MDLM_INPUT): other architectures, what has another mathematics (scaled positions, causal
 * attention, experts, heads of another size), a vocabulary of another size than the embedding.
 *
 * Files of llada have the rows of q and k in another order, that of rotary positions of neighbours:
 * in a head of D rows, 2 i + p is our p D / 2 + i. Files of dream have ours.
 */
#ifndef MD_MODEL_GGUF_H
#define MD_MODEL_GGUF_H

#include "model/config.h"
#include "model/stream.h"
#include "tensor/gguf.h"
#include "tensor/weights.h"

mdlm_status md_gguf_read_config(const md_gguf *file, md_model_config *out, mdlm_error *err);
/* Shape and weights, under the names of the network's parameters. Caller closes *weights. */
mdlm_status md_gguf_model_open(const char *path, md_model_config *config, md_weights **weights,
                               mdlm_error *err);

/* Writing, from a model that is read some rows at a time. Puts the keys above but those of the
 * tokenizer; MDLM_USAGE, naming the model's kind, for networks that llama.cpp has no architecture
 * for. */
mdlm_status md_gguf_put_config(md_gguf_writer *w, const md_model_config *c, mdlm_error *err);
/* Declares all parameters: matrices as `type`, vectors as f32. */
mdlm_status md_gguf_declare_params(md_gguf_writer *w, const md_model_stream *from,
                                   const md_storage *type, mdlm_error *err);
/* Their values, between md_gguf_start and md_gguf_finish. */
mdlm_status md_gguf_append_params(md_gguf_writer *w, const md_model_stream *from,
                                  const md_stream_watch *watch, mdlm_error *err);

#endif
