/* diffusion/gaussian_times.c: see gaussian_times.h. */
#include "diffusion/gaussian_times.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

const char *const md_times_names[] = {"uniform", "loss-aware", "logit-normal", NULL};

enum { ROW = 1 + MD_TIMES_PAST };

static const char key[] = "losses_by_level";
static const double even = .001; /* share of probability that is spread evenly */
static const double logit_mean = .8, logit_deviation = .8;

/* --- probabilities --------------------------------------------------------------------------- */

static void fill_uniform(md_times *t) {
    for (int i = 0; i < t->T; i++) t->sum[i] = (i + 1.0) / t->T;
}

/* A level stands for what lies between it and the one with less noise; lambda = 2 ln(signal/noise).
 */
static void fill_logit_normal(md_times *t, const double *lambda) {
    for (int i = 0; i < t->T; i++) {
        double z = (-lambda[i] / 2 - logit_mean) / logit_deviation;
        t->sum[i] = erfc(-z * M_SQRT1_2) / 2;
    }
    t->sum[t->T - 1] = 1;
}

static double root_mean_square(const double *row) {
    double sum = 0;
    for (int k = 1; k < ROW; k++) sum += row[k] * row[k];
    return sqrt(sum / MD_TIMES_PAST);
}

static void fill_loss_aware(md_times *t) {
    double total = 0, sum = 0;
    fill_uniform(t);
    if (t->unknown > 0) return;
    for (int i = 0; i < t->T; i++) total += root_mean_square(t->past + (size_t)i * ROW);
    if (!(total > 0) || !isfinite(total)) return;
    for (int i = 0; i < t->T; i++) {
        double share = root_mean_square(t->past + (size_t)i * ROW) / total;
        t->sum[i] = sum += (1 - even) * share + even / t->T;
    }
    for (int i = 0; i < t->T; i++) t->sum[i] /= sum; /* 1 at the last */
}

/* --- life ------------------------------------------------------------------------------------ */

mdlm_status md_times_init(md_times *t, md_times_kind kind, const md_gaussian *p, mdlm_error *err) {
    const int T = p->T;
    MD_BUG_IF(T < MD_LEAST_TIMESTEPS || T > MD_MOST_TIMESTEPS);
    md_times made = {.kind = kind, .T = T, .unknown = T};
    made.sum = md_alloc((size_t)T, sizeof *made.sum, err);
    if (kind == MD_TIMES_LOSS_AWARE) made.past = md_alloc((size_t)T * ROW, sizeof *made.past, err);
    if (!made.sum || (kind == MD_TIMES_LOSS_AWARE && !made.past)) {
        md_times_release(&made);
        return MDLM_RUNTIME;
    }
    if (kind == MD_TIMES_LOGIT_NORMAL)
        fill_logit_normal(&made, p->lambda);
    else
        fill_uniform(&made);
    *t = made;
    return MDLM_OK;
}

void md_times_release(md_times *t) {
    md_free(t->sum);
    md_free(t->past);
    *t = (md_times){0};
}

/* --- draws ----------------------------------------------------------------------------------- */

md_time_draw md_times_draw(const md_times *t, md_rng rng, int64_t b, int64_t B) {
    MD_BUG_IF(b < 0 || b >= B);
    double u = ((double)b + md_uniform(rng, 0, 0)) / (double)B;
    int low = 0, high = t->T - 1; /* the first whose sum is above u */
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (t->sum[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    md_time_draw draw = {.index = low, .weight = 1};
    if (t->kind == MD_TIMES_LOSS_AWARE && t->unknown == 0)
        draw.weight = 1 / (t->T * (t->sum[low] - (low > 0 ? t->sum[low - 1] : 0)));
    return draw;
}

/* --- what was seen --------------------------------------------------------------------------- */

static void remember(md_times *t, int index, double loss) {
    double *row = t->past + (size_t)index * ROW;
    int known = (int)row[0];
    if (known < MD_TIMES_PAST) {
        row[1 + known] = loss;
        row[0] = ++known;
        if (known == MD_TIMES_PAST) t->unknown--;
        return;
    }
    memmove(row + 1, row + 2, (MD_TIMES_PAST - 1) * sizeof *row);
    row[MD_TIMES_PAST] = loss;
}

void md_times_observe(md_times *t, const int *index, const double *loss, int64_t count) {
    if (t->kind != MD_TIMES_LOSS_AWARE) return;
    for (int64_t k = 0; k < count; k++) {
        MD_BUG_IF(index[k] < 0 || index[k] >= t->T);
        if (isfinite(loss[k])) remember(t, index[k], loss[k]);
    }
    fill_loss_aware(t);
}

mdlm_status md_times_save(const md_times *t, cJSON *state, mdlm_error *err) {
    if (t->kind != MD_TIMES_LOSS_AWARE) return MDLM_OK;
    cJSON *numbers = cJSON_CreateDoubleArray(t->past, t->T * ROW);
    if (cJSON_AddItemToObject(state, key, numbers)) return MDLM_OK;
    cJSON_Delete(numbers);
    return md_fail(err, MDLM_RUNTIME, "out of memory for the losses of %d levels", t->T);
}

mdlm_status md_times_load(md_times *t, const cJSON *state, const char *file, mdlm_error *err) {
    int unknown = 0;
    if (t->kind != MD_TIMES_LOSS_AWARE) return MDLM_OK;
    double *past = md_alloc((size_t)t->T * ROW, sizeof *past, err);
    if (!past) return MDLM_RUNTIME;
    mdlm_status status = md_json_numbers(state, key, file, (int64_t)t->T * ROW, past, err);
    for (int i = 0; i < t->T && status == MDLM_OK; i++) {
        double known = past[(size_t)i * ROW];
        if (!(known >= 0 && known <= MD_TIMES_PAST && known == floor(known)))
            status = md_fail(err, MDLM_INPUT, "'%s': '%s' of level %d are %g: expected 0 to %d",
                             file, key, i, known, MD_TIMES_PAST);
        unknown += known < MD_TIMES_PAST;
    }
    if (status != MDLM_OK) {
        md_free(past);
        return status;
    }
    md_free(t->past);
    t->past = past;
    t->unknown = unknown;
    fill_loss_aware(t);
    return MDLM_OK;
}
