/* base/options_help.c: --help and the one-line descriptions; see options.h. */
#include <ctype.h>
#include <string.h>

#include "base/number.h"
#include "base/options_internal.h"

enum { HELP_COLUMN = 24, HELP_WIDTH = 100 };

/* Text without control characters, so that a line stays a line. */
static mdlm_status put_text(md_buffer *out, const char *text, mdlm_error *err) {
    size_t start = out->size;
    MD_TRY(md_buffer_printf(out, err, "'%s'", text ? text : ""));
    for (size_t i = start; i < out->size; i++) {
        if (iscntrl((unsigned char)out->data[i])) out->data[i] = '?';
    }
    return MDLM_OK;
}

static mdlm_status put_number(md_buffer *out, double value, const char *unit, mdlm_error *err) {
    char number[MD_NUMBER_BYTES];
    md_number_format(value, number);
    return md_buffer_printf(out, err, "%s%s", number, unit);
}

static mdlm_status put_value(const md_option_slot *slot, md_buffer *out, mdlm_error *err) {
    if (md_option_slot_is_open(slot)) return md_buffer_text(out, "auto", err);
    switch (slot->option->type) {
    case MD_OPTION_INT:
        return md_buffer_printf(out, err, "%lld", (long long)*(const int64_t *)slot->place);
    case MD_OPTION_REAL: return put_number(out, *(const double *)slot->place, "", err);
    case MD_OPTION_TIME: return put_number(out, *(const double *)slot->place, "s", err);
    case MD_OPTION_FLAG:
        return md_buffer_text(out, *(const bool *)slot->place ? "true" : "false", err);
    case MD_OPTION_TEXT: return put_text(out, *(const char *const *)slot->place, err);
    case MD_OPTION_CHOICE: return md_buffer_text(out, *(const char *const *)slot->place, err);
    }
    md_bug(__FILE__, __LINE__, "unknown type of option");
}

static const char *origin_note(md_origin origin) {
    switch (origin) {
    case MD_ORIGIN_DEFAULT: return " (default)";
    case MD_ORIGIN_CHOSEN: return " (chosen)";
    case MD_ORIGIN_FILE: return " (file)";
    case MD_ORIGIN_GIVEN: return "";
    }
    md_bug(__FILE__, __LINE__, "unknown origin");
}

/* Left out of a description: what nobody asked for and nothing follows from. */
static bool is_silent(const md_option_slot *s) {
    if (s->origin != MD_ORIGIN_DEFAULT) return false;
    if (s->option->type == MD_OPTION_FLAG) return !*(const bool *)s->place;
    if (s->option->type == MD_OPTION_TEXT) return !**(const char *const *)s->place;
    return md_option_slot_is_open(s);
}

static mdlm_status put_title(const char *title, md_buffer *out, mdlm_error *err) {
    for (const char *c = title; *c; c++) {
        char lower = (char)tolower((unsigned char)*c);
        MD_TRY(md_buffer_append(out, &lower, 1, err));
    }
    return md_buffer_text(out, ": ", err);
}

mdlm_status md_options_describe(const md_options *o, md_buffer *out, mdlm_error *err) {
    bool open = false; /* a line */
    size_t group = 0;
    for (size_t i = 0; i < o->count; i++) {
        const md_option_slot *s = &o->slots[i];
        if (is_silent(s)) continue;
        if (open && s->group == group) {
            MD_TRY(md_buffer_text(out, ", ", err));
        } else {
            if (open) MD_TRY(md_buffer_text(out, "\n", err));
            MD_TRY(put_title(o->groups[s->group].title, out, err));
        }
        MD_TRY(md_buffer_printf(out, err, "%s ", s->option->name));
        MD_TRY(put_value(s, out, err));
        MD_TRY(md_buffer_text(out, origin_note(s->origin), err));
        open = true;
        group = s->group;
    }
    return open ? md_buffer_text(out, "\n", err) : MDLM_OK;
}

/* "-p, --prompt, --text TEXT" */
static mdlm_status put_flags(const md_options *o, const md_option *option, md_buffer *out,
                             mdlm_error *err) {
    static const char *const values[] = {
        [MD_OPTION_INT] = " N",     [MD_OPTION_REAL] = " X",    [MD_OPTION_FLAG] = "",
        [MD_OPTION_TEXT] = " TEXT", [MD_OPTION_TIME] = " TIME", [MD_OPTION_CHOICE] = " NAME",
    };
    char flag[MD_FLAG_BYTES];
    md_option_flag(option, flag);
    bool on = option->type == MD_OPTION_FLAG && strcmp(option->fallback, "true") == 0;
    MD_TRY(md_buffer_text(out, "  ", err));
    for (const md_option_alias *a = o->aliases; a->flag; a++) {
        if (strcmp(a->name, option->name) != 0 || strncmp(a->flag, "--", 2) == 0) continue;
        MD_TRY(md_buffer_printf(out, err, "%s, ", a->flag));
    }
    MD_TRY(md_buffer_printf(out, err, "--%s%s", on ? "[no-]" : "", flag + 2));
    for (const md_option_alias *a = o->aliases; a->flag; a++) {
        if (strcmp(a->name, option->name) != 0 || strncmp(a->flag, "--", 2) != 0) continue;
        MD_TRY(md_buffer_printf(out, err, ", %s", a->flag));
    }
    return md_buffer_text(out, values[option->type], err);
}

/* " (default 4, 1 to 1000)" as the table has it. */
static mdlm_status put_default(const md_option *option, md_buffer *out, mdlm_error *err) {
    char bounds[MD_BOUNDS_BYTES];
    const char *fallback = md_option_is_open(option) ? "auto" : option->fallback;
    switch (option->type) {
    case MD_OPTION_INT:
    case MD_OPTION_REAL:
        md_option_bounds(option, bounds);
        return md_buffer_printf(out, err, " (default %s, %s)", fallback, bounds);
    case MD_OPTION_TIME:
        if (md_option_is_open(option)) return MDLM_OK;
        return md_buffer_printf(out, err, " (default %ss)", fallback);
    case MD_OPTION_FLAG:
        if (strcmp(option->fallback, "true") != 0) return MDLM_OK;
        return md_buffer_text(out, " (default on)", err);
    case MD_OPTION_TEXT:
        if (strcmp(option->fallback, "\"\"") == 0) return MDLM_OK;
        return md_buffer_printf(out, err, " (default %s)", option->fallback);
    case MD_OPTION_CHOICE:
        return md_buffer_printf(out, err, " (default %.*s)", (int)strlen(option->fallback) - 2,
                                option->fallback + 1);
    }
    md_bug(__FILE__, __LINE__, "unknown type of option");
}

static mdlm_status put_explanation(const md_options *o, const md_option *option, md_buffer *out,
                                   mdlm_error *err) {
    const char *help = option->help;
    if (option->type == MD_OPTION_CHOICE) {
        md_choice_word word;
        while (md_choice_next(&help, &word)) continue;
        help += strspn(help, ": ");
    }
    MD_TRY(md_buffer_text(out, help, err));
    if (option->type == MD_OPTION_CHOICE) {
        md_arena_mark mark = md_arena_save(o->arena);
        const char *names = md_choice_names(option, o->arena);
        mdlm_status status =
            names ? md_buffer_printf(out, err, "%s%s", *help ? ": " : "", names)
                  : md_fail(err, MDLM_RUNTIME, "out of memory: cannot write the help");
        md_arena_rewind(o->arena, mark);
        MD_TRY(status);
    }
    return put_default(option, out, err);
}

/* Columns that UTF-8 text takes, if every character takes one. */
static int columns(const char *text, size_t size) {
    int count = 0;
    for (size_t i = 0; i < size; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* Writes the words of `text` between HELP_COLUMN and HELP_WIDTH; the line is `column` long now. */
static mdlm_status put_wrapped(md_buffer *out, const char *text, int column, mdlm_error *err) {
    bool first = true;
    for (const char *word = text; *word;) {
        size_t size = strcspn(word, " ");
        int width = columns(word, size);
        bool fits = column + !first + width <= HELP_WIDTH;
        if (first ? column > HELP_COLUMN - 2 : !fits) {
            MD_TRY(md_buffer_printf(out, err, "\n%*s", HELP_COLUMN, ""));
            column = HELP_COLUMN;
        } else if (first) {
            MD_TRY(md_buffer_printf(out, err, "%*s", HELP_COLUMN - column, ""));
            column = HELP_COLUMN;
        } else {
            MD_TRY(md_buffer_text(out, " ", err));
            column++;
        }
        MD_TRY(md_buffer_append(out, word, size, err));
        column += width;
        first = false;
        word += size;
        word += strspn(word, " ");
    }
    return md_buffer_text(out, "\n", err);
}

mdlm_status md_options_help(const md_options *o, md_buffer *out, mdlm_error *err) {
    md_buffer explanation = {0};
    mdlm_status status = MDLM_OK;
    for (size_t i = 0; i < o->count; i++) {
        const md_option_slot *slot = &o->slots[i];
        if (i == 0 || slot->group != o->slots[i - 1].group) {
            MD_GOTO(
                done, status,
                md_buffer_printf(out, err, "%s%s:\n", i ? "\n" : "", o->groups[slot->group].title));
        }
        size_t start = out->size;
        MD_GOTO(done, status, put_flags(o, slot->option, out, err));
        md_buffer_clear(&explanation);
        MD_GOTO(done, status, put_explanation(o, slot->option, &explanation, err));
        int column = columns(out->data + start, out->size - start);
        MD_GOTO(done, status, put_wrapped(out, explanation.data, column, err));
    }
done:
    md_buffer_release(&explanation);
    return status;
}
