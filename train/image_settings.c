/* train/image_settings.c: the tables behind train/image_settings.h. */
#include "train/image_settings.h"

#define MD_OPTION_STRUCT md_image_settings
const md_option md_image_data_table[] = {MD_IMAGE_DATA_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_image_network_table[] = {MD_IMAGE_NETWORK_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_image_process_table[] = {MD_IMAGE_PROCESS_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_image_loop_table[] = {
    MD_LOOP_SETTINGS(MD_LOOP_ROW, "images", "muon", 0.01, 0.99, 0.999){0}};
const md_option md_image_run_table[] = {MD_RUN_SETTINGS(MD_LOOP_ROW, "grids of samples"){0}};
#undef MD_OPTION_STRUCT
