/* diffusion/gaussian_json.c: see gaussian_json.h. */
#include "diffusion/gaussian_json.h"

#include <string.h>

#include "diffusion/gaussian_schedule.h"

static bool has_rates(const md_gaussian_options *o) {
    return o->process == MD_PROCESS_VP && o->schedule == MD_BETA_LEARNED;
}

static bool put(cJSON *object, const char *key, const char *const *names, int value) {
    return cJSON_AddStringToObject(object, key, names[value]) != NULL;
}

static bool fill(cJSON *object, const md_gaussian *p) {
    const md_gaussian_options *o = &p->opt;
    bool ok = put(object, "kind", md_process_names, (int)o->process) &&
              cJSON_AddNumberToObject(object, "timesteps", p->T) &&
              put(object, "prediction", md_prediction_names, (int)o->prediction) &&
              put(object, "variance", md_variance_names, (int)o->variance);
    if (ok && o->process == MD_PROCESS_VP)
        ok = put(object, "noise_schedule", md_beta_schedule_names, (int)o->schedule) &&
             cJSON_AddBoolToObject(object, "zero_snr", o->zero_snr);
    if (!ok || !has_rates(o)) return ok;
    return cJSON_AddItemToObject(object, "rates", cJSON_CreateDoubleArray(p->rate, MD_KNOTS));
}

cJSON *md_gaussian_to_json(const md_gaussian *p) {
    cJSON *object = cJSON_CreateObject();
    if (object && fill(object, p)) return object;
    cJSON_Delete(object);
    return NULL;
}

/* --- reading --------------------------------------------------------------------------------- */

static mdlm_status check_keys(const cJSON *object, const md_gaussian_options *o, const char *file,
                              mdlm_error *err) {
    static const char *const all[] = {"kind", "timesteps", "prediction", "variance", NULL};
    static const char *const vp[] = {"noise_schedule", "zero_snr", NULL};
    const cJSON *member;
    cJSON_ArrayForEach(member, object) {
        bool known = false;
        for (int i = 0; all[i]; i++) known = known || !strcmp(all[i], member->string);
        for (int i = 0; vp[i] && o->process == MD_PROCESS_VP; i++)
            known = known || !strcmp(vp[i], member->string);
        if (known || (has_rates(o) && !strcmp("rates", member->string))) continue;
        return md_fail(err, MDLM_INPUT, "'%s': process.%s is not known", file, member->string);
    }
    return MDLM_OK;
}

/* The place of a member's text in a list of names. */
static mdlm_status get(const cJSON *object, const char *key, const char *const *names,
                       const char *file, int *out, mdlm_error *err) {
    const char *name = NULL;
    MD_TRY(md_json_text(object, key, file, &name, err));
    *out = md_name_value(names, name);
    if (*out >= 0) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': process.%s is '%s', which is not known", file, key,
                   name);
}

static mdlm_status read_options(const cJSON *object, const char *file, md_gaussian_options *o,
                                mdlm_error *err) {
    int kind, prediction, variance, schedule = 0;
    int64_t T;
    MD_TRY(get(object, "kind", md_process_names, file, &kind, err));
    MD_TRY(md_json_int(object, "timesteps", file, MD_LEAST_TIMESTEPS, MD_MOST_TIMESTEPS, &T, err));
    MD_TRY(get(object, "prediction", md_prediction_names, file, &prediction, err));
    MD_TRY(get(object, "variance", md_variance_names, file, &variance, err));
    *o = (md_gaussian_options){.process = (md_process_kind)kind,
                               .timesteps = (int)T,
                               .prediction = (md_prediction_kind)prediction,
                               .variance = (md_variance_kind)variance};
    if (o->process == MD_PROCESS_VP) {
        MD_TRY(get(object, "noise_schedule", md_beta_schedule_names, file, &schedule, err));
        MD_TRY(md_json_flag(object, "zero_snr", file, &o->zero_snr, err));
    }
    o->schedule = (md_beta_schedule)schedule;
    return check_keys(object, o, file, err);
}

static mdlm_status read_rates(const cJSON *object, const char *file, md_gaussian *p,
                              mdlm_error *err) {
    double rate[MD_KNOTS];
    MD_TRY(md_json_numbers(object, "rates", file, MD_KNOTS, rate, err));
    mdlm_error why = {0};
    if (md_gaussian_set_rates(p, rate, &why) == MDLM_OK) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': process: %s", file, why.message);
}

mdlm_status md_gaussian_from_json(const cJSON *object, const char *file, md_gaussian *out,
                                  mdlm_error *err) {
    md_gaussian_options opt;
    md_gaussian p = {0};
    mdlm_error why = {0};
    MD_TRY(read_options(object, file, &opt, err));
    mdlm_status status = md_gaussian_init(&p, &opt, &why);
    if (status != MDLM_OK)
        return md_fail(err, status == MDLM_USAGE ? MDLM_INPUT : status, "'%s': process: %s", file,
                       why.message);
    if (has_rates(&opt)) status = read_rates(object, file, &p, err);
    if (status == MDLM_OK) {
        *out = p;
    } else {
        md_gaussian_release(&p);
    }
    return status;
}
