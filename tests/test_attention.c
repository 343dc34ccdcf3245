/* tests/test_attention.c: what a row of attention sees: against a mask that is laid out, in bits
 * that depend on nothing else, and with caches. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tensor/ops.h"
#include "tests/kernel_sets.h"

enum { H = 4, KV = 2, D = 4, S = (H + 2 * KV) * D, W = H * D, KV_W = 2 * KV * D };

/* T: rows, both halves of a pair together. */
typedef struct sight_case {
    const char *name;
    int T;
    md_attention_mask mask;
} sight_case;

static const sight_case cases[] = {
    {"all", 141, {MD_MASK_NONE}},
    {"causal", 141, {MD_MASK_BLOCKS, .block = 1}},
    {"causal, window", 150, {MD_MASK_BLOCKS, .block = 1, .window = 40}},
    {"blocks", 141, {MD_MASK_BLOCKS, .block = 9}},
    {"blocks larger than a tile", 280, {MD_MASK_BLOCKS, .block = 150}},
    {"blocks, window beyond a sum's part", 700, {MD_MASK_BLOCKS, .block = 30, .window = 300}},
    {"one block", 20, {MD_MASK_BLOCKS, .block = 20}},
    {"paired", 2 * 141, {MD_MASK_PAIRED, .block = 4}},
    {"paired, odd blocks", 2 * 37, {MD_MASK_PAIRED, .block = 5}},
    {"paired, blocks larger than a tile", 2 * 180, {MD_MASK_PAIRED, .block = 150}},
    {"paired, window", 2 * 60, {MD_MASK_PAIRED, .block = 10, .window = 30}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* The definition, one pair of rows at a time. */
static bool sees(const sight_case *c, int row, int key) {
    if (c->mask.kind == MD_MASK_NONE) return true;
    bool paired = c->mask.kind == MD_MASK_PAIRED;
    int half = paired ? c->T / 2 : c->T, at = row % half, of = key % half;
    int own = at / c->mask.block, other = of / c->mask.block;
    int end = (own + 1) * c->mask.block < half ? (own + 1) * c->mask.block : half;
    if (c->mask.window && of < end - c->mask.window) return false;
    if (!paired) return other <= own;
    bool noisy = row < half, noisy_key = key < half;
    if (noisy_key) return noisy && other == own;
    return noisy ? other < own : other <= own;
}

typedef struct machine {
    md_pool *pool;
    md_tape *tape;
} machine;

static void start(machine *m, const md_kernels *k, int threads) {
    mdlm_error err;
    m->pool = md_pool_new(threads, &err);
    m->tape = md_tape_new(m->pool, k, &err);
    ck_assert(m->pool && m->tape);
    md_tape_begin(m->tape, false, (md_rng){0});
}

static void stop(machine *m) {
    md_tape_free(m->tape);
    md_pool_free(m->pool);
}

/* Rows that say enough: scores spread by about 2. */
static float number(int64_t i) {
    md_rng rng = {.seed = 5, .stream = MD_STREAM_INIT};
    return (float)(1.5 * md_normal(rng, (uint32_t)(i / S), (uint32_t)(i % S)));
}

static md_tensor *input(md_tape *tape, int B, int T) {
    md_tensor *x = md_tape_tensor(tape, 3, (int64_t[]){B, T, S});
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < md_tensor_size(x); i++) x->data[i] = number(i);
    return x;
}

static md_attention_shape shape_of(const sight_case *c) {
    return (md_attention_shape){.heads = H, .kv_heads = KV, .head_dim = D, .mask = c->mask};
}

/* One row of one head, in double precision. */
static void dense_row(const sight_case *c, const float *x, int row, int h, double y[D]) {
    const float *q = x + (int64_t)row * S + (int64_t)h * D;
    int64_t key = (int64_t)(H + h / (H / KV)) * D, value = key + (int64_t)KV * D;
    double sum = 0;
    for (int d = 0; d < D; d++) y[d] = 0;
    for (int t = 0; t < c->T; t++) {
        double score = 0;
        if (!sees(c, row, t)) continue;
        for (int d = 0; d < D; d++) score += (double)q[d] * (double)x[t * S + key + d];
        double p = exp(score / sqrt(D));
        sum += p;
        for (int d = 0; d < D; d++) y[d] += p * (double)x[t * S + value + d];
    }
    for (int d = 0; d < D; d++) y[d] /= sum;
}

START_TEST(every_mask_is_what_a_mask_laid_out_gives) {
    const sight_case *c = &cases[_i];
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        machine m;
        start(&m, &k, 2);
        md_tensor *x = input(m.tape, 2, c->T), *y = md_attention(m.tape, x, shape_of(c));
        ck_assert_ptr_nonnull(y);
        for (int row = 0; row < 2 * c->T; row += 1 + row % 19) {
            const float *sequence = x->data + (int64_t)(row / c->T) * c->T * S;
            for (int h = 0; h < H; h++) {
                double exact[D];
                dense_row(c, sequence, row % c->T, h, exact);
                /* Sums of at most 300 numbers of size 1 to 4 in 24 bits. */
                for (int d = 0; d < D; d++)
                    ck_assert_msg(fabs((double)y->data[(int64_t)row * W + h * D + d] - exact[d]) <
                                      2e-5,
                                  "%s, %s: row %d, head %d", k.name, c->name, row, h);
            }
        }
        stop(&m);
    }
}
END_TEST

static float *copy_of(const md_tensor *t) {
    mdlm_error err;
    float *copy = md_alloc((size_t)md_tensor_size(t), sizeof *copy, &err);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, t->data, (size_t)md_tensor_size(t) * sizeof *copy);
    return copy;
}

/* Everything that a row does not see becomes something else. */
START_TEST(a_row_does_not_depend_on_what_it_must_not_see) {
    const sight_case *c = &cases[_i];
    md_kernels k;
    for (int set = 0; next_kernels(&set, "bf16", &k);) {
        machine m;
        start(&m, &k, 1);
        md_tensor *x = input(m.tape, 1, c->T);
        float *before = copy_of(md_attention(m.tape, x, shape_of(c)));
        for (int row = 0; row < c->T; row += 1 + c->T / 3) {
            bool all = true;
            md_tensor *other = input(m.tape, 1, c->T);
            for (int t = 0; t < c->T; t++) {
                for (int i = 0; i < S && !sees(c, row, t); i++) other->data[t * S + i] *= -3;
                all = all && sees(c, row, t);
            }
            md_tensor *y = md_attention(m.tape, other, shape_of(c));
            bool same = !memcmp(y->data + row * W, before + row * W, W * sizeof(float));
            ck_assert_msg(same, "%s, %s: row %d", k.products, c->name, row);
            bool moved = memcmp(y->data, before, (size_t)c->T * W * sizeof(float)) != 0;
            ck_assert(all || moved);
        }
        md_free(before);
        stop(&m);
    }
}
END_TEST

/* More padding, and whatever stands there. */
START_TEST(padding_is_seen_by_no_row) {
    enum { SHORT = 37, LONG = 141, WIDE = 180 };
    const int32_t lengths[] = {SHORT, LONG};
    const sight_case all = {.mask = {.lengths = lengths}};
    md_kernels k;
    for (int set = 0; next_kernels(&set, "bf16", &k);) {
        machine m;
        start(&m, &k, 1);
        for (int b = 0; b < 2; b++) {
            const int T = lengths[b];
            md_tensor *alone = input(m.tape, 1, T), *padded = input(m.tape, 2, WIDE);
            memcpy(padded->data + (int64_t)b * WIDE * S, alone->data,
                   (size_t)T * S * sizeof(float));
            md_tensor *y = md_attention(m.tape, alone, shape_of(&cases[0]));
            md_tensor *z = md_attention(m.tape, padded, shape_of(&all));
            ck_assert_msg(
                !memcmp(y->data, z->data + (int64_t)b * WIDE * W, (size_t)T * W * sizeof(float)),
                "%s: %d tokens", k.products, T);
            z = md_attention(m.tape, padded, shape_of(&cases[0]));
            ck_assert(memcmp(y->data, z->data + (int64_t)b * WIDE * W, W * sizeof(float)) != 0);
        }
        stop(&m);
    }
}
END_TEST

START_TEST(threads_and_batches_change_no_bit) {
    const sight_case *c = &cases[_i];
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        machine one, three;
        start(&one, &k, 1);
        start(&three, &k, 3);
        md_tensor *x = input(one.tape, 2, c->T), *both = input(three.tape, 2, c->T);
        md_tensor *y = md_attention(three.tape, both, shape_of(c));
        for (int b = 0; b < 2; b++) {
            md_tensor *alone = md_tape_tensor(one.tape, 3, (int64_t[]){1, c->T, S});
            int64_t size = md_tensor_size(alone);
            memcpy(alone->data, x->data + b * size, (size_t)size * sizeof(float));
            md_tensor *part = md_attention(one.tape, alone, shape_of(c));
            ck_assert(!memcmp(part->data, y->data + (int64_t)b * c->T * W,
                              (size_t)c->T * W * sizeof(float)));
        }
        stop(&one);
        stop(&three);
    }
}
END_TEST

/* --- caches ---------------------------------------------------------------------------------- */

typedef struct filled {
    const sight_case *c;
    md_real *kv[2]; /* [T, KV_W] of two sequences */
} filled;

/* Rows [first, end) of both sequences of x by way of the caches, compared with those of y. */
static void compare_rows(machine *m, filled *f, const md_tensor *x, const md_tensor *y, int first,
                         int end) {
    int n = end - first, T = f->c->T;
    bool exact = strcmp(md_tape_kernels(m->tape)->name, "openblas") != 0;
    md_tensor *part = md_tape_tensor(m->tape, 3, (int64_t[]){2, n, S});
    for (int b = 0; b < 2; b++)
        memcpy(part->data + (int64_t)b * n * S, x->data + ((int64_t)b * T + first) * S,
               (size_t)n * S * sizeof(float));
    const md_attention_cache cache = {.kv = f->kv, .T = T, .first = first};
    md_tensor *z = md_attention_cached(m->tape, part, shape_of(f->c), &cache);
    ck_assert_ptr_nonnull(z);
    for (int64_t i = 0; i < md_tensor_size(z); i++) {
        int64_t row = i / W / n * T + first + i / W % n;
        double off = fabs((double)(z->data[i] - y->data[row * W + i % W]));
        /* OpenBLAS adds up in another order when there are fewer rows: an ulp of 4 or two. */
        ck_assert_msg(exact ? off == 0 : off < 2e-6, "%s, %s: row %lld is off by %g",
                      md_tape_kernels(m->tape)->products, f->c->name, (long long)row, off);
    }
}

/* Block after block, and everything at once; nothing behind a block is ever looked at. */
START_TEST(caches_filled_from_left_to_right_give_the_bits_of_the_whole) {
    static const char *const dtypes[] = {"f32", "bf16"}; /* q8_0 has one of their products */
    const sight_case *c = &cases[_i];
    mdlm_error err;
    md_kernels k;
    if (c->mask.kind == MD_MASK_PAIRED) return;
    int step = c->mask.kind == MD_MASK_NONE ? c->T : c->mask.block;
    step = step == 1 ? 23 : step; /* causal: as many as one likes */
    for (int d = 0; d < 2; d++) {
        for (int set = 0; next_kernels(&set, dtypes[d], &k);) {
            machine m;
            filled f = {.c = c};
            start(&m, &k, 2);
            for (int b = 0; b < 2; b++) {
                f.kv[b] = md_alloc((size_t)c->T * KV_W, sizeof(float), &err);
                for (int i = 0; i < c->T * KV_W; i++) f.kv[b][i] = 1e30F; /* not seen */
            }
            md_tensor *x = input(m.tape, 2, c->T), *y = md_attention(m.tape, x, shape_of(c));
            for (int first = 0; first < c->T; first += step)
                compare_rows(&m, &f, x, y, first, first + step < c->T ? first + step : c->T);
            compare_rows(&m, &f, x, y, 0, c->T);
            for (int b = 0; b < 2; b++) md_free(f.kv[b]);
            stop(&m);
        }
    }
}
END_TEST

/* The rest of the sequence is seen as the cache holds it. */
START_TEST(rows_outside_a_call_come_from_the_cache) {
    const sight_case *c = &cases[0];
    mdlm_error err;
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        machine m;
        filled f = {.c = c};
        start(&m, &k, 1);
        for (int b = 0; b < 2; b++) f.kv[b] = md_alloc((size_t)c->T * KV_W, sizeof(float), &err);
        md_tensor *x = input(m.tape, 2, c->T), *y = md_attention(m.tape, x, shape_of(c));
        compare_rows(&m, &f, x, y, 0, c->T);
        compare_rows(&m, &f, x, y, 17, 40); /* the same again, out of the cache */
        f.kv[1][100 * KV_W] += 1;
        const md_attention_cache cache = {.kv = f.kv + 1, .T = c->T, .first = 140};
        md_tensor *last = md_tape_tensor(m.tape, 3, (int64_t[]){1, 1, S});
        memcpy(last->data, x->data + (2 * c->T - 1) * S, S * sizeof(float));
        md_tensor *z = md_attention_cached(m.tape, last, shape_of(c), &cache);
        ck_assert(z->data[0] != y->data[(2 * c->T - 1) * W]);
        for (int b = 0; b < 2; b++) md_free(f.kv[b]);
        stop(&m);
    }
}
END_TEST

/* --- pixels ---------------------------------------------------------------------------------- */

enum { WIDE = 256, PIXELS = 1024 };
static const md_attention_shape one_wide_head = {.heads = 1, .kv_heads = 1, .head_dim = WIDE};

/* Queries and keys are multiples of one vector, so probabilities are known. */
START_TEST(a_wide_head_over_many_pixels_has_the_probabilities_of_its_scores) {
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        machine m;
        start(&m, &k, 2);
        md_tensor *x = md_tape_tensor(m.tape, 3, (int64_t[]){1, PIXELS, 3 * WIDE});
        for (int64_t i = 0; i < md_tensor_size(x); i++) {
            int64_t t = i / (3 * WIDE), c = i % (3 * WIDE);
            float query = (float)(t % 3) / 16, key = (float)(t % 8) / 4, value = (float)(t % 8 + c);
            x->data[i] = c < WIDE ? query : c < 2 * WIDE ? key : value / 64;
        }
        const md_tensor *y = md_attention(m.tape, x, one_wide_head);
        ck_assert_ptr_nonnull(y);
        for (int64_t i = 0; i < (int64_t)PIXELS * WIDE; i += 97) {
            double sum = 0, mean = 0;
            for (int key = 0; key < 8; key++) { /* each an eighth of the pixels */
                double w = exp((double)(i / WIDE % 3) / 16 * key / 4 * WIDE / sqrt(WIDE));
                sum += w;
                mean += w * (double)(key + i % WIDE + 2 * WIDE) / 64;
            }
            /* Scores up to 3.5, sums of 1024 terms up to 12. */
            if (fabs((double)y->data[i] - mean / sum) < 2e-4) continue;
            ck_abort_msg("%s: %lld is %g, not %g", k.name, (long long)i, (double)y->data[i],
                         mean / sum);
        }
        stop(&m);
    }
}
END_TEST

/* More rows than a tile; the first set is plain C, whose double build is checked by differences. */
START_TEST(gradients_of_a_wide_head_agree_between_the_sets) {
    enum { ROWS = 150, SIZE = ROWS * 3 * WIDE };
    static float value[SIZE], dy[ROWS * WIDE], plain[SIZE];
    mdlm_error err;
    md_kernels k;
    for (int i = 0; i < SIZE; i++) value[i] = number(i) / 4;
    for (int i = 0; i < ROWS * WIDE; i++) dy[i] = number(i + SIZE);
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        machine m;
        start(&m, &k, 2);
        md_tape_begin(m.tape, true, (md_rng){0});
        md_tensor x = {.rank = 3, .dim = {1, ROWS, 3 * WIDE, 1}, .needs_grad = true, .data = value};
        md_tensor *y = md_attention(m.tape, &x, one_wide_head);
        assert_ok(md_tape_backward(m.tape, md_dot_constant(m.tape, y, dy), &err));
        /* Gradients of about 1, sums of 256 and 150 terms. */
        for (int i = 0; i < SIZE && set > 1; i++) {
            if (fabsf(x.grad[i] - plain[i]) < 1e-4F) continue;
            ck_abort_msg("%s: %d is %g, not %g", k.name, i, (double)x.grad[i], (double)plain[i]);
        }
        if (set == 1) memcpy(plain, x.grad, sizeof plain);
        stop(&m);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("attention");
    TCase *tc = tcase_create("masks");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_mask_is_what_a_mask_laid_out_gives, 0, CASES);
    tcase_add_loop_test(tc, a_row_does_not_depend_on_what_it_must_not_see, 0, CASES);
    tcase_add_loop_test(tc, threads_and_batches_change_no_bit, 0, CASES);
    tcase_add_loop_test(tc, caches_filled_from_left_to_right_give_the_bits_of_the_whole, 0, CASES);
    suite_add_tcase(s, tc);
    suite_case(s, padding_is_seen_by_no_row);
    suite_case(s, rows_outside_a_call_come_from_the_cache);
    suite_case(s, a_wide_head_over_many_pixels_has_the_probabilities_of_its_scores);
    suite_case(s, gradients_of_a_wide_head_agree_between_the_sets);
    name_skipped_sets();
    return suite_run(s);
}
