/* cli/sampling.h: the options of sampling, for every command that fills canvases.
 *
 *     typedef struct chat_options {
 *         md_cli_sampling sampling;                 first, so that its tables fit the struct
 *         CHAT_OPTIONS(MD_OPTION_FIELD)
 *     } chat_options;
 *     static const md_cli_section sections[] = {{"Chat", table},
 *                                               {"Sampling", md_cli_sampling_table},
 *                                               {"Constraints", md_cli_constraint_table},
 *                                               {NULL, NULL}};
 *     ...
 *     md_cli_tokens tokens = {0};
 *     mdlm_fill_options fill;
 *     status = md_cli_sampling_fill(cli, &opt->sampling, model, &tokens, &fill, err);
 *     fill.blocks = ...                             length and blocks are the command's
 *     status = mdlm_fill(model, spans, count, &fill, &result, err);
 *     md_cli_tokens_release(&tokens);               once `fill` is used no more
 */
#ifndef MD_CLI_SAMPLING_H
#define MD_CLI_SAMPLING_H

#include "cli/common.h"
#include "cli/output.h"

/* With the defaults in which commands differ. */
#define MD_CLI_SAMPLING_OPTIONS(X, SAMPLER, TEMPERATURE) \
    X(CHOICE, sampler, SAMPLER, 0, 0, \
      "ancestral|first-hitting=first_hitting|random|left=left-to-right=left_to_right|" \
      "confidence=low_confidence=maskgit_plus|margin=topk_margin|entropy|origin|threshold|factor|" \
      "remdm-cap=remdm_cap|remdm-rescale=remdm_rescale|remdm-conf=remdm_conf|" \
      "remdm-loop=remdm_loop: which masks a step fills; left if the model sees only the past") \
    X(INT, steps, 0, 1, 1048576, \
      "sampling steps in all; one per new token if not given; first-hitting, threshold, factor " \
      "and " \
      "models that see only the past take as many as they need") \
    X(CHOICE, step_schedule, "linear", 0, 0, \
      "linear|cosine: how tokens fall over the steps; cosine: few at first") \
    X(REAL, temperature, TEMPERATURE, 0, 100, \
      "1: the model's own distribution; 0: the likeliest token") \
    X(INT, top_k, 0, 0, 1000000, "draw from the k likeliest tokens; 0: from all") \
    X(REAL, top_p, 1, 1e-9, 1, "draw from the likeliest tokens that make up this probability") \
    X(REAL, threshold, 0.9, 0, 1, "threshold: set every token from this confidence on") \
    X(REAL, factor, 1, 1e-6, 1000, "factor: larger sets more tokens at once") \
    X(REAL, eta, 0, 1e-9, 1, "remdm-*: how much is masked again; the paper's if not given") \
    X(REAL, alg_temp, 0, 0, 100, \
      "confidence, margin, entropy: draw positions from their scores; 0: take the best") \
    X(REAL, edit_threshold, 0, 0, 0.999999, \
      "rewrite a token of the block when another has more than this probability; 0: never") \
    X(REAL, guidance_scale, 1, 0, 100, "how much more the given text counts; 1: off") \
    X(CHOICE, compat, "none", 0, 0, "none|llada|dream: whose rounding of steps to follow") \
    X(CHOICE, cache, "exact", 0, 0, \
      "exact|none|prefix|dual: what is kept between steps; prefix and dual approximate") \
    X(FLAG, verify_cache, false, 0, 0, "compute without the cache too, and print the difference")

#define MD_CLI_CONSTRAINT_OPTIONS(X, END_OF_TEXT) \
    X(CHOICE, end_of_text, END_OF_TEXT, 0, 0, \
      "keep|stop|forbid|late: a token like others; the text ends there, and what follows is " \
      "cut; never drawn; set last") \
    X(TEXT, allow_tokens, "", 0, 0, "draw from these alone: ids and quoted texts: 10,\" the\"") \
    X(TEXT, forbid_tokens, "", 0, 0, "never draw these") \
    X(TEXT, regex, "", 0, 0, "regular expression that the new text matches from end to end")

typedef struct md_cli_sampling {
    MD_CLI_SAMPLING_OPTIONS(MD_OPTION_FIELD, , )
    MD_CLI_CONSTRAINT_OPTIONS(MD_OPTION_FIELD, )
} md_cli_sampling;

/* generate's: the model's own distribution; chat's: the likeliest answer, up to end-of-text. */
extern const md_option md_cli_sampling_table[], md_cli_constraint_table[];
extern const md_option md_cli_answer_sampling_table[], md_cli_answer_constraint_table[];
/* --temp and other names that users know; a command adds its own before them. */
#define MD_CLI_SAMPLING_ALIASES \
    {"--temp", "temperature"}, {"--alg-temperature", "alg_temp"}, { \
        "--eos", "end_of_text" \
    }

/* Token lists, where mdlm_fill_options points to. */
typedef struct md_cli_tokens {
    int32_t *allowed, *forbidden;
} md_cli_tokens;
void md_cli_tokens_release(md_cli_tokens *tokens); /* accepts an empty struct */

/* The sampler that will run: the one given, or what suits the model. */
const char *md_cli_sampler(const md_cli *cli, const md_cli_sampling *s, const mdlm_model *model);

/* Starts from mdlm_fill_defaults() and sets all that the options and --seed say. MDLM_USAGE for a
 * malformed list of tokens, or a text in it that is not one token. Release `tokens` also after a
 * failure. */
mdlm_status md_cli_sampling_fill(const md_cli *cli, const md_cli_sampling *s,
                                 const mdlm_model *model, md_cli_tokens *tokens,
                                 mdlm_fill_options *fill, mdlm_error *err);

/* Adds up the drifts of batches; initialise with {0}. */
void md_cli_drift_add(mdlm_drift *sum, const mdlm_result *result);
/* "cache dual (approximate): 120 rows, ...", one line on stderr. */
void md_cli_drift_note(const md_cli_sampling *s, const mdlm_drift *drift);
/* A member "drift" of the object, when the result has one. */
void md_cli_drift_json(md_json_line *line, const mdlm_result *result);

#endif
