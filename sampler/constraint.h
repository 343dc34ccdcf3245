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
 * Committing any of the drawn tokens keeps it, too. One constraint serves one thread.
 */
#ifndef MD_SAMPLER_CONSTRAINT_H
#define MD_SAMPLER_CONSTRAINT_H

#include "base/error.h"

typedef struct md_constraint {
    void *context;
    /* ids [length]: a canvas, masks where nothing is set yet. False: nothing satisfies it. */
    bool (*begin)(void *context, const int32_t *ids, int length);
    void (*allow)(void *context, int position, uint8_t *allowed);
    void (*fix)(void *context, int position, int32_t token);
} md_constraint;

#endif
