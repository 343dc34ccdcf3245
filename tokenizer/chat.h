/* tokenizer/chat.h: conversations as token ids, by the tokenizer's chat template.
 *
 *     md_chat *chat = NULL;
 *     MD_TRY(md_chat_new(tok, &chat, err));
 *     mdlm_message turn = {.role = "user", .text = "hello", .text_bytes = 5};
 *     MD_TRY(md_chat_encode(chat, &turn, 1, true, &ids, err));      the prompt for an answer
 *     md_chat_free(chat);
 *
 * Special tokens that the template spells become their ids; the same letters in a message stay
 * text, so nobody can end a turn or speak for another by typing.
 */
#ifndef MD_TOKENIZER_CHAT_H
#define MD_TOKENIZER_CHAT_H

#include "tokenizer/tokenizer.h"

/* For a tokenizer that has no template: what the user says and a line feed, then the answer and
 * end-of-text. */
extern const char md_chat_plain_template[];

typedef struct md_chat md_chat;

/* The tokenizer's template or the plain one. The tokenizer must outlive the result, which the
 * caller frees. MDLM_INPUT for a template that cannot be read. */
mdlm_status md_chat_new(const md_tokenizer *tok, md_chat **out, mdlm_error *err);
void md_chat_free(md_chat *chat); /* accepts NULL */

/* Appends the ids of a conversation; `prompt` asks for what comes before an answer. MDLM_INPUT when
 * the template refuses; `ids` then holds what it held. */
mdlm_status md_chat_encode(const md_chat *chat, const mdlm_message *messages, size_t count,
                           bool prompt, md_ids *ids, mdlm_error *err);

#endif
