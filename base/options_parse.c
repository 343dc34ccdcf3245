/* base/options_parse.c: the command line, suggestions and durations; see options.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/options_internal.h"

enum { LONGEST_WORD = 64 };

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance; `b` is at most LONGEST_WORD bytes. */
static size_t edit_distance(const char *a, const char *b) {
    size_t row[LONGEST_WORD + 1], b_size = strlen(b);
    for (size_t j = 0; j <= b_size; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_size; j++) {
            size_t above = row[j + 1];
            row[j + 1] = smallest(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[b_size];
}

const char *md_suggest(const char *word, const char *const *words, size_t count) {
    size_t size = strlen(word);
    if (size > LONGEST_WORD) return NULL;
    size_t limit = size / 3 > 2 ? size / 3 : 2;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) > LONGEST_WORD) continue;
        size_t distance = edit_distance(word, words[i]);
        /* A word of which every letter changes is no suggestion. */
        if (distance > limit || distance >= size || distance >= strlen(words[i])) continue;
        best = words[i];
        limit = distance > 0 ? distance - 1 : 0;
        if (distance == 0) break;
    }
    return best;
}

bool md_word_listed(const char *word, const char *const *words) {
    for (; *words; words++) {
        if (!strcmp(word, *words)) return true;
    }
    return false;
}

mdlm_status md_parse_duration(const char *text, double *seconds, mdlm_error *err) {
    static const char units[] = "smh";
    static const double scale[] = {1, 60, 3600};
    char number[MD_NUMBER_BYTES] = "";
    size_t size = strlen(text);
    double factor = 1, value = 0;
    const char *unit = size > 0 ? strchr(units, text[size - 1]) : NULL;
    if (unit) {
        factor = scale[unit - units];
        size--;
    }
    bool fits = size < sizeof number;
    if (fits) memcpy(number, text, size);
    if (!fits || !md_number_parse(number, &value) || value < 0 || !isfinite(value * factor)) {
        return md_fail(err, MDLM_USAGE,
                       "'%s' is not a duration: expected seconds or a number such as 240s, 10m, 2h",
                       text);
    }
    *seconds = value * factor;
    return MDLM_OK;
}

/* Every word that a user may have meant, without its dashes: names for a file, flags otherwise. */
static size_t list_words(const md_options *o, bool file, const char **words) {
    size_t count = 0;
    char flag[MD_FLAG_BYTES];
    for (size_t i = 0; i < o->count; i++) {
        const md_option *option = o->slots[i].option;
        if (file) {
            words[count++] = option->name;
            continue;
        }
        md_option_flag(option, flag);
        const char *word = md_arena_printf(o->arena, "%s", flag + 2);
        if (word) words[count++] = word;
        if (option->type != MD_OPTION_FLAG) continue;
        word = md_arena_printf(o->arena, "no-%s", flag + 2);
        if (word) words[count++] = word;
    }
    for (const md_option_alias *a = o->aliases; a->flag && !file; a++) {
        if (strncmp(a->flag, "--", 2) == 0 && md_options_find(o, a->name)) {
            words[count++] = a->flag + 2;
        }
    }
    return count;
}

mdlm_status md_options_unknown(const md_options *o, const char *word, const char *file,
                               mdlm_error *err) {
    md_arena_mark mark = md_arena_save(o->arena);
    size_t room = 2 * o->count;
    for (const md_option_alias *a = o->aliases; a->flag; a++) room++;
    const char **words = md_arena_alloc(o->arena, room * sizeof *words), *near = NULL;
    const char *bare = word + (file ? 0 : strspn(word, "-"));
    if (words) near = md_suggest(bare, words, list_words(o, file != NULL, words));
    mdlm_status status;
    if (file && near) {
        status = md_fail(err, MDLM_INPUT, "'%s': unknown key '%s'; did you mean '%s'?", file, word,
                         near);
    } else if (file) {
        status = md_fail(err, MDLM_INPUT, "'%s': unknown key '%s'", file, word);
    } else if (near) {
        status = md_fail(err, MDLM_USAGE, "unknown option '%s'; did you mean '--%s'?", word, near);
    } else {
        status = md_fail(err, MDLM_USAGE, "unknown option '%s'", word);
    }
    md_arena_rewind(o->arena, mark);
    return status;
}

/* An option as the user wrote it, up to the "=". */
typedef struct match {
    md_option_slot *slot; /* NULL: unknown */
    bool negated;         /* --no-x */
} match;

static md_option_slot *find_flag(const md_options *o, const char *word, size_t size) {
    char flag[MD_FLAG_BYTES];
    for (size_t i = 0; i < o->count; i++) {
        md_option_flag(o->slots[i].option, flag);
        if (strlen(flag) == size && memcmp(flag, word, size) == 0) return &o->slots[i];
    }
    for (const md_option_alias *a = o->aliases; a->flag; a++) {
        if (strlen(a->flag) == size && memcmp(a->flag, word, size) == 0) {
            return md_options_find(o, a->name);
        }
    }
    return NULL;
}

static match resolve(const md_options *o, const char *word) {
    static const char no[] = "--no-";
    const size_t dashes = 2, skipped = sizeof no - 1 - dashes;
    size_t size = strcspn(word, "=");
    match m = {.slot = find_flag(o, word, size)};
    if (m.slot || size < sizeof no || strncmp(word, no, sizeof no - 1) != 0) return m;
    char positive[MD_FLAG_BYTES] = "--";
    if (size - skipped >= sizeof positive) return m;
    memcpy(positive + dashes, word + dashes + skipped, size - skipped - dashes);
    m.slot = find_flag(o, positive, size - skipped);
    if (m.slot && m.slot->option->type != MD_OPTION_FLAG) m.slot = NULL;
    m.negated = true;
    return m;
}

/* The argument after an option that wants a value. Another option there means that the value was
 * forgotten; a value that looks like one can be written with "=". */
static mdlm_status next_value(const md_options *o, const char *flag, int argc, char *const *argv,
                              int *i, const char **value, mdlm_error *err) {
    if (*i + 1 >= argc) return md_fail(err, MDLM_USAGE, "%s needs a value", flag);
    const char *next = argv[*i + 1];
    if (next[0] == '-' && resolve(o, next).slot) {
        return md_fail(err, MDLM_USAGE,
                       "%s needs a value, found the option '%s' (write %s=%s if "
                       "that is the value)",
                       flag, next, flag, next);
    }
    ++*i;
    *value = next;
    return MDLM_OK;
}

static mdlm_status read_option(md_options *o, int argc, char *const *argv, int *i,
                               mdlm_error *err) {
    const char *word = argv[*i], *equals = strchr(word, '=');
    match m = resolve(o, word);
    if (!m.slot) {
        md_arena_mark mark = md_arena_save(o->arena);
        const char *bare = md_arena_printf(o->arena, "%.*s", (int)strcspn(word, "="), word);
        mdlm_status status = md_options_unknown(o, bare ? bare : word, NULL, err);
        md_arena_rewind(o->arena, mark);
        return status;
    }
    char flag[MD_FLAG_BYTES];
    md_option_flag(m.slot->option, flag);
    if (m.slot->seen) return md_fail(err, MDLM_USAGE, "%s is given twice", flag);
    m.slot->seen = true;
    const char *value = m.negated ? "false" : "true";
    if (m.slot->option->type == MD_OPTION_FLAG) {
        if (equals) return md_fail(err, MDLM_USAGE, "%s takes no value, found '%s'", flag, word);
    } else if (equals) {
        value = equals + 1;
    } else {
        MD_TRY(next_value(o, flag, argc, argv, i, &value, err));
    }
    return md_options_assign(o, m.slot, value, MD_ORIGIN_GIVEN, NULL, err);
}

mdlm_status md_options_parse(md_options *o, int argc, char *const *argv, mdlm_error *err) {
    size_t room = argc > 0 ? (size_t)argc : 0;
    const char **positional = md_arena_alloc(o->arena, room * sizeof *positional);
    if (!positional) return md_fail(err, MDLM_RUNTIME, "out of memory: cannot keep the arguments");
    o->positional = positional;
    o->positional_count = 0;
    for (size_t i = 0; i < o->count; i++) o->slots[i].seen = false;
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (ended || word[0] != '-' || !word[1]) {
            positional[o->positional_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
        } else {
            MD_TRY(read_option(o, argc, argv, &i, err));
        }
    }
    return MDLM_OK;
}

size_t md_options_positional_count(const md_options *o) {
    return o->positional_count;
}

const char *md_options_positional(const md_options *o, size_t i) {
    MD_BUG_IF(i >= o->positional_count);
    return o->positional[i];
}
