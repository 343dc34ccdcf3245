/* tests/test_corpora.h: the folder that each test of the corpora works in. */
#ifndef TESTS_TEST_CORPORA_H
#define TESTS_TEST_CORPORA_H

#include <stdio.h>

#include "tests/suite.h"

static char *dir;
static mdlm_error err;

static void setup(void) {
    dir = suite_tmp_dir();
}

static void teardown(void) {
    suite_tmp_remove(dir);
}

/* A path in the test's folder; a few at a time are valid. */
static const char *at(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

#endif
