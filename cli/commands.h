/* cli/commands.h: the command table, in the order of `mdlm --help`. A new command is one row here
 * and one file cmd_NAME.c. */
#ifndef MD_CLI_COMMANDS_H
#define MD_CLI_COMMANDS_H

#include "cli/common.h"

#define MD_COMMANDS(X) \
    X(train) \
    X(generate) \
    X(chat) \
    X(eval) \
    X(score) \
    X(tokenize) \
    X(convert) \
    X(corpus) \
    X(bench) \
    X(image_train) \
    X(image_generate) \
    X(image_eval) \
    X(info)

#define MD_COMMAND_DECLARATION(name) extern const md_command md_cmd_##name;
MD_COMMANDS(MD_COMMAND_DECLARATION)
#undef MD_COMMAND_DECLARATION

#endif
