/* base/interval.c: see interval.h. */
#include "base/interval.h"

#include <math.h>

static const double z = 1.959963984540054; /* 97.5% of a standard normal lies below */

md_interval md_wilson(int64_t successes, int64_t trials) {
    if (trials <= 0) return (md_interval){0, 1};
    double n = (double)trials, p = (double)successes / n;
    double middle = p + z * z / (2 * n), half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    double scale = 1 + z * z / n;
    /* exact where rounding would leave a little */
    return (md_interval){successes > 0 ? (middle - half) / scale : 0,
                         successes < trials ? (middle + half) / scale : 1};
}
