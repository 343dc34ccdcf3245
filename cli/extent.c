/* cli/extent.c: see extent.h. */
#include "cli/extent.h"

#include <string.h>

#include "base/error.h"

/* The divisors of `length` around `wanted`, for a message. */
static mdlm_status no_divisor(const char *flag, int64_t wanted, int64_t length, mdlm_error *err) {
    int64_t below = wanted < length ? wanted : length, above = wanted;
    while (length % below != 0) below--;
    while (above < length && length % above != 0) above++;
    if (above > length) above = below;
    return md_fail(err, MDLM_USAGE,
                   "%s %lld does not divide the %lld new tokens: the nearest that do are %lld and "
                   "%lld",
                   flag, (long long)wanted, (long long)length, (long long)below, (long long)above);
}

/* Tokens behind `used` up to the end of a canvas; 0 when the model takes no more. */
static int64_t room_behind(int64_t used, mdlm_model_info info) {
    const int64_t whole = (used / info.canvas + 1) * info.canvas;
    const int64_t end = whole < info.seq_len ? whole : info.seq_len;
    return used < end ? end - used : 0;
}

/* Equal blocks of the new tokens, from whichever of the three numbers were given. */
static mdlm_status plan_equal(const md_extent_wish *w, mdlm_model_info info, int64_t used,
                              int64_t out[2], mdlm_error *err) {
    bool by_length = w->block_length > 0;
    int64_t length = w->length, blocks = w->blocks, unit = by_length ? w->block_length : blocks;
    if (length < 1) {
        length = room_behind(used, info);
        if (length < 1) length = 1;
        if (used > 0) length = length < unit ? unit : length - length % unit;
        if (by_length && w->blocks_given) length = blocks * unit;
    }
    if (length % unit != 0)
        return no_divisor(by_length ? "--block-length" : "--blocks", unit, length, err);
    if (by_length && w->blocks_given && blocks * unit != length)
        return md_fail(err, MDLM_USAGE,
                       "--blocks %lld of --block-length %lld are %lld tokens, not --length %lld",
                       (long long)blocks, (long long)unit, (long long)(blocks * unit),
                       (long long)length);
    out[0] = length;
    out[1] = by_length ? length / unit : blocks;
    return MDLM_OK;
}

/* The model's own blocks, of which the first and the last may hold given tokens. */
static mdlm_status plan_own(const md_extent_wish *w, mdlm_model_info info, int64_t used,
                            int64_t out[2], mdlm_error *err) {
    int64_t unit = info.block_length, length = w->length, rest = unit - used % unit;
    if (w->block_length > 0 && w->block_length != unit)
        return md_fail(err, MDLM_USAGE,
                       "--block-length %lld: this model was trained on blocks of %d",
                       (long long)w->block_length, info.block_length);
    if (length < 1) {
        length = room_behind(used, info);
        if (length < 1) length = rest;
        if (w->blocks_given) length = rest + (w->blocks - 1) * unit;
    }
    int64_t blocks = w->scattered ? 1 : (used + length + unit - 1) / unit - used / unit;
    if (w->blocks_given && w->blocks != blocks)
        return md_fail(err, MDLM_USAGE,
                       "--blocks %lld: this model was trained on blocks of %d tokens, leave it out",
                       (long long)w->blocks, info.block_length);
    out[0] = length;
    out[1] = blocks;
    return MDLM_OK;
}

/* A model that sees only the past writes a token at a time: blocks change nothing but how much two
 * of the numbers ask for. */
static void plan_past(const md_extent_wish *w, mdlm_model_info info, int64_t used, int64_t out[2]) {
    int64_t length = w->length;
    if (length < 1) {
        length = room_behind(used, info);
        if (length < 1) length = 1;
        if (w->block_length > 0 && w->blocks_given) length = w->blocks * w->block_length;
    }
    out[0] = length;
    out[1] = 1;
}

mdlm_status md_extent_plan(const md_extent_wish *wish, mdlm_model_info info, size_t used,
                           md_extent *out, mdlm_error *err) {
    int64_t plan[2];
    if (strcmp(info.objective, "ar") == 0) {
        plan_past(wish, info, (int64_t)used, plan);
    } else {
        bool own = strcmp(info.objective, "block") == 0;
        MD_TRY((own ? plan_own : plan_equal)(wish, info, (int64_t)used, plan, err));
    }
    if (plan[0] > INT32_MAX) return md_fail(err, MDLM_USAGE, "--length is too large");
    *out = (md_extent){.length = (int)plan[0], .blocks = (int)plan[1]};
    return MDLM_OK;
}
