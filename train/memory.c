/* train/memory.c: see memory.h. */
#include "train/memory.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/real.h"

int64_t md_training_bytes(const md_model_config *config, const md_train_settings *settings) {
    const md_loop_settings *s = &settings->loop;
    const bool muon = !strcmp(s->optimizer, "muon"); /* one moment of its matrices */
    const int moments = muon ? 1 : 2, copies = 2 + moments + (s->ema > 0);
    const int64_t weights = md_model_config_parameters(config) * (int64_t)sizeof(md_real);
    return settings->lora > 0 ? weights : copies * weights;
}

static double gigabytes(int64_t bytes) {
    return (double)bytes / (1 << 30);
}

mdlm_status md_training_check_memory(const char *model, const md_model_config *config,
                                     const md_train_settings *settings, int64_t available,
                                     mdlm_error *err) {
    md_train_settings beside = *settings;
    const int64_t needed = md_training_bytes(config, settings);
    if (available == 0) available = md_memory_available();
    if (needed <= available) return MDLM_OK;
    if (settings->lora > 0)
        return md_fail(err, MDLM_RUNTIME,
                       "'%s': training adapters beside it needs at least %.1f GiB of memory, %.1f "
                       "GiB are available",
                       model, gigabytes(needed), gigabytes(available));
    beside.lora = 1;
    return md_fail(err, MDLM_RUNTIME,
                   "'%s': training it needs at least %.1f GiB of memory, %.1f GiB are available "
                   "(adapters beside it, --lora: %.1f GiB)",
                   model, gigabytes(needed), gigabytes(available),
                   gigabytes(md_training_bytes(config, &beside)));
}
