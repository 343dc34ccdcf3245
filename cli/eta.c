/* cli/eta.c: see eta.h. */
#include "cli/eta.h"

#include <stdio.h>

#include "base/file.h"
#include "cli/signals.h"

static const double REDRAW = 0.1, DRAW_AFTER = 0.5, TELL_AFTER = 10; /* seconds */

md_eta md_eta_start(bool quiet) {
    return (md_eta){.progress = md_progress_start(quiet)};
}

void md_eta_begin(md_eta *eta, const char *doing) {
    eta->doing = doing;
    eta->start = md_now();
    eta->told = false;
}

int md_eta_update(void *user, int64_t done, int64_t total) {
    md_eta *eta = user;
    const md_progress *p = &eta->progress;
    double now = md_now(), spent = now - eta->start;
    bool draw = p->live && spent > DRAW_AFTER && now - eta->drawn > REDRAW;
    bool tell = !p->live && !eta->told && spent > TELL_AFTER;
    if (done > 0 && total > 0 && (draw || tell)) {
        char line[160], bar[64], left[MD_SHORT_TEXT];
        double share = (double)done / (double)total;
        md_bar_text(share, 24, bar);
        md_duration_text(spent * (1 / share - 1), left);
        snprintf(line, sizeof line, "%s %s %.0f%%  ETA %s", eta->doing, bar, 100 * share, left);
        if (draw)
            md_progress_show(&eta->progress, line);
        else
            md_progress_print(&eta->progress, line);
        eta->drawn = now;
        eta->told = true;
    }
    return md_cli_signal();
}

void md_eta_clear(md_eta *eta) {
    md_progress_clear(&eta->progress);
}
