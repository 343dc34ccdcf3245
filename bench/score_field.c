/* bench/score_field.c: a small network learns the scores of densities in the plane from points
 * alone, by implicit score matching; how far it is from the true ones; and where Langevin dynamics
 * lead that know nothing but the network.
 *
 *     cmake --build build --target bench_score_field
 *     build/bench_score_field score.svg [STEPS]                 600 steps: about two minutes
 *
 * Prints a Markdown table and writes the picture. A density is a mixture of equal round normal
 * distributions. The network is that of images, a transformer on patches, whose images here are
 * points: one pixel with two channels. The error is E |s - grad log p|^2 / E |grad log p|^2 over
 * fresh points of the density p, so it counts where points are; a network that says 0 has 1.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "bench/field_plot.h"
#include "cli/blas.h"
#include "diffusion/score_matching.h"
#include "model/image_model.h"
#include "tensor/ops_image.h"
#include "tensor/optim.h"

enum { CENTRES = 32, GRID = 21, PANELS = 3 };
enum { BATCH = 256, TEST_POINTS = 4096, SHOWN = 500, LANGEVIN_STEPS = 400 };
static const double peak_lr = 2e-3;

/* What draws are for; points of training are keyed by the step besides. */
enum { OF_TRAINING = 1, OF_TEST, OF_PICTURE, OF_START, OF_LANGEVIN };

static void give_up(const mdlm_error *err) {
    (void)fprintf(stderr, "bench_score_field: %s\n", err->message);
    exit(1);
}

static void must(mdlm_status status, const mdlm_error *err) {
    if (status != MDLM_OK) give_up(err);
}

/* --- densities -------------------------------------------------------------------------------- */

typedef struct density {
    const char *name;
    int count;
    double sd;
    double centre[CENTRES][2];
} density;

static density ring(void) {
    density p = {.name = "ring", .count = 8, .sd = 0.12};
    for (int i = 0; i < p.count; i++) {
        p.centre[i][0] = 0.75 * cos(M_PI / 4 * i);
        p.centre[i][1] = 0.75 * sin(M_PI / 4 * i);
    }
    return p;
}

static density moons(void) {
    density p = {.name = "moons", .count = 24, .sd = 0.1};
    for (int i = 0; i < 12; i++) {
        const double angle = M_PI * i / 11, x = 0.6 * cos(angle), y = 0.6 * sin(angle);
        p.centre[i][0] = x - 0.3, p.centre[i][1] = y - 0.15;
        p.centre[12 + i][0] = x + 0.3, p.centre[12 + i][1] = 0.15 - y;
    }
    return p;
}

static density spiral(void) {
    density p = {.name = "spiral", .count = 32, .sd = 0.08};
    for (int i = 0; i < p.count; i++) {
        const double part = sqrt((i + 1.0) / p.count), angle = 3 * M_PI * part;
        p.centre[i][0] = 0.9 * part * cos(angle);
        p.centre[i][1] = 0.9 * part * sin(angle);
    }
    return p;
}

static md_rng draws_of(int purpose, int64_t step) {
    return (md_rng){.seed = (uint64_t)purpose, .stream = MD_STREAM_CORPUS, .step = (uint64_t)step};
}

/* x [N, 2] */
static void draw_points(const density *p, md_rng rng, int N, float *x) {
    for (int n = 0; n < N; n++) {
        const double *c = p->centre[md_uniform_below(rng, (uint32_t)n, 0, (uint64_t)p->count)];
        for (uint32_t d = 0; d < 2; d++)
            x[2 * n + (int)d] = (float)(c[d] + p->sd * md_normal(rng, (uint32_t)n, 1 + d));
    }
}

/* The density at x as a share of that of one of its parts at its centre; its score. */
static double true_score(const density *p, const float *x, double score[2]) {
    const double variance = p->sd * p->sd;
    double total = 0, sum[2] = {0};
    for (int i = 0; i < p->count; i++) {
        const double dx = p->centre[i][0] - (double)x[0], dy = p->centre[i][1] - (double)x[1];
        const double weight = exp(-(dx * dx + dy * dy) / (2 * variance));
        total += weight;
        sum[0] += weight * dx;
        sum[1] += weight * dy;
    }
    for (int d = 0; d < 2; d++) score[d] = total > 0 ? sum[d] / (total * variance) : 0;
    return total;
}

/* --- the network ------------------------------------------------------------------------------ */

typedef struct learner {
    const density *p;
    md_image_model *model;
    md_optimizer *optimizer;
    md_kernels kernels;
    md_pool *pool;
    md_tape *tape;
    double scale; /* the score is so many times the output, whose size is then about 1 */
} learner;

static const md_image_config config = {.backbone = MD_BACKBONE_DIT,
                                       .shape = {1, 1, 2},
                                       .patch = 1,
                                       .layers = 3,
                                       .dim = 64,
                                       .heads = 2,
                                       .ff = 128};

static md_tensor *run_network(const learner *l, const float *x, int N) {
    md_tensor *in = md_tape_tensor(l->tape, 4, (int64_t[]){N, 1, 1, 2});
    double *time = md_tape_alloc(l->tape, (size_t)N, sizeof *time);
    if (!in || !time) return NULL;
    for (int i = 0; i < N; i++) time[i] = 0;
    for (int i = 0; i < 2 * N; i++) in->data[i] = (md_real)x[i];
    const md_image_condition given = {.B = N, .time = time};
    return md_image_model_forward(l->model, l->tape, in, &given, NULL);
}

/* score [N, 2] */
static void learned_score(const learner *l, const float *x, int N, float *score) {
    mdlm_error err;
    for (int first = 0; first < N; first += BATCH) {
        const int count = N - first < BATCH ? N - first : BATCH;
        md_tape_begin(l->tape, false, (md_rng){0});
        const md_tensor *y = run_network(l, x + 2 * first, count);
        if (!y) must(md_tape_status(l->tape, &err), &err);
        for (int i = 0; i < 2 * count; i++)
            score[2 * first + i] = (float)(l->scale * (double)y->data[i]);
    }
}

/* One step on fresh points. */
static double train_step(learner *l, int64_t step, double lr) {
    const md_implicit m = {.D = 2, .h = 0.005};
    enum { ROWS = 5 * BATCH };
    static float x[2 * BATCH], rows[2 * ROWS], score[2 * ROWS], gradient[2 * ROWS];
    mdlm_error err;
    draw_points(l->p, draws_of(OF_TRAINING, step), BATCH, x);
    md_implicit_points(&m, x, BATCH, rows);
    md_tape_begin(l->tape, true, (md_rng){0});
    md_tensor *y = run_network(l, rows, ROWS);
    if (!y) must(md_tape_status(l->tape, &err), &err);
    for (int i = 0; i < 2 * ROWS; i++) score[i] = (float)(l->scale * (double)y->data[i]);
    const double loss = md_implicit_loss(&m, score, BATCH, gradient);
    for (int i = 0; i < 2 * ROWS; i++) gradient[i] = (float)(l->scale * (double)gradient[i]);
    md_tensor *known = md_known_loss(l->tape, y, loss, gradient);
    must(md_tape_backward(l->tape, known, &err), &err);
    must(md_optimizer_step(l->optimizer, lr, l->pool, NULL, &err), &err);
    return loss;
}

/* With the averaged weights in the end. */
static void train(learner *l, int64_t steps) {
    const md_lr_schedule schedule = {
        .kind = MD_LR_COSINE, .peak = peak_lr, .floor = 0.02, .warmup = 50};
    md_params *params = md_image_model_params(l->model);
    double loss = 0;
    for (int64_t step = 1; step <= steps; step++) {
        const double lr = md_lr_at(&schedule, step, (double)(step - 1) / (double)steps);
        loss += 0.01 * (train_step(l, step, lr) - loss);
        if (step % 500 == 0)
            (void)fprintf(stderr, "%s: step %lld, loss %.2f\n", l->p->name, (long long)step, loss);
    }
    const md_real *average = md_optimizer_ema(l->optimizer);
    for (int64_t i = 0; i < md_params_size(params); i++) md_params_values(params)[i] = average[i];
}

static void learner_start(learner *l, const density *p) {
    mdlm_error err;
    md_optimizer_options options = md_optimizer_defaults();
    options.weight_decay = 0;
    *l = (learner){.p = p, .scale = 1 / p->sd};
    must(md_kernels_init(&l->kernels, NULL, &err), &err);
    if (!(l->pool = md_pool_new(md_pool_default_threads(), &err))) give_up(&err);
    if (!(l->tape = md_tape_new(l->pool, &l->kernels, &err))) give_up(&err);
    must(md_image_model_new(&config, true, &l->model, &err), &err);
    md_image_model_init(l->model, 1);
    l->optimizer = md_optimizer_new(md_image_model_params(l->model), &l->kernels, &options, &err);
    if (!l->optimizer) give_up(&err);
}

static void learner_end(learner *l) {
    md_optimizer_free(l->optimizer);
    md_image_model_free(l->model);
    md_tape_free(l->tape);
    md_pool_free(l->pool);
}

/* --- what came of it -------------------------------------------------------------------------- */

static double relative_error(const learner *l) {
    static float x[2 * TEST_POINTS], score[2 * TEST_POINTS];
    double off = 0, all = 0;
    draw_points(l->p, draws_of(OF_TEST, 0), TEST_POINTS, x);
    learned_score(l, x, TEST_POINTS, score);
    for (int n = 0; n < TEST_POINTS; n++) {
        double right[2];
        (void)true_score(l->p, x + 2 * n, right);
        for (int d = 0; d < 2; d++) {
            const double miss = (double)score[2 * n + d] - right[d];
            off += miss * miss;
            all += right[d] * right[d];
        }
    }
    return off / all;
}

/* x' = x + alpha/2 s(x) + sqrt(alpha) z: one level, from points spread over the plane. */
static void langevin(const learner *l, float *x) {
    static float score[2 * SHOWN];
    const double alpha = 0.2 * l->p->sd * l->p->sd;
    for (int i = 0; i < 2 * SHOWN; i++)
        x[i] = (float)(2 * md_uniform(draws_of(OF_START, 0), 0, (uint32_t)i) - 1);
    for (int step = 0; step < LANGEVIN_STEPS; step++) {
        learned_score(l, x, SHOWN, score);
        for (int i = 0; i < 2 * SHOWN; i++)
            x[i] = (float)((double)x[i] + alpha / 2 * (double)score[i] +
                           sqrt(alpha) * md_normal(draws_of(OF_LANGEVIN, step), 0, (uint32_t)i));
    }
}

/* The score at x, for a picture: it keeps its direction, and its length stays within a cell. */
static field_arrow arrow_of(const density *p, const float *x, double sx, double sy) {
    const double cell = 2 * FIELD_PLANE / GRID, size = hypot(sx, sy);
    const double length = 1.1 * cell / (size + 1 / p->sd);
    return (field_arrow){
        .x = (double)x[0], .y = (double)x[1], .dx = length * sx, .dy = length * sy};
}

typedef struct picture {
    float dot[SHOWN * 2], walked[SHOWN * 2];
    field_arrow right[GRID * GRID], learned[GRID * GRID];
    char title[PANELS][64];
} picture;

/* Arrows where there may be points; elsewhere nobody has told the network anything. */
static int draw_fields(const learner *l, picture *to) {
    float x[2 * GRID * GRID], score[2 * GRID * GRID];
    int count = 0;
    for (int i = 0; i < GRID * GRID; i++) {
        double right[2];
        x[2 * count] = (float)(FIELD_PLANE * ((2 * (i % GRID) + 1.0) / GRID - 1));
        x[2 * count + 1] = (float)(FIELD_PLANE * ((2 * (i / GRID) + 1.0) / GRID - 1));
        if (true_score(l->p, x + 2 * count, right) < 0.01) continue;
        to->right[count] = arrow_of(l->p, x + 2 * count, right[0], right[1]);
        count++;
    }
    learned_score(l, x, count, score);
    for (int i = 0; i < count; i++)
        to->learned[i] = arrow_of(l->p, x + 2 * i, (double)score[2 * i], (double)score[2 * i + 1]);
    return count;
}

static void fill_panels(const learner *l, double error, picture *to, field_panel *panels) {
    const int arrows = draw_fields(l, to);
    draw_points(l->p, draws_of(OF_PICTURE, 0), SHOWN, to->dot);
    langevin(l, to->walked);
    (void)snprintf(to->title[0], sizeof to->title[0], "%s: points, and their score", l->p->name);
    (void)snprintf(to->title[1], sizeof to->title[1], "learned from points (error %.1f%%)",
                   100 * error);
    (void)snprintf(to->title[2], sizeof to->title[2], "Langevin dynamics by what was learned");
    panels[0] = (field_panel){to->title[0], to->dot, SHOWN, to->right, arrows};
    panels[1] = (field_panel){to->title[1], NULL, 0, to->learned, arrows};
    panels[2] = (field_panel){to->title[2], to->walked, SHOWN, NULL, 0};
}

int main(int argc, char **argv) {
    static picture pictures[3];
    const density densities[3] = {ring(), moons(), spiral()};
    field_panel panels[3 * PANELS];
    const long long steps = argc > 2 ? atoll(argv[2]) : 600;
    mdlm_error err;
    if (argc < 2 || argc > 3 || steps < 1) {
        (void)fprintf(stderr, "usage: bench_score_field FILE.svg [STEPS]\n");
        return 2;
    }
    (void)md_cli_blas_settle();
    printf("| density | parameters | steps | seconds | relative error of the score |\n"
           "| --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < 3; i++) {
        learner l;
        const double start = md_now();
        learner_start(&l, &densities[i]);
        train(&l, steps);
        const double seconds = md_now() - start, error = relative_error(&l);
        fill_panels(&l, error, &pictures[i], panels + PANELS * i);
        printf("| %s | %lld | %lld | %.0f | %.1f%% |\n", densities[i].name,
               (long long)md_params_size(md_image_model_params(l.model)), steps, seconds,
               100 * error);
        (void)fflush(stdout);
        learner_end(&l);
    }
    must(field_plot_write(argv[1], panels, 3 * PANELS, PANELS, &err), &err);
    return 0;
}
