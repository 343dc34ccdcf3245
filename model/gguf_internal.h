/* model/gguf_internal.h: what reading and writing networks in GGUF share. Private to gguf_*.c. */
#ifndef MD_MODEL_GGUF_INTERNAL_H
#define MD_MODEL_GGUF_INTERNAL_H

#include "model/config.h"

/* Heads whose rows have another order in GGUF; 0: the parameter's rows lie as here. */
int md_gguf_interleaved(const md_model_config *c, const char *name);

#endif
