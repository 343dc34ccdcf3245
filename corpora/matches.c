/* corpora/matches.c: see matches.h.
 *
 * A state of the automaton is a class of substrings that end at the same places of the text: those
 * longer than its link's and at most `length` long, each a suffix of the longest. Reading the
 * reference, the automaton is in the state of the longest substring that ends where we are; `best`
 * keeps the longest one met in each state. What was met in a state was met, whole, in all states
 * along its links too.
 */
#include "corpora/matches.h"

#include "base/memory.h"

enum { ROOT = 0, NONE = 0 }; /* no transition is number 0, and the root is nobody's target */

typedef struct state {
    uint32_t length, link;
    uint32_t first; /* of its transitions */
    uint32_t best;
} state;

typedef struct transition {
    uint32_t from, to;
    int32_t symbol;
    uint32_t next; /* of the same state */
} transition;

struct md_matches {
    size_t count;
    state *states;
    uint32_t state_count;
    uint32_t *prefix; /* [count] the state of the text up to and with a symbol */
    transition *transitions;
    uint32_t transition_count;
    uint32_t *index; /* open addressing: (from, symbol) to a number of a transition */
    size_t index_size;
    uint32_t at, matched; /* while reading: the state, and the length of the match */
};

/* --- transitions ------------------------------------------------------------------------------ */

static uint32_t *index_of(const md_matches *m, uint32_t from, int32_t symbol) {
    uint64_t key = (uint64_t)from << 32 | (uint32_t)symbol;
    size_t at = (size_t)((key * 0x9e3779b97f4a7c15) >> 32) & (m->index_size - 1);
    for (;; at = (at + 1) & (m->index_size - 1)) {
        const transition *t = &m->transitions[m->index[at]];
        if (m->index[at] == NONE || (t->from == from && t->symbol == symbol)) return &m->index[at];
    }
}

/* NULL when there is none. */
static transition *find(const md_matches *m, uint32_t from, int32_t symbol) {
    uint32_t number = *index_of(m, from, symbol);
    return number == NONE ? NULL : &m->transitions[number];
}

static void connect(md_matches *m, uint32_t from, int32_t symbol, uint32_t to) {
    uint32_t number = m->transition_count++;
    *index_of(m, from, symbol) = number;
    m->transitions[number] =
        (transition){.from = from, .to = to, .symbol = symbol, .next = m->states[from].first};
    m->states[from].first = number;
}

/* --- building --------------------------------------------------------------------------------- */

/* The state of a substring that is about to differ in its places from the longer ones of `old`. */
static uint32_t split(md_matches *m, uint32_t old, uint32_t length) {
    uint32_t made = m->state_count++;
    m->states[made] = (state){.length = length, .link = m->states[old].link};
    for (uint32_t t = m->states[old].first; t != NONE; t = m->transitions[t].next)
        connect(m, made, m->transitions[t].symbol, m->transitions[t].to);
    m->states[old].link = made;
    return made;
}

/* The text grows by one symbol from the state `last`; returns the state of the longer text. */
static uint32_t extend(md_matches *m, uint32_t last, int32_t symbol) {
    uint32_t made = m->state_count++, p = last;
    transition *t = NULL;
    m->states[made] = (state){.length = m->states[last].length + 1};
    for (;;) {
        if ((t = find(m, p, symbol))) break;
        connect(m, p, symbol, made);
        if (p == ROOT) return made; /* its link is the root */
        p = m->states[p].link;
    }
    uint32_t q = t->to, length = m->states[p].length + 1;
    if (m->states[q].length == length) {
        m->states[made].link = q;
        return made;
    }
    uint32_t copy = split(m, q, length);
    m->states[made].link = copy;
    while ((t = find(m, p, symbol)) && t->to == q) {
        t->to = copy;
        if (p == ROOT) break;
        p = m->states[p].link;
    }
    return made;
}

mdlm_status md_matches_new(const int32_t *symbols, size_t count, md_matches **out,
                           mdlm_error *err) {
    MD_BUG_IF(count > MD_MATCHES_MOST);
    md_matches *m = md_alloc(1, sizeof *m, err);
    if (!m) return MDLM_RUNTIME;
    m->count = count;
    m->index_size = 16;
    while (m->index_size < 4 * count + 4) m->index_size *= 2;
    /* A text of n symbols has less than 2 n states and less than 3 n transitions. */
    m->states = md_alloc(2 * count + 1, sizeof *m->states, err);
    m->prefix = md_alloc(count, sizeof *m->prefix, err);
    m->transitions = md_alloc(3 * count + 1, sizeof *m->transitions, err);
    m->index = md_alloc(m->index_size, sizeof *m->index, err);
    if (!m->states || !m->prefix || !m->transitions || !m->index) {
        md_matches_free(m);
        return MDLM_RUNTIME;
    }
    m->state_count = m->transition_count = 1;
    uint32_t last = ROOT;
    for (size_t i = 0; i < count; i++) m->prefix[i] = last = extend(m, last, symbols[i]);
    *out = m;
    return MDLM_OK;
}

void md_matches_free(md_matches *m) {
    if (!m) return;
    md_free(m->states);
    md_free(m->prefix);
    md_free(m->transitions);
    md_free(m->index);
    md_free(m);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void step(md_matches *m, int32_t symbol) {
    const transition *t;
    if (symbol < 0) {
        m->at = ROOT;
        m->matched = 0;
        return;
    }
    while (!(t = find(m, m->at, symbol)) && m->at != ROOT) {
        m->at = m->states[m->at].link;
        m->matched = m->states[m->at].length;
    }
    if (!t) return;
    m->at = t->to;
    m->matched++;
    if (m->states[m->at].best < m->matched) m->states[m->at].best = m->matched;
}

void md_matches_read(md_matches *m, const int32_t *symbols, size_t count, bool last) {
    for (size_t i = 0; i < count; i++) step(m, symbols[i]);
    if (last) step(m, -1);
}

/* Marks the states along the links of one that was met, until one is marked already. */
static void mark_links(md_matches *m, uint32_t from) {
    for (uint32_t s = m->states[from].link; s != ROOT; s = m->states[s].link) {
        if (m->states[s].best == m->states[s].length) return;
        m->states[s].best = m->states[s].length;
    }
}

/* The nearest state along the links that was met. Links are cut short on the way: those of a text
 * that repeats one symbol are as long as the text. */
static uint32_t met_link(md_matches *m, uint32_t from) {
    uint32_t met = from;
    while (met != ROOT && m->states[met].best == 0) met = m->states[met].link;
    while (from != met) {
        uint32_t next = m->states[from].link;
        m->states[from].link = met;
        from = next;
    }
    return met;
}

void md_matches_finish(md_matches *m, int32_t *lengths) {
    for (uint32_t s = 1; s < m->state_count; s++)
        if (m->states[s].best > 0) mark_links(m, s);
    for (size_t i = 0; i < m->count; i++) {
        uint32_t met = met_link(m, m->prefix[i]);
        lengths[i] = (int32_t)m->states[met].best;
    }
}
