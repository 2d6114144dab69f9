/* proxy/process/file_watch.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static void on_settled(void *self)
{
    struct file_watch *watch = self;
    watch->on_change(watch->self);
}

/* Each event puts the call off, but not for ever: in a folder of logs there is always one more. */
static void await_quiet(struct file_watch *watch)
{
    uint64_t now_ms = loop_now_ms(watch->loop);
    bool is_first = !deadline_is_armed(&watch->settled);
    if (is_first) {
        watch->first_ms = now_ms;
    }
    if (is_first || now_ms - watch->first_ms < FILE_WATCH_PATIENCE_MS) {
        deadline_arm(&watch->settled, watch->loop, FILE_WATCH_SETTLE_MS, on_settled, watch);
    }
}

/* What happened does not matter, nor to which file: links may lead anywhere. */
static void on_ready(void *self, unsigned events)
{
    (void)events;
    struct file_watch *watch = self;
    char room[4096];
    while (read(watch->descriptor, room, sizeof(room)) > 0) {
    }
    await_quiet(watch);
}

static bool folder_of(const char *path, char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, slash == NULL ? "." : path, len);
    folder[len] = '\0';
    return true;
}

enum status file_watch_begin(struct file_watch *watch, struct loop *loop,
                             void (*on_change)(void *self), void *self)
{
    *watch =
        (struct file_watch){.descriptor = -1, .loop = loop, .on_change = on_change, .self = self};
    watch->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->descriptor < 0) {
        return STATUS_SYS;
    }
    enum status status =
        watch_open_level(&watch->watch, loop, watch->descriptor, WATCH_READ, on_ready, watch);
    if (status != STATUS_OK) {
        int why = errno;
        (void)close(watch->descriptor);
        watch->descriptor = -1;
        errno = why;
    }
    return status;
}

enum status file_watch_add(struct file_watch *watch, const char *folder)
{
    const uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR;
    return inotify_add_watch(watch->descriptor, folder, events) < 0 ? STATUS_SYS : STATUS_OK;
}

enum status file_watch_open(struct file_watch *watch, struct loop *loop, const char *path,
                            void (*on_change)(void *self), void *self)
{
    char folder[PATH_MAX];
    *watch = (struct file_watch){.descriptor = -1};
    if (!folder_of(path, folder)) {
        return STATUS_SYS;
    }
    enum status status = file_watch_begin(watch, loop, on_change, self);
    if (status == STATUS_OK) {
        status = file_watch_add(watch, folder);
    }
    if (status != STATUS_OK) {
        int why = errno;
        file_watch_close(watch);
        errno = why;
    }
    return status;
}

void file_watch_close(struct file_watch *watch)
{
    if (watch->descriptor >= 0) {
        deadline_disarm(&watch->settled);
        watch_close(&watch->watch);
        (void)close(watch->descriptor);
        watch->descriptor = -1;
    }
}
