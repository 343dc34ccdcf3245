/* train/objective.c: the list of objectives. See objective.h. */
#include "train/objective.h"

#include <string.h>

static const md_objective *const objectives[] = {&md_objective_mdlm, &md_objective_block,
                                                 &md_objective_ar};

const md_objective *md_objective_find(const char *name) {
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (strcmp(objectives[i]->name, name) == 0) return objectives[i];
    return NULL;
}

const md_objective *md_objective_for(md_sight sight) {
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (objectives[i]->sight == sight) return objectives[i];
    md_bug(__FILE__, __LINE__, "unknown sight");
}
