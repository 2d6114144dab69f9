/* proxy/process/file_watches.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/file_watches.h"

#include <errno.h>
#include <sys/stat.h>

#include "proxy/process/link_trail.h"

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

/* ---- folders ---- */

struct gathering {
    struct file_watch *watch;
    enum status status;
    int error; /* errno of the first that failed */
};

/* One that is only gone through need not be ours to read. */
static void add_folder(void *self, const char *folder, bool has_name)
{
    struct gathering *gathering = self;
    if (file_watch_add(gathering->watch, folder) != STATUS_OK && has_name &&
        gathering->status == STATUS_OK) {
        gathering->status = STATUS_SYS;
        gathering->error = errno;
    }
}

static void add_file(void *self, enum config_file_kind kind, const char *path,
                     const struct place *place)
{
    (void)place;
    if (kind != CONFIG_FILE_YAML) {
        link_trail(path, add_folder, self);
    }
}

/* SYS: some are not watched, errno. */
static enum status add_all(struct file_watches *watches)
{
    struct gathering gathering = {.watch = &watches->watch, .status = STATUS_OK};
    config_files(watches->config, add_file, &gathering);
    errno = gathering.error;
    return gathering.status;
}

/* A way may lead through other folders by now: those are watched first, then all is looked at. */
static void on_event(void *self)
{
    struct file_watches *watches = self;
    (void)!add_all(watches); /* what could not be watched was told at the beginning */
    uint64_t signature = sign(watches->config).hash;
    if (signature != watches->signature) {
        watches->signature = signature;
        watches->on_change(watches->self);
    }
}

enum status file_watches_open(struct file_watches *watches, struct loop *loop,
                              const struct config *config, int64_t since,
                              void (*on_change)(void *self), void *self)
{
    *watches =
        (struct file_watches){.config = config, .loop = loop, .on_change = on_change, .self = self};
    enum status status = file_watch_begin(&watches->watch, loop, on_event, watches);
    if (status != STATUS_OK) {
        return status;
    }
    status = add_all(watches);
    int why = errno;
    struct signing signing = sign(config);
    watches->signature = signing.hash;
    if (signing.newest >= since) {
        /* Perhaps after it was read, and before it was watched. */
        watches->signature = 0;
        deadline_arm(&watches->again, loop, FILE_WATCH_SETTLE_MS, on_event, watches);
    }
    errno = why;
    return status;
}

void file_watches_close(struct file_watches *watches)
{
    if (watches->config == NULL) {
        return;
    }
    file_watch_close(&watches->watch);
    deadline_disarm(&watches->again);
    *watches = (struct file_watches){.config = NULL};
}
