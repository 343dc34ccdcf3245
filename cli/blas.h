/* cli/blas.h: makes OpenBLAS use the right kernels for this processor.
 *
 * OpenBLAS chooses its kernels by processor model when it is loaded, and an older release than the
 * processor falls back to Haswell's, at half the speed of AVX-512. The choice is the process's, so
 * the command line corrects it (never the library), before the first product.
 */
#ifndef MD_CLI_BLAS_H
#define MD_CLI_BLAS_H

#include <stdbool.h>

typedef struct md_cli_blas {
    const char *config; /* OpenBLAS's own description, "" when it is not there */
    char core[32];      /* kernels in use now, "" when not known */
    char found[32];     /* what OpenBLAS chose by itself */
    const char *reason; /* why `core`, a phrase */
    bool by_user;       /* OPENBLAS_CORETYPE was set from outside, and is left alone */
} md_cli_blas;

/* Call once, before anything is multiplied and before threads are started: sets
 * OPENBLAS_CORETYPE in the environment unless it is there, starts OpenBLAS again when that changes
 * its choice, and makes it single-threaded (our own pool calls it from several threads). */
md_cli_blas md_cli_blas_settle(void);

#endif
