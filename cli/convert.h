/* cli/convert.h: a model that `mdlm convert` writes as something else, some rows at a time.
 *
 *   cmd_convert.c      options, what goes where
 *   convert_folder.c   a Hugging Face folder
 *   convert_gguf.c     a GGUF file
 */
#ifndef MD_CLI_CONVERT_H
#define MD_CLI_CONVERT_H

#include "model/stream.h"
#include "tensor/storage.h"

typedef struct md_conversion {
    const char *in, *out;
    const char *dtype;      /* of matrices: "f32", "bf16" or "q8_0" */
    md_model_stream *model; /* `in`, open */
    md_stream_watch watch;
} md_conversion;

/* Both put `out` in place when it is complete, and leave nothing behind when it is not. */
mdlm_status md_convert_to_folder(const md_conversion *c, mdlm_error *err);
mdlm_status md_convert_to_gguf(const md_conversion *c, mdlm_error *err);

#endif
