/* corpora/input.c: the bytes of a file, plain or compressed by gzip. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corpora/corpora_internal.h"

enum { GZ_BUFFER = 1 << 17 };

static mdlm_status open_gz(md_input *in, mdlm_error *err) {
    in->gz = gzdopen(in->fd, "rb");
    if (!in->gz) return md_fail(err, MDLM_RUNTIME, "out of memory: cannot open '%s'", in->path);
    in->fd = -1;
    gzbuffer(in->gz, GZ_BUFFER);
    /* zlib hands other files through as they are, which would train on compressed bytes. */
    if (gzdirect(in->gz)) return md_fail(err, MDLM_INPUT, "'%s' is not a gzip file", in->path);
    return MDLM_OK;
}

mdlm_status md_input_open(md_input *in, const md_source *source, mdlm_error *err) {
    *in = (md_input){.path = source->path, .fd = -1};
    struct stat info;
    /* Not to hang on a pipe that has taken the file's place. */
    in->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in->fd < 0 || fstat(in->fd, &info) != 0) {
        mdlm_status status = md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", source->path);
        md_input_close(in);
        return status;
    }
    mdlm_status status = MDLM_OK;
    if (!S_ISREG(info.st_mode)) {
        status = md_fail(err, MDLM_INPUT, "'%s' is not a regular file", source->path);
    } else if (source->gz && info.st_size > 0) {
        status = open_gz(in, err);
    }
    if (status != MDLM_OK) md_input_close(in);
    return status;
}

mdlm_status md_input_open_path(md_input *in, md_sources *sources, const char *path,
                               mdlm_error *err) {
    MD_TRY(md_sources_add(sources, path, err));
    if (sources->count > 1) {
        return md_fail(err, MDLM_INPUT, "'%s' holds %zu files: expected one", path, sources->count);
    }
    return md_input_open(in, &sources->items[0], err);
}

static mdlm_status fail_gz(md_input *in, mdlm_error *err) {
    int code = Z_OK;
    const char *reason = gzerror(in->gz, &code);
    if (code == Z_ERRNO) return md_fail_errno(err, MDLM_INPUT, "cannot read '%s'", in->path);
    if (code == Z_BUF_ERROR) {
        return md_fail(err, MDLM_INPUT, "'%s' is truncated: its gzip stream has no end", in->path);
    }
    return md_fail(err, MDLM_INPUT, "'%s' is damaged: %s", in->path, reason);
}

static mdlm_status read_some(md_input *in, char *bytes, size_t want, size_t *got, mdlm_error *err) {
    *got = 0;
    if (in->gz) {
        unsigned part = want < 1U << 30 ? (unsigned)want : 1U << 30;
        int n = gzread(in->gz, bytes, part);
        int code = Z_OK;
        gzerror(in->gz, &code);
        if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END)) return fail_gz(in, err);
        *got = (size_t)n;
        return MDLM_OK;
    }
    ssize_t n;
    do n = read(in->fd, bytes, want);
    while (n < 0 && errno == EINTR);
    if (n < 0) return md_fail_errno(err, MDLM_INPUT, "cannot read '%s'", in->path);
    *got = (size_t)n;
    return MDLM_OK;
}

mdlm_status md_input_read(md_input *in, char *bytes, size_t want, size_t *got, mdlm_error *err) {
    size_t total = 0, n = 1;
    while (total < want && n > 0) {
        MD_TRY(read_some(in, bytes + total, want - total, &n, err));
        total += n;
    }
    *got = total;
    return MDLM_OK;
}

void md_input_close(md_input *in) {
    if (in->gz) gzclose_r(in->gz);
    if (in->path && in->fd >= 0) close(in->fd);
    *in = (md_input){.fd = -1};
}
