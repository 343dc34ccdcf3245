/* tokenizer/regex_nfa.c: Thompson's construction, from the end to the start: every node is built
 * in front of the state that follows it. See regex_internal.h. */
#include "base/memory.h"
#include "tokenizer/regex_internal.h"
#include "tokenizer/table.h"
#include "tokenizer/unicode.h"

enum { MOST_STATES = 1 << 16, MOST_WORK = 1 << 18 };

static mdlm_status too_large(mdlm_error *err) {
    return md_fail(err, MDLM_USAGE,
                   "regular expression: it is too large: written without bounds like {m,n} it "
                   "would take more than %d places",
                   MOST_STATES);
}

static mdlm_status add(md_re_nfa *nfa, md_re_state state, int *out, mdlm_error *err) {
    if (nfa->count == MOST_STATES) return too_large(err);
    void *grown = md_grow(nfa->states, &nfa->capacity, nfa->count + 1, sizeof *nfa->states, err);
    if (!grown) return MDLM_RUNTIME;
    nfa->states = grown;
    *out = (int)nfa->count;
    nfa->states[nfa->count++] = state;
    return MDLM_OK;
}

/* --- classes: alternatives of byte sequences ------------------------------------------------- */

typedef struct class_build {
    md_re_nfa *nfa;
    int out;      /* what follows the class */
    int entry;    /* the alternatives so far; -1: none */
    int tails[4]; /* [n] n continuation bytes, then out; -1: not built */
    mdlm_error *err;
} class_build;

static mdlm_status add_alternative(class_build *c, int state) {
    md_re_state split = {.kind = MD_RE_SPLIT, .out = state, .other = c->entry};
    if (c->entry >= 0) return add(c->nfa, split, &c->entry, c->err);
    c->entry = state;
    return MDLM_OK;
}

static mdlm_status add_range(class_build *c, uint8_t low, uint8_t high, int out, int *state) {
    md_re_state bytes = {.kind = MD_RE_BYTES, .low = low, .high = high, .out = out};
    return add(c->nfa, bytes, state, c->err);
}

static mdlm_status add_tail(class_build *c, int bytes) {
    c->tails[0] = c->out;
    for (int n = 1; n <= bytes; n++)
        if (c->tails[n] < 0) MD_TRY(add_range(c, 0x80, 0xbf, c->tails[n - 1], &c->tails[n]));
    return MDLM_OK;
}

/* Code points whose UTF-8 has bytes that vary independently of each other. Whatever ends in any
 * continuation bytes shares them, so that subsets stay few. */
static mdlm_status add_sequence(class_build *c, uint32_t from, uint32_t to) {
    char low[4], high[4];
    int length = (int)md_utf8_put((int32_t)from, low), free_bytes = 0, state = 0;
    md_utf8_put((int32_t)to, high);
    while (free_bytes < length - 1 && (uint8_t)low[length - 1 - free_bytes] == 0x80 &&
           (uint8_t)high[length - 1 - free_bytes] == 0xbf)
        free_bytes++;
    MD_TRY(add_tail(c, free_bytes));
    state = c->tails[free_bytes];
    for (int i = length - free_bytes - 1; i >= 0; i--)
        MD_TRY(add_range(c, (uint8_t)low[i], (uint8_t)high[i], state, &state));
    return add_alternative(c, state);
}

/* Cuts a range where encodings change length, and where a continuation byte is not free. */
static mdlm_status add_points(class_build *c, uint32_t low, uint32_t high) {
    static const uint32_t last_of_length[] = {0x7f, 0x7ff, 0xffff};
    for (int i = 0; i < 3; i++) {
        if (low > last_of_length[i] || high <= last_of_length[i]) continue;
        MD_TRY(add_points(c, low, last_of_length[i]));
        return add_points(c, last_of_length[i] + 1, high);
    }
    for (int bits = 6; bits <= 18 && low > 0x7f; bits += 6) {
        uint32_t mask = ((uint32_t)1 << bits) - 1;
        if ((low & ~mask) == (high & ~mask)) continue;
        if (low & mask) {
            MD_TRY(add_points(c, low, low | mask));
            return add_points(c, (low | mask) + 1, high);
        }
        if ((high & mask) != mask) {
            MD_TRY(add_points(c, low, (high & ~mask) - 1));
            return add_points(c, high & ~mask, high);
        }
    }
    return add_sequence(c, low, high);
}

static mdlm_status build_class(md_re_nfa *nfa, const md_re_node *node, int out, int *entry,
                               mdlm_error *err) {
    class_build c = {.nfa = nfa, .out = out, .entry = -1, .tails = {-1, -1, -1, -1}, .err = err};
    for (size_t i = 0; i < node->range_count; i++)
        MD_TRY(add_points(&c, node->ranges[i].low, node->ranges[i].high));
    for (int byte = 0x80; byte < 0x100; byte++) {
        int state = 0;
        if (!(node->bytes[(byte - 0x80) / 64] >> (byte - 0x80) % 64 & 1)) continue;
        MD_TRY(add_range(&c, (uint8_t)byte, (uint8_t)byte, out, &state));
        MD_TRY(add_alternative(&c, state));
    }
    /* An empty class: a state that no byte leaves. */
    if (c.entry < 0) MD_TRY(add_range(&c, 1, 0, out, &c.entry));
    *entry = c.entry;
    return MDLM_OK;
}

/* --- the rest -------------------------------------------------------------------------------- */

static mdlm_status build(md_re_nfa *nfa, const md_re_node *node, int out, int *entry,
                         mdlm_error *err);

/* x* is a state s that goes to x, which comes back to s, or on; x{m,} is m - 1 times x before
 * x s; x{m,n} is x m times, then (x(x(x)?)?)?. */
static mdlm_status build_repeat(md_re_nfa *nfa, const md_re_node *node, int out, int *entry,
                                mdlm_error *err) {
    const md_re_node *child = node->children[0];
    int at = out, mandatory = node->min;
    if (node->max < 0) {
        int body = 0;
        MD_TRY(add(nfa, (md_re_state){.kind = MD_RE_SPLIT, .other = out}, &at, err));
        MD_TRY(build(nfa, child, at, &body, err));
        nfa->states[at].out = body;
        if (mandatory > 0) {
            at = body;
            mandatory--;
        }
    }
    for (int i = node->min; i < node->max; i++) {
        MD_TRY(build(nfa, child, at, &at, err));
        md_re_state skip = {.kind = MD_RE_SPLIT, .out = at, .other = out};
        MD_TRY(add(nfa, skip, &at, err));
    }
    for (int i = 0; i < mandatory; i++) MD_TRY(build(nfa, child, at, &at, err));
    *entry = at;
    return MDLM_OK;
}

static mdlm_status build(md_re_nfa *nfa, const md_re_node *node, int out, int *entry,
                         mdlm_error *err) {
    if (++nfa->work > MOST_WORK) return too_large(err);
    if (node->kind == MD_RE_CLASS) return build_class(nfa, node, out, entry, err);
    if (node->kind == MD_RE_REPEAT) return build_repeat(nfa, node, out, entry, err);
    int at = out;
    for (size_t i = node->child_count; i-- > 0;) {
        int child = 0, before = at;
        bool sequence = node->kind == MD_RE_SEQUENCE;
        MD_TRY(build(nfa, node->children[i], sequence ? at : out, &child, err));
        at = child;
        if (sequence || i + 1 == node->child_count) continue;
        md_re_state split = {.kind = MD_RE_SPLIT, .out = child, .other = before};
        MD_TRY(add(nfa, split, &at, err));
    }
    *entry = at;
    return MDLM_OK;
}

mdlm_status md_re_nfa_build(md_re_nfa *nfa, const md_re_node *tree, mdlm_error *err) {
    int match = 0;
    MD_TRY(add(nfa, (md_re_state){.kind = MD_RE_MATCH}, &match, err));
    return build(nfa, tree, match, &nfa->start, err);
}

void md_re_nfa_release(md_re_nfa *nfa) {
    md_free(nfa->states);
    *nfa = (md_re_nfa){0};
}
