/* cli/eta.h: a bar with the time that is left, for one long piece of work after another.
 *
 *     md_eta eta = md_eta_start(cli->common.quiet);
 *     md_eta_begin(&eta, "scoring");
 *     opt.on_progress = md_eta_update, opt.user = &eta;       a signal cancels
 *     ...
 *     md_eta_clear(&eta);
 *
 * What is done at once shows nothing. Where stderr is no terminal there is one line, after some
 * seconds, that says how long it takes.
 */
#ifndef MD_CLI_ETA_H
#define MD_CLI_ETA_H

#include <stdint.h>

#include "cli/terminal.h"

typedef struct md_eta {
    md_progress progress;
    const char *doing;
    double start, drawn;
    bool told;
} md_eta;

md_eta md_eta_start(bool quiet);
void md_eta_begin(md_eta *eta, const char *doing);
/* `user` is the md_eta; total 0: unknown. Returns the signal caught so far, or 0. */
int md_eta_update(void *user, int64_t done, int64_t total);
void md_eta_clear(md_eta *eta);

#endif
