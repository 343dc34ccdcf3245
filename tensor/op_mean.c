/* tensor/op_mean.c: the mean over the pixels of an image. */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

typedef struct mean_job {
    const md_kernels *k;
    int64_t pixels;
    int C;
    const md_real *x, *dy;
    md_real *y, *dx;
    bool add;
} mean_job;

static void mean_image(void *context, int64_t image, int worker) {
    const mean_job *j = context;
    md_real *y = j->y + image * j->C;
    (void)worker;
    j->k->sum_rows((int)j->pixels, j->C, j->C, j->x + image * j->pixels * j->C, NULL, y);
    for (int c = 0; c < j->C; c++) y[c] /= (md_real)j->pixels;
}

static void spread_image(void *context, int64_t image, int worker) {
    const mean_job *j = context;
    const md_real *dy = j->dy + image * j->C;
    md_real *dx = j->dx + image * j->pixels * j->C;
    (void)worker;
    for (int64_t p = 0; p < j->pixels; p++, dx += j->C) {
        for (int c = 0; c < j->C; c++) {
            const md_real share = dy[c] / (md_real)j->pixels;
            dx[c] = j->add ? dx[c] + share : share;
        }
    }
}

typedef struct mean_node {
    md_node node;
    md_tensor *x;
} mean_node;

static mean_job job_of(md_tape *tape, const md_tensor *x) {
    return (mean_job){.k = md_tape_kernels(tape),
                      .pixels = x->dim[1] * x->dim[2],
                      .C = (int)x->dim[3],
                      .x = x->data};
}

static void mean_backward(md_tape *tape, md_node *node) {
    mean_node *n = (mean_node *)node;
    mean_job j = job_of(tape, n->x);
    j.dy = node->out->grad;
    j.dx = md_grad_begin(tape, n->x, &j.add);
    if (j.dx) md_tape_parallel(tape, "mean backward", n->x->dim[0], spread_image, &j);
}

md_tensor *md_mean_pixels(md_tape *tape, md_tensor *x) {
    if (!x) return NULL;
    MD_BUG_IF(x->rank != 4 || md_tensor_size(x) == 0);
    md_tensor *y = md_tape_tensor(tape, 3, (int64_t[]){x->dim[0], 1, x->dim[3]});
    if (!y) return NULL;
    mean_job j = job_of(tape, x);
    j.y = y->data;
    md_tape_parallel(tape, "mean", x->dim[0], mean_image, &j);
    if (md_tape_wants(tape, x)) {
        mean_node *n = md_tape_node(tape, sizeof *n, mean_backward, y);
        if (n) n->x = x;
    }
    return y;
}
