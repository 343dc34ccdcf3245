/* train/metrics.c: see metrics.h. The picture is drawn by plot.c. */
#include "train/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/plot.h"

static const size_t FILE_BYTES = (size_t)1 << 31;
static const int64_t LAST_STEP = (int64_t)1 << 53;

typedef struct points {
    md_plot_point *items;
    size_t count, capacity;
} points;

struct md_metrics {
    md_measure measure;
    char *path, *picture;
    int fd;            /* -1 when closed */
    off_t size;        /* of the file: whole lines */
    points train, val; /* all lines so far, for the picture */
};

static mdlm_status add_point(points *p, int64_t step, double value, mdlm_error *err) {
    if (!isfinite(value)) return MDLM_OK;
    if (p->count == p->capacity) {
        const size_t capacity = p->capacity ? 2 * p->capacity : 256;
        md_plot_point *items = md_realloc(p->items, capacity, sizeof *items, err);
        if (!items) return MDLM_RUNTIME;
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->count++] = (md_plot_point){.step = (double)step, .value = value};
    return MDLM_OK;
}

/* --- reading back ----------------------------------------------------------------------------- */

static mdlm_status read_line(md_metrics *m, const char *line, size_t size, int64_t resumed_step,
                             bool *keep, mdlm_error *err) {
    cJSON *row = NULL;
    int64_t step = 0;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_json_parse(line, size, m->path, &row, err));
    MD_GOTO(done, status, md_json_int(row, "step", m->path, 0, LAST_STEP, &step, err));
    *keep = step <= resumed_step;
    if (!*keep) goto done;
    char train_key[MD_MEASURE_TEXT], val_key[MD_MEASURE_TEXT];
    md_measure_key(&m->measure, "train", train_key);
    md_measure_key(&m->measure, "val", val_key);
    const cJSON *train = cJSON_GetObjectItemCaseSensitive(row, train_key);
    const cJSON *val = cJSON_GetObjectItemCaseSensitive(row, val_key);
    if (cJSON_IsNumber(train)) {
        MD_GOTO(done, status, add_point(&m->train, step, train->valuedouble, err));
    }
    if (cJSON_IsNumber(val)) status = add_point(&m->val, step, val->valuedouble, err);
done:
    cJSON_Delete(row);
    return status;
}

/* A power cut may leave the start of a line, or zeros where it should be. */
static bool is_torn(const char *line) {
    return line[0] == '{' || line[0] == 0;
}

/* Collects the lines to keep. */
static mdlm_status read_lines(md_metrics *m, const char *text, size_t size, int64_t resumed_step,
                              md_buffer *kept, mdlm_error *err) {
    int64_t number = 1;
    for (size_t at = 0; at < size; number++) {
        const char *line = text + at, *end = memchr(line, '\n', size - at);
        if (!end && is_torn(line)) break;
        const size_t length = end ? (size_t)(end - line) : size - at;
        mdlm_error reason = {0};
        bool keep = false;
        mdlm_status status = read_line(m, line, length, resumed_step, &keep, &reason);
        if (status != MDLM_OK) {
            return md_fail(err, status, "line %lld of '%s' is no line of a training: %s",
                           (long long)number, m->path, reason.message);
        }
        if (keep) {
            MD_TRY(md_buffer_append(kept, line, length, err));
            MD_TRY(md_buffer_text(kept, "\n", err));
        }
        at += length + 1;
    }
    return MDLM_OK;
}

/* Reads the lines of an earlier part of the run and rewrites the file when some have to go. */
static mdlm_status read_back(md_metrics *m, int64_t resumed_step, mdlm_error *err) {
    if (!md_file_exists(m->path)) return MDLM_OK;
    char *text = NULL;
    size_t size = 0;
    md_buffer kept = {0};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_file_read(m->path, FILE_BYTES, &text, &size, err));
    MD_GOTO(done, status, read_lines(m, text, size, resumed_step, &kept, err));
    if (kept.size != size) status = md_file_write(m->path, kept.data, kept.size, err);
done:
    md_free(text);
    md_buffer_release(&kept);
    return status;
}

static mdlm_status open_file(md_metrics *m, mdlm_error *err) {
    struct stat info;
    m->fd = open(m->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (m->fd < 0 || fstat(m->fd, &info) != 0) {
        return md_fail_errno(err, MDLM_WRITE, "cannot write '%s'", m->path);
    }
    m->size = info.st_size;
    return MDLM_OK;
}

mdlm_status md_metrics_open(const char *run, const md_measure *measure, int64_t resumed_step,
                            md_metrics **out, mdlm_error *err) {
    md_metrics *m = md_alloc(1, sizeof *m, err);
    if (!m) return MDLM_RUNTIME;
    m->fd = -1;
    m->measure = *measure;
    mdlm_status status = MDLM_RUNTIME;
    if (!(m->path = md_path_join(run, "metrics.jsonl", err))) goto done;
    if (!(m->picture = md_path_join(run, "loss.svg", err))) goto done;
    MD_GOTO(done, status, read_back(m, resumed_step, err));
    MD_GOTO(done, status, open_file(m, err));
    *out = m, m = NULL;
done:
    md_metrics_close(m);
    return status;
}

void md_metrics_close(md_metrics *m) {
    if (!m) return;
    if (m->fd >= 0) close(m->fd);
    md_free(m->train.items);
    md_free(m->val.items);
    md_free(m->path);
    md_free(m->picture);
    md_free(m);
}

/* --- appending -------------------------------------------------------------------------------- */

/* Whole or not at all: what a full disk cuts off is taken back. */
static mdlm_status append(md_metrics *m, const md_buffer *line, mdlm_error *err) {
    ssize_t n;
    do n = write(m->fd, line->data, line->size);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)line->size) {
        m->size += n;
        return MDLM_OK;
    }
    if (n >= 0) errno = ENOSPC;
    mdlm_status status = md_fail_errno(err, MDLM_WRITE, "cannot write '%s'", m->path);
    if (n > 0 && ftruncate(m->fd, m->size) != 0) m->size += n;
    return status;
}

/* JSON has no NaN: what is not known is left out. */
static mdlm_status add_number(md_buffer *line, const char *key, double value, mdlm_error *err) {
    if (!isfinite(value)) return MDLM_OK;
    return md_buffer_printf(line, err, ",\"%s\":%.9g", key, value);
}

static mdlm_status add_start(const md_measure *measure, md_buffer *line, const md_metrics_row *row,
                             mdlm_error *err) {
    MD_TRY(md_buffer_printf(line, err, "{\"step\":%lld,\"%s\":%lld", (long long)row->step,
                            measure->items, (long long)row->items));
    return add_number(line, "seconds", row->seconds, err);
}

static mdlm_status train_line(const md_measure *measure, md_buffer *line, const md_metrics_row *row,
                              mdlm_error *err) {
    char loss[MD_MEASURE_TEXT], rate[MD_MEASURE_TEXT];
    md_measure_key(measure, "train", loss);
    md_measure_key(measure, NULL, rate);
    MD_TRY(add_start(measure, line, row, err));
    MD_TRY(add_number(line, loss, row->train_loss, err));
    MD_TRY(add_number(line, "lr", row->lr, err));
    MD_TRY(add_number(line, "grad_norm", row->grad_norm, err));
    MD_TRY(add_number(line, rate, row->items_per_second, err));
    return md_buffer_text(line, "}\n", err);
}

static mdlm_status val_line(const md_measure *measure, md_buffer *line, const md_metrics_row *row,
                            mdlm_error *err) {
    char loss[MD_MEASURE_TEXT];
    md_measure_key(measure, "val", loss);
    MD_TRY(add_start(measure, line, row, err));
    MD_TRY(add_number(line, loss, row->val_loss, err));
    return md_buffer_printf(line, err, ",\"best\":%s}\n", row->best ? "true" : "false");
}

typedef mdlm_status (*line_fn)(const md_measure *measure, md_buffer *line,
                               const md_metrics_row *row, mdlm_error *err);

static mdlm_status add_row(md_metrics *m, const md_metrics_row *row, line_fn make,
                           mdlm_error *err) {
    md_buffer line = {0};
    mdlm_status status = make(&m->measure, &line, row, err);
    if (status == MDLM_OK) status = append(m, &line, err);
    md_buffer_release(&line);
    return status;
}

mdlm_status md_metrics_train(md_metrics *m, const md_metrics_row *row, mdlm_error *err) {
    MD_TRY(add_row(m, row, train_line, err));
    return add_point(&m->train, row->step, row->train_loss, err);
}

mdlm_status md_metrics_val(md_metrics *m, const md_metrics_row *row, mdlm_error *err) {
    MD_TRY(add_row(m, row, val_line, err));
    return add_point(&m->val, row->step, row->val_loss, err);
}

mdlm_status md_metrics_plot(md_metrics *m, mdlm_error *err) {
    char unit[MD_MEASURE_TEXT];
    md_measure_unit(&m->measure, unit);
    const md_plot plot = {.unit = unit,
                          .train = m->train.items,
                          .train_count = m->train.count,
                          .val = m->val.items,
                          .val_count = m->val.count};
    return md_plot_write(m->picture, &plot, err);
}
