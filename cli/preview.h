/* cli/preview.h: a picture in the terminal, by whatever the terminal understands.
 *
 *     MD_TRY(md_preview_show(&grid, NULL, err));        nothing when stdout is no terminal
 *
 * kitty, Ghostty: kitty's graphics protocol. iTerm2, WezTerm: inline images. foot, mlterm, mintty:
 * sixel. Others, and all inside of tmux or screen, which swallow the three: a half block "▀" for
 * every two pixels, in 24-bit colour where COLORTERM says so, else in 256 colours.
 */
#ifndef MD_CLI_PREVIEW_H
#define MD_CLI_PREVIEW_H

#include "base/buffer.h"
#include "corpora/picture.h"

typedef enum md_preview {
    MD_PREVIEW_NONE,
    MD_PREVIEW_KITTY,
    MD_PREVIEW_ITERM,
    MD_PREVIEW_SIXEL,
    MD_PREVIEW_BLOCKS,     /* 24-bit colour */
    MD_PREVIEW_BLOCKS_256, /* xterm's palette */
} md_preview;

/* What decides it: variables of the environment, NULL where they are not set. */
typedef struct md_preview_facts {
    bool live;                                   /* md_terminal.live: stdout is a terminal */
    bool utf8;                                   /* and shows "▀" */
    bool plain;                                  /* NO_COLOR: no blocks */
    const char *term, *program, *colour;         /* TERM, TERM_PROGRAM, COLORTERM */
    const char *kitty, *lc_terminal, *multiplex; /* KITTY_WINDOW_ID, LC_TERMINAL, TMUX */
} md_preview_facts;

md_preview_facts md_preview_look(int descriptor);
md_preview md_preview_choose(const md_preview_facts *facts);

/* Appends what the terminal must be sent, a line feed at its end. Small pictures are enlarged by a
 * whole factor, pictures of blocks that are wider than `columns` are reduced. */
mdlm_status md_preview_encode(md_preview how, const md_picture *picture, int columns,
                              md_buffer *out, mdlm_error *err);

/* Shows it on stdout if that is a terminal that can; `shown` (may be NULL) says whether. */
mdlm_status md_preview_show(const md_picture *picture, bool *shown, mdlm_error *err);

#endif
