/* tokenizer/template.h: chat templates: from messages to the text that a model was tuned on.
 *
 *     md_template *t = NULL;
 *     MD_TRY(md_template_new(source, strlen(source), &t, err));      tokenizer_config.json's
 *     mdlm_message turns[] = {{.role = "user", .text = "hello", .text_bytes = 5}};
 *     md_template_input in = {.messages = turns, .count = 1, .eos = "<|endoftext|>",
 *                             .add_generation_prompt = true};
 *     MD_TRY(md_template_render(t, &in, &text, &given, err));        appends
 *     md_template_free(t);
 *
 * The language is the part of Jinja that published models' templates use, read as Hugging Face's
 * library reads it (trim_blocks and lstrip_blocks on, the last line feed dropped):
 *
 *   text   {{ expr }}   {# comment #}   whitespace control: {%- -%} {{- -}} {%+ +%}
 *   {% for m in messages %} (also messages[1:]), with loop.index, index0, first, last, length
 *   {% if %} {% elif %} {% else %}      {% set name = expr %} (in a loop: until its turn ends)
 *   'strings' "strings", integers, true, false, none, names, m.content, m['role'], messages[-1]
 *   + - ~ % == != < <= > >= and or not, `a if b else c`, parentheses
 *   | trim, messages | length, .strip(), `is [not] defined|undefined|none|string`
 *   raise_exception('why')
 *   messages, add_generation_prompt, bos_token, eos_token; other names are undefined
 *
 * Nothing is guessed. What is outside this part is an error that names it and its line: when the
 * template is read if it is another statement or operator, and when it is reached if it is another
 * filter, test or function (templates keep such for tools, behind conditions that are false here).
 * An undefined value may be tested and compared; printing or adding it is an error.
 *
 * Templates are files from elsewhere: source, nesting, work and output are bounded.
 *
 * What comes from a message is marked in `given`, so that whoever turns the text into ids can keep
 * special tokens to what the template itself spells (tokenizer/chat.h).
 */
#ifndef MD_TOKENIZER_TEMPLATE_H
#define MD_TOKENIZER_TEMPLATE_H

#include "base/buffer.h"

typedef struct md_template md_template;

/* Reads a template. MDLM_INPUT, with the line, when it is malformed or beyond the subset. The
 * source is copied; the caller frees *out. */
mdlm_status md_template_new(const char *source, size_t size, md_template **out, mdlm_error *err);
void md_template_free(md_template *t); /* accepts NULL */

typedef struct md_template_input {
    const mdlm_message *messages; /* roles are words: letters, digits, '_' and '-' */
    size_t count;
    const char *bos, *eos; /* spellings of tokens; NULL: undefined */
    bool add_generation_prompt;
} md_template_input;

/* Appends the text, and to `given` (may be NULL) as many bytes: 1 where a byte of the text was a
 * message's, else 0. MDLM_INPUT when the template reaches something that is not supported, raises
 * an exception, or exceeds a limit; `text` and `given` then hold what they held. */
mdlm_status md_template_render(const md_template *t, const md_template_input *in, md_buffer *text,
                               md_buffer *given, mdlm_error *err);

#endif
