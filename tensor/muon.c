/* tensor/muon.c: see muon.h.
 *
 * Matrices are taken in batches, so that there is work for many threads between two meetings of the
 * pool while the work space stays small. Each pass over a batch is a list of strips:
 *
 *     a strip of a matrix: BAND of its longer side, all of its shorter one
 *     a strip of a square: WIDTH columns, from the first row down to the diagonal; whoever computes
 *                          it writes its mirror image, too
 */
#include "tensor/muon.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* Widths suit the register tiles of gemm (32 columns, 12 rows). WORK: elements of a batch's
 * squares, when it has more than one matrix. */
enum { WIDTH = 32, BAND = 96, WORK = 1 << 20, ITERATIONS = 5 };
static const md_real NS_A = (md_real)3.4445, NS_B = (md_real)-4.7750, NS_C = (md_real)2.0315;
static const double NORM_FLOOR = 1e-7;

/* Squares of a matrix. POWER is A; PRODUCT and SPARE take turns as P. */
enum { POWER, FACTOR, HALF, PRODUCT, SPARE, SQUARES };

typedef struct matrix {
    md_muon_matrix is;
    bool tall;          /* more rows than columns: W^T is what the formulas call W */
    int side, length;   /* min and max of rows and columns */
    md_real *work;      /* SQUARES squares */
    double scale;       /* sqrt(max(1, rows / cols)) */
    md_real normalise;  /* 1 / (||G|| + NORM_FLOOR) */
    int64_t first_band; /* of its strips, in the list of all */
} matrix;

typedef struct strip {
    int matrix, begin, size;
} strip;

typedef struct range {
    int64_t begin, end;
} range;

/* Ranges of the lists of strips. */
typedef struct batch {
    range bands, columns;
} batch;

struct md_muon {
    md_kernels kernels; /* with f32 products: the iteration does not survive rounding to bf16 */
    matrix *list;
    int count;
    strip *bands, *columns; /* of matrices; of squares */
    double *sums;           /* of squares of G, one per band */
    batch *batches;
    int64_t batch_count;
    md_real *work;
};

/* --- building --------------------------------------------------------------------------------- */

static int64_t work_size(const matrix *x) {
    return (int64_t)SQUARES * x->side * x->side;
}

static md_real *square_of(const matrix *x, int which) {
    return x->work + (int64_t)which * x->side * x->side;
}

static int64_t pieces(int size, int piece) {
    return (size + piece - 1) / piece;
}

/* Appends the strips of one matrix. The longest columns come first: a long task that starts last
 * would be waited for. */
static void cut(md_muon *m, int index, range *bands, range *columns) {
    const matrix *x = &m->list[index];
    for (int i = 0; i < x->length; i += BAND) {
        const int size = x->length - i < BAND ? x->length - i : BAND;
        m->bands[bands->end++] = (strip){.matrix = index, .begin = i, .size = size};
    }
    for (int i = (x->side - 1) / WIDTH * WIDTH; i >= 0; i -= WIDTH) {
        const int size = x->side - i < WIDTH ? x->side - i : WIDTH;
        m->columns[columns->end++] = (strip){.matrix = index, .begin = i, .size = size};
    }
}

/* Fills bands, columns and batches; the work space is shared by the batches. */
static void make_batches(md_muon *m) {
    batch b = {0};
    int64_t used = 0;
    for (int i = 0; i < m->count; i++) {
        matrix *x = &m->list[i];
        if (used > 0 && used + work_size(x) > WORK) {
            m->batches[m->batch_count++] = b;
            b = (batch){{b.bands.end, b.bands.end}, {b.columns.end, b.columns.end}};
            used = 0;
        }
        x->work = m->work + used;
        x->first_band = b.bands.end;
        used += work_size(x);
        cut(m, i, &b.bands, &b.columns);
    }
    if (m->count > 0) m->batches[m->batch_count++] = b;
}

static bool allocate(md_muon *m, mdlm_error *err) {
    int64_t bands = 0, columns = 0, work = WORK, total = 0;
    for (int i = 0; i < m->count; i++) {
        const matrix *x = &m->list[i];
        bands += pieces(x->length, BAND);
        columns += pieces(x->side, WIDTH);
        if (work_size(x) > work) work = work_size(x);
        total += work_size(x);
    }
    if (total < work) work = total;
    if (!(m->bands = md_alloc((size_t)bands, sizeof *m->bands, err))) return false;
    if (!(m->columns = md_alloc((size_t)columns, sizeof *m->columns, err))) return false;
    if (!(m->sums = md_alloc((size_t)bands, sizeof *m->sums, err))) return false;
    if (!(m->batches = md_alloc((size_t)m->count, sizeof *m->batches, err))) return false;
    return (m->work = md_alloc((size_t)work, sizeof *m->work, err)) != NULL;
}

md_muon *md_muon_new(const md_muon_matrix *list, int count, const md_kernels *kernels,
                     mdlm_error *err) {
    md_muon *m = md_alloc(1, sizeof *m, err);
    if (!m) return NULL;
    m->kernels = *kernels;
    if (md_kernels_set_dtype(&m->kernels, "f32", err) != MDLM_OK) goto failed;
    if (!(m->list = md_alloc((size_t)count, sizeof *m->list, err))) goto failed;
    m->count = count;
    for (int i = 0; i < count; i++) {
        const int rows = list[i].rows, cols = list[i].cols;
        m->list[i] = (matrix){.is = list[i],
                              .tall = rows > cols,
                              .side = rows < cols ? rows : cols,
                              .length = rows < cols ? cols : rows,
                              .scale = rows > cols ? sqrt((double)rows / cols) : 1};
    }
    if (!allocate(m, err)) goto failed;
    make_batches(m);
    return m;
failed:
    md_muon_free(m);
    return NULL;
}

void md_muon_free(md_muon *muon) {
    if (!muon) return;
    md_free(muon->list);
    md_free(muon->bands);
    md_free(muon->columns);
    md_free(muon->sums);
    md_free(muon->batches);
    md_free(muon->work);
    md_free(muon);
}

/* --- strips of matrices ----------------------------------------------------------------------- */

/* A step in progress. */
typedef struct pass {
    md_muon *muon;
    const md_muon_args *args;
    int64_t first;          /* strip of the pass's first task */
    int factor, from, into; /* squares: B, P and the next P */
    bool last;              /* iteration */
} pass;

/* The rows of a band, each contiguous: `count` rows of `size` elements, `stride` apart. */
typedef struct rows {
    int64_t begin, stride;
    int count, size;
} rows;

static rows rows_of(const matrix *x, const strip *s) {
    const int cols = x->is.cols;
    if (x->tall) return (rows){(int64_t)s->begin * cols, cols, s->size, cols};
    return (rows){s->begin, cols, x->is.rows, s->size};
}

static void look_ahead(int n, const md_muon_args *a, md_real *grad, md_real *momentum) {
    const md_real u = a->momentum;
    for (int i = 0; i < n; i++) {
        const md_real g = grad[i] * a->grad_scale;
        momentum[i] = u * momentum[i] + (1 - u) * g;
        grad[i] = u * momentum[i] + (1 - u) * g;
    }
}

/* Momentum moves on; G takes the gradient's place. */
static void gather_band(void *context, int64_t task, int worker) {
    const pass *p = context;
    const int64_t at = p->first + task;
    const strip *s = &p->muon->bands[at];
    const matrix *x = &p->muon->list[s->matrix];
    const rows r = rows_of(x, s);
    (void)worker;
    double sum = 0;
    for (int i = 0; i < r.count; i++) {
        md_real *grad = x->is.grad + r.begin + i * r.stride;
        look_ahead(r.size, p->args, grad, x->is.momentum + r.begin + i * r.stride);
        sum += p->muon->kernels.sum_squares(r.size, grad);
    }
    p->muon->sums[at] = sum;
}

static void normalise_band(void *context, int64_t task, int worker) {
    const pass *p = context;
    const strip *s = &p->muon->bands[p->first + task];
    const matrix *x = &p->muon->list[s->matrix];
    const rows r = rows_of(x, s);
    (void)worker;
    for (int i = 0; i < r.count; i++) {
        md_real *grad = x->is.grad + r.begin + i * r.stride;
        for (int j = 0; j < r.size; j++) grad[j] *= x->normalise;
    }
}

static void scale(int n, md_real by, md_real *w) {
    for (int i = 0; i < n; i++) w[i] *= by;
}

static void average(int n, md_real keep, const md_real *w, md_real *ema) {
    for (int i = 0; i < n; i++) ema[i] = keep * ema[i] + (1 - keep) * w[i];
}

/* W += P X or X P: P brings the sign and the learning rate. */
static void apply_band(void *context, int64_t task, int worker) {
    const pass *p = context;
    const strip *s = &p->muon->bands[p->first + task];
    const matrix *x = &p->muon->list[s->matrix];
    const md_real *square = square_of(x, p->from);
    const rows r = rows_of(x, s);
    const md_real *left = x->tall ? x->is.grad + r.begin : square;
    const md_real *right = x->tall ? square : x->is.grad + r.begin;
    md_real *w = x->is.w + r.begin;
    (void)worker;
    for (int i = 0; i < r.count && x->is.decay; i++) {
        scale(r.size, 1 - p->args->lr * p->args->decay, w + i * r.stride);
    }
    p->muon->kernels.gemm(&(md_gemm){.add = true,
                                     .m = r.count,
                                     .n = r.size,
                                     .k = x->side,
                                     .a = left,
                                     .lda = x->side,
                                     .b = right,
                                     .ldb = x->is.cols,
                                     .c = w,
                                     .ldc = x->is.cols});
    for (int i = 0; i < r.count; i++) {
        const int64_t at = r.begin + i * r.stride;
        memset(x->is.grad + at, 0, (size_t)r.size * sizeof *x->is.grad);
        if (x->is.ema) average(r.size, p->args->ema_decay, x->is.w + at, x->is.ema + at);
    }
}

/* --- strips of squares ------------------------------------------------------------------------ */

/* Copies a finished strip to the other side of the diagonal. */
static void mirror(int side, const strip *s, md_real *square) {
    for (int j = s->begin; j < s->begin + s->size; j++) {
        md_real *row = square + (int64_t)j * side;
        for (int i = 0; i < s->begin; i++) row[i] = square[(int64_t)i * side + j];
    }
}

/* A strip of A = X X^T, or X^T X when X is tall. */
static void gram_columns(void *context, int64_t task, int worker) {
    const pass *p = context;
    const strip *s = &p->muon->columns[p->first + task];
    const matrix *x = &p->muon->list[s->matrix];
    const int64_t step = x->tall ? 1 : x->is.cols;
    md_real *square = square_of(x, POWER);
    (void)worker;
    p->muon->kernels.gemm(&(md_gemm){.trans_a = x->tall,
                                     .trans_b = !x->tall,
                                     .m = s->begin + s->size,
                                     .n = s->size,
                                     .k = x->length,
                                     .a = x->is.grad,
                                     .lda = x->is.cols,
                                     .b = x->is.grad + s->begin * step,
                                     .ldb = x->is.cols,
                                     .c = square + s->begin,
                                     .ldc = x->side});
    mirror(x->side, s, square);
}

/* A strip of out = left right, which commute; not yet mirrored. */
static void multiply(const pass *p, const strip *s, int left, int right, int out) {
    const matrix *x = &p->muon->list[s->matrix];
    p->muon->kernels.gemm(&(md_gemm){.m = s->begin + s->size,
                                     .n = s->size,
                                     .k = x->side,
                                     .a = square_of(x, left),
                                     .lda = x->side,
                                     .b = square_of(x, right) + s->begin,
                                     .ldb = x->side,
                                     .c = square_of(x, out) + s->begin,
                                     .ldc = x->side});
}

/* B = a I + b A + c A^2 */
static void factor_columns(void *context, int64_t task, int worker) {
    const pass *p = context;
    const strip *s = &p->muon->columns[p->first + task];
    const matrix *x = &p->muon->list[s->matrix];
    md_real *square = square_of(x, p->factor);
    (void)worker;
    multiply(p, s, POWER, POWER, p->factor);
    for (int i = 0; i < s->begin + s->size; i++) {
        const int64_t at = (int64_t)i * x->side + s->begin;
        const md_real *power = square_of(x, POWER) + at;
        md_real *out = square + at;
        for (int j = 0; j < s->size; j++) out[j] = NS_B * power[j] + NS_C * out[j];
        if (i >= s->begin) out[i - s->begin] += NS_A;
    }
    mirror(x->side, s, square);
}

/* P = P B, and AB on the way to the next A. The last P takes the sign and size of the update. */
static void multiply_columns(void *context, int64_t task, int worker) {
    const pass *p = context;
    const strip *s = &p->muon->columns[p->first + task];
    const matrix *x = &p->muon->list[s->matrix];
    (void)worker;
    if (p->into != p->from) {
        md_real *square = square_of(x, p->into);
        const md_real by = p->last ? -p->args->lr * (md_real)x->scale : 1;
        multiply(p, s, p->from, p->factor, p->into);
        for (int i = 0; i < s->begin + s->size && p->last; i++) {
            scale(s->size, by, square + (int64_t)i * x->side + s->begin);
        }
        mirror(x->side, s, square);
    }
    if (p->last) return;
    multiply(p, s, POWER, p->factor, HALF);
    mirror(x->side, s, square_of(x, HALF));
}

/* A = (AB) B */
static void power_columns(void *context, int64_t task, int worker) {
    const pass *p = context;
    const strip *s = &p->muon->columns[p->first + task];
    const matrix *x = &p->muon->list[s->matrix];
    (void)worker;
    multiply(p, s, HALF, p->factor, POWER);
    mirror(x->side, s, square_of(x, POWER));
}

/* --- a step ----------------------------------------------------------------------------------- */

static void run(pass *p, range tasks, md_task_fn fn, md_pool *pool) {
    p->first = tasks.begin;
    if (pool) {
        md_pool_run(pool, "muon", tasks.end - tasks.begin, fn, p);
        return;
    }
    for (int64_t task = 0; task < tasks.end - tasks.begin; task++) fn(p, task, 0);
}

/* The norm is summed over bands in order, so it does not depend on the threads. */
static void find_norms(md_muon *m) {
    for (int i = 0; i < m->count; i++) {
        matrix *x = &m->list[i];
        double sum = 0;
        for (int64_t j = 0; j < pieces(x->length, BAND); j++) sum += m->sums[x->first_band + j];
        x->normalise = (md_real)(1 / (sqrt(sum) + NORM_FLOOR));
    }
}

/* Leaves P in p->from. The first P is the first B. */
static void iterate(pass *p, const batch *b, md_pool *pool) {
    p->from = PRODUCT;
    for (int i = 0; i < ITERATIONS; i++) {
        p->last = i == ITERATIONS - 1;
        p->factor = i == 0 ? PRODUCT : FACTOR;
        p->into = i == 0 ? PRODUCT : p->from == PRODUCT ? SPARE : PRODUCT;
        run(p, b->columns, factor_columns, pool);
        run(p, b->columns, multiply_columns, pool);
        if (!p->last) run(p, b->columns, power_columns, pool);
        p->from = p->into;
    }
}

void md_muon_step(md_muon *muon, const md_muon_args *args, md_pool *pool) {
    pass p = {.muon = muon, .args = args};
    if (muon->count == 0) return;
    const range all = {0, muon->batches[muon->batch_count - 1].bands.end};
    run(&p, all, gather_band, pool);
    find_norms(muon);
    run(&p, all, normalise_band, pool);
    for (int64_t i = 0; i < muon->batch_count; i++) {
        const batch *b = &muon->batches[i];
        run(&p, b->columns, gram_columns, pool);
        iterate(&p, b, pool);
        run(&p, b->bands, apply_band, pool);
    }
}
