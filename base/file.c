/* base/file.c: reading, hashing and mapping files. Writing is in writer.c, folders in folder.c. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"

enum { HASH_BLOCK = 1 << 20 };

/* Opens a regular file. Without O_NONBLOCK a named pipe would hang the program. */
static mdlm_status open_regular(const char *path, int *fd_out, size_t *size, mdlm_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", path);
    struct stat info;
    mdlm_status status = MDLM_OK;
    if (fstat(fd, &info) != 0) {
        status = md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", path);
    } else if (S_ISDIR(info.st_mode)) {
        status = md_fail(err, MDLM_INPUT, "'%s' is a folder", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = md_fail(err, MDLM_INPUT, "'%s' is not a regular file", path);
    }
    if (status != MDLM_OK) {
        close(fd);
        return status;
    }
    *fd_out = fd;
    *size = (size_t)info.st_size;
    return MDLM_OK;
}

/* Reads until `size` bytes or the end of the file. */
static mdlm_status read_up_to(int fd, const char *path, char *bytes, size_t size, size_t *got,
                              mdlm_error *err) {
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return md_fail_errno(err, MDLM_INPUT, "cannot read '%s'", path);
        if (n == 0) break;
        done += (size_t)n;
    }
    *got = done;
    return MDLM_OK;
}

static mdlm_status read_exactly(int fd, const char *path, char *bytes, size_t size,
                                mdlm_error *err) {
    size_t got = 0;
    MD_TRY(read_up_to(fd, path, bytes, size, &got, err));
    if (got == size) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' changed while it was read: expected %zu bytes, found %zu",
                   path, size, got);
}

mdlm_status md_file_read(const char *path, size_t max_bytes, char **out, size_t *size,
                         mdlm_error *err) {
    int fd = -1;
    size_t bytes = 0;
    MD_TRY(open_regular(path, &fd, &bytes, err));
    char *data = NULL;
    mdlm_status status;
    if (bytes > max_bytes) {
        status =
            md_fail(err, MDLM_INPUT, "'%s' is too large: expected at most %zu bytes, found %zu",
                    path, max_bytes, bytes);
        goto done;
    }
    data = md_realloc(NULL, bytes + 1, 1, err);
    status = data ? read_exactly(fd, path, data, bytes, err) : MDLM_RUNTIME;
    if (status != MDLM_OK) goto done;
    data[bytes] = 0;
    *out = data, data = NULL;
    *size = bytes;
done:
    md_free(data);
    close(fd);
    return status;
}

bool md_file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

bool md_is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

mdlm_status md_file_size(const char *path, int64_t *out, mdlm_error *err) {
    int fd = -1;
    size_t size = 0;
    MD_TRY(open_regular(path, &fd, &size, err));
    close(fd);
    *out = (int64_t)size;
    return MDLM_OK;
}

mdlm_status md_file_hash(const char *path, uint64_t *out, mdlm_error *err) {
    int fd = -1;
    size_t size = 0;
    MD_TRY(open_regular(path, &fd, &size, err));
    mdlm_status status = MDLM_OK;
    XXH3_state_t *state = XXH3_createState();
    char *block = md_realloc(NULL, HASH_BLOCK, 1, err);
    if (!state || !block) {
        status = md_fail(err, MDLM_RUNTIME, "out of memory: cannot hash '%s'", path);
        goto done;
    }
    XXH3_64bits_reset(state);
    for (size_t got = HASH_BLOCK; got == HASH_BLOCK;) {
        MD_GOTO(done, status, read_up_to(fd, path, block, HASH_BLOCK, &got, err));
        XXH3_64bits_update(state, block, got);
    }
    *out = XXH3_64bits_digest(state);
done:
    md_free(block);
    XXH3_freeState(state);
    close(fd);
    return status;
}

uint64_t md_hash(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}

mdlm_status md_map_open(const char *path, md_map *out, mdlm_error *err) {
    int fd = -1;
    size_t size = 0;
    MD_TRY(open_regular(path, &fd, &size, err));
    mdlm_status status = MDLM_OK;
    void *data = NULL;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) status = md_fail_errno(err, MDLM_INPUT, "cannot map '%s'", path);
    }
    close(fd);
    if (status == MDLM_OK) *out = (md_map){.data = data, .size = size};
    return status;
}

void md_map_release(md_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (md_map){0};
}

/* Whole pages alone: what shares a page with the range may be needed. */
void md_map_forget(const void *bytes, size_t size) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)bytes;
    const uintptr_t first = (begin + page - 1) / page * page, end = (begin + size) / page * page;
    if (end > first) (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

double md_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
