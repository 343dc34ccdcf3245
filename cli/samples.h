/* cli/samples.h: filled canvases on stdout: text, ids, or JSON lines. */
#ifndef MD_CLI_SAMPLES_H
#define MD_CLI_SAMPLES_H

#include "cli/output.h"

typedef enum md_samples_form { MD_SAMPLES_TEXT, MD_SAMPLES_IDS, MD_SAMPLES_JSON } md_samples_form;

/* Prints all samples of a result, then flushes. Text ends with one line feed and is written byte
 * for byte, unless a terminal would take some of the bytes as commands; `titled`: after a line that
 * says which sample it is. `seconds`: what the batch took. */
mdlm_status md_samples_print(const mdlm_result *result, md_samples_form form, bool titled,
                             double seconds, mdlm_error *err);

#endif
