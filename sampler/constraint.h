/* sampler/constraint.h: which tokens a position may take, given what the canvas already holds.
 *
 * The loop asks it for every draw, so that a filled canvas always satisfies it: tokens drawn in one
 * step are drawn one after the other, from left to right, each given those before it in the step.
 * What makes constraints (an automaton, say) implements these functions; the sampler does not know.
 *
 *     begin(context, ids);                         once per canvas and step
 *     for (positions drawn at this step, ascending)
 *         allow(context, position, allowed);       [V] 1: may stand here
 *         fix(context, position, token);           what was drawn
 *
 * If some assignment of the masked positions of `ids` satisfies the constraint, then `allow` leaves
 * at least one token at every masked position, and after `fix` of an allowed one this still holds.
 * Committing any of the drawn tokens keeps it, too, and so does masking visible ones again. One
 * constraint serves one thread.
 *
 * The sampler's options (`allowed`, a forbidden end-of-text) apply as well, and the constraint does
 * not see them: whoever makes it takes them into account, or a draw may find no token left, which
 * is MDLM_USAGE in the middle of a run.
 *
 * With several tokens drawn in a step this is not the model's law given the constraint: x_i is
 * drawn from p_i (of the canvas when the step began) among what the constraint allows given the
 * tokens before i, whose choice did not weigh what would be left for x_i.
 */
#ifndef MD_SAMPLER_CONSTRAINT_H
#define MD_SAMPLER_CONSTRAINT_H

#include "sampler/sampler.h"

struct md_constraint {
    void *context;
    /* ids [length]: a canvas, masks where nothing is set yet. False: nothing satisfies it. */
    bool (*begin)(void *context, const int32_t *ids, int length);
    void (*allow)(void *context, int position, uint8_t *allowed);
    void (*fix)(void *context, int position, int32_t token);
};

/* For the loop. `ids` is a canvas [length] and `allowed` work space [V]. */
/* MDLM_USAGE when nothing satisfies the constraint on one of the canvases. */
mdlm_status md_constraint_check(const md_constraint *constraint, const md_canvas *canvas,
                                mdlm_error *err);
/* Whether all these positions [count], ascending, which are masked, may hold `token`. */
bool md_constraint_lets(const md_constraint *constraint, const int32_t *ids, int length,
                        const int32_t *positions, int count, int32_t token, uint8_t *allowed);

#endif
