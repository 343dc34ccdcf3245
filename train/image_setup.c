/* train/image_setup.c: see image_setup.h. */
#include "train/image_setup.h"

#include "base/memory.h"
#include "diffusion/gaussian_json.h"
#include "diffusion/gaussian_schedule.h"

static const char PROCESS[] = "process", NAMES[] = "class_names";
static const char RATES[] = "schedule_rates"; /* of a checkpoint */

void md_image_setup_release(md_image_setup *setup) {
    md_gaussian_release(&setup->process);
    md_names_release(&setup->class_names);
}

mdlm_status md_image_setup_name(md_image_setup *setup, const char *const *names, int count,
                                mdlm_error *err) {
    md_names *to = &setup->class_names;
    MD_BUG_IF(to->items);
    to->items = md_alloc((size_t)count, sizeof *to->items, err);
    if (!to->items) return MDLM_RUNTIME;
    for (; to->count < (size_t)count; to->count++) {
        to->items[to->count] = md_strdup(names[to->count], err);
        if (!to->items[to->count]) return MDLM_RUNTIME;
    }
    return MDLM_OK;
}

static bool fill_members(cJSON *members, const md_image_setup *setup) {
    cJSON *process =
        md_image_config_noised(&setup->config) ? md_gaussian_to_json(&setup->process) : NULL;
    if (md_image_config_noised(&setup->config) &&
        !cJSON_AddItemToObject(members, PROCESS, process)) {
        cJSON_Delete(process);
        return false;
    }
    if (setup->class_names.count == 0) return true;
    cJSON *names = cJSON_CreateStringArray((const char *const *)setup->class_names.items,
                                           (int)setup->class_names.count);
    if (cJSON_AddItemToObject(members, NAMES, names)) return true;
    cJSON_Delete(names);
    return false;
}

mdlm_status md_image_setup_save(const md_image_setup *setup, const char *folder, mdlm_error *err) {
    cJSON *members = cJSON_CreateObject();
    mdlm_status status =
        members && fill_members(members, setup)
            ? md_image_config_save(&setup->config, members, folder, err)
            : md_fail(err, MDLM_RUNTIME, "out of memory: cannot describe the model");
    cJSON_Delete(members);
    return status;
}

static mdlm_status read_names(const cJSON *list, md_image_setup *setup, mdlm_error *err) {
    const int count = cJSON_GetArraySize(list);
    const char **names = md_alloc((size_t)count, sizeof *names, err);
    if (!names) return MDLM_RUNTIME;
    for (int i = 0; i < count; i++) names[i] = cJSON_GetStringValue(cJSON_GetArrayItem(list, i));
    const mdlm_status status = md_image_setup_name(setup, names, count, err);
    md_free(names);
    return status;
}

mdlm_status md_image_setup_load(const char *folder, md_image_setup *out, mdlm_error *err) {
    md_image_setup setup = {0};
    cJSON *file = NULL;
    mdlm_status status;
    char *path = md_path_join(folder, "config.json", err);
    if (!path) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_image_config_load(folder, &setup.config, &file, err));
    const cJSON *process = cJSON_GetObjectItemCaseSensitive(file, PROCESS);
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(file, NAMES);
    if (md_image_config_noised(&setup.config))
        MD_GOTO(done, status, md_gaussian_from_json(process, path, &setup.process, err));
    const bool learned = setup.process.opt.variance == MD_VARIANCE_LEARNED;
    if (learned != setup.config.learned_variance)
        status = md_fail(err, MDLM_INPUT,
                         "'%s': the network and the process differ about learned variances", path);
    if (status == MDLM_OK && setup.config.classes > 0 && !names)
        status = md_fail(err, MDLM_INPUT, "'%s': class_names is missing", path);
    if (status == MDLM_OK && names) status = read_names(names, &setup, err);
    if (status != MDLM_OK) goto done;
    *out = setup;
    setup = (md_image_setup){0};
done:
    md_image_setup_release(&setup);
    cJSON_Delete(file);
    md_free(path);
    return status;
}

/* --- a schedule that is learned --------------------------------------------------------------- */

mdlm_status md_image_setup_put_schedule(const md_image_setup *setup, cJSON *state,
                                        mdlm_error *err) {
    if (setup->process.opt.schedule != MD_BETA_LEARNED) return MDLM_OK;
    cJSON *rates = cJSON_CreateDoubleArray(setup->process.rate, MD_KNOTS);
    if (cJSON_AddItemToObject(state, RATES, rates)) return MDLM_OK;
    cJSON_Delete(rates);
    return md_fail(err, MDLM_RUNTIME, "out of memory: cannot save");
}

mdlm_status md_image_setup_take_schedule(md_image_setup *setup, const cJSON *state,
                                         const char *path, mdlm_error *err) {
    double rate[MD_KNOTS];
    if (setup->process.opt.schedule != MD_BETA_LEARNED) return MDLM_OK;
    MD_TRY(md_json_numbers(state, RATES, path, MD_KNOTS, rate, err));
    return md_gaussian_set_rates(&setup->process, rate, err);
}
