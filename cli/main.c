/* cli/main.c: the program `mdlm`: finds the command, reads its options, runs it, reports.
 *
 * Exit codes are the values of mdlm_status; 128 + n when signal n ended the command.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/signals.h"

#define COMMAND_ROW(name) &md_cmd_##name,
static const md_command *const commands[] = {MD_COMMANDS(COMMAND_ROW)};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const md_option_alias common_aliases[] = {
    {"-s", "seed"}, {"-t", "threads"}, {"-q", "quiet"},
    {"-h", "help"}, {"-V", "version"}, {NULL, NULL},
};
static const md_option_alias model_aliases[] = {{"-m", "model"}, {NULL, NULL}};

static const char overview[] =
    "mdlm: train and run masked-diffusion language models\n"
    "\n"
    "Examples:\n"
    "  mdlm corpus tales --out tales.txt          write a small corpus to try things with\n"
    "  mdlm train tales.txt                       train a model into the folder mdlm-run\n"
    "  mdlm generate --blocks 8                   let it write, and watch\n"
    "  mdlm generate -p 'Once upon a time' -n 64  go on from a prompt\n"
    "  mdlm eval other.txt                        how well it predicts a text\n"
    "\n"
    "Commands:\n";

static mdlm_status print_version(mdlm_error *err) {
    return md_cli_print(err, "mdlm %s\n", mdlm_version());
}

static mdlm_status print_overview(mdlm_error *err) {
    MD_TRY(md_cli_print(err, "%s", overview));
    for (int i = 0; i < COMMANDS; i++) {
        MD_TRY(md_cli_print(err, "  %-14s %s\n", commands[i]->name, commands[i]->summary));
    }
    return md_cli_print(err, "\nmdlm COMMAND --help shows the options of a command, mdlm --version "
                             "the version.\n");
}

static mdlm_status print_help(const md_cli *cli, mdlm_error *err) {
    const md_command *c = cli->command;
    md_buffer options = {0};
    mdlm_status status = md_options_help(cli->options, &options, err);
    if (status == MDLM_OK) {
        const char *space = *c->arguments ? " " : "";
        status = md_cli_print(err, "%s\n\nExamples:\n%s\nUsage: mdlm %s%s%s [OPTION...]\n\n%s",
                              c->summary, c->examples, c->name, space, c->arguments, options.data);
    }
    if (status == MDLM_OK && c->notes) status = md_cli_print(err, "\n%s", c->notes);
    md_buffer_release(&options);
    return status;
}

static mdlm_status unknown_command(const char *word, mdlm_error *err) {
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i]->name;
    if (word[0] == '-') {
        return md_fail(err, MDLM_USAGE,
                       "unknown option '%s' (options follow the command: mdlm "
                       "train corpus.txt --steps 100)",
                       word);
    }
    const char *near = md_suggest(word, names, COMMANDS);
    if (!near) {
        return md_fail(err, MDLM_USAGE, "unknown command '%s' (mdlm --help lists them)", word);
    }
    return md_fail(err, MDLM_USAGE, "unknown command '%s'; did you mean '%s'?", word, near);
}

static const md_command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    }
    return NULL;
}

/* Adds a list that ends with {NULL, NULL}, or none; returns how many there are now. */
static size_t add_aliases(md_option_alias *all, size_t count, const md_option_alias *more) {
    for (; more && more->flag; more++) {
        MD_BUG_IF(count + 1 >= MD_CLI_MAX_ALIASES);
        all[count++] = *more;
    }
    return count;
}

/* The command's own tables first, then the model's place, then what all commands share. */
static md_options *bind_options(md_cli *cli, mdlm_error *err) {
    const md_command *c = cli->command;
    md_option_group groups[MD_CLI_MAX_SECTIONS + 2];
    md_option_alias aliases[MD_CLI_MAX_ALIASES] = {{0}};
    size_t count = 0, alias_count = add_aliases(aliases, 0, c->aliases);
    for (const md_cli_section *s = c->sections; s && s->title; s++) {
        MD_BUG_IF(count == MD_CLI_MAX_SECTIONS);
        groups[count++] = (md_option_group){s->title, s->table, cli->settings};
    }
    if (c->has_model) {
        groups[count++] = (md_option_group){"Model", md_cli_model_table, &cli->common};
        alias_count = add_aliases(aliases, alias_count, model_aliases);
    }
    groups[count++] = (md_option_group){"General", md_cli_common_table, &cli->common};
    add_aliases(aliases, alias_count, common_aliases);
    return md_options_new(groups, count, aliases, err);
}

static bool asks_for_help(int argc, char *const *argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    }
    return false;
}

/* Options of an earlier run, below those given now. What was about that one call is left out. */
static mdlm_status apply_config(md_cli *cli, mdlm_error *err) {
    static const char *const passing[] = {"help", "version", "config",    "quiet",
                                          "json", "resume",  "overwrite", "threads"};
    enum { LARGEST = 1 << 26 };
    const char *path = cli->common.config;
    cJSON *root = NULL;
    MD_TRY(md_json_load(path, LARGEST, &root, err));
    cJSON *options = cJSON_GetObjectItemCaseSensitive(root, "options");
    if (!options) options = root;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(options, passing[i]);
    }
    mdlm_status status = md_options_from_json(cli->options, options, path, err);
    cJSON_Delete(root);
    return status;
}

static mdlm_status check_arguments(const md_cli *cli, mdlm_error *err) {
    const md_command *c = cli->command;
    size_t count = md_options_positional_count(cli->options);
    if (count < c->min_positional) {
        return md_fail(err, MDLM_USAGE, "mdlm %s needs %s (mdlm %s --help)", c->name, c->arguments,
                       c->name);
    }
    if (count > c->max_positional) {
        const char *extra = md_options_positional(cli->options, c->max_positional);
        return md_fail(err, MDLM_USAGE, "unexpected argument '%s' (mdlm %s --help)", extra,
                       c->name);
    }
    return MDLM_OK;
}

/* What every command needs to know, from options and environment (which only cli/ reads). */
static void settle(md_cli *cli) {
    const char *kernels = getenv("MDLM_KERNELS");
    if (*cli->common.kernels) kernels = cli->common.kernels;
    cli->kernels = kernels && *kernels ? kernels : NULL;
    cli->threads = (int)cli->common.threads;
    if (cli->threads < 1) cli->threads = md_pool_default_threads();
    cli->run = *cli->common.run ? cli->common.run : md_cli_default_run(cli);
    cli->model = *cli->common.model ? cli->common.model : cli->run;
}

static mdlm_status run_command(md_cli *cli, mdlm_error *err) {
    const int skipped = 2; /* the program and the command */
    mdlm_status status = MDLM_RUNTIME;
    cli->settings = md_alloc(1, cli->command->settings_size, err);
    if (!cli->settings) goto done;
    cli->options = bind_options(cli, err);
    if (!cli->options) goto done;
    status = md_options_parse(cli->options, cli->argc - skipped, cli->argv + skipped, err);
    if (status == MDLM_OK ? cli->common.help
                          : asks_for_help(cli->argc - skipped, cli->argv + skipped)) {
        status = print_help(cli, err);
        goto done;
    }
    if (status != MDLM_OK) goto done;
    if (cli->common.version) {
        status = print_version(err);
        goto done;
    }
    if (*cli->common.config) MD_GOTO(done, status, apply_config(cli, err));
    MD_GOTO(done, status, check_arguments(cli, err));
    settle(cli);
    cli->blas = md_cli_blas_settle();
    status = cli->command->run(cli, err);
done:
    md_options_free(cli->options);
    md_free(cli->settings);
    return status;
}

static mdlm_status dispatch(int argc, char **argv, mdlm_error *err) {
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) {
        MD_TRY(print_overview(err));
        return md_fail(err, MDLM_USAGE, "a command is missing");
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) return print_version(err);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return print_overview(err);
    if (strcmp(word, "help") == 0 && argc == 2) return print_overview(err);
    bool help = strcmp(word, "help") == 0;
    if (help) word = argv[2];
    const md_command *command = find_command(word);
    if (!command) return unknown_command(word, err);
    char *ask[] = {argv[0], argv[1], (char[]){"--help"}, NULL};
    md_cli cli = {.command = command, .argc = help ? 3 : argc, .argv = help ? ask : argv};
    cli.common.model = ""; /* for commands without --model */
    return run_command(&cli, err);
}

/* A descriptor that is closed at the start would be given to the next file opened, and what is
 * meant for the screen would end up in it. Opened the wrong way round, its use is an error. */
static void guard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
}

int main(int argc, char **argv) {
    mdlm_error err = {0}, late = {0};
    guard_descriptors();
    md_cli_signals_ignore_writes();
    mdlm_status status = dispatch(argc, argv, &err);
    if (md_cli_flush(&late) != MDLM_OK && status == MDLM_OK) {
        status = late.status;
        err = late;
    }
    if (status != MDLM_OK && err.message[0]) fprintf(stderr, "mdlm: %s\n", err.message);
    int number = md_cli_signal();
    if (number && (status == MDLM_OK || status == MDLM_CANCELLED)) return 128 + number;
    return status == MDLM_CANCELLED ? MDLM_RUNTIME : (int)status;
}
