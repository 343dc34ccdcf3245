/* tests/kernel_sets.h: the kernel tables that a test goes through, and the names of those that this
 * processor lacks.
 *
 *     md_kernels k;
 *     for (int i = 0; next_kernels(&i, "bf16", &k);) ... k.name, k.products ...
 *
 *     int main(void) {
 *         ...
 *         name_skipped_sets();
 *         return suite_run(s);
 *     }
 */
#ifndef TESTS_KERNEL_SETS_H
#define TESTS_KERNEL_SETS_H

#include <stdio.h>
#include <string.h>

#include "tensor/kernels.h"
#include "tests/suite.h"

/* The products of "avx512" as they are without AVX512_BF16 and AVX512_VNNI; false where they are so
 * anyway. */
static inline bool without_dot_products(const char *dtype, md_kernels *k) {
#ifdef __x86_64__
    mdlm_error err;
    if (md_kernels_init(k, "avx512", NULL) != MDLM_OK) return false;
    assert_ok(md_kernels_set_dtype(k, dtype, &err));
    if (!strcmp(k->products, k->name)) return false;
    if (k->dtype == MD_BF16) md_kernels_avx512_bf16(k);
    if (k->dtype == MD_Q8_0) md_kernels_avx512_q8(k);
    return true;
#else
    (void)dtype, (void)k;
    return false;
#endif
}

/* From *i on, which it counts up: every set that runs here, with products of this dtype, and
 * "avx512" once more without its dot products. False after the last. */
static inline bool next_kernels(int *i, const char *dtype, md_kernels *k) {
    mdlm_error err;
    int sets = 0;
    while (md_kernels_names[sets]) sets++;
    while (*i < sets) {
        if (md_kernels_init(k, md_kernels_names[(*i)++], NULL) != MDLM_OK) continue;
        assert_ok(md_kernels_set_dtype(k, dtype, &err));
        return true;
    }
    return (*i)++ == sets && without_dot_products(dtype, k);
}

static inline void name_skipped_set(const char *name) {
    (void)fprintf(stderr, "skipped: no '%s' kernels on this processor\n", name);
}

/* A line on stderr for every set that next_kernels passes over. For main, before the tests: each
 * runs in a process of its own, and one would not know what another has said. */
static inline void name_skipped_sets(void) {
    static const char *const dots[][2] = {{"bf16", "avx512_bf16"}, {"q8_0", "avx512_vnni"}};
    md_kernels k;
    for (const char *const *name = md_kernels_names; *name; name++)
        if (md_kernels_init(&k, *name, NULL) != MDLM_OK) name_skipped_set(*name);
    for (int i = 0; i < 2; i++) {
        if (md_kernels_init(&k, "avx512", NULL) != MDLM_OK ||
            md_kernels_set_dtype(&k, dots[i][0], NULL) != MDLM_OK ||
            strcmp(k.products, dots[i][1]) != 0)
            name_skipped_set(dots[i][1]);
    }
}

#endif
