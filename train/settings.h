/* train/settings.h: everything a text training can be told, as tables (base/options.h).
 *
 * 0 (or an empty text) where the bounds exclude it means "chosen from the corpus": train/plan.c
 * decides, and the decision is printed before training starts.
 */
#ifndef MD_TRAIN_SETTINGS_H
#define MD_TRAIN_SETTINGS_H

#include "train/loop_settings.h"

#define MD_MODEL_SETTINGS(X) \
    X(CHOICE, preset, "auto", 0, 0, "auto|1m|3m|10m|25m|50m|160m|400m|1b: model size") \
    X(INT, layers, 0, 1, 512, "transformer blocks") \
    X(INT, dim, 0, 8, 65536, "channels; a multiple of 2 x heads") \
    X(INT, heads, 0, 1, 1024, "attention heads") \
    X(INT, kv_heads, 0, 1, 1024, "key/value heads (grouped attention); divides heads") \
    X(INT, ff, 0, 8, 262144, "inner width of the feed-forward part") \
    X(INT, seq_len, 0, 8, 1048576, \
      "tokens in a training sequence; with --init at most the model's") \
    X(FLAG, tied, false, 0, 0, "share the embedding with the output head") \
    X(REAL, dropout, 0, 0, 0.9, "dropout on the residual branches")

#define MD_DATA_SETTINGS(X) \
    X(TEXT, tokenizer, "bytes", 0, 0, "bytes, chars, bpe, or a tokenizer.json to reuse") \
    X(INT, vocab_size, 4096, 260, 1000000, "vocabulary to train with --tokenizer bpe") \
    X(FLAG, nfc, false, 0, 0, "normalise text to NFC (with bpe)") \
    X(CHOICE, pack, "wrap", 0, 0, "wrap: sequences run through the ends of documents") \
    X(TEXT, val, "", 0, 0, "file or folder to validate on, in place of a part of the corpus") \
    X(REAL, val_fraction, 0.1, 0, 0.9, "share of the corpus kept for validation") \
    X(FLAG, sft, false, 0, 0, \
      "fine-tune: FILE is JSON lines with \"prompt\" and \"response\", or \"messages\"; usually " \
      "with --init") \
    X(CHOICE, sft_padding, "auto", 0, 0, \
      "auto|tail|exclude|count: what follows an answer: end-of-text over a room that varies; " \
      "nothing; end-of-text to the longest pair, which counts as answer (LLaDA); auto: tail, or " \
      "exclude with --objective ar")

#define MD_OBJECTIVE_SETTINGS(X) \
    X(CHOICE, noise_schedule, "poly", 0, 0, \
      "linear|cosine|poly|geometric: how noise levels are drawn; the bound is the same") \
    X(TEXT, noise_clip, "auto", 0, 0, \
      "LOW,HIGH: train on masked shares from LOW to HIGH alone, whose loss is then what training " \
      "reports; off: on all; auto: with --objective block, those whose loss is the sharpest " \
      "estimate of the bound, measured at each validation") \
    X(CHOICE, objective, "mdlm", 0, 0, \
      "mdlm|block|ar: masked diffusion; block diffusion, blocks from left to right; " \
      "autoregressive, each token from those before it") \
    X(INT, block_length, 0, 1, 1048576, "tokens in a block with --objective block") \
    X(INT, lora, 0, 0, 65536, \
      "train adapters of this rank beside the frozen model of --init, and save them alone; 0: " \
      "all weights")

typedef struct md_train_settings {
    MD_MODEL_SETTINGS(MD_OPTION_FIELD)
    MD_DATA_SETTINGS(MD_OPTION_FIELD)
    MD_OBJECTIVE_SETTINGS(MD_OPTION_FIELD)
    md_loop_settings loop;
} md_train_settings;

/* All of md_train_settings. */
extern const md_option md_model_settings_table[];
extern const md_option md_data_settings_table[];
extern const md_option md_objective_settings_table[];
extern const md_option md_text_loop_table[];
extern const md_option md_text_run_table[];

#endif
