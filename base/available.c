/* base/available.c: how much memory the system has left for this process; see memory.h. Formats of
 * Linux's /proc (proc(5)) and of its control groups, version 2. */
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define GROUPS "/sys/fs/cgroup"

/* The number behind `key` and white space in a file's line, or, without a key, at its beginning; -1
 * when there is none. */
static int64_t number_in(const char *path, const char *key) {
    FILE *file = fopen(path, "r");
    char line[256];
    long long value = -1;
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        const size_t n = strlen(key);
        found = strncmp(line, key, n) == 0 && sscanf(line + n, "%lld", &value) == 1;
    }
    if (file) fclose(file);
    return found ? value : -1;
}

static int64_t of_system(void) {
    const int64_t memory = number_in("/proc/meminfo", "MemAvailable:");
    const int64_t swap = number_in("/proc/meminfo", "SwapFree:");
    if (memory < 0) return INT64_MAX;
    return (memory + (swap > 0 ? swap : 0)) * 1024;
}

/* What one group leaves: files that are cached count as its memory, but go when others want it. */
static int64_t of_group(const char *folder) {
    char path[512];
    snprintf(path, sizeof path, "%s/memory.max", folder);
    const int64_t most = number_in(path, ""); /* "max": no number */
    snprintf(path, sizeof path, "%s/memory.current", folder);
    const int64_t taken = number_in(path, "");
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    const int64_t active = number_in(path, "active_file "),
                  idle = number_in(path, "inactive_file ");
    if (most < 0 || taken < 0) return INT64_MAX;
    const int64_t cached = (active > 0 ? active : 0) + (idle > 0 ? idle : 0);
    const int64_t left = most - taken + cached;
    return left > 0 ? left : 0;
}

/* This process's group and those that it is in. */
static int64_t of_groups(void) {
    char line[256], folder[320];
    int64_t least = INT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::/", 4) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(folder, sizeof folder, GROUPS "%s", line + 3);
        for (char *end = strrchr(folder, '/'); end && strlen(folder) >= sizeof GROUPS - 1;
             end = strrchr(folder, '/')) {
            const int64_t left = of_group(folder);
            if (left < least) least = left;
            *end = 0;
        }
    }
    if (file) fclose(file);
    return least;
}

static int64_t of_address_space(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return INT64_MAX;
    const int64_t pages = number_in("/proc/self/statm", "");
    if (pages < 0 || limit.rlim_cur > INT64_MAX) return INT64_MAX;
    const int64_t left = (int64_t)limit.rlim_cur - pages * (int64_t)sysconf(_SC_PAGESIZE);
    return left > 0 ? left : 0;
}

int64_t md_memory_available(void) {
    const int64_t bounds[] = {of_system(), of_groups(), of_address_space()};
    int64_t least = bounds[0];
    for (int i = 1; i < 3; i++) least = bounds[i] < least ? bounds[i] : least;
    return least;
}
