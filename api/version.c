/* api/version.c: the version that the build names. */
#include "mdlm.h"

const char *mdlm_version(void) {
    return MDLM_VERSION;
}
