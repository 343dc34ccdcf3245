/* train/clip.h: clipped noise levels of block diffusion, chosen by the error of the loss.
 *
 * Levels at which almost nothing or almost everything is masked teach little and make the loss of
 * a batch noisy, the more so the shorter the blocks. BD3-LM (section 5.3) draws the masked share
 * from [low, high] alone, and takes from a short list the bounds under which the bound's estimates
 * vary least, anew at each validation. We add to the variance the square of what the clipped loss
 * is off the bound: variance alone always takes the largest shares, where the number of masked
 * tokens varies least, and trains worse. The choice is a part of a run's state.
 *
 *     bool automatic;
 *     md_clip clip;
 *     MD_TRY(md_clip_parse("0.3,0.8", &automatic, &clip, err));
 */
#ifndef MD_TRAIN_CLIP_H
#define MD_TRAIN_CLIP_H

#include "diffusion/masked.h"

struct md_text_task;

typedef struct md_clip {
    double low, high; /* masked shares, 0 <= low < high <= 1 */
} md_clip;

extern const md_clip md_clips[]; /* what is chosen from; the first is [0, 1] */
enum { MD_CLIPS = 5 };

/* "auto" (*automatic, and [0, 1] to begin with), "off" ([0, 1]) or "LOW,HIGH". MDLM_USAGE
 * otherwise. */
mdlm_status md_clip_parse(const char *text, bool *automatic, md_clip *out, mdlm_error *err);

/* What a block lost with this share of its tokens masked, in expectation. */
typedef struct md_level_loss {
    double share;
    double loss; /* sum over its masked tokens of -log p, over its tokens */
} md_level_loss;

/* Under a clip: x = w(t) * loss over t as the schedule draws it. */
typedef struct md_clip_moments {
    double mean;
    /* Stratified levels take away what depends on t smoothly, so it is that of neighbours in t:
     * half their squared difference, weighted by their distance. */
    double variance;
} md_clip_moments;

/* `losses`: ascending in share, whatever its distribution. False with fewer than 16 of them in the
 * clip. */
bool md_clip_measured(const md_masked *process, md_clip clip, const md_level_loss *losses,
                      int64_t count, md_clip_moments *out);
/* Sorts `losses` and returns the clip under which a sequence of `blocks` blocks estimates the bound
 * best: least variance / blocks + (mean - mean under [0, 1])^2, the earlier of equals. */
md_clip md_clip_choose(const md_masked *process, md_level_loss *losses, int64_t count, int blocks);

/* Measures the losses of blocks of some training sequences, always the same ones, and chooses. */
mdlm_status md_clip_measure(struct md_text_task *task, const md_denoiser *denoiser, md_clip *out,
                            mdlm_error *err);

#endif
