/* tokenizer/template_parse.c: text and statements of a chat template; see template.h.
 *
 * White space, as in Jinja with trim_blocks and lstrip_blocks: a '-' inside a tag takes all white
 * space on its side; `{%` and `{#` take the spaces before them on a line of their own; `%}` and
 * `#}` take one line feed after them; a '+' keeps either.
 */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "tokenizer/template_internal.h"

static const char space[] = " \t\n\r\f\v";

/* A list of statements up to one that ends it; *stop is that word, NULL for the end of source. */
static bool body(md_parser *p, const char *const *stops, md_node **out, const char **stop);

static void skip_space(md_parser *p) {
    for (; p->at < p->end && isspace((unsigned char)*p->at); p->at++) p->line += *p->at == '\n';
}

/* What a tag does to the text after it. `mark` is its end, "-%}" say. */
static void after_tag(md_parser *p, const char *mark) {
    bool output = strstr(mark, "}}") != NULL;
    if (*mark == '-') {
        skip_space(p);
    } else if (!output && *mark != '+' && p->at < p->end && *p->at == '\n') {
        p->line++;
        p->at++;
    }
}

static bool end_tag(md_parser *p, const char *mark) {
    bool ends = p->token.kind == MD_TOKEN_END && strstr(p->token.text, mark);
    if (!ends) return md_parser_fail(p, "'%s' is not supported here", p->token.text) != NULL;
    after_tag(p, p->token.text);
    return true;
}

/* A name that is set. */
static const char *variable(md_parser *p) {
    if (p->token.kind != MD_TOKEN_NAME)
        return md_parser_fail(p, "expected a name, found '%s'", p->token.text);
    const char *name = p->token.text;
    return md_parser_next(p) ? name : NULL;
}

static bool expect(md_parser *p, md_token_kind kind, const char *text) {
    if (md_parser_is(p, kind, text)) return md_parser_next(p);
    return md_parser_fail(p, "expected '%s', found '%s'", text, p->token.text) != NULL;
}

static md_node *set_statement(md_parser *p) {
    md_node *node = md_parser_node(p, MD_NODE_SET);
    if (!node || !(node->text = variable(p)) || !expect(p, MD_TOKEN_SIGN, "=")) return NULL;
    node->a = md_parser_expression(p);
    return node->a && end_tag(p, "%}") ? node : NULL;
}

static md_node *for_statement(md_parser *p) {
    static const char *const stops[] = {"endfor", NULL};
    const char *stop;
    md_node *node = md_parser_node(p, MD_NODE_FOR);
    if (!node || !(node->text = variable(p)) || !expect(p, MD_TOKEN_NAME, "in")) return NULL;
    node->a = md_parser_choice(p); /* an `if` here would pick messages in Jinja */
    if (!node->a || !end_tag(p, "%}") || !body(p, stops, &node->b, &stop)) return NULL;
    return end_tag(p, "%}") ? node : NULL;
}

/* Each `elif` is an `if` in the `else` of the one before: a chain, not a nesting. */
static md_node *if_statement(md_parser *p) {
    static const char *const stops[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    md_node *first = NULL, **place = &first;
    const char *stop = "elif";
    while (!strcmp(stop, "elif")) {
        md_node *node = md_parser_node(p, MD_NODE_IF);
        if (!node || !(node->a = md_parser_expression(p)) || !end_tag(p, "%}")) return NULL;
        if (!body(p, stops, &node->b, &stop)) return NULL;
        *place = node;
        place = &node->c;
    }
    if (!strcmp(stop, "else") && (!end_tag(p, "%}") || !body(p, last, place, &stop))) return NULL;
    return end_tag(p, "%}") ? first : NULL;
}

static md_node *output(md_parser *p) {
    md_node *node = md_parser_node(p, MD_NODE_OUTPUT);
    if (!node || !md_parser_next(p)) return NULL;
    node->a = md_parser_expression(p);
    return node->a && end_tag(p, "}}") ? node : NULL;
}

static bool skip_comment(md_parser *p) {
    while (p->end - p->at >= 2 && memcmp(p->at, "#}", 2) != 0) p->line += *p->at++ == '\n';
    if (p->end - p->at < 2) return md_parser_fail(p, "a comment has no end") != NULL;
    char sign = p->at[-1];
    p->at += 2;
    after_tag(p, sign == '-' ? "-#}" : sign == '+' ? "+#}" : "#}");
    return true;
}

/* The statement whose word is p->token; NULL with *stop set when the word ends the body. */
static md_node *statement(md_parser *p, const char *const *stops, const char **stop) {
    const char *word = p->token.text;
    if (p->token.kind != MD_TOKEN_NAME)
        return md_parser_fail(p, "expected a statement, found '%s'", word);
    for (int i = 0; stops[i]; i++) {
        if (!strcmp(stops[i], word)) {
            *stop = stops[i];
            md_parser_next(p);
            return NULL;
        }
    }
    md_node *(*parse)(md_parser *) = !strcmp(word, "for")   ? for_statement
                                     : !strcmp(word, "if")  ? if_statement
                                     : !strcmp(word, "set") ? set_statement
                                                            : NULL;
    if (!parse) return md_parser_fail(p, "the statement '%s' is not supported here", word);
    return md_parser_next(p) ? parse(p) : NULL;
}

/* Where the next tag begins. */
static const char *find_tag(const md_parser *p) {
    for (const char *at = p->at; p->end - at >= 2; at++) {
        if (*at == '{' && (at[1] == '{' || at[1] == '%' || at[1] == '#')) return at;
    }
    return p->end;
}

/* The text before a tag, without what the tag takes of it; *out stays NULL when nothing is left. */
static bool text_before(md_parser *p, const char *tag, md_node **out) {
    const char *from = p->at, *to = tag;
    char sign = p->end - tag >= 3 ? tag[2] : 0;
    bool output_tag = tag < p->end && tag[1] == '{';
    if (tag < p->end && sign == '-') {
        while (to > from && strchr(space, to[-1])) to--;
    } else if (tag < p->end && !output_tag && sign != '+') {
        const char *line = to;
        while (line > from && (line[-1] == ' ' || line[-1] == '\t')) line--;
        if (line == p->start || line[-1] == '\n') to = line;
    }
    if (to > from) {
        md_node *node = md_parser_node(p, MD_NODE_TEXT);
        if (!node || !(node->text = md_parser_copy(p, from, (size_t)(to - from)))) return false;
        node->size = (size_t)(to - from);
        *out = node;
    }
    for (; p->at < tag; p->at++) p->line += *p->at == '\n';
    return true;
}

/* One tag, p->at at its '{'. */
static bool tag_here(md_parser *p, const char *const *stops, md_node **out, const char **stop) {
    char kind = p->at[1];
    p->at += 2;
    if (kind == '#') return skip_comment(p);
    if (p->at < p->end && (*p->at == '-' || *p->at == '+')) p->at++;
    if (kind == '{') return (*out = output(p)) != NULL;
    if (!md_parser_next(p)) return false;
    *out = statement(p, stops, stop);
    return *out || (*stop && p->err->status == MDLM_OK);
}

static bool statements(md_parser *p, const char *const *stops, md_node **out, const char **stop) {
    *stop = NULL;
    while (p->at < p->end && !*stop) {
        const char *tag = find_tag(p);
        if (!text_before(p, tag, out)) return false;
        if (*out) out = &(*out)->next;
        if (p->at == p->end) break;
        if (!tag_here(p, stops, out, stop)) return false;
        if (*out) out = &(*out)->next;
    }
    if (!*stop && stops[0]) return md_parser_fail(p, "'%s' is missing", stops[0]) != NULL;
    return true;
}

static bool body(md_parser *p, const char *const *stops, md_node **out, const char **stop) {
    if (++p->depth > MD_TEMPLATE_DEPTH)
        return md_parser_fail(p, "statements are nested deeper than %d", MD_TEMPLATE_DEPTH) != NULL;
    bool ok = statements(p, stops, out, stop);
    p->depth--;
    return ok;
}

/* A copy with line feeds for CR LF and CR, less one at the end, as Jinja reads it. */
static char *normalise(md_arena *arena, const char *source, size_t *size) {
    char *text = md_arena_alloc(arena, *size + 1);
    size_t n = 0;
    for (size_t i = 0; text && i < *size; i++) {
        bool cr = source[i] == '\r';
        if (cr && i + 1 < *size && source[i + 1] == '\n') continue;
        text[n++] = cr ? '\n' : source[i];
    }
    if (n > 0 && text[n - 1] == '\n') n--;
    *size = n;
    return text;
}

mdlm_status md_template_new(const char *source, size_t size, md_template **out, mdlm_error *err) {
    static const char *const none[] = {NULL};
    const char *stop;
    mdlm_error local = {0};
    if (size > MD_TEMPLATE_SOURCE) {
        return md_fail(err, MDLM_INPUT, "the chat template has %zu bytes: expected at most %d",
                       size, MD_TEMPLATE_SOURCE);
    }
    md_template *t = md_alloc(1, sizeof *t, err);
    if (!t) return MDLM_RUNTIME;
    mdlm_status status = MDLM_RUNTIME;
    if (!(t->arena = md_arena_new(err))) goto done;
    char *text = normalise(t->arena, source, &size);
    if (!text) {
        md_fail(err, MDLM_RUNTIME, "out of memory while reading a chat template");
        goto done;
    }
    md_parser p = {.arena = t->arena, .start = text, .at = text, .end = text + size, .line = 1};
    p.err = &local;
    status = body(&p, none, &t->body, &stop) ? MDLM_OK : local.status;
    if (status != MDLM_OK && err) *err = local;
    if (status == MDLM_OK) *out = t, t = NULL;
done:
    md_template_free(t);
    return status;
}

void md_template_free(md_template *t) {
    if (!t) return;
    md_arena_free(t->arena);
    md_free(t);
}
