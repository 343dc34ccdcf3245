/* tests/test_conv.c: convolutions, forward and backward, by every set of kernels in f32 and bf16,
 * against their definition. All numbers are small multiples of 1/4, of which bf16 rounds none and
 * whose sums of products a float holds exactly: results must be equal, not near. */
#include <string.h>

#include "base/arena.h"
#include "tensor/ops_image.h"
#include "tests/kernel_sets.h"

static mdlm_error err;

typedef struct conv_case {
    int B, Y, X, C, M, K, stride, pad;
    bool upsample;
} conv_case;

/* Widths around the kernels' tiles of pixels, channels around their panels, odd ones included. */
static const conv_case cases[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, false},     {2, 5, 7, 3, 4, 3, 1, 1, false},
    {3, 8, 8, 32, 32, 3, 1, 1, false},   {2, 7, 7, 16, 34, 3, 1, 1, false},
    {9, 6, 14, 6, 2, 3, 1, 1, false},    {1, 3, 28, 2, 33, 3, 1, 1, false},
    {2, 4, 33, 4, 64, 3, 1, 1, false},   {2, 9, 9, 4, 6, 3, 2, 1, false},
    {2, 8, 8, 5, 3, 3, 2, 1, false},     {2, 8, 6, 34, 10, 3, 2, 1, false},
    {2, 4, 4, 8, 6, 3, 1, 1, true},      {3, 7, 3, 36, 40, 3, 1, 1, true},
    {1, 2, 3, 3, 5, 3, 1, 1, true},      {2, 6, 6, 4, 4, 4, 2, 1, false},
    {2, 6, 6, 4, 2, 2, 2, 0, false},     {2, 6, 5, 10, 12, 1, 1, 0, false},
    {2, 9, 9, 2, 4, 5, 1, 2, false},     {1, 17, 16, 66, 66, 3, 1, 1, false},
    {5, 4, 4, 128, 96, 3, 1, 1, false},  {3, 7, 9, 16, 32, 3, 1, 1, false},
    {9, 4, 3, 32, 16, 3, 1, 1, false},   {2, 5, 3, 16, 16, 3, 1, 1, true},
    {2, 37, 70, 16, 16, 3, 1, 1, false}, {2, 8, 8, 64, 1, 3, 1, 1, false},
    {2, 8, 8, 1, 64, 3, 1, 1, false},
};
enum { CASES = sizeof cases / sizeof *cases };

/* x, w, b and the residual, what is computed of them, and what should be. */
typedef struct problem {
    conv_case c;
    int Yo, Xo, scale;
    int64_t nx, nw, nb, ny;
    bool bias_each; /* a bias for each image */
    float *x, *w, *b, *r, *dy;
    double *y, *dx, *dw, *db;
} problem;

static void *need(md_arena *arena, int64_t count, size_t size) {
    void *p = md_arena_alloc(arena, (size_t)count * size);
    ck_assert(p != NULL);
    memset(p, 0, (size_t)count * size);
    return p;
}

static float *quarters(md_arena *arena, int64_t count, uint32_t place) {
    float *p = need(arena, count, sizeof *p);
    md_rng rng = {.seed = 8, .stream = MD_STREAM_NOISE};
    for (int64_t i = 0; i < count; i++)
        p[i] = ((float)md_uniform_below(rng, place, (uint32_t)i, 9) - 4) / 4;
    return p;
}

static void define(problem *p) {
    const conv_case *c = &p->c;
    int64_t out = 0, tap;
    for (int b = 0; b < c->B; b++)
        for (int i = 0; i < p->Yo; i++)
            for (int j = 0; j < p->Xo; j++)
                for (int m = 0; m < c->M; m++, out++) {
                    double g = (double)p->dy[out];
                    int64_t bias = (p->bias_each ? b * c->M : 0) + m;
                    double sum = (double)p->b[bias] + (double)p->r[out];
                    p->db[bias] += g;
                    tap = (int64_t)m * c->K * c->K * c->C;
                    for (int u = 0; u < c->K; u++)
                        for (int v = 0; v < c->K; v++, tap += c->C) {
                            int y = i * c->stride + u - c->pad, x = j * c->stride + v - c->pad;
                            if (y < 0 || x < 0 || y >= c->Y * p->scale || x >= c->X * p->scale)
                                continue;
                            int64_t at =
                                (((int64_t)b * c->Y + y / p->scale) * c->X + x / p->scale) * c->C;
                            for (int k = 0; k < c->C; k++) {
                                sum += (double)p->x[at + k] * (double)p->w[tap + k];
                                p->dx[at + k] += g * (double)p->w[tap + k];
                                p->dw[tap + k] += g * (double)p->x[at + k];
                            }
                        }
                    p->y[out] = sum;
                }
}

static void pose(problem *p, md_arena *arena, const conv_case *c) {
    *p = (problem){.c = *c, .scale = c->upsample ? 2 : 1, .bias_each = c->B > 2};
    p->Yo = (c->Y * p->scale + 2 * c->pad - c->K) / c->stride + 1;
    p->Xo = (c->X * p->scale + 2 * c->pad - c->K) / c->stride + 1;
    p->nx = (int64_t)c->B * c->Y * c->X * c->C;
    p->nw = (int64_t)c->M * c->K * c->K * c->C;
    p->ny = (int64_t)c->B * p->Yo * p->Xo * c->M;
    p->nb = p->bias_each ? (int64_t)c->B * c->M : c->M;
    p->x = quarters(arena, p->nx, 1);
    p->w = quarters(arena, p->nw, 2);
    p->b = quarters(arena, p->nb, 3);
    p->r = quarters(arena, p->ny, 4);
    p->dy = quarters(arena, p->ny, 5);
    p->y = need(arena, p->ny, sizeof *p->y);
    p->dx = need(arena, p->nx, sizeof *p->dx);
    p->dw = need(arena, p->nw, sizeof *p->dw);
    p->db = need(arena, p->nb, sizeof *p->db);
    define(p);
}

static void compare(const problem *p, const md_kernels *k, const char *what, const float *got,
                    const double *expected, int64_t count, double before) {
    int64_t i = 0; /* an assertion writes to a file: not one for every number */
    while (i < count && (double)got[i] == expected[i] + before) i++;
    ck_assert_msg(i == count, "%s, %s, %dx%dx%d to %d, stride %d: %s[%lld] is %g, not %g",
                  k->products, k->dtype == MD_BF16 ? "bf16" : "f32", p->c.Y, p->c.X, p->c.C, p->c.M,
                  p->c.stride, what, (long long)i, i < count ? (double)got[i] : 0,
                  i < count ? expected[i] + before : 0);
}

/* Gradients of parameters accumulate: they begin at 1. */
static md_tensor parameter(md_arena *arena, float *data, int rank, const int64_t *dim) {
    md_tensor t = {.rank = rank, .needs_grad = true, .is_param = true, .data = data};
    for (int i = 0; i < MD_MAX_RANK; i++) t.dim[i] = i < rank ? dim[i] : 1;
    t.grad = need(arena, md_tensor_size(&t), sizeof *t.grad);
    for (int64_t i = 0; i < md_tensor_size(&t); i++) t.grad[i] = 1;
    return t;
}

static void check(md_tape *tape, const problem *p, const md_kernels *k, md_arena *arena) {
    const conv_case *c = &p->c;
    md_tensor x = parameter(arena, p->x, 4, (int64_t[]){c->B, c->Y, c->X, c->C});
    md_tensor r = parameter(arena, p->r, 4, (int64_t[]){c->B, p->Yo, p->Xo, c->M});
    md_tensor w = parameter(arena, p->w, 4, (int64_t[]){c->M, c->K, c->K, c->C});
    md_tensor b = parameter(arena, p->b, 1, (int64_t[]){c->M});
    if (p->bias_each) b = parameter(arena, p->b, 2, (int64_t[]){c->B, c->M});
    md_conv how = {.stride = c->stride, .pad = c->pad, .upsample = c->upsample, .bias = &b};
    how.residual = &r;
    md_tape_begin(tape, true, (md_rng){0});
    md_tensor *y = md_conv2d(tape, &x, &w, how);
    md_tensor *loss = y ? md_dot_constant(tape, y, p->dy) : NULL;
    assert_ok(md_tape_backward(tape, loss, &err));
    compare(p, k, "y", y->data, p->y, p->ny, 0);
    compare(p, k, "dw", w.grad, p->dw, p->nw, 1);
    compare(p, k, "db", b.grad, p->db, p->nb, 1);
    compare(p, k, "dx", x.grad, p->dx, p->nx, 1);
    bool passed_on = true;
    for (int64_t i = 0; i < p->ny; i++) passed_on &= r.grad[i] == p->dy[i] + 1;
    ck_assert(passed_on);
}

/* With tiles where they can serve, not only where they are faster, if `tiles`. */
static void check_sets(const char *dtype, bool tiles) {
    md_arena *arena = md_arena_new(&err);
    md_pool *pool = md_pool_new(3, &err);
    ck_assert(arena && pool);
    for (int n = 0; n < CASES; n++) {
        md_arena_mark mark = md_arena_save(arena);
        problem p;
        pose(&p, arena, &cases[n]);
        md_kernels k;
        for (int i = 0; next_kernels(&i, dtype, &k);) {
            if (tiles) k.tile_least = MD_TILE_CHANNELS;
            md_tape *tape = md_tape_new(pool, &k, &err);
            ck_assert(tape != NULL);
            check(tape, &p, &k, arena);
            md_tape_free(tape);
        }
        md_arena_rewind(arena, mark);
    }
    md_pool_free(pool);
    md_arena_free(arena);
}

START_TEST(convolutions_are_what_they_are_defined_to_be) {
    check_sets("f32", true);
}
END_TEST

START_TEST(convolutions_of_rounded_numbers_are_what_they_are_defined_to_be) {
    check_sets("bf16", false);
    check_sets("bf16", true);
}
END_TEST

/* --- bits ------------------------------------------------------------------------------------ */

/* y of images [first, first + count) of x, in this call. */
static void some_images(md_pool *pool, const md_kernels *k, const problem *p, int first, int count,
                        float *y) {
    const conv_case *c = &p->c;
    int64_t in = (int64_t)c->Y * c->X * c->C, out = (int64_t)p->Yo * p->Xo * c->M;
    md_tensor x = {.rank = 4, .dim = {count, c->Y, c->X, c->C}, .data = p->x + first * in};
    md_tensor w = {.rank = 4, .dim = {c->M, c->K, c->K, c->C}, .data = p->w};
    md_tape *tape = md_tape_new(pool, k, &err);
    ck_assert(tape != NULL);
    md_tape_begin(tape, false, (md_rng){0});
    md_tensor *r = md_conv2d(tape, &x, &w, (md_conv){.stride = c->stride, .pad = c->pad});
    ck_assert(r != NULL);
    memcpy(y + first * out, r->data, (size_t)(count * out) * sizeof *y);
    md_tape_free(tape);
}

static void check_bits(const conv_case *c) {
    md_arena *arena = md_arena_new(&err);
    md_pool *one = md_pool_new(1, &err), *three = md_pool_new(3, &err);
    ck_assert(arena && one && three);
    problem p;
    pose(&p, arena, c);
    for (int64_t i = 0; i < p.nx; i++) p.x[i] += 0.001F * (float)(i % 97); /* not exact any more */
    float *a = need(arena, p.ny, sizeof *a), *b = need(arena, p.ny, sizeof *b);
    static const char *const dtypes[] = {"f32", "bf16"};
    md_kernels k;
    for (int d = 0; d < 2; d++) {
        for (int i = 0; next_kernels(&i, dtypes[d], &k);) {
            some_images(three, &k, &p, 0, c->B, a);
            some_images(one, &k, &p, 0, 2, b);
            some_images(three, &k, &p, 2, c->B - 2, b);
            if (strcmp(k.name, "openblas") != 0) ck_assert_mem_eq(a, b, (size_t)p.ny * sizeof *a);
        }
    }
    md_pool_free(one);
    md_pool_free(three);
    md_arena_free(arena);
}

START_TEST(an_image_has_the_same_bits_in_any_batch_and_with_any_number_of_threads) {
    check_bits(&(conv_case){5, 9, 13, 18, 33, 3, 1, 1, false});
    check_bits(&(conv_case){13, 5, 6, 64, 64, 3, 1, 1, false}); /* several share a task */
}
END_TEST

int main(void) {
    Suite *s = suite_create("conv");
    suite_case(s, convolutions_are_what_they_are_defined_to_be);
    suite_case(s, convolutions_of_rounded_numbers_are_what_they_are_defined_to_be);
    suite_case(s, an_image_has_the_same_bits_in_any_batch_and_with_any_number_of_threads);
    name_skipped_sets();
    return suite_run(s);
}
