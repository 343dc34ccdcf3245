/* train/image_data.c: see image_data.h. */
#include "train/image_data.h"

#include <limits.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/image_plan.h"

const md_run_kind md_image_run = {
    .command = "image-train",
    .data = "images",
    .tables = (const md_option *const[]){md_image_data_table, md_image_network_table,
                                         md_image_process_table, md_image_loop_table,
                                         md_image_run_table, NULL},
    .shape = (const md_option *const[]){md_image_data_table, md_image_network_table,
                                        md_image_process_table, NULL},
    .state = (const char *const[]){"optimizer", "ema", "batch_size", "accum", NULL},
};

char *md_image_data_path(const char *name, mdlm_error *err) {
    char path[PATH_MAX];
    return md_strdup(md_file_exists(name) && realpath(name, path) ? path : name, err);
}

static mdlm_status open_set(const char *path, const char *labels, const md_image_settings *set,
                            uint64_t seed, md_image_data *out, mdlm_error *err) {
    md_images_options opt = md_images_defaults();
    opt.labels = labels;
    opt.image_size = (int)set->image_size;
    opt.channels = (int)set->channels;
    opt.seed = seed;
    if (*set->range) MD_TRY(md_images_range(set->range, &opt, err));
    md_image_data data = {0};
    MD_TRY(md_images_open(path, &opt, &data.set, err));
    const int64_t count = md_images_count(data.set);
    if (count < 2) {
        md_image_data_release(&data);
        return md_fail(err, MDLM_INPUT,
                       "one image of '%s' is not enough: training and validation need two", path);
    }
    data.held = md_image_plan_held(set, count);
    *out = data;
    return MDLM_OK;
}

mdlm_status md_image_data_open(const char *path, const md_image_settings *set, uint64_t seed,
                               md_image_data *out, mdlm_error *err) {
    char *labels = *set->labels ? md_image_data_path(set->labels, err) : NULL;
    if (*set->labels && !labels) return MDLM_RUNTIME;
    mdlm_status status = open_set(path, labels, set, seed, out, err);
    md_free(labels);
    return status;
}

void md_image_data_release(md_image_data *data) {
    md_images_free(data->set);
    *data = (md_image_data){0};
}

md_image_loader md_image_data_part(const md_image_data *data, md_image_part part, uint64_t seed) {
    const int64_t all = md_images_count(data->set), trained = all - data->held;
    return (md_image_loader){.set = data->set,
                             .first = part == MD_IMAGES_HELD ? trained : 0,
                             .count = part == MD_IMAGES_HELD  ? data->held
                                      : part == MD_IMAGES_ALL ? all
                                                              : trained,
                             .seed = seed,
                             .mixed = true};
}

/* --- what a run says ------------------------------------------------------------------------- */

mdlm_status md_image_record_load(const char *run, md_image_record *out, mdlm_error *err) {
    const md_option_group groups[] = {{"Images", md_image_data_table, &out->set},
                                      {"Network", md_image_network_table, &out->set},
                                      {"Process", md_image_process_table, &out->set},
                                      {"Training", md_image_loop_table, &out->set},
                                      {"Run", md_image_run_table, &out->set}};
    out->options = md_options_new(groups, sizeof groups / sizeof *groups, NULL, err);
    if (!out->options) return MDLM_RUNTIME;
    const md_train_request request = {.options = out->options, .run = run};
    return md_run_read(&md_image_run, &request, &out->seed, &out->images, err);
}

void md_image_record_release(md_image_record *record) {
    md_options_free(record->options);
    cJSON_Delete(record->images);
    *record = (md_image_record){0};
}

mdlm_status md_image_data_reopen(const md_image_record *record, const char *run, md_image_data *out,
                                 mdlm_error *err) {
    static const char hash[] = "hash";
    const char *path;
    MD_TRY(md_json_text(record->images, "source", "run.json", &path, err));
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(record->images, "labels");
    MD_TRY(open_set(path, cJSON_GetStringValue(labels), &record->set, record->seed, out, err));
    const cJSON *then = cJSON_GetObjectItemCaseSensitive(record->images, hash);
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(md_images_json(out->set), hash);
    if (cJSON_Compare(then, now, true)) return MDLM_OK;
    md_image_data_release(out);
    return md_fail(err, MDLM_INPUT, "the images '%s' have changed since '%s' was started", path,
                   run);
}
