/* cli/blas.c: see blas.h. */
#include "cli/blas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exported by every OpenBLAS with dynamic kernels, absent elsewhere: hence weak. The last two are
 * internal to it, but the only way to change the choice in a running process. */
char *openblas_get_config(void) __attribute__((weak));
char *openblas_get_corename(void) __attribute__((weak));
void openblas_set_num_threads(int count) __attribute__((weak));
void gotoblas_dynamic_init(void) __attribute__((weak));
void gotoblas_dynamic_quit(void) __attribute__((weak));

/* Cores with kernels for an instruction set; older ones than both lists know neither. */
static const char *const avx512_cores[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL};
static const char *const avx2_cores[] = {"Haswell", "Zen", NULL};

static bool listed(const char *const *names, const char *name) {
    for (; *names; names++) {
        if (strcasecmp(*names, name) == 0) return true;
    }
    return false;
}

/* The OPENBLAS_CORETYPE that serves this processor better than `core`; NULL when none does. */
static const char *better_core(const char *core, const char **reason) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (listed(avx512_cores, core)) return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
        *reason = "this processor has AVX-512, which OpenBLAS's own choice does not use";
        return "SKYLAKEX";
    }
    if (listed(avx2_cores, core)) return NULL;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *reason = "this processor has AVX2, which OpenBLAS's own choice does not use";
        return "HASWELL";
    }
#else
    (void)core, (void)reason, (void)avx512_cores, (void)avx2_cores, (void)listed;
#endif
    return NULL;
}

static md_cli_blas settle_core(void) {
    md_cli_blas blas = {.config = "", .reason = "OpenBLAS does not say"};
    if (openblas_set_num_threads) openblas_set_num_threads(1);
    if (!openblas_get_corename) return blas;
    snprintf(blas.found, sizeof blas.found, "%s", openblas_get_corename());
    memcpy(blas.core, blas.found, sizeof blas.core);
    blas.reason = "OpenBLAS's own choice for this processor";
    if (getenv("OPENBLAS_CORETYPE")) {
        blas.by_user = true;
        blas.reason = "OPENBLAS_CORETYPE is set in the environment";
        return blas;
    }
    const char *reason = NULL, *wanted = better_core(blas.found, &reason);
    if (!wanted) return blas;
    if (!gotoblas_dynamic_init || !gotoblas_dynamic_quit ||
        setenv("OPENBLAS_CORETYPE", wanted, 1) != 0) {
        blas.reason = "this OpenBLAS cannot be told otherwise in a running process";
        return blas;
    }
    gotoblas_dynamic_quit();
    gotoblas_dynamic_init();
    snprintf(blas.core, sizeof blas.core, "%s", openblas_get_corename());
    bool changed = strcmp(blas.core, blas.found) != 0;
    blas.reason = changed ? reason : "this OpenBLAS has no better kernels";
    return blas;
}

md_cli_blas md_cli_blas_settle(void) {
    md_cli_blas blas = settle_core();
    /* Last, since the text names the core in use. */
    if (openblas_get_config) blas.config = openblas_get_config();
    return blas;
}
