/* cli/terminal.h: what stderr and stdout can show, and a progress line that is redrawn in place.
 *
 *     md_progress progress = md_progress_start(cli->common.quiet);
 *     md_progress_show(&progress, "12/100 ...");          on a terminal only
 *     md_progress_print(&progress, "saved in 'x'");       a line of its own that stays
 *     md_progress_clear(&progress);
 */
#ifndef MD_CLI_TERMINAL_H
#define MD_CLI_TERMINAL_H

#include "base/buffer.h"

typedef struct md_terminal {
    bool live;  /* a terminal that can move its cursor */
    bool color; /* live, and NO_COLOR is not set */
    bool utf8;  /* the locale's names say UTF-8 */
    int columns, rows;
} md_terminal;

md_terminal md_terminal_of(int descriptor);

typedef struct md_progress {
    bool live, quiet;
    bool shown; /* a progress line is on the screen */
} md_progress;

md_progress md_progress_start(bool quiet);
void md_progress_show(md_progress *p, const char *text); /* cut to the width of the terminal */
void md_progress_print(md_progress *p, const char *text);
void md_progress_clear(md_progress *p);

enum { MD_SHORT_TEXT = 32 };

/* "[######..............]", `share` in 0..1 of `width` cells. */
void md_bar_text(double share, int width, char out[64]);
void md_duration_text(double seconds, char out[MD_SHORT_TEXT]); /* "42s", "3m12s", "1h02m" */
void md_quantity_text(double value, char out[MD_SHORT_TEXT]);   /* "950", "31.2k", "10.8M" */

/* Columns that the character at `text` takes on a terminal (0 for combining marks), and its bytes
 * in *length; invalid UTF-8 is one byte and one column wide. */
int md_terminal_width(const char *text, size_t size, size_t *length);

/* Appends text that cannot upset a terminal: control characters become spaces, bytes that are no
 * UTF-8 become U+FFFD. The first makes one line of it, the second keeps line feeds. */
mdlm_status md_terminal_line(md_buffer *out, const char *text, size_t size, mdlm_error *err);
mdlm_status md_terminal_text(md_buffer *out, const char *text, size_t size, mdlm_error *err);

#endif
