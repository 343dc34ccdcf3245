/* bench/gemm.c: the products of a training step of the 10.8 M model, by every set of kernels, as
 * GFLOP/s and as a share of what the processor's multiply-add units can do.
 *
 *     cmake --build build --target bench_gemm && build/bench_gemm            all sets but plain C
 *     build/bench_gemm avx512 ref                                            these
 *
 * Products are cut into tiles for all threads as tensor/op_linear.c does. "packed" packs op(B)
 * first, and its time includes that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/blas.h"
#include "tensor/kernels.h"
#include "tensor/kernels/peak.h"
#include "tensor/tape_internal.h"

static const double least_seconds = 0.15; /* of repetitions of one product */

/* Layers of 6x384, feed-forward 1024, micro-batches of 8 x 256 tokens; the head sees the masked
 * third. */
static const struct layer {
    const char *name;
    int rows, in, out;
} layers[] = {
    {"q k v", 2048, 384, 1152}, {"attention out", 2048, 384, 384}, {"gate, up", 2048, 384, 2048},
    {"down", 2048, 1024, 384},  {"head, bytes", 683, 384, 259},
};
enum { LAYERS = sizeof layers / sizeof *layers };

/* The three products of a layer: y = x w', dx = dy w, dw = dy' x. */
static const struct form {
    const char *name;
    bool trans_a, trans_b;
    int tile_rows, tile_cols;
} forms[] = {
    {"x w'", false, true, MD_ROW_TILE, 512},
    {"dy w", false, false, MD_ROW_TILE, 512},
    {"dy' x", true, false, 96, 512},
};
enum { FORMS = sizeof forms / sizeof *forms };

typedef struct product {
    const md_kernels *kernels;
    md_pool *pool;
    const struct form *form;
    int m, n, k;
    const float *a, *b;
    float *c;
    char *packed; /* room for op(B) in any layout */
    bool use_packed;
} product;

static int tiles_of(int size, int tile) {
    return (size + tile - 1) / tile;
}

static int tile_size(int size, int tile, int64_t i) {
    int64_t left = size - i * tile;
    return (int)(left < tile ? left : tile);
}

static int panels_in_tile(const product *p) {
    int panels = p->form->tile_cols / p->kernels->panel;
    return panels > 0 ? panels : 1;
}

static void pack_tile(void *context, int64_t task, int worker) {
    const product *p = context;
    int all = tiles_of(p->n, p->kernels->panel), each = panels_in_tile(p);
    (void)worker;
    md_pack pack = {.trans = p->form->trans_b, .n = p->n, .k = p->k, .b = p->b, .to = p->packed};
    pack.ldb = p->form->trans_b ? p->k : p->n;
    p->kernels->pack(&pack, (int)task * each, tile_size(all, each, task));
}

static void multiply_tile(void *context, int64_t task, int worker) {
    const product *p = context;
    const struct form *f = p->form;
    int64_t cols = tiles_of(p->n, f->tile_cols);
    int64_t row = task / cols * f->tile_rows, col = task % cols * f->tile_cols;
    (void)worker;
    md_gemm g = {.trans_a = f->trans_a,
                 .trans_b = f->trans_b,
                 .m = tile_size(p->m, f->tile_rows, task / cols),
                 .n = tile_size(p->n, f->tile_cols, task % cols),
                 .k = p->k,
                 .a = f->trans_a ? p->a + row : p->a + row * p->k,
                 .lda = f->trans_a ? p->m : p->k,
                 .b = f->trans_b ? p->b + col * p->k : p->b + col,
                 .ldb = f->trans_b ? p->k : p->n,
                 .c = p->c + row * p->n + col,
                 .ldc = p->n};
    if (!p->use_packed) {
        p->kernels->gemm(&g);
        return;
    }
    g.packed = p->packed;
    g.packed_col = (int)col;
    p->kernels->gemm_packed(&g);
}

static void multiply(product *p) {
    if (p->use_packed) {
        int panels = tiles_of(p->n, p->kernels->panel);
        md_pool_run(p->pool, "pack", tiles_of(panels, panels_in_tile(p)), pack_tile, p);
    }
    int64_t tiles =
        (int64_t)tiles_of(p->m, p->form->tile_rows) * tiles_of(p->n, p->form->tile_cols);
    md_pool_run(p->pool, "multiply", tiles, multiply_tile, p);
}

/* FLOP/s of the fastest repetition. A first one warms up, unless it is slow enough to count. */
static double speed(product *p) {
    double best = 0, spent = 0;
    for (int i = 0; i < 3 || spent < least_seconds; i++) {
        double start = md_now();
        multiply(p);
        double took = md_now() - start;
        spent += took;
        if (i == 0 && took < least_seconds) continue;
        if (best <= 0 || took < best) best = took;
        if (spent > 4 * least_seconds) break;
    }
    return 2.0 * p->m * p->n * p->k / best;
}

static void print_product(product *p, const char *name, double roof) {
    double plain, packed;
    p->use_packed = false;
    plain = speed(p);
    p->use_packed = true;
    packed = speed(p);
    printf("%-14s %-6s %5d %5d %5d  %8.1f %4.0f%%  %8.1f %4.0f%%\n", name, p->form->name, p->m,
           p->n, p->k, plain / 1e9, 100 * plain / roof, packed / 1e9, 100 * packed / roof);
    (void)fflush(stdout);
}

static void print_set(product *p, double roof) {
    printf("\n%s, %s; the roof is %.0f GFLOP/s\n", p->kernels->name,
           p->kernels->dtype == MD_BF16 ? "bf16" : "f32", roof / 1e9);
    printf("%-14s %-6s %5s %5s %5s  %8s %5s  %8s %5s\n", "layer", "form", "m", "n", "k", "GFLOP/s",
           "roof", "packed", "roof");
    for (int f = 0; f < FORMS; f++) {
        for (int i = 0; i < LAYERS; i++) {
            const struct layer *l = &layers[i];
            const int size[FORMS][3] = {
                {l->rows, l->out, l->in}, {l->rows, l->in, l->out}, {l->out, l->in, l->rows}};
            p->form = &forms[f];
            p->m = size[f][0], p->n = size[f][1], p->k = size[f][2];
            print_product(p, l->name, roof);
        }
    }
}

/* A set named on the command line, or each of ours but the slow one when none is. */
static bool wanted(const char *name, int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name)) return true;
    return argc < 2 && strcmp(name, "ref");
}

static mdlm_status run_set(product *p, const char *name, const double roof[2], mdlm_error *err) {
    md_kernels kernels;
    mdlm_error why;
    p->kernels = &kernels;
    if (md_kernels_init(&kernels, name, &why) != MDLM_OK) {
        fprintf(stderr, "%s\n", why.message);
        return MDLM_OK;
    }
    print_set(p, roof[MD_F32]);
    if (!strcmp(name, "openblas")) return MDLM_OK; /* it has no bf16 products */
    MD_TRY(md_kernels_set_dtype(&kernels, "bf16", err));
    print_set(p, roof[MD_BF16]);
    return MDLM_OK;
}

static float *random_matrix(size_t size, mdlm_error *err) {
    float *x = md_alloc(size, sizeof *x, err);
    md_rng rng = {.seed = 1, .stream = MD_STREAM_NOISE};
    for (size_t i = 0; x && i < size; i++) x[i] = (float)(md_uniform(rng, 0, (uint32_t)i) - 0.5);
    return x;
}

int main(int argc, char **argv) {
    enum { LARGEST = 4096 * 2048, SLACK = 1 << 20 /* whole panels */ };
    mdlm_error err = {0};
    md_cli_blas blas = md_cli_blas_settle();
    mdlm_status status = MDLM_RUNTIME;
    float *a = random_matrix(LARGEST, &err), *b = random_matrix(LARGEST, &err);
    float *c = md_alloc(LARGEST, sizeof *c, &err);
    char *packed = md_alloc(LARGEST + SLACK, sizeof(float), &err);
    md_pool *pool = md_pool_new(md_pool_default_threads(), &err);
    if (!a || !b || !c || !packed || !pool) goto done;
    product p = {.pool = pool, .a = a, .b = b, .c = c, .packed = packed};
    double roof[2] = {md_peak_flops(pool, MD_F32, 0.3), md_peak_flops(pool, MD_BF16, 0.3)};
    printf("%d threads; OpenBLAS: %s\n", md_pool_threads(pool), blas.config);
    for (int i = 0; md_kernels_names[i]; i++) {
        if (!wanted(md_kernels_names[i], argc, argv)) continue;
        MD_GOTO(done, status, run_set(&p, md_kernels_names[i], roof, &err));
    }
    status = MDLM_OK;
done:
    if (status != MDLM_OK) fprintf(stderr, "bench_gemm: %s\n", err.message);
    md_pool_free(pool);
    md_free(packed);
    md_free(c);
    md_free(b);
    md_free(a);
    return (int)status;
}
