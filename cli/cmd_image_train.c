/* cli/cmd_image_train.c: `mdlm image-train`: settings to train/, its events to the screen. */
#include <string.h>

#include "cli/commands.h"
#include "cli/training.h"
#include "train/image_train.h"

/* The images that an earlier run was trained on, as its run.json (--config) has them; *root keeps
 * the name, deleted by the caller. */
static mdlm_status images_again(const md_cli *cli, const char **path, cJSON **root,
                                mdlm_error *err) {
    enum { LARGEST = 1 << 26 };
    const char *config = cli->common.config;
    MD_TRY(md_json_load(config, LARGEST, root, err));
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(*root, "images");
    if (!images) return MDLM_OK; /* options alone: the usual images */
    return md_json_text(images, "source", config, path, err);
}

static mdlm_status train(md_cli *cli, const char *path, mdlm_error *err) {
    md_training t;
    MD_TRY(md_training_begin(&t, cli, &path, path != NULL, err));
    mdlm_status status = md_train_images(&t.request, cli->settings, &t.result, err);
    md_training_end(&t);
    MD_TRY(status);
    const md_image_settings *settings = cli->settings;
    const bool draws = strcmp(settings->task, "generate") == 0;
    const md_training_words words = {
        .next = draws ? "to let it draw:  mdlm image-generate --num-samples 64 --out grid.png"
                      : "to measure it:   mdlm image-eval"};
    return md_training_report(&t, &words, err);
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const md_image_settings *settings = cli->settings;
    const char *path = md_cli_argument(cli);
    cJSON *root = NULL;
    mdlm_status status = MDLM_OK;
    if (!path && !settings->loop.resume && *cli->common.config)
        status = images_again(cli, &path, &root, err);
    if (status == MDLM_OK) status = train(cli, path, err);
    cJSON_Delete(root);
    return status;
}

static const md_cli_section sections[] = {
    {"Images", md_image_data_table},     {"Network", md_image_network_table},
    {"Process", md_image_process_table}, {"Training", md_image_loop_table},
    {"Run", md_image_run_table},         {NULL, NULL},
};

static const md_option_alias aliases[] = {{"-m", "init"}, {"--model", "init"}, {NULL, NULL}};

const md_command md_cmd_image_train = {
    .name = "image-train",
    .arguments = "[DATA]",
    .summary =
        "Train a model that draws or tells images; without DATA, shapes that come with mdlm.",
    .examples =
        "  mdlm image-train                               shapes, everything chosen for you\n"
        "  mdlm image-train --time 10m                    for ten minutes\n"
        "  mdlm image-train train-images-idx3-ubyte.gz    digits as MNIST comes\n"
        "  mdlm image-train t10k-images-idx3-ubyte.gz --range 0:9000 --loss vlb\n"
        "  mdlm image-train --process vp                  a chain (DDPM) in place of a flow\n"
        "  mdlm image-train photos/ --image-size 64       folders of PNG and JPEG, one a class\n"
        "  mdlm image-train --backbone dit                a transformer on patches\n"
        "  mdlm image-train --task classify --run judge   a classifier, to guide or to evaluate\n"
        "  mdlm image-train --task upscale --run larger    makes images of 16x16 into 32x32\n"
        "  mdlm image-train --resume                      go on after Ctrl-C\n",
    .notes = "DATA is an IDX file (.gz too), a folder of PNG and JPEG pictures whose sub-folders "
             "are\nclasses, CIFAR-10's binary files, or `shapes` (the default). Ctrl-C saves the "
             "run; a second\nCtrl-C does not wait for that. The run's samples/ has grids of what "
             "the model draws.\n",
    .settings_size = sizeof(md_image_settings),
    .sections = sections,
    .aliases = aliases,
    .of_images = true,
    .max_positional = 1,
    .run = run,
};
