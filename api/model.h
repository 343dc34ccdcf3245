/* api/model.h: what is behind a mdlm_model, for the commands that need more than mdlm.h gives. */
#ifndef MD_API_MODEL_H
#define MD_API_MODEL_H

#include "model/transformer.h"
#include "tokenizer/automaton.h"

/* The last regular expression that texts were constrained by: texts come in batches. */
typedef struct md_compiled {
    char *pattern;
    uint8_t *drawable; /* [V] what it was compiled for */
    md_automaton *automaton;
} md_compiled;

struct mdlm_model {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_transformer *net;
    md_tokenizer *tokenizer;
    md_transformer_view view;
    md_denoiser denoiser;
    md_compiled compiled;
};

#endif
