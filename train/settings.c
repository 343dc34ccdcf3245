/* train/settings.c: the tables behind train/settings.h. */
#include "train/settings.h"

#define MD_OPTION_STRUCT md_train_settings
const md_option md_model_settings_table[] = {MD_MODEL_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_data_settings_table[] = {MD_DATA_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_objective_settings_table[] = {MD_OBJECTIVE_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_text_loop_table[] = {
    MD_LOOP_SETTINGS(MD_LOOP_ROW, "sequences", "muon", 0.1, 0.95, 0.999){0}};
const md_option md_text_run_table[] = {MD_RUN_SETTINGS(MD_LOOP_ROW, "sample lines"){0}};
#undef MD_OPTION_STRUCT
