/* train/measure.c: see measure.h. */
#include "train/measure.h"

#include <stdio.h>

void md_measure_unit(const md_measure *m, char out[MD_MEASURE_TEXT]) {
    if (m->per)
        snprintf(out, MD_MEASURE_TEXT, "%s per %s", m->bits ? "bits" : "nats", m->per);
    else
        snprintf(out, MD_MEASURE_TEXT, "%s", m->loss);
}

void md_measure_key(const md_measure *m, const char *which, char out[MD_MEASURE_TEXT]) {
    if (which)
        snprintf(out, MD_MEASURE_TEXT, "%s_%s", which, m->loss);
    else
        snprintf(out, MD_MEASURE_TEXT, "%s_per_second", m->items);
}
