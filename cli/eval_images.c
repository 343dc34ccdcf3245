/* cli/eval_images.c: see eval_images.h. */
#include "cli/eval_images.h"

#include <string.h>

#include "base/memory.h"
#include "train/image_plan.h"
#include "train/run_folder.h"

/* What the run says of its images; nothing for other folders of models, and where it cannot be read
 * and is not needed. */
static mdlm_status find_record(md_eval_images *from, const md_cli *cli, mdlm_error *err) {
    mdlm_error reason = {0};
    if (!md_run_exists(cli->model)) return MDLM_OK;
    mdlm_status status = md_image_record_load(cli->model, &from->record, &reason);
    if (status == MDLM_OK) return MDLM_OK;
    if (!md_cli_argument(cli)) return md_fail(err, status, "%s", reason.message);
    md_cli_note(cli, "note: cannot tell whether these are the run's own images: %s",
                reason.message);
    return MDLM_OK;
}

/* Images [first, end) of their source, as md_images_json has them. */
static bool range_of(const cJSON *images, double *first, double *end) {
    const cJSON *range = cJSON_GetObjectItemCaseSensitive(images, "range");
    const cJSON *a = cJSON_GetArrayItem(range, 0), *b = cJSON_GetArrayItem(range, 1);
    if (!cJSON_IsNumber(a) || !cJSON_IsNumber(b)) return false;
    *first = a->valuedouble;
    *end = b->valuedouble;
    return true;
}

/* --- opening --------------------------------------------------------------------------------- */

static mdlm_status find_path(md_eval_images *from, const md_cli *cli, mdlm_error *err) {
    const char *name = md_cli_argument(cli);
    const char *source =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(from->record.images, "source"));
    if (!name && !source)
        return md_fail(err, MDLM_USAGE,
                       "'%s' does not say what it was trained on: name images, mdlm image-eval "
                       "DATA",
                       cli->model);
    from->path = name ? md_image_data_path(name, err) : md_strdup(source, err);
    if (!from->path) return MDLM_RUNTIME;
    from->source = from->path;
    from->own = source && !strcmp(from->path, source);
    return MDLM_OK;
}

/* Others than the run's own: fitted as those were, and to nothing else. A bound for images that
 * were quietly made larger, or grey, would be a number about others than the user's. */
static mdlm_status open_other(md_eval_images *from, const md_cli *cli, const md_image_setup *setup,
                              const md_eval_images_choice *choice, mdlm_error *err) {
    const bool known = from->record.images != NULL;
    md_images_options opt = md_images_defaults();
    opt.labels = choice->labels;
    opt.image_size = known ? (int)from->record.set.image_size : 0;
    opt.channels = known ? (int)from->record.set.channels : 0;
    opt.seed = known ? from->record.seed : (uint64_t)cli->common.seed;
    if (*choice->range) MD_TRY(md_images_range(choice->range, &opt, err));
    if (!choice->class_free && setup->config.classes > 0) {
        opt.class_names = (const char *const *)setup->class_names.items;
        opt.classes = setup->config.classes;
    }
    return md_images_open(from->path, &opt, &from->data.set, err);
}

static mdlm_status check_shape(const md_eval_images *from, const md_cli *cli,
                               const md_image_setup *setup, mdlm_error *err) {
    const md_images_shape s = md_images_get_shape(from->data.set);
    const md_image_shape m = setup->config.shape;
    if (s.Y == m.Y && s.X == m.X && s.C == m.C) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' has images of %dx%dx%d: those of '%s' are %dx%dx%d",
                   from->source, s.X, s.Y, s.C, cli->model, m.X, m.Y, m.C);
}

/* --- which part ------------------------------------------------------------------------------ */

static md_image_part part_of(const char *split) {
    if (!strcmp(split, "all")) return MD_IMAGES_ALL;
    return strcmp(split, "val") ? MD_IMAGES_TRAINED : MD_IMAGES_HELD;
}

static void choose_own(md_eval_images *from, const md_cli *cli, const char *split) {
    const bool automatic = !strcmp(split, "auto");
    from->split = automatic ? "val" : split;
    if (automatic)
        md_cli_note(cli,
                    "%s: scoring the validation part (--split all scores everything, --range A:B "
                    "others)",
                    md_cli_argument(cli) ? "these are the images that the model was trained on"
                                         : "the run's own images");
}

static mdlm_status choose_other(md_eval_images *from, const md_cli *cli, const char *split,
                                mdlm_error *err) {
    double first, end, own_first, own_end;
    if (strcmp(split, "auto") && strcmp(split, "all"))
        return md_fail(err, MDLM_USAGE,
                       "--split %s is for the images of the run: '%s' has no such parts%s", split,
                       from->source, from->own ? " with --range or --labels" : "");
    from->split = "all";
    if (!from->own || !range_of(md_images_json(from->data.set), &first, &end) ||
        !range_of(from->record.images, &own_first, &own_end))
        return MDLM_OK;
    const bool seen = first < own_end && own_first < end;
    md_cli_note(cli, "%sthe run had images %.0f:%.0f, so it has seen %s of these",
                seen ? "note: " : "", own_first, own_end, seen ? "some" : "none");
    return MDLM_OK;
}

/* Opens the images; *whole: they are all that the run had, if only as a copy. */
static mdlm_status open_set(md_eval_images *from, const md_cli *cli, const md_image_setup *setup,
                            const md_eval_images_choice *choice, bool *whole, mdlm_error *err) {
    *whole = from->own && !*choice->range && !*choice->labels;
    if (*whole) return md_image_data_reopen(&from->record, cli->model, &from->data, err);
    MD_TRY(open_other(from, cli, setup, choice, err));
    const cJSON *images = md_images_json(from->data.set);
    *whole = from->record.images &&
             cJSON_Compare(cJSON_GetObjectItemCaseSensitive(images, "hash"),
                           cJSON_GetObjectItemCaseSensitive(from->record.images, "hash"), true);
    if (*whole)
        from->data.held = md_image_plan_held(&from->record.set, md_images_count(from->data.set));
    return MDLM_OK;
}

mdlm_status md_eval_images_open(md_eval_images *from, const md_cli *cli,
                                const md_image_setup *setup, const md_eval_images_choice *choice,
                                mdlm_error *err) {
    bool whole = false;
    MD_TRY(find_record(from, cli, err));
    MD_TRY(find_path(from, cli, err));
    MD_TRY(open_set(from, cli, setup, choice, &whole, err));
    MD_TRY(check_shape(from, cli, setup, err));
    if (whole)
        choose_own(from, cli, choice->split);
    else
        MD_TRY(choose_other(from, cli, choice->split, err));
    from->loader =
        md_image_data_part(&from->data, part_of(from->split), (uint64_t)cli->common.seed);
    from->labelled =
        !choice->class_free && setup->config.classes > 0 && md_images_classes(from->data.set) > 0;
    return MDLM_OK;
}

void md_eval_images_release(md_eval_images *from) {
    md_image_data_release(&from->data);
    md_image_record_release(&from->record);
    md_free(from->path);
    *from = (md_eval_images){0};
}

int64_t md_eval_images_number(const md_eval_images *from, int64_t n) {
    double first = 0, end;
    (void)range_of(md_images_json(from->data.set), &first, &end);
    return (int64_t)first + md_image_loader_index(&from->loader, n);
}
