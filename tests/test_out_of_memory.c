/* tests/test_out_of_memory.c: every allocation of a constructor, and of a step, fails in turn. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/images.h"
#include "corpora/picture.h"
#include "corpora/quality.h"
#include "diffusion/gaussian_bound.h"
#include "diffusion/gaussian_times.h"
#include "model/image_model.h"
#include "model/lora.h"
#include "sampler/draw.h"
#include "tensor/ops_image.h"
#include "tensor/optim.h"
#include "tests/fail_in_turn.h"
#include "tests/suite.h"
#include "tokenizer/arrays.h"
#include "tokenizer/chat.h"
#include "tokenizer/fitting.h"
#include "train/text_task.h"

/* --- what is tried --------------------------------------------------------------------------- */

enum { V = 23, MASK = 22, T = 37, B = 2 };

static md_pool *pool;
static md_kernels kernels;
static md_transformer *net;
static int32_t ids[B * T];

static const md_model_config config = {.layers = 2,
                                       .dim = 40,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .ff = 80, /* wide enough for rows rounded before */
                                       .vocab = V,
                                       .seq_len = T,
                                       .rope_theta = 10000,
                                       .norm_eps = 1e-5,
                                       .mask_id = MASK};

static void setup(void) {
    mdlm_error err;
    assert_ok(md_kernels_init(&kernels, NULL, &err));
    assert_ok(md_kernels_set_dtype(&kernels, "bf16", &err));
    pool = md_pool_new(2, &err);
    ck_assert_ptr_nonnull(pool);
    assert_ok(md_transformer_new(&config, true, &net, &err));
    md_transformer_init(net, 1);
    for (int i = 0; i < B * T; i++) ids[i] = i * 5 % V;
}

static void teardown(void) {
    md_transformer_free(net);
    md_pool_free(pool);
}

static mdlm_status make_pool(mdlm_error *err) {
    md_pool *made = md_pool_new(3, err);
    md_pool_free(made);
    return made ? MDLM_OK : err->status;
}

static mdlm_status make_tape(mdlm_error *err) {
    md_tape *tape = md_tape_new(pool, &kernels, err);
    md_tape_free(tape);
    return tape ? MDLM_OK : err->status;
}

static mdlm_status make_network(mdlm_error *err) {
    md_transformer *made = NULL;
    mdlm_status status = md_transformer_new(&config, true, &made, err);
    if ((status == MDLM_OK) != (made != NULL)) ck_abort_msg("status %d", (int)status);
    md_transformer_free(made);
    return status;
}

static mdlm_status make_packed_network(mdlm_error *err) {
    md_transformer *made = NULL;
    MD_TRY(md_transformer_new(&config, false, &made, err));
    mdlm_status status = md_transformer_pack(made, &kernels, err);
    md_transformer_free(made);
    return status;
}

static mdlm_status make_optimizer(md_optimizer_kind kind, mdlm_error *err) {
    md_optimizer_options options = md_optimizer_defaults();
    options.kind = kind;
    options.ema = 0.9;
    md_optimizer *made = md_optimizer_new(md_transformer_params(net), &kernels, &options, err);
    md_optimizer_free(made);
    return made ? MDLM_OK : err->status;
}

static mdlm_status make_adamw(mdlm_error *err) {
    return make_optimizer(MD_OPTIMIZER_ADAMW, err);
}

static mdlm_status make_muon(mdlm_error *err) {
    return make_optimizer(MD_OPTIMIZER_MUON, err);
}

static mdlm_status make_drawer(mdlm_error *err) {
    md_sampler_options options = md_sampler_defaults();
    options.kernels = &kernels;
    options.pool = pool;
    options.top_k = 5;
    md_drawer *made = md_drawer_new(V, MASK, &options, err);
    md_drawer_free(made);
    return made ? MDLM_OK : err->status;
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

/* From an expression to what may stand on a canvas. */
static mdlm_status make_fitting(mdlm_error *err) {
    static const char pattern[] = "(a|[^b-\xc3\xa9]{2,3})*\\d+";
    md_tokenizer *tok = NULL;
    md_automaton *a = NULL;
    md_fitting *f = NULL;
    MD_TRY(md_tokenizer_bytes(&tok, err));
    int vocab = md_tokenizer_vocab_size(tok);
    mdlm_status status = md_automaton_new(tok, pattern, sizeof pattern - 1, NULL, vocab, &a, err);
    if (status == MDLM_OK) status = md_fitting_new(a, md_tokenizer_mask(tok), 0, 9, &f, err);
    if (status == MDLM_OK) md_fitting_free(f);
    md_automaton_free(a);
    md_tokenizer_free(tok);
    return status;
}

static mdlm_status make_adapters(mdlm_error *err) {
    md_lora *made = NULL;
    mdlm_status status = md_lora_new(net, 4, true, &made, err);
    md_lora_free(made);
    return status;
}

/* y = x w^T and both gradients. */
static mdlm_status linear(mdlm_error *err) {
    enum { N = 19, K = 40, M = 200 };
    static md_real x_data[N * K], w_data[M * K], w_grad[M * K], ones[N * M];
    md_tensor x = {.rank = 2, .dim = {N, K, 1, 1}, .needs_grad = true, .data = x_data};
    md_tensor w = {.rank = 2, .dim = {M, K, 1, 1}, .needs_grad = true, .is_param = true};
    w.data = w_data, w.grad = w_grad;
    md_tape *tape = md_tape_new(pool, &kernels, err);
    if (!tape) return err->status;
    md_tape_begin(tape, true, (md_rng){0});
    md_tensor *y = md_dot_constant(tape, md_linear(tape, &x, &w, NULL), ones);
    mdlm_status status = md_tape_backward(tape, y, err);
    md_tape_free(tape);
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

static mdlm_status step_on(md_tape *tape, mdlm_error *err) {
    enum { ROWS = 5 };
    static const int32_t rows[ROWS] = {0, 3, 36, 37, 70}, target[ROWS] = {1, 2, 3, 4, 5};
    static const md_real weight[ROWS] = {1, 1, 1, 1, 1};
    const md_transformer_training training = {.dropout = 0.1, .checkpoint = true};
    const md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    md_tape_begin(tape, true, (md_rng){.seed = 1, .stream = MD_STREAM_DROPOUT});
    md_tensor *h = md_transformer_hidden(net, tape, ids, B, T, &training);
    h = md_gather_rows(tape, h, rows, ROWS);
    md_tensor *loss = md_linear_cross_entropy(tape, h, md_transformer_head(net), &args);
    return md_tape_backward(tape, loss, err);
}

/* A network of blocks of 9, canvases twice as long as it was trained on. */
static md_transformer *new_block_network(mdlm_error *err) {
    md_transformer *made = NULL;
    md_model_config c = config;
    c.sight = MD_SEES_BLOCKS, c.seq_len = 36, c.block_length = 9;
    return md_transformer_new(&c, false, &made, err) == MDLM_OK ? made : NULL;
}

static mdlm_status ask(md_transformer_view *view, bool cached, mdlm_error *err) {
    enum { LONG = B * T };
    static const int32_t rows[] = {63, 64, 70};
    static float logits[3 * V];
    md_denoiser d = md_transformer_denoiser(view);
    if (!cached) return d.predict_blocks(view, ids, ids, 1, LONG, rows, 3, logits, err);
    void *cache = d.cache_new(view, LONG, err);
    if (!cache) return err->status;
    const md_cached_call call = {.caches = &cache,
                                 .ids = ids,
                                 .B = 1,
                                 .T = LONG,
                                 .first = 63,
                                 .end = 72,
                                 .rows = rows,
                                 .count = 3,
                                 .logits = logits};
    mdlm_status status = d.predict_cached(view, &call, err);
    d.cache_free(cache);
    return status;
}

static mdlm_status answer(bool cached, mdlm_error *err) {
    md_transformer_view view = {.net = new_block_network(err)};
    mdlm_status status = MDLM_RUNTIME;
    if (view.net) view.tape = md_tape_new(pool, &kernels, err);
    if (view.tape) status = ask(&view, cached, err);
    md_tape_free(view.tape);
    md_transformer_free(view.net);
    return status;
}

static mdlm_status answer_pairs(mdlm_error *err) {
    return answer(false, err);
}

static mdlm_status answer_with_a_cache(mdlm_error *err) {
    return answer(true, err);
}

/* A step of training; the tape of one that failed takes the next. */
static mdlm_status train(mdlm_error *err) {
    md_tape *tape = md_tape_new(pool, &kernels, err);
    if (!tape) return err->status;
    mdlm_status status = step_on(tape, err);
    if (status != MDLM_OK) {
        mdlm_error other;
        memory.left = -1;
        if (step_on(tape, &other) != MDLM_OK) ck_abort_msg("%s", other.message);
    }
    md_tape_free(tape);
    return status;
}

/* This file as the reference, and as the only sample. */
static mdlm_status report_on_samples(mdlm_error *err) {
    const char *path = SOURCE_ROOT "/tests/test_out_of_memory.c";
    const md_quality_options options = {.order = 3};
    md_quality_report report;
    md_samples samples = {0};
    md_reference *ref = NULL;
    mdlm_status status = md_samples_read(&samples, path, err);
    if (status == MDLM_OK) status = md_reference_files(&path, 1, 0.1, &ref, err);
    if (status == MDLM_OK) status = md_quality_measure(&samples, ref, &options, &report, err);
    md_reference_free(ref);
    md_samples_release(&samples);
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

static mdlm_status make_text_batch(mdlm_error *err) {
    md_text_batch batch;
    mdlm_status status = md_text_batch_init(&batch, B, T, err);
    md_text_batch_release(&batch);
    return status;
}

static mdlm_status read_ids(void *context, int64_t step, int64_t first, md_text_batch *batch,
                            mdlm_error *err) {
    (void)context, (void)step, (void)first, (void)err;
    for (int i = 0; i < batch->B * batch->T; i++) batch->ids[i] = ids[i % (B * T)] % MASK;
    return MDLM_OK;
}

static mdlm_status predict_nothing(void *context, const int32_t *noisy, const int32_t *clean,
                                   int count, int length, const int32_t *rows, int wanted,
                                   float *logits, mdlm_error *err) {
    (void)context, (void)noisy, (void)clean, (void)count, (void)length, (void)rows, (void)err;
    memset(logits, 0, (size_t)wanted * V * sizeof *logits);
    return MDLM_OK;
}

static mdlm_status measure_clip(mdlm_error *err) {
    enum { SEQUENCES = 64 };
    md_text_task task = {.data = {.read = read_ids},
                         .process = md_masked_process(MD_SCHEDULE_POLY),
                         .seq_len = T,
                         .sequences = SEQUENCES};
    const md_denoiser denoiser = {.vocab = V,
                                  .mask_id = MASK,
                                  .sight = MD_SEES_BLOCKS,
                                  .block_length = T / 4,
                                  .predict_blocks = predict_nothing};
    md_clip clip;
    mdlm_status status = md_text_batch_init(&task.micro, SEQUENCES, T, err);
    if (status == MDLM_OK) status = md_clip_measure(&task, &denoiser, &clip, err);
    md_text_batch_release(&task.micro);
    return status;
}

/* --- the tests ------------------------------------------------------------------------------- */

/* A tokenizer with a template, which is read, evaluated and turned into ids. */
static mdlm_status ask_by_template(mdlm_error *err) {
    static const mdlm_message turns[] = {{.role = "user", .text = "hello", .text_bytes = 5},
                                         {.role = "assistant", .text = "hi", .text_bytes = 2}};
    md_tokenizer *tok = NULL;
    md_chat *chat = NULL;
    md_ids prompt = {0};
    mdlm_status status;
    MD_GOTO(done, status, md_tokenizer_bytes(&tok, err));
    MD_GOTO(done, status, md_tokenizer_set_template(tok, md_chat_plain_template, err));
    MD_GOTO(done, status, md_chat_new(tok, &chat, err));
    status = md_chat_encode(chat, turns, 2, true, &prompt, err);
    if ((status == MDLM_OK) != (prompt.count == 9)) ck_abort_msg("%zu ids", prompt.count);
done:
    md_ids_release(&prompt);
    md_chat_free(chat);
    md_tokenizer_free(tok);
    return status;
}

/* A tokenizer of other people: merges, an added token, two cuts; it encodes, and is written. */
static mdlm_status use_arrays(mdlm_error *err) {
    static const md_text tokens[] = {{"a", 1},   {"b", 1},     {"1", 1},     {"ab", 2},
                                     {"<t>", 3}, {"<eos>", 5}, {"<mask>", 6}};
    static const int32_t types[] = {1, 1, 1, 1, MD_TYPE_USER, MD_TYPE_CONTROL, MD_TYPE_CONTROL};
    static const md_text merge = {"a b", 3};
    md_tokenizer_arrays in = {.name = "x", .model = "gpt2", .pre = "starcoder", .bos = 5}, out;
    in.tokens = tokens, in.types = types, in.count = 7;
    in.merges = &merge, in.merge_count = 1;
    in.roles = (md_token_roles){.mask = 6, .end_of_text = 5, .padding = -1};
    md_tokenizer *tok = NULL;
    md_ids found = {0};
    md_arena *arena = md_arena_new(err);
    mdlm_status status = arena ? MDLM_OK : MDLM_RUNTIME;
    if (status != MDLM_OK) return status;
    MD_GOTO(done, status, md_tokenizer_from_arrays(&in, &tok, err));
    MD_GOTO(done, status, md_tokenizer_encode(tok, "ab1<t>aab", 9, &found, err));
    if (found.count != 5) ck_abort_msg("%zu ids", found.count);
    status = md_tokenizer_to_arrays(tok, 8, arena, &out, err);
done:
    md_ids_release(&found);
    md_tokenizer_free(tok);
    md_arena_free(arena);
    return status;
}

START_TEST(constructors_say_so_and_leave_nothing) {
    fail_in_turn(make_pool, 2);
    fail_in_turn(make_tape, 3);
    fail_in_turn(make_network, 20);
    fail_in_turn(make_packed_network, 20);
    fail_in_turn(make_adamw, 6);
    fail_in_turn(make_muon, 12);
    fail_in_turn(make_drawer, 8);
    fail_in_turn(make_text_batch, 8);
    fail_in_turn(make_gaussian, 7);
    fail_in_turn(make_fitting, 30);
    fail_in_turn(make_adapters, 8);
}
END_TEST

START_TEST(a_linear_layer_and_its_gradients_say_so_and_leave_nothing) {
    fail_in_turn(linear, 8);
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

START_TEST(a_step_says_so_and_the_next_one_succeeds) {
    fail_in_turn(train, 12);
}
END_TEST

START_TEST(answers_of_a_network_of_blocks_say_so_and_leave_nothing) {
    fail_in_turn(answer_pairs, 20);
    fail_in_turn(answer_with_a_cache, 20);
}
END_TEST

START_TEST(a_report_on_samples_says_so_and_leaves_nothing) {
    fail_in_turn(report_on_samples, 40);
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

START_TEST(the_choice_of_a_clip_says_so_and_leaves_nothing) {
    fail_in_turn(measure_clip, 20);
}
END_TEST

START_TEST(a_question_by_a_chat_template_says_so_and_leaves_nothing) {
    fail_in_turn(ask_by_template, 12);
}
END_TEST

START_TEST(a_tokenizer_of_arrays_says_so_and_leaves_nothing) {
    fail_in_turn(use_arrays, 20);
}
END_TEST

static void add_case(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("out of memory");
    add_case(s, "constructors", constructors_say_so_and_leave_nothing);
    add_case(s, "linear", a_linear_layer_and_its_gradients_say_so_and_leave_nothing);
    add_case(s, "images", operators_on_images_and_their_gradients_say_so_and_leave_nothing);
    add_case(s, "classifiers", a_classifier_says_so_and_leaves_nothing);
    add_case(s, "steps", a_step_says_so_and_the_next_one_succeeds);
    add_case(s, "blocks", answers_of_a_network_of_blocks_say_so_and_leave_nothing);
    add_case(s, "samples", a_report_on_samples_says_so_and_leaves_nothing);
    add_case(s, "images", sets_of_images_say_so_and_leave_nothing);
    add_case(s, "clips", the_choice_of_a_clip_says_so_and_leaves_nothing);
    add_case(s, "templates", a_question_by_a_chat_template_says_so_and_leaves_nothing);
    add_case(s, "tokenizers", a_tokenizer_of_arrays_says_so_and_leaves_nothing);
    return suite_run(s);
}
