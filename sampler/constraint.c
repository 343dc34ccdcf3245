/* sampler/constraint.c: see constraint.h. */
#include "sampler/constraint.h"

#include <string.h>

static int given_count(const md_canvas *c) {
    int given = 0;
    for (int j = 0; j < c->length; j++) given += c->given && c->given[j];
    return given;
}

mdlm_status md_constraint_check(const md_constraint *constraint, const md_canvas *c,
                                mdlm_error *err) {
    size_t T = (size_t)c->length;
    for (int k = 0; k < c->samples; k++) {
        const int32_t *ids = c->ids + (size_t)k * T;
        if (k > 0 && !memcmp(ids, ids - T, T * sizeof *ids)) continue; /* mostly they are alike */
        if (constraint->begin(constraint->context, ids, c->length)) continue;
        return md_fail(err, MDLM_USAGE,
                       "nothing satisfies the constraint: no text of %d tokens does, of which %d "
                       "are given",
                       c->length, given_count(c));
    }
    return MDLM_OK;
}

bool md_constraint_lets(const md_constraint *constraint, const int32_t *ids, int length,
                        const int32_t *positions, int count, int32_t token, uint8_t *allowed) {
    if (!constraint->begin(constraint->context, ids, length)) return false;
    for (int i = 0; i < count; i++) {
        constraint->allow(constraint->context, positions[i], allowed);
        if (!allowed[token]) return false;
        constraint->fix(constraint->context, positions[i], token);
    }
    return true;
}
