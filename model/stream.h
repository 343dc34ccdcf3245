/* model/stream.h: a model's parameters some rows at a time, for what writes them elsewhere: the
 * model is never in memory as a whole.
 *
 *     md_model_stream *s = NULL;
 *     MD_TRY(md_model_stream_open("LLaDA-8B", NULL, &s, err));
 *     const md_params *params = md_model_stream_params(s);           names and shapes, no values
 *     md_model_stream_rows(s, i, 0, 16, rows);                       of parameter i, as md_real
 *     md_model_stream_close(s);
 */
#ifndef MD_MODEL_STREAM_H
#define MD_MODEL_STREAM_H

#include "model/config.h"
#include "tensor/params.h"

typedef struct md_model_stream md_model_stream;

/* What md_transformer_load accepts; every parameter is known to be there, and to fit. */
mdlm_status md_model_stream_open(const char *path, const char *weights, md_model_stream **out,
                                 mdlm_error *err);
void md_model_stream_close(md_model_stream *s); /* accepts NULL */

const md_model_config *md_model_stream_config(const md_model_stream *s);
const md_params *md_model_stream_params(const md_model_stream *s);
/* Rows [first, first + n) of parameter i, adapters merged, to out [n, columns]; of a vector, one
 * row. */
void md_model_stream_rows(const md_model_stream *s, int i, int64_t first, int64_t n, md_real *out);

/* Who wants to know how far a copy is: `done` of `total` parameters; non-zero cancels. */
typedef struct md_stream_watch {
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} md_stream_watch;
/* Tells the watch, which may be NULL. MDLM_CANCELLED. */
mdlm_status md_stream_tell(const md_stream_watch *watch, int64_t done, int64_t total,
                           mdlm_error *err);

#endif
