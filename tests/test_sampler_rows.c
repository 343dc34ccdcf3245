/* tests/test_sampler_rows.c: rows of many tokens: the kernels of every set and the draws made with
 * them, against sums in double precision and against sorting. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "sampler/draw.h"
#include "tests/kernel_sets.h"

static const double EPS = FLT_EPSILON;
enum { MOST = 3 * MD_CHUNK + 1 };

/* Calls `check` with every set that runs here. */
static void over_sets(void (*check)(const md_kernels *k)) {
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) check(&kernels);
}

typedef enum row_kind { ORDINARY, PEAKED, TIED, FLAT, HOLES, EMPTY, KINDS } row_kind;

/* `seed` makes another row of the same kind. */
static void fill(float *l, int V, row_kind kind, uint64_t seed) {
    md_rng rng = {.seed = 31, .stream = MD_STREAM_NOISE, .step = seed};
    for (int v = 0; v < V; v++) {
        double x = 3 * md_normal(rng, 0, (uint32_t)v);
        if (kind == TIED) x = round(x);
        if (kind == FLAT) x = 7;
        if (kind == PEAKED && v == 2 * V / 3) x = 300;
        l[v] = (float)x;
        if (kind == EMPTY || (kind == HOLES && (v % 3 == 0 || v >= MD_CHUNK))) l[v] = -INFINITY;
    }
}

/* --- kernels --------------------------------------------------------------------------------- */

typedef struct sum_and_bound {
    double value, bound;
} sum_and_bound;

/* A float exponential of x is off by EPS (2 + |x|): its own rounding and that of x. Four are added
 * in float. */
static void add(sum_and_bound *s, double x, double factor) {
    double w = x < -88 ? 0 : exp(x), size = fabs(w * factor);
    s->value += w * factor;
    s->bound += EPS * (8 + 2 * fabs(x)) * size + (double)FLT_MIN * (1 + fabs(factor));
}

static void check_close(const md_kernels *k, const char *what, double found,
                        const sum_and_bound *s) {
    ck_assert_msg(fabs(found - s->value) <= s->bound, "'%s' %s: %.12g, expected %.12g within %.2g",
                  k->name, what, found, s->value, s->bound);
}

static void check_chunk(const md_kernels *k, const float *l, int n, int ban, float scale,
                        const md_chunk *found) {
    sum_and_bound sum = {0}, plain = {0}, slope = {0};
    float max = -INFINITY;
    for (int i = 0; i < n; i++)
        if (i != ban) max = fmaxf(max, l[i]);
    ck_assert_msg(found->max == max, "'%s' max: %g, expected %g", k->name, (double)found->max,
                  (double)max);
    for (int i = 0; i < n; i++) {
        double x = (double)l[i] - (double)max;
        if (i == ban || l[i] == -INFINITY) continue;
        add(&sum, x * (double)scale, 1);
        add(&plain, x, 1);
        add(&slope, x, x);
    }
    check_close(k, "sum", found->sum, &sum);
    check_close(k, "plain", found->plain, &plain);
    check_close(k, "slope", found->slope, &slope);
}

static const int sizes[] = {1, 2, 15, 17, 65, MD_CHUNK - 1, MD_CHUNK, MD_CHUNK + 1, MOST};
static const float scales[] = {1.0F, 0.5F, 1.25F, FLT_MIN, 1e-6F, 1e6F, FLT_MAX};
enum { SIZES = sizeof sizes / sizeof *sizes, SCALES = sizeof scales / sizeof *scales };

static void check_sums(const md_kernels *k) {
    for (int i = 0; i < SIZES * KINDS * SCALES * 5; i++) {
        int V = sizes[i % SIZES], banned[] = {-1, 0, V - 1, V / 2, V * 2 / 3};
        int32_t ban = banned[i / SIZES % 5];
        float l[MOST], scale = scales[i / SIZES / 5 % SCALES];
        md_chunk chunks[MOST / MD_CHUNK + 1];
        fill(l, V, (row_kind)(i / SIZES / 5 / SCALES), (uint64_t)i);
        if (ban >= 0) l[ban] = i % 2 ? NAN : 1e4F; /* what is banned does not count */
        k->chunk_sums(V, ban, scale, l, chunks);
        for (int c = 0, first = 0; first < V; c++, first += MD_CHUNK) {
            int n = V - first < MD_CHUNK ? V - first : MD_CHUNK;
            check_chunk(k, l + first, n, ban - first, scale, &chunks[c]);
        }
    }
}

START_TEST(sums_of_chunks_agree_with_double_precision) {
    over_sets(check_sums);
}
END_TEST

static void check_weights(const md_kernels *k) {
    for (int i = 0; i < SIZES * KINDS * SCALES; i++) {
        int n = sizes[i % SIZES];
        float l[MOST], w[MOST + 1], scale = scales[i / SIZES % SCALES];
        row_kind kind = (row_kind)(i / SIZES / SCALES);
        float max = kind == PEAKED ? 300.0F : 12.0F; /* of ordinary rows, not quite the greatest */
        fill(l, n, kind, (uint64_t)i);
        for (int v = 0; v < n; v++) max = fmaxf(max, l[v]);
        w[n] = -1;
        k->chunk_weights(n, scale, max, l, w);
        for (int v = 0; v < n; v++) {
            sum_and_bound s = {0};
            add(&s, ((double)l[v] - (double)max) * (double)scale, 1);
            if (l[v] == -INFINITY) s = (sum_and_bound){0};
            check_close(k, "weight", (double)w[v], &s);
        }
        ck_assert(w[n] == -1);
    }
}

START_TEST(weights_agree_with_double_precision) {
    over_sets(check_weights);
}
END_TEST

static void check_bad(const md_kernels *k) {
    for (int place = 0; place < MOST; place += place % 64 == 63 ? 1 : 7) {
        for (int form = 0; form < 4; form++) { /* NaN or infinity, in a row or alone */
            float l[MOST];
            md_chunk chunks[MOST / MD_CHUNK + 1];
            double sum = 0;
            fill(l, MOST, form & 1 ? ORDINARY : EMPTY, 3);
            l[place] = form & 2 ? INFINITY : NAN;
            k->chunk_sums(MOST, -1, form & 1 ? 1.0F : 0.7F, l, chunks);
            for (int c = 0; c < MOST / MD_CHUNK + 1; c++) sum += chunks[c].plain;
            ck_assert_msg(isnan(sum), "'%s': %g at %d is not seen", k->name, (double)l[place],
                          place);
        }
    }
}

START_TEST(numbers_that_are_not_finite_are_seen_at_every_place) {
    over_sets(check_bad);
}
END_TEST

/* --- draws ----------------------------------------------------------------------------------- */

enum { BAN = MD_CHUNK + 3 };

/* The law by sorting: p [V], 0 for what is cut. */
typedef struct law {
    double p[MOST], entropy, margin;
    double plain[MOST]; /* at temperature 1, not cut */
} law;

static const float *sorted_by;

static int goes_first(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    float p = sorted_by[x], q = sorted_by[y];
    return p != q ? (p < q) - (p > q) : x - y;
}

static void weigh(const float *l, double temperature, double *w) {
    double max = -INFINITY, sum = 0;
    for (int v = 0; v < MOST; v++)
        if (v != BAN) max = fmax(max, (double)l[v]);
    for (int v = 0; v < MOST; v++)
        sum += w[v] = v == BAN ? 0 : exp(((double)l[v] - max) / temperature);
    for (int v = 0; v < MOST; v++) w[v] /= sum;
}

static void make_law(const float *l, const md_sampler_options *o, law *out) {
    int order[MOST], count = 0, kept;
    double mass = 0, share = 0;
    weigh(l, 1, out->plain);
    weigh(l, o->temperature, out->p);
    for (int v = 0; v < MOST; v++)
        if (v != BAN) order[count++] = v;
    sorted_by = l;
    qsort(order, (size_t)count, sizeof *order, goes_first);
    out->margin = out->plain[order[0]] - out->plain[order[1]];
    out->entropy = 0;
    for (int v = 0; v < MOST; v++)
        if (out->plain[v] > 0) out->entropy -= out->plain[v] * log(out->plain[v]);
    kept = o->top_k > 0 && o->top_k < count ? o->top_k : count;
    for (int i = 0; i < kept; i++) mass += out->p[order[i]];
    for (int i = 0; i < count; i++) {
        if (i >= kept || (o->top_p < 1 && share >= o->top_p * mass)) out->p[order[i]] = 0;
        share += out->p[order[i]];
    }
    for (int v = 0; v < MOST; v++) out->p[v] /= share;
}

/* u inside the token's part of the unit interval, to the precision of a weight. */
static void check_proposal(const md_kernels *k, const law *expected, double u,
                           const md_proposal *found) {
    double below = 0, bound = 64 * EPS;
    for (int v = 0; v < found->token; v++) below += expected->p[v];
    ck_assert_msg(expected->p[found->token] > 0, "'%s': %d is cut off", k->name, found->token);
    ck_assert_msg(u >= below - bound && u <= below + expected->p[found->token] + bound,
                  "'%s': u %.9g draws %d, whose part is %.9g to %.9g", k->name, u, found->token,
                  below, below + expected->p[found->token]);
    double p = expected->plain[found->token];
    ck_assert_double_eq_tol(found->confidence, p, bound * p);
    ck_assert_double_eq_tol(found->margin, expected->margin, bound);
    ck_assert_double_eq_tol(found->entropy, expected->entropy, bound * (1 + expected->entropy));
}

static void check_draws(const md_kernels *k) {
    static const struct {
        double temperature, top_p;
        int top_k;
    } cases[] = {{1, 1, 0},       {0.6, 1, 0},        {3, 1, 0},        {1, 1, 1},
                 {1, 1, 5},       {1, 1, 400},        {1, 1, MOST - 2}, {1, 1e-9, 0},
                 {1, 0.37, 0},    {1, 0.973, 0},      {20, 0.91, 0},    {0.8, 0.893, 50},
                 {2, 0.501, 900}, {0.05, 0.9713, 700}};
    mdlm_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases * HOLES; i++) {
        size_t c = i / HOLES;
        float l[MOST];
        law expected;
        md_sampler_options o = md_sampler_defaults();
        o.temperature = cases[c].temperature, o.top_p = cases[c].top_p;
        o.top_k = cases[c].top_k, o.kernels = k;
        md_drawer *d = md_drawer_new(MOST, BAN, &o, &err);
        ck_assert_ptr_nonnull(d);
        fill(l, MOST, (row_kind)(i % HOLES), c);
        l[BAN] = 1e3F;
        make_law(l, &o, &expected);
        for (int n = 0; n < 40; n++) {
            md_proposal p;
            md_draw one = {.logits = l, .u = (n + 0.413) / 40, .proposal = &p};
            ck_assert_int_eq(md_drawer_draw(d, &one, 1), 1);
            check_proposal(k, &expected, one.u, &p);
        }
        md_drawer_free(d);
    }
}

START_TEST(draws_agree_with_sorting_in_double_precision) {
    over_sets(check_draws);
}
END_TEST

static void check_greedy(const md_kernels *k) {
    mdlm_error err = {0};
    md_sampler_options o = md_sampler_defaults();
    o.temperature = 0, o.kernels = k;
    md_drawer *d = md_drawer_new(MOST, BAN, &o, &err);
    for (int place = 0; place < MOST; place += 11) {
        float l[MOST];
        md_proposal p;
        md_draw one = {.logits = l, .u = 0.5, .proposal = &p};
        fill(l, MOST, place % 2 ? TIED : EMPTY, 0);
        l[place] = 40; /* twice, if both places are not the mask's */
        l[(place + 700) % MOST] = 40;
        l[BAN] = 50;
        int other = (place + 700) % MOST, best = place < other ? place : other;
        if (place == BAN || other == BAN) best = place == BAN ? other : place;
        ck_assert_int_eq(md_drawer_draw(d, &one, 1), 1);
        ck_assert_msg(p.token == best, "'%s': %d, expected %d", k->name, p.token, best);
    }
    md_drawer_free(d);
}

START_TEST(the_most_probable_token_is_the_lower_of_equals_in_any_chunk) {
    over_sets(check_greedy);
}
END_TEST

enum { ROWS = 13, WIDE = 20011 };

static void draw_rows(md_pool *pool, const float *l, int top_k, int batch, md_proposal *out) {
    mdlm_error err = {0};
    md_kernels best;
    md_draw draws[ROWS];
    assert_ok(md_kernels_init(&best, NULL, &err));
    md_sampler_options o = md_sampler_defaults();
    o.pool = pool, o.kernels = &best, o.top_k = top_k, o.temperature = 0.9;
    md_drawer *d = md_drawer_new(WIDE, 5, &o, &err);
    for (int i = 0; i < ROWS; i++)
        draws[i] =
            (md_draw){.logits = l + (size_t)i * WIDE, .u = (i + 0.5) / ROWS, .proposal = &out[i]};
    for (int i = 0; i < ROWS; i += batch) {
        int n = ROWS - i < batch ? ROWS - i : batch;
        ck_assert_int_eq(md_drawer_draw(d, draws + i, n), n);
    }
    md_drawer_free(d);
}

static bool all_same(const md_proposal *a, const md_proposal *b) {
    bool same = true;
    for (int i = 0; i < ROWS; i++)
        same = same && a[i].token == b[i].token && a[i].confidence == b[i].confidence &&
               a[i].entropy == b[i].entropy && a[i].margin == b[i].margin;
    return same;
}

START_TEST(threads_and_batches_do_not_change_a_bit) {
    mdlm_error err = {0};
    float *l = md_alloc((size_t)ROWS * WIDE, sizeof *l, &err);
    for (int i = 0; i < ROWS; i++) fill(l + (size_t)i * WIDE, WIDE, ORDINARY, (uint64_t)i);
    for (int top_k = 0; top_k <= 30; top_k += 30) {
        md_proposal alone[ROWS], found[ROWS];
        draw_rows(NULL, l, top_k, 1, alone);
        for (int threads = 1; threads <= 5; threads += 2) {
            md_pool *pool = md_pool_new(threads, &err);
            for (int batch = 2; batch <= ROWS; batch += 11) {
                draw_rows(pool, l, top_k, batch, found);
                ck_assert(all_same(alone, found));
            }
            md_pool_free(pool);
        }
    }
    md_free(l);
}
END_TEST

START_TEST(the_lowest_row_that_is_no_distribution_is_named) {
    mdlm_error err = {0};
    md_pool *pool = md_pool_new(3, &err);
    float *l = md_alloc((size_t)ROWS * WIDE, sizeof *l, &err);
    md_sampler_options o = md_sampler_defaults();
    o.pool = pool;
    md_drawer *d = md_drawer_new(WIDE, 5, &o, &err);
    for (int i = 0; i < ROWS; i++) fill(l + (size_t)i * WIDE, WIDE, ORDINARY, (uint64_t)i);
    l[3 * WIDE + 7] = NAN, l[6 * WIDE + WIDE - 1] = INFINITY;
    for (int repeat = 0; repeat < 20; repeat++) {
        md_proposal p[ROWS];
        md_draw draws[ROWS];
        for (int i = 0; i < ROWS; i++) {
            p[i].token = -7;
            draws[i] = (md_draw){.logits = l + (size_t)i * WIDE, .u = 0.5, .proposal = &p[i]};
        }
        ck_assert_int_eq(md_drawer_draw(d, draws, ROWS), 3);
        for (int i = 0; i < ROWS; i++) ck_assert((p[i].token == -7) == (i == 3 || i == 6));
        ck_assert_int_eq(md_drawer_draw(d, draws + 4, ROWS - 4), 2);
    }
    md_drawer_free(d);
    md_free(l);
    md_pool_free(pool);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler rows");
    suite_case(s, sums_of_chunks_agree_with_double_precision);
    suite_case(s, weights_agree_with_double_precision);
    suite_case(s, numbers_that_are_not_finite_are_seen_at_every_place);
    suite_case(s, draws_agree_with_sorting_in_double_precision);
    suite_case(s, the_most_probable_token_is_the_lower_of_equals_in_any_chunk);
    suite_case(s, threads_and_batches_do_not_change_a_bit);
    suite_case(s, the_lowest_row_that_is_no_distribution_is_named);
    name_skipped_sets();
    return suite_run(s);
}
