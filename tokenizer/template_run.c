/* tokenizer/template_run.c: evaluation of a chat template; see template.h. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tokenizer/template_internal.h"

typedef enum value_kind {
    UNDEFINED, /* text: what it is called, for messages */
    NONE,
    BOOL,
    INT,
    STRING,
    MESSAGES, /* number of them from `first` on */
    MESSAGE,  /* messages[first] */
    LOOP,     /* turn `first` of `number` */
    METHOD,   /* text: its name; on the string `of` */
} value_kind;

typedef struct value {
    value_kind kind;
    const char *text;
    const char *given; /* of a STRING: 1 for each byte that is a message's */
    size_t size;
    int64_t number, first;
} value;

typedef struct variable {
    const char *name;
    value value;
} variable;

typedef struct renderer {
    const md_template_input *in;
    md_arena *arena;
    md_buffer *text, *given;
    variable names[MD_TEMPLATE_NAMES];
    int count, scope; /* names in use; the first that belongs to this turn of a loop */
    int64_t steps, bytes;
    int depth;
    mdlm_error *err;
} renderer;

static mdlm_status fail(renderer *r, const md_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static mdlm_status fail(renderer *r, const md_node *at, const char *format, ...) {
    char text[300];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return md_fail(r->err, MDLM_INPUT, "chat template line %d: %s", at->line, text);
}

static mdlm_status evaluate(renderer *r, const md_node *node, value *out);

static const char *kind_name(const value *v) {
    static const char *const names[] = {"an undefined value", "none",     "a truth value",
                                        "a number",           "a string", "the messages",
                                        "a message",          "the loop", "a method"};
    return names[v->kind];
}

/* Every string that is made, or printed, counts. */
static mdlm_status spend(renderer *r, const md_node *at, size_t bytes) {
    if (bytes <= (size_t)(MD_TEMPLATE_BYTES - r->bytes)) {
        r->bytes += (int64_t)bytes;
        return MDLM_OK;
    }
    return fail(r, at, "it makes more than %d bytes of text", MD_TEMPLATE_BYTES);
}

/* An empty string with room for `size` bytes and their marks. */
static mdlm_status new_string(renderer *r, const md_node *at, size_t size, char **text,
                              char **given) {
    MD_TRY(spend(r, at, size));
    *text = md_arena_alloc(r->arena, 2 * size + 2);
    if (!*text) return md_fail(r->err, MDLM_RUNTIME, "out of memory in a chat template");
    *given = *text + size + 1;
    (*text)[size] = 0;
    return MDLM_OK;
}

static mdlm_status string_of(renderer *r, const md_node *at, const char *from, size_t size,
                             bool is_given, value *out) {
    char *text = NULL, *given = NULL;
    MD_TRY(new_string(r, at, size, &text, &given));
    if (size > 0) memcpy(text, from, size);
    memset(given, is_given, size);
    *out = (value){.kind = STRING, .text = text, .given = given, .size = size};
    return MDLM_OK;
}

static bool truth(const value *v) {
    switch (v->kind) {
    case UNDEFINED:
    case NONE: return false;
    case BOOL:
    case INT:
    case MESSAGES: return v->number != 0;
    case STRING: return v->size > 0;
    case MESSAGE:
    case LOOP:
    case METHOD: break;
    }
    return true;
}

/* --- names, attributes ------------------------------------------------------------------------ */

static mdlm_status token_name(renderer *r, const md_node *at, const char *spelling, value *out) {
    if (spelling) return string_of(r, at, spelling, strlen(spelling), false, out);
    *out = (value){.kind = UNDEFINED, .text = at->text};
    return MDLM_OK;
}

static mdlm_status name(renderer *r, const md_node *at, value *out) {
    for (int i = r->count - 1; i >= 0; i--) {
        if (strcmp(r->names[i].name, at->text)) continue;
        *out = r->names[i].value;
        return MDLM_OK;
    }
    if (!strcmp(at->text, "bos_token")) return token_name(r, at, r->in->bos, out);
    if (!strcmp(at->text, "eos_token")) return token_name(r, at, r->in->eos, out);
    if (!strcmp(at->text, "messages")) {
        *out = (value){.kind = MESSAGES, .number = (int64_t)r->in->count};
    } else if (!strcmp(at->text, "add_generation_prompt")) {
        *out = (value){.kind = BOOL, .number = r->in->add_generation_prompt};
    } else {
        *out = (value){.kind = UNDEFINED, .text = at->text};
    }
    return MDLM_OK;
}

static mdlm_status set(renderer *r, const md_node *at, const value *v) {
    for (int i = r->scope; i < r->count; i++) {
        if (strcmp(r->names[i].name, at->text)) continue;
        r->names[i].value = *v;
        return MDLM_OK;
    }
    if (r->count == MD_TEMPLATE_NAMES)
        return fail(r, at, "more than %d variables", MD_TEMPLATE_NAMES);
    r->names[r->count++] = (variable){at->text, *v};
    return MDLM_OK;
}

static mdlm_status member(renderer *r, const md_node *at, const value *of, const char *key,
                          value *out) {
    *out = (value){.kind = UNDEFINED, .text = key};
    if (of->kind == MESSAGE) {
        const mdlm_message *m = &r->in->messages[of->first];
        /* the program's own words: what a template builds of them may be a special token */
        if (!strcmp(key, "role")) return string_of(r, at, m->role, strlen(m->role), false, out);
        if (!strcmp(key, "content")) return string_of(r, at, m->text, m->text_bytes, true, out);
        return MDLM_OK;
    }
    if (of->kind == LOOP) {
        const struct {
            const char *name;
            value value;
        } items[] = {
            {"index", {.kind = INT, .number = of->first + 1}},
            {"index0", {.kind = INT, .number = of->first}},
            {"first", {.kind = BOOL, .number = of->first == 0}},
            {"last", {.kind = BOOL, .number = of->first == of->number - 1}},
            {"length", {.kind = INT, .number = of->number}},
        };
        for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
            if (strcmp(items[i].name, key)) continue;
            *out = items[i].value;
            return MDLM_OK;
        }
        return fail(r, at, "'loop.%s' is not supported", key);
    }
    if (of->kind == STRING && !strcmp(key, "strip")) {
        *out = *of;
        out->kind = METHOD;
        return MDLM_OK;
    }
    return fail(r, at, "'%s' of %s is not supported", key, kind_name(of));
}

/* A place in the messages, counted from the end when negative; Python's clamping for slices. */
static mdlm_status subscript(renderer *r, const md_node *at, const value *of, value *out) {
    value index;
    MD_TRY(evaluate(r, at->b, &index));
    if (at->kind == MD_NODE_INDEX && index.kind == STRING)
        return member(r, at, of, index.text, out);
    if (of->kind != MESSAGES || index.kind != INT)
        return fail(r, at, "%s in [] of %s is not supported", kind_name(&index), kind_name(of));
    int64_t place = index.number < 0 ? index.number + of->number : index.number;
    if (at->kind == MD_NODE_SLICE) {
        if (place < 0) place = 0;
        if (place > of->number) place = of->number;
        *out = (value){.kind = MESSAGES, .first = of->first + place, .number = of->number - place};
    } else if (place < 0 || place >= of->number) {
        *out = (value){.kind = UNDEFINED, .text = "a message that is not there"};
    } else {
        *out = (value){.kind = MESSAGE, .first = of->first + place};
    }
    return MDLM_OK;
}

/* --- operators -------------------------------------------------------------------------------- */

static mdlm_status join(renderer *r, const md_node *at, const value *a, const value *b,
                        value *out) {
    char *text = NULL, *given = NULL;
    MD_TRY(new_string(r, at, a->size + b->size, &text, &given));
    if (a->size > 0) memcpy(text, a->text, a->size), memcpy(given, a->given, a->size);
    if (b->size > 0)
        memcpy(text + a->size, b->text, b->size), memcpy(given + a->size, b->given, b->size);
    *out = (value){.kind = STRING, .text = text, .given = given, .size = a->size + b->size};
    return MDLM_OK;
}

static bool equal(const value *a, const value *b) {
    bool numbers = (a->kind == INT || a->kind == BOOL) && (b->kind == INT || b->kind == BOOL);
    if (numbers) return a->number == b->number;
    if (a->kind != b->kind) return false;
    if (a->kind == STRING) return a->size == b->size && !memcmp(a->text, b->text, a->size);
    return a->first == b->first && a->number == b->number;
}

static mdlm_status number_operator(renderer *r, const md_node *at, int64_t a, int64_t b,
                                   value *out) {
    const char *sign = at->text;
    bool order = *sign == '<' || *sign == '>';
    *out = (value){.kind = order ? BOOL : INT};
    if (*sign == '<') out->number = a < b || (sign[1] && a == b);
    if (*sign == '>') out->number = a > b || (sign[1] && a == b);
    if (*sign == '+') out->number = a + b;
    if (*sign == '-') out->number = a - b;
    if (*sign == '%' && b == 0) return fail(r, at, "a remainder by 0");
    if (*sign == '%') out->number = (a % b + b) % b; /* the divisor's sign, as in Python */
    if (out->number > INT32_MAX || out->number < INT32_MIN)
        return fail(r, at, "a number is out of range");
    return MDLM_OK;
}

/* What is printed, or joined by '~', as a string. */
static mdlm_status as_string(renderer *r, const md_node *at, value *v) {
    char digits[32];
    if (v->kind == STRING) return MDLM_OK;
    if (v->kind == UNDEFINED) return fail(r, at, "'%s' is undefined", v->text);
    if (v->kind != INT) return fail(r, at, "%s cannot be printed", kind_name(v));
    int size = snprintf(digits, sizeof digits, "%lld", (long long)v->number);
    return string_of(r, at, digits, (size_t)size, false, v);
}

static mdlm_status binary(renderer *r, const md_node *at, value *out) {
    value a, b;
    MD_TRY(evaluate(r, at->a, &a));
    MD_TRY(evaluate(r, at->b, &b));
    char sign = *at->text;
    if (sign == '=' || sign == '!') {
        *out = (value){.kind = BOOL, .number = equal(&a, &b) == (sign == '=')};
        return MDLM_OK;
    }
    if (a.kind == INT && b.kind == INT && sign != '~')
        return number_operator(r, at, a.number, b.number, out);
    if (sign == '~' || (sign == '+' && (a.kind == UNDEFINED || b.kind == UNDEFINED))) {
        MD_TRY(as_string(r, at->a, &a));
        MD_TRY(as_string(r, at->b, &b));
    }
    if ((sign == '~' || sign == '+') && a.kind == STRING && b.kind == STRING)
        return join(r, at, &a, &b, out);
    return fail(r, at, "'%s' between %s and %s is not supported", at->text, kind_name(&a),
                kind_name(&b));
}

static void trim(value *v) {
    while (v->size > 0 && isspace((unsigned char)v->text[v->size - 1])) v->size--;
    while (v->size > 0 && isspace((unsigned char)*v->text)) v->text++, v->given++, v->size--;
}

static mdlm_status filter(renderer *r, const md_node *at, value *out) {
    MD_TRY(evaluate(r, at->a, out));
    if (!strcmp(at->text, "length") && out->kind == MESSAGES) {
        *out = (value){.kind = INT, .number = out->number};
        return MDLM_OK;
    }
    if (strcmp(at->text, "trim")) return fail(r, at, "the filter '%s' is not supported", at->text);
    MD_TRY(as_string(r, at->a, out));
    trim(out);
    return MDLM_OK;
}

static mdlm_status test(renderer *r, const md_node *at, value *out) {
    static const struct {
        const char *name;
        value_kind kind;
        bool is;
    } tests[] = {{"defined", UNDEFINED, false},
                 {"undefined", UNDEFINED, true},
                 {"none", NONE, true},
                 {"string", STRING, true}};
    value v;
    MD_TRY(evaluate(r, at->a, &v));
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strcmp(tests[i].name, at->text)) continue;
        bool holds = (v.kind == tests[i].kind) == tests[i].is;
        *out = (value){.kind = BOOL, .number = holds != (at->number != 0)};
        return MDLM_OK;
    }
    return fail(r, at, "the test 'is %s' is not supported", at->text);
}

static mdlm_status call(renderer *r, const md_node *at, value *out) {
    const char *what = at->a->text ? at->a->text : "this";
    if (at->a->kind == MD_NODE_NAME && !strcmp(what, "raise_exception") && at->b) {
        value why;
        MD_TRY(evaluate(r, at->b, &why));
        MD_TRY(as_string(r, at->b, &why));
        return md_fail(r->err, MDLM_INPUT, "the chat template refuses these messages: %s",
                       why.text);
    }
    if (at->a->kind == MD_NODE_ATTR && !at->b) {
        MD_TRY(evaluate(r, at->a, out));
        if (out->kind == METHOD) {
            out->kind = STRING;
            trim(out);
            return MDLM_OK;
        }
    }
    bool filter_call = at->a->kind == MD_NODE_FILTER;
    return fail(r, at, "%s '%s' with arguments is not supported",
                filter_call ? "the filter" : "the function", what);
}

static mdlm_status evaluate_node(renderer *r, const md_node *node, value *out) {
    value v;
    switch (node->kind) {
    case MD_NODE_STRING: return string_of(r, node, node->text, node->size, false, out);
    case MD_NODE_INT: *out = (value){.kind = INT, .number = node->number}; return MDLM_OK;
    case MD_NODE_BOOL: *out = (value){.kind = BOOL, .number = node->number}; return MDLM_OK;
    case MD_NODE_NONE: *out = (value){.kind = NONE}; return MDLM_OK;
    case MD_NODE_NAME: return name(r, node, out);
    case MD_NODE_ATTR:
        MD_TRY(evaluate(r, node->a, &v));
        return member(r, node, &v, node->text, out);
    case MD_NODE_INDEX:
    case MD_NODE_SLICE: MD_TRY(evaluate(r, node->a, &v)); return subscript(r, node, &v, out);
    case MD_NODE_BINARY: return binary(r, node, out);
    case MD_NODE_AND:
    case MD_NODE_OR:
        MD_TRY(evaluate(r, node->a, out));
        return truth(out) == (node->kind == MD_NODE_OR) ? MDLM_OK : evaluate(r, node->b, out);
    case MD_NODE_NOT:
        MD_TRY(evaluate(r, node->a, &v));
        *out = (value){.kind = BOOL, .number = !truth(&v)};
        return MDLM_OK;
    case MD_NODE_IF_EXPR:
        MD_TRY(evaluate(r, node->a, &v));
        *out = (value){.kind = UNDEFINED, .text = "the missing 'else'"};
        if (truth(&v)) return evaluate(r, node->b, out);
        return node->c ? evaluate(r, node->c, out) : MDLM_OK;
    case MD_NODE_FILTER: return filter(r, node, out);
    case MD_NODE_TEST: return test(r, node, out);
    case MD_NODE_CALL: return call(r, node, out);
    case MD_NODE_TEXT:
    case MD_NODE_OUTPUT:
    case MD_NODE_FOR:
    case MD_NODE_IF:
    case MD_NODE_SET: break;
    }
    MD_BUG_IF(true); /* a statement where the parser makes expressions */
    return MDLM_RUNTIME;
}

/* One more node, below as many as there are. */
static mdlm_status enter(renderer *r, const md_node *at) {
    if (++r->steps > MD_TEMPLATE_STEPS)
        return fail(r, at, "it takes more than %d steps", MD_TEMPLATE_STEPS);
    if (++r->depth > MD_TEMPLATE_CHAIN)
        return fail(r, at, "more than %d operators or branches in a row", MD_TEMPLATE_CHAIN);
    return MDLM_OK;
}

static mdlm_status evaluate(renderer *r, const md_node *node, value *out) {
    mdlm_status status = enter(r, node);
    if (status == MDLM_OK) status = evaluate_node(r, node, out);
    r->depth--;
    return status;
}

/* --- statements ------------------------------------------------------------------------------- */

static mdlm_status run(renderer *r, const md_node *list);

static mdlm_status print(renderer *r, const md_node *at, const value *v) {
    MD_TRY(spend(r, at, v->size));
    MD_TRY(md_buffer_append(r->text, v->text, v->size, r->err));
    return r->given ? md_buffer_append(r->given, v->given, v->size, r->err) : MDLM_OK;
}

static mdlm_status print_expression(renderer *r, const md_node *node) {
    value v;
    MD_TRY(evaluate(r, node->a, &v));
    MD_TRY(as_string(r, node->a, &v));
    return print(r, node, &v);
}

static mdlm_status loop(renderer *r, const md_node *node) {
    value list;
    MD_TRY(evaluate(r, node->a, &list));
    if (list.kind == UNDEFINED) return MDLM_OK; /* no turns, as in Jinja */
    if (list.kind != MESSAGES)
        return fail(r, node, "a loop over %s is not supported", kind_name(&list));
    int count = r->count, scope = r->scope;
    md_node loop_name = {.text = "loop", .line = node->line};
    mdlm_status status = MDLM_OK;
    for (int64_t i = 0; i < list.number && status == MDLM_OK; i++) {
        value item = {.kind = MESSAGE, .first = list.first + i};
        value place = {.kind = LOOP, .first = i, .number = list.number};
        r->scope = r->count = count;
        status = set(r, node, &item);
        if (status == MDLM_OK) status = set(r, &loop_name, &place);
        if (status == MDLM_OK) status = run(r, node->b);
    }
    r->count = count;
    r->scope = scope;
    return status;
}

static mdlm_status statement(renderer *r, const md_node *node) {
    value v;
    switch (node->kind) {
    case MD_NODE_TEXT:
        MD_TRY(string_of(r, node, node->text, node->size, false, &v));
        return print(r, node, &v);
    case MD_NODE_OUTPUT: return print_expression(r, node);
    case MD_NODE_FOR: return loop(r, node);
    case MD_NODE_IF: MD_TRY(evaluate(r, node->a, &v)); return run(r, truth(&v) ? node->b : node->c);
    case MD_NODE_SET: MD_TRY(evaluate(r, node->a, &v)); return set(r, node, &v);
    default: break;
    }
    MD_BUG_IF(true); /* an expression where the parser makes statements */
    return MDLM_RUNTIME;
}

static mdlm_status run(renderer *r, const md_node *list) {
    mdlm_status status = MDLM_OK;
    for (; list && status == MDLM_OK; list = list->next) {
        status = enter(r, list);
        if (status == MDLM_OK) status = statement(r, list);
        r->depth--;
    }
    return status;
}

static mdlm_status check_roles(const md_template_input *in, mdlm_error *err) {
    for (size_t i = 0; i < in->count; i++) {
        const char *c = in->messages[i].role;
        while (isalnum((unsigned char)*c) || *c == '_' || *c == '-') c++;
        if (c > in->messages[i].role && !*c) continue;
        return md_fail(err, MDLM_INPUT, "the role '%s' of message %zu is no word",
                       in->messages[i].role, i + 1);
    }
    return MDLM_OK;
}

mdlm_status md_template_render(const md_template *t, const md_template_input *in, md_buffer *text,
                               md_buffer *given, mdlm_error *err) {
    size_t text_before = text->size, given_before = given ? given->size : 0;
    MD_TRY(check_roles(in, err));
    renderer r = {.in = in, .text = text, .given = given, .err = err};
    r.arena = md_arena_new(err);
    if (!r.arena) return MDLM_RUNTIME;
    mdlm_status status = run(&r, t->body);
    if (status != MDLM_OK) {
        text->size = text_before;
        if (given) given->size = given_before;
    }
    md_arena_free(r.arena);
    return status;
}
