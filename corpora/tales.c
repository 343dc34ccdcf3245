/* corpora/tales.c: the tales: draws a plot and its words, and spells the templates out.
 *
 * Story number k of a seed is a pure function of (seed, k): words come from permutations keyed by
 * (k, list), alternatives from a counter that runs through the story.
 */
#include <string.h>

#include "base/rng.h"
#include "corpora/generators.h"
#include "corpora/tales_words.h"

enum { MAX_WORDS = 96, MAX_KEY = 16, MAX_NESTING = 8 };

typedef struct word {
    char key[MAX_KEY];
    const char *value;
} word;

typedef struct tale {
    md_rng rng; /* step: story number << 8 | what for (0: alternatives, 1: cast, 2...: lists) */
    uint32_t draws;
    word words[MAX_WORDS];
    int count;
    md_buffer *out;
    mdlm_error *err;
} tale;

/* A key is `name` (its first `size` bytes), followed by the number of the pick when that is not 1.
 */
static void bind_numbered(tale *t, const char *name, size_t size, int pick, const char *value) {
    MD_BUG_IF(t->count >= MAX_WORDS || size + 2 > MAX_KEY || pick > 9);
    word *w = &t->words[t->count++];
    memcpy(w->key, name, size);
    if (pick > 1) w->key[size++] = (char)('0' + pick);
    w->key[size] = 0;
    w->value = value;
}

static void bind(tale *t, const char *key, const char *value) {
    bind_numbered(t, key, strlen(key), 1, value);
}

static const char *find(const tale *t, const char *key, size_t size) {
    for (int i = 0; i < t->count; i++)
        if (strncmp(t->words[i].key, key, size) == 0 && t->words[i].key[size] == 0)
            return t->words[i].value;
    return NULL;
}

static const char *get(const tale *t, const char *key) {
    const char *value = find(t, key, strlen(key));
    MD_BUG_IF(!value);
    return value;
}

static void bind_list(tale *t, int index) {
    const md_tale_list *list = &md_tale_lists[index];
    md_rng rng = t->rng;
    rng.step |= (uint64_t)(2 + index);
    for (int pick = 1; pick <= list->picks; pick++) {
        uint64_t row = md_permute(rng, (uint64_t)pick - 1, (uint64_t)list->rows);
        const char *const *words = list->words + row * (uint64_t)list->fields;
        const char *name = list->keys;
        for (int f = 0; f < list->fields; f++) {
            size_t size = strcspn(name, " ");
            bind_numbered(t, name, size, pick, words[f]);
            name += size + (name[size] == ' ');
        }
    }
}

/* Two characters of different sex, both children or both animals. */
static void bind_cast(tale *t) {
    md_rng rng = t->rng;
    rng.step |= 1;
    bool girl = md_uniform_below(rng, 0, 0, 2) == 1;
    bool children = md_uniform_below(rng, 0, 1, 5) < 3;
    bind(t, "hero", get(t, girl ? "girl" : "boy"));
    bind(t, "he", girl ? "she" : "he");
    bind(t, "him", girl ? "her" : "him");
    bind(t, "his", girl ? "her" : "his");
    bind(t, "friend", get(t, girl ? "boy" : "girl"));
    bind(t, "fhe", girl ? "he" : "she");
    bind(t, "fhim", girl ? "him" : "her");
    bind(t, "fhis", girl ? "his" : "her");
    bind(t, "kind", children ? (girl ? "girl" : "boy") : get(t, "beast"));
    bind(t, "fkind", children ? (girl ? "boy" : "girl") : get(t, "beast2"));
    bind(t, "hands", children ? "hands" : "paws");
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static mdlm_status expand(tale *t, const char *text, size_t size, bool capital, int depth);

static mdlm_status put(tale *t, const char *text, size_t size, bool capital) {
    if (size == 0) return MDLM_OK;
    char first = text[0];
    if (capital && first >= 'a' && first <= 'z') first = (char)(first - 'a' + 'A');
    MD_TRY(md_buffer_append(t->out, &first, 1, t->err));
    return md_buffer_append(t->out, text + 1, size - 1, t->err);
}

/* {key}, {Key}, {a key}, {A key}: `text` is what stands between the braces. */
static mdlm_status expand_key(tale *t, const char *text, size_t size, int depth) {
    char key[MAX_KEY];
    bool capital = is_upper(text[0]);
    bool article = size > 2 && (text[0] == 'a' || text[0] == 'A') && text[1] == ' ';
    if (article) text += 2, size -= 2;
    MD_BUG_IF(size == 0 || size >= MAX_KEY);
    memcpy(key, text, size);
    if (is_upper(key[0])) key[0] = (char)(key[0] - 'A' + 'a');
    const char *value = find(t, key, size);
    MD_BUG_IF(!value);
    if (article) {
        bool vowel = strchr("aeiou", value[0]) != NULL;
        MD_TRY(put(t, vowel ? "an " : "a ", vowel ? 3 : 2, capital));
        capital = false;
    }
    return expand(t, value, strlen(value), capital, depth + 1);
}

/* The end of the bracket or brace that opens at text[0]: index of its partner. */
static size_t partner(const char *text, size_t size) {
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '[' || text[i] == '{') depth++;
        if ((text[i] == ']' || text[i] == '}') && --depth == 0) return i;
    }
    MD_BUG_IF(true); /* a template with an open bracket */
    return size;
}

/* The alternative number `wanted` (from 0) of x|y|z, or their number when wanted is negative. */
static int alternative(const char *text, size_t size, int wanted, const char **out,
                       size_t *out_size) {
    int count = 0;
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] == '[') {
            i += partner(text + i, size - i);
            continue;
        }
        if (i < size && text[i] != '|') continue;
        if (count++ == wanted) {
            *out = text + start;
            *out_size = i - start;
        }
        start = i + 1;
    }
    return count;
}

static mdlm_status choose(tale *t, const char *text, size_t size, bool capital, int depth) {
    const char *part = NULL;
    size_t part_size = 0;
    int count = alternative(text, size, -1, NULL, NULL);
    int wanted = (int)md_uniform_below(t->rng, t->draws++, 0, (uint64_t)count);
    alternative(text, size, wanted, &part, &part_size);
    return expand(t, part, part_size, capital, depth);
}

static mdlm_status expand(tale *t, const char *text, size_t size, bool capital, int depth) {
    MD_BUG_IF(depth > MAX_NESTING);
    size_t i = 0;
    while (i < size) {
        size_t n = 1;
        if (text[i] == '[') {
            n = partner(text + i, size - i) + 1;
            MD_TRY(choose(t, text + i + 1, n - 2, capital, depth + 1));
        } else if (text[i] == '{') {
            n = partner(text + i, size - i) + 1;
            MD_TRY(expand_key(t, text + i + 1, n - 2, depth));
        } else {
            while (i + n < size && text[i + n] != '[' && text[i + n] != '{') n++;
            MD_TRY(put(t, text + i, n, capital));
        }
        capital = false;
        i += n;
    }
    return MDLM_OK;
}

/* One beat; a space joins it to the paragraph, and an empty one leaves nothing. */
static mdlm_status add_beat(tale *t, const char *beat) {
    size_t before = t->out->size;
    bool paragraph = beat[0] == '\n';
    if (paragraph) beat++;
    MD_TRY(md_buffer_text(t->out, paragraph ? "\n" : " ", t->err));
    MD_TRY(choose(t, beat, strlen(beat), true, 0));
    size_t end = t->out->size;
    while (end > before && t->out->data[end - 1] == ' ') end--;
    if (end == before + 1 && paragraph) end = before;
    t->out->data[t->out->size = end] = 0;
    return MDLM_OK;
}

static mdlm_status add_tale(uint64_t seed, uint64_t number, md_buffer *out, mdlm_error *err) {
    tale t = {.rng = {.seed = seed, .stream = MD_STREAM_CORPUS, .step = number << 8},
              .out = out,
              .err = err};
    for (int i = 0; i < md_tale_list_count; i++) bind_list(&t, i);
    bind_cast(&t);
    uint64_t plots = (uint64_t)md_tale_plot_count;
    /* Every plot once in a round, so that even a short text has many of them. */
    md_rng round = {.seed = seed, .stream = MD_STREAM_CORPUS, .step = (number / plots) << 8 | 255};
    md_tale_plot plot = md_tale_plots[md_permute(round, number % plots, plots)];
    size_t start = out->size;
    for (int i = 0; plot[i]; i++) MD_TRY(add_beat(&t, plot[i]));
    /* The first beat was joined by a space too. */
    memmove(out->data + start, out->data + start + 1, out->size - start);
    out->size--;
    return md_buffer_text(out, "\n", err);
}

mdlm_status md_tales(uint64_t seed, int64_t bytes, md_buffer *out, mdlm_error *err) {
    size_t start = out->size;
    for (uint64_t k = 0; (int64_t)(out->size - start) < bytes; k++) {
        if (k > 0) MD_TRY(md_buffer_text(out, "\n", err));
        MD_TRY(add_tale(seed, k, out, err));
    }
    return MDLM_OK;
}
