/* tests/test_base_interval.c: Wilson's interval. */
#include "tests/suite.h"

#include <math.h>

#include "base/interval.h"

/* Newcombe (1998), Statistics in Medicine 17, table I, method 3: to the four digits printed. */
START_TEST(intervals_are_those_of_newcombe) {
    const struct {
        int64_t successes, trials;
        double low, high;
    } rows[] = {{81, 263, .2553, .3662},
                {15, 148, .0624, .1605},
                {0, 20, .0, .1611},
                {1, 29, .0061, .1718}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        md_interval ci = md_wilson(rows[i].successes, rows[i].trials);
        ck_assert_double_eq_tol(ci.low, rows[i].low, 5.1e-5);
        ck_assert_double_eq_tol(ci.high, rows[i].high, 5.1e-5);
    }
}
END_TEST

/* The ends are the shares whose score statistic is z = 1.96: (p - x)^2 = z^2 x (1 - x) / n. */
START_TEST(ends_solve_the_equation_of_the_score) {
    for (int64_t n = 1; n <= 40; n += 3) {
        for (int64_t k = 0; k <= n; k++) {
            md_interval ci = md_wilson(k, n);
            double p = (double)k / (double)n, ends[2] = {ci.low, ci.high};
            ck_assert(ci.low >= 0 && ci.low <= p && p <= ci.high && ci.high <= 1);
            for (int e = 0; e < 2; e++) {
                double x = ends[e], right = 3.841458820694124 * x * (1 - x) / (double)n;
                ck_assert_double_eq_tol((p - x) * (p - x), right, 1e-12); /* rounding */
            }
        }
    }
    ck_assert(md_wilson(0, 0).low == 0 && md_wilson(0, 0).high == 1);
}
END_TEST

int main(void) {
    Suite *s = suite_create("base interval");
    suite_case(s, intervals_are_those_of_newcombe);
    suite_case(s, ends_solve_the_equation_of_the_score);
    return suite_run(s);
}
