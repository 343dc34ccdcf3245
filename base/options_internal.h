/* base/options_internal.h: what the options_*.c files share. Private to base/.
 *
 *     options.c        binding, setting, JSON
 *     options_parse.c  the command line, suggestions, durations
 *     options_help.c   --help and the one-line descriptions
 */
#ifndef MD_BASE_OPTIONS_INTERNAL_H
#define MD_BASE_OPTIONS_INTERNAL_H

#include "base/options.h"

enum { MD_FLAG_BYTES = 96, MD_BOUNDS_BYTES = 80 };

/* One row of a table, bound to its place in a struct. */
typedef struct md_option_slot {
    const md_option *option;
    void *place;
    size_t group;
    md_origin origin;
    bool seen; /* on the command line being read */
} md_option_slot;

struct md_options {
    md_arena *arena; /* owns everything below and the TEXT and CHOICE values */
    md_option_group *groups;
    size_t group_count;
    md_option_slot *slots; /* all groups, in order */
    size_t count;
    md_option_alias *aliases; /* ends with {NULL, NULL} */
    const char **positional;
    size_t positional_count;
};

/* The slot of a C field name; NULL when there is none. */
md_option_slot *md_options_find(const md_options *o, const char *name);

/* Sets a value from text. `file` is NULL for the command line, otherwise errors are MDLM_INPUT and
 * name it. No-op when a higher origin set the value. */
mdlm_status md_options_assign(md_options *o, md_option_slot *slot, const char *text,
                              md_origin origin, const char *file, mdlm_error *err);

/* MDLM_USAGE, or MDLM_INPUT with a file, for a word that names no option; suggests one. */
mdlm_status md_options_unknown(const md_options *o, const char *word, const char *file,
                               mdlm_error *err);

/* Whether the default is 0 where the bounds exclude it: left to the program. */
bool md_option_is_open(const md_option *option);
/* Whether the value is still that open default. */
bool md_option_slot_is_open(const md_option_slot *slot);

/* "seq_len" -> "--seq-len". */
void md_option_flag(const md_option *option, char out[MD_FLAG_BYTES]);

/* "1 to 1000", or "at least 0" when the upper bound is there only to be finite. */
void md_option_bounds(const md_option *option, char out[MD_BOUNDS_BYTES]);

/* The names at the start of a CHOICE's help, one word a call; *cursor starts at the help.
 *     "a|b=x: what it is" gives "a", "b", and "x" as an alias; then false, with *cursor at ":". */
typedef struct md_choice_word {
    const char *text;
    int size;
    bool alias;
} md_choice_word;
bool md_choice_next(const char **cursor, md_choice_word *word);

/* The canonical names: "a, b". Text in `arena`; NULL when there is no memory. */
const char *md_choice_names(const md_option *option, md_arena *arena);

#endif
