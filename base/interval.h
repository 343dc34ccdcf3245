/* base/interval.h: how far a share of successes may be from the truth.
 *
 *     md_interval ci = md_wilson(85, 100);          0.767 .. 0.907
 *
 * Wilson's score interval (Wilson 1927) at 95%: it stays within [0, 1] and is sound for few trials
 * and for shares near 0 and 1, where share +- 2 standard errors is not.
 */
#ifndef MD_BASE_INTERVAL_H
#define MD_BASE_INTERVAL_H

#include <stdint.h>

typedef struct md_interval {
    double low, high;
} md_interval;

md_interval md_wilson(int64_t successes, int64_t trials); /* [0, 1] for no trials */

#endif
