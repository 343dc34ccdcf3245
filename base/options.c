/* base/options.c: binding tables to structs, setting values, JSON; see options.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/options_internal.h"

/* What an error says about the value being set. */
typedef struct site {
    const char *text;
    mdlm_status status;
    char label[300]; /* "--layers", or "'config.json': layers" */
} site;

static site make_site(const md_option *option, const char *text, const char *file) {
    site s = {.text = text, .status = file ? MDLM_INPUT : MDLM_USAGE};
    if (file) {
        snprintf(s.label, sizeof s.label, "'%s': %s", file, option->name);
    } else {
        md_option_flag(option, s.label);
    }
    return s;
}

static mdlm_status no_memory(mdlm_error *err) {
    return md_fail(err, MDLM_RUNTIME, "out of memory: cannot keep the options");
}

void md_option_flag(const md_option *option, char out[MD_FLAG_BYTES]) {
    snprintf(out, MD_FLAG_BYTES, "--%s", option->name);
    for (char *c = out; *c; c++) {
        if (*c == '_') *c = '-';
    }
}

/* Settings travel through JSON, so an integer that a double cannot hold is out of range whatever
 * the table says. Not 2^53 itself, to which 2^53 + 1 would be rounded. */
static const double largest_int = MD_EXACT_INT - 1;

static double lower_bound(const md_option *option) {
    return option->type == MD_OPTION_INT ? fmax(option->min, -largest_int) : option->min;
}

static double upper_bound(const md_option *option) {
    return option->type == MD_OPTION_INT ? fmin(option->max, largest_int) : option->max;
}

void md_option_bounds(const md_option *option, char out[MD_BOUNDS_BYTES]) {
    const double unlimited = 1e9;
    char low[MD_NUMBER_BYTES], high[MD_NUMBER_BYTES];
    md_number_format(lower_bound(option), low);
    md_number_format(upper_bound(option), high);
    if (upper_bound(option) >= unlimited) {
        snprintf(out, MD_BOUNDS_BYTES, "at least %s", low);
    } else {
        snprintf(out, MD_BOUNDS_BYTES, "%s to %s", low, high);
    }
}

static mdlm_status check_bounds(const md_option *option, const site *s, double value,
                                mdlm_error *err) {
    double min = lower_bound(option), max = upper_bound(option);
    if (isfinite(value) && value >= min && value <= max) return MDLM_OK;
    char low[MD_NUMBER_BYTES], high[MD_NUMBER_BYTES];
    md_number_format(min, low);
    md_number_format(max, high);
    return md_fail(err, s->status, "%s %s is out of range: expected %s to %s", s->label, s->text,
                   low, high);
}

static mdlm_status assign_int(md_option_slot *slot, const site *s, mdlm_error *err) {
    const char *digits = s->text + (*s->text == '-' || *s->text == '+');
    if (!*digits || digits[strspn(digits, "0123456789")]) {
        char bounds[MD_BOUNDS_BYTES];
        md_option_bounds(slot->option, bounds);
        return md_fail(err, s->status, "%s '%s' is not an integer: expected %s", s->label, s->text,
                       bounds);
    }
    /* strtoll stops at the ends of its range, which lie outside of every bound. */
    long long value = strtoll(s->text, NULL, 10);
    MD_TRY(check_bounds(slot->option, s, (double)value, err));
    *(int64_t *)slot->place = value;
    return MDLM_OK;
}

static mdlm_status assign_real(md_option_slot *slot, const site *s, mdlm_error *err) {
    double value = 0;
    if (!md_number_parse(s->text, &value)) {
        char bounds[MD_BOUNDS_BYTES];
        md_option_bounds(slot->option, bounds);
        return md_fail(err, s->status, "%s '%s' is not a number: expected %s", s->label, s->text,
                       bounds);
    }
    MD_TRY(check_bounds(slot->option, s, value, err));
    *(double *)slot->place = value;
    return MDLM_OK;
}

static mdlm_status assign_time(md_option_slot *slot, const site *s, mdlm_error *err) {
    double value = 0;
    mdlm_error reason = {0};
    if (md_parse_duration(s->text, &value, &reason) != MDLM_OK) {
        return md_fail(err, s->status, "%s %s", s->label, reason.message);
    }
    MD_TRY(check_bounds(slot->option, s, value, err));
    *(double *)slot->place = value;
    return MDLM_OK;
}

static mdlm_status assign_flag(md_option_slot *slot, const site *s, mdlm_error *err) {
    bool set = strcmp(s->text, "true") == 0 || strcmp(s->text, "1") == 0;
    if (!set && strcmp(s->text, "false") != 0 && strcmp(s->text, "0") != 0) {
        return md_fail(err, s->status, "%s '%s' is neither true nor false", s->label, s->text);
    }
    *(bool *)slot->place = set;
    return MDLM_OK;
}

static mdlm_status assign_text(md_options *o, md_option_slot *slot, const char *text, size_t size,
                               mdlm_error *err) {
    char *copy = md_arena_alloc(o->arena, size + 1);
    if (!copy) return no_memory(err);
    memcpy(copy, text, size);
    copy[size] = 0;
    *(const char **)slot->place = copy;
    return MDLM_OK;
}

bool md_choice_next(const char **cursor, md_choice_word *word) {
    const char *c = *cursor;
    if (!*c || *c == ':') return false;
    word->alias = *c == '=';
    if (*c == '|' || *c == '=') c++;
    word->text = c;
    word->size = (int)strcspn(c, "|=:");
    *cursor = c + word->size;
    return true;
}

const char *md_choice_names(const md_option *option, md_arena *arena) {
    const char *names = "", *cursor = option->help;
    md_choice_word word;
    while (names && md_choice_next(&cursor, &word)) {
        if (word.alias) continue;
        names = md_arena_printf(arena, "%s%s%.*s", names, *names ? ", " : "", word.size, word.text);
    }
    return names;
}

static mdlm_status assign_choice(md_options *o, md_option_slot *slot, const site *s,
                                 mdlm_error *err) {
    const char *cursor = slot->option->help;
    md_choice_word word, canonical = {0};
    while (md_choice_next(&cursor, &word)) {
        if (!word.alias) canonical = word;
        if (strlen(s->text) != (size_t)word.size) continue;
        if (strncmp(s->text, word.text, (size_t)word.size) != 0) continue;
        return assign_text(o, slot, canonical.text, (size_t)canonical.size, err);
    }
    md_arena_mark mark = md_arena_save(o->arena);
    const char *names = md_choice_names(slot->option, o->arena);
    mdlm_status status = names ? md_fail(err, s->status, "%s '%s' is unknown: expected one of %s",
                                         s->label, s->text, names)
                               : no_memory(err);
    md_arena_rewind(o->arena, mark);
    return status;
}

static mdlm_status assign_value(md_options *o, md_option_slot *slot, const site *s,
                                mdlm_error *err) {
    switch (slot->option->type) {
    case MD_OPTION_INT: return assign_int(slot, s, err);
    case MD_OPTION_REAL: return assign_real(slot, s, err);
    case MD_OPTION_FLAG: return assign_flag(slot, s, err);
    case MD_OPTION_TEXT: return assign_text(o, slot, s->text, strlen(s->text), err);
    case MD_OPTION_TIME: return assign_time(slot, s, err);
    case MD_OPTION_CHOICE: return assign_choice(o, slot, s, err);
    }
    md_bug(__FILE__, __LINE__, "unknown type of option");
}

mdlm_status md_options_assign(md_options *o, md_option_slot *slot, const char *text,
                              md_origin origin, const char *file, mdlm_error *err) {
    if (slot->origin > origin) return MDLM_OK;
    site s = make_site(slot->option, text, file);
    MD_TRY(assign_value(o, slot, &s, err));
    slot->origin = origin;
    return MDLM_OK;
}

md_option_slot *md_options_find(const md_options *o, const char *name) {
    for (size_t i = 0; i < o->count; i++) {
        if (strcmp(o->slots[i].option->name, name) == 0) return &o->slots[i];
    }
    return NULL;
}

mdlm_status md_options_set(md_options *o, const char *name, const char *text, md_origin origin,
                           mdlm_error *err) {
    md_option_slot *slot = md_options_find(o, name);
    if (!slot) return md_options_unknown(o, name, NULL, err);
    return md_options_assign(o, slot, text, origin, NULL, err);
}

static char unescape(char c) {
    static const char names[] = "ntr\\\"'", values[] = "\n\t\r\\\"'";
    const char *found = c ? strchr(names, c) : NULL;
    MD_BUG_IF(!found);
    return values[found - names];
}

/* The string that C source text such as "\"a\"" stands for. */
static char *unquote(md_arena *arena, const char *source) {
    char *text = md_arena_alloc(arena, strlen(source) + 1), *end = text;
    if (!text) return NULL;
    for (const char *c = source; *c; c++) {
        if (*c == ' ') continue; /* between "adjacent" "literals" */
        MD_BUG_IF(*c != '"');
        for (c++; *c != '"'; c++) {
            MD_BUG_IF(!*c);
            *end++ = *c == '\\' ? unescape(*++c) : *c;
        }
    }
    *end = 0;
    return text;
}

bool md_option_is_open(const md_option *option) {
    bool number = option->type == MD_OPTION_INT || option->type == MD_OPTION_REAL ||
                  option->type == MD_OPTION_TIME;
    return number && option->min > 0 && !strcmp(option->fallback, "0");
}

bool md_option_slot_is_open(const md_option_slot *slot) {
    if (!md_option_is_open(slot->option)) return false;
    if (slot->option->type == MD_OPTION_INT) return *(const int64_t *)slot->place == 0;
    return *(const double *)slot->place == 0;
}

static mdlm_status assign_default(md_options *o, md_option_slot *slot, mdlm_error *err) {
    const md_option *option = slot->option;
    const char *text = option->fallback;
    if (md_option_is_open(option)) {
        if (option->type == MD_OPTION_INT) *(int64_t *)slot->place = 0;
        if (option->type != MD_OPTION_INT) *(double *)slot->place = 0;
        return MDLM_OK;
    }
    bool quoted = option->type == MD_OPTION_TEXT || option->type == MD_OPTION_CHOICE;
    if (quoted) text = unquote(o->arena, text);
    if (!text) return no_memory(err);
    mdlm_error reason = {0};
    mdlm_status status = md_options_assign(o, slot, text, MD_ORIGIN_DEFAULT, NULL, &reason);
    if (status == MDLM_USAGE) md_bug(option->name, 0, reason.message); /* the table is wrong */
    return status == MDLM_OK ? status : md_fail(err, status, "%s", reason.message);
}

static mdlm_status bind_group(md_options *o, size_t group, mdlm_error *err) {
    const md_option_group *g = &o->groups[group];
    for (const md_option *option = g->table; option->name; option++) {
        MD_BUG_IF(md_options_find(o, option->name) != NULL);
        MD_BUG_IF(option->min > option->max || strlen(option->name) + 16 > MD_FLAG_BYTES);
        md_option_slot *slot = &o->slots[o->count++];
        *slot = (md_option_slot){
            .option = option, .place = (char *)g->values + option->offset, .group = group};
        MD_TRY(assign_default(o, slot, err));
    }
    return MDLM_OK;
}

static void *arena_copy(md_arena *arena, const void *items, size_t bytes) {
    void *copy = md_arena_alloc(arena, bytes);
    if (copy && bytes > 0) memcpy(copy, items, bytes);
    return copy;
}

static mdlm_status bind(md_options *o, const md_option_group *groups, size_t count,
                        const md_option_alias *aliases, mdlm_error *err) {
    static const md_option_alias none[] = {{NULL, NULL}};
    if (!aliases) aliases = none;
    size_t slots = 0, alias_count = 1;
    for (size_t i = 0; i < count; i++) {
        for (const md_option *option = groups[i].table; option->name; option++) slots++;
    }
    for (const md_option_alias *a = aliases; a->flag; a++) alias_count++;
    o->groups = arena_copy(o->arena, groups, count * sizeof *groups);
    o->group_count = count;
    o->aliases = arena_copy(o->arena, aliases, alias_count * sizeof *aliases);
    o->slots = md_arena_alloc(o->arena, slots * sizeof *o->slots);
    if (!o->groups || !o->aliases || !o->slots) return no_memory(err);
    for (size_t i = 0; i < count; i++) MD_TRY(bind_group(o, i, err));
    return MDLM_OK;
}

md_options *md_options_new(const md_option_group *groups, size_t count,
                           const md_option_alias *aliases, mdlm_error *err) {
    md_options *o = md_alloc(1, sizeof *o, err);
    if (!o) return NULL;
    o->arena = md_arena_new(err);
    if (!o->arena || bind(o, groups, count, aliases, err) != MDLM_OK) {
        md_options_free(o);
        return NULL;
    }
    return o;
}

void md_options_free(md_options *o) {
    if (!o) return;
    md_arena_free(o->arena);
    md_free(o);
}

md_origin md_options_origin(const md_options *o, const char *name) {
    const md_option_slot *slot = md_options_find(o, name);
    MD_BUG_IF(!slot);
    return slot->origin;
}

mdlm_status md_options_refuse(const md_options *o, const char *const *names, const char *use,
                              mdlm_error *err) {
    for (; *names; names++) {
        const md_option_slot *slot = md_options_find(o, *names);
        MD_BUG_IF(!slot);
        if (slot->origin != MD_ORIGIN_GIVEN) continue;
        char flag[MD_FLAG_BYTES];
        md_option_flag(slot->option, flag);
        return md_fail(err, MDLM_USAGE, "%s is for %s", flag, use);
    }
    return MDLM_OK;
}

void md_options_chosen(md_options *o, const char *name) {
    md_option_slot *slot = md_options_find(o, name);
    MD_BUG_IF(!slot);
    if (slot->origin < MD_ORIGIN_CHOSEN) slot->origin = MD_ORIGIN_CHOSEN;
}
