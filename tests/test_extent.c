/* tests/test_extent.c: how many tokens are written where nobody says (cli/extent.h). */
#include "cli/extent.h"

#include "tests/suite.h"

static md_extent plan(md_extent_wish wish, mdlm_model_info info, size_t used) {
    mdlm_error err;
    md_extent extent;
    if (wish.blocks == 0) wish.blocks = 1;
    assert_ok(md_extent_plan(&wish, info, used, &extent, &err));
    return extent;
}

static int length_of(mdlm_model_info info, size_t used) {
    return plan((md_extent_wish){0}, info, used).length;
}

START_TEST(what_fits_the_trained_length_is_written) {
    const mdlm_model_info info = {.objective = "mdlm", .seq_len = 128, .canvas = 128};
    ck_assert_int_eq(length_of(info, 0), 128);
    ck_assert_int_eq(length_of(info, 100), 28);
    ck_assert_int_eq(length_of(info, 128), 1); /* to be refused where it is laid out */
    const md_extent_wish four = {.blocks = 4, .blocks_given = true};
    ck_assert_int_eq(plan(four, info, 101).length, 24);
}
END_TEST

START_TEST(many_positions_are_taken_a_canvas_at_a_time) {
    const mdlm_model_info info = {.objective = "mdlm", .seq_len = 5000, .canvas = 2048};
    ck_assert_int_eq(length_of(info, 0), 2048);
    ck_assert_int_eq(length_of(info, 48), 2000);
    ck_assert_int_eq(length_of(info, 2048), 2048);
    ck_assert_int_eq(length_of(info, 4900), 100);
    ck_assert_int_eq(plan((md_extent_wish){.length = 4000}, info, 0).length, 4000);
}
END_TEST

START_TEST(models_that_look_back_write_on_behind_their_length) {
    const mdlm_model_info past = {.objective = "ar", .seq_len = 64, .canvas = 64};
    const mdlm_model_info blocks = {
        .objective = "block", .block_length = 8, .seq_len = 64, .canvas = 64};
    ck_assert_int_eq(length_of(past, 60), 4);
    ck_assert_int_eq(length_of(past, 64), 1);
    ck_assert_int_eq(length_of(blocks, 60), 4);
    ck_assert_int_eq(length_of(blocks, 66), 6); /* the rest of a block */
}
END_TEST

int main(void) {
    Suite *s = suite_create("extent");
    suite_case(s, what_fits_the_trained_length_is_written);
    suite_case(s, many_positions_are_taken_a_canvas_at_a_time);
    suite_case(s, models_that_look_back_write_on_behind_their_length);
    return suite_run(s);
}
