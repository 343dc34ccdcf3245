/* train/loop_settings.h: what the training loop can be told, whatever it trains, as tables
 * (base/options.h).
 *
 *     typedef struct my_settings { ... md_loop_settings loop; } my_settings;
 *     #define MD_OPTION_STRUCT my_settings
 *     const md_option table[] = {
 *         MD_LOOP_SETTINGS(MD_LOOP_ROW, "sequences", "muon", 0.1, 0.95, 0.999){0}};
 *     #undef MD_OPTION_STRUCT
 *
 * Text and images differ in words and in some defaults, which are the macros' arguments. 0 where
 * the bounds exclude it is decided by the plan of each.
 */
#ifndef MD_TRAIN_LOOP_SETTINGS_H
#define MD_TRAIN_LOOP_SETTINGS_H

#include "base/options.h"

#define MD_LOOP_SETTINGS(X, ITEMS, OPTIMIZER, DECAY, BETA2, EMA) \
    X(INT, steps, 0, 1, 1e12, "optimizer steps") \
    X(TIME, time, 0, 1, 1e9, "train for this long instead: 240s, 10m, 2h") \
    X(INT, stop_at, 0, 1, 1e12, "stop and save after this step of a longer schedule") \
    X(INT, batch_size, 0, 1, 65536, ITEMS " in a micro-batch") \
    X(INT, accum, 1, 1, 65536, "micro-batches per optimizer step") \
    X(CHOICE, optimizer, OPTIMIZER, 0, 0, \
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
    X(REAL, weight_decay, DECAY, 0, 10, "decay of matrices") \
    X(REAL, beta2, BETA2, 0, 0.999999, "AdamW's second-moment decay") \
    X(REAL, grad_clip, 1, 0, 1e9, "largest gradient norm; 0: no clipping") \
    X(REAL, ema, EMA, 0, 0.999999, "decay of the averaged weights; 0: none")

#define MD_RUN_SETTINGS(X, SAMPLES) \
    X(INT, eval_every, 0, 1, 1e12, "steps between validations") \
    X(INT, sample_every, 0, 1, 1e12, "steps between " SAMPLES) \
    X(INT, save_every, 0, 1, 1e12, "steps between checkpoints") \
    X(INT, keep, 2, 1, 1000, "checkpoints kept") \
    X(FLAG, resume, false, 0, 0, "go on with the run in --run") \
    X(FLAG, overwrite, false, 0, 0, "replace the run in --run") \
    X(TEXT, init, "", 0, 0, "start from the weights of another run or model folder")

typedef struct md_loop_settings {
    MD_LOOP_SETTINGS(MD_OPTION_FIELD, "", "", 0, 0, 0)
    MD_RUN_SETTINGS(MD_OPTION_FIELD, "")
} md_loop_settings;

/* MD_OPTION_ROW of a field of the member `loop`. */
#define MD_LOOP_ROW(type, name, fallback, min, max, help) \
    {#name, MD_OPTION_##type, offsetof(MD_OPTION_STRUCT, loop.name), #fallback, min, max, help},

#endif
