/* cli/eval_report.c: see eval_report.h. */
#include "cli/eval_report.h"

#include <math.h>
#include <stdio.h>

/* --- text ------------------------------------------------------------------------------------- */

/* A value with both its errors, or n/a where there is none to be had. */
static mdlm_status print_row(const char *name, double value, const char *unit, double mc,
                             double data, mdlm_error *err) {
    const double errors[2] = {mc, data};
    MD_TRY(md_cli_print(err, "%-11s %10.4f %-12s", name, value, unit));
    for (int i = 0; i < 2; i++) {
        char text[32] = "n/a";
        if (isfinite(errors[i])) snprintf(text, sizeof text, "%.4f", errors[i]);
        MD_TRY(md_cli_print(err, i ? " %s\n" : " %-12s", text));
    }
    return MDLM_OK;
}

static mdlm_status print_comparison(const md_eval_result *r, mdlm_error *err) {
    const md_eval_comparison *c = &r->comparison;
    const md_likelihood_report *d = &c->by_token, *o = &c->other;
    static const char *const rows[] = {"difference", ""};
    int row = 0;
    MD_TRY(print_row(c->model, o->nats_per_token, "nats/token", o->stderr_mc, o->stderr_data, err));
    if (isfinite(d->nats_per_token)) {
        MD_TRY(print_row(rows[row++], d->nats_per_token, "nats/token", d->stderr_mc, d->stderr_data,
                         err));
    }
    MD_TRY(print_row(rows[row], c->per_byte, "nats/byte", c->per_byte_mc, c->per_byte_data, err));
    return md_cli_print(err, "below 0: better than '%s'; the two had the same %s\n", c->model,
                        c->paired);
}

mdlm_status md_eval_print_text(const md_eval_result *r, mdlm_error *err) {
    const md_evaluation *e = &r->text;
    const md_likelihood_report *n = &e->report;
    double bytes = (double)n->tokens / (double)e->bytes, bits = bytes / log(2);
    MD_TRY(md_cli_print(err, "%-35s %-12s %s\n", "", "+- masks", "+- documents"));
    MD_TRY(print_row(r->exact ? "-log p" : "NELBO", n->nats_per_token, "nats/token", n->stderr_mc,
                     n->stderr_data, err));
    MD_TRY(print_row("", e->nats_per_byte, "nats/byte", n->stderr_mc * bytes,
                     n->stderr_data * bytes, err));
    MD_TRY(print_row("", e->bits_per_byte, "bits/byte", n->stderr_mc * bits, n->stderr_data * bits,
                     err));
    MD_TRY(print_row("perplexity", e->perplexity, "per token", n->stderr_mc * e->perplexity,
                     n->stderr_data * e->perplexity, err));
    if (r->compared) MD_TRY(print_comparison(r, err));
    return md_cli_print(
        err, "%lld tokens, %lld bytes; %s\n", (long long)n->tokens, (long long)e->bytes,
        r->exact ? "-log p in the order from left to right, exactly" : "an upper bound on -log p");
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void put_comparison(md_json_line *line, const md_eval_comparison *c) {
    md_json_put_string(line, "compare", c->model);
    md_json_put_string(line, "paired", c->paired);
    md_json_put_real(line, "compare_nelbo_nats_per_token", c->other.nats_per_token);
    md_json_put_real(line, "compare_stderr_mc", c->other.stderr_mc);
    md_json_put_real(line, "compare_stderr_data", c->other.stderr_data);
    md_json_put_real(line, "diff_nats_per_token", c->by_token.nats_per_token);
    md_json_put_real(line, "diff_stderr_mc", c->by_token.stderr_mc);
    md_json_put_real(line, "diff_stderr_data", c->by_token.stderr_data);
    md_json_put_real(line, "diff_nats_per_byte", c->per_byte);
    md_json_put_real(line, "diff_stderr_mc_per_byte", c->per_byte_mc);
    md_json_put_real(line, "diff_stderr_data_per_byte", c->per_byte_data);
}

mdlm_status md_eval_print_json(const md_eval_result *r, mdlm_error *err) {
    const md_evaluation *e = &r->text;
    md_json_line line;
    md_json_begin(&line);
    md_json_put_real(&line, "nelbo_nats_per_token", e->report.nats_per_token);
    md_json_put_real(&line, "nelbo_nats_per_byte", e->nats_per_byte);
    md_json_put_real(&line, "bits_per_byte", e->bits_per_byte);
    md_json_put_real(&line, "perplexity", e->perplexity);
    md_json_put_real(&line, "stderr_mc", e->report.stderr_mc);
    md_json_put_real(&line, "stderr_data", e->report.stderr_data);
    md_json_put_int(&line, "tokens", e->report.tokens);
    md_json_put_int(&line, "bytes", e->bytes);
    md_json_put_string(&line, "method", r->method);
    md_json_put_flag(&line, "exact", r->exact);
    md_json_put_string(&line, "split", r->split);
    md_json_put_string(&line, "weights", r->weights);
    md_json_put_int(&line, "window", r->window);
    md_json_put_int(&line, "stride", r->stride);
    md_json_put_int(&line, "context", r->window - r->stride);
    md_json_put_int(&line, "windows", e->windows);
    if (r->compared) put_comparison(&line, &r->comparison);
    return md_json_end(&line, err);
}

mdlm_status md_eval_write_item(md_writer *file, const md_evaluate_item *item, const char *part,
                               bool compared, mdlm_error *err) {
    md_json_line line;
    md_json_begin(&line);
    md_json_put_string(&line, "kind", item->document ? "document" : "window");
    md_json_put_int(&line, "index", item->index);
    md_json_put_string(&line, "part", part);
    md_json_put_int(&line, "offset", item->offset);
    md_json_put_int(&line, "tokens", item->tokens);
    md_json_put_int(&line, "bytes", item->bytes);
    md_json_put_real(&line, "nats", item->nats);
    md_json_put_real(&line, "stderr_mc", item->stderr_mc);
    if (compared) {
        md_json_put_real(&line, "compare_nats", item->other_nats);
        md_json_put_real(&line, "diff_nats", item->diff_nats);
        md_json_put_real(&line, "diff_stderr_mc", item->diff_stderr_mc);
    }
    return md_json_end_in(&line, file, err);
}
