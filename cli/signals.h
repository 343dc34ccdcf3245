/* cli/signals.h: Ctrl-C and SIGTERM end a command in an orderly way.
 *
 *     md_cli_signals_catch();
 *     ... callbacks return non-zero when md_cli_signal() != 0: partial work is saved or printed ...
 *
 * A second signal ends the process at once. main.c turns a caught signal into exit code 128 + n.
 * Commands that do not poll leave the default action in place.
 */
#ifndef MD_CLI_SIGNALS_H
#define MD_CLI_SIGNALS_H

void md_cli_signals_catch(void); /* SIGINT, SIGTERM, SIGHUP */
/* A closed pipe, or a file at the limit of its size, becomes a write error, not a death. */
void md_cli_signals_ignore_writes(void);
int md_cli_signal(void); /* the signal caught so far, or 0 */

#endif
