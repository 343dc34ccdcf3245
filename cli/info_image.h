/* cli/info_image.h: what `mdlm info` says of a model of images, between its head and its origin. */
#ifndef MD_CLI_INFO_IMAGE_H
#define MD_CLI_INFO_IMAGE_H

#include "cli/output.h"
#include "train/image_setup.h"

/* Parameters of the network, without its weights. */
mdlm_status md_info_image_parameters(const md_image_setup *setup, int64_t *out, mdlm_error *err);
mdlm_status md_info_image_print(const md_image_setup *setup, mdlm_error *err);
/* Members of an object. */
void md_info_image_json(const md_image_setup *setup, md_json_line *line);

#endif
