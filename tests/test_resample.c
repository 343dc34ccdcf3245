/* tests/test_resample.c: images made smaller by means and larger by cubics, against what these are
 * defined to keep. */
#include "corpora/resample.h"

#include <math.h>

#include "tests/suite.h"

START_TEST(a_smaller_image_has_the_means_of_what_its_pixels_cover) {
    /* two channels, 4 x 6 pixels, to 2 x 3 */
    float x[4 * 6 * 2], out[2 * 3 * 2];
    for (int i = 0; i < 4 * 6; i++) {
        x[2 * i] = (float)i;
        x[2 * i + 1] = (float)(i * i % 7);
    }
    md_shrink(x, (md_images_shape){4, 6, 2}, 2, out);
    for (int y = 0; y < 2; y++)
        for (int column = 0; column < 3; column++)
            for (int c = 0; c < 2; c++) {
                float sum = 0;
                for (int i = 0; i < 4; i++)
                    sum += x[((2 * y + i / 2) * 6 + 2 * column + i % 2) * 2 + c];
                ck_assert(out[(y * 3 + column) * 2 + c] == sum / 4);
            }
}
END_TEST

/* a + b y + c x + d y x + e x^2 at the centres of pixels that are 1 / scale wide. */
static float surface(int y, int x, int scale) {
    const double v = (y + 0.5) / scale, u = (x + 0.5) / scale;
    return (float)(0.3 - 0.1 * v + 0.05 * u + 0.02 * v * u - 0.01 * u * u);
}

/* Keys 1981: third order, so exact for polynomials of the second. */
START_TEST(away_from_borders_bicubic_interpolation_keeps_quadratic_surfaces) {
    enum { Y = 7, X = 9 };
    for (int factor = 2; factor <= 3; factor++) {
        float low[Y * X], high[Y * X * 9];
        for (int i = 0; i < Y * X; i++) low[i] = surface(i / X, i % X, 1);
        md_enlarge(low, (md_images_shape){Y, X, 1}, factor, high);
        for (int y = 2 * factor; y < (Y - 2) * factor; y++)
            for (int x = 2 * factor; x < (X - 2) * factor; x++) /* floats in and out, of about 1 */
                ck_assert_float_eq_tol(high[y * X * factor + x], surface(y, x, factor), 3e-7F);
    }
}
END_TEST

START_TEST(twice_as_large_a_point_has_the_weights_of_the_cubic) {
    /* the cubic with a = -1/2 at 7/4, 5/4, 3/4 and 1/4 */
    static const float weight[] = {-0.0234375F, -0.0703125F, 0.2265625F, 0.8671875F};
    const float low[] = {0, 0, 0, 1, 0, 0, 0, 0};
    float high[32];
    md_enlarge(low, (md_images_shape){1, 8, 1}, 2, high);
    for (int row = 0; row < 32; row += 16)
        for (int i = 0; i < 4; i++) { /* from both sides; all of them exact in binary */
            ck_assert(high[row + 3 + i] == weight[i]);
            ck_assert(high[row + 10 - i] == weight[i]);
        }
}
END_TEST

START_TEST(one_colour_stays_as_it_is_up_to_the_borders) {
    float low[3 * 2 * 3], high[6 * 4 * 3];
    for (int i = 0; i < 3 * 2 * 3; i++) low[i] = 0.1F * (float)(i % 3);
    md_enlarge(low, (md_images_shape){3, 2, 3}, 2, high);
    for (int i = 0; i < 6 * 4 * 3; i++) ck_assert_float_eq_tol(high[i], low[i % 3], 1e-7F);
}
END_TEST

START_TEST(psnr_is_the_range_over_the_error_and_clips) {
    const float truth[] = {-1, 0, 1, 0.5F};
    /* errors 0.2, 0, 0, 0: 3 is clipped to 1 */
    const float x[] = {-0.8F, 0, 3, 0.5F};
    ck_assert_double_eq_tol(md_psnr(x, truth, 4), 10 * log10(4 / 0.01), 1e-5);
    ck_assert(md_psnr(truth, truth, 4) == 100);
}
END_TEST

int main(void) {
    Suite *s = suite_create("resample");
    suite_case(s, a_smaller_image_has_the_means_of_what_its_pixels_cover);
    suite_case(s, away_from_borders_bicubic_interpolation_keeps_quadratic_surfaces);
    suite_case(s, twice_as_large_a_point_has_the_weights_of_the_cubic);
    suite_case(s, one_colour_stays_as_it_is_up_to_the_borders);
    suite_case(s, psnr_is_the_range_over_the_error_and_clips);
    return suite_run(s);
}
