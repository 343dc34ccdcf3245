/* train/settings.h: everything a text training can be told, as tables (base/options.h).
 *
 * 0 (or an empty text) where the bounds exclude it means "chosen from the corpus": train/plan.c
 * decides, and the decision is printed before training starts.
 */
#ifndef MD_TRAIN_SETTINGS_H
#define MD_TRAIN_SETTINGS_H

#include "base/options.h"

#define MD_MODEL_SETTINGS(X) \
    X(CHOICE, preset, "auto", 0, 0, "auto|1m|3m|10m|25m|50m|160m|400m|1b: model size") \
    X(INT, layers, 0, 1, 512, "transformer blocks") \
    X(INT, dim, 0, 8, 65536, "channels; a multiple of 2 x heads") \
    X(INT, heads, 0, 1, 1024, "attention heads") \
    X(INT, kv_heads, 0, 1, 1024, "key/value heads (grouped attention); divides heads") \
    X(INT, ff, 0, 8, 262144, "inner width of the feed-forward part") \
    X(INT, seq_len, 0, 8, 1048576, "tokens in a training sequence") \
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

#define MD_TRAINING_SETTINGS(X) \
    X(INT, steps, 0, 1, 1e12, "optimizer steps") \
    X(TIME, time, 0, 1, 1e9, "train for this long instead: 240s, 10m, 2h") \
    X(INT, stop_at, 0, 1, 1e12, "stop and save after this step of a longer schedule") \
    X(INT, batch_size, 0, 1, 65536, "sequences in a micro-batch") \
    X(INT, accum, 1, 1, 65536, "micro-batches per optimizer step") \
    X(CHOICE, optimizer, "muon", 0, 0, \
      "adamw|muon: update rule; muon orthogonalises the updates of the blocks' matrices") \
    X(REAL, lr, 0, 1e-9, 10, "peak learning rate") \
    X(REAL, muon_lr, 0, 1e-9, 10, "peak learning rate of the blocks' matrices with muon") \
    X(CHOICE, lr_schedule, "linear", 0, 0, "cosine|linear|constant|wsd: after the warm-up") \
    X(INT, warmup, 0, 1, 1e9, "steps of linear warm-up") \
    X(CHOICE, dtype, "auto", 0, 0, \
      "auto|f32|bf16: operands of matrix products, sums stay f32; auto: bf16 where the processor " \
      "has instructions for it") \
    X(FLAG, checkpoint_activations, false, 0, 0, \
      "compute each block again in the backward pass: less memory, a third more time") \
    X(REAL, weight_decay, 0.1, 0, 10, "decay of matrices") \
    X(REAL, beta2, 0.95, 0, 0.999999, "AdamW's second-moment decay") \
    X(REAL, grad_clip, 1, 0, 1e9, "largest gradient norm; 0: no clipping") \
    X(REAL, ema, 0.999, 0, 0.999999, "decay of the averaged weights; 0: none") \
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

#define MD_RUN_SETTINGS(X) \
    X(INT, eval_every, 0, 1, 1e12, "steps between validations") \
    X(INT, sample_every, 0, 1, 1e12, "steps between sample lines") \
    X(INT, save_every, 0, 1, 1e12, "steps between checkpoints") \
    X(INT, keep, 2, 1, 1000, "checkpoints kept") \
    X(FLAG, resume, false, 0, 0, "go on with the run in --run") \
    X(FLAG, overwrite, false, 0, 0, "replace the run in --run") \
    X(TEXT, init, "", 0, 0, "start from the weights of another run or model folder")

typedef struct md_train_settings {
    MD_MODEL_SETTINGS(MD_OPTION_FIELD)
    MD_DATA_SETTINGS(MD_OPTION_FIELD)
    MD_TRAINING_SETTINGS(MD_OPTION_FIELD)
    MD_RUN_SETTINGS(MD_OPTION_FIELD)
} md_train_settings;

extern const md_option md_model_settings_table[];
extern const md_option md_data_settings_table[];
extern const md_option md_training_settings_table[];
extern const md_option md_run_settings_table[];

#endif
