/* sampler/edit.c: see edit.h. */
#include "sampler/edit.h"

void md_edit_mark(const md_block_step *b, uint8_t *edit) {
    bool on = b->options->edit_threshold > 0;
    for (int j = 0; j < b->length; j++) edit[j] = on && b->ids[j] != b->mask_id;
}

bool md_edit_due(const md_block_step *b, const uint8_t *edit, int j) {
    const md_proposal *p = &b->proposal[j];
    const md_sampler_options *opt = b->options;
    if (!edit[j] || b->ids[j] == b->mask_id) return false;
    if (opt->end_of_text == MD_END_LATE && p->best == opt->end_of_text_id) return false;
    return p->best != b->ids[j] && p->best_confidence > opt->edit_threshold;
}
