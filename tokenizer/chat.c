/* tokenizer/chat.c: see chat.h. */
#include "tokenizer/chat.h"

#include <string.h>

#include "base/memory.h"
#include "tokenizer/template.h"
#include "tokenizer/tokenizer_internal.h"

const char md_chat_plain_template[] =
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% else %}{{ message['content'] + '\\n' }}{% endif %}"
    "{% endfor %}";

struct md_chat {
    const md_tokenizer *tok;
    md_template *source;
};

mdlm_status md_chat_new(const md_tokenizer *tok, md_chat **out, mdlm_error *err) {
    const char *source = tok->chat_template ? tok->chat_template : md_chat_plain_template;
    md_chat *chat = md_alloc(1, sizeof *chat, err);
    if (!chat) return MDLM_RUNTIME;
    chat->tok = tok;
    mdlm_status status = md_template_new(source, strlen(source), &chat->source, err);
    if (status == MDLM_OK)
        *out = chat;
    else
        md_chat_free(chat);
    return status;
}

void md_chat_free(md_chat *chat) {
    if (!chat) return;
    md_template_free(chat->source);
    md_free(chat);
}

/* The end of the bytes from `at` on that are all a message's, or all the template's. */
static size_t run_end(const md_buffer *given, size_t at) {
    size_t end = at + 1;
    while (end < given->size && given->data[end] == given->data[at]) end++;
    return end;
}

/* Of the text that begins at `at`. */
static md_place place_of(size_t at) {
    return at == 0 ? MD_PLACE_START : MD_PLACE_LATER;
}

/* Special tokens are looked for in what the template itself spells. */
static mdlm_status encode(const md_tokenizer *tok, const md_buffer *text, const md_buffer *given,
                          md_ids *ids, mdlm_error *err) {
    md_added_match m = {0};
    for (size_t at = 0, end; at < text->size; at = end) {
        end = run_end(given, at);
        m.next = at;
        while (!given->data[at] && md_added_find(&tok->special, text->data, end, &m)) {
            if (m.start > m.text)
                MD_TRY(md_tokenizer_encode_at(tok, text->data + m.text, m.start - m.text,
                                              place_of(m.text), ids, err));
            MD_TRY(md_ids_push(ids, m.id, err));
        }
    }
    return md_tokenizer_encode_at(tok, text->data + m.end, text->size - m.end, place_of(m.end), ids,
                                  err);
}

mdlm_status md_chat_encode(const md_chat *chat, const mdlm_message *messages, size_t count,
                           bool prompt, md_ids *ids, mdlm_error *err) {
    const md_tokenizer *tok = chat->tok;
    md_template_input in = {.messages = messages,
                            .count = count,
                            .bos = tok->bos,
                            .eos = tok->entries[tok->end_of_text].special,
                            .add_generation_prompt = prompt};
    md_buffer text = {0}, given = {0};
    size_t before = ids->count;
    mdlm_status status = md_template_render(chat->source, &in, &text, &given, err);
    if (status == MDLM_OK && text.size > 0) status = encode(tok, &text, &given, ids, err);
    if (status != MDLM_OK) ids->count = before;
    md_buffer_release(&text);
    md_buffer_release(&given);
    return status;
}
