/* base/options.h: settings from one table: struct, defaults, flags, JSON, bounds and help.
 *
 *     #define DEMO_OPTIONS(X)                                                              \
 *         X(INT,    layers,   4,       1, 1000,           "transformer blocks")            \
 *         X(REAL,   lr,       1e-3,    0, 1,              "peak learning rate")            \
 *         X(FLAG,   resume,   false,   0, 0,              "go on with the run")            \
 *         X(TEXT,   prompt,   "",      0, 0,              "text to start from")            \
 *         X(TIME,   time,     0,       0, 1e9,            "wall clock: 240s, 10m, 2h")     \
 *         X(CHOICE, sampler,  "random", 0, 0,             "random|confidence=low_confidence: ...")
 *
 *     typedef struct demo_options { DEMO_OPTIONS(MD_OPTION_FIELD) } demo_options;
 *     #define MD_OPTION_STRUCT demo_options
 *     static const md_option demo_table[] = {DEMO_OPTIONS(MD_OPTION_ROW){0}};
 *     #undef MD_OPTION_STRUCT
 *
 *     demo_options demo;
 *     md_option_group groups[] = {{"Model", demo_table, &demo}};
 *     md_options *o = md_options_new(groups, 1, aliases, err);       demo holds the defaults now
 *     MD_TRY(md_options_parse(o, argc, argv, err));                  and now the command line's
 *     md_options_free(o);                                            TEXT values die here
 *
 * Field `seq_len` is the flag --seq-len and the JSON key "seq_len". Types of the fields:
 *   INT int64_t · REAL double · FLAG bool · TEXT const char * · TIME double (seconds) ·
 *   CHOICE const char * (always one of the canonical names)
 * An INT, REAL or TIME whose default is 0 while its bounds exclude 0 is left open for the program
 * to choose: shown as "auto", and absent from the JSON while nobody chose. A CHOICE's help begins
 * with its names: "a|b=alias=alias2|c: what it is"; an alias is accepted and stored as its
 * canonical name. FLAG takes no value; --no-x clears it. A TEXT value may be empty. Values live in
 * the md_options' arena, so they are freed with it.
 */
#ifndef MD_BASE_OPTIONS_H
#define MD_BASE_OPTIONS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/json.h"

typedef enum md_option_type {
    MD_OPTION_INT = 1,
    MD_OPTION_REAL,
    MD_OPTION_FLAG,
    MD_OPTION_TEXT,
    MD_OPTION_TIME,
    MD_OPTION_CHOICE,
} md_option_type;

typedef struct md_option {
    const char *name; /* C field name; NULL ends a table */
    md_option_type type;
    size_t offset;        /* in the settings struct */
    const char *fallback; /* the default as C source wrote it: "4", "1e-3", "false", "\"text\"" */
    double min, max;      /* INT, REAL, TIME: inclusive bounds */
    const char *help;
} md_option;

#define MD_OPTION_FIELD(type, name, fallback, min, max, help) MD_OPTION_TYPE_##type name;
#define MD_OPTION_TYPE_INT int64_t
#define MD_OPTION_TYPE_REAL double
#define MD_OPTION_TYPE_FLAG bool
#define MD_OPTION_TYPE_TEXT const char *
#define MD_OPTION_TYPE_TIME double
#define MD_OPTION_TYPE_CHOICE const char *

#define MD_OPTION_ROW(type, name, fallback, min, max, help) \
    {#name, MD_OPTION_##type, offsetof(MD_OPTION_STRUCT, name), #fallback, min, max, help},

/* A table bound to the struct that it describes. */
typedef struct md_option_group {
    const char *title;      /* heading in --help */
    const md_option *table; /* ends with a NULL name */
    void *values;           /* the struct */
} md_option_group;

/* Another spelling: {"-p", "prompt"}, {"--ctx-size", "seq_len"}. Ends with {NULL, NULL}. */
typedef struct md_option_alias {
    const char *flag; /* with its dashes */
    const char *name; /* C field name */
} md_option_alias;

/* Where a value came from; a later call never overrides a higher origin. */
typedef enum md_origin {
    MD_ORIGIN_DEFAULT, /* the table */
    MD_ORIGIN_CHOSEN,  /* derived by the program (a size from the corpus, say) */
    MD_ORIGIN_FILE,    /* a configuration file or an earlier run */
    MD_ORIGIN_GIVEN,   /* the command line */
} md_origin;

typedef struct md_options md_options;

/* Binds the groups, fills every struct with its defaults. `aliases` may be NULL. Names must be
 * unique over the groups (MD_BUG_IF). The groups array is copied; tables and structs must outlive
 * the result. NULL on failure; caller frees. */
md_options *md_options_new(const md_option_group *groups, size_t count,
                           const md_option_alias *aliases, mdlm_error *err);
void md_options_free(md_options *o); /* accepts NULL */

/* Reads argv[0..argc): `--name value`, `--name=value`, `--flag`, `--no-flag`, aliases, "--" ends
 * options; the rest are positional. MDLM_USAGE for an unknown option (with the nearest name as a
 * suggestion), a missing or malformed value, one out of bounds, or a repeated scalar. */
mdlm_status md_options_parse(md_options *o, int argc, char *const *argv, mdlm_error *err);
size_t md_options_positional_count(const md_options *o);
const char *md_options_positional(const md_options *o, size_t i); /* owned by argv */

/* Sets one option from text. MDLM_USAGE when malformed; no-op when a higher origin set it. */
mdlm_status md_options_set(md_options *o, const char *name, const char *text, md_origin origin,
                           mdlm_error *err);
/* Sets from the members of a JSON object; unknown keys and wrong types are MDLM_INPUT naming
 * `file`. */
mdlm_status md_options_from_json(md_options *o, const cJSON *object, const char *file,
                                 mdlm_error *err);
/* All values as a JSON object {"layers": 4, ...}; NULL when there is no memory; caller deletes. */
cJSON *md_options_to_json(const md_options *o);

/* The origin of a value. The name must exist (MD_BUG_IF). */
md_origin md_options_origin(const md_options *o, const char *name);
/* MDLM_USAGE, "FLAG is for USE", for the first of `names` (up to NULL) that the command line gave:
 * an option that would change nothing is better refused than ignored. */
mdlm_status md_options_refuse(const md_options *o, const char *const *names, const char *use,
                              mdlm_error *err);
/* Records that the program chose the value now in the struct. No-op for a higher origin. */
void md_options_chosen(md_options *o, const char *name);

/* One line per group: "model: layers 4, dim 128 (chosen), heads 4 (default)". Flags that are off,
 * empty texts and open values that nobody set are left out. */
mdlm_status md_options_describe(const md_options *o, md_buffer *out, mdlm_error *err);
/* The option part of --help, wrapped at 100 columns: flag, value, help, default and bounds. */
mdlm_status md_options_help(const md_options *o, md_buffer *out, mdlm_error *err);

/* The best suggestion for a mistyped word among `count` words (edit distance at most a third of
 * its length, at least 2); NULL when none is near. */
const char *md_suggest(const char *word, const char *const *words, size_t count);

/* Whether `word` is one of a NULL-terminated list. */
bool md_word_listed(const char *word, const char *const *words);

/* "240s", "10m", "2h", "1.5h", "90" (seconds). MDLM_USAGE when malformed or negative. */
mdlm_status md_parse_duration(const char *text, double *seconds, mdlm_error *err);

#endif
