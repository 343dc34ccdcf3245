/* cli/preview_internal.h: the two ways to show a picture without a PNG; see preview.h. Pictures
 * have three channels. */
#ifndef MD_CLI_PREVIEW_INTERNAL_H
#define MD_CLI_PREVIEW_INTERNAL_H

#include "cli/preview.h"

mdlm_status md_preview_sixel(const md_picture *p, md_buffer *out, mdlm_error *err);
mdlm_status md_preview_blocks(const md_picture *p, md_preview how, md_buffer *out, mdlm_error *err);

#endif
