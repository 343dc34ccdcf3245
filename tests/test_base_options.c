/* tests/test_base_options.c: settings from tables, command lines and JSON. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "tests/suite.h"

/* clang-format off */
#define DEMO_OPTIONS(X) \
    X(INT, layers, 4, 1, 1000, "transformer blocks") \
    X(INT, seq_len, 256, 1, 1e9, "tokens in a canvas") \
    X(INT, offset, 0, -10, 10, "a number that may be negative") \
    X(INT, seed, 1, 0, 1e19, "seed of every random number") \
    X(REAL, lr, 1e-3, 0, 1, "peak learning rate") \
    X(FLAG, resume, false, 0, 0, "go on with the run") \
    X(FLAG, ema, true, 0, 0, "keep an average of the weights")
#define RUN_OPTIONS(X) \
    X(TEXT, prompt, "a \"b\"\n", 0, 0, "text to start from") \
    X(TEXT, out, "", 0, 0, "where to write") \
    X(TIME, time, 600, 0, 1e9, "wall clock: 240s, 10m, 2h") \
    X(CHOICE, sampler, "random", 0, 0, \
      "random|confidence=low_confidence=maskgit|first-hitting: the order in which masks are " \
      "filled, with a text that is long enough to need a second line of help")
/* clang-format on */

typedef struct demo_options {
    DEMO_OPTIONS(MD_OPTION_FIELD)
} demo_options;
#define MD_OPTION_STRUCT demo_options
static const md_option demo_table[] = {DEMO_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

typedef struct run_options {
    RUN_OPTIONS(MD_OPTION_FIELD)
} run_options;
#define MD_OPTION_STRUCT run_options
static const md_option run_table[] = {RUN_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

static const md_option_alias aliases[] = {
    {"-p", "prompt"}, {"--ctx-size", "seq_len"}, {"-r", "resume"}, {"-z", "absent"}, {NULL, NULL}};

static demo_options demo;
static run_options run;
static md_options *o;
static mdlm_error err;

static void set_up(void) {
    md_option_group groups[] = {{"Model", demo_table, &demo}, {"Run", run_table, &run}};
    memset(&demo, 0xee, sizeof demo);
    o = md_options_new(groups, 2, aliases, &err);
    ck_assert_ptr_nonnull(o);
}

static void tear_down(void) {
    md_options_free(o);
    md_options_free(NULL);
}

/* A command line of words separated by '|'. The words stay valid until the test ends. */
static mdlm_status parse(const char *line) {
    static char text[500];
    static char *argv[40];
    snprintf(text, sizeof text, "%s", line);
    int argc = 0;
    char *rest = text;
    while (*line && rest) argv[argc++] = strsep(&rest, "|");
    return md_options_parse(o, argc, argv, &err);
}

static mdlm_status from_json(const char *text) {
    cJSON *root = NULL;
    assert_ok(md_json_parse(text, strlen(text), "c.json", &root, &err));
    mdlm_status status = md_options_from_json(o, root, "c.json", &err);
    cJSON_Delete(root);
    return status;
}

START_TEST(structs_begin_with_the_defaults_of_the_table) {
    ck_assert(demo.layers == 4 && demo.seq_len == 256 && demo.offset == 0 && demo.lr == 1e-3);
    ck_assert(!demo.resume && demo.ema);
    ck_assert_str_eq(run.prompt, "a \"b\"\n");
    ck_assert_str_eq(run.out, "");
    ck_assert_str_eq(run.sampler, "random");
    ck_assert(run.time == 600);
    ck_assert_int_eq(md_options_origin(o, "layers"), MD_ORIGIN_DEFAULT);
}
END_TEST

START_TEST(a_command_line_sets_values_in_every_form) {
    assert_ok(parse("--layers|7|--seq-len=64|in.txt|--lr|2.5e-4|--no-ema|-r|-p|--hi--|--out=|"
                    "--time|1.5h|--sampler|maskgit|-|--|--layers"));
    ck_assert(demo.layers == 7 && demo.seq_len == 64 && demo.lr == 2.5e-4);
    ck_assert(!demo.ema && demo.resume);
    ck_assert_str_eq(run.prompt, "--hi--");
    ck_assert_str_eq(run.out, "");
    ck_assert(run.time == 5400);
    ck_assert_str_eq(run.sampler, "confidence");
    ck_assert_uint_eq(md_options_positional_count(o), 3);
    ck_assert_str_eq(md_options_positional(o, 0), "in.txt");
    ck_assert_str_eq(md_options_positional(o, 1), "-");
    ck_assert_str_eq(md_options_positional(o, 2), "--layers");
    ck_assert_int_eq(md_options_origin(o, "layers"), MD_ORIGIN_GIVEN);
    ck_assert_int_eq(md_options_origin(o, "out"), MD_ORIGIN_GIVEN);
    ck_assert_int_eq(md_options_origin(o, "offset"), MD_ORIGIN_DEFAULT);
}
END_TEST

START_TEST(negative_numbers_are_values) {
    assert_ok(parse("--offset|-3|--ctx-size|5"));
    ck_assert(demo.offset == -3 && demo.seq_len == 5);
    assert_ok(parse("--offset=-4"));
    ck_assert(demo.offset == -4);
}
END_TEST

START_TEST(an_empty_command_line_changes_nothing) {
    assert_ok(parse(""));
    ck_assert(demo.layers == 4 && md_options_positional_count(o) == 0);
}
END_TEST

START_TEST(malformed_values_are_refused) {
    static const char *const cases[][2] = {
        {"--layers|abc", "--layers 'abc' is not an integer"},
        {"--layers|1k", "--layers '1k' is not an integer: expected 1 to 1000"},
        {"--layers|1e2", "not an integer"},
        {"--layers|2.0", "not an integer"},
        {"--layers|", "--layers '' is not an integer"},
        {"--layers|-", "--layers '-' is not an integer"},
        {"--layers| 5", "not an integer"},
        {"--layers|0x10", "not an integer"},
        {"--lr|nan", "--lr 'nan' is not a number"},
        {"--lr|inf", "not a number"},
        {"--lr|0x1p-3", "not a number"},
        {"--lr|0.1x", "not a number"},
        {"--lr|1e", "not a number"},
        {"--lr=", "not a number"},
        {"--time|10x", "--time '10x' is not a duration"},
        {"--time|-5s", "not a duration"},
        {"--time|m", "not a duration"},
        {"--sampler|foo", "--sampler 'foo' is unknown: expected one of random, confidence, "
                          "first-hitting"},
        {"--sampler|rand", "is unknown"},
        {"--sampler=", "is unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(parse(cases[i][0]), MDLM_USAGE, cases[i][1]);
    }
    ck_assert(demo.layers == 4 && demo.lr == 1e-3 && run.time == 600);
    ck_assert_str_eq(run.sampler, "random");
}
END_TEST

START_TEST(values_out_of_bounds_are_refused) {
    static const char *const cases[][2] = {
        {"--layers|0", "--layers 0 is out of range: expected 1 to 1000"},
        {"--layers|1001", "--layers 1001 is out of range: expected 1 to 1000"},
        {"--layers|-99999999999999999999", "out of range"},
        {"--layers|99999999999999999999", "out of range"},
        {"--seed|9007199254740993", "out of range: expected 0 to 9007199254740991"},
        {"--lr|1.5", "--lr 1.5 is out of range: expected 0 to 1"},
        {"--lr|-1e-9", "out of range"},
        {"--lr|1e999", "out of range"},
        {"--time|1000000h", "out of range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(parse(cases[i][0]), MDLM_USAGE, cases[i][1]);
    }
    assert_ok(parse("--layers|1000|--lr|1|--seed|9007199254740991"));
    ck_assert(demo.layers == 1000 && demo.lr == 1 && demo.seed == INT64_C(9007199254740991));
}
END_TEST

START_TEST(unknown_options_come_with_a_suggestion) {
    static const char *const cases[][2] = {
        {"--layrs|3", "unknown option '--layrs'; did you mean '--layers'?"},
        {"--layrs=3", "unknown option '--layrs'; did you mean '--layers'?"},
        {"--seq_len|3", "did you mean '--seq-len'?"},
        {"--no-emma", "did you mean '--no-ema'?"},
        {"--ctx-siz", "did you mean '--ctx-size'?"},
        {"--no-layers", "unknown option '--no-layers'"},
        {"---layers", "unknown option '---layers'"},
        {"-z", "unknown option '-z'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(parse(cases[i][0]), MDLM_USAGE, cases[i][1]);
    }
    assert_fails(parse("--bewilderment"), MDLM_USAGE, "unknown option '--bewilderment'");
    ck_assert_ptr_null(strstr(err.message, "did you mean"));
}
END_TEST

START_TEST(missing_surplus_and_repeated_values_are_refused) {
    assert_fails(parse("--layers"), MDLM_USAGE, "--layers needs a value");
    assert_fails(parse("--prompt|--layers|3"), MDLM_USAGE, "--prompt needs a value");
    assert_fails(parse("--resume=yes"), MDLM_USAGE, "--resume takes no value");
    assert_fails(parse("--layers|3|--layers=3"), MDLM_USAGE, "--layers is given twice");
    assert_fails(parse("--seq-len|3|--ctx-size|3"), MDLM_USAGE, "--seq-len is given twice");
    assert_fails(parse("--ema|--no-ema"), MDLM_USAGE, "--ema is given twice");
    assert_ok(parse("--prompt=--layers|--layers|3"));
    ck_assert_str_eq(run.prompt, "--layers");
}
END_TEST

START_TEST(a_very_long_option_is_refused) {
    char word[400];
    memset(word, 'x', sizeof word);
    memcpy(word, "--no-", 5);
    word[sizeof word - 1] = 0;
    assert_fails(parse(word), MDLM_USAGE, "unknown option '--no-xxx");
}
END_TEST

START_TEST(a_higher_origin_wins) {
    assert_ok(parse("--layers|7"));
    assert_ok(from_json("{\"layers\": 9, \"lr\": 0.5}"));
    ck_assert(demo.layers == 7 && demo.lr == 0.5);
    ck_assert_int_eq(md_options_origin(o, "lr"), MD_ORIGIN_FILE);
    demo.offset = 3;
    md_options_chosen(o, "offset");
    md_options_chosen(o, "layers");
    ck_assert_int_eq(md_options_origin(o, "offset"), MD_ORIGIN_CHOSEN);
    ck_assert_int_eq(md_options_origin(o, "layers"), MD_ORIGIN_GIVEN);
    assert_ok(md_options_set(o, "lr", "0.25", MD_ORIGIN_CHOSEN, &err));
    ck_assert(demo.lr == 0.5);
    assert_ok(md_options_set(o, "lr", "0.25", MD_ORIGIN_GIVEN, &err));
    ck_assert(demo.lr == 0.25);
    assert_ok(md_options_set(o, "resume", "true", MD_ORIGIN_CHOSEN, &err));
    ck_assert(demo.resume);
    assert_fails(md_options_set(o, "resume", "maybe", MD_ORIGIN_CHOSEN, &err), MDLM_USAGE,
                 "neither true nor false");
    assert_fails(md_options_set(o, "nothing", "1", MD_ORIGIN_GIVEN, &err), MDLM_USAGE, "unknown");
}
END_TEST

START_TEST(json_of_the_wrong_shape_is_refused) {
    static const char *const cases[][2] = {
        {"{\"layrs\": 3}", "'c.json': unknown key 'layrs'; did you mean 'layers'?"},
        {"{\"seq-len\": 3}", "did you mean 'seq_len'?"},
        {"{\"layers\": \"3\"}", "'c.json': layers is a string: expected a number"},
        {"{\"layers\": 3.5}", "'c.json': layers '3.5' is not an integer"},
        {"{\"layers\": 0}", "'c.json': layers 0 is out of range: expected 1 to 1000"},
        {"{\"layers\": 1e300}", "'c.json': layers"},
        {"{\"layers\": null}", "layers is null"},
        {"{\"lr\": true}", "lr is a boolean"},
        {"{\"lr\": 1e999}", "'c.json': lr"},
        {"{\"resume\": 1}", "resume is a number: expected true or false"},
        {"{\"prompt\": 1}", "prompt is a number: expected a string"},
        {"{\"sampler\": \"x\"}", "'c.json': sampler 'x' is unknown"},
        {"{\"time\": \"soon\"}", "'c.json': time 'soon' is not a duration"},
        {"{\"time\": []}", "time is an array"},
        {"[1]", "'c.json' holds an array: expected an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(from_json(cases[i][0]), MDLM_INPUT, cases[i][1]);
    }
}
END_TEST

START_TEST(values_survive_a_round_trip_through_json) {
    assert_ok(parse("--layers|7|--lr|0.3333333333333333|--no-ema|--prompt|x \"y\" \xc3\xa9|--time|"
                    "10m|--sampler|low_confidence|--seed|9007199254740991"));
    cJSON *saved = md_options_to_json(o);
    ck_assert_ptr_nonnull(saved);
    ck_assert_int_eq(cJSON_GetArraySize(saved), 11);
    tear_down();
    set_up();
    assert_ok(md_options_from_json(o, saved, "c.json", &err));
    cJSON_Delete(saved);
    ck_assert(demo.layers == 7 && demo.lr == 0.3333333333333333 && !demo.ema && !demo.resume);
    ck_assert(run.time == 600 && demo.seed == INT64_C(9007199254740991));
    ck_assert_str_eq(run.prompt, "x \"y\" \xc3\xa9");
    ck_assert_str_eq(run.sampler, "confidence");
    assert_ok(from_json("{\"time\": \"2h\", \"sampler\": \"first-hitting\"}"));
    ck_assert(run.time == 7200);
    ck_assert_str_eq(run.sampler, "first-hitting");
}
END_TEST

START_TEST(a_description_tells_where_values_came_from) {
    assert_ok(parse("--layers|7|--prompt|a\nb|--lr=0.1"));
    assert_ok(from_json("{\"sampler\": \"confidence\"}"));
    demo.seq_len = 128;
    md_options_chosen(o, "seq_len");
    md_buffer out = {0};
    assert_ok(md_options_describe(o, &out, &err));
    ck_assert_str_eq(out.data,
                     "model: layers 7, seq_len 128 (chosen), offset 0 (default), seed 1 (default), "
                     "lr 0.1, ema true (default)\n"
                     "run: prompt 'a?b', time 600s (default), "
                     "sampler confidence (file)\n");
    md_buffer_release(&out);
}
END_TEST

START_TEST(help_shows_flags_defaults_and_bounds) {
    md_buffer out = {0};
    assert_ok(md_options_help(o, &out, &err));
    static const char *const lines[] = {
        "Model:\n",
        "  --layers N            transformer blocks (default 4, 1 to 1000)\n",
        "  --seq-len, --ctx-size N\n                        tokens in a canvas (default 256, ",
        "  -r, --resume          go on with the run\n",
        "  --[no-]ema            keep an average of the weights (default on)\n",
        "\nRun:\n",
        "  -p, --prompt TEXT     text to start from (default ",
        "  --out TEXT            where to write\n",
        "  --time TIME           wall clock: 240s, 10m, 2h (default 600s)\n",
        "  --sampler NAME        the order in which masks are filled, ",
        "random, confidence,",
        "(default random)\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_msg(strstr(out.data, lines[i]) != NULL, "'%s' is not in\n%s", lines[i], out.data);
    }
    ck_assert_ptr_null(strstr(out.data, "maskgit"));
    char *rest = out.data, *line;
    while ((line = strsep(&rest, "\n"))) {
        ck_assert_uint_le(strlen(line), 100);
        ck_assert(!*line || line[strlen(line) - 1] != ' ');
    }
    md_buffer_release(&out);
}
END_TEST

START_TEST(suggestions_are_near_or_absent) {
    static const char *const words[] = {"train", "sample", "eval", "confidence"};
    ck_assert_str_eq(md_suggest("trian", words, 4), "train");
    ck_assert_str_eq(md_suggest("sampel", words, 4), "sample");
    ck_assert_str_eq(md_suggest("confidnce", words, 4), "confidence");
    ck_assert_str_eq(md_suggest("eval", words, 4), "eval");
    ck_assert_ptr_null(md_suggest("serve", words, 4));
    ck_assert_ptr_null(md_suggest("", words, 4));
    ck_assert_ptr_null(md_suggest("x", words, 4));
    ck_assert_ptr_null(md_suggest("train", words, 0));
}
END_TEST

START_TEST(durations_have_units) {
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {{"240s", 240}, {"10m", 600}, {"2h", 7200}, {"1.5h", 5400}, {"90", 90}, {"0", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double seconds = -1;
        assert_ok(md_parse_duration(cases[i].text, &seconds, &err));
        ck_assert(seconds == cases[i].seconds);
    }
    static const char *const wrong[] = {"",    "s",   "-1",  "1d",    "1 m",   "h2",
                                        "1mm", "nan", "inf", "0x10s", "1e400", "-0.1h"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double seconds = -1;
        assert_fails(md_parse_duration(wrong[i], &seconds, &err), MDLM_USAGE, "not a duration");
        ck_assert(seconds == -1);
    }
}
END_TEST

START_TEST(a_name_in_two_groups_is_a_bug) {
    md_option_group groups[] = {{"One", demo_table, &demo}, {"Two", demo_table, &demo}};
    md_options_free(md_options_new(groups, 2, NULL, &err));
}
END_TEST

START_TEST(a_default_out_of_bounds_is_a_bug) {
    static const md_option table[] = {{"x", MD_OPTION_INT, 0, "5", 0, 4, "too small a bound"}, {0}};
    md_option_group groups[] = {{"One", table, &demo}};
    md_options_free(md_options_new(groups, 1, NULL, &err));
}
END_TEST

START_TEST(a_default_of_zero_outside_the_bounds_is_left_open) {
    static const md_option table[] = {{"x", MD_OPTION_INT, 0, "0", 1, 4, "chosen later"}, {0}};
    int64_t x = 7;
    md_option_group groups[] = {{"One", table, &x}};
    md_options *open = md_options_new(groups, 1, NULL, &err);
    md_buffer text = {0};
    ck_assert_int_eq(x, 0);
    assert_ok(md_options_describe(open, &text, &err));
    ck_assert_ptr_null(text.data); /* nothing to say */
    cJSON *json = md_options_to_json(open);
    ck_assert_ptr_null(json->child); /* nothing is said until it is chosen */
    cJSON_Delete(json);
    assert_fails(md_options_set(open, "x", "0", MD_ORIGIN_GIVEN, &err), MDLM_USAGE, "1 to 4");
    md_buffer_release(&text);
    md_options_free(open);
}
END_TEST

START_TEST(the_origin_of_a_name_that_is_not_there_is_a_bug) {
    md_options_origin(o, "nothing");
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test, int signal) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    if (signal) {
        tcase_add_test_raise_signal(tc, test, signal);
    } else {
        tcase_add_test(tc, test);
    }
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("options");
#define ADD(test) add(s, #test, test, 0)
    ADD(structs_begin_with_the_defaults_of_the_table);
    ADD(a_command_line_sets_values_in_every_form);
    ADD(negative_numbers_are_values);
    ADD(an_empty_command_line_changes_nothing);
    ADD(malformed_values_are_refused);
    ADD(values_out_of_bounds_are_refused);
    ADD(a_default_of_zero_outside_the_bounds_is_left_open);
    ADD(unknown_options_come_with_a_suggestion);
    ADD(missing_surplus_and_repeated_values_are_refused);
    ADD(a_very_long_option_is_refused);
    ADD(a_higher_origin_wins);
    ADD(json_of_the_wrong_shape_is_refused);
    ADD(values_survive_a_round_trip_through_json);
    ADD(a_description_tells_where_values_came_from);
    ADD(help_shows_flags_defaults_and_bounds);
    ADD(suggestions_are_near_or_absent);
    ADD(durations_have_units);
    add(s, "a_name_in_two_groups_is_a_bug", a_name_in_two_groups_is_a_bug, SIGABRT);
    add(s, "a_default_out_of_bounds_is_a_bug", a_default_out_of_bounds_is_a_bug, SIGABRT);
    add(s, "the_origin_of_a_name_that_is_not_there_is_a_bug",
        the_origin_of_a_name_that_is_not_there_is_a_bug, SIGABRT);
    return suite_run(s);
}
