/* cli/samples.c: see samples.h. */
#include "cli/samples.h"

#include <stdio.h>
#include <unistd.h>

#include "cli/sampling.h"
#include "cli/terminal.h"

static mdlm_status print_ids(const mdlm_sample *s, mdlm_error *err) {
    md_buffer line = {0};
    mdlm_status status = md_cli_ids_text(&line, s->new_ids, (size_t)s->new_length, err);
    if (status == MDLM_OK) status = md_buffer_text(&line, "\n", err);
    if (status == MDLM_OK) status = md_cli_write(line.data, line.size, err);
    md_buffer_release(&line);
    return status;
}

static mdlm_status print_text(const mdlm_sample *s, bool titled, mdlm_error *err) {
    if (titled) MD_TRY(md_cli_print(err, "--- sample %lld\n", (long long)s->index));
    md_buffer safe = {0};
    mdlm_status status = MDLM_OK;
    if (isatty(STDOUT_FILENO)) {
        status = md_terminal_text(&safe, s->text, s->text_bytes, err);
        if (status == MDLM_OK) status = md_cli_write(safe.data, safe.size, err);
        md_buffer_release(&safe);
    } else {
        status = md_cli_write(s->text, s->text_bytes, err);
    }
    return status == MDLM_OK ? md_cli_write("\n", 1, err) : status;
}

static mdlm_status print_json(const mdlm_result *result, const mdlm_sample *s, double seconds,
                              mdlm_error *err) {
    int steps = 0, count = mdlm_result_count(result);
    int64_t evaluations = 0;
    mdlm_result_work(result, &steps, &evaluations);
    md_json_line line;
    md_json_begin(&line);
    md_json_put_int(&line, "index", s->index);
    md_json_put_text(&line, "text", s->text, s->text_bytes);
    md_json_put_ids(&line, "ids", s->new_ids, (size_t)s->new_length);
    md_json_open(&line, "fills", '[');
    for (int i = 0; i < s->hole_count; i++)
        md_json_put_text(&line, NULL, s->holes[i].text, s->holes[i].text_bytes);
    md_json_close(&line, ']');
    md_json_put_int(&line, "steps", steps);
    /* The batch is counted as a whole: each text gets its share. */
    md_json_put_int(&line, "evaluations", (evaluations + count - 1) / count);
    md_json_put_real(&line, "seconds", seconds);
    md_json_put_real(&line, "tokens_per_second", (double)s->new_length * count / seconds);
    md_cli_drift_json(&line, result);
    return md_json_end(&line, err);
}

mdlm_status md_samples_print(const mdlm_result *result, md_samples_form form, bool titled,
                             double seconds, mdlm_error *err) {
    for (int i = 0; i < mdlm_result_count(result); i++) {
        const mdlm_sample *s = mdlm_result_sample(result, i);
        switch (form) {
        case MD_SAMPLES_TEXT: MD_TRY(print_text(s, titled, err)); break;
        case MD_SAMPLES_IDS: MD_TRY(print_ids(s, err)); break;
        case MD_SAMPLES_JSON: MD_TRY(print_json(result, s, seconds, err)); break;
        }
    }
    return md_cli_flush(err);
}
