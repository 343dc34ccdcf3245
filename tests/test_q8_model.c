/* tests/test_q8_model.c: a network with 8-bit weights and activations beside one with floats. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "diffusion/likelihood.h"
#include "model/transformer.h"
#include "tests/suite.h"

static mdlm_error err;

enum { V = 40, MASK = 39, T = 24, TEXTS = 8 };

typedef struct network {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_transformer_view view;
} network;

/* Weights of five times the usual size: logits spread by about 1, as those of a trained network. */
static void start(network *n, const char *dtype) {
    const md_model_config config = {.layers = 2,
                                    .dim = 96,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .ff = 200,
                                    .seq_len = T,
                                    .vocab = V,
                                    .mask_id = MASK,
                                    .end_of_text_id = -1,
                                    .padding_id = -1,
                                    .norm_eps = 1e-5,
                                    .rope_theta = 10000};
    assert_ok(md_transformer_new(&config, false, &n->view.net, &err));
    md_transformer_init(n->view.net, 3);
    md_params *params = md_transformer_params(n->view.net);
    for (int i = 0; i < md_params_count(params); i++) {
        md_tensor *t = md_params_tensor(params, i);
        for (int64_t j = 0; t->rank == 2 && j < md_tensor_size(t); j++) t->data[j] *= 5;
    }
    assert_ok(md_kernels_init(&n->kernels, NULL, &err));
    assert_ok(md_kernels_set_dtype(&n->kernels, dtype, &err));
    assert_ok(md_transformer_pack(n->view.net, &n->kernels, &err));
    n->pool = md_pool_new(2, &err);
    n->tape = n->view.tape = md_tape_new(n->pool, &n->kernels, &err);
    ck_assert_ptr_nonnull(n->tape);
}

static void release(network *n) {
    md_tape_free(n->tape);
    md_pool_free(n->pool);
    md_transformer_free(n->view.net);
}

static void texts(int32_t ids[TEXTS * T]) {
    md_rng rng = {.seed = 2, .stream = MD_STREAM_TOKEN};
    for (uint32_t i = 0; i < TEXTS * T; i++) ids[i] = (int32_t)(md_uniform(rng, 0, i) * MASK);
}

static void logits_of(network *n, float logits[T * V]) {
    int32_t ids[TEXTS * T], rows[T];
    md_denoiser d = md_transformer_denoiser(&n->view);
    texts(ids);
    for (int i = 0; i < T; i++) rows[i] = i;
    for (int i = 0; i < T; i += 2) ids[i] = MASK;
    assert_ok(d.predict(d.context, ids, 1, T, rows, T, logits, &err));
}

/* The step of a block is 1/127 of its largest, 1/60 of a typical number: that errs by
 * 1/60/sqrt(12), half a per cent. Weights and activations of the nine products on a path make
 * sqrt(18) times that, 2%, and attention and gates spread it; twice that. */
START_TEST(logits_are_those_of_floats_to_four_per_cent) {
    static float exact[T * V], rounded[T * V];
    network f32, q8;
    double error = 0, size = 0;
    start(&f32, "f32");
    start(&q8, "q8_0");
    logits_of(&f32, exact);
    logits_of(&q8, rounded);
    for (int i = 0; i < T * V; i++) {
        error += pow((double)(rounded[i] - exact[i]), 2);
        size += pow((double)exact[i], 2);
    }
    ck_assert_msg(sqrt(size / (T * V)) > 0.5, "logits of %g say nothing", sqrt(size / (T * V)));
    ck_assert_msg(error > 0, "nothing was rounded");
    ck_assert_msg(sqrt(error / size) < 0.04, "logits err by %g", sqrt(error / size));
    release(&f32);
    release(&q8);
}
END_TEST

static double nelbo_of(network *n) {
    int32_t ids[TEXTS * T];
    md_likelihood sum = {0};
    md_likelihood_options opt = {.draws = 4, .batch = 4, .seed = 1};
    md_likelihood_batch batch = {.ids = ids, .count = TEXTS, .T = T};
    md_denoiser d = md_transformer_denoiser(&n->view);
    texts(ids);
    assert_ok(md_likelihood_add(&sum, &d, &opt, &batch, NULL, &err));
    return md_likelihood_finish(&sum).nats_per_token;
}

START_TEST(the_likelihood_bound_moves_by_less_than_a_per_cent) {
    network f32, q8;
    start(&f32, "f32");
    start(&q8, "q8_0");
    double exact = nelbo_of(&f32), rounded = nelbo_of(&q8);
    ck_assert(exact != rounded);
    ck_assert_msg(fabs(rounded / exact - 1) < 0.01, "%g nats per token became %g", exact, rounded);
    release(&f32);
    release(&q8);
}
END_TEST

int main(void) {
    Suite *s = suite_create("8-bit network");
    suite_case(s, logits_are_those_of_floats_to_four_per_cent);
    suite_case(s, the_likelihood_bound_moves_by_less_than_a_per_cent);
    return suite_run(s);
}
