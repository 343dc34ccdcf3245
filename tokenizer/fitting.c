/* tokenizer/fitting.c: see fitting.h. */
#include "tokenizer/fitting.h"

#include <string.h>

#include "base/memory.h"

struct md_fitting {
    const md_automaton *a;
    int32_t mask_id;
    int first, length;
    bool begun;
    int32_t *ids;     /* [length] the canvas that was begun */
    uint64_t *behind; /* [length + 1, words] B */
    uint64_t *here;   /* [words] F(at) */
    uint64_t *spare;  /* [words] */
    uint8_t *fits;    /* [classes] */
    int at;
};

static uint64_t *behind(const md_fitting *f, int position) {
    return f->behind + (size_t)position * (size_t)f->a->words;
}

static bool same(const md_fitting *f, const uint64_t *x, const uint64_t *y) {
    return memcmp(x, y, (size_t)f->a->words * sizeof *x) == 0;
}

static void copy(const md_fitting *f, uint64_t *to, const uint64_t *from) {
    memcpy(to, from, (size_t)f->a->words * sizeof *to);
}

static mdlm_status allocate(md_fitting *f, mdlm_error *err) {
    size_t words = (size_t)f->a->words, positions = (size_t)f->length + 1, count;
    if (!md_size_mul(positions, words, &count))
        return md_fail(err, MDLM_RUNTIME, "out of memory for a canvas of %d tokens", f->length);
    f->ids = md_alloc(positions, sizeof *f->ids, err);
    f->behind = md_alloc(count, sizeof *f->behind, err);
    f->here = md_alloc(words, sizeof *f->here, err);
    f->spare = md_alloc(words, sizeof *f->spare, err);
    f->fits = md_alloc((size_t)f->a->classes, sizeof *f->fits, err);
    return f->ids && f->behind && f->here && f->spare && f->fits ? MDLM_OK : MDLM_RUNTIME;
}

mdlm_status md_fitting_new(const md_automaton *a, int32_t mask_id, int first, int length,
                           md_fitting **out, mdlm_error *err) {
    MD_BUG_IF(first < 0 || first > length);
    md_fitting *f = md_alloc(1, sizeof *f, err);
    if (!f) return MDLM_RUNTIME;
    *f = (md_fitting){.a = a, .mask_id = mask_id, .first = first, .length = length};
    mdlm_status status = allocate(f, err);
    if (status == MDLM_OK)
        *out = f;
    else
        md_fitting_free(f);
    return status;
}

void md_fitting_free(md_fitting *f) {
    if (!f) return;
    md_free(f->ids);
    md_free(f->behind);
    md_free(f->here);
    md_free(f->spare);
    md_free(f->fits);
    md_free(f);
}

/* --- from right to left ---------------------------------------------------------------------- */

/* B(i) from B(i+1). In a run of masks that has come to rest it is the same again. */
static void step_back(md_fitting *f, int i) {
    bool masked = f->ids[i] == f->mask_id;
    bool rests = masked && i + 2 <= f->length && f->ids[i + 1] == f->mask_id &&
                 same(f, behind(f, i + 1), behind(f, i + 2));
    if (rests)
        copy(f, behind(f, i), behind(f, i + 1));
    else if (masked)
        md_automaton_any_back(f->a, behind(f, i + 1), behind(f, i));
    else
        md_automaton_step_back(f->a, behind(f, i + 1), f->ids[i], behind(f, i));
}

bool md_fitting_begin(md_fitting *f, const int32_t *ids) {
    int low = f->length, high = f->first - 1; /* of positions that changed */
    if (!f->begun) {
        copy(f, behind(f, f->length), f->a->accepting);
        low = f->first;
        high = f->length - 1;
    }
    for (int i = f->first; i < f->length && f->begun; i++) {
        if (f->ids[i] == ids[i]) continue;
        low = i < low ? i : low;
        high = i;
    }
    memcpy(f->ids, ids, (size_t)f->length * sizeof *ids);
    for (int i = high; i >= f->first; i--) {
        copy(f, f->spare, behind(f, i));
        step_back(f, i);
        if (f->begun && i < low && same(f, f->spare, behind(f, i))) break;
    }
    f->begun = true;
    f->at = f->first;
    memset(f->here, 0, (size_t)f->a->words * sizeof *f->here);
    md_state_add(f->here, MD_AUTOMATON_START);
    return md_state_in(behind(f, f->first), MD_AUTOMATON_START);
}

/* --- from left to right ---------------------------------------------------------------------- */

static void go_to(md_fitting *f, int position) {
    MD_BUG_IF(position < f->at || position >= f->length);
    for (; f->at < position; f->at++) {
        const uint64_t *after = behind(f, f->at + 1);
        if (f->ids[f->at] == f->mask_id)
            md_automaton_any(f->a, f->here, f->spare);
        else
            md_automaton_step(f->a, f->here, f->ids[f->at], f->spare);
        for (int w = 0; w < f->a->words; w++) f->here[w] = f->spare[w] & after[w];
    }
}

static bool class_fits(const md_fitting *f, int class, const uint64_t *after) {
    const md_automaton *a = f->a;
    for (size_t i = a->first[class]; i < a->first[class + 1]; i++)
        if (md_state_in(f->here, a->moves[i].from) && md_state_in(after, a->moves[i].to))
            return true;
    return false;
}

void md_fitting_allow(md_fitting *f, int position, uint8_t *allowed) {
    const md_automaton *a = f->a;
    go_to(f, position);
    for (int c = 0; c < a->classes; c++) f->fits[c] = class_fits(f, c, behind(f, position + 1));
    for (int v = 0; v < a->vocab; v++) allowed[v] = f->fits[a->class_of[v]] & a->drawable[v];
}

void md_fitting_fix(md_fitting *f, int position, int32_t token) {
    go_to(f, position);
    md_automaton_step(f->a, f->here, token, f->spare);
    copy(f, f->here, f->spare);
    f->at = position + 1;
}

/* --- why nothing fits ------------------------------------------------------------------------ */

static bool meet(const md_fitting *f, const uint64_t *x, const uint64_t *y) {
    for (int w = 0; w < f->a->words; w++)
        if (x[w] & y[w]) return true;
    return false;
}

/* Adds to `set` what one more drawable token reaches; false when that is nothing new. */
static bool widen(md_fitting *f, uint64_t *set) {
    bool grown = false;
    md_automaton_any(f->a, set, f->spare);
    for (int w = 0; w < f->a->words; w++) {
        grown |= (f->spare[w] & ~set[w]) != 0;
        set[w] |= f->spare[w];
    }
    return grown;
}

/* The least number of tokens that lead from `from`, which is overwritten, into `to`. */
static int least_tokens(md_fitting *f, uint64_t *from, const uint64_t *to) {
    int tokens = 0;
    for (; !meet(f, from, to); tokens++)
        if (!widen(f, from)) break;
    return tokens;
}

/* A walk on which every run of masks may have any length. */
typedef struct loose {
    int runs, start, end; /* how many, and the last one */
    int wrong;            /* the given position that leads nowhere, or length */
    uint64_t *set;        /* where the walk is */
    uint64_t *before;     /* where it was when the last run began */
} loose;

static void walk_loosely(md_fitting *f, loose *l) {
    md_state_add(l->set, MD_AUTOMATON_START);
    for (l->wrong = f->first; l->wrong < f->length; l->wrong++) {
        int i = l->wrong;
        if (f->ids[i] != f->mask_id) {
            md_automaton_step(f->a, l->set, f->ids[i], f->spare);
            copy(f, l->set, f->spare);
            if (!meet(f, l->set, l->set)) return;
            continue;
        }
        if (i == f->first || f->ids[i - 1] != f->mask_id) {
            l->runs++;
            l->start = i;
            copy(f, l->before, l->set);
            while (widen(f, l->set)) {
            }
        }
        l->end = i + 1;
    }
}

static mdlm_status say(md_fitting *f, loose *l, mdlm_error *err) {
    walk_loosely(f, l);
    if (l->wrong < f->length)
        return md_fail(err, MDLM_USAGE,
                       "the given text contradicts the regular expression at token %d", l->wrong);
    if (!meet(f, l->set, f->a->accepting))
        return md_fail(err, MDLM_USAGE,
                       l->runs > 0 && l->end == f->length
                           ? "no text of tokens that may be drawn matches the "
                             "regular expression"
                           : "the given text contradicts the regular expression "
                             "at its end");
    if (l->runs != 1)
        return md_fail(err, MDLM_USAGE,
                       "holes of these lengths cannot match the regular expression");
    int masks = l->end - l->start, least = least_tokens(f, l->before, behind(f, l->end));
    if (least > masks)
        return md_fail(err, MDLM_USAGE,
                       "the regular expression takes at least %d tokens: there are %d to fill",
                       least, masks);
    return md_fail(err, MDLM_USAGE,
                   "no text of just %d tokens matches the regular expression, and end-of-text may "
                   "not fill what is left",
                   masks);
}

mdlm_status md_fitting_explain(md_fitting *f, const int32_t *ids, mdlm_error *err) {
    if (md_fitting_begin(f, ids)) return MDLM_OK;
    size_t words = (size_t)f->a->words;
    uint64_t *sets = md_alloc(2 * words, sizeof *sets, err);
    if (!sets) return MDLM_RUNTIME;
    loose l = {.set = sets, .before = sets + words};
    mdlm_status status = say(f, &l, err);
    md_free(sets);
    return status;
}
