/* cli/html.c: see html.h. */
#include "cli/html.h"

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/html_page.h"

struct md_html {
    const mdlm_model *model;
    md_writer *writer;
    int32_t mask_id;
    int vocab, length;
    int32_t *ids;     /* [length] as they were at the last step */
    int32_t *first;   /* [length] as they were at the first, */
    float *set_with;  /* [length] with their confidence: what was given is known at the end only */
    uint8_t *used;    /* [vocab] 1: the page needs the token's bytes */
    md_buffer steps;  /* "[[3,97,0.5],...],\n" for each step */
    mdlm_error error; /* sticks */
};

mdlm_status md_html_open(const char *path, const mdlm_model *model, md_html **out,
                         mdlm_error *err) {
    mdlm_model_info info = mdlm_info(model);
    md_html *h = md_alloc(1, sizeof *h, err);
    if (!h) return MDLM_RUNTIME;
    *h = (md_html){.model = model, .mask_id = info.mask_id, .vocab = info.vocab};
    h->used = md_alloc((size_t)info.vocab, sizeof *h->used, err);
    mdlm_status status = h->used ? md_writer_open(path, &h->writer, err) : MDLM_RUNTIME;
    if (status == MDLM_OK)
        *out = h;
    else
        md_html_free(h);
    return status;
}

void md_html_free(md_html *h) {
    if (!h) return;
    md_writer_free(h->writer);
    md_buffer_release(&h->steps);
    md_free(h->ids);
    md_free(h->first);
    md_free(h->set_with);
    md_free(h->used);
    md_free(h);
}

static mdlm_status start(md_html *h, const mdlm_step *step, mdlm_error *err) {
    size_t length = (size_t)step->length;
    h->ids = md_alloc(length, sizeof *h->ids, err);
    h->first = md_alloc(length, sizeof *h->first, err);
    h->set_with = md_alloc(length, sizeof *h->set_with, err);
    if (!h->ids || !h->first || !h->set_with) return MDLM_RUNTIME;
    memcpy(h->ids, step->ids, length * sizeof *h->ids);
    memcpy(h->first, step->ids, length * sizeof *h->first);
    memcpy(h->set_with, step->confidence, length * sizeof *h->set_with);
    h->length = step->length;
    return MDLM_OK;
}

static mdlm_status note_change(md_html *h, md_buffer *out, int position, int32_t id,
                               double confidence, mdlm_error *err) {
    h->used[id] = 1;
    return md_buffer_printf(out, err, "[%d,%d,%.4g],", position, (int)id, confidence);
}

static mdlm_status note_changes(md_html *h, const mdlm_step *step, mdlm_error *err) {
    if (!h->ids) return start(h, step, err);
    MD_TRY(md_buffer_text(&h->steps, "[", err));
    for (int i = 0; i < h->length; i++) {
        if (step->ids[i] == h->ids[i]) continue;
        h->ids[i] = step->ids[i];
        MD_TRY(note_change(h, &h->steps, i, step->ids[i], (double)step->confidence[i], err));
    }
    return md_buffer_text(&h->steps, "],\n", err);
}

void md_html_step(md_html *h, const mdlm_step *step) {
    if (h->error.status == MDLM_OK) (void)note_changes(h, step, &h->error);
}

static mdlm_status write_bytes(md_html *h, const char *bytes, size_t size, mdlm_error *err) {
    for (size_t i = 0; i < size; i++)
        MD_TRY(md_writer_printf(h->writer, err, "%02x", (unsigned)(unsigned char)bytes[i]));
    return MDLM_OK;
}

static mdlm_status write_tokens(md_html *h, mdlm_error *err) {
    MD_TRY(md_writer_printf(h->writer, err, "tokens: {"));
    for (int32_t id = 0; id < h->vocab; id++) {
        char *text = NULL;
        size_t size = 0;
        if (!h->used[id]) continue;
        MD_TRY(mdlm_detokenize(h->model, &id, 1, &text, &size, err));
        mdlm_status status = md_writer_printf(h->writer, err, "%d: '", (int)id);
        if (status == MDLM_OK) status = write_bytes(h, text, size, err);
        mdlm_text_free(text);
        MD_TRY(status);
        MD_TRY(md_writer_printf(h->writer, err, "',"));
    }
    return md_writer_printf(h->writer, err, "},\n");
}

/* Whatever lies in no hole is given; the rest of the first canvas was set at the first step. */
static mdlm_status write_first(md_html *h, const mdlm_sample *s, md_buffer *step, mdlm_error *err) {
    int hole = 0;
    MD_TRY(md_writer_printf(h->writer, err, "given: ["));
    for (int i = 0; i < s->length; i++) {
        while (hole < s->hole_count && i >= s->holes[hole].start + s->holes[hole].length) hole++;
        bool open = hole < s->hole_count && i >= s->holes[hole].start;
        if (open && h->first && h->first[i] != h->mask_id)
            MD_TRY(note_change(h, step, i, h->first[i], (double)h->set_with[i], err));
        if (open) continue;
        h->used[s->ids[i]] = 1;
        MD_TRY(md_writer_printf(h->writer, err, "[%d,%d],", i, (int)s->ids[i]));
    }
    return md_writer_printf(h->writer, err, "],\n");
}

static mdlm_status write_page(md_html *h, const mdlm_sample *sample, const char *caption,
                              md_buffer *first, mdlm_error *err) {
    MD_TRY(md_writer_printf(h->writer, err,
                            "%s<p>%s</p>\n<script>\nconst data = {mask: %d, length: %d,\n",
                            md_html_head, caption, (int)h->mask_id, sample->length));
    MD_TRY(md_buffer_text(first, "[", err));
    MD_TRY(write_first(h, sample, first, err));
    MD_TRY(md_buffer_text(first, "],\n", err));
    MD_TRY(write_tokens(h, err));
    MD_TRY(md_writer_printf(h->writer, err, "steps: [\n"));
    if (h->first) MD_TRY(md_writer_write(h->writer, first->data, first->size, err));
    if (h->steps.size > 0) MD_TRY(md_writer_write(h->writer, h->steps.data, h->steps.size, err));
    MD_TRY(md_writer_printf(h->writer, err, "]};\n</script>\n%s", md_html_tail));
    return md_writer_commit(h->writer, err);
}

mdlm_status md_html_save(md_html *h, const mdlm_sample *sample, const char *caption,
                         mdlm_error *err) {
    md_buffer first = {0};
    if (h->error.status != MDLM_OK) {
        if (err) *err = h->error;
        return h->error.status;
    }
    mdlm_status status = write_page(h, sample, caption, &first, err);
    md_buffer_release(&first);
    return status;
}
