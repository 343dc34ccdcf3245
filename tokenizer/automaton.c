/* tokenizer/automaton.c: see automaton.h. Tokens are walked in the order of their bytes, so that
 * what is shared with the token before is not walked again: a trie without nodes. */
#include "tokenizer/automaton.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tokenizer/regex.h"
#include "tokenizer/table.h"

enum { MOST_MOVES = 1 << 25 };

typedef struct piece {
    const char *bytes;
    size_t size;
    int32_t id;
} piece;

/* From which states, and to where, the first bytes of a token lead; for every depth. */
typedef struct walk {
    md_automaton *a;
    const md_regex *re;
    md_move *moves; /* of all depths, one after the other */
    size_t capacity;
    size_t *start; /* [longest + 2] where a depth's moves start */
    size_t depth;  /* depths 0 .. depth are known */
    md_interner classes;
} walk;

static mdlm_status too_large(mdlm_error *err) {
    return md_fail(err, MDLM_USAGE,
                   "regular expression: it is too complex for this vocabulary: more than %d moves",
                   MOST_MOVES);
}

static int by_bytes(const void *a, const void *b) {
    const piece *x = a, *y = b;
    size_t shared = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->bytes, y->bytes, shared);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* The ordinary tokens, sorted. Tokens without bytes would let a text stand still: left out. */
static piece *sorted_pieces(const md_tokenizer *tok, size_t *count, mdlm_error *err) {
    int ids = md_tokenizer_vocab_size(tok);
    piece *list = md_alloc((size_t)ids, sizeof *list, err);
    *count = 0;
    for (int32_t id = 0; list && id < ids; id++) {
        piece p = {.id = id};
        p.bytes = md_tokenizer_piece(tok, id, &p.size);
        if (p.size > 0) list[(*count)++] = p;
    }
    if (*count > 1) qsort(list, *count, sizeof *list, by_bytes);
    return list;
}

static mdlm_status start_walk(walk *w, const piece *list, size_t count, mdlm_error *err) {
    size_t longest = 0, states = (size_t)md_regex_states(w->re);
    for (size_t i = 0; i < count; i++) longest = list[i].size > longest ? list[i].size : longest;
    w->start = md_alloc(longest + 2, sizeof *w->start, err);
    if (!w->start) return MDLM_RUNTIME;
    w->moves = md_grow(NULL, &w->capacity, states, sizeof *w->moves, err);
    if (!w->moves) return MDLM_RUNTIME;
    for (size_t q = 0; q < states; q++) w->moves[q] = (md_move){(int16_t)q, (int16_t)q};
    w->start[1] = states;
    return MDLM_OK;
}

/* One byte further than the known depths. */
static mdlm_status go_down(walk *w, uint8_t byte, mdlm_error *err) {
    size_t from = w->start[w->depth], end = w->start[w->depth + 1], to = end;
    void *grown = md_grow(w->moves, &w->capacity, end + (end - from), sizeof *w->moves, err);
    if (!grown) return MDLM_RUNTIME;
    w->moves = grown;
    for (size_t i = from; i < end; i++) {
        int next = md_regex_next(w->re, w->moves[i].to, byte);
        if (next >= 0) w->moves[to++] = (md_move){w->moves[i].from, (int16_t)next};
    }
    w->depth++;
    w->start[w->depth + 1] = to;
    return MDLM_OK;
}

/* Class 0 has no moves; the others are numbered as they are met. */
static mdlm_status class_of_moves(walk *w, const md_move *moves, size_t count, int32_t *out,
                                  mdlm_error *err) {
    size_t index;
    *out = 0;
    if (count == 0) return MDLM_OK;
    MD_TRY(md_interner_add(&w->classes, moves, count * sizeof *moves, &index, err));
    *out = (int32_t)index + 1;
    return w->classes.bytes.size / sizeof *moves > MOST_MOVES ? too_large(err) : MDLM_OK;
}

/* A walk that died stays at its last depth: whoever shares more is dead as well. */
static mdlm_status walk_piece(walk *w, const piece *p, size_t shared, mdlm_error *err) {
    if (w->depth > shared) w->depth = shared;
    while (w->depth < p->size && w->start[w->depth] < w->start[w->depth + 1])
        MD_TRY(go_down(w, (uint8_t)p->bytes[w->depth], err));
    size_t first = w->start[w->depth], count = w->start[w->depth + 1] - first;
    return class_of_moves(w, w->moves + first, count, &w->a->class_of[p->id], err);
}

static size_t shared_bytes(const piece *x, const piece *y) {
    size_t n = 0;
    while (n < x->size && n < y->size && x->bytes[n] == y->bytes[n]) n++;
    return n;
}

static mdlm_status walk_pieces(walk *w, const piece *list, size_t count, mdlm_error *err) {
    MD_TRY(start_walk(w, list, count, err));
    for (size_t i = 0; i < count; i++) {
        size_t shared = i > 0 ? shared_bytes(&list[i - 1], &list[i]) : 0;
        MD_TRY(walk_piece(w, &list[i], shared, err));
    }
    return MDLM_OK;
}

static mdlm_status add_end_of_text(walk *w, int32_t id, mdlm_error *err) {
    int16_t ended = (int16_t)md_regex_states(w->re);
    size_t count = 0;
    void *grown = md_grow(w->moves, &w->capacity, (size_t)ended + 1, sizeof *w->moves, err);
    if (!grown) return MDLM_RUNTIME;
    w->moves = grown;
    for (int16_t q = 0; q < ended; q++)
        if (md_regex_accepts(w->re, q)) w->moves[count++] = (md_move){q, ended};
    w->moves[count++] = (md_move){ended, ended};
    return class_of_moves(w, w->moves, count, &w->a->class_of[id], err);
}

/* Takes the classes over from the walk. */
static mdlm_status lay_out_moves(walk *w, mdlm_error *err) {
    md_automaton *a = w->a;
    size_t total = w->classes.bytes.size / sizeof *a->moves, at = 0;
    a->classes = (int)w->classes.count + 1;
    a->first = md_alloc((size_t)a->classes + 1, sizeof *a->first, err);
    a->moves = md_alloc(total, sizeof *a->moves, err);
    if (!a->first || !a->moves) return MDLM_RUNTIME;
    for (size_t c = 0; c < w->classes.count; c++) {
        size_t bytes;
        const char *moves = md_interner_text(&w->classes, c, &bytes);
        a->first[c + 1] = at;
        memcpy(a->moves + at, moves, bytes);
        at += bytes / sizeof *a->moves;
    }
    a->first[a->classes] = at;
    return MDLM_OK;
}

static void find_span(md_automaton *a, int state) {
    const uint64_t *onward = a->onward + (size_t)state * (size_t)a->words;
    int from = 0, end = a->words;
    while (from < end && !onward[from]) from++;
    while (end > from && !onward[end - 1]) end--;
    a->span[state][0] = from;
    a->span[state][1] = end;
}

static mdlm_status connect_states(walk *w, const uint8_t *allowed, mdlm_error *err) {
    md_automaton *a = w->a;
    size_t words = (size_t)a->words;
    uint8_t *seen = md_alloc((size_t)a->classes, sizeof *seen, err);
    if (!seen) return MDLM_RUNTIME;
    for (int32_t v = 0; v < a->vocab; v++) {
        int32_t c = a->class_of[v];
        a->drawable[v] = c > 0 && (!allowed || allowed[v]);
        if (!a->drawable[v] || seen[c]) continue;
        seen[c] = 1;
        for (size_t i = a->first[c]; i < a->first[c + 1]; i++)
            md_state_add(a->onward + (size_t)a->moves[i].from * words, a->moves[i].to);
    }
    md_free(seen);
    for (int q = 0; q < a->states; q++) find_span(a, q);
    for (int q = 0; q < a->states - 1; q++)
        if (md_regex_accepts(w->re, q)) md_state_add(a->accepting, q);
    md_state_add(a->accepting, a->states - 1);
    return MDLM_OK;
}

static mdlm_status make(walk *w, const md_tokenizer *tok, const uint8_t *allowed, mdlm_error *err) {
    md_automaton *a = w->a;
    size_t count, vocab = (size_t)a->vocab;
    a->states = md_regex_states(w->re) + 1;
    a->words = (a->states + 63) / 64;
    a->class_of = md_alloc(vocab, sizeof *a->class_of, err);
    a->drawable = md_alloc(vocab, sizeof *a->drawable, err);
    a->onward = md_alloc((size_t)a->states * (size_t)a->words, sizeof *a->onward, err);
    a->span = md_alloc((size_t)a->states, sizeof *a->span, err);
    a->accepting = md_alloc((size_t)a->words, sizeof *a->accepting, err);
    if (!a->class_of || !a->drawable || !a->onward || !a->span || !a->accepting)
        return MDLM_RUNTIME;
    piece *list = sorted_pieces(tok, &count, err);
    mdlm_status status = list ? walk_pieces(w, list, count, err) : MDLM_RUNTIME;
    md_free(list);
    int32_t end = md_tokenizer_end_of_text(tok);
    if (status == MDLM_OK && end >= 0) status = add_end_of_text(w, end, err);
    if (status == MDLM_OK) status = lay_out_moves(w, err);
    return status == MDLM_OK ? connect_states(w, allowed, err) : status;
}

mdlm_status md_automaton_new(const md_tokenizer *tok, const char *pattern, size_t size,
                             const uint8_t *allowed, int vocab, md_automaton **out,
                             mdlm_error *err) {
    MD_BUG_IF(vocab < md_tokenizer_vocab_size(tok));
    md_regex *re = NULL;
    MD_TRY(md_regex_new(pattern, size, &re, err));
    walk w = {.a = md_alloc(1, sizeof *w.a, err), .re = re};
    mdlm_status status = MDLM_RUNTIME;
    if (w.a) {
        w.a->vocab = vocab;
        status = make(&w, tok, allowed, err);
    }
    md_free(w.moves);
    md_free(w.start);
    md_interner_release(&w.classes);
    md_regex_free(re);
    if (status == MDLM_OK)
        *out = w.a;
    else
        md_automaton_free(w.a);
    return status;
}

void md_automaton_free(md_automaton *a) {
    if (!a) return;
    md_free(a->class_of);
    md_free(a->drawable);
    md_free(a->first);
    md_free(a->moves);
    md_free(a->onward);
    md_free(a->span);
    md_free(a->accepting);
    md_free(a);
}

void md_automaton_step(const md_automaton *a, const uint64_t *from, int32_t token, uint64_t *to) {
    int32_t c = a->class_of[token];
    memset(to, 0, (size_t)a->words * sizeof *to);
    for (size_t i = a->first[c]; i < a->first[c + 1]; i++)
        if (md_state_in(from, a->moves[i].from)) md_state_add(to, a->moves[i].to);
}

void md_automaton_step_back(const md_automaton *a, const uint64_t *to, int32_t token,
                            uint64_t *from) {
    int32_t c = a->class_of[token];
    memset(from, 0, (size_t)a->words * sizeof *from);
    for (size_t i = a->first[c]; i < a->first[c + 1]; i++)
        if (md_state_in(to, a->moves[i].to)) md_state_add(from, a->moves[i].from);
}

void md_automaton_any(const md_automaton *a, const uint64_t *from, uint64_t *to) {
    memset(to, 0, (size_t)a->words * sizeof *to);
    for (int q = 0; q < a->states; q++) {
        if (!md_state_in(from, q)) continue;
        const uint64_t *onward = a->onward + (size_t)q * (size_t)a->words;
        for (int w = a->span[q][0]; w < a->span[q][1]; w++) to[w] |= onward[w];
    }
}

void md_automaton_any_back(const md_automaton *a, const uint64_t *to, uint64_t *from) {
    memset(from, 0, (size_t)a->words * sizeof *from);
    for (int q = 0; q < a->states; q++) {
        const uint64_t *onward = a->onward + (size_t)q * (size_t)a->words;
        uint64_t meet = 0;
        for (int w = a->span[q][0]; w < a->span[q][1] && !meet; w++) meet = onward[w] & to[w];
        if (meet) md_state_add(from, q);
    }
}
