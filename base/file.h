/* base/file.h: files that are read whole, mapped, or written so that a reader never sees half.
 *
 *     md_writer *w = NULL;
 *     MD_TRY(md_writer_open("model.safetensors", &w, err));       writes model.safetensors.tmp-PID
 *     status = md_writer_write(w, bytes, count, err);
 *     if (status == MDLM_OK) status = md_writer_commit(w, err);   fsync, close, rename
 *     md_writer_free(w);                                          removes the temporary if not
 * committed
 *
 * Errors: MDLM_INPUT when reading, MDLM_WRITE when writing; the message names the path and errno.
 */
#ifndef MD_BASE_FILE_H
#define MD_BASE_FILE_H

#include "base/error.h"

/* Reads a whole regular file of at most max_bytes. *out is NUL-terminated, freed with md_free. */
mdlm_status md_file_read(const char *path, size_t max_bytes, char **out, size_t *size,
                         mdlm_error *err);
/* Writes temporary, fsync, rename, fsync of the folder. */
mdlm_status md_file_write(const char *path, const void *bytes, size_t size, mdlm_error *err);
/* The same without fsync, for files by the thousand: a crash of the machine may lose them. */
mdlm_status md_file_write_quickly(const char *path, const void *bytes, size_t size,
                                  mdlm_error *err);
bool md_file_exists(const char *path);
bool md_is_dir(const char *path);
/* Whether a folder has something of this name; takes no memory, so it cannot fail. */
bool md_dir_has(const char *folder, const char *name);
mdlm_status md_file_size(const char *path, int64_t *out, mdlm_error *err);
/* XXH3 64-bit hash of a file's contents. */
mdlm_status md_file_hash(const char *path, uint64_t *out, mdlm_error *err);
uint64_t md_hash(const void *bytes, size_t size, uint64_t seed); /* XXH3 64 */

typedef struct md_writer md_writer;
mdlm_status md_writer_open(const char *path, md_writer **out, mdlm_error *err);
mdlm_status md_writer_write(md_writer *w, const void *bytes, size_t count, mdlm_error *err);
mdlm_status md_writer_printf(md_writer *w, mdlm_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
mdlm_status md_writer_commit(md_writer *w, mdlm_error *err);
void md_writer_free(md_writer *w); /* accepts NULL */

/* A read-only mapping of a whole file. */
typedef struct md_map {
    const void *data; /* NULL when the file is empty */
    size_t size;
} md_map;
mdlm_status md_map_open(const char *path, md_map *out, mdlm_error *err);
void md_map_release(md_map *map); /* accepts an empty struct */
/* Says that bytes of a mapping are not needed for now: their memory goes back to the system, which
 * reads them from the file again if they are. */
void md_map_forget(const void *bytes, size_t size);

/* "folder/name"; freed with md_free; NULL with `err` filled when there is no memory. */
char *md_path_join(const char *folder, const char *name, mdlm_error *err);
mdlm_status md_dir_make(const char *path, mdlm_error *err); /* parents too; fine if it exists */
/* Removes a folder and everything under it; symbolic links are removed, not followed. Fine if it
 * is not there. */
mdlm_status md_dir_remove(const char *path, mdlm_error *err);
mdlm_status md_dir_sync(const char *path, mdlm_error *err); /* fsync of the folder itself */

/* Names in a folder, sorted bytewise, without "." and "..". */
typedef struct md_names {
    char **items;
    size_t count;
} md_names;
mdlm_status md_dir_list(const char *path, md_names *out, mdlm_error *err);
void md_names_release(md_names *names);

double md_now(void); /* monotonic clock, seconds */

#endif
