/* model/lora.c: adapters in memory; their files are in lora_files.c. */
#include "model/lora_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static const struct {
    const char *name, *module[MD_LORA_MODULES]; /* NULL behind the last */
    md_role role[MD_LORA_MODULES];
} groups[MD_LORA_GROUPS] = {
    {"qkv", {"q_proj", "k_proj", "v_proj"}, {MD_ROLE_Q, MD_ROLE_K, MD_ROLE_V}},
    {"attn_out", {"attn_out"}, {MD_ROLE_ATTN_OUT}},
    {"gate_up", {"ff_proj", "up_proj"}, {MD_ROLE_GATE, MD_ROLE_UP}},
    {"ff_out", {"ff_out"}, {MD_ROLE_DOWN}},
};

enum { PROJECTIONS = 7 }; /* in a block */

typedef struct builder {
    const md_transformer *net;
    md_lora *lora;
    mdlm_error *err;
} builder;

/* "blocks.LAYER.MODULE" */
static const char *name_of(const builder *b, int layer, const char *module) {
    const char *name = md_arena_printf(b->lora->arena, "blocks.%d.%s", layer, module);
    if (!name) md_fail(b->err, MDLM_RUNTIME, "out of memory: no room for the name '%s'", module);
    return name;
}

static md_tensor *add(const builder *b, const char *name, const char *which, int64_t rows,
                      int64_t cols) {
    const char *full = md_arena_printf(b->lora->arena, "%s.%s", name, which);
    if (full)
        return md_params_add(b->lora->params, full, 2, (int64_t[]){rows, cols}, MD_PARAM_DECAY,
                             b->err);
    md_fail(b->err, MDLM_RUNTIME, "out of memory: no room for the name '%s'", name);
    return NULL;
}

/* What the network calls the weight of a module, without ".weight". */
static const char *weight_name(const builder *b, int layer, md_role role) {
    char name[MD_NAME_ROOM];
    const md_naming naming = (md_naming)b->net->config.arch;
    MD_BUG_IF(!md_name_of(naming, role, layer, false, name));
    const int stem = (int)(strlen(name) - strlen(".weight"));
    const char *copy = md_arena_printf(b->lora->arena, "%.*s", stem, name);
    if (!copy) md_fail(b->err, MDLM_RUNTIME, "out of memory: no room for the name '%s'", name);
    return copy;
}

/* The parameter that a projection stands beside. */
static const char *parameter_name(const char *weight, char out[MD_NAME_ROOM]) {
    snprintf(out, MD_NAME_ROOM, "%s.weight", weight);
    return out;
}

static md_tensor *weight_of(const md_transformer *net, const char *weight) {
    char name[MD_NAME_ROOM];
    parameter_name(weight, name);
    int i = md_params_find(net->params, name);
    MD_BUG_IF(i < 0);
    return md_params_tensor(net->params, i);
}

/* B of one projection, and A with the first of its group. */
static bool add_projection(const builder *b, int layer, int group, int module, md_tensor **a) {
    md_lora *lora = b->lora;
    const char *name = name_of(b, layer, groups[group].module[module]);
    const char *shared = name ? name_of(b, layer, groups[group].name) : NULL;
    const char *weight = shared ? weight_name(b, layer, groups[group].role[module]) : NULL;
    if (!weight) return false;
    const md_tensor *w = weight_of(b->net, weight);
    if (module == 0) *a = add(b, shared, "lora_A", lora->rank, w->dim[1]);
    const md_tensor *own = *a ? add(b, name, "lora_B", w->dim[0], lora->rank) : NULL;
    if (own) lora->projections[lora->projection_count++] = (md_projection){name, weight, *a, own};
    return own;
}

static bool add_group(const builder *b, int layer, int group) {
    md_adapter *to = &b->lora->blocks[layer].adapter[group];
    int first = md_params_count(b->lora->params) + 1, count = 0; /* behind A */
    for (; count < MD_LORA_MODULES && groups[group].module[count]; count++)
        if (!add_projection(b, layer, group, count, &to->a)) return false;
    to->b = md_params_span(b->lora->params, first, count, b->err);
    return to->b;
}

mdlm_status md_lora_new(const md_transformer *net, int rank, bool gradients, md_lora **out,
                        mdlm_error *err) {
    const int layers = net->config.layers, widest = net->config.dim;
    const md_arch arch = net->config.arch;
    mdlm_status status = MDLM_RUNTIME;
    if (arch != MD_ARCH_LLADA && arch != MD_ARCH_DREAM)
        return md_fail(err, MDLM_USAGE, "--lora: networks of %s's kind take no adapters",
                       md_arch_name(arch));
    if (rank < 1 || rank > widest)
        return md_fail(err, MDLM_USAGE, "--lora %d is out of range: expected 1 to %d", rank,
                       widest);
    md_lora *lora = md_alloc(1, sizeof *lora, err);
    if (!lora) return MDLM_RUNTIME;
    *lora = (md_lora){.rank = rank, .layers = layers, .arch = arch};
    const builder b = {net, lora, err};
    if (!(lora->arena = md_arena_new(err)) || !(lora->params = md_params_new(err))) goto done;
    lora->blocks = md_alloc((size_t)layers, sizeof *lora->blocks, err);
    lora->projections = md_alloc((size_t)layers * PROJECTIONS, sizeof *lora->projections, err);
    if (!lora->blocks || !lora->projections) goto done;
    for (int i = 0; i < layers * MD_LORA_GROUPS; i++)
        if (!add_group(&b, i / MD_LORA_GROUPS, i % MD_LORA_GROUPS)) goto done;
    MD_GOTO(done, status, md_params_seal(lora->params, gradients, err));
    *out = lora;
    lora = NULL;
done:
    md_lora_free(lora);
    return status;
}

void md_lora_free(md_lora *lora) {
    if (!lora) return;
    md_params_free(lora->params);
    md_arena_free(lora->arena);
    md_free(lora->blocks);
    md_free(lora->projections);
    md_free(lora);
}

void md_lora_init(md_lora *lora, uint64_t seed) {
    for (int i = 0; i < lora->layers * MD_LORA_GROUPS; i++) {
        const md_adapter *to = &lora->blocks[i / MD_LORA_GROUPS].adapter[i % MD_LORA_GROUPS];
        const int64_t in = to->a->dim[1], size = md_tensor_size(to->b);
        const double std = 1 / sqrt((double)in);
        const md_rng rng = {.seed = seed, .stream = MD_STREAM_INIT, .step = (uint64_t)i};
        for (int64_t j = 0; j < lora->rank * in; j++)
            to->a->data[j] =
                (md_real)(std * md_normal(rng, (uint32_t)(j / in), (uint32_t)(j % in)));
        for (int64_t j = 0; j < size; j++) to->b->data[j] = 0;
    }
}

int md_lora_rank(const md_lora *lora) {
    return lora->rank;
}

md_params *md_lora_params(md_lora *lora) {
    return lora->params;
}

void md_transformer_set_lora(md_transformer *net, const md_lora *lora) {
    MD_BUG_IF(lora && lora->layers != net->config.layers);
    net->lora = lora;
}

static void add_rows(const md_projection *p, int64_t first, int64_t n, md_real *rows) {
    const int rank = (int)p->a->dim[0], in = (int)p->a->dim[1];
    md_kernels_ref.gemm(&(md_gemm){.m = (int)n,
                                   .n = in,
                                   .k = rank,
                                   .a = p->b->data + first * rank,
                                   .lda = rank,
                                   .b = p->a->data,
                                   .ldb = in,
                                   .add = true,
                                   .c = rows,
                                   .ldc = in});
}

void md_lora_add_rows(const md_lora *lora, const char *parameter, int64_t first, int64_t n,
                      md_real *rows) {
    char name[MD_NAME_ROOM];
    for (int i = 0; i < lora->projection_count; i++) {
        const md_projection *p = &lora->projections[i];
        if (strcmp(parameter_name(p->weight, name), parameter) == 0) add_rows(p, first, n, rows);
    }
}

void md_lora_merge(const md_lora *lora, md_transformer *net) {
    MD_BUG_IF(net->packed || net->lora || lora->layers != net->config.layers);
    for (int i = 0; i < lora->projection_count; i++) {
        const md_projection *p = &lora->projections[i];
        const md_tensor *w = weight_of(net, p->weight);
        add_rows(p, 0, w->dim[0], w->data);
    }
}
