/* model/transformer_pack.c: the weights of products in the layout that kernels read, from the slab
 * or straight from files. */
#include <stdio.h>

#include "base/memory.h"
#include "model/lora_internal.h"

enum { ROOM = 1 << 18 }; /* numbers that a thread has of a weight at once, at least a panel's */

/* The weight of a matrix product, and the parameters [first, end) that it consists of. */
typedef struct product {
    md_tensor *w;
    int first, end;
} product;

/* The next product, beginning with { .end = 0 }: every matrix is part of one, but an embedding that
 * is no head. False behind the last. */
static bool next_product(const md_transformer *net, product *p) {
    while (p->end < md_params_count(net->params)) {
        int count;
        p->first = p->end;
        p->w = md_params_whole(net->params, p->first, &count);
        p->end = p->first + count;
        if (p->w->rank == 2 && (p->w != net->embedding || p->w == net->head)) return true;
    }
    return false;
}

/* A network's weights while they are packed. A task is some rows of one of them. */
typedef struct packing {
    const md_transformer *net;
    const md_kernels *k;
    const md_weight **found; /* [parameters]; NULL: values are in the slab */
    const md_lora *lora;     /* NULL: none */
    md_real **rooms;         /* [threads] rows that were read */
    const md_tensor *w;
    int first; /* of the parameters that w consists of */
    char *to;
    int rows; /* of a task */
} packing;

static int64_t panels_in(const md_kernels *k, int64_t rows) {
    return (rows + k->panel - 1) / k->panel;
}

/* Whole panels. */
static int task_rows(const md_kernels *k, int64_t cols) {
    const int64_t panels = ROOM / (cols * k->panel);
    return (int)(panels < 1 ? 1 : panels) * k->panel;
}

/* Rows [first, first + n) of the weight at hand from the files, which are asked to forget them. */
static const md_real *read_rows(const packing *p, int64_t first, int64_t n, md_real *room) {
    md_real *to = room;
    for (int i = p->first; n > 0; i++) {
        const md_weight *part = p->found[i];
        if (first >= part->rows) {
            first -= part->rows;
            continue;
        }
        const int64_t left = part->rows - first, count = n < left ? n : left;
        md_weight_read(part, first, count, to);
        md_weight_forget(part, first, count);
        if (p->lora) md_lora_add_rows(p->lora, md_params_name(p->net->params, i), first, count, to);
        to += count * part->cols;
        n -= count;
        first = 0;
    }
    return room;
}

static void pack_task(void *context, int64_t task, int worker) {
    const packing *p = context;
    const int64_t first = task * p->rows, left = p->w->dim[0] - first, cols = p->w->dim[1];
    const int64_t n = left < p->rows ? left : p->rows;
    const md_real *rows =
        p->found ? read_rows(p, first, n, p->rooms[worker]) : p->w->data + first * cols;
    const md_pack pack = {.trans = true,
                          .n = (int)n,
                          .k = (int)cols,
                          .b = rows,
                          .ldb = (int)cols,
                          .to =
                              p->to + (size_t)(first / p->k->panel) * p->k->panel_bytes((int)cols)};
    p->k->pack(&pack, 0, (int)panels_in(p->k, n));
}

static mdlm_status pack_product(packing *p, md_transformer *net, product which, md_pool *pool,
                                mdlm_error *err) {
    md_tensor *w = which.w;
    const size_t panels = (size_t)panels_in(p->k, w->dim[0]);
    p->to = md_alloc_whole(panels, p->k->panel_bytes((int)w->dim[1]), err);
    if (!p->to) return MDLM_RUNTIME;
    net->packed[which.first] = p->to;
    p->w = w;
    p->rows = task_rows(p->k, w->dim[1]);
    p->first = which.first;
    const int64_t tasks = (w->dim[0] + p->rows - 1) / p->rows;
    if (pool)
        md_pool_run(pool, "pack", tasks, pack_task, p);
    else
        for (int64_t i = 0; i < tasks; i++) pack_task(p, i, 0);
    for (int i = p->first; p->found && i < which.end; i++)
        md_weight_forget(p->found[i], 0, p->found[i]->rows); /* pages between two tasks, too */
    w->packed = p->to;
    return MDLM_OK;
}

static mdlm_status begin(md_transformer *net, mdlm_error *err) {
    MD_BUG_IF(net->packed);
    net->packed = md_alloc((size_t)md_params_count(net->params), sizeof *net->packed, err);
    return net->packed ? MDLM_OK : MDLM_RUNTIME;
}

mdlm_status md_transformer_pack(md_transformer *net, const md_kernels *k, mdlm_error *err) {
    packing p = {.net = net, .k = k};
    MD_TRY(begin(net, err));
    for (product at = {0}; next_product(net, &at);) MD_TRY(pack_product(&p, net, at, NULL, err));
    return MDLM_OK;
}

/* --- from files ------------------------------------------------------------------------------- */

static int64_t packed_bytes(const md_transformer *net, const md_kernels *k) {
    int64_t bytes = 0;
    for (product at = {0}; next_product(net, &at);)
        bytes += panels_in(k, at.w->dim[0]) * (int64_t)k->panel_bytes((int)at.w->dim[1]);
    return bytes;
}

mdlm_status md_transformer_packed_bytes(const md_model_config *config, const md_kernels *kernels,
                                        int64_t *out, mdlm_error *err) {
    md_transformer *net = NULL;
    MD_TRY(md_transformer_declare(config, &net, err));
    *out = packed_bytes(net, kernels);
    md_transformer_free(net);
    return MDLM_OK;
}

static double gigabytes(int64_t bytes) {
    return (double)bytes / (1 << 30);
}

/* Also of other dtypes: one of them may fit. */
static mdlm_status check_memory(const md_transformer *net, const char *path,
                                const md_transformer_packing *how, mdlm_error *err) {
    static const char *const dtypes[] = {"f32", "bf16", "q8_0"};
    const int64_t available = how->memory > 0 ? how->memory : md_memory_available();
    const int64_t needed = packed_bytes(net, how->kernels);
    char each[128];
    size_t used = 0;
    if (needed <= available) return MDLM_OK;
    for (int i = 0; i < 3; i++) {
        md_kernels k;
        MD_TRY(md_kernels_init(&k, how->kernels->name, err));
        MD_TRY(md_kernels_set_dtype(&k, dtypes[i], err));
        used += (size_t)snprintf(each + used, sizeof each - used, "%s%s %.1f GiB", i ? ", " : "",
                                 dtypes[i], gigabytes(packed_bytes(net, &k)));
    }
    return md_fail(err, MDLM_RUNTIME,
                   "'%s': its weights need %.1f GiB of memory, %.1f GiB are available (by dtype: "
                   "%s)",
                   path, gigabytes(needed), gigabytes(available), each);
}

static void read_vectors(md_transformer *net, const md_weight *const *found) {
    for (int i = 0; i < md_params_count(net->params); i++) {
        const md_tensor *t = md_params_tensor(net->params, i);
        if (t == net->embedding) net->embedding_rows = found[i];
        if (t->rank != 1) continue;
        md_weight_read(found[i], 0, found[i]->rows, t->data);
        md_weight_forget(found[i], 0, found[i]->rows);
    }
}

static int64_t file_bytes(const packing *p, product which) {
    int64_t bytes = 0;
    for (int i = which.first; i < which.end; i++) bytes += (int64_t)md_weight_bytes(p->found[i]);
    return bytes;
}

static mdlm_status pack_products(packing *p, md_transformer *net, const md_transformer_packing *how,
                                 mdlm_error *err) {
    int64_t done = 0, total = 0;
    for (product at = {0}; next_product(net, &at);) total += file_bytes(p, at);
    for (product at = {0}; next_product(net, &at);) {
        if (how->on_progress && how->on_progress(how->user, done, total) != 0)
            return md_fail(err, MDLM_CANCELLED, "cancelled while weights were loaded");
        MD_TRY(pack_product(p, net, at, how->pool, err));
        done += file_bytes(p, at);
    }
    if (how->on_progress) how->on_progress(how->user, done, total);
    return MDLM_OK;
}

static void rooms_free(md_real **rooms, int threads) {
    for (int i = 0; rooms && i < threads; i++) md_free(rooms[i]);
    md_free(rooms);
}

/* For the most numbers that a task reads. */
static md_real **rooms_new(const md_transformer *net, const md_kernels *k, int threads,
                           mdlm_error *err) {
    size_t most = 0;
    for (product at = {0}; next_product(net, &at);) {
        const size_t numbers = (size_t)(task_rows(k, at.w->dim[1]) * at.w->dim[1]);
        if (numbers > most) most = numbers;
    }
    md_real **rooms = md_alloc((size_t)threads, sizeof *rooms, err);
    for (int i = 0; rooms && i < threads; i++) {
        if ((rooms[i] = md_alloc(most, sizeof **rooms, err))) continue;
        rooms_free(rooms, threads);
        return NULL;
    }
    return rooms;
}

mdlm_status md_transformer_pack_files(md_transformer *net, md_weights *files, const md_lora *lora,
                                      const md_transformer_packing *how, mdlm_error *err) {
    const int threads = how->pool ? md_pool_threads(how->pool) : 1;
    packing p = {.net = net, .k = how->kernels, .lora = lora};
    mdlm_status status = MDLM_RUNTIME;
    p.found = md_alloc((size_t)md_params_count(net->params), sizeof *p.found, err);
    if (!p.found) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_weights_match(files, net->params, "", p.found, err));
    MD_GOTO(done, status, check_memory(net, md_weights_path(files), how, err));
    MD_GOTO(done, status, md_params_seal_vectors(net->params, err));
    MD_GOTO(done, status, begin(net, err));
    if (!(p.rooms = rooms_new(net, p.k, threads, err))) {
        status = MDLM_RUNTIME;
        goto done;
    }
    read_vectors(net, p.found);
    MD_GOTO(done, status, pack_products(&p, net, how, err));
    net->files = files;
done:
    rooms_free(p.rooms, threads);
    md_free(p.found);
    return status;
}
