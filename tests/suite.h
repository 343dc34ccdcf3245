/* tests/suite.h: what every test program shares.
 *
 *     START_TEST(arena_rewind_reuses_memory) { ... } END_TEST
 *
 *     int main(void) {
 *         Suite *s = suite_create("arena");
 *         suite_case(s, arena_rewind_reuses_memory);
 *         return suite_run(s);
 *     }
 *
 * Names of tests are sentences. A tolerance states its reason.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>

#include "base/error.h"

/* Adds one test as a case of its own, named after the function. */
#define suite_case(suite, test) suite_case_named(suite, #test, test)
void suite_case_named(Suite *suite, const char *name, const TTest *test);

/* Runs and releases the suite; the exit code of main. */
int suite_run(Suite *suite);

/* A new empty folder under the system's temporary folder, removed with suite_tmp_remove. The
 * caller frees the name with free. */
char *suite_tmp_dir(void);
void suite_tmp_remove(char *dir); /* removes the tree and frees the name */

/* Fails the test unless `call` returns MDLM_OK; shows the message. `err` must be in scope. */
#define assert_ok(call) \
    do { \
        mdlm_status suite_status_ = (call); \
        ck_assert_msg(suite_status_ == MDLM_OK, "%s: %s", #call, err.message); \
    } while (0)

/* Fails the test unless `call` returns `expected` and its message contains `text`. */
#define assert_fails(call, expected, text) \
    do { \
        err.message[0] = 0; \
        mdlm_status suite_status_ = (call); \
        ck_assert_msg(suite_status_ == (expected), "%s: status %d, message '%s'", #call, \
                      (int)suite_status_, err.message); \
        ck_assert_msg(strstr(err.message, (text)) != NULL, "%s: message '%s' lacks '%s'", #call, \
                      err.message, (text)); \
    } while (0)

#endif
