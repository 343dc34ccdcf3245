/* cli/token_list.h: tokens as a user names them.
 *
 * A list separated by commas; an item is an id, or a text in double quotes that is one token of the
 * model's tokenizer. In quotes \n, \t, \r, \", \\ and \xHH stand for bytes. Spaces around items do
 * not matter.
 *
 *     --forbid-tokens '10, "the", "\n"'
 */
#ifndef MD_CLI_TOKEN_LIST_H
#define MD_CLI_TOKEN_LIST_H

#include "mdlm.h"

/* `option` is what messages call the list. MDLM_USAGE when it is empty or malformed, when a text is
 * not one token, or an id is not in the vocabulary. The caller frees *ids with md_free. */
mdlm_status md_token_list_read(const char *option, const char *text, const mdlm_model *model,
                               int32_t **ids, size_t *count, mdlm_error *err);

#endif
