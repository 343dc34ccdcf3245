/* model/lora.h: low-rank adapters (LoRA, Hu et al. 2021): what fine-tuning changes is a product of
 * two thin matrices beside each weight of a block.
 *
 *     y = W x + B (A x)         A [rank, in] random, B [out, rank] zero at first
 *
 * Projections of the same input share A: q, k and v; gate and up. So an adapter is two more
 * products beside each of a block's four. The scale of the usual formula, alpha / rank, is 1.
 *
 * Training:
 *     MD_TRY(md_transformer_load("base", NULL, false, &net, err));      no gradients of its own
 *     MD_TRY(md_lora_new(net, 8, true, &lora, err));
 *     md_lora_init(lora, seed);
 *     md_transformer_set_lora(net, lora);                               every pass adds it
 *     ... an optimizer on md_lora_params(lora) ...
 *     MD_TRY(md_lora_save(lora, "run", "base", err));
 * Use:
 *     MD_TRY(md_lora_load("run", NULL, net, &lora, err));
 *     md_lora_merge(lora, net);
 *     md_lora_free(lora);
 *
 * Files are those of the PEFT library: adapter_config.json and adapter_model.safetensors, where A
 * is written once for each projection. Only adapters of all seven projections of every block that
 * share A as above are read; others are refused, saying why.
 */
#ifndef MD_MODEL_LORA_H
#define MD_MODEL_LORA_H

#include "model/transformer.h"

#define MD_LORA_CONFIG "adapter_config.json"
#define MD_LORA_WEIGHTS "adapter_model.safetensors"

typedef struct md_lora md_lora;

/* For networks of this one's shape; parameters are zero. MDLM_USAGE naming --lora when the rank is
 * not between 1 and the width. `gradients`: allocate them. Caller frees *out. */
mdlm_status md_lora_new(const md_transformer *net, int rank, bool gradients, md_lora **out,
                        mdlm_error *err);
void md_lora_free(md_lora *lora); /* accepts NULL */

/* A: normal(0, 1 / in), so that A x of normed x is of size 1; B zero: nothing changes yet. */
void md_lora_init(md_lora *lora, uint64_t seed);
int md_lora_rank(const md_lora *lora);
md_params *md_lora_params(md_lora *lora);

/* Every pass of the network adds the adapters from now on, which must outlive it; NULL: no more.
 * They are of the network's shape. */
void md_transformer_set_lora(md_transformer *net, const md_lora *lora);

/* Adds B A to the weights, which must not be packed yet. The network computes what it did with the
 * adapters set, to rounding; they must not be set. */
void md_lora_merge(const md_lora *lora, md_transformer *net);

/* Writes both files. `base`: where the network came from, as base_model_name_or_path; relative to
 * the adapter's folder or to where commands are run. */
mdlm_status md_lora_save(const md_lora *lora, const char *folder, const char *base,
                         mdlm_error *err);
/* Reads values from the folder's files, for adapters of the rank that they have. Untouched on
 * failure. */
mdlm_status md_lora_read(md_lora *lora, const char *folder, mdlm_error *err);
/* The folder's adapters for a network, without gradients. `weights`, unless NULL: the values are in
 * this file, under the names of md_lora_params (a checkpoint's). */
mdlm_status md_lora_load(const char *folder, const char *weights, const md_transformer *net,
                         md_lora **out, mdlm_error *err);

/* Whether the folder holds adapters and no network of its own. */
bool md_lora_in(const char *folder);
/* The folder of the network that they belong to: base_model_name_or_path, if relative below the
 * adapters' folder or else as it stands. MDLM_INPUT when it is in neither place. Caller frees *out
 * with md_free. */
mdlm_status md_lora_base(const char *folder, char **out, mdlm_error *err);
/* Where a model folder's file of this name is: in the folder itself, or, where that holds adapters
 * and no such file, with the network that they belong to. Caller frees *out with md_free. */
mdlm_status md_lora_home(const char *folder, const char *name, char **out, mdlm_error *err);

#endif
