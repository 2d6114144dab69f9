/* proxy/process/gathering.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/gathering.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };

void gathering_fail(struct gathering *gathering, enum status status, const struct place *place,
                    const char *name, const char *why)
{
    if (gathering->status != STATUS_OK) {
        return;
    }
    gathering->status = status;
    if (place != NULL && place->file != NULL && place->line > 0) {
        process_error_set(gathering->error, "%s:%u:%u: %s: %s", place->file, place->line,
                          place->column, name, why);
    } else {
        process_error_set(gathering->error, "%s: %s", name, why);
    }
}

static const char *why_not_read(enum source_status status)
{
    switch (status) {
    case SOURCE_OK:
        return "";
    case SOURCE_MISSING:
        return "the file does not exist";
    case SOURCE_UNREADABLE:
        return "the file cannot be read";
    case SOURCE_TOO_LARGE:
        return "the file is too large";
    case SOURCE_NOMEM:
        return "out of memory";
    }
    return "";
}

char *gathering_read_file(struct gathering *gathering, const char *path, const struct place *place,
                          size_t *len)
{
    char *bytes = NULL;
    enum source_status status = source_read(&gathering->source, path, FILE_BYTES_MAX, &bytes, len);
    if (status != SOURCE_OK) {
        gathering_fail(gathering, STATUS_REFUSED, place, path, why_not_read(status));
        return NULL;
    }
    return bytes;
}

void gathering_wipe_and_free(char *bytes, size_t len)
{
    if (bytes != NULL) {
        OPENSSL_cleanse(bytes, len);
        free(bytes);
    }
}

void gathering_add(struct gathering *gathering, struct bundle *bundle, const char *name,
                   const void *bytes, size_t len)
{
    if (!bundle_add(bundle, name, bytes, len)) {
        gathering_fail(gathering, STATUS_NOMEM, NULL, name, "out of memory, or too many files");
    }
}

char *gathering_read_secret(struct gathering *gathering, const struct config_secret *secret,
                            size_t *len)
{
    if (secret->kind == CONFIG_SECRET_ENVIRONMENT) {
        const char *value = getenv(secret->value);
        if (value == NULL) {
            gathering_fail(gathering, STATUS_REFUSED, &secret->place, secret->value,
                           "the environment variable is not set");
            return NULL;
        }
        *len = strlen(value);
        return strdup(value);
    }
    char *bytes = gathering_read_file(gathering, secret->value, &secret->place, len);
    if (bytes != NULL && *len > 0 && bytes[*len - 1] == '\n') {
        (*len)--;
    }
    return bytes;
}
