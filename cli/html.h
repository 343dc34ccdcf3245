/* cli/html.h: the unmasking of one text as a page that plays it, one file without anything else.
 *
 *     md_html *html = NULL;
 *     MD_TRY(md_html_open("trace.html", model, &html, err));
 *     opt.on_step = ...: md_html_step(html, step);             of the first canvas of the batch
 *     status = md_html_save(html, mdlm_result_sample(result, 0), caption, err);
 *     md_html_free(html);                                      removes what was not saved
 *
 * The page holds the tokens that changed at every step, with the probability that they were set
 * with, and a small script that draws them. Text is in it as hexadecimal numbers alone, so that
 * nothing a model writes can be anything but text.
 */
#ifndef MD_CLI_HTML_H
#define MD_CLI_HTML_H

#include "base/error.h"

typedef struct md_html md_html;

/* Opens the file, so that a path that cannot be written is known before the work: MDLM_WRITE. The
 * old file stays until md_html_save. The model must outlive it. Caller frees *out. */
mdlm_status md_html_open(const char *path, const mdlm_model *model, md_html **out, mdlm_error *err);
void md_html_free(md_html *html); /* accepts NULL */

/* Notes what changed; a failure is told by md_html_save. */
void md_html_step(md_html *html, const mdlm_step *step);
/* `sample` says what was given; `caption`: one line of plain ASCII above the text. */
mdlm_status md_html_save(md_html *html, const mdlm_sample *sample, const char *caption,
                         mdlm_error *err);

#endif
