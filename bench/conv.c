/* bench/conv.c: the convolutions of a U-Net's training step, forward and backward, by every set of
 * kernels, as GFLOP/s and as a share of what the processor's multiply-add units can do.
 *
 *     cmake --build build --target bench_conv && build/bench_conv            all sets but plain C
 *     build/bench_conv avx512 ref                                            these
 *
 * As training does them: tasks for all threads, packing and borders of zeros included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "cli/blas.h"
#include "tensor/kernels/peak.h"
#include "tensor/ops_image.h"

static const double least_seconds = 0.4; /* of repetitions of one layer */

/* Layers of U-Nets of 32 and 64 base channels, 16 images in a micro-batch. */
static const struct layer {
    int size, in, out, stride;
    bool upsample;
} layers[] = {
    {32, 32, 32, 1, false},   {32, 96, 32, 1, false}, {32, 64, 64, 1, false},
    {32, 192, 64, 1, false},  {16, 64, 64, 1, false}, {16, 128, 128, 1, false},
    {16, 256, 128, 1, false}, {8, 64, 64, 1, false},  {8, 128, 128, 1, false},
    {8, 256, 128, 1, false},  {32, 64, 64, 2, false}, {16, 128, 128, 1, true},
    {32, 3, 64, 1, false},    {32, 64, 3, 1, false},
};
enum { LAYERS = sizeof layers / sizeof *layers, IMAGES = 16 };

typedef struct bench {
    md_pool *pool;
    md_tape *tape;
    md_tensor x, w;
    md_conv how;
    md_real *dy;
} bench;

static void give_up(const mdlm_error *err) {
    (void)fprintf(stderr, "bench_conv: %s\n", err->message);
    exit(1);
}

static md_real *numbers(int64_t count, uint32_t place) {
    mdlm_error err;
    md_real *p = md_alloc((size_t)count, sizeof *p, &err);
    if (!p) give_up(&err);
    for (int64_t i = 0; i < count; i++)
        p[i] = (float)md_uniform((md_rng){.seed = 1}, place, (uint32_t)i) - 0.5F;
    return p;
}

static void step(bench *b) {
    mdlm_error err;
    md_tape_begin(b->tape, true, (md_rng){0});
    md_tensor *y = md_conv2d(b->tape, &b->x, &b->w, b->how);
    md_tensor *loss = y ? md_dot_constant(b->tape, y, b->dy) : NULL;
    if (md_tape_backward(b->tape, loss, &err) != MDLM_OK) give_up(&err);
}

/* Seconds of a step in jobs of this name. */
static double spent(const bench *b, const char *what, int steps) {
    md_pool_time times[MD_POOL_NAMES];
    int n = md_pool_times(b->pool, times);
    for (int i = 0; i < n; i++)
        if (!strcmp(times[i].what, what)) return times[i].seconds / steps;
    return 0;
}

static void measure(bench *b, const struct layer *l, double roof) {
    int scale = l->upsample ? 2 : 1, out = l->size * scale / l->stride, steps = 0;
    int64_t in_size = (int64_t)IMAGES * l->size * l->size * l->in;
    int64_t out_size = (int64_t)IMAGES * out * out * l->out, weights = 9LL * l->in * l->out;
    double flops = 2.0 * 9 * l->in * (double)out_size;
    b->x = (md_tensor){.rank = 4, .dim = {IMAGES, l->size, l->size, l->in}, .needs_grad = true};
    b->x.data = numbers(in_size, 1);
    b->w =
        (md_tensor){.rank = 4, .dim = {l->out, 3, 3, l->in}, .needs_grad = true, .is_param = true};
    b->w.data = numbers(weights, 2);
    b->w.grad = numbers(weights, 3);
    b->dy = numbers(out_size, 4);
    b->how = (md_conv){.stride = l->stride, .pad = 1, .upsample = l->upsample};
    step(b);
    md_pool_profile(b->pool, true);
    for (double start = md_now(); steps < 3 || md_now() - start < least_seconds; steps++) {
        b->x.grad = NULL;
        step(b);
    }
    double forward = spent(b, "conv", steps), dw = spent(b, "conv dw", steps);
    double dx = spent(b, "conv dx", steps), pack = spent(b, "pack", steps);
    double part[] = {flops / forward, flops / dx, flops / dw,
                     3 * flops / (forward + dx + dw + pack)};
    printf("%3d %4d %4d %s", l->size, l->in, l->out,
           l->stride == 2 ? "down"
           : l->upsample  ? "up  "
                          : "    ");
    for (int i = 0; i < 4; i++) printf("  %8.1f %4.0f%%", part[i] / 1e9, 100 * part[i] / roof);
    printf("  %4.0f us\n", 1e6 * pack);
    (void)fflush(stdout);
    md_free(b->x.data);
    md_free(b->w.data);
    md_free(b->w.grad);
    md_free(b->dy);
}

static void measure_set(const char *name, const char *dtype) {
    mdlm_error err;
    md_kernels kernels;
    bench b = {.pool = md_pool_new(md_pool_default_threads(), &err)};
    if (!b.pool) give_up(&err);
    if (md_kernels_init(&kernels, name, &err) != MDLM_OK ||
        md_kernels_set_dtype(&kernels, dtype, &err) != MDLM_OK)
        give_up(&err);
    b.tape = md_tape_new(b.pool, &kernels, &err);
    if (!b.tape) give_up(&err);
    double roof = md_peak_flops(b.pool, kernels.dtype, 0.3);
    printf("\n%s, %s; the roof is %.0f GFLOP/s\n", kernels.name, dtype, roof / 1e9);
    printf("size in  out        forward             dx             dw          all     packing\n");
    for (int i = 0; i < LAYERS; i++) measure(&b, &layers[i], roof);
    md_tape_free(b.tape);
    md_pool_free(b.pool);
}

int main(int argc, char **argv) {
    static const char *const usual[] = {"openblas", "avx2", "avx512"};
    const char *const *names = argc > 1 ? (const char *const *)argv + 1 : usual;
    int count = argc > 1 ? argc - 1 : 3;
    (void)md_cli_blas_settle();
    for (int i = 0; i < count; i++) {
        measure_set(names[i], "f32");
        measure_set(names[i], "bf16");
    }
    return 0;
}
