/* model/layers.h: the layers of networks for images: declared under readable names, then run.
 *
 *     md_builder b;
 *     md_builder_init(&b, params, err);
 *     md_builder_scope(&b, "mid_block.resnets.%d", 0);
 *     block->conv1 = md_build_conv(&b, "conv1", (md_conv_size){.in = 64, .out = 64, .side = 3},
 *                                  MD_INIT_FAN_IN);             mid_block.resnets.0.conv1.weight
 *     ...
 *     MD_TRY(md_builder_finish(&b, gradients, &init, err));     seals the parameters
 *     y = md_run_conv(tape, &block->conv1, x, (md_conv){.stride = 1, .pad = 1});
 *
 * A failure sticks to the builder: layers built after it are empty, and finishing reports it.
 * Convolutions are stored [out, side, side, in], channels fastest, linear maps [out, in].
 */
#ifndef MD_MODEL_LAYERS_H
#define MD_MODEL_LAYERS_H

#include "tensor/ops_image.h"
#include "tensor/params.h"

/* How a parameter begins. */
typedef enum md_init_kind {
    MD_INIT_ZERO,   /* biases, and layers that let a block begin as the identity */
    MD_INIT_ONE,    /* gains of norms */
    MD_INIT_FAN_IN, /* normal, variance 1 / (what an output sums over) */
    MD_INIT_SMALL,  /* normal, standard deviation 0.02: embeddings */
} md_init_kind;

typedef struct md_builder {
    md_params *params;
    mdlm_error *err;
    mdlm_status status;  /* of the first failure */
    char scope[96];      /* put before names */
    bool edge;           /* what is built now lies at an end of the network: images, times and
                            labels come in, predictions go out (MD_PARAM_ORTHOGONAL is not for it) */
    unsigned char *init; /* md_init_kind of each parameter */
    int capacity;
} md_builder;

typedef struct md_linear_layer {
    md_tensor *w, *bias; /* bias NULL: none */
} md_linear_layer;

typedef struct md_conv_layer {
    md_tensor *w, *bias;
} md_conv_layer;

typedef struct md_norm_layer {
    md_tensor *gain, *bias;
} md_norm_layer;

typedef struct md_conv_size {
    int in, out, side;
} md_conv_size;

void md_builder_init(md_builder *b, md_params *params, mdlm_error *err);
/* What is built from now on is called SCOPE.NAME; "" for nothing before. */
void md_builder_scope(md_builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Seals. *init [md_params_count] is how they begin, freed by the caller with md_free. On failure
 * nothing is left to release but params. */
mdlm_status md_builder_finish(md_builder *b, bool gradients, unsigned char **init);

/* A tensor by itself; decays when it has more than one dimension. NULL after a failure. */
md_tensor *md_build_tensor(md_builder *b, const char *name, int rank, const int64_t *dim,
                           md_init_kind init);
/* NAME.weight and NAME.bias. `init` is the weight's. */
md_conv_layer md_build_conv(md_builder *b, const char *name, md_conv_size size, md_init_kind init);
md_linear_layer md_build_linear(md_builder *b, const char *name, int in, int out,
                                md_init_kind init);
md_linear_layer md_build_linear_plain(md_builder *b, const char *name, int in, int out,
                                      md_init_kind init);                /* without bias */
md_tensor *md_build_gain(md_builder *b, const char *name, int channels); /* of an RMSNorm */
md_norm_layer md_build_norm(md_builder *b, const char *name, int channels);

/* Multiply-adds at one row or pixel; 0 for a layer that there is not. */
double md_weight_products(const md_tensor *w);

/* Fills params, all of them, as `init` of md_builder_finish says. */
void md_layers_init(md_params *params, const unsigned char *init, uint64_t seed);

/* y = w x (+ bias) (+ residual). */
md_tensor *md_run_linear(md_tape *tape, const md_linear_layer *layer, md_tensor *x);
/* `how` without its bias, or with one of each image [B, M] in the place of the layer's. */
md_tensor *md_run_conv(md_tape *tape, const md_conv_layer *layer, md_tensor *x, md_conv how);
/* In groups of 8, with eps 1e-5 as PyTorch's. */
enum { MD_NORM_GROUPS = 8 };
md_tensor *md_run_norm(md_tape *tape, const md_norm_layer *layer, md_tensor *x, bool silu);

/* --- what an image is conditioned on ---------------------------------------------------------- */

typedef struct md_image_condition {
    int B;
    const double *time;   /* [B] what the process calls the noise level (md_level.time) */
    const int32_t *label; /* [B], -1: of no class; NULL: none is */
} md_image_condition;

/* time_embedding: sinusoids -> linear -> SiLU -> linear, plus a row of class_embedding, which has
 * one more at its end for "no class". */
typedef struct md_embedder {
    int frequencies; /* dimensions of the sinusoids, even */
    md_linear_layer first, second;
    md_tensor *classes; /* [classes + 1, out]; NULL: none */
} md_embedder;

md_embedder md_build_embedder(md_builder *b, int frequencies, int out, int classes);
/* SiLU of the embedding [B, 1, out], what every block asks for: a sequence of one row an image, so
 * that its bits do not depend on the batch. */
md_tensor *md_run_embedder(md_tape *tape, const md_embedder *e, const md_image_condition *given);

double md_embedder_products(const md_embedder *e); /* multiply-adds of an image */

/* out[i] = cos(t w_i), out[dim/2 + i] = sin(t w_i), w_i = 10000^(-2i/dim), i < dim/2: the order of
 * guided-diffusion, both halves of DDPM's exchanged. */
void md_time_sinusoids(double t, int dim, md_real *out);

#endif
