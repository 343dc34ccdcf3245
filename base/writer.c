/* base/writer.c: files that appear whole or not at all; see file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

enum { WRITE_BUFFER = 1 << 20 };

struct md_writer {
    int fd;       /* -1 once closed */
    bool created; /* the temporary is there and not yet renamed */
    bool failed;  /* bytes are missing: never commit */
    char *path, *temporary;
    char *buffer;
    size_t used;
};

static mdlm_status fail_write(md_writer *w, mdlm_error *err) {
    w->failed = true;
    return md_fail_errno(err, MDLM_WRITE, "cannot write '%s'", w->path);
}

/* A rename would replace a device or a pipe by a file, so only regular files are written over. */
static mdlm_status check_target(const char *path, mdlm_error *err) {
    struct stat info;
    if (stat(path, &info) != 0 || S_ISREG(info.st_mode)) return MDLM_OK;
    return md_fail(err, MDLM_WRITE, "cannot write '%s': %s", path,
                   S_ISDIR(info.st_mode) ? "it is a folder" : "it is not a regular file");
}

static mdlm_status open_temporary(md_writer *w, const char *path, mdlm_error *err) {
    md_buffer name = {0};
    MD_TRY(md_buffer_printf(&name, err, "%s.tmp-%ld", path, (long)getpid()));
    w->temporary = md_buffer_take(&name);
    w->path = md_strdup(path, err);
    w->buffer = md_realloc(NULL, WRITE_BUFFER, 1, err);
    if (!w->path || !w->buffer) return MDLM_RUNTIME;
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (w->fd < 0) return fail_write(w, err);
    w->created = true;
    return MDLM_OK;
}

mdlm_status md_writer_open(const char *path, md_writer **out, mdlm_error *err) {
    MD_TRY(check_target(path, err));
    md_writer *w = md_alloc(1, sizeof *w, err);
    if (!w) return MDLM_RUNTIME;
    w->fd = -1;
    mdlm_status status = open_temporary(w, path, err);
    if (status == MDLM_OK) {
        *out = w;
    } else {
        md_writer_free(w);
    }
    return status;
}

static mdlm_status write_all(md_writer *w, const char *bytes, size_t count, mdlm_error *err) {
    while (count > 0) {
        ssize_t n = write(w->fd, bytes, count);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return fail_write(w, err);
        bytes += n;
        count -= (size_t)n;
    }
    return MDLM_OK;
}

static mdlm_status flush(md_writer *w, mdlm_error *err) {
    size_t used = w->used;
    w->used = 0;
    return write_all(w, w->buffer, used, err);
}

mdlm_status md_writer_write(md_writer *w, const void *bytes, size_t count, mdlm_error *err) {
    if (w->failed) {
        return md_fail(err, MDLM_WRITE, "cannot write '%s': an earlier write failed", w->path);
    }
    MD_BUG_IF(w->fd < 0);
    if (count > WRITE_BUFFER - w->used) MD_TRY(flush(w, err));
    if (count > WRITE_BUFFER) return write_all(w, bytes, count, err);
    if (count > 0) memcpy(w->buffer + w->used, bytes, count);
    w->used += count;
    return MDLM_OK;
}

mdlm_status md_writer_printf(md_writer *w, mdlm_error *err, const char *format, ...) {
    char small[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    mdlm_status status;
    if (length < 0) {
        w->failed = true;
        status = md_fail(err, MDLM_WRITE, "cannot write '%s': the text has no form", w->path);
    } else if ((size_t)length < sizeof small) {
        status = md_writer_write(w, small, (size_t)length, err);
    } else {
        char *text = md_realloc(NULL, (size_t)length + 1, 1, err);
        status = MDLM_RUNTIME;
        w->failed = w->failed || !text;
        if (text) {
            vsnprintf(text, (size_t)length + 1, format, again);
            status = md_writer_write(w, text, (size_t)length, err);
        }
        md_free(text);
    }
    va_end(again);
    return status;
}

/* "a/b" -> "a", "b" -> ".", "/b" -> "/". Freed with md_free. */
static char *parent_of(const char *path, mdlm_error *err) {
    const char *slash = strrchr(path, '/');
    if (!slash) return md_strdup(".", err);
    return md_strndup(path, slash == path ? 1 : (size_t)(slash - path), err);
}

static mdlm_status commit(md_writer *w, bool lasting, mdlm_error *err) {
    MD_TRY(md_writer_write(w, NULL, 0, err));
    MD_TRY(flush(w, err));
    if (lasting && fsync(w->fd) != 0) return fail_write(w, err);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0) return fail_write(w, err);
    if (rename(w->temporary, w->path) != 0) return fail_write(w, err);
    w->created = false;
    if (!lasting) return MDLM_OK;
    char *folder = parent_of(w->path, err);
    mdlm_status status = folder ? md_dir_sync(folder, err) : MDLM_RUNTIME;
    md_free(folder);
    return status;
}

mdlm_status md_writer_commit(md_writer *w, mdlm_error *err) {
    return commit(w, true, err);
}

void md_writer_free(md_writer *w) {
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    if (w->created) unlink(w->temporary);
    md_free(w->path);
    md_free(w->temporary);
    md_free(w->buffer);
    md_free(w);
}

static mdlm_status write_whole(const char *path, const void *bytes, size_t size, bool lasting,
                               mdlm_error *err) {
    md_writer *w = NULL;
    MD_TRY(md_writer_open(path, &w, err));
    mdlm_status status = md_writer_write(w, bytes, size, err);
    if (status == MDLM_OK) status = commit(w, lasting, err);
    md_writer_free(w);
    return status;
}

mdlm_status md_file_write(const char *path, const void *bytes, size_t size, mdlm_error *err) {
    return write_whole(path, bytes, size, true, err);
}

mdlm_status md_file_write_quickly(const char *path, const void *bytes, size_t size,
                                  mdlm_error *err) {
    return write_whole(path, bytes, size, false, err);
}
