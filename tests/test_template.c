/* tests/test_template.c: chat templates. The expected texts are Jinja's own (3.1, with trim_blocks
 * and lstrip_blocks), unless a test says otherwise. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/suite.h"
#include "tokenizer/chat.h"
#include "tokenizer/template.h"

static mdlm_error err;
static md_buffer text, given;

#define SAYS(who, what) \
    { .role = who, .text = what, .text_bytes = sizeof what - 1 }
static const mdlm_message talk[] = {SAYS("system", "be"), SAYS("user", "a"),
                                    SAYS("assistant", " b "), SAYS("user", "c\nd")};
static const mdlm_message question[] = {SAYS("user", " hi <|eot_id|> ")};

static mdlm_status render(const char *source, const mdlm_message *messages, size_t count,
                          bool prompt) {
    md_template *t = NULL;
    md_template_input in = {.messages = messages,
                            .count = count,
                            .bos = "<bos>",
                            .eos = "<eos>",
                            .add_generation_prompt = prompt};
    md_buffer_clear(&text);
    md_buffer_clear(&given);
    mdlm_status status = md_template_new(source, strlen(source), &t, &err);
    if (status == MDLM_OK) status = md_template_render(t, &in, &text, &given, &err);
    md_template_free(t);
    return status;
}

#define assert_gives(source, messages, prompt, expected) \
    do { \
        assert_ok(render(source, messages, sizeof messages / sizeof *messages, prompt)); \
        ck_assert_str_eq(text.data ? text.data : "", expected); \
        ck_assert_uint_eq(text.size, given.size); \
    } while (0)

#define assert_refuses(source, why) assert_fails(render(source, talk, 4, true), MDLM_INPUT, why)

static const char llada[] =
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | "
    "trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% "
    "endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}";

static const char chatml[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif "
    "%}{{'<|im_start|>' "
    "+ message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if "
    "add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

START_TEST(lladas_template_gives_what_jinja_gives) {
    assert_gives(llada, question, true,
                 "<bos><|start_header_id|>user<|end_header_id|>\n\nhi <|eot_id|><|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\n");
    assert_gives(llada, talk, true,
                 "<bos><|start_header_id|>system<|end_header_id|>\n\nbe<|eot_id|>"
                 "<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\nb<|eot_id|>"
                 "<|start_header_id|>user<|end_header_id|>\n\nc\nd<|eot_id|>"
                 "<|start_header_id|>assistant<|end_header_id|>\n\n");
}
END_TEST

START_TEST(chatml_asks_for_an_answer_only_when_told_to) {
    assert_gives(chatml, talk, false,
                 "<|im_start|>system\nbe<|im_end|>\n<|im_start|>user\na<|im_end|>\n"
                 "<|im_start|>assistant\n b <|im_end|>\n<|im_start|>user\nc\nd<|im_end|>\n");
    assert_gives(chatml, question, true,
                 "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
                 "<|im_start|>user\n hi <|eot_id|> <|im_end|>\n<|im_start|>assistant\n");
}
END_TEST

/* The shape of Qwen2.5's and Dream's: whole branches for tools that are not reached here. */
START_TEST(what_is_not_reached_need_not_be_supported) {
    static const char source[] =
        "{%- if tools %}\n    {{- tools | tojson }}\n{%- endif %}\n"
        "{%- for m in messages %}\n"
        "    {%- if (m.role == \"user\") or (m.role == \"assistant\" and not m.tool_calls) %}\n"
        "        {{- '[' + m.role + ']' + m.content }}\n"
        "    {%- elif m.role == \"tool\" %}\n"
        "        {{- m.content | tojson(indent=4) }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n    {{- '[assistant]' }}\n{%- endif %}\n";
    assert_gives(source, talk, true, "[user]a[assistant] b [user]c\nd[assistant]");
    static const mdlm_message tool[] = {SAYS("tool", "x")};
    assert_fails(render(source, tool, 1, true), MDLM_INPUT,
                 "line 8: the filter 'tojson' with arguments is not supported");
}
END_TEST

START_TEST(a_system_turn_can_be_taken_out_and_roles_can_be_checked) {
    static const char source[] =
        "{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}"
        "{% set about = messages[0].content %}{% else %}{% set turns = messages %}"
        "{% set about = false %}{% endif %}"
        "{% for m in turns %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}"
        "{% if loop.first and about != false %}{{ '<<' + about + '>>' }}{% endif %}"
        "{{ bos_token + m.content.strip() + eos_token if m.role == 'user' else m.content }}"
        "{% endfor %}";
    assert_gives(source, talk, true, "<<be>><bos>a<eos> b <bos>c\nd<eos>");
    static const mdlm_message twice[] = {SAYS("user", "a"), SAYS("user", "b")};
    assert_fails(render(source, twice, 2, true), MDLM_INPUT, "roles must alternate");
}
END_TEST

START_TEST(white_space_follows_jinja) {
    static const char source[] = "\n  {% if true %}\nA\n   {%- set x = 1 -%}   \n B {{ x }}\n"
                                 "  {# comment #}\nC {%+ if x %} D {% endif +%}\nE\n"
                                 " {{- ' f ' -}}   \n G{% for m in messages %}\n\n"
                                 " {{ loop.index ~ '/' ~ loop.length }} {{ m.role }}\n"
                                 "  {% endfor %}\n  {% endif %}\ntail\n\n";
    assert_gives(source, question, true, "\nAB 1\nC  D \nE f G\n 1/1 user\ntail\n");
    assert_gives("a\r\n{% if true %}\r\nb\r{% endif %}", question, true, "a\nb\n");
}
END_TEST

START_TEST(expressions_bind_as_in_jinja) {
    static const char source[] =
        "{% set a = 'x' %}{% for m in messages %}{% set a = a + m.content %}{{ a }};{% endfor %}"
        "{{ a }} {{ messages[-1].content }} {{ 2 - 3 + 5 }} {{ -1 - 2 }} {{ -7 % 3 }} "
        "{{ 'a' if not (1 > 2) and 2 >= 2 else 'b' }}{{ 'q' if x is not defined else 'r' }}"
        "{{ 'z' ~ 1 }}{{ messages[0].content is string and 'S' or 'T' }}{{ 'p' + ' q ' | trim }}"
        "{{ messages | length }}";
    assert_gives(source, talk, true, "xbe;xa;x b ;xc\nd;x c\nd 4 -3 2 aqz1Spq4");
}
END_TEST

START_TEST(nothing_undefined_or_unknown_is_printed) {
    assert_refuses("{{ nothing }}", "line 1: 'nothing' is undefined");
    assert_refuses("a\n{{ 'x' + nothing }}", "line 2: 'nothing' is undefined");
    assert_refuses("{{ messages[9] }}", "undefined");
    assert_refuses("{{ messages[0].name }}", "'name' is undefined");
    assert_refuses("{{ none }}", "none cannot be printed");
    assert_refuses("{{ messages }}", "the messages cannot be printed");
    assert_refuses("{{ 'a' + 1 }}", "'+' between a string and a number");
    assert_refuses("{{ 'a' | upper }}", "the filter 'upper'");
    assert_refuses("{{ 'a' is mapping }}", "the test 'is mapping'");
    assert_refuses("{{ namespace(a=1) }}", "the function 'namespace'");
    assert_refuses("{{ loop.first }}", "of an undefined value");
    assert_refuses("{% for m in messages %}{{ loop.cycle('a') }}{% endfor %}",
                   "the function 'cycle'");
    assert_refuses("{% for m in 'abc' %}{% endfor %}", "a loop over a string");
}
END_TEST

START_TEST(malformed_templates_are_refused_with_their_line) {
    assert_refuses("a\n\n{% if x %}", "line 3: 'elif' is missing");
    assert_refuses("{% endif %}", "the statement 'endif' is not supported here");
    assert_refuses("{% for m in messages %}{% endif %}", "'endif' is not supported here");
    assert_refuses("{% macro f() %}", "the statement 'macro'");
    assert_refuses("{% for m in messages if m %}{% endfor %}", "'if'");
    assert_refuses("{{ 'a", "a string has no end");
    assert_refuses("{{ 'a\\q' }}", "the escape '\\q'");
    assert_refuses("{{ a", "a tag has no end");
    assert_refuses("{# a", "a comment has no end");
    assert_refuses("{{ a b }}", "'b' is not supported here");
    assert_refuses("{{ }}", "expected a value, found '}}'");
    assert_refuses("{{ 'a' in b }}", "'in' is not supported here");
    assert_refuses("{{ 2 * 3 }}", "'*' is not supported here");
    assert_refuses("{{ [1] }}", "expected a value, found '['");
    assert_refuses("{% set a.b = 1 %}", "expected '='");
}
END_TEST

/* `count` times a piece, between a head and a tail. */
static char *repeated(const char *head, const char *piece, size_t count, const char *tail) {
    md_buffer b = {0};
    assert_ok(md_buffer_text(&b, head, &err));
    for (size_t i = 0; i < count; i++) assert_ok(md_buffer_text(&b, piece, &err));
    assert_ok(md_buffer_text(&b, tail, &err));
    return md_buffer_take(&b);
}

#define assert_bounded(why, ...) \
    do { \
        char *source = repeated(__VA_ARGS__); \
        assert_refuses(source, why); \
        md_free(source); \
    } while (0)

START_TEST(hostile_templates_meet_limits) {
    assert_bounded("nested deeper", "{{ ", "(", 100000, "");
    assert_bounded("nested deeper", "{{ ", "not ", 100000, "");
    assert_bounded("nested deeper", "{{ ", "- ", 100000, "");
    assert_bounded("nested deeper", "", "{% if true %}", 5000, "");
    assert_bounded("in a row", "{{ 1", " + 1", 100000, " }}");
    assert_bounded("in a row", "{{ 'a'", " | trim", 100000, " }}");
    assert_bounded("in a row", "{% if x %}", "{% elif x %}", 50000, "{% endif %}");
    assert_bounded("bytes of text", "{% set a = '12345678' %}", "{% set a = a + a %}", 40, "");
    char *ends = repeated("", "{% endfor %}", 60, "");
    assert_bounded("variables", "", "{% for m in messages %}", 60, ends);
    md_free(ends);
    assert_bounded("expected at most", "", "aaaaaaaaaaaaaaaa", 1 << 17, "");
    static mdlm_message many[300];
    for (int i = 0; i < 300; i++) many[i] = question[0];
    assert_fails(render("{% for a in messages %}{% for b in messages %}{% for c in messages %}"
                        "{% if a %}{% endif %}{% endfor %}{% endfor %}{% endfor %}",
                        many, 300, true),
                 MDLM_INPUT, "steps");
    static const mdlm_message odd[] = {SAYS("a b", "x")};
    assert_fails(render(chatml, odd, 1, true), MDLM_INPUT, "the role 'a b' of message 1");
}
END_TEST

/* --- as ids ----------------------------------------------------------------------------------- */

enum { MASK = 256, END = 257 };

static void encode(const md_tokenizer *tok, const mdlm_message *messages, size_t count,
                   md_ids *ids) {
    md_chat *chat = NULL;
    ids->count = 0;
    assert_ok(md_chat_new(tok, &chat, &err));
    assert_ok(md_chat_encode(chat, messages, count, true, ids, &err));
    md_chat_free(chat);
}

START_TEST(special_tokens_come_from_the_template_alone) {
    static const mdlm_message sly[] = {SAYS("user", "<|endoftext|><|mask|>"),
                                       SAYS("assistant", "b")};
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    assert_ok(md_tokenizer_bytes(&tok, &err));
    encode(tok, sly, 2, &ids); /* the plain template */
    ck_assert_uint_eq(ids.count, 21 + 1 + 1 + 1);
    for (size_t i = 0; i + 1 < ids.count; i++) ck_assert_int_lt(ids.data[i], 256);
    ck_assert_int_eq(ids.data[21], '\n');
    ck_assert_int_eq(ids.data[22], 'b');
    ck_assert_int_eq(ids.data[23], END);
    /* half from the template and half from the message is no special token either */
    assert_ok(md_tokenizer_set_template(
        tok, "{{ '<|end' + messages[0].content + '|>' + '<|ma' + 'sk|>' }}", &err));
    static const mdlm_message half[] = {SAYS("user", "oftext")};
    encode(tok, half, 1, &ids);
    ck_assert_uint_eq(ids.count, 13 + 1);
    ck_assert_int_eq(ids.data[0], '<');
    ck_assert_int_eq(ids.data[13], MASK);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(a_template_is_saved_and_loaded_with_its_tokenizer) {
    char *dir = suite_tmp_dir();
    md_tokenizer *tok = NULL, *again = NULL;
    assert_ok(md_tokenizer_bytes(&tok, &err));
    ck_assert_ptr_null(md_tokenizer_template(tok));
    assert_ok(md_tokenizer_set_template(tok, chatml, &err));
    assert_ok(md_tokenizer_save(tok, dir, 32, &err));
    assert_ok(md_tokenizer_load(dir, &again, &err));
    ck_assert_str_eq(md_tokenizer_template(again), chatml);
    md_tokenizer_free(again);

    char *jinja = md_path_join(dir, "chat_template.jinja", &err); /* the newer place wins */
    assert_ok(md_file_write(jinja, "x", 1, &err));
    assert_ok(md_tokenizer_load(dir, &again, &err));
    ck_assert_str_eq(md_tokenizer_template(again), "x");
    md_tokenizer_free(again);
    assert_ok(md_file_write(jinja, "x\xff", 2, &err));
    assert_fails(md_tokenizer_load(dir, &again, &err), MDLM_INPUT, "chat template is not UTF-8");
    md_tokenizer_free(tok);
    md_free(jinja);
    suite_tmp_remove(dir);
}
END_TEST

START_TEST(a_list_of_templates_has_a_default) {
    static const char config[] = "{\"bos_token\": {\"content\": \"<|endoftext|>\"}, "
                                 "\"chat_template\": [{\"name\": \"tools\", \"template\": \"t\"}, "
                                 "{\"name\": \"default\", \"template\": \"{{ bos_token }}d\"}]}";
    char *dir = suite_tmp_dir(), *path = md_path_join(dir, "tokenizer_config.json", &err);
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    assert_ok(md_tokenizer_bytes(&tok, &err));
    assert_ok(md_tokenizer_save(tok, dir, 32, &err));
    md_tokenizer_free(tok);
    assert_ok(md_file_write(path, config, sizeof config - 1, &err));
    assert_ok(md_tokenizer_load(dir, &tok, &err));
    encode(tok, question, 1, &ids);
    ck_assert_uint_eq(ids.count, 2);
    ck_assert_int_eq(ids.data[0], END);
    ck_assert_int_eq(ids.data[1], 'd');
    md_ids_release(&ids);
    md_tokenizer_free(tok);
    md_free(path);
    suite_tmp_remove(dir);
}
END_TEST

static void teardown(void) {
    md_buffer_release(&text);
    md_buffer_release(&given);
}

int main(void) {
    Suite *s = suite_create("template");
    TCase *c = tcase_create("templates");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, lladas_template_gives_what_jinja_gives);
    tcase_add_test(c, chatml_asks_for_an_answer_only_when_told_to);
    tcase_add_test(c, what_is_not_reached_need_not_be_supported);
    tcase_add_test(c, a_system_turn_can_be_taken_out_and_roles_can_be_checked);
    tcase_add_test(c, white_space_follows_jinja);
    tcase_add_test(c, expressions_bind_as_in_jinja);
    tcase_add_test(c, nothing_undefined_or_unknown_is_printed);
    tcase_add_test(c, malformed_templates_are_refused_with_their_line);
    tcase_add_test(c, hostile_templates_meet_limits);
    tcase_add_test(c, special_tokens_come_from_the_template_alone);
    tcase_add_test(c, a_template_is_saved_and_loaded_with_its_tokenizer);
    tcase_add_test(c, a_list_of_templates_has_a_default);
    suite_add_tcase(s, c);
    return suite_run(s);
}
