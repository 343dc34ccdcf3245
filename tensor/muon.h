/* tensor/muon.h: orthogonalised momentum for many matrices at once; part of the optimizer.
 *
 *     md_muon *muon = md_muon_new(matrices, count, kernels, err);
 *     md_muon_step(muon, &args, pool);        uses and then zeroes the gradients
 *     md_muon_free(muon);
 *
 * Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) moves a matrix W [m,n] by
 * the nearest thing to an orthogonal matrix that five cheap products give:
 *
 *     b = u b + (1-u) g                             momentum
 *     X = G / (||G|| + 1e-7), G = u b + (1-u) g     Nesterov's look ahead; Frobenius norm
 *     five times X = (a I + b A + c A^2) X, A = X X^T, (a, b, c) = (3.4445, -4.7750, 2.0315)
 *     W = (1 - lr decay) W - lr sqrt(max(1, m/n)) X
 *
 * which brings every singular value of X above 0.002 between 0.68 and 1.21. For m > n the same
 * happens to W^T.
 *
 * X itself is never iterated. All the A's and factors are polynomials of the first A: they are
 * symmetric and they commute, so the iteration runs on k x k matrices, k = min(m, n):
 *
 *     B = a I + b A + c A^2,  P = P B,  A = B A B
 *
 * and G is only read to make the first A and multiplied once by the last P, straight into W. Of the
 * symmetric products only one triangle is computed: some 11 k^3 + 1.6 k^2 n multiplications and no
 * copy of X, against 5 k^3 + 10 k^2 n for the plain form (n the longer side). Float has room for
 * it: a rounding error of A grows at most by a^2 in an iteration, to 1e-3 in all.
 *
 * Work is cut into strips of fixed width, so results do not depend on the number of threads.
 */
#ifndef MD_TENSOR_MUON_H
#define MD_TENSOR_MUON_H

#include <stdbool.h>

#include "base/pool.h"
#include "tensor/kernels.h"

/* A matrix [rows, cols] and what belongs to it, all of the same shape. */
typedef struct md_muon_matrix {
    int rows, cols;
    md_real *w, *grad, *momentum;
    md_real *ema; /* NULL: no average */
    bool decay;
} md_muon_matrix;

typedef struct md_muon_args {
    md_real lr, momentum, decay;
    md_real grad_scale; /* from clipping */
    md_real ema_decay;
} md_muon_args;

typedef struct md_muon md_muon;
/* The list is copied; what it points to and the kernel table outlive the result. NULL on failure;
 * caller frees. */
md_muon *md_muon_new(const md_muon_matrix *list, int count, const md_kernels *kernels,
                     mdlm_error *err);
void md_muon_free(md_muon *muon); /* accepts NULL */

/* One step of every matrix and of its average; `pool` may be NULL. */
void md_muon_step(md_muon *muon, const md_muon_args *args, md_pool *pool);

#endif
