/* corpora/samples.h: texts that a model wrote, held in memory one after another.
 *
 *     md_samples samples = {0};
 *     MD_TRY(md_samples_read(&samples, "out.jsonl", err));
 *     for (size_t i = 0; i < samples.count; i++) use(md_sample(&samples, i, &size), size);
 *     md_samples_release(&samples);
 *
 * A file that begins with '{' is JSON lines as `mdlm generate --json` writes them: the sample is
 * the string in "text". Other text is cut at lines `--- sample K`, where each sample ends with one
 * line feed that is not part of it, as `mdlm generate` writes them; without such lines the file is
 * one sample. Empty samples are kept. JSON holds neither
 * bytes that are not UTF-8 nor NUL as they are: both are U+FFFD. Files may be compressed (.gz).
 */
#ifndef MD_CORPORA_SAMPLES_H
#define MD_CORPORA_SAMPLES_H

#include "base/buffer.h"

enum { MD_SAMPLES_MOST = 1 << 23 }; /* bytes of a file's samples together, and one for each */

typedef struct md_samples { /* init with {0} */
    md_buffer text;
    size_t *ends; /* [count] in text */
    size_t count, capacity;
} md_samples;

/* Adds all samples of a file. MDLM_INPUT when it cannot be read, is empty, has a line that is not
 * an object with a string "text" (the line is named), or more than MD_SAMPLES_MOST bytes of text.
 */
mdlm_status md_samples_read(md_samples *samples, const char *path, mdlm_error *err);
mdlm_status md_samples_add(md_samples *samples, const char *text, size_t size, mdlm_error *err);
/* Not NUL-terminated; valid until the next one is added. */
const char *md_sample(const md_samples *samples, size_t i, size_t *size);
void md_samples_release(md_samples *samples);

#endif
