/* tensor/kernels/k_openblas.c: products by OpenBLAS.
 *
 * OpenBLAS is called from several threads of our pool at once and must stay single-threaded inside
 * them: the command line sets that (cli/blas.c), the library leaves the process alone.
 */
#include "tensor/kernels.h"

#ifndef MD_REAL_DOUBLE
#include <cblas.h>

static void gemm(const md_gemm *g) {
    cblas_sgemm(CblasRowMajor, g->trans_a ? CblasTrans : CblasNoTrans,
                g->trans_b ? CblasTrans : CblasNoTrans, g->m, g->n, g->k, 1, g->a, g->lda, g->b,
                g->ldb, g->add ? 1 : 0, g->c, g->ldc);
}

/* Panels are single columns of op(B), as in k_ref.c: op(B) transposed. */
static void gemm_packed(const md_gemm *g) {
    md_gemm plain = *g;
    plain.trans_b = true;
    plain.b = (const float *)g->packed + (int64_t)g->packed_col * g->k;
    plain.ldb = g->k;
    gemm(&plain);
}

void md_kernels_openblas(md_kernels *table) {
    table->name = "openblas";
    table->gemm = gemm;
    table->gemm_packed = gemm_packed;
}
#endif
