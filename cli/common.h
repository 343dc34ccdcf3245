/* cli/common.h: what every command shares.
 *
 * A command is one file cmd_NAME.c that defines `const md_command md_cmd_NAME`, and one row in
 * cli/commands.h. main.c parses its options, settles threads and kernels, and calls `run`:
 *
 *     #define SCORE_OPTIONS(X) X(TEXT, prompt, "", 0, 0, "what is given")
 *     typedef struct score_options { SCORE_OPTIONS(MD_OPTION_FIELD) } score_options;
 *     #define MD_OPTION_STRUCT score_options
 *     static const md_option table[] = {SCORE_OPTIONS(MD_OPTION_ROW){0}};
 *     #undef MD_OPTION_STRUCT
 *     static const md_cli_section sections[] = {{"Score", table}, {NULL, NULL}};
 *     static mdlm_status run(md_cli *cli, mdlm_error *err) { score_options *opt = cli->settings; }
 *     const md_command md_cmd_score = {.name = "score", .sections = sections, .run = run, ...};
 *
 * `run` prints results on stdout, everything else on stderr, and returns a status; main.c prints
 * the error, checks that stdout took everything, and turns the status into the exit code.
 */
#ifndef MD_CLI_COMMON_H
#define MD_CLI_COMMON_H

#include "base/options.h"
#include "cli/blas.h"
#include "tokenizer/tokenizer.h"

#define MD_CLI_DEFAULT_RUN "mdlm-run"
#define MD_CLI_DEFAULT_IMAGE_RUN "mdlm-image-run"

#define MD_CLI_MODEL_OPTIONS(X) \
    X(TEXT, model, "", 0, 0, "run folder, Hugging Face model folder or GGUF file; empty: the run") \
    X(CHOICE, weights, "best", 0, 0, \
      "best=ema|last|raw: of a run: averaged at the best validation, averaged at the last " \
      "checkpoint, or that checkpoint's without averaging") \
    X(CHOICE, dtype, "auto", 0, 0, \
      "auto|f32|bf16|q8_0: operands of matrix products; sums stay f32. auto: f32, but for a " \
      "text model of over 4 GiB in f32 what it is stored in: bf16 for 16 bits, q8_0 for less")

#define MD_CLI_COMMON_OPTIONS(X) \
    X(TEXT, run, "", 0, 0, \
      "run folder; empty: " MD_CLI_DEFAULT_RUN ", of images " MD_CLI_DEFAULT_IMAGE_RUN) \
    X(INT, seed, 1, 0, 9007199254740991, "the same seed gives the same result") \
    X(INT, threads, 0, 1, 1024, "threads; every processor if not given") \
    X(TEXT, kernels, "", 0, 0, "kernels (see mdlm info); empty: $MDLM_KERNELS, or the best") \
    X(FLAG, quiet, false, 0, 0, "print nothing but results and errors") \
    X(FLAG, json, false, 0, 0, "results as JSON lines on stdout") \
    X(TEXT, config, "", 0, 0, "options from a run.json, below those given here") \
    X(FLAG, help, false, 0, 0, "show this help") \
    X(FLAG, version, false, 0, 0, "show the version")

typedef struct md_cli_common {
    MD_CLI_MODEL_OPTIONS(MD_OPTION_FIELD)
    MD_CLI_COMMON_OPTIONS(MD_OPTION_FIELD)
} md_cli_common;

extern const md_option md_cli_model_table[];
extern const md_option md_cli_common_table[];

/* A table of a command under its heading. All tables of a command describe one settings struct. */
typedef struct md_cli_section {
    const char *title; /* NULL ends the list */
    const md_option *table;
} md_cli_section;

enum { MD_CLI_MAX_SECTIONS = 8, MD_CLI_MAX_ALIASES = 48 };

typedef struct md_cli md_cli;

typedef struct md_command {
    const char *name;
    const char *arguments;          /* "[FILE]" in the usage line */
    const char *summary;            /* one line for `mdlm --help` */
    const char *examples;           /* whole lines, indented by two spaces */
    const char *notes;              /* shown after the options; may be NULL */
    size_t settings_size;           /* of the struct that the sections describe */
    const md_cli_section *sections; /* may be NULL */
    const md_option_alias *aliases; /* may be NULL */
    bool has_model;                 /* takes -m/--model */
    bool of_images;                 /* its default run is that of images */
    size_t min_positional, max_positional;
    mdlm_status (*run)(md_cli *cli, mdlm_error *err);
} md_command;

/* One call of a command. Everything belongs to main.c. */
struct md_cli {
    const md_command *command;
    md_cli_common common;
    void *settings; /* the command's struct */
    md_options *options;
    md_cli_blas blas;
    int argc; /* the whole command line, the program's name included */
    char *const *argv;
    int threads;         /* >= 1 */
    const char *kernels; /* NULL: the best */
    const char *run;     /* --run or the default */
    const char *model;   /* --model, or the run */
};

/* Loads cli->model. MDLM_INPUT with advice when there is nothing at that place. */
mdlm_status md_cli_load(const md_cli *cli, mdlm_model **out, mdlm_error *err);

/* The file of the weights that --weights names, freed with md_free; *path is left alone for the
 * published ones. MDLM_INPUT when the run has no checkpoint, or none that is averaged. */
mdlm_status md_cli_weights(const md_cli *cli, char **path, mdlm_error *err);

/* The only positional argument, or NULL. */
const char *md_cli_argument(const md_cli *cli);

/* A line on stderr, unless --quiet. */
void md_cli_note(const md_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* " (default)" or "": to say which settings nobody gave. */
const char *md_cli_defaulted(const md_cli *cli, const char *name);

/* Appends a word as a POSIX shell would need it. */
mdlm_status md_cli_quote(md_buffer *out, const char *word, mdlm_error *err);
/* Appends the command line as it can be typed again. */
mdlm_status md_cli_command_line(const md_cli *cli, md_buffer *out, mdlm_error *err);
/* Where the command's run is when nobody says. */
const char *md_cli_default_run(const md_cli *cli);
/* " --run DIR", or nothing for the default run: the tail of a command to type next. */
mdlm_status md_cli_run_flag(const md_cli *cli, md_buffer *out, mdlm_error *err);

/* Appends ids spelled as integers between white space or commas. MDLM_INPUT for one that is no
 * integer or not below `vocab`. */
mdlm_status md_cli_ids_parse(const char *text, size_t size, int vocab, md_ids *ids,
                             mdlm_error *err);
/* Appends everything from a file of any kind, or from stdin when the path is "-". */
mdlm_status md_cli_read(const char *path, md_buffer *out, mdlm_error *err);

#endif
