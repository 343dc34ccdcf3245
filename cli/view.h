/* cli/view.h: a canvas being unmasked, redrawn in place on a terminal.
 *
 *     md_view view = md_view_start(model, true, false);
 *     opt.on_step = ...: md_view_step(&view, step);
 *     md_view_clear(&view);                            the final text goes where the picture was
 *
 * Shows the first canvas of a batch, wrapped to the width and clipped to the height of the
 * terminal around the first mask, at most twenty times a second. A mask is a dim block. Uses
 * nothing but mdlm.h and the terminal.
 */
#ifndef MD_CLI_VIEW_H
#define MD_CLI_VIEW_H

#include "cli/terminal.h"

typedef struct md_view {
    const mdlm_model *model;
    md_terminal terminal;
    int32_t mask_id;
    bool on;
    int lines;    /* on the screen now */
    double drawn; /* md_now() of the last picture */
} md_view;

/* `shown`: draw when stderr and stdout are terminals; `forced`: draw whatever they are. */
md_view md_view_start(const mdlm_model *model, bool shown, bool forced);
void md_view_step(md_view *view, const mdlm_step *step);
void md_view_clear(md_view *view);

#endif
