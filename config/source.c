/* config/source.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/bundle.h"

struct source source_files(const struct bundle *overlay)
{
    return (struct source){.bundle = overlay, .has_file_system = true};
}

struct source source_files_recorded(struct bundle *record)
{
    return (struct source){.bundle = record, .has_file_system = true, .record = record};
}

struct source source_files_but_yaml(const struct bundle *yaml)
{
    return (struct source){.bundle = yaml, .has_file_system = true, .is_yaml_fixed = true};
}

struct source source_bundle(const struct bundle *bundle)
{
    return (struct source){.bundle = bundle, .has_file_system = false};
}

static const struct bundle_entry *entry_of(const struct source *source, const char *name)
{
    return source->bundle == NULL ? NULL : bundle_find(source->bundle, name);
}

static enum source_status copy_entry(const struct bundle_entry *entry, size_t limit_bytes,
                                     char **bytes, size_t *len)
{
    if (entry->len > limit_bytes) {
        return SOURCE_TOO_LARGE;
    }
    char *copy = malloc(entry->len + 1);
    if (copy == NULL) {
        return SOURCE_NOMEM;
    }
    memcpy(copy, entry->bytes, entry->len + 1);
    *bytes = copy;
    *len = entry->len;
    return SOURCE_OK;
}

static enum source_status status_of(int error)
{
    return error == ENOENT || error == ENOTDIR ? SOURCE_MISSING : SOURCE_UNREADABLE;
}

/* A regular file or a pipe (`-c <(...)`): nothing that has no end. */
static bool is_readable_kind(const struct stat *facts)
{
    return S_ISREG(facts->st_mode) || S_ISFIFO(facts->st_mode);
}

static enum source_status open_file(const char *name, int *fd)
{
    *fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0) {
        return status_of(errno);
    }
    struct stat facts;
    if (fstat(*fd, &facts) == 0 && is_readable_kind(&facts)) {
        return SOURCE_OK;
    }
    (void)close(*fd);
    return SOURCE_UNREADABLE;
}

static enum source_status read_all(int fd, char *buffer, size_t limit_bytes, size_t *len)
{
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, buffer + used, limit_bytes + 1 - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return SOURCE_UNREADABLE;
        }
        used += (size_t)got;
        if (used > limit_bytes) {
            return SOURCE_TOO_LARGE;
        }
        if (got == 0) {
            *len = used;
            return SOURCE_OK;
        }
    }
}

enum source_status source_read(const struct source *source, const char *name, size_t limit_bytes,
                               char **bytes, size_t *len)
{
    const struct bundle_entry *entry = entry_of(source, name);
    if (entry != NULL) {
        return copy_entry(entry, limit_bytes, bytes, len);
    }
    if (!source->has_file_system) {
        return SOURCE_MISSING;
    }
    int fd;
    enum source_status status = open_file(name, &fd);
    if (status != SOURCE_OK) {
        return status;
    }
    char *buffer = malloc(limit_bytes + 2);
    status = buffer == NULL ? SOURCE_NOMEM : read_all(fd, buffer, limit_bytes, len);
    (void)close(fd);
    if (status != SOURCE_OK) {
        free(buffer);
        return status;
    }
    if (source->record != NULL && !bundle_add(source->record, name, buffer, *len)) {
        free(buffer);
        return SOURCE_NOMEM;
    }
    buffer[*len] = '\0';
    *bytes = buffer;
    return SOURCE_OK;
}

bool source_can_look(const struct source *source)
{
    return source->has_file_system;
}

enum source_status source_look(const struct source *source, const char *name)
{
    if (entry_of(source, name) != NULL) {
        return SOURCE_OK;
    }
    if (!source->has_file_system) {
        return SOURCE_MISSING;
    }
    /* Not opened: that would wait on a pipe, or take what stands in it. */
    struct stat facts;
    if (stat(name, &facts) != 0) {
        return status_of(errno);
    }
    bool readable = is_readable_kind(&facts) && faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) == 0;
    return readable ? SOURCE_OK : SOURCE_UNREADABLE;
}

static bool append_name(struct source_names *names, const char *name)
{
    char **grown = reallocarray(names->names, names->count + 1, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    names->names = grown;
    grown[names->count] = strdup(name);
    if (grown[names->count] == NULL) {
        return false;
    }
    names->count++;
    return true;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static enum source_status glob_bundle(const struct bundle *bundle, const char *pattern,
                                      struct source_names *names)
{
    for (size_t i = 0; i < bundle_count(bundle); i++) {
        const char *name = bundle_at(bundle, i)->name;
        if (fnmatch(pattern, name, FNM_PATHNAME | FNM_PERIOD) != 0) {
            continue;
        }
        if (!append_name(names, name)) {
            return SOURCE_NOMEM;
        }
    }
    if (names->count > 1) {
        qsort(names->names, names->count, sizeof(names->names[0]), compare_names);
    }
    return SOURCE_OK;
}

/* glob(3) sorts by locale; a bundle by bytes. Both must agree, or a child would see lists (and so
 * indexes) in another order than the master. */
static enum source_status glob_files(const char *pattern, struct source_names *names)
{
    glob_t found = {0};
    int result = glob(pattern, GLOB_NOSORT, NULL, &found);
    enum source_status status = result == 0 || result == GLOB_NOMATCH ? SOURCE_OK
                                : result == GLOB_NOSPACE              ? SOURCE_NOMEM
                                                                      : SOURCE_UNREADABLE;
    for (size_t i = 0; status == SOURCE_OK && i < found.gl_pathc; i++) {
        if (!append_name(names, found.gl_pathv[i])) {
            status = SOURCE_NOMEM;
        }
    }
    globfree(&found);
    if (names->count > 1) {
        qsort(names->names, names->count, sizeof(names->names[0]), compare_names);
    }
    return status;
}

enum source_status source_glob(const struct source *source, const char *pattern,
                               struct source_names *names)
{
    *names = (struct source_names){0};
    enum source_status status = source->has_file_system && !source->is_yaml_fixed
                                    ? glob_files(pattern, names)
                                    : glob_bundle(source->bundle, pattern, names);
    if (status != SOURCE_OK) {
        source_names_free(names);
    }
    return status;
}

void source_names_free(struct source_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i]);
    }
    free(names->names);
    *names = (struct source_names){0};
}
