/* tensor/op_group_norm.c: group norm of images, with SiLU behind it.
 *
 * A task is an image, or a block of its groups. Backward needs x, the means and the deviations;
 * the gradient of what goes into silu is written over that of the result, and the gradient of x
 * over it in turn, unless x has one already.
 */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

#include <string.h>

typedef struct group_norm_job {
    md_tape *tape;
    const md_kernels *k;
    md_group_norm_args image; /* of the first image, all channels */
    md_channel_blocks blocks;
} group_norm_job;

static int64_t padded(int64_t C) {
    return (C + MD_CHANNEL_PAD - 1) / MD_CHANNEL_PAD * MD_CHANNEL_PAD;
}

/* Elements of scratch for the sums and factors of C channels. */
static int64_t room(int64_t C) {
    return padded(C) * (2 * (int64_t)(sizeof(double) / sizeof(md_real)) + 3);
}

/* The task's block of its image. */
static md_group_norm_args block_of(const group_norm_job *j, int64_t task, int worker) {
    const md_group_norm_args *all = &j->image;
    md_group_norm_args a = *all;
    int64_t image = task / j->blocks.count;
    int first = (int)(task % j->blocks.count) * j->blocks.width, group = first / a.group;
    int64_t at = image * a.rows * a.stride + first;
    a.C = all->C - first < j->blocks.width ? all->C - first : j->blocks.width;
    a.x += at, a.gain += first, a.bias += first;
    a.mean += image * (all->C / a.group) + group;
    a.rstd += image * (all->C / a.group) + group;
    a.sums = (double *)md_tape_scratch(j->tape, worker);
    a.factors = (md_real *)(a.sums + 2 * padded(a.C));
    if (a.y) a.y += at;
    if (a.dx) a.dx += at;
    if (!a.dy) return a;
    a.dy += at;
    a.dgain += image * 2 * all->C + first;
    a.dbias += image * 2 * all->C + first;
    return a;
}

static void forward_task(void *context, int64_t task, int worker) {
    const group_norm_job *j = context;
    md_group_norm_args a = block_of(j, task, worker);
    j->k->group_norm(&a);
}

static void backward_task(void *context, int64_t task, int worker) {
    const group_norm_job *j = context;
    md_group_norm_args a = block_of(j, task, worker);
    j->k->group_norm_backward(&a);
}

typedef struct group_norm_node {
    md_node node;
    md_tensor *x, *gain, *bias;
    md_group_norm_how how;
    md_real *mean, *rstd;
} group_norm_node;

static group_norm_job job_of(md_tape *tape, const group_norm_node *n) {
    const md_tensor *x = n->x;
    int64_t images = x->dim[0];
    int C = (int)md_tensor_cols(x);
    return (group_norm_job){
        .tape = tape,
        .k = md_tape_kernels(tape),
        .blocks = md_block_channels(images, C, C / n->how.groups),
        .image = {.rows = images ? (int)(md_tensor_rows(x) / images) : 0,
                  .C = C,
                  .stride = C,
                  .group = C / n->how.groups,
                  .eps = (md_real)n->how.eps,
                  .silu = n->how.silu,
                  .x = x->data,
                  .gain = n->gain->data,
                  .bias = n->bias->data,
                  .mean = n->mean,
                  .rstd = n->rstd},
    };
}

/* The images' gradients [images, 2, C] of gain or bias, in order. */
static void add_up(md_tape *tape, md_tensor *into, const md_real *parts, int64_t images) {
    bool add;
    md_real *to = md_grad_begin(tape, into, &add);
    if (!to) return;
    int64_t C = md_tensor_size(into);
    if (!add) memset(to, 0, (size_t)C * sizeof *to);
    for (int64_t b = 0; b < images; b++)
        md_tape_kernels(tape)->accumulate(C, parts + b * 2 * C, to);
}

static void group_norm_backward(md_tape *tape, md_node *node) {
    group_norm_node *n = (group_norm_node *)node;
    group_norm_job j = job_of(tape, n);
    int64_t images = n->x->dim[0];
    int C = j.image.C;
    md_real *parts = md_grad_take(tape, images * 2 * C);
    if (!parts || !md_tape_reserve(tape, room(C))) return;
    bool in_place = md_tape_wants(tape, n->x) && !n->x->grad;
    j.image.dy = node->out->grad;
    j.image.dx = in_place ? node->out->grad : md_grad_begin(tape, n->x, &j.image.add);
    j.image.dgain = parts;
    j.image.dbias = parts + C;
    md_tape_parallel(tape, "group norm backward", images * j.blocks.count, backward_task, &j);
    add_up(tape, n->gain, parts, images);
    add_up(tape, n->bias, parts + C, images);
    md_grad_give(tape, parts);
    if (in_place) md_grad_pass(tape, node->out, n->x);
}

md_tensor *md_group_norm(md_tape *tape, md_tensor *x, md_tensor *gain, md_tensor *bias,
                         md_group_norm_how how) {
    if (!x || !gain || !bias) return NULL;
    int64_t C = md_tensor_cols(x);
    MD_BUG_IF(x->rank < 2 || how.groups < 1 || C % how.groups);
    MD_BUG_IF(md_tensor_size(gain) != C || md_tensor_size(bias) != C);
    md_tensor *y = md_tape_tensor(tape, x->rank, x->dim);
    size_t count = (size_t)x->dim[0] * how.groups;
    md_real *mean = md_tape_alloc(tape, count, sizeof *mean);
    md_real *rstd = md_tape_alloc(tape, count, sizeof *rstd);
    if (!y || !mean || !rstd || !md_tape_reserve(tape, room(C))) return NULL;
    const group_norm_node call = {
        .x = x, .gain = gain, .bias = bias, .how = how, .mean = mean, .rstd = rstd};
    group_norm_job j = job_of(tape, &call);
    j.image.y = y->data;
    md_tape_parallel(tape, "group norm", x->dim[0] * j.blocks.count, forward_task, &j);
    if (md_tape_wants(tape, x) || md_tape_wants(tape, gain) || md_tape_wants(tape, bias)) {
        group_norm_node *n = md_tape_node(tape, sizeof *n, group_norm_backward, y);
        if (n) n->x = x, n->gain = gain, n->bias = bias, n->how = how, n->mean = mean;
        if (n) n->rstd = rstd;
    }
    return y;
}
