/* tokenizer/regex.c: the subset construction; see regex.h. */
#include "tokenizer/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tokenizer/regex_internal.h"
#include "tokenizer/table.h"

enum { MOST_WORK = 1 << 26 };

struct md_regex {
    int states, columns;
    uint8_t column[256]; /* bytes that no state tells apart share a column */
    int16_t *next;       /* [states, columns] */
    uint8_t *accepts;    /* [states] */
};

typedef struct subsets {
    const md_re_nfa *nfa;
    md_regex *re;
    size_t capacity;   /* states that re->next has room for */
    md_interner known; /* sets of states of the nfa, sorted: index is the state here */
    int *members;      /* [nfa] of the set that is put together */
    int count;
    int *stack;       /* [nfa] */
    int *seen;        /* [nfa] the last set that a state was added to */
    int set;          /* number of the set that is put together */
    int64_t work;     /* states looked at */
    uint8_t rep[256]; /* [columns] a byte of each */
} subsets;

static mdlm_status too_many(mdlm_error *err) {
    return md_fail(err, MDLM_USAGE,
                   "regular expression: it is too complex: its automaton would have more than %d "
                   "states",
                   MD_REGEX_STATES);
}

/* Bytes between two bounds of ranges behave alike. */
static void number_columns(subsets *s) {
    bool starts[257] = {[0] = true};
    for (size_t i = 0; i < s->nfa->count; i++) {
        const md_re_state *state = &s->nfa->states[i];
        if (state->kind == MD_RE_BYTES) starts[state->low] = starts[state->high + 1] = true;
    }
    for (int byte = 0; byte < 256; byte++) {
        if (starts[byte]) s->rep[s->re->columns++] = (uint8_t)byte;
        s->re->column[byte] = (uint8_t)(s->re->columns - 1);
    }
}

static void start_set(subsets *s) {
    s->count = 0;
    s->set++;
}

/* Adds what is reached from a state without a byte. */
static void close_over(subsets *s, int state) {
    int depth = 0;
    s->stack[depth++] = state;
    if (s->seen[state] == s->set) return;
    s->seen[state] = s->set;
    while (depth > 0) {
        int at = s->stack[--depth];
        const md_re_state *n = &s->nfa->states[at];
        s->work++;
        if (n->kind != MD_RE_SPLIT) {
            s->members[s->count++] = at;
            continue;
        }
        const int to[2] = {n->out, n->other};
        for (int i = 0; i < 2; i++) {
            if (s->seen[to[i]] == s->set) continue;
            s->seen[to[i]] = s->set;
            s->stack[depth++] = to[i];
        }
    }
}

static int by_value(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* The state of the set that was put together: an old one, or a new one. */
static mdlm_status find_state(subsets *s, int16_t *out, mdlm_error *err) {
    size_t index;
    md_regex *re = s->re;
    if (s->count == 0) {
        *out = MD_REGEX_DEAD;
        return MDLM_OK;
    }
    if (s->count > 1) qsort(s->members, (size_t)s->count, sizeof *s->members, by_value);
    MD_TRY(
        md_interner_add(&s->known, s->members, (size_t)s->count * sizeof *s->members, &index, err));
    *out = (int16_t)index;
    if ((int)index < re->states) return MDLM_OK;
    if (re->states == MD_REGEX_STATES) return too_many(err);
    size_t row = (size_t)re->columns * sizeof *re->next;
    void *grown = md_grow(re->next, &s->capacity, index + 1, row, err);
    if (!grown) return MDLM_RUNTIME;
    re->next = grown;
    for (int i = 0; i < s->count; i++)
        if (s->nfa->states[s->members[i]].kind == MD_RE_MATCH) re->accepts[index] = 1;
    re->states++;
    return MDLM_OK;
}

static mdlm_status follow(subsets *s, size_t from, int column, mdlm_error *err) {
    size_t bytes;
    const char *text = md_interner_text(&s->known, from, &bytes);
    uint8_t byte = s->rep[column];
    start_set(s);
    for (size_t at = 0; at < bytes; at += sizeof(int)) {
        int member;
        memcpy(&member, text + at, sizeof member);
        const md_re_state *n = &s->nfa->states[member];
        s->work++;
        if (n->kind == MD_RE_BYTES && n->low <= byte && byte <= n->high) close_over(s, n->out);
    }
    if (s->work > MOST_WORK) return too_many(err);
    int16_t to;
    MD_TRY(find_state(s, &to, err));
    s->re->next[from * (size_t)s->re->columns + (size_t)column] = to;
    return MDLM_OK;
}

static mdlm_status construct(subsets *s, mdlm_error *err) {
    size_t n = s->nfa->count;
    int16_t start;
    s->members = md_alloc(n, sizeof *s->members, err);
    s->stack = md_alloc(n, sizeof *s->stack, err);
    s->seen = md_alloc(n, sizeof *s->seen, err);
    s->re->accepts = md_alloc(MD_REGEX_STATES, sizeof *s->re->accepts, err);
    if (!s->members || !s->stack || !s->seen || !s->re->accepts) return MDLM_RUNTIME;
    number_columns(s);
    start_set(s);
    close_over(s, s->nfa->start);
    MD_TRY(find_state(s, &start, err));
    for (int state = 0; state < s->re->states; state++)
        for (int column = 0; column < s->re->columns; column++)
            MD_TRY(follow(s, (size_t)state, column, err));
    return MDLM_OK;
}

static bool leads_on(const md_regex *re, const uint8_t *alive, int state) {
    for (int c = 0; c < re->columns; c++) {
        int to = re->next[state * re->columns + c];
        if (to >= 0 && alive[to]) return true;
    }
    return false;
}

/* Cuts transitions into states from which nothing is accepted. States are numbered by their
 * distance from the start, so that few rounds from the last to the first see all. */
static mdlm_status cut_dead_ends(md_regex *re, mdlm_error *err) {
    uint8_t *alive = md_alloc((size_t)re->states, sizeof *alive, err);
    if (!alive) return MDLM_RUNTIME;
    memcpy(alive, re->accepts, (size_t)re->states);
    for (bool changed = true; changed;) {
        changed = false;
        for (int state = re->states - 1; state >= 0; state--) {
            if (alive[state] || !leads_on(re, alive, state)) continue;
            alive[state] = 1;
            changed = true;
        }
    }
    for (int i = 0; i < re->states * re->columns; i++)
        if (re->next[i] >= 0 && !alive[re->next[i]]) re->next[i] = MD_REGEX_DEAD;
    bool some = alive[0];
    md_free(alive);
    return some ? MDLM_OK : md_fail(err, MDLM_USAGE, "regular expression: no text matches it");
}

static mdlm_status make(md_regex *re, md_arena *arena, const char *pattern, size_t size,
                        mdlm_error *err) {
    md_re_node *tree = NULL;
    md_re_nfa nfa = {0};
    subsets s = {.nfa = &nfa, .re = re};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_re_parse(arena, pattern, size, &tree, err));
    MD_GOTO(done, status, md_re_nfa_build(&nfa, tree, err));
    MD_GOTO(done, status, construct(&s, err));
    MD_GOTO(done, status, cut_dead_ends(re, err));
done:
    md_interner_release(&s.known);
    md_free(s.members);
    md_free(s.stack);
    md_free(s.seen);
    md_re_nfa_release(&nfa);
    return status;
}

mdlm_status md_regex_new(const char *pattern, size_t size, md_regex **out, mdlm_error *err) {
    md_arena *arena = md_arena_new(err);
    if (!arena) return MDLM_RUNTIME;
    md_regex *re = md_alloc(1, sizeof *re, err);
    mdlm_status status = re ? make(re, arena, pattern, size, err) : MDLM_RUNTIME;
    md_arena_free(arena);
    if (status == MDLM_OK) {
        *out = re;
    } else {
        md_regex_free(re);
    }
    return status;
}

void md_regex_free(md_regex *re) {
    if (!re) return;
    md_free(re->next);
    md_free(re->accepts);
    md_free(re);
}

int md_regex_states(const md_regex *re) {
    return re->states;
}

int md_regex_next(const md_regex *re, int state, uint8_t byte) {
    return re->next[state * re->columns + re->column[byte]];
}

bool md_regex_accepts(const md_regex *re, int state) {
    return re->accepts[state];
}

bool md_regex_matches(const md_regex *re, const char *text, size_t size) {
    int state = 0;
    for (size_t i = 0; i < size && state >= 0; i++)
        state = md_regex_next(re, state, (uint8_t)text[i]);
    return state >= 0 && re->accepts[state];
}
