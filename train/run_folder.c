/* train/run_folder.c: see run_folder.h. */
#include "train/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "model/lora.h"

/* Everything that a run consists of. */
static const char *const run_files[] = {"run.json",
                                        "config.json",
                                        "generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "model.safetensors",
                                        MD_LORA_CONFIG,
                                        MD_LORA_WEIGHTS,
                                        "metrics.jsonl",
                                        "loss.svg",
                                        "checkpoints",
                                        "samples",
                                        "data",
                                        NULL};

bool md_run_exists(const char *run) {
    char *path = md_path_join(run, "run.json", NULL);
    bool exists = path && md_file_exists(path);
    md_free(path);
    return exists;
}

/* What stands in `run`, but for temporary files of a writer that was killed (NAME.tmp-PID). */
static mdlm_status check_contents(const char *run, bool is_run, mdlm_error *err) {
    md_names names = {0};
    mdlm_status status = MDLM_OK;
    MD_TRY(md_dir_list(run, &names, err));
    for (size_t i = 0; i < names.count && status == MDLM_OK; i++) {
        const char *name = names.items[i];
        if (is_run && (md_word_listed(name, run_files) || strstr(name, ".tmp-"))) continue;
        status =
            md_fail(err, MDLM_USAGE,
                    "'%s' holds '%s', which is no part of a run: choose another --run", run, name);
    }
    md_names_release(&names);
    return status;
}

mdlm_status md_run_check_free(const char *run, bool overwrite, mdlm_error *err) {
    struct stat info;
    if (lstat(run, &info) != 0) return MDLM_OK; /* making it will tell what else is wrong */
    if (S_ISLNK(info.st_mode))
        return md_fail(err, MDLM_USAGE, "'%s' is a symbolic link: name the folder itself", run);
    if (!S_ISDIR(info.st_mode))
        return md_fail(err, MDLM_WRITE, "'%s' is a file, not a folder", run);
    bool is_run = md_run_exists(run);
    if (is_run && !overwrite) {
        return md_fail(err, MDLM_USAGE,
                       "'%s' holds a run: go on with --resume, replace it with --overwrite, or "
                       "choose another --run",
                       run);
    }
    MD_TRY(check_contents(run, is_run, err));
    int descriptor = -1;
    MD_TRY(md_run_lock(run, &descriptor, err));
    close(descriptor);
    return MDLM_OK;
}

/* RUN without slashes at its end, and a tail. */
static char *beside(const char *run, const char *tail, long pid, mdlm_error *err) {
    md_buffer name = {0};
    size_t n = strlen(run);
    while (n > 1 && run[n - 1] == '/') n--;
    mdlm_status status = md_buffer_append(&name, run, n, err);
    if (status == MDLM_OK) status = md_buffer_printf(&name, err, "%s%ld", tail, pid);
    char *path = status == MDLM_OK ? md_buffer_take(&name) : NULL;
    md_buffer_release(&name);
    return path;
}

/* The process that a name "BASE.new-PID" speaks of, when it is gone; else 0. */
static long dead_owner(const char *name, const char *base) {
    size_t n = strlen(base);
    static const char mark[] = ".new-";
    if (strncmp(name, base, n) || strncmp(name + n, mark, sizeof mark - 1)) return 0;
    char *end;
    long pid = strtol(name + n + sizeof mark - 1, &end, 10);
    return pid > 0 && !*end && kill((pid_t)pid, 0) != 0 && errno == ESRCH ? pid : 0;
}

/* Removes what killed processes were preparing. Failures are theirs to keep. */
static void clean_beside(const char *run) {
    const char *slash = strrchr(run, '/');
    const char *base = slash ? slash + 1 : run;
    char *folder = slash ? md_strndup(run, (size_t)(slash - run + 1), NULL) : md_strdup(".", NULL);
    md_names names = {0};
    if (folder && *base && md_dir_list(folder, &names, NULL) == MDLM_OK) {
        for (size_t i = 0; i < names.count; i++) {
            if (!dead_owner(names.items[i], base)) continue;
            char *path = md_path_join(folder, names.items[i], NULL);
            if (path) md_dir_remove(path, NULL);
            md_free(path);
        }
    }
    md_names_release(&names);
    md_free(folder);
}

mdlm_status md_run_stage(const char *run, char **staging, mdlm_error *err) {
    mdlm_error why = {0};
    clean_beside(run);
    char *path = beside(run, ".new-", (long)getpid(), err);
    if (!path) return MDLM_RUNTIME;
    if (md_dir_make(path, &why) != MDLM_OK) {
        md_free(path);
        return md_fail_errno(err, MDLM_WRITE, "cannot make the run folder '%s'", run);
    }
    *staging = path;
    return MDLM_OK;
}

mdlm_status md_run_publish(const char *staging, const char *run, char **aside, mdlm_error *err) {
    MD_TRY(md_dir_sync(staging, err));
    char *old = NULL;
    if (md_run_exists(run)) {
        old = beside(run, ".old-", (long)getpid(), err);
        if (!old) return MDLM_RUNTIME;
        if (rename(run, old) != 0) {
            md_free(old);
            return md_fail_errno(err, MDLM_WRITE, "cannot move the old run '%s' aside", run);
        }
    }
    if (rename(staging, run) != 0) {
        mdlm_status status = md_fail_errno(err, MDLM_WRITE, "cannot make the run folder '%s'", run);
        if (old && rename(old, run) != 0) status = MDLM_WRITE; /* it stays beside, whole */
        md_free(old);
        return status;
    }
    *aside = old;
    return MDLM_OK;
}

void md_run_undo(const char *run, const char *aside) {
    md_dir_remove(run, NULL);
    if (aside && rename(aside, run) != 0) return; /* it stays beside, whole */
}

mdlm_status md_run_lock(const char *run, int *descriptor, mdlm_error *err) {
    int fd = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return md_fail_errno(err, MDLM_WRITE, "cannot open the run folder '%s'", run);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK;
        close(fd);
        if (taken) return md_fail(err, MDLM_USAGE, "another training is going on in '%s'", run);
        return md_fail_errno(err, MDLM_WRITE, "cannot lock the run folder '%s'", run);
    }
    *descriptor = fd;
    return MDLM_OK;
}
