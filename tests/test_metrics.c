/* tests/test_metrics.c: the record of a training, and its picture (train/metrics.h, plot.h). */
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tests/suite.h"
#include "train/metrics.h"
#include "train/plot.h"

static const md_measure of_text = {.items = "tokens", .loss = "nelbo", .per = "byte"};
static mdlm_error err;
static char *run;

/* RUN/NAME; the two latest stay valid. */
static const char *in_run(const char *name) {
    static char paths[2][512];
    static int turn;
    char *path = paths[turn = !turn];
    snprintf(path, sizeof paths[0], "%s/%s", run, name);
    return path;
}

/* Owned by the caller, md_free. */
static char *contents(const char *name) {
    char *text = NULL;
    size_t size = 0;
    assert_ok(md_file_read(in_run(name), 1 << 24, &text, &size, &err));
    ck_assert_uint_eq(strlen(text), size);
    return text;
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

static md_metrics *opened(int64_t resumed_step) {
    md_metrics *m = NULL;
    assert_ok(md_metrics_open(run, &of_text, resumed_step, &m, &err));
    return m;
}

static void add_train(md_metrics *m, int64_t step, double nelbo) {
    md_metrics_row row = {.step = step,
                          .items = 128 * step,
                          .seconds = 0.25 * (double)step,
                          .train_loss = nelbo,
                          .val_loss = NAN,
                          .lr = 1e-3,
                          .grad_norm = 0.5,
                          .items_per_second = 512};
    assert_ok(md_metrics_train(m, &row, &err));
}

static void add_val(md_metrics *m, int64_t step, double nelbo, bool best) {
    md_metrics_row row = {.step = step,
                          .items = 128 * step,
                          .seconds = 0.25 * (double)step,
                          .train_loss = NAN,
                          .val_loss = nelbo,
                          .best = best};
    assert_ok(md_metrics_val(m, &row, &err));
}

static void write_file(const char *text) {
    assert_ok(md_file_write(in_run("metrics.jsonl"), text, strlen(text), &err));
}

/* Asserts that the text is one XML element: every tag closes, in order, attributes are quoted, and
 * no number is nan or inf. */
static void assert_well_formed(const char *svg) {
    const char *stack[16];
    int depth = 0, roots = 0;
    for (const char *c = svg; *c; c++) {
        if (*c == '&') {
            ck_assert(!strncmp(c, "&lt;", 4) || !strncmp(c, "&gt;", 4) || !strncmp(c, "&amp;", 5));
        }
        ck_assert_msg(*c != '>', "a stray '>' at '%.40s'", c);
        if (*c != '<') continue;
        const char *name = ++c;
        bool closing = *c == '/', quoted = false;
        if (closing) name = ++c;
        for (; *c && (quoted || *c != '>'); c++) {
            if (*c == '"') quoted = !quoted;
            ck_assert_msg(*c != '<', "'<' inside a tag at '%.40s'", name);
            ck_assert_msg(*c != '=' || quoted || c[1] == '"', "no quote at '%.40s'", name);
        }
        ck_assert_msg(*c == '>', "the tag '%.40s' does not end", name);
        const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzP");
        if (closing) {
            ck_assert_int_gt(depth, 0);
            ck_assert_msg(strncmp(stack[--depth], name, length) == 0, "'%.20s' closes '%.20s'",
                          name, stack[depth]);
        } else if (c[-1] != '/') {
            roots += depth == 0;
            ck_assert_int_lt(depth, 16);
            stack[depth++] = name;
        }
    }
    ck_assert_int_eq(depth, 0);
    ck_assert_int_eq(roots, 1);
    ck_assert_ptr_null(strstr(svg, "nan"));
    ck_assert_ptr_null(strstr(svg, "inf"));
    ck_assert_ptr_nonnull(strstr(svg, "viewBox=\"0 0 800 500\""));
}

/* The picture of what is in `m`, checked; md_free. */
static char *picture(md_metrics *m) {
    assert_ok(md_metrics_plot(m, &err));
    char *svg = contents("loss.svg");
    assert_well_formed(svg);
    return svg;
}

static void setup(void) {
    run = suite_tmp_dir();
}

static void teardown(void) {
    suite_tmp_remove(run);
}

START_TEST(rows_are_lines_of_json) {
    md_metrics *m = opened(0);
    add_train(m, 10, 2.5);
    add_val(m, 20, 2.25, true);
    md_metrics_close(m);
    char *text = contents("metrics.jsonl");
    ck_assert_str_eq(text, "{\"step\":10,\"tokens\":1280,\"seconds\":2.5,\"train_nelbo\":2.5,"
                           "\"lr\":0.001,\"grad_norm\":0.5,\"tokens_per_second\":512}\n"
                           "{\"step\":20,\"tokens\":2560,\"seconds\":5,\"val_nelbo\":2.25,"
                           "\"best\":true}\n");
    md_free(text);
}
END_TEST

START_TEST(what_is_not_finite_is_left_out) {
    md_metrics *m = opened(0);
    md_metrics_row row = {.step = 3, .train_loss = NAN, .lr = INFINITY, .grad_norm = -INFINITY};
    assert_ok(md_metrics_train(m, &row, &err));
    row.val_loss = NAN;
    assert_ok(md_metrics_val(m, &row, &err));
    char *text = contents("metrics.jsonl"), *svg = picture(m);
    ck_assert_str_eq(text, "{\"step\":3,\"tokens\":0,\"seconds\":0,\"tokens_per_second\":0}\n"
                           "{\"step\":3,\"tokens\":0,\"seconds\":0,\"best\":false}\n");
    md_free(text);
    md_free(svg);
    md_metrics_close(m);
}
END_TEST

START_TEST(resuming_drops_the_lines_of_later_steps) {
    md_metrics *m = opened(0);
    for (int step = 1; step <= 6; step++) add_train(m, step, 3.0 / step);
    add_val(m, 3, 2, true);
    add_val(m, 4, 1, true);
    add_val(m, 5, 0.5, true);
    md_metrics_close(m);
    m = opened(4);
    char *svg = picture(m); /* the rows read back are drawn */
    ck_assert_ptr_nonnull(strstr(svg, "best 1 at step 4"));
    ck_assert_uint_eq(count(svg, "r=\"8\""), 1);
    add_train(m, 5, 0.25);
    md_metrics_close(m);
    char *text = contents("metrics.jsonl");
    ck_assert_uint_eq(count(text, "\n"), 7);
    ck_assert_uint_eq(count(text, "{\"step\":4,"), 2);
    ck_assert_uint_eq(count(text, "{\"step\":5,"), 1);
    ck_assert_uint_eq(count(text, "{\"step\":6,"), 0);
    ck_assert_ptr_nonnull(strstr(text, "\"train_nelbo\":0.25,"));
    md_free(text);
    md_free(svg);
}
END_TEST

START_TEST(lines_that_stay_are_not_rewritten) {
    write_file("{\"step\": 1, \"added by hand\": [1, 2]}\n{\"step\":2}\n{\"step\":9}\n");
    md_metrics_close(opened(2));
    char *text = contents("metrics.jsonl");
    ck_assert_str_eq(text, "{\"step\": 1, \"added by hand\": [1, 2]}\n{\"step\":2}\n");
    md_free(text);
}
END_TEST

START_TEST(a_torn_last_line_is_dropped) {
    write_file("{\"step\":1}\n{\"step\":2,\"tok");
    md_metrics *m = opened(5);
    add_train(m, 2, 1);
    md_metrics_close(m);
    char *text = contents("metrics.jsonl");
    ck_assert_ptr_nonnull(strstr(text, "{\"step\":1}\n{\"step\":2,\"tokens\":256"));
    ck_assert_uint_eq(count(text, "\n"), 2);
    md_free(text);

    assert_ok(md_file_write(in_run("metrics.jsonl"), "{\"step\":1}\n\0\0\0", 14, &err));
    md_metrics_close(opened(5));
    text = contents("metrics.jsonl");
    ck_assert_str_eq(text, "{\"step\":1}\n");
    md_free(text);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_refused_and_left_alone) {
    static const char *const files[] = {
        "step,loss\n1,2\n",
        "hello",
        "{\"loss\":1}\n",
        "[1]\n",
        "{\"step\":1}\n\n{\"step\":2}\n",
        "{\"step\":\"1\"}\n",
        "{\"step\":1.5}\n",
        "{\"step\":-1}\n",
        "{\"step\":1}{\"step\":2}\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        md_metrics *m = NULL;
        write_file(files[i]);
        assert_fails(md_metrics_open(run, &of_text, 5, &m, &err), MDLM_INPUT, "metrics.jsonl");
        ck_assert_ptr_nonnull(strstr(err.message, strstr(files[i], "\n\n") ? "line 2" : "line 1"));
        ck_assert_ptr_null(m);
        char *text = contents("metrics.jsonl");
        ck_assert_str_eq(text, files[i]);
        md_free(text);
    }
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_a_failed_write) {
    md_metrics *m = NULL;
    assert_fails(md_metrics_open(in_run("none"), &of_text, 0, &m, &err), MDLM_WRITE,
                 "none/metrics.jsonl");
    ck_assert_ptr_null(m);
}
END_TEST

START_TEST(a_full_disk_leaves_whole_lines) {
    md_metrics *m = opened(0);
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const rlim_t whole = limit.rlim_cur;
    add_train(m, 1, 1);
    char *before = contents("metrics.jsonl");
    md_metrics_row row = {.step = 2, .train_loss = 1};
    signal(SIGXFSZ, SIG_IGN); /* so that write fails, as on a full disk */
    for (rlim_t room = 0; room < 20; room += 10) {
        limit.rlim_cur = strlen(before) + room;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        mdlm_status status = md_metrics_train(m, &row, &err);
        limit.rlim_cur = whole;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        ck_assert_int_eq(status, MDLM_WRITE);
        char *after = contents("metrics.jsonl");
        ck_assert_str_eq(after, before);
        md_free(after);
    }
    add_train(m, 3, 1);
    md_metrics_close(m);
    char *after = contents("metrics.jsonl");
    ck_assert_uint_eq(count(after, "\n"), 2);
    md_free(after);
    md_free(before);
}
END_TEST

START_TEST(the_picture_is_well_formed_for_any_number_of_rows) {
    static const int sizes[] = {0, 1, 2, 5000};
    for (int i = 0; i < 4; i++) {
        const int rows = sizes[i];
        md_metrics *m = opened(-1);
        for (int step = 1; step <= rows; step++) {
            add_train(m, step, 5.0 / step);
            if (step % 50 == 1) add_val(m, step, 6.0 / step, true);
        }
        char *svg = picture(m);
        ck_assert_uint_eq(count(svg, "nothing measured"), rows == 0);
        ck_assert_uint_eq(count(svg, "r=\"8\""), rows > 0);
        /* Averaged: one point a run of five, and the validations. */
        const size_t expected = rows == 5000 ? 1000 + 100 : rows == 2 ? 3 : rows == 1 ? 2 : 0;
        size_t points = 0;
        for (char *c = svg; (c = strstr(c, "clip-path")); c++) {
            for (c = strchr(c, 'M'); *c != '"'; c++) points += *c == 'M' || *c == 'L';
        }
        ck_assert_uint_eq(points, expected);
        md_free(svg);
        md_metrics_close(m);
    }
}
END_TEST

START_TEST(one_row_is_a_visible_dot) {
    md_metrics *m = opened(0);
    add_train(m, 100, 2);
    char *svg = picture(m);
    ck_assert_uint_eq(count(svg, "h0\""), 1);
    md_free(svg);
    md_metrics_close(m);
}
END_TEST

/* The numbers written left of the vertical axis, lowest first. */
static int labels(const char *svg, double *out) {
    int n = 0;
    for (; (svg = strstr(svg, "text-anchor=\"end\">")); n++) {
        svg += strlen("text-anchor=\"end\">");
        out[n] = strtod(svg, NULL);
    }
    return n;
}

/* The picture of `rows` training values. */
static char *plotted(const md_plot_point *points, size_t rows) {
    md_plot plot = {.unit = "<\"a\" & b>", .train = points, .train_count = rows};
    assert_ok(md_plot_write(in_run("x.svg"), &plot, &err));
    char *svg = contents("x.svg");
    assert_well_formed(svg);
    return svg;
}

START_TEST(ticks_are_round_and_cover_the_values) {
    static const double ranges[][2] = {{0, 1},     {1.2, 5.6},    {-3, 4},     {0.123, 0.1234},
                                       {1e6, 3e6}, {2, 2},        {0, 0},      {-1e-9, 1e-9},
                                       {5, 5.001}, {-1e11, 1e11}, {1e11, 1e11}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        md_plot_point points[] = {{0, ranges[i][1]}, {1e6, ranges[i][0]}, {1e6, ranges[i][1]}};
        char *svg = plotted(points, 3);
        double y[64];
        const int n = labels(svg, y);
        ck_assert_int_ge(n, 3);
        ck_assert_int_le(n, 10);
        const double tick = (y[n - 1] - y[0]) / (n - 1), slack = 1e-6 * tick;
        ck_assert_double_le(y[0], ranges[i][0] + slack);
        ck_assert_double_ge(y[n - 1], ranges[i][1] - slack);
        const double digits = tick / pow(10, floor(log10(tick) + 1e-6)); /* 1, 2 or 5 */
        ck_assert_msg(fabs(digits - 1) < 1e-3 || fabs(digits - 2) < 1e-3 || fabs(digits - 5) < 1e-3,
                      "tick %g", tick);
        md_free(svg);
    }
}
END_TEST

START_TEST(a_high_start_does_not_flatten_the_rest) {
    enum { N = 100 };
    md_plot_point points[N];
    for (int i = 0; i < N; i++) {
        points[i] = (md_plot_point){i + 1, i < 4 ? 50 : 2 - 0.01 * i};
    }
    double y[64];
    char *svg = plotted(points, N);
    ck_assert_double_le(y[labels(svg, y) - 1], 2.5);
    md_free(svg);
    for (int i = 0; i < 4; i++) points[i].value = 2.5; /* mild: it stays in the picture */
    svg = plotted(points, N);
    ck_assert_double_ge(y[labels(svg, y) - 1], 2.5);
    md_free(svg);
    points[50].value = 50; /* late, so it is news */
    svg = plotted(points, N);
    ck_assert_double_ge(y[labels(svg, y) - 1], 50);
    md_free(svg);
}
END_TEST

START_TEST(hostile_values_and_units_stay_well_formed) {
    md_plot_point points[] = {{1, NAN}, {2, INFINITY}, {3, 1e300}, {4, -DBL_MAX}, {NAN, 1}, {5, 1}};
    char *svg = plotted(points, 6);
    ck_assert_ptr_nonnull(strstr(svg, "&lt;\"a\" &amp; b&gt;"));
    md_free(svg);
    md_free(plotted(points, 5));
}
END_TEST

START_TEST(large_steps_are_written_short) {
    md_plot_point points[] = {{1, 1}, {40000, 2}, {3e6, 2}};
    char *svg = plotted(points, 2);
    ck_assert_ptr_nonnull(strstr(svg, ">20k<"));
    ck_assert_ptr_nonnull(strstr(svg, ">0<"));
    md_free(svg);
    svg = plotted(points, 3);
    ck_assert_ptr_nonnull(strstr(svg, ">2.5M<"));
    md_free(svg);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

#define add_case(s, test) add(s, #test, test)

int main(void) {
    Suite *s = suite_create("metrics");
    add_case(s, rows_are_lines_of_json);
    add_case(s, what_is_not_finite_is_left_out);
    add_case(s, resuming_drops_the_lines_of_later_steps);
    add_case(s, lines_that_stay_are_not_rewritten);
    add_case(s, a_torn_last_line_is_dropped);
    add_case(s, a_file_that_is_not_ours_is_refused_and_left_alone);
    add_case(s, a_folder_that_is_not_there_is_a_failed_write);
    add_case(s, a_full_disk_leaves_whole_lines);
    add_case(s, the_picture_is_well_formed_for_any_number_of_rows);
    add_case(s, one_row_is_a_visible_dot);
    add_case(s, ticks_are_round_and_cover_the_values);
    add_case(s, a_high_start_does_not_flatten_the_rest);
    add_case(s, hostile_values_and_units_stay_well_formed);
    add_case(s, large_steps_are_written_short);
    return suite_run(s);
}
