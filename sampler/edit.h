/* sampler/edit.h: tokens that were set are looked at again (LLaDA 2.1).
 *
 * At every step the visible tokens that this block was given are predicted too, each from the whole
 * canvas with itself in it. After the rule has committed, one of them becomes its most probable
 * token where that is another and has more than edit_threshold:
 *
 *     x_i <- argmax p_i    if argmax p_i != x_i and max p_i > edit_threshold
 *
 * whatever the temperature; all from the predictions of one canvas, as they were when the step
 * began. End-of-text under MD_END_LATE has confidence 0, so nothing becomes it. With a constraint
 * an edit is made only if it fits what else stands on the canvas, from left to right.
 *
 * A rule that steps until its block is filled goes on until a step that began with nothing masked
 * has edited nothing, and for at most as many steps more as the block is long: tokens may take
 * turns for ever. Other rules edit in the steps that they have.
 */
#ifndef MD_SAMPLER_EDIT_H
#define MD_SAMPLER_EDIT_H

#include "sampler/rule.h"

/* Marks in edit [length] what is visible; nothing when options->edit_threshold is 0. */
void md_edit_mark(const md_block_step *b, uint8_t *edit);
/* Whether position j, which was marked and predicted, is to be rewritten. */
bool md_edit_due(const md_block_step *b, const uint8_t *edit, int j);

#endif
