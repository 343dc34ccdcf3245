/* train/sft.c: see sft.h. */
#include "train/sft.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "diffusion/likelihood.h"

enum {
    QUICK_PAIRS = 256,
    THOROUGH_PAIRS = 4096, /* the final report */
    DRAWS = 8,             /* answers are short */
    AT_ONCE = 16
};

md_sft_padding md_sft_padding_for(const char *name, md_sight sight) {
    if (!strcmp(name, "exclude")) return MD_SFT_EXCLUDE;
    if (!strcmp(name, "count")) return MD_SFT_COUNT;
    return strcmp(name, "tail") && sight == MD_SEES_PAST ? MD_SFT_EXCLUDE : MD_SFT_TAIL;
}

/* --- which pairs ------------------------------------------------------------------------------ */

static mdlm_status find_pairs(md_sft *s, md_part part, mdlm_error *err) {
    int64_t all = md_pairs_count(s->corpus, part), tokens = 0;
    s->pairs[part] = md_alloc((size_t)all + 1, sizeof *s->pairs[part], err);
    if (!s->pairs[part]) return MDLM_RUNTIME;
    for (int64_t i = 0; i < all; i++) {
        md_packed_pair pair = md_pairs_get(s->corpus, part, i);
        int64_t length = pair.prompt + pair.answer;
        if (length > s->options.seq_len) {
            s->skipped[part]++;
            continue;
        }
        s->pairs[part][s->count[part]++] = i;
        tokens += length;
        if (length > s->longest) s->longest = length;
        if (pair.answer > s->longest_answer) s->longest_answer = pair.answer;
    }
    if (part == MD_PART_TRAIN && s->count[part] > 0)
        s->mean = (double)tokens / (double)s->count[part];
    if (s->count[part] > 0) return MDLM_OK;
    const char *what = part == MD_PART_TRAIN ? "train" : "validate";
    if (all > 0)
        return md_fail(err, MDLM_INPUT,
                       "none of the %lld pairs to %s on fits the trained length of %d tokens",
                       (long long)all, what, s->options.seq_len);
    return md_fail(err, MDLM_INPUT,
                   "there is no pair to %s on: use another --val-fraction, or --val FILE", what);
}

mdlm_status md_sft_init(md_sft *s, const md_corpus *corpus, const md_tokenizer *tokenizer,
                        const md_sft_options *options, mdlm_error *err) {
    *s = (md_sft){.corpus = corpus, .tokenizer = tokenizer, .options = *options};
    if (!md_corpus_holds_pairs(corpus))
        return md_fail(err, MDLM_INPUT, "the corpus holds text, not prompts and responses");
    mdlm_status status = find_pairs(s, MD_PART_TRAIN, err);
    if (status == MDLM_OK) status = find_pairs(s, MD_PART_VAL, err);
    if (status != MDLM_OK) md_sft_release(s);
    return status;
}

void md_sft_release(md_sft *s) {
    for (int i = 0; i < 2; i++) md_free(s->pairs[i]);
    *s = (md_sft){.corpus = NULL};
}

/* --- sequences -------------------------------------------------------------------------------- */

static md_packed_pair pair_at(const md_sft *s, md_part part, int64_t i) {
    return md_pairs_get(s->corpus, part, s->pairs[part][i]);
}

/* Training sequence n: each pass goes through all pairs in an order of its own. */
static md_packed_pair training_pair(const md_sft *s, int64_t n) {
    int64_t count = s->count[MD_PART_TRAIN];
    md_rng order = {
        .seed = s->options.seed, .stream = MD_STREAM_ORDER, .step = (uint64_t)(n / count)};
    return pair_at(s, MD_PART_TRAIN,
                   (int64_t)md_permute(order, (uint64_t)(n % count), (uint64_t)count));
}

/* Tokens of a sequence, from its pair's: with the tail that a step draws. One draw for the whole
 * step, so that its sequences are of similar length and little is filled up. */
static int64_t drawn_length(const md_sft *s, int64_t step, int64_t length) {
    md_rng rng = {.seed = s->options.seed, .stream = MD_STREAM_ROOM, .step = (uint64_t)step};
    double room = (double)(s->options.seq_len - length);
    if (s->options.padding == MD_SFT_EXCLUDE) return length;
    if (s->options.padding == MD_SFT_COUNT) return s->longest;
    return length + (int64_t)pow(room + 2, md_uniform(rng, 0, 0)) - 1;
}

/* Up to whole blocks. */
static int64_t whole(const md_sft *s, int64_t length) {
    int64_t blocks = (length + s->options.block - 1) / s->options.block * s->options.block;
    return blocks < s->options.seq_len ? blocks : s->options.seq_len;
}

/* A sequence of `length` tokens; a row of ids and keep has T. */
static void write_sequence(const md_sft *s, md_part part, md_packed_pair pair, int64_t length,
                           int64_t T, int32_t *ids, uint8_t *keep) {
    int64_t pair_length = pair.prompt + pair.answer;
    md_corpus_read(s->corpus, part, pair.offset, ids, pair_length);
    memset(keep, 0, (size_t)T);
    memset(keep, 1, (size_t)pair.prompt);
    int64_t counted = s->options.padding == MD_SFT_EXCLUDE ? pair_length : length;
    for (int64_t i = pair_length; i < T; i++) {
        ids[i] = i < length ? md_tokenizer_end_of_text(s->tokenizer)
                            : md_tokenizer_padding(s->tokenizer);
        keep[i] = i >= counted;
    }
}

static mdlm_status read_sequences(void *context, int64_t step, int64_t first, md_text_batch *batch,
                                  mdlm_error *err) {
    const md_sft *s = context;
    (void)err;
    int64_t T = 0;
    for (int b = 0; b < batch->B; b++) {
        md_packed_pair pair = training_pair(s, first + b);
        int64_t length = whole(s, drawn_length(s, step, pair.prompt + pair.answer));
        bool all_counts = s->options.padding == MD_SFT_COUNT;
        batch->lengths[b] = (int32_t)length;
        batch->scored[b] = (int32_t)(all_counts ? length - pair.prompt : pair.answer);
        if (length > T) T = length;
    }
    batch->T = (int)T;
    for (int b = 0; b < batch->B; b++)
        write_sequence(s, MD_PART_TRAIN, training_pair(s, first + b), batch->lengths[b], T,
                       batch->ids + b * T, batch->keep + b * T);
    return MDLM_OK;
}

/* --- validation ------------------------------------------------------------------------------- */

/* Canvases of one length on the way to the network. */
typedef struct canvases {
    const md_sft *sft;
    const md_denoiser *model;
    md_likelihood sum;
    int64_t done, answers; /* canvases scored, tokens of their answers */
    int held;
    int32_t *ids;  /* [AT_ONCE, seq_len] */
    uint8_t *keep; /* the same */
} canvases;

static mdlm_status score_held(canvases *c, int T, mdlm_error *err) {
    /* Fixed masks: the same seed whatever the run's, so that curves can be compared. */
    const md_likelihood_options opt = {
        .method = MD_METHOD_NELBO, .draws = DRAWS, .batch = AT_ONCE, .seed = 7};
    const md_likelihood_batch batch = {
        .ids = c->ids, .count = c->held, .T = T, .first = c->done, .keep = c->keep};
    if (c->held == 0) return MDLM_OK;
    c->done += c->held;
    c->held = 0;
    return md_likelihood_add(&c->sum, c->model, &opt, &batch, NULL, err);
}

/* The room of a validation pair's canvas. */
static int64_t canvas_length(const md_sft *s, md_packed_pair pair) {
    bool own = s->options.padding == MD_SFT_EXCLUDE;
    return whole(s, pair.prompt + (own ? pair.answer : s->longest_answer));
}

/* Scores those of `count` pairs, evenly spread, whose canvases have T tokens. */
static mdlm_status score_length(canvases *c, int64_t count, int T, mdlm_error *err) {
    const md_sft *s = c->sft;
    for (int64_t k = 0; k < count; k++) {
        md_packed_pair pair = pair_at(s, MD_PART_VAL, k * s->count[MD_PART_VAL] / count);
        if (canvas_length(s, pair) != T) continue;
        write_sequence(s, MD_PART_VAL, pair, T, T, c->ids + (int64_t)c->held * T,
                       c->keep + (int64_t)c->held * T);
        c->answers += pair.answer;
        if (++c->held == AT_ONCE) MD_TRY(score_held(c, T, err));
    }
    return score_held(c, T, err);
}

static mdlm_status validate(void *context, const md_denoiser *model, bool thorough, double *value,
                            mdlm_error *err) {
    const md_sft *s = context;
    int64_t most = thorough ? THOROUGH_PAIRS : QUICK_PAIRS, all = s->count[MD_PART_VAL];
    canvases c = {.sft = s, .model = model};
    size_t room = (size_t)AT_ONCE * (size_t)s->options.seq_len;
    c.ids = md_alloc(room, sizeof *c.ids, err);
    c.keep = md_alloc(room, sizeof *c.keep, err);
    mdlm_status status = c.ids && c.keep ? MDLM_OK : MDLM_RUNTIME;
    for (int T = 1; T <= s->options.seq_len && status == MDLM_OK; T++)
        status = score_length(&c, all < most ? all : most, T, err);
    if (status == MDLM_OK) *value = md_likelihood_finish(&c.sum).nats / (double)c.answers;
    md_free(c.ids);
    md_free(c.keep);
    return status;
}

/* The prompt of a validation pair, and room for its answer. */
static int ask(void *context, int64_t number, int32_t *ids, int room, int *given) {
    const md_sft *s = context;
    md_packed_pair pair = pair_at(s, MD_PART_VAL, number % s->count[MD_PART_VAL]);
    int64_t length = canvas_length(s, pair);
    if (length > room) return 0;
    md_corpus_read(s->corpus, MD_PART_VAL, pair.offset, ids, pair.prompt);
    *given = (int)pair.prompt;
    return (int)length;
}

md_sequences md_sft_sequences(md_sft *s) {
    return (md_sequences){.context = s,
                          .read = read_sequences,
                          .validate = validate,
                          .ask = ask,
                          .usual_length = (int)ceil(s->mean),
                          .unit = 1,
                          .per = "answer token"};
}
