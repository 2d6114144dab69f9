/* proxy/process/file_watches.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/file_watches.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct watched_folder {
    char *path; /* of some file in it */
    struct file_watch watch;
};

/* ---- whether a look is worth it ---- */

struct signing {
    uint64_t hash;
    int64_t newest; /* change of a file, in seconds */
};

/* FNV-1a: chance collisions are what matters, and a later change is another chance. */
static void mix(struct signing *signing, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        signing->hash = (signing->hash ^ at[i]) * UINT64_C(1099511628211);
    }
}

static void sign_file(void *self, enum config_file_kind kind, const char *path,
                      const struct place *place)
{
    (void)place;
    struct signing *signing = self;
    struct stat facts;
    if (kind == CONFIG_FILE_YAML || stat(path, &facts) != 0) {
        mix(signing, "-", 1);
        return;
    }
    mix(signing, &facts.st_ino, sizeof(facts.st_ino));
    mix(signing, &facts.st_dev, sizeof(facts.st_dev));
    mix(signing, &facts.st_size, sizeof(facts.st_size));
    mix(signing, &facts.st_mtim, sizeof(facts.st_mtim));
    mix(signing, &facts.st_ctim, sizeof(facts.st_ctim));
    if (facts.st_ctim.tv_sec > signing->newest) {
        signing->newest = facts.st_ctim.tv_sec;
    }
}

static struct signing sign(const struct config *config)
{
    struct signing signing = {.hash = UINT64_C(14695981039346656037)};
    config_files(config, sign_file, &signing);
    return signing;
}

static void on_event(void *self)
{
    struct file_watches *watches = self;
    uint64_t signature = sign(watches->config).hash;
    if (signature != watches->signature) {
        watches->signature = signature;
        watches->on_change(watches->self);
    }
}

/* ---- folders ---- */

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

static bool is_watched(const struct file_watches *watches, const char *path)
{
    size_t len = folder_len(path);
    for (size_t i = 0; i < watches->count; i++) {
        const char *other = watches->folders[i].path;
        if (folder_len(other) == len && strncmp(other, path, len) == 0) {
            return true;
        }
    }
    return false;
}

struct gathering {
    struct file_watches *watches;
    enum status status;
};

/* Only gathers: what is in an array that grows cannot be watched yet. */
static void add_folder(struct gathering *gathering, const char *path)
{
    struct file_watches *watches = gathering->watches;
    if (is_watched(watches, path)) {
        return;
    }
    struct watched_folder *folders =
        reallocarray(watches->folders, watches->count + 1, sizeof(*folders));
    char *copy = strdup(path);
    if (folders != NULL) {
        watches->folders = folders;
    }
    if (folders == NULL || copy == NULL) {
        free(copy);
        gathering->status = STATUS_SYS;
        errno = ENOMEM;
        return;
    }
    folders[watches->count++] = (struct watched_folder){.path = copy, .watch = {.descriptor = -1}};
}

static void add_file(void *self, enum config_file_kind kind, const char *path,
                     const struct place *place)
{
    (void)place;
    char target[PATH_MAX];
    if (kind == CONFIG_FILE_YAML) {
        return;
    }
    add_folder(self, path);
    if (realpath(path, target) != NULL) {
        add_folder(self, target);
    }
}

enum status file_watches_open(struct file_watches *watches, struct loop *loop,
                              const struct config *config, int64_t since,
                              void (*on_change)(void *self), void *self)
{
    *watches =
        (struct file_watches){.config = config, .loop = loop, .on_change = on_change, .self = self};
    struct gathering gathering = {.watches = watches, .status = STATUS_OK};
    config_files(config, add_file, &gathering);
    for (size_t i = 0; i < watches->count; i++) {
        struct watched_folder *folder = &watches->folders[i];
        if (file_watch_open(&folder->watch, loop, folder->path, on_event, watches) != STATUS_OK) {
            gathering.status = STATUS_SYS;
        }
    }
    struct signing signing = sign(config);
    watches->signature = signing.hash;
    if (signing.newest >= since) {
        /* Perhaps after it was read, and before it was watched. */
        watches->signature = 0;
        deadline_arm(&watches->again, loop, FILE_WATCH_SETTLE_MS, on_event, watches);
    }
    return gathering.status;
}

void file_watches_close(struct file_watches *watches)
{
    for (size_t i = 0; i < watches->count; i++) {
        file_watch_close(&watches->folders[i].watch);
        free(watches->folders[i].path);
    }
    free(watches->folders);
    deadline_disarm(&watches->again);
    *watches = (struct file_watches){.config = NULL};
}
