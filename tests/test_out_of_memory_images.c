/* tests/test_out_of_memory_images.c: every allocation of what draws, judges and reads images fails
 * in turn. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/images.h"
#include "corpora/picture.h"
#include "diffusion/gaussian_bound.h"
#include "diffusion/gaussian_times.h"
#include "model/image_model.h"
#include "tensor/ops_image.h"
#include "tests/fail_in_turn.h"
#include "tests/suite.h"

static md_pool *pool;
static md_kernels kernels;

static void setup(void) {
    mdlm_error err;
    assert_ok(md_kernels_init(&kernels, NULL, &err));
    assert_ok(md_kernels_set_dtype(&kernels, "bf16", &err));
    pool = md_pool_new(2, &err);
    ck_assert_ptr_nonnull(pool);
}

static void teardown(void) {
    md_pool_free(pool);
}

/* A process, its draws in training and its bound. */
static mdlm_status make_gaussian(mdlm_error *err) {
    const md_image_denoiser d = {.shape = {28, 28, 1}, .outputs = 2};
    md_gaussian p = {0};
    md_times times = {0};
    md_bound *bound = NULL;
    MD_TRY(md_gaussian_init(
        &p, &(md_gaussian_options){.timesteps = 1000, .variance = MD_VARIANCE_LEARNED}, err));
    mdlm_status status = md_times_init(&times, MD_TIMES_LOSS_AWARE, &p, err);
    if (status == MDLM_OK)
        status = md_bound_new(&p, &d, &(md_bound_options){.steps = 9, .batch = 400}, &bound, err);
    md_bound_free(bound);
    md_times_release(&times);
    md_gaussian_release(&p);
    return status;
}

enum { LEAF = 2 * 32 * 32 * 16 };

/* A parameter, all of them with the same values and the same gradient. */
static md_tensor *leaf(md_tape *tape, int rank, const int64_t *dim) {
    static md_real data[LEAF], grad[LEAF];
    md_tensor *t = md_tape_alloc(tape, 1, sizeof *t);
    if (!t) return NULL;
    *t = (md_tensor){rank, .needs_grad = true, .is_param = true, .data = data, .grad = grad};
    for (int i = 0; i < MD_MAX_RANK; i++) t->dim[i] = i < rank ? dim[i] : 1;
    return t;
}

/* Every operator on images but convolution, and their gradients. */
static mdlm_status image_operators(mdlm_error *err) {
    enum { C = 16 };
    static md_real ones[2 * LEAF];
    md_tape *tape = md_tape_new(pool, &kernels, err);
    if (!tape) return err->status;
    md_tape_begin(tape, true, (md_rng){0});
    md_tensor *c = leaf(tape, 1, (int64_t[]){C}), *each = leaf(tape, 2, (int64_t[]){2, C});
    md_tensor *y, *x = leaf(tape, 4, (int64_t[]){2, 16, 16, C});
    y = md_group_norm(tape, x, c, c, (md_group_norm_how){.groups = 4, .silu = true});
    y = md_add_channels(tape, md_silu(tape, y), each);
    y = md_conv2d_transposed(tape, y, leaf(tape, 4, (int64_t[]){C, 4, 4, C}), c);
    y = md_columns(tape, md_patches(tape, md_concat(tape, y, y), 2), C / 2, C);
    y = md_gated_add(tape, y, each, md_modulated_norm(tape, y, each, each, 1e-5));
    y = md_unpatch(tape, y, 2, 32, 32);
    y = md_known_loss(tape, md_mean_pixels(tape, md_add(tape, y, y)), 1, ones);
    mdlm_status status = md_tape_backward(tape, y, err);
    md_tape_free(tape);
    return status;
}

/* A classifier and its verdict, gradient included. */
static mdlm_status classify(mdlm_error *err) {
    static const md_image_config c = {.backbone = MD_BACKBONE_ENCODER,
                                      .shape = {8, 8, 1},
                                      .classes = 3,
                                      .noisy = true,
                                      .base = 8,
                                      .mults = {2, {1, 2}},
                                      .res_blocks = 1};
    static const float x[2 * 64] = {1};
    static const double time[2] = {1, 2};
    static const int32_t label[2] = {0, 2};
    static float log_p[2 * 3], gradient[2 * 64];
    const md_image_query query = {.x = x, .time = time, .label = label, .B = 2};
    const md_image_verdict out = {.log_p = log_p, .gradient = gradient};
    md_image_view view = {.tape = md_tape_new(pool, &kernels, err)};
    if (!view.tape) return err->status;
    mdlm_status status = md_image_model_new(&c, false, &view.model, err);
    if (status == MDLM_OK) {
        const md_image_classifier classifier = md_image_model_classifier(&view);
        status = classifier.classify(classifier.context, &query, &out, err);
    }
    md_image_model_free(view.model);
    md_tape_free(view.tape);
    return status;
}

static mdlm_status open_images(const char *path, mdlm_error *err) {
    md_images_options opt = md_images_defaults();
    md_images *set = NULL;
    md_buffer png = {0};
    opt.image_size = 3, opt.end = 2;
    MD_TRY(md_images_open(path, &opt, &set, err));
    float x[2 * 3 * 3 * 3];
    md_picture grid = {0};
    md_images_read(set, 0, x);
    md_images_read(set, 1, x + 27);
    mdlm_status status = md_images_caption(set, 1, &png, err);
    if (status == MDLM_OK) {
        status = md_picture_grid(x, 2, (md_grid){.Y = 3, .X = 3, .C = 3}, &grid, err);
    }
    if (status == MDLM_OK) status = md_picture_png(&grid, &png, err);
    md_picture_release(&grid);
    md_buffer_release(&png);
    md_images_free(set);
    return status;
}

static mdlm_status open_shapes(mdlm_error *err) {
    return open_images("shapes", err);
}

#ifdef MDLM_HAVE_PNG

/* A folder of two classes, with other sizes and channels, and a file that is no image. */
static const char *folder;

static mdlm_status make_pictures(mdlm_error *err) {
    static const char *const names[] = {"a/1.png", "b/2.png"};
    for (int i = 0; i < 2; i++) {
        md_picture p = {0};
        char *path = md_path_join(folder, names[i], err);
        path[strlen(path) - 6] = 0;
        MD_TRY(md_dir_make(path, err));
        path[strlen(path)] = '/';
        MD_TRY(md_picture_init(&p, 4 + i, 5, 1 + 3 * i, err));
        MD_TRY(md_picture_save(&p, path, err));
        md_picture_release(&p);
        md_free(path);
    }
    char *path = md_path_join(folder, "readme", err);
    MD_TRY(md_file_write(path, "x", 1, err));
    md_free(path);
    return MDLM_OK;
}

static mdlm_status open_folder(mdlm_error *err) {
    return open_images(folder, err);
}

#endif

/* --- the tests ------------------------------------------------------------------------------- */

START_TEST(a_process_and_its_bound_say_so_and_leave_nothing) {
    fail_in_turn(make_gaussian, 7);
}
END_TEST

START_TEST(operators_on_images_and_their_gradients_say_so_and_leave_nothing) {
    fail_in_turn(image_operators, 20);
}
END_TEST

START_TEST(a_classifier_says_so_and_leaves_nothing) {
    fail_in_turn(classify, 40);
}
END_TEST

START_TEST(sets_of_images_say_so_and_leave_nothing) {
    fail_in_turn(open_shapes, 15);
#ifdef MDLM_HAVE_PNG
    mdlm_error err;
    char *dir = suite_tmp_dir();
    folder = dir;
    assert_ok(make_pictures(&err));
    fail_in_turn(open_folder, 40);
    suite_tmp_remove(dir);
#endif
}
END_TEST

int main(void) {
    Suite *s = suite_create("out of memory with images");
    TCase *tc = tcase_create("images");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_process_and_its_bound_say_so_and_leave_nothing);
    tcase_add_test(tc, operators_on_images_and_their_gradients_say_so_and_leave_nothing);
    tcase_add_test(tc, a_classifier_says_so_and_leaves_nothing);
    tcase_add_test(tc, sets_of_images_say_so_and_leave_nothing);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
