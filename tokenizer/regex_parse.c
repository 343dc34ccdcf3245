/* tokenizer/regex_parse.c: expressions as trees; see regex.h for what they may hold. */
#include <ctype.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "tokenizer/regex_internal.h"
#include "tokenizer/unicode.h"

enum { DEEPEST = 200, MOST_TIMES = 65535 };

typedef struct parser {
    md_arena *arena;
    const char *text;
    size_t size, at;
    int depth; /* of groups */
    mdlm_error *err;
} parser;

static mdlm_status parse_alternatives(parser *p, md_re_node **out);

static mdlm_status fail_at(const parser *p, size_t at, const char *what) {
    return md_fail(p->err, MDLM_USAGE, "regular expression, byte %zu: %s", at + 1, what);
}

static mdlm_status no_memory(const parser *p) {
    return md_fail(p->err, MDLM_RUNTIME, "out of memory for a regular expression");
}

static bool is_next(const parser *p, char c) {
    return p->at < p->size && p->text[p->at] == c;
}

static mdlm_status new_node(const parser *p, md_re_node node, md_re_node **out) {
    md_re_node *memory = md_arena_alloc(p->arena, sizeof *memory);
    if (!memory) return no_memory(p);
    *memory = node;
    *out = memory;
    return MDLM_OK;
}

/* --- characters and classes ------------------------------------------------------------------ */

/* What an escape or a character says. */
typedef struct atom {
    enum { CHARACTER, BYTE, NAMED } kind;
    uint32_t value; /* code point, byte, or letter of a named class */
} atom;

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static mdlm_status read_hex(parser *p, atom *out) {
    size_t start = p->at - 2;
    int high = p->at < p->size ? hex_digit(p->text[p->at]) : -1;
    int low = p->at + 1 < p->size ? hex_digit(p->text[p->at + 1]) : -1;
    if (high < 0 || low < 0) return fail_at(p, start, "'\\x' needs two hexadecimal digits");
    p->at += 2;
    uint32_t value = (uint32_t)(16 * high + low);
    *out = (atom){value < 0x80 ? CHARACTER : BYTE, value};
    return MDLM_OK;
}

static mdlm_status refuse_escape(const parser *p, size_t at, char c) {
    if (c >= '1' && c <= '9') return fail_at(p, at, "backreferences are not supported");
    if (strchr("bBAZzG", c))
        return fail_at(p, at, "no anchor is supported but ^ at the start and $ at the end");
    return fail_at(p, at, "this escape is not supported (\\xHH is any byte)");
}

/* At the character behind a backslash. */
static mdlm_status read_escape(parser *p, atom *out) {
    static const char names[] = "ntrfv", values[] = "\n\t\r\f\v";
    size_t start = p->at - 1;
    if (p->at == p->size) return fail_at(p, start, "a backslash with nothing behind it");
    char c = p->text[p->at++];
    const char *found = c ? strchr(names, c) : NULL;
    if (c == 'x') return read_hex(p, out);
    if (found)
        *out = (atom){CHARACTER, (uint8_t)values[found - names]};
    else if (c && strchr("dwsDWS", c))
        *out = (atom){NAMED, (uint8_t)c};
    else if (ispunct((unsigned char)c) || c == ' ')
        *out = (atom){CHARACTER, (uint8_t)c};
    else
        return refuse_escape(p, start, c);
    return MDLM_OK;
}

static mdlm_status read_character(parser *p, atom *out) {
    if (is_next(p, '\\')) {
        p->at++;
        return read_escape(p, out);
    }
    int32_t point = md_utf8_next(p->text, p->size, &p->at);
    if (point < 0) return fail_at(p, p->at - 1, "a byte that is no UTF-8 (write \\xHH)");
    *out = (atom){CHARACTER, (uint32_t)point};
    return MDLM_OK;
}

static void add_bytes(md_re_set *set, uint32_t low, uint32_t high) {
    for (uint32_t byte = low; byte <= high; byte++)
        set->bytes[(byte - 0x80) / 64] |= (uint64_t)1 << (byte - 0x80) % 64;
}

static mdlm_status add_atoms(const parser *p, md_re_set *set, atom low, atom high) {
    if (low.kind == NAMED) return md_re_set_add_named(set, (char)low.value, p->err);
    if (low.kind == CHARACTER) return md_re_set_add(set, low.value, high.value, p->err);
    add_bytes(set, low.value, high.value);
    return MDLM_OK;
}

static mdlm_status read_range(parser *p, md_re_set *set) {
    size_t start = p->at;
    atom low, high;
    if (is_next(p, '[') && p->at + 1 < p->size && strchr(":.=", p->text[p->at + 1]))
        return fail_at(p, start, "POSIX classes are not supported");
    MD_TRY(read_character(p, &low));
    high = low;
    if (is_next(p, '-') && p->at + 1 < p->size && p->text[p->at + 1] != ']') {
        p->at++;
        MD_TRY(read_character(p, &high));
        if (low.kind == NAMED || high.kind != low.kind || high.value < low.value)
            return fail_at(p, start, "a range needs two characters or two bytes, the lower first");
    }
    return add_atoms(p, set, low, high);
}

static mdlm_status class_node(const parser *p, const md_re_set *set, md_re_node **out) {
    md_re_node node = {.kind = MD_RE_CLASS, .range_count = set->count};
    md_re_range *ranges = md_arena_alloc(p->arena, (set->count + 1) * sizeof *ranges);
    if (!ranges) return no_memory(p);
    if (set->count > 0) memcpy(ranges, set->ranges, set->count * sizeof *ranges);
    memcpy(node.bytes, set->bytes, sizeof node.bytes);
    node.ranges = ranges;
    return new_node(p, node, out);
}

/* Behind "[", into `set`. */
static mdlm_status read_class(parser *p, md_re_set *set) {
    size_t start = p->at - 1;
    bool negate = is_next(p, '^');
    if (negate) p->at++;
    bool first = true;
    while (first || !is_next(p, ']')) {
        if (p->at >= p->size) return fail_at(p, start, "'[' without ']'");
        MD_TRY(read_range(p, set));
        first = false;
    }
    p->at++;
    if (negate && (set->bytes[0] | set->bytes[1]))
        return fail_at(p, start, "bytes from \\x80 on cannot be in '[^'");
    return md_re_set_finish(set, negate, p->err);
}

static mdlm_status parse_class(parser *p, md_re_node **out) {
    md_re_set set = {0};
    mdlm_status status = read_class(p, &set);
    if (status == MDLM_OK) status = class_node(p, &set, out);
    md_re_set_release(&set);
    return status;
}

/* A character, an escape, or any character but line feed. */
static mdlm_status parse_character(parser *p, md_re_node **out) {
    md_re_set set = {0};
    bool dot = is_next(p, '.');
    atom a = {CHARACTER, '\n'};
    mdlm_status status = MDLM_OK;
    if (dot)
        p->at++;
    else
        MD_TRY(read_character(p, &a));
    status = add_atoms(p, &set, a, a);
    if (status == MDLM_OK) status = md_re_set_finish(&set, dot, p->err);
    if (status == MDLM_OK) status = class_node(p, &set, out);
    md_re_set_release(&set);
    return status;
}

/* --- structure ------------------------------------------------------------------------------- */

static mdlm_status parse_group(parser *p, md_re_node **out) {
    size_t start = p->at++;
    if (is_next(p, '?')) {
        if (p->at + 1 >= p->size || p->text[p->at + 1] != ':')
            return fail_at(p, start,
                           "'(?' is supported as '(?:' alone: no look-around, flags, named groups");
        p->at += 2;
    }
    if (++p->depth > DEEPEST) return fail_at(p, start, "groups are nested too deeply");
    MD_TRY(parse_alternatives(p, out));
    p->depth--;
    if (!is_next(p, ')')) return fail_at(p, start, "'(' without ')'");
    p->at++;
    return MDLM_OK;
}

static mdlm_status parse_atom(parser *p, md_re_node **out) {
    bool bare_end = p->at + 1 == p->size && p->depth == 0;
    switch (p->text[p->at]) {
    case '(': return parse_group(p, out);
    case '[': p->at++; return parse_class(p, out);
    case '*':
    case '+':
    case '?': return fail_at(p, p->at, "nothing to repeat");
    case '^': return fail_at(p, p->at, "'^' is an anchor: only at the start, or \\^");
    case '$':
        if (!bare_end) return fail_at(p, p->at, "'$' is an anchor: only at the end, or \\$");
        p->at++;
        return new_node(p, (md_re_node){.kind = MD_RE_SEQUENCE}, out);
    default: return parse_character(p, out);
    }
}

/* Digits at *at; false when there are none. Large numbers stop at MOST_TIMES + 1. */
static bool read_number(const parser *p, size_t *at, int *value) {
    size_t start = *at;
    *value = 0;
    for (; *at < p->size && isdigit((unsigned char)p->text[*at]); ++*at)
        if (*value <= MOST_TIMES) *value = *value * 10 + (p->text[*at] - '0');
    if (*value > MOST_TIMES) *value = MOST_TIMES + 1;
    return *at > start;
}

/* "{m}", "{m,}" or "{m,n}" at the parser: its end in *end. */
static bool read_bounds(const parser *p, size_t *end, int *min, int *max) {
    size_t at = p->at + 1;
    if (!is_next(p, '{') || !read_number(p, &at, min)) return false;
    *max = *min;
    if (at < p->size && p->text[at] == ',') {
        at++;
        if (!read_number(p, &at, max)) *max = -1;
    }
    if (at >= p->size || p->text[at] != '}') return false;
    *end = at + 1;
    return true;
}

static bool read_quantifier(const parser *p, size_t *end, int *min, int *max) {
    char c = p->at < p->size ? p->text[p->at] : 0;
    *end = p->at + 1;
    *min = c == '+';
    *max = c == '?' ? 1 : -1;
    return c == '*' || c == '+' || c == '?' || read_bounds(p, end, min, max);
}

static mdlm_status parse_repeat(parser *p, md_re_node **out) {
    size_t start = p->at, end;
    int min, max;
    if (read_bounds(p, &end, &min, &max)) return fail_at(p, start, "nothing to repeat");
    MD_TRY(parse_atom(p, out));
    start = p->at;
    if (!read_quantifier(p, &end, &min, &max)) return MDLM_OK;
    if (min > MOST_TIMES || max > MOST_TIMES || (max >= 0 && max < min))
        return fail_at(p, start, "bounds that are too large or the wrong way round");
    md_re_node **child = md_arena_alloc(p->arena, sizeof *child);
    if (!child) return no_memory(p);
    *child = *out;
    p->at = end;
    int ignored[2];
    if (read_quantifier(p, &end, &ignored[0], &ignored[1]))
        return fail_at(p, p->at, "lazy, possessive and doubled quantifiers are not supported");
    md_re_node node = {
        .kind = MD_RE_REPEAT, .children = child, .child_count = 1, .min = min, .max = max};
    return new_node(p, node, out);
}

/* A node of the children whose pointers `list` holds; one child stands for itself. */
static mdlm_status parent_node(const parser *p, md_re_kind kind, const md_buffer *list,
                               md_re_node **out) {
    md_re_node node = {.kind = kind, .child_count = list->size / sizeof *node.children};
    node.children = md_arena_alloc(p->arena, list->size + sizeof *node.children);
    if (!node.children) return no_memory(p);
    if (list->size > 0) memcpy(node.children, list->data, list->size);
    if (node.child_count != 1) return new_node(p, node, out);
    *out = node.children[0];
    return MDLM_OK;
}

static mdlm_status parse_sequence(parser *p, md_re_node **out) {
    md_buffer list = {0};
    mdlm_status status = MDLM_OK;
    while (status == MDLM_OK && p->at < p->size && !is_next(p, '|') && !is_next(p, ')')) {
        md_re_node *child = NULL;
        status = parse_repeat(p, &child);
        if (status == MDLM_OK) status = md_buffer_append(&list, &child, sizeof child, p->err);
    }
    if (status == MDLM_OK) status = parent_node(p, MD_RE_SEQUENCE, &list, out);
    md_buffer_release(&list);
    return status;
}

static mdlm_status parse_alternatives(parser *p, md_re_node **out) {
    md_buffer list = {0};
    mdlm_status status = MDLM_OK;
    for (bool more = true; more && status == MDLM_OK;) {
        md_re_node *child = NULL;
        status = parse_sequence(p, &child);
        if (status == MDLM_OK) status = md_buffer_append(&list, &child, sizeof child, p->err);
        more = is_next(p, '|');
        p->at += more;
    }
    if (status == MDLM_OK) status = parent_node(p, MD_RE_ALTERNATE, &list, out);
    md_buffer_release(&list);
    return status;
}

mdlm_status md_re_parse(md_arena *arena, const char *pattern, size_t size, md_re_node **out,
                        mdlm_error *err) {
    parser p = {.arena = arena, .text = pattern, .size = size, .err = err};
    if (size > MD_REGEX_BYTES)
        return md_fail(err, MDLM_USAGE, "regular expression: %zu bytes, expected at most %d", size,
                       MD_REGEX_BYTES);
    if (is_next(&p, '^')) p.at++;
    MD_TRY(parse_alternatives(&p, out));
    return p.at == size ? MDLM_OK : fail_at(&p, p.at, "')' without '('");
}
