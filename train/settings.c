/* train/settings.c: the tables behind train/settings.h. */
#include "train/settings.h"

#define MD_OPTION_STRUCT md_train_settings
const md_option md_model_settings_table[] = {MD_MODEL_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_data_settings_table[] = {MD_DATA_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_training_settings_table[] = {MD_TRAINING_SETTINGS(MD_OPTION_ROW){0}};
const md_option md_run_settings_table[] = {MD_RUN_SETTINGS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT
