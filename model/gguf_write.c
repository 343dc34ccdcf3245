/* model/gguf_write.c: a network's parameters into a GGUF file, some rows at a time; see gguf.h. */
#include "base/memory.h"
#include "model/gguf.h"
#include "model/gguf_internal.h"
#include "model/names.h"

enum { ROOM = 1 << 18 }; /* numbers in memory at once, or the rows of a head */

int md_gguf_interleaved(const md_model_config *c, const char *name) {
    md_role role;
    int layer;
    bool bias;
    if (c->arch != MD_ARCH_LLADA) return 0;
    if (!md_name_parse((md_naming)c->arch, name, &role, &layer, &bias)) return 0;
    return role == MD_ROLE_Q ? c->heads : role == MD_ROLE_K ? c->kv_heads : 0;
}

/* What is being written, and memory for some of its rows. */
typedef struct copying {
    md_gguf_writer *w;
    const md_model_stream *from;
    md_real *rows;
} copying;

mdlm_status md_gguf_declare_params(md_gguf_writer *w, const md_model_stream *from,
                                   const md_storage *type, mdlm_error *err) {
    const md_params *params = md_model_stream_params(from);
    const md_naming ours = (md_naming)md_model_stream_config(from)->arch;
    for (int i = 0; i < md_params_count(params); i++) {
        const md_tensor *t = md_params_tensor(params, i);
        char name[MD_NAME_ROOM];
        MD_BUG_IF(!md_name_translate(md_params_name(params, i), ours, MD_NAMING_GGUF, name));
        MD_TRY(
            md_gguf_declare(w, name, t->rank == 1 ? &md_storage_f32 : type, t->rank, t->dim, err));
    }
    return MDLM_OK;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static mdlm_status append_rows(const copying *c, int i, mdlm_error *err) {
    const md_tensor *t = md_params_tensor(md_model_stream_params(c->from), i);
    const int64_t cols = md_tensor_cols(t), rows = md_tensor_rows(t);
    const int64_t piece = cols < ROOM ? ROOM / cols : 1;
    for (int64_t at = 0; at < rows; at += piece) {
        const int64_t n = least(piece, rows - at);
        md_model_stream_rows(c->from, i, at, n, c->rows);
        MD_TRY(md_gguf_append(c->w, c->rows, n * cols, err));
    }
    return MDLM_OK;
}

/* Row 2 i + p of a head there is row p D / 2 + i here. */
static mdlm_status append_interleaved(const copying *c, int i, int heads, mdlm_error *err) {
    const md_tensor *t = md_params_tensor(md_model_stream_params(c->from), i);
    const int64_t cols = t->dim[1], D = t->dim[0] / heads;
    for (int h = 0; h < heads; h++) {
        md_model_stream_rows(c->from, i, h * D, D, c->rows);
        for (int64_t r = 0; r < D; r++) {
            const int64_t row = r % 2 * (D / 2) + r / 2;
            MD_TRY(md_gguf_append(c->w, c->rows + row * cols, cols, err));
        }
    }
    return MDLM_OK;
}

/* Numbers that the largest piece has. */
static size_t room_for(const md_model_stream *from) {
    const md_model_config *c = md_model_stream_config(from);
    const size_t head = (size_t)(c->dim / c->heads) * (size_t)c->dim;
    const size_t row = (size_t)(c->dim > c->ff ? c->dim : c->ff);
    const size_t most = head > row ? head : row;
    return most > ROOM ? most : ROOM;
}

mdlm_status md_gguf_append_params(md_gguf_writer *w, const md_model_stream *from,
                                  const md_stream_watch *watch, mdlm_error *err) {
    const md_params *params = md_model_stream_params(from);
    const md_model_config *config = md_model_stream_config(from);
    copying c = {.w = w, .from = from};
    mdlm_status status = MDLM_OK;
    c.rows = md_alloc(room_for(from), sizeof *c.rows, err);
    if (!c.rows) return MDLM_RUNTIME;
    for (int i = 0; status == MDLM_OK && i < md_params_count(params); i++) {
        const int heads = md_gguf_interleaved(config, md_params_name(params, i));
        status = md_stream_tell(watch, i, md_params_count(params), err);
        if (status != MDLM_OK) break;
        status = heads ? append_interleaved(&c, i, heads, err) : append_rows(&c, i, err);
    }
    md_free(c.rows);
    return status;
}
