/* model/kind_weights.c: see kind_weights.h. */
#include "model/kind_weights.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/names.h"

static const char fused_head[] = "transformer.h.", fused_tail[] = ".attn.attn.weight";

static bool is_fused(const char *name) {
    const size_t n = strlen(name), head = sizeof fused_head - 1, tail = sizeof fused_tail - 1;
    return n > head + tail && !strncmp(name, fused_head, head) &&
           !strcmp(name + n - tail, fused_tail);
}

/* q, k or v of a matrix: `heads` heads from the `before`-th of each group on. */
typedef struct part {
    char letter;
    int heads, before;
} part;

static md_weight part_of(const md_weight *whole, const md_model_config *c, part p,
                         char name[MD_NAME_ROOM]) {
    const int64_t D = c->dim / c->heads;
    md_weight w = *whole;
    snprintf(name, MD_NAME_ROOM, "%.*s%c.weight", (int)(strlen(whole->name) - strlen("weight")),
             whole->name, p.letter);
    w.name = name;
    w.dim[0] = c->kv_heads * p.heads * D;
    w.run = p.heads * D;
    w.step = (c->heads / c->kv_heads + 2) * D;
    w.data = (const char *)whole->data + (size_t)(p.before * D) * whole->row_bytes;
    return w;
}

static mdlm_status check_fused(const md_weight *w, const md_model_config *c, mdlm_error *err) {
    const int64_t rows = (int64_t)(c->heads + 2 * c->kv_heads) * (c->dim / c->heads);
    const md_tensor expected = {.rank = 2, .dim = {rows, c->dim, 1, 1}};
    if (strlen(w->name) + sizeof ".q" > MD_NAME_ROOM)
        return md_fail(err, MDLM_INPUT, "'%s': the name '%.40s...' is too long", w->file, w->name);
    return md_weight_check(w, &expected, err);
}

static void close_file(void *file) {
    md_weights_close(file);
}

/* The view owns `file` when it is made. */
static mdlm_status split(md_weights *file, const md_model_config *c, md_weights **out,
                         mdlm_error *err) {
    const int count = md_weights_count(file), group = c->heads / c->kv_heads;
    const part parts[] = {{'q', group, 0}, {'k', 1, group}, {'v', 1, group + 1}};
    int used = 0;
    mdlm_status status = MDLM_OK;
    md_weight *list = md_alloc(3 * (size_t)count, sizeof *list, err);
    char(*names)[MD_NAME_ROOM] = list ? md_alloc(3 * (size_t)count, sizeof *names, err) : NULL;
    if (!names) status = MDLM_RUNTIME;
    for (int i = 0; i < count && status == MDLM_OK; i++) {
        const md_weight *w = md_weights_at(file, i);
        const bool fused = is_fused(w->name);
        if (fused) MD_GOTO(done, status, check_fused(w, c, err));
        if (!fused) list[used++] = *w;
        for (int p = 0; fused && p < 3; p++, used++)
            list[used] = part_of(w, c, parts[p], names[used]);
    }
    if (status == MDLM_OK)
        status = md_weights_new(md_weights_path(file), list, used,
                                (md_weights_holder){file, close_file}, out, err);
done:
    md_free(names);
    md_free(list);
    return status;
}

mdlm_status md_kind_weights_open(const char *path, const md_model_config *config, md_weights **out,
                                 mdlm_error *err) {
    md_weights *file = NULL;
    MD_TRY(md_weights_open(path, &file, err));
    if (config->arch != MD_ARCH_SMDM) {
        *out = file;
        return MDLM_OK;
    }
    mdlm_status status = split(file, config, out, err);
    if (status != MDLM_OK) md_weights_close(file);
    return status;
}
