/* model/gguf_weights.c: the weights of a network in GGUF by the names of its parameters; see
 * gguf.h.
 */
#include <string.h>

#include "base/memory.h"
#include "model/gguf.h"
#include "model/gguf_internal.h"
#include "model/names.h"

static void close_file(void *file) {
    md_gguf_close(file);
}

/* What is none of ours keeps its name: whoever looks for parameters says that it is none. */
static void describe(const md_gguf *file, const md_gguf_entry *e, const md_model_config *c,
                     char name[MD_NAME_ROOM], md_weight *out) {
    const bool ours = md_name_translate(e->name, MD_NAMING_GGUF, (md_naming)c->arch, name);
    const int heads = ours ? md_gguf_interleaved(c, name) : 0;
    /* Whole heads of two halves; another shape is refused as such. */
    const bool whole = heads && e->rank == 2 && e->dim[0] % (2 * heads) == 0;
    *out = (md_weight){.name = ours ? name : e->name,
                       .file = md_gguf_path(file),
                       .type = e->type,
                       .rank = e->rank,
                       .data = e->data,
                       .interleaved_heads = whole ? heads : 0};
    memcpy(out->dim, e->dim, sizeof e->dim);
}

/* The file is the source's from then on. */
static mdlm_status make_source(md_gguf *file, const md_model_config *c, md_weights **out,
                               mdlm_error *err) {
    const int count = md_gguf_count(file);
    char(*names)[MD_NAME_ROOM] = md_alloc((size_t)count, sizeof *names, err);
    md_weight *list = names ? md_alloc((size_t)count, sizeof *list, err) : NULL;
    mdlm_status status = MDLM_RUNTIME;
    if (list) {
        const md_weights_holder holder = {.context = file, .release = close_file};
        for (int i = 0; i < count; i++)
            describe(file, md_gguf_entry_at(file, i), c, names[i], &list[i]);
        status = md_weights_new(md_gguf_path(file), list, count, holder, out, err);
    }
    md_free(list);
    md_free(names);
    return status;
}

mdlm_status md_gguf_model_open(const char *path, md_model_config *config, md_weights **weights,
                               mdlm_error *err) {
    md_gguf *file = NULL;
    md_model_config c;
    mdlm_status status;
    MD_GOTO(failed, status, md_gguf_open(path, &file, err));
    MD_GOTO(failed, status, md_gguf_read_config(file, &c, err));
    MD_GOTO(failed, status, make_source(file, &c, weights, err));
    *config = c;
    return MDLM_OK;
failed:
    md_gguf_close(file);
    return status;
}
