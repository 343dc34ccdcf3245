/* tensor/op_patches.c: images as rows of patches and back; images twice as large from patches that
 * overlap (transposed convolution). */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

#include <string.h>

/* --- patches --------------------------------------------------------------------------------- */

/* A line of pixels of a row of patches is a matrix in both: [X / P, P * C] in the image, whose rows
 * follow each other, and in the patches, where they are P * P * C apart. */
typedef struct patches_job {
    const md_kernels *k;
    int Y, X, C, P;
    bool cut; /* from images to patches; else back */
    const md_real *from;
    md_real *to;
    bool add;
} patches_job;

static void move_line(void *context, int64_t line, int worker) {
    const patches_job *j = context;
    int piece = j->P * j->C;
    int64_t in_image = line * j->X * j->C;
    int64_t in_patches = line / j->P * j->P * j->X * j->C + line % j->P * piece;
    (void)worker;
    j->k->columns(&(md_columns_args){.rows = j->X / j->P,
                                     .cols = piece,
                                     .from_stride = j->cut ? piece : j->P * piece,
                                     .to_stride = j->cut ? j->P * piece : piece,
                                     .from = j->from + (j->cut ? in_image : in_patches),
                                     .to = j->to + (j->cut ? in_patches : in_image),
                                     .add = j->add});
}

typedef struct patches_node {
    md_node node;
    md_tensor *x;
    int P, Y, X, C;
    bool cut;
} patches_node;

static void move_lines(md_tape *tape, const patches_node *n, patches_job j) {
    j.k = md_tape_kernels(tape);
    j.Y = n->Y, j.X = n->X, j.C = n->C, j.P = n->P;
    md_tape_parallel(tape, "patches", n->x->dim[0] * j.Y, move_line, &j);
}

static void patches_backward(md_tape *tape, md_node *node) {
    patches_node *n = (patches_node *)node;
    patches_job j = {.cut = !n->cut, .from = node->out->grad};
    j.to = md_grad_begin(tape, n->x, &j.add);
    if (j.to) move_lines(tape, n, j);
}

static md_tensor *rearranged(md_tape *tape, patches_node call, int rank, const int64_t *dim) {
    md_tensor *y = md_tape_tensor(tape, rank, dim);
    if (!y) return NULL;
    move_lines(tape, &call, (patches_job){.cut = call.cut, .from = call.x->data, .to = y->data});
    if (md_tape_wants(tape, call.x)) {
        patches_node *n = md_tape_node(tape, sizeof *n, patches_backward, y);
        if (n) n->x = call.x, n->P = call.P, n->Y = call.Y, n->X = call.X, n->C = call.C;
        if (n) n->cut = call.cut;
    }
    return y;
}

md_tensor *md_patches(md_tape *tape, md_tensor *x, int P) {
    if (!x) return NULL;
    const int64_t *d = x->dim;
    MD_BUG_IF(x->rank != 4 || P < 1 || d[1] % P || d[2] % P);
    const patches_node call = {
        .x = x, .P = P, .Y = (int)d[1], .X = (int)d[2], .C = (int)d[3], .cut = true};
    return rearranged(tape, call, 3, (int64_t[]){d[0], d[1] / P * (d[2] / P), P * P * d[3]});
}

md_tensor *md_unpatch(md_tape *tape, md_tensor *x, int P, int Y, int X) {
    if (!x) return NULL;
    MD_BUG_IF(x->rank != 3 || P < 1 || Y % P || X % P);
    MD_BUG_IF(x->dim[1] != (int64_t)(Y / P) * (X / P) || x->dim[2] % (P * P));
    const patches_node call = {.x = x, .P = P, .Y = Y, .X = X, .C = (int)x->dim[2] / (P * P)};
    return rearranged(tape, call, 4, (int64_t[]){x->dim[0], Y, X, call.C});
}

/* --- transposed convolution ------------------------------------------------------------------ */

/* Each pixel of x [B,Y,X] has a patch [M,K,K], added up where they overlap in the result
 * [B,2Y,2X,M]: tap (u, v) of pixel (i, j) falls on (2i + u - pad, 2j + v - pad). */
typedef struct overlap_job {
    int Y, X, M, K;
    md_real *patches, *images; /* [B, Y*X, M*K*K], [B,2Y,2X,M]: values, or gradients */
} overlap_job;

/* A line of the result: along each axis, K / 2 taps reach a pixel. */
static void add_patches(void *context, int64_t line, int worker) {
    const overlap_job *j = context;
    int K = j->K, p = (int)(line % (2 * j->Y)) + (K - 2) / 2, taps = K * K;
    const md_real *image = j->patches + line / (2 * j->Y) * j->Y * j->X * j->M * taps;
    md_real *y = j->images + line * 2 * j->X * j->M;
    (void)worker;
    memset(y, 0, (size_t)(2 * j->X * j->M) * sizeof *y);
    for (int column = 0; column < 2 * j->X; column++, y += j->M) {
        int q = column + (K - 2) / 2;
        for (int u = p % 2; u < K; u += 2) {
            for (int v = q % 2; v < K; v += 2) {
                int row = p - u, col = q - v;
                if (row < 0 || col < 0 || row >= 2 * j->Y || col >= 2 * j->X) continue;
                const md_real *patch = image + ((int64_t)row / 2 * j->X + col / 2) * j->M * taps;
                for (int m = 0; m < j->M; m++) y[m] += patch[m * taps + u * K + v];
            }
        }
    }
}

/* The patches of a line of x from the gradient of the result. */
static void take_patches(void *context, int64_t line, int worker) {
    const overlap_job *j = context;
    int K = j->K, taps = K * K, top = 2 * (int)(line % j->Y) - (K - 2) / 2;
    const md_real *image = j->images + line / j->Y * 4 * j->Y * j->X * j->M;
    md_real *patch = j->patches + line * j->X * j->M * taps;
    (void)worker;
    for (int i = 0; i < j->X; i++, patch += j->M * taps) {
        for (int tap = 0; tap < taps; tap++) {
            int row = top + tap / K, col = 2 * i - (K - 2) / 2 + tap % K;
            bool outside = row < 0 || col < 0 || row >= 2 * j->Y || col >= 2 * j->X;
            const md_real *dy = outside ? NULL : image + ((int64_t)row * 2 * j->X + col) * j->M;
            for (int m = 0; m < j->M; m++) patch[m * taps + tap] = dy ? dy[m] : 0;
        }
    }
}

typedef struct overlap_node {
    md_node node;
    md_tensor *patches;
    overlap_job job;
} overlap_node;

static void overlap_backward(md_tape *tape, md_node *node) {
    overlap_node *n = (overlap_node *)node;
    overlap_job j = n->job;
    bool add;
    j.images = node->out->grad;
    j.patches = md_grad_begin(tape, n->patches, &add); /* their only use */
    if (!j.patches) return;
    int64_t lines = n->patches->dim[0] * j.Y;
    md_tape_parallel(tape, "overlap backward", lines, take_patches, &j);
}

md_tensor *md_conv2d_transposed(md_tape *tape, md_tensor *x, md_tensor *w, md_tensor *bias) {
    if (!x || !w) return NULL;
    MD_BUG_IF(x->rank != 4 || w->rank != 4 || w->dim[3] != x->dim[3] || w->dim[1] != w->dim[2]);
    MD_BUG_IF(w->dim[1] != 2 && w->dim[1] != 4);
    int64_t B = x->dim[0], Y = x->dim[1], X = x->dim[2], C = x->dim[3], M = w->dim[0];
    overlap_job j = {.Y = (int)Y, .X = (int)X, .M = (int)M, .K = (int)w->dim[1]};
    md_tensor *pixels = md_reshape(tape, x, 3, (int64_t[]){B, Y * X, C});
    md_tensor *filters = md_reshape(tape, w, 2, (int64_t[]){M * j.K * j.K, C});
    md_tensor *patches = md_spent(md_linear(tape, pixels, filters, NULL));
    md_tensor *y = md_tape_tensor(tape, 4, (int64_t[]){B, 2 * Y, 2 * X, M});
    if (!patches || !y) return NULL;
    j.patches = patches->data, j.images = y->data;
    md_tape_parallel(tape, "overlap", B * 2 * Y, add_patches, &j);
    if (md_tape_wants(tape, patches)) {
        overlap_node *n = md_tape_node(tape, sizeof *n, overlap_backward, y);
        if (n) n->patches = patches, n->job = j;
    }
    return bias ? md_add_channels(tape, md_spent(y), bias) : y;
}
