/* config/source.h
 *
 * Where the loader reads files: the file system (the master, `check`), or a bundle (children, which
 * have no file system).
 *
 * Why it exists: every process builds its own model from the same bytes, through the same loader.
 *
 * Owner: the caller; a plain value that borrows its bundle.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct bundle;

/* Fields private to source.c. */
struct source {
    const struct bundle *bundle; /* looked at first; may be NULL */
    bool has_file_system;
    struct bundle *record; /* gets whatever is read; NULL: nothing */
    bool is_yaml_fixed;    /* patterns find what is in the bundle alone */
};

/* The file system. Names that are in `overlay` (which may be NULL) are read from there instead:
 * this is how a configuration made from options, which is no file, is loaded. */
struct source source_files(const struct bundle *overlay);

/* The file system; what is read is added to `record`, and read from there the next time: so that
 * what is judged is what the children get, even if a file is written meanwhile. */
struct source source_files_recorded(struct bundle *record);

/* The file system, but for the YAML files of a configuration, which are all in `yaml`: others that
 * have come meanwhile are not found. */
struct source source_files_but_yaml(const struct bundle *yaml);

/* A bundle alone. */
struct source source_bundle(const struct bundle *bundle);

enum source_status {
    SOURCE_OK,
    SOURCE_MISSING,
    SOURCE_UNREADABLE, /* exists, but cannot be read (permissions, a folder, an I/O error) */
    SOURCE_TOO_LARGE,
    SOURCE_NOMEM,
};

/* Reads all of `name`, at most `limit_bytes`. *bytes is malloc'ed, and has a NUL after its end. */
enum source_status source_read(const struct source *source, const char *name, size_t limit_bytes,
                               char **bytes, size_t *len) __attribute__((warn_unused_result));

/* Whether files that the configuration names can be looked for: not in a bundle, which leaves out
 * the private ones on purpose. */
bool source_can_look(const struct source *source);

/* SOURCE_OK if `name` is a file that can be opened for reading. */
enum source_status source_look(const struct source *source, const char *name)
    __attribute__((warn_unused_result));

struct source_names {
    char **names;
    size_t count;
};

/* The names that match a shell pattern, sorted. A pattern without wildcards matches only itself, if
 * it exists. Never crosses a `/` with a wildcard, never matches a leading dot with one. */
enum source_status source_glob(const struct source *source, const char *pattern,
                               struct source_names *names) __attribute__((warn_unused_result));
void source_names_free(struct source_names *names);
