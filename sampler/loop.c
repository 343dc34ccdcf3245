/* sampler/loop.c: see loop.h. */
#include "sampler/loop.h"

mdlm_status md_sampling_run(const md_sampling *loop, int *steps, mdlm_error *err) {
    for (int block = 0; block < loop->blocks; block++) {
        for (int busy = loop->start_block(loop->context, block); busy > 0;) {
            MD_TRY(loop->step(loop->context, err));
            ++*steps;
            busy = loop->finish(loop->context);
            if (loop->show(loop->context, *steps, loop->steps) != 0)
                return md_fail(err, MDLM_CANCELLED, "cancelled after step %d of %d", *steps,
                               loop->steps);
        }
    }
    return MDLM_OK;
}
