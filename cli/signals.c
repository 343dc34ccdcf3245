/* cli/signals.c: see signals.h. */
#include "cli/signals.h"

#include <signal.h>
#include <stddef.h>

/* The one variable of the program that outlives calls: a handler has no other place to write. */
static volatile sig_atomic_t caught;

static void note_signal(int number) {
    if (caught) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    caught = number;
}

void md_cli_signals_catch(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old, action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        /* What was ignored when we started (nohup, background jobs) stays ignored. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) continue;
        sigaction(numbers[i], &action, NULL);
    }
}

void md_cli_signals_ignore_writes(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int md_cli_signal(void) {
    return caught;
}
