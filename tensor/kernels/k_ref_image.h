/* tensor/kernels/k_ref_image.h: the entries of k_ref.c's table that operators on images use. */
#ifndef MD_TENSOR_KERNELS_K_REF_IMAGE_H
#define MD_TENSOR_KERNELS_K_REF_IMAGE_H

#include "tensor/kernels.h"

void md_ref_silu(int64_t n, const md_real *x, md_real *y);
void md_ref_silu_backward(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx);
void md_ref_gelu(int64_t n, const md_real *x, md_real *y);
void md_ref_gelu_backward(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx);
void md_ref_group_norm(const md_group_norm_args *a);
void md_ref_group_norm_backward(const md_group_norm_args *a);
void md_ref_add_row(int rows, int C, const md_real *x, const md_real *b, md_real *y);
void md_ref_sum_rows(int rows, int C, int stride, const md_real *x, const md_real *y, md_real *sum);
void md_ref_gate_rows(int rows, int C, const md_real *x, const md_real *gate, const md_real *branch,
                      md_real *y);
void md_ref_modulated_norm(const md_modulated_norm_args *a);
void md_ref_modulated_norm_backward(const md_modulated_norm_args *a);
void md_ref_columns(const md_columns_args *a);

#endif
