/* base/folder.c: paths and folders; see file.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

enum { OPEN_FOLDERS = 16 }; /* that a recursive removal may hold at once */

char *md_path_join(const char *folder, const char *name, mdlm_error *err) {
    size_t size = strlen(folder);
    const char *slash = size == 0 || folder[size - 1] == '/' ? "" : "/";
    md_buffer path = {0};
    if (md_buffer_printf(&path, err, "%s%s%s", folder, slash, name) != MDLM_OK) return NULL;
    return md_buffer_take(&path);
}

bool md_dir_has(const char *folder, const char *name) {
    int fd = open(*folder ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool found = fd >= 0 && faccessat(fd, name, F_OK, 0) == 0;
    if (fd >= 0) close(fd);
    return found;
}

static bool make_one(const char *path) {
    if (mkdir(path, 0777) == 0) return true;
    int reason = errno;
    if (reason == EEXIST && !md_is_dir(path)) reason = ENOTDIR;
    errno = reason;
    return reason == EEXIST;
}

mdlm_status md_dir_make(const char *path, mdlm_error *err) {
    if (md_is_dir(path)) return MDLM_OK;
    char *prefix = md_strdup(path, err);
    if (!prefix) return MDLM_RUNTIME;
    bool made = true;
    for (char *c = prefix; made && *c; c++) {
        if (*c != '/' || c == prefix) continue;
        *c = 0;
        made = make_one(prefix);
        *c = '/';
    }
    made = made && make_one(path);
    md_free(prefix);
    return made ? MDLM_OK : md_fail_errno(err, MDLM_WRITE, "cannot make folder '%s'", path);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk) {
    (void)info, (void)type, (void)walk;
    return remove(path);
}

mdlm_status md_dir_remove(const char *path, mdlm_error *err) {
    struct stat info;
    if (lstat(path, &info) != 0) {
        if (errno == ENOENT) return MDLM_OK;
        return md_fail_errno(err, MDLM_WRITE, "cannot remove '%s'", path);
    }
    if (!S_ISDIR(info.st_mode) && !S_ISLNK(info.st_mode)) {
        return md_fail(err, MDLM_WRITE, "cannot remove '%s': it is not a folder", path);
    }
    if (nftw(path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0) return MDLM_OK;
    return md_fail_errno(err, MDLM_WRITE, "cannot remove '%s'", path);
}

mdlm_status md_dir_sync(const char *path, mdlm_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return md_fail_errno(err, MDLM_WRITE, "cannot sync folder '%s'", path);
    /* Some file systems cannot sync a folder and say EINVAL: there is nothing more to do there. */
    bool synced = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    mdlm_status status = MDLM_OK;
    if (!synced) status = md_fail_errno(err, MDLM_WRITE, "cannot sync folder '%s'", path);
    close(fd);
    return status;
}

static mdlm_status add_name(md_names *names, size_t *capacity, const char *name, mdlm_error *err) {
    if (names->count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 16;
        char **items = md_realloc(names->items, larger, sizeof *items, err);
        if (!items) return MDLM_RUNTIME;
        names->items = items;
        *capacity = larger;
    }
    char *copy = md_strdup(name, err);
    if (!copy) return MDLM_RUNTIME;
    names->items[names->count++] = copy;
    return MDLM_OK;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

mdlm_status md_dir_list(const char *path, md_names *out, mdlm_error *err) {
    DIR *dir = opendir(path);
    if (!dir) return md_fail_errno(err, MDLM_INPUT, "cannot open folder '%s'", path);
    md_names names = {0};
    size_t capacity = 0;
    mdlm_status status = MDLM_OK;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        MD_GOTO(done, status, add_name(&names, &capacity, entry->d_name, err));
    }
    if (errno != 0) {
        status = md_fail_errno(err, MDLM_INPUT, "cannot read folder '%s'", path);
        goto done;
    }
    if (names.count > 0) qsort(names.items, names.count, sizeof *names.items, by_bytes);
    *out = names, names = (md_names){0};
done:
    closedir(dir);
    md_names_release(&names);
    return status;
}

void md_names_release(md_names *names) {
    for (size_t i = 0; i < names->count; i++) md_free(names->items[i]);
    md_free(names->items);
    *names = (md_names){0};
}
