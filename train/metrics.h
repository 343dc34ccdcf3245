/* train/metrics.h: metrics.jsonl, the record of a training, and loss.svg, its picture.
 *
 *     md_metrics *m = NULL;
 *     MD_TRY(md_metrics_open("mdlm-run", &measure, resumed_step, &m, err));
 *     md_metrics_train(m, &row, err);       {"step":10,"seconds":..,"train_nelbo":..,"lr":..}
 *     md_metrics_val(m, &row, err);         {"step":10,..,"val_nelbo":..,"best":true}
 *     md_metrics_plot(m, err);
 *     md_metrics_close(m);
 *
 * Lines of steps after `resumed_step` (of a training that went on after its last checkpoint and
 * was lost) are dropped on opening. A file that is not ours (a line that is no JSON object with a
 * step) is MDLM_INPUT; the start of a line at its end, left by a power cut, is dropped. Every line
 * is written whole, with one write. Numbers that are not finite are left out.
 */
#ifndef MD_TRAIN_METRICS_H
#define MD_TRAIN_METRICS_H

#include "train/measure.h"

typedef struct md_metrics_row {
    int64_t step, items;
    double seconds;
    double train_loss; /* smoothed; NAN: unknown, left out */
    double val_loss;   /* validation rows */
    bool best;
    double lr, grad_norm, items_per_second;
} md_metrics_row;

typedef struct md_metrics md_metrics;
/* `measure` names the keys and the unit, and is copied. */
mdlm_status md_metrics_open(const char *run, const md_measure *measure, int64_t resumed_step,
                            md_metrics **out, mdlm_error *err);
void md_metrics_close(md_metrics *m); /* accepts NULL */
mdlm_status md_metrics_train(md_metrics *m, const md_metrics_row *row, mdlm_error *err);
mdlm_status md_metrics_val(md_metrics *m, const md_metrics_row *row, mdlm_error *err);
/* Writes RUN/loss.svg: training and validation losses over steps, axes with round numbers, a
 * legend; readable on light and dark backgrounds. */
mdlm_status md_metrics_plot(md_metrics *m, mdlm_error *err);

#endif
