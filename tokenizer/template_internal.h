/* tokenizer/template_internal.h: a chat template, parsed. Private to this folder.
 *
 *     template_parse.c   text and tags: statements, whitespace control
 *     template_expr.c    inside a tag: tokens and expressions
 *     template_run.c     evaluation
 *
 * Everything that parsing makes lives in the template's arena.
 */
#ifndef MD_TOKENIZER_TEMPLATE_INTERNAL_H
#define MD_TOKENIZER_TEMPLATE_INTERNAL_H

#include "base/arena.h"
#include "tokenizer/template.h"

enum {
    MD_TEMPLATE_SOURCE = 1 << 20, /* bytes */
    MD_TEMPLATE_DEPTH = 100,      /* of statements and expressions in one another */
    MD_TEMPLATE_CHAIN = 1000,     /* nodes below nodes, operators in a row included */
    MD_TEMPLATE_STEPS = 1 << 20,  /* nodes evaluated in a rendering */
    MD_TEMPLATE_BYTES = 1 << 26,  /* of strings made in a rendering, the output included */
    MD_TEMPLATE_NAMES = 64        /* variables set at a time */
};

/* What a node's operands a, b, c and its text are. */
typedef enum md_node_kind {
    MD_NODE_TEXT,   /* text: printed as it is */
    MD_NODE_OUTPUT, /* a */
    MD_NODE_FOR,    /* text: the variable; a: list; b: body */
    MD_NODE_IF,     /* a: condition; b: body; c: otherwise */
    MD_NODE_SET,    /* text: the variable; a */
    MD_NODE_STRING, /* text */
    MD_NODE_INT,    /* number */
    MD_NODE_BOOL,   /* number */
    MD_NODE_NONE,
    MD_NODE_NAME,   /* text */
    MD_NODE_ATTR,   /* a.text */
    MD_NODE_INDEX,  /* a[b] */
    MD_NODE_SLICE,  /* a[b:] */
    MD_NODE_BINARY, /* a text b, where text is + - ~ % == != < <= > >= */
    MD_NODE_AND,
    MD_NODE_OR,
    MD_NODE_NOT,     /* a */
    MD_NODE_IF_EXPR, /* b if a else c; c may be NULL */
    MD_NODE_FILTER,  /* a | text */
    MD_NODE_TEST,    /* a is text; number: negated */
    MD_NODE_CALL,    /* a(b); b: the first argument or NULL */
} md_node_kind;

typedef struct md_node {
    md_node_kind kind;
    int line;
    const char *text; /* NUL-terminated as well */
    size_t size;
    int64_t number;
    struct md_node *a, *b, *c;
    struct md_node *next; /* the statement after this one, or the next argument */
} md_node;

struct md_template {
    md_arena *arena;
    md_node *body;
};

typedef enum md_token_kind {
    MD_TOKEN_END, /* of the tag: "%}", "-%}", "}}", ... */
    MD_TOKEN_NAME,
    MD_TOKEN_STRING, /* text is unescaped */
    MD_TOKEN_INT,
    MD_TOKEN_SIGN, /* one or two characters */
} md_token_kind;

typedef struct md_token {
    md_token_kind kind;
    const char *text; /* NUL-terminated, in the arena */
    size_t size;
    int64_t number;
} md_token;

typedef struct md_parser {
    md_arena *arena;
    const char *start, *at, *end;
    int line, depth;
    md_token token; /* the one looked at, inside a tag */
    mdlm_error *err;
} md_parser;

/* Functions that give a node or a pointer give NULL after filling the error. */
void *md_parser_fail(md_parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
md_node *md_parser_node(md_parser *p, md_node_kind kind);
const char *md_parser_copy(md_parser *p, const char *text, size_t size);

/* Reads the next token of a tag into p->token. */
bool md_parser_next(md_parser *p);
bool md_parser_is(const md_parser *p, md_token_kind kind, const char *text);
md_node *md_parser_expression(md_parser *p);
md_node *md_parser_choice(md_parser *p); /* the same without `a if b else c` */

#endif
