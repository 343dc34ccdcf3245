/* api/chat.c: conversations as prompts; see mdlm.h. */
#include "api/model.h"
#include "tokenizer/chat.h"

mdlm_status mdlm_tokenize_chat(const mdlm_model *m, const mdlm_message *messages, size_t count,
                               int32_t **out, size_t *ids, mdlm_error *err) {
    md_ids list = {0};
    md_chat *chat = NULL;
    mdlm_status status = md_chat_new(m->tokenizer, &chat, err);
    if (status == MDLM_OK) status = md_chat_encode(chat, messages, count, true, &list, err);
    md_chat_free(chat);
    if (status != MDLM_OK) {
        md_ids_release(&list);
        return status;
    }
    *out = list.data;
    *ids = list.count;
    return MDLM_OK;
}

bool mdlm_has_chat_template(const mdlm_model *m) {
    return md_tokenizer_template(m->tokenizer) != NULL;
}
