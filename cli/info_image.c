/* cli/info_image.c: see info_image.h. */
#include "cli/info_image.h"

#include "model/image_model.h"

mdlm_status md_info_image_parameters(const md_image_setup *setup, int64_t *out, mdlm_error *err) {
    md_image_model *model = NULL; /* zeros, which nobody touches, take no memory */
    MD_TRY(md_image_model_new(&setup->config, false, &model, err));
    *out = md_params_size(md_image_model_params(model));
    md_image_model_free(model);
    return MDLM_OK;
}

/* --- for people ------------------------------------------------------------------------------ */

static mdlm_status print_unet(const md_image_config *c, mdlm_error *err) {
    MD_TRY(md_cli_print(err, "network     %s, channels", md_backbone_name(c->backbone)));
    for (int i = 0; i < c->mults.count; i++)
        MD_TRY(md_cli_print(err, "%s %d", i ? "," : "", c->base * c->mults.item[i]));
    MD_TRY(md_cli_print(err, "; res-blocks %d, attention", c->res_blocks));
    for (int i = 0; i < c->attn.count; i++)
        MD_TRY(md_cli_print(err, "%s %d", i ? "," : " at", c->attn.item[i]));
    return md_cli_print(err, "%s in the middle\n", c->attn.count ? " and" : "");
}

static mdlm_status print_dit(const md_image_config *c, mdlm_error *err) {
    return md_cli_print(err, "network     dit, patches of %d, layers %d, dim %d, heads %d, ff %d\n",
                        c->patch, c->layers, c->dim, c->heads, c->ff);
}

static mdlm_status print_classes(const md_image_setup *setup, mdlm_error *err) {
    enum { SHOWN = 10 };
    const size_t count = setup->class_names.count;
    if (count == 0) return md_cli_print(err, "classes     none\n");
    MD_TRY(md_cli_print(err, "classes     %zu:", count));
    for (size_t i = 0; i < count && i < SHOWN; i++)
        MD_TRY(md_cli_print(err, " %s", setup->class_names.items[i]));
    return md_cli_print(err, "%s\n", count > SHOWN ? " ..." : "");
}

/* What a classifier is for. */
static mdlm_status print_sight(const md_image_setup *setup, mdlm_error *err) {
    const md_gaussian_options *p = &setup->process.opt;
    const bool vp = p->process == MD_PROCESS_VP;
    if (!setup->config.noisy) return md_cli_print(err, "classifies  clean images\n");
    return md_cli_print(err, "classifies  images at %d levels of noise, %s%s%s%s\n",
                        setup->process.T, md_process_names[p->process], vp ? ", " : "",
                        vp ? md_beta_schedule_names[p->schedule] : "",
                        p->zero_snr ? ", zero-snr" : "");
}

mdlm_status md_info_image_print(const md_image_setup *setup, mdlm_error *err) {
    const md_image_config *c = &setup->config;
    const md_gaussian_options *p = &setup->process.opt;
    const bool vp = p->process == MD_PROCESS_VP;
    MD_TRY(md_cli_print(err, "images      %dx%d, %d channel%s\n", c->shape.X, c->shape.Y,
                        c->shape.C, c->shape.C == 1 ? "" : "s"));
    MD_TRY(print_classes(setup, err));
    MD_TRY(c->backbone == MD_BACKBONE_DIT ? print_dit(c, err) : print_unet(c, err));
    if (md_image_config_classifies(c)) return print_sight(setup, err);
    return md_cli_print(err, "process     %s%s%s%s, %d levels, %s predicted, variance %s\n",
                        md_process_names[p->process], vp ? ", " : "",
                        vp ? md_beta_schedule_names[p->schedule] : "",
                        p->zero_snr ? ", zero-snr" : "", setup->process.T,
                        md_prediction_names[p->prediction], md_variance_names[p->variance]);
}

/* --- as JSON --------------------------------------------------------------------------------- */

static void put_list(md_json_line *line, const char *key, const md_image_list *list) {
    md_json_open(line, key, '[');
    for (int i = 0; i < list->count; i++) md_json_put_int(line, NULL, list->item[i]);
    md_json_close(line, ']');
}

static void put_network(const md_image_config *c, md_json_line *line) {
    md_json_put_string(line, "backbone", md_backbone_name(c->backbone));
    if (c->backbone != MD_BACKBONE_DIT) {
        md_json_put_int(line, "base_channels", c->base);
        put_list(line, "channel_mults", &c->mults);
        md_json_put_int(line, "res_blocks", c->res_blocks);
        put_list(line, "attn_res", &c->attn);
    } else {
        md_json_put_int(line, "patch_size", c->patch);
        md_json_put_int(line, "layers", c->layers);
        md_json_put_int(line, "dim", c->dim);
        md_json_put_int(line, "heads", c->heads);
        md_json_put_int(line, "ff", c->ff);
    }
}

void md_info_image_json(const md_image_setup *setup, md_json_line *line) {
    const md_image_config *c = &setup->config;
    const md_gaussian_options *p = &setup->process.opt;
    md_json_put_int(line, "height", c->shape.Y);
    md_json_put_int(line, "width", c->shape.X);
    md_json_put_int(line, "channels", c->shape.C);
    md_json_open(line, "classes", '[');
    for (size_t i = 0; i < setup->class_names.count; i++)
        md_json_put_string(line, NULL, setup->class_names.items[i]);
    md_json_close(line, ']');
    put_network(c, line);
    if (md_image_config_classifies(c)) md_json_put_flag(line, "noisy", c->noisy);
    if (!md_image_config_noised(c)) return;
    md_json_put_string(line, "process", md_process_names[p->process]);
    if (p->process == MD_PROCESS_VP)
        md_json_put_string(line, "noise_schedule", md_beta_schedule_names[p->schedule]);
    md_json_put_flag(line, "zero_snr", p->zero_snr);
    md_json_put_int(line, "timesteps", setup->process.T);
    if (md_image_config_classifies(c)) return;
    md_json_put_string(line, "prediction", md_prediction_names[p->prediction]);
    md_json_put_string(line, "variance", md_variance_names[p->variance]);
}
