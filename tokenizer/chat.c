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

/* The longest special token that the template spells at the beginning of `text`; -1 for none. */
static int32_t special_here(const md_tokenizer *tok, const char *text, const char *given,
                            size_t size, size_t *length) {
    int32_t found = -1;
    *length = 0;
    for (size_t id = 0; id < tok->count; id++) {
        const char *special = tok->entries[id].special;
        size_t n = special ? strlen(special) : 0;
        if (n <= *length || n > size || memcmp(text, special, n) || memchr(given, 1, n)) continue;
        found = (int32_t)id;
        *length = n;
    }
    return found;
}

/* Whether a special token may begin with this byte: most bytes need no search. */
static void first_bytes(const md_tokenizer *tok, bool first[256]) {
    memset(first, 0, 256 * sizeof *first);
    for (size_t id = 0; id < tok->count; id++) {
        if (tok->entries[id].special) first[(unsigned char)*tok->entries[id].special] = true;
    }
}

static mdlm_status encode(const md_tokenizer *tok, const md_buffer *text, const md_buffer *given,
                          md_ids *ids, mdlm_error *err) {
    bool first[256];
    size_t done = 0, length;
    first_bytes(tok, first);
    for (size_t at = 0; at < text->size;) {
        int32_t id = -1;
        if (first[(unsigned char)text->data[at]] && !given->data[at])
            id = special_here(tok, text->data + at, given->data + at, text->size - at, &length);
        if (id < 0) {
            at++;
            continue;
        }
        MD_TRY(md_tokenizer_encode(tok, text->data + done, at - done, ids, err));
        MD_TRY(md_ids_push(ids, id, err));
        done = at += length;
    }
    return md_tokenizer_encode(tok, text->data + done, text->size - done, ids, err);
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
