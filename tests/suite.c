/* tests/suite.c: see suite.h. */
#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

void suite_case_named(Suite *suite, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(suite, tc);
}

int suite_run(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

char *suite_tmp_dir(void) {
    const char *root = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/mdlm-test-XXXXXX", root ? root : "/tmp") < 0) abort();
    if (!mkdtemp(path)) abort();
    return path;
}

void suite_tmp_remove(char *dir) {
    mdlm_error err;
    (void)md_dir_remove(dir, &err);
    free(dir);
}
