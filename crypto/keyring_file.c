/* crypto/keyring_file.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keyring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_TRIES = 200,
    LOCK_PAUSE_NS = 50 * 1000 * 1000,
    BESIDE_BYTES = NAME_MAX + sizeof("..new"),
    MODE_BITS = 0777,
};

static enum keyring_file_result fail(struct crypto_error *error, const char *what)
{
    crypto_error_set(error, "%s: %s", what, strerror(errno));
    return KEYRING_FILE_SYSTEM;
}

/* ---- reading ---- */

/* One byte more than a keyring may have, so that a longer text is seen to be so. */
static bool read_text(int descriptor, struct secret *room, size_t *len)
{
    *len = 0;
    while (*len <= KEYRING_TEXT_BYTES_MAX) {
        uint8_t *at = (uint8_t *)secret_room(room) + *len;
        ssize_t got = read(descriptor, at, KEYRING_TEXT_BYTES_MAX + 1 - *len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0;
        }
        *len += (size_t)got;
    }
    return true;
}

enum keyring_file_result keyring_file_read_descriptor(int descriptor, struct keyring **ring,
                                                      struct crypto_error *error)
{
    struct secret room;
    size_t len = 0;
    *ring = NULL;
    if (!secret_init(&room, KEYRING_TEXT_BYTES_MAX + 1)) {
        errno = ENOMEM;
        return fail(error, "cannot be read");
    }
    bool is_read = read_text(descriptor, &room, &len);
    enum keyring_file_result result = KEYRING_FILE_FINE;
    if (!is_read) {
        result = fail(error, "cannot be read");
    } else {
        *ring = keyring_parse((struct bytes){secret_room(&room), len}, error);
        result = *ring != NULL ? KEYRING_FILE_FINE : KEYRING_FILE_MALFORMED;
    }
    secret_fini(&room);
    return result;
}

static enum keyring_file_result read_and_close(int descriptor, struct keyring **ring,
                                               struct crypto_error *error)
{
    *ring = NULL;
    if (descriptor < 0) {
        return fail(error, "cannot be opened");
    }
    enum keyring_file_result result = keyring_file_read_descriptor(descriptor, ring, error);
    (void)close(descriptor);
    return result;
}

enum keyring_file_result keyring_file_read(const char *path, struct keyring **ring,
                                           struct crypto_error *error)
{
    return read_and_close(open(path, O_RDONLY | O_CLOEXEC), ring, error);
}

enum keyring_file_result keyring_file_load(const struct keyring_file *file, struct keyring **ring,
                                           struct crypto_error *error)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    return read_and_close(openat(file->folder, file->name, flags), ring, error);
}

/* ---- the lock ---- */

/* Where the file really is: all links followed; of one that is not there yet, those of its folder.
 * malloc'ed. */
static char *resolve(const char *path)
{
    char *whole = realpath(path, NULL);
    if (whole != NULL || errno != ENOENT) {
        return whole;
    }
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    char *resolved = folder != NULL ? realpath(folder, NULL) : NULL;
    free(folder);
    if (resolved == NULL ||
        asprintf(&whole, "%s/%s", resolved, slash == NULL ? path : slash + 1) < 0) {
        whole = NULL;
    }
    free(resolved);
    return whole;
}

static bool lock(int folder)
{
    static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return false;
}

enum keyring_file_result keyring_file_open(struct keyring_file *file, const char *path,
                                           struct crypto_error *error)
{
    *file = (struct keyring_file){.folder = -1};
    char *whole = resolve(path);
    if (whole == NULL) {
        return fail(error, "cannot be opened");
    }
    char *slash = strrchr(whole, '/'); /* there is one: the path is absolute */
    int len = snprintf(file->name, sizeof(file->name), "%s", slash + 1);
    slash[slash == whole ? 1 : 0] = '\0';
    enum keyring_file_result result = KEYRING_FILE_FINE;
    if (len <= 0 || (size_t)len >= sizeof(file->name)) {
        crypto_error_set(error, "is no name of a file");
        result = KEYRING_FILE_SYSTEM;
    } else {
        file->folder = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (file->folder < 0) {
            result = fail(error, "its folder cannot be opened");
        } else if (!lock(file->folder)) {
            result = fail(error, "its folder cannot be locked: somebody else may be editing");
            keyring_file_close(file);
        }
    }
    free(whole);
    return result;
}

void keyring_file_close(struct keyring_file *file)
{
    if (file->folder >= 0) {
        (void)close(file->folder); /* and with it the lock */
        file->folder = -1;
    }
}

/* ---- writing ---- */

static bool write_all(int descriptor, const struct secret *text)
{
    size_t done = 0;
    while (done < secret_len(text)) {
        ssize_t put = write(descriptor, secret_bytes(text) + done, secret_len(text) - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        done += (size_t)put;
    }
    return true;
}

/* As the old file is. A group that is not the old one must not get what that one had. */
static bool take_after(int descriptor, const struct stat *old)
{
    bool is_kept = fchown(descriptor, old->st_uid, old->st_gid) == 0;
    return fchmod(descriptor, old->st_mode & (is_kept ? MODE_BITS : S_IRWXU)) == 0;
}

/* `old`: NULL for a new file. */
static bool write_beside(int folder, const char *beside, const struct keyring *ring,
                         const struct stat *old)
{
    struct secret text;
    (void)unlinkat(folder, beside, 0); /* of a crash */
    int descriptor =
        openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return false;
    }
    bool is_made = keyring_write(ring, &text);
    bool is_written = is_made && write_all(descriptor, &text) &&
                      (old == NULL || take_after(descriptor, old)) && fsync(descriptor) == 0;
    int problem = is_made ? errno : ENOMEM;
    if (is_made) {
        secret_fini(&text);
    }
    is_written = close(descriptor) == 0 && is_written;
    errno = problem;
    return is_written;
}

static void name_beside(const struct keyring_file *file, char beside[BESIDE_BYTES])
{
    (void)snprintf(beside, BESIDE_BYTES, ".%s.new", file->name);
}

/* What must not stay behind when it failed. */
static enum keyring_file_result give_up(const struct keyring_file *file, const char *beside,
                                        struct crypto_error *error)
{
    enum keyring_file_result result = fail(error, "cannot be written");
    (void)unlinkat(file->folder, beside, 0);
    return result;
}

enum keyring_file_result keyring_file_replace(const struct keyring_file *file,
                                              const struct keyring *ring,
                                              struct crypto_error *error)
{
    struct stat old;
    char beside[BESIDE_BYTES];
    name_beside(file, beside);
    if (fstatat(file->folder, file->name, &old, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail(error, "cannot be written");
    }
    if (!S_ISREG(old.st_mode)) {
        crypto_error_set(error, "is no regular file");
        return KEYRING_FILE_SYSTEM;
    }
    if (!write_beside(file->folder, beside, ring, &old) ||
        renameat(file->folder, beside, file->folder, file->name) != 0) {
        return give_up(file, beside, error);
    }
    return fsync(file->folder) == 0 ? KEYRING_FILE_FINE : fail(error, "may not be on the disk");
}

enum keyring_file_result keyring_file_create(const struct keyring_file *file,
                                             const struct keyring *ring, struct crypto_error *error)
{
    char beside[BESIDE_BYTES];
    name_beside(file, beside);
    if (!write_beside(file->folder, beside, ring, NULL)) {
        return give_up(file, beside, error);
    }
    /* Unlike a rename, a link never takes another file's place. */
    if (linkat(file->folder, beside, file->folder, file->name, 0) != 0) {
        bool is_there = errno == EEXIST;
        enum keyring_file_result result = give_up(file, beside, error);
        return is_there ? KEYRING_FILE_EXISTS : result;
    }
    (void)unlinkat(file->folder, beside, 0);
    return fsync(file->folder) == 0 ? KEYRING_FILE_FINE : fail(error, "may not be on the disk");
}
