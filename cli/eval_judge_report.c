/* cli/eval_judge_report.c: what judged samples are said to be. See eval_judge.h. */
#include <math.h>
#include <stdio.h>

#include "cli/eval_judge.h"
#include "sampler/image_rule.h"

/* NaN where nothing has a label. */
static double accuracy(const md_eval_verdict *v) {
    return v->judge.labelled ? (double)v->judge.right / (double)v->judge.labelled : NAN;
}

static md_interval accuracy_interval(const md_eval_verdict *v) {
    return v->judge.labelled ? md_wilson(v->judge.right, v->judge.labelled)
                             : (md_interval){NAN, NAN};
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void put(md_json_line *line, const char *what, const char *of, const char *part,
                double value) {
    char key[64];
    snprintf(key, sizeof key, "%s%s%s", what, of, part);
    md_json_put_real(line, key, value);
}

/* `of`: "" or "_floor". */
static void put_verdict(const md_eval_verdict *v, const char *of, md_json_line *line) {
    const md_interval ci = accuracy_interval(v);
    put(line, "frechet", of, "", v->frechet.distance);
    put(line, "frechet", of, "_low", v->frechet.interval.low);
    put(line, "frechet", of, "_high", v->frechet.interval.high);
    put(line, "frechet", of, "_bias", v->frechet.bias);
    put(line, "label_accuracy", of, "", accuracy(v));
    put(line, "label_accuracy", of, "_low", ci.low);
    put(line, "label_accuracy", of, "_high", ci.high);
    put(line, "precision", of, "", v->coverage.precision);
    put(line, "recall", of, "", v->coverage.recall);
    put(line, "coverage", of, "", v->coverage.coverage);
}

void md_eval_judge_put(const md_eval_judge *j, md_json_line *line) {
    put_verdict(&j->samples, "", line);
    put_verdict(&j->floor, "_floor", line);
    md_json_put_int(line, "samples", j->count);
    md_json_put_int(line, "samples_floor", j->floor_count);
    md_json_put_int(line, "references", j->references);
    if (j->folder) {
        md_json_put_string(line, "folder", j->choice.samples);
    } else {
        md_json_put_string(line, "sampler", j->sampler.options.rule->name);
        md_json_put_int(line, "steps", j->sampler.options.steps);
        md_json_put_real(line, "guidance_scale", j->sampler.guide.scale);
    }
}

/* --- for people ------------------------------------------------------------------------------- */

/* "12.3", or "12.3 (11.2 .. 13.5)" where there is an interval; n/a for NaN. */
static void number(char out[40], double value, md_interval ci, int digits) {
    if (isnan(value))
        snprintf(out, 40, "n/a");
    else if (isnan(ci.low))
        snprintf(out, 40, "%.*f", digits, value);
    else
        snprintf(out, 40, "%.*f (%.*f .. %.*f)", digits, value, digits, ci.low, digits, ci.high);
}

static mdlm_status print_row(const char *name, const double value[2], const md_interval ci[2],
                             int digits, mdlm_error *err) {
    char samples[40], floors[40];
    number(samples, value[0], ci[0], digits);
    number(floors, value[1], ci[1], digits);
    return md_cli_print(err, "%-15s %-30s %s\n", name, samples, floors);
}

mdlm_status md_eval_judge_print(const md_eval_judge *j, mdlm_error *err) {
    const md_eval_verdict *s = &j->samples, *f = &j->floor;
    const md_interval none[2] = {{NAN, NAN}, {NAN, NAN}};
    MD_TRY(md_cli_print(err, "%-15s %-30s %s\n", "", "samples", "real images in their place"));
    MD_TRY(print_row("frechet", (double[]){s->frechet.distance, f->frechet.distance},
                     (md_interval[]){s->frechet.interval, f->frechet.interval}, 3, err));
    MD_TRY(print_row("label accuracy", (double[]){accuracy(s), accuracy(f)},
                     (md_interval[]){accuracy_interval(s), accuracy_interval(f)}, 3, err));
    MD_TRY(print_row("precision", (double[]){s->coverage.precision, f->coverage.precision}, none, 3,
                     err));
    MD_TRY(print_row("recall", (double[]){s->coverage.recall, f->coverage.recall}, none, 3, err));
    MD_TRY(print_row("coverage", (double[]){s->coverage.coverage, f->coverage.coverage}, none, 3,
                     err));
    return md_cli_print(err,
                        "%lld samples, or %lld other real images, against %lld real ones, in the "
                        "features of the classifier; in brackets 95%%\n",
                        (long long)j->count, (long long)j->floor_count, (long long)j->references);
}
