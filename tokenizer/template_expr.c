/* tokenizer/template_expr.c: tokens and expressions of a chat template; see template.h. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer/template_internal.h"

void *md_parser_fail(md_parser *p, const char *format, ...) {
    char text[300];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    md_fail(p->err, MDLM_INPUT, "chat template line %d: %s", p->line, text);
    return NULL;
}

static void *no_memory(md_parser *p) {
    md_fail(p->err, MDLM_RUNTIME, "out of memory while reading a chat template");
    return NULL;
}

md_node *md_parser_node(md_parser *p, md_node_kind kind) {
    md_node *node = md_arena_alloc(p->arena, sizeof *node);
    if (!node) return no_memory(p);
    *node = (md_node){.kind = kind, .line = p->line};
    return node;
}

const char *md_parser_copy(md_parser *p, const char *text, size_t size) {
    char *copy = md_arena_alloc(p->arena, size + 1);
    if (!copy) return no_memory(p);
    memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static bool is_name(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

static bool take(md_parser *p, md_token_kind kind, size_t size) {
    p->token = (md_token){.kind = kind, .text = md_parser_copy(p, p->at, size), .size = size};
    p->at += size;
    return p->token.text != NULL;
}

/* The size of the mark that ends a tag here, or 0. */
static size_t tag_end(const md_parser *p) {
    size_t signs = p->at < p->end && (*p->at == '-' || *p->at == '+') ? 1 : 0;
    const char *mark = p->at + signs;
    if (p->end - mark < 2 || mark[1] != '}') return 0;
    return mark[0] == '%' || mark[0] == '}' ? signs + 2 : 0;
}

static bool take_string(md_parser *p) {
    static const char names[] = "ntr\\'\"", values[] = "\n\t\r\\'\"";
    char quote = *p->at++;
    char *text = md_arena_alloc(p->arena, (size_t)(p->end - p->at) + 1);
    size_t size = 0;
    if (!text) return no_memory(p) != NULL;
    for (; p->at < p->end && *p->at != quote; p->at++) {
        char c = *p->at;
        if (c == '\n') p->line++;
        if (c == '\\' && p->at + 1 < p->end) {
            const char *known = strchr(names, *++p->at);
            if (!known || !*known)
                return md_parser_fail(p, "the escape '\\%c' is not supported", *p->at) != NULL;
            c = values[known - names];
        }
        text[size++] = c;
    }
    if (p->at >= p->end) return md_parser_fail(p, "a string has no end") != NULL;
    p->at++;
    text[size] = 0;
    p->token = (md_token){.kind = MD_TOKEN_STRING, .text = text, .size = size};
    return true;
}

static bool take_number(md_parser *p) {
    size_t size = 0;
    int64_t number = 0;
    while (p->at + size < p->end && isdigit((unsigned char)p->at[size])) {
        if (size > 9) return md_parser_fail(p, "a number has more than 10 digits") != NULL;
        number = 10 * number + (p->at[size++] - '0');
    }
    if (!take(p, MD_TOKEN_INT, size)) return false;
    p->token.number = number;
    return true;
}

bool md_parser_next(md_parser *p) {
    static const char *const pairs[] = {"==", "!=", "<=", ">=", "//", "**", NULL};
    for (; p->at < p->end && isspace((unsigned char)*p->at); p->at++) {
        if (*p->at == '\n') p->line++;
    }
    if (p->at >= p->end) return md_parser_fail(p, "a tag has no end") != NULL;
    size_t size = tag_end(p);
    if (size > 0) return take(p, MD_TOKEN_END, size);
    if (*p->at == '\'' || *p->at == '"') return take_string(p);
    if (isdigit((unsigned char)*p->at)) return take_number(p);
    if (is_name(*p->at)) {
        while (p->at + size < p->end && is_name(p->at[size])) size++;
        return take(p, MD_TOKEN_NAME, size);
    }
    size = 1;
    for (int i = 0; pairs[i]; i++) {
        if (p->end - p->at >= 2 && !memcmp(p->at, pairs[i], 2)) size = 2;
    }
    return take(p, MD_TOKEN_SIGN, size);
}

bool md_parser_is(const md_parser *p, md_token_kind kind, const char *text) {
    return p->token.kind == kind && strcmp(p->token.text, text) == 0;
}

static bool is_sign(const md_parser *p, const char *text) {
    return md_parser_is(p, MD_TOKEN_SIGN, text);
}

static bool is_word(const md_parser *p, const char *text) {
    return md_parser_is(p, MD_TOKEN_NAME, text);
}

static bool expect(md_parser *p, const char *sign) {
    if (is_sign(p, sign)) return md_parser_next(p);
    return md_parser_fail(p, "expected '%s', found '%s'", sign, p->token.text) != NULL;
}

/* --- expressions, from the tightest binding up ------------------------------------------------ */

static md_node *unary(md_parser *p);

static md_node *literal(md_parser *p, md_node_kind kind, int64_t number) {
    md_node *node = md_parser_node(p, kind);
    if (!node) return NULL;
    node->text = p->token.text;
    node->size = p->token.size;
    node->number = number;
    return md_parser_next(p) ? node : NULL;
}

static md_node *primary(md_parser *p) {
    static const char *const words[] = {"true", "True", "false", "False", "none", "None"};
    static const char *const operators[] = {"and", "or", "not", "in", "is", "if", "else"};
    switch (p->token.kind) {
    case MD_TOKEN_STRING: return literal(p, MD_NODE_STRING, 0);
    case MD_TOKEN_INT: return literal(p, MD_NODE_INT, p->token.number);
    case MD_TOKEN_NAME:
        for (int i = 0; i < 6; i++) {
            if (!is_word(p, words[i])) continue;
            return literal(p, i < 4 ? MD_NODE_BOOL : MD_NODE_NONE, i < 2);
        }
        for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
            if (is_word(p, operators[i]))
                return md_parser_fail(p, "unexpected '%s'", p->token.text);
        }
        return literal(p, MD_NODE_NAME, 0);
    case MD_TOKEN_SIGN:
        if (!is_sign(p, "(")) break;
        if (!md_parser_next(p)) return NULL;
        md_node *inner = md_parser_expression(p);
        return inner && expect(p, ")") ? inner : NULL;
    case MD_TOKEN_END: break;
    }
    return md_parser_fail(p, "expected a value, found '%s'", p->token.text);
}

/* A word after '.', '|' or `is`. */
static md_node *named(md_parser *p, md_node_kind kind, md_node *of) {
    if (p->token.kind != MD_TOKEN_NAME)
        return md_parser_fail(p, "expected a name, found '%s'", p->token.text);
    md_node *node = literal(p, kind, 0);
    if (node) node->a = of;
    return node;
}

static md_node *subscript(md_parser *p, md_node *of) {
    md_node *node = md_parser_node(p, MD_NODE_INDEX);
    if (!node || !md_parser_next(p)) return NULL;
    node->a = of;
    if (!(node->b = md_parser_expression(p))) return NULL;
    if (is_sign(p, ":")) {
        node->kind = MD_NODE_SLICE;
        if (!md_parser_next(p)) return NULL;
    }
    return expect(p, "]") ? node : NULL;
}

/* Arguments in parentheses; what they are for decides whether they are supported. */
static md_node *call(md_parser *p, md_node *of) {
    md_node *node = md_parser_node(p, MD_NODE_CALL), **tail = node ? &node->b : NULL;
    if (!node || !md_parser_next(p)) return NULL;
    node->a = of;
    while (!is_sign(p, ")")) {
        if (node->b && !expect(p, ",")) return NULL;
        if (!(*tail = md_parser_expression(p))) return NULL;
        if (is_sign(p, "=")) { /* a named argument: its value is what counts */
            if (!md_parser_next(p) || !(*tail = md_parser_expression(p))) return NULL;
        }
        tail = &(*tail)->next;
    }
    return md_parser_next(p) ? node : NULL;
}

static md_node *test(md_parser *p, md_node *of) {
    if (!md_parser_next(p)) return NULL;
    bool negated = is_word(p, "not");
    if (negated && !md_parser_next(p)) return NULL;
    md_node *node = named(p, MD_NODE_TEST, of);
    if (node) node->number = negated;
    return node;
}

static md_node *postfix(md_parser *p, md_node *node) {
    while (node) {
        bool dot = is_sign(p, "."), bar = is_sign(p, "|");
        if (dot || bar) {
            if (!md_parser_next(p)) return NULL;
            node = named(p, dot ? MD_NODE_ATTR : MD_NODE_FILTER, node);
        } else if (is_sign(p, "[")) {
            node = subscript(p, node);
        } else if (is_sign(p, "(")) {
            node = call(p, node);
        } else if (is_word(p, "is")) {
            node = test(p, node);
        } else {
            break;
        }
    }
    return node;
}

/* 0 - x, so that one operator computes */
static md_node *negative(md_parser *p) {
    md_node *node = md_parser_node(p, MD_NODE_BINARY), *zero = md_parser_node(p, MD_NODE_INT);
    if (!node || !zero || !md_parser_next(p)) return NULL;
    node->text = "-";
    node->a = zero;
    return (node->b = unary(p)) ? node : NULL;
}

static md_node *unary(md_parser *p) {
    if (++p->depth > MD_TEMPLATE_DEPTH)
        return md_parser_fail(p, "expressions are nested deeper than %d", MD_TEMPLATE_DEPTH);
    md_node *node = is_sign(p, "-") ? negative(p) : postfix(p, primary(p));
    p->depth--;
    return node;
}

/* The operators of a level, NULL-terminated; the levels from the loosest. */
static const char *const levels[][7] = {
    {"==", "!=", "<", "<=", ">", ">=", NULL}, {"+", "-", NULL}, {"~", NULL}, {"%", NULL}};
enum { LEVELS = sizeof levels / sizeof *levels };

static const char *operator_here(const md_parser *p, int level) {
    for (int i = 0; levels[level][i]; i++) {
        if (is_sign(p, levels[level][i])) return levels[level][i];
    }
    return NULL;
}

static md_node *binary(md_parser *p, int level) {
    md_node *left = level + 1 < LEVELS ? binary(p, level + 1) : unary(p);
    const char *sign;
    while (left && (sign = operator_here(p, level))) {
        md_node *node = md_parser_node(p, MD_NODE_BINARY);
        if (!node || !md_parser_next(p)) return NULL;
        node->text = sign;
        node->a = left;
        node->b = level + 1 < LEVELS ? binary(p, level + 1) : unary(p);
        left = node->b ? node : NULL;
    }
    return left;
}

static md_node *negation(md_parser *p) {
    if (!is_word(p, "not")) return binary(p, 0);
    if (++p->depth > MD_TEMPLATE_DEPTH)
        return md_parser_fail(p, "expressions are nested deeper than %d", MD_TEMPLATE_DEPTH);
    md_node *node = md_parser_node(p, MD_NODE_NOT);
    if (!node || !md_parser_next(p)) return NULL;
    node->a = negation(p);
    p->depth--;
    return node->a ? node : NULL;
}

/* Chains of `and` below chains of `or`. */
static md_node *junction(md_parser *p, md_node_kind kind) {
    const char *word = kind == MD_NODE_OR ? "or" : "and";
    md_node *left = kind == MD_NODE_OR ? junction(p, MD_NODE_AND) : negation(p);
    while (left && is_word(p, word)) {
        md_node *node = md_parser_node(p, kind);
        if (!node || !md_parser_next(p)) return NULL;
        node->a = left;
        node->b = kind == MD_NODE_OR ? junction(p, MD_NODE_AND) : negation(p);
        left = node->b ? node : NULL;
    }
    return left;
}

md_node *md_parser_choice(md_parser *p) {
    return junction(p, MD_NODE_OR);
}

md_node *md_parser_expression(md_parser *p) {
    if (++p->depth > MD_TEMPLATE_DEPTH)
        return md_parser_fail(p, "expressions are nested deeper than %d", MD_TEMPLATE_DEPTH);
    md_node *value = junction(p, MD_NODE_OR);
    if (value && is_word(p, "if")) {
        md_node *node = md_parser_node(p, MD_NODE_IF_EXPR);
        if (!node || !md_parser_next(p) || !(node->a = junction(p, MD_NODE_OR))) return NULL;
        node->b = value;
        if (is_word(p, "else")) {
            if (!md_parser_next(p) || !(node->c = md_parser_expression(p))) return NULL;
        }
        value = node;
    }
    p->depth--;
    return value;
}
