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

static const md_weight *find_role(const md_weights *file, const md_model_config *c, md_role role) {
    char name[MD_NAME_ROOM];
    const bool named = md_name_of((md_naming)c->arch, role, -1, false, name);
    return named ? md_weights_find(file, name) : NULL;
}

/* Some rows, all over the matrix, which has the shape of the other. */
static bool same_rows(const md_weight *a, const md_weight *b, md_real *room) {
    enum { ROWS = 64 };
    const size_t bytes = (size_t)a->cols * sizeof *room;
    bool same = true;
    for (int64_t i = 0; i < ROWS && a->rows > 0 && same; i++) {
        const int64_t row = (a->rows - 1) * i / (ROWS - 1);
        md_weight_read(a, row, 1, room);
        md_weight_read(b, row, 1, room + a->cols);
        same = memcmp(room, room + a->cols, bytes) == 0;
    }
    return same;
}

static mdlm_status check_repeated(const md_weight *head, const md_weight *embedding,
                                  mdlm_error *err) {
    if (!embedding || embedding->rank != 2 || !embedding->type->read)
        return MDLM_OK; /* its error */
    const md_tensor expected = {.rank = 2, .dim = {embedding->rows, embedding->cols, 1, 1}};
    MD_TRY(md_weight_check(head, &expected, err));
    md_real *room = md_alloc(2 * (size_t)head->cols, sizeof *room, err);
    if (!room) return MDLM_RUNTIME;
    const bool same = same_rows(head, embedding, room);
    md_free(room);
    if (same) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': '%s' is another matrix than '%s', to which it is tied",
                   head->file, head->name, embedding->name);
}

/* The tensors but `head`, fused ones in parts. The view owns `file` when it is made. */
static mdlm_status view_of(md_weights *file, const md_model_config *c, const md_weight *head,
                           md_weights **out, mdlm_error *err) {
    const int count = md_weights_count(file), group = c->heads / c->kv_heads;
    const part parts[] = {{'q', group, 0}, {'k', 1, group}, {'v', 1, group + 1}};
    int used = 0;
    mdlm_status status = MDLM_OK;
    md_weight *list = md_alloc(3 * (size_t)count, sizeof *list, err);
    char(*names)[MD_NAME_ROOM] = list ? md_alloc(3 * (size_t)count, sizeof *names, err) : NULL;
    if (!names) status = MDLM_RUNTIME;
    for (int i = 0; i < count && status == MDLM_OK; i++) {
        const md_weight *w = md_weights_at(file, i);
        const bool fused = c->arch == MD_ARCH_SMDM && is_fused(w->name);
        if (w == head) continue;
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
    const md_weight *head = config->tied ? find_role(file, config, MD_ROLE_HEAD) : NULL;
    if (config->arch != MD_ARCH_SMDM && !head) {
        *out = file;
        return MDLM_OK;
    }
    mdlm_status status = MDLM_OK;
    if (head) status = check_repeated(head, find_role(file, config, MD_ROLE_EMBEDDING), err);
    if (status == MDLM_OK) status = view_of(file, config, head, out, err);
    if (status != MDLM_OK) md_weights_close(file);
    return status;
}
