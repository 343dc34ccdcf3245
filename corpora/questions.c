/* corpora/questions.c: sums of two numbers of two digits, and what they make. */
#include "base/rng.h"
#include "corpora/generators.h"

enum { NUMBERS = 90, SMALLEST = 10 };

mdlm_status md_questions(uint64_t seed, int64_t first, int64_t count, md_buffer *out,
                         mdlm_error *err) {
    md_rng rng = {.seed = seed, .stream = MD_STREAM_CORPUS};
    if (first < 0 || count < 0 || first > MD_QUESTIONS || count > MD_QUESTIONS - first) {
        return md_fail(err, MDLM_USAGE, "%lld questions from number %lld on: there are %d",
                       (long long)count, (long long)first, MD_QUESTIONS);
    }
    for (int64_t i = first; i < first + count; i++) {
        int question = (int)md_permute(rng, (uint64_t)i, MD_QUESTIONS);
        int a = SMALLEST + question / NUMBERS, b = SMALLEST + question % NUMBERS;
        MD_TRY(md_buffer_printf(
            out, err, "{\"prompt\": \"What is %d + %d?\", \"response\": \"%d\"}\n", a, b, a + b));
    }
    return MDLM_OK;
}
