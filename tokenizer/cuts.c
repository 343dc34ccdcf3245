/* tokenizer/cuts.c: see cuts.h. */
#include "tokenizer/cuts.h"

#include <string.h>

#include "base/memory.h"
#include "tokenizer/unicode.h"

const char md_expression_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

#define LINES(contractions, digits) \
    contractions "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits \
                 "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const char md_expression_qwen2[] = LINES("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "");

static const struct {
    const char *source;
    md_split_fn split;
} known[] = {
    {md_expression_gpt2, md_split_gpt2},
    {md_expression_qwen2, md_split_qwen2},
    {LINES("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "{1,3}"), md_split_llama3},
    /* LLaDA's: possessive where nothing could be given back, and one line break where \s* has
     * taken all others */
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
     "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
     md_split_qwen2},
    {"\\p{N}", md_split_numbers},
};

const char *md_behaviour_name(md_behaviour behaviour) {
    static const char *const names[MD_BEHAVIOURS] = {
        [MD_CUT_ISOLATED] = "Isolated",
        [MD_CUT_REMOVED] = "Removed",
        [MD_CUT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [MD_CUT_MERGED_WITH_NEXT] = "MergedWithNext",
        [MD_CUT_CONTIGUOUS] = "Contiguous",
    };
    return names[behaviour];
}

static md_split_fn function_of(const md_cut *cut) {
    bool isolated = cut->behaviour == MD_CUT_ISOLATED && !cut->invert;
    if (cut->literal || !isolated) return NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].source, cut->source) == 0) return known[i].split;
    }
    return NULL;
}

mdlm_status md_cuts_add(md_cuts *cuts, const md_cut *cut, mdlm_error *err) {
    if (cuts->count == MD_MOST_CUTS) {
        return md_fail(err, MDLM_INPUT, "the pre-tokenizer has more than %d parts", MD_MOST_CUTS);
    }
    md_cut_step added = {.cut = *cut, .split = function_of(cut)};
    if (!added.split && !cut->literal) MD_TRY(md_pattern_new(cut->source, &added.pattern, err));
    added.cut.source = md_strdup(cut->source, err);
    if (!added.cut.source) {
        md_pattern_free(added.pattern);
        return MDLM_RUNTIME;
    }
    cuts->steps[cuts->count++] = added;
    return MDLM_OK;
}

void md_cuts_release(md_cuts *cuts) {
    for (int i = 0; i < cuts->count; i++) {
        md_pattern_free(cuts->steps[i].pattern);
        md_free((char *)cuts->steps[i].cut.source);
    }
    *cuts = (md_cuts){0};
}

bool md_cuts_are(const md_cuts *cuts, const char *source) {
    const md_cut *cut = &cuts->steps[0].cut;
    return cuts->count == 1 && !cut->literal && !cut->invert && cut->behaviour == MD_CUT_ISOLATED &&
           strcmp(cut->source, source) == 0;
}

/* A walk: places in `text`, which the engine sees as `view`, valid UTF-8 of the same size. */
typedef struct walk {
    const md_cuts *cuts;
    const char *text, *view;
    md_pattern_run run;
    md_word_fn word;
    void *context;
    mdlm_error *err;
} walk;

/* The piece of one cut that is not yet given on, because what follows may join it. */
typedef struct held {
    int cut;
    size_t start, end;
    bool is_match;
} held;

static mdlm_status cut_piece(walk *w, int cut, size_t start, size_t end);

static mdlm_status give(walk *w, const held *h) {
    return h->end > h->start ? cut_piece(w, h->cut + 1, h->start, h->end) : MDLM_OK;
}

/* Takes the next stretch of a piece, matched or not, as Hugging Face's behaviours say. */
static mdlm_status take(walk *w, held *h, size_t end, bool is_match) {
    const md_cut *cut = &w->cuts->steps[h->cut].cut;
    is_match = is_match != cut->invert;
    bool first = h->end == h->start, joins = false;
    size_t start = h->end;
    switch (cut->behaviour) {
    case MD_CUT_ISOLATED: break;
    case MD_CUT_REMOVED:
        MD_TRY(give(w, h));
        h->start = is_match ? end : start;
        h->end = end;
        return MDLM_OK;
    case MD_CUT_MERGED_WITH_PREVIOUS: joins = is_match && !h->is_match; break;
    case MD_CUT_MERGED_WITH_NEXT: joins = !is_match && h->is_match; break;
    case MD_CUT_CONTIGUOUS: joins = is_match == h->is_match; break;
    case MD_BEHAVIOURS: break;
    }
    if (!joins && !first) {
        MD_TRY(give(w, h));
        h->start = start;
    }
    h->end = end;
    h->is_match = is_match;
    return MDLM_OK;
}

/* The first match of a cut in the piece, from `from` on; places are the text's. */
static mdlm_status find_match(walk *w, const md_cut_step *c, const held *piece, size_t from,
                              md_match *found) {
    if (c->cut.literal) {
        size_t size = strlen(c->cut.source);
        const char *at =
            size > 0 ? memmem(w->text + from, piece->end - from, c->cut.source, size) : NULL;
        *found = (md_match){.is = at != NULL};
        if (at) found->start = (size_t)(at - w->text), found->end = found->start + size;
        return MDLM_OK;
    }
    MD_TRY(md_pattern_find(c->pattern, &w->run, w->view + piece->start, piece->end - piece->start,
                           from - piece->start, found, w->err));
    found->start += piece->start;
    found->end += piece->start;
    return MDLM_OK;
}

/* An empty match cuts, unless it is where the last one ended, as in Hugging Face's library. */
static mdlm_status cut_by_matches(walk *w, int cut, size_t start, size_t end) {
    const held piece = {.start = start, .end = end};
    held h = {.cut = cut, .start = start, .end = start};
    size_t from = start, last = SIZE_MAX;
    while (from <= end) {
        md_match m = {0};
        MD_TRY(find_match(w, &w->cuts->steps[cut], &piece, from, &m));
        if (!m.is) break;
        if (m.end == m.start && m.end == last) {
            if (from == end) break;
            md_utf8_next(w->view, end, &from);
            continue;
        }
        if (m.start > h.end) MD_TRY(take(w, &h, m.start, false));
        MD_TRY(take(w, &h, m.end, true));
        from = last = m.end;
    }
    if (h.end < end) MD_TRY(take(w, &h, end, false));
    return give(w, &h);
}

static mdlm_status cut_piece(walk *w, int cut, size_t start, size_t end) {
    if (cut == w->cuts->count) {
        return w->word(w->context, w->text + start, end - start, w->err);
    }
    md_split_fn split = w->cuts->steps[cut].split;
    if (!split) return cut_by_matches(w, cut, start, end);
    for (size_t stop; start < end; start = stop) {
        stop = split(w->text, end, start);
        MD_TRY(cut_piece(w, cut + 1, start, stop));
    }
    return MDLM_OK;
}

static bool needs_engine(const md_cuts *cuts) {
    for (int i = 0; i < cuts->count; i++) {
        if (cuts->steps[i].pattern) return true;
    }
    return false;
}

/* A copy with U+0001, which has no category that expressions ask for, in the place of each byte
 * that is not UTF-8; *copy stays NULL when there is none. */
static mdlm_status repair(const char *text, size_t size, char **copy, mdlm_error *err) {
    for (size_t at = 0; at < size;) {
        size_t start = at;
        if (md_utf8_next(text, size, &at) >= 0) continue;
        if (!*copy) *copy = md_strndup(text, size, err);
        if (!*copy) return MDLM_RUNTIME;
        (*copy)[start] = 1;
    }
    return MDLM_OK;
}

mdlm_status md_cuts_each(const md_cuts *cuts, const char *text, size_t size, md_word_fn word,
                         void *context, mdlm_error *err) {
    walk w = {.cuts = cuts,
              .text = text,
              .run = {.bytes = size},
              .word = word,
              .context = context,
              .err = err};
    char *copy = NULL;
    mdlm_status status = MDLM_OK;
    if (size == 0) return MDLM_OK;
    if (needs_engine(cuts)) status = repair(text, size, &copy, err);
    w.view = copy ? copy : text;
    if (status == MDLM_OK) status = cut_piece(&w, 0, 0, size);
    md_pattern_run_release(&w.run);
    md_free(copy);
    return status;
}
