/* proxy/process/keyring_source.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/keyring_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/keyring.h"

static enum status fail(struct process_error *error, enum status status,
                        const struct config_gossip *gossip, const char *name, const char *why)
{
    const struct place *place =
        gossip->keyring.path != NULL ? &gossip->keyring.place : &gossip->key.place;
    process_error_set(error, "%s:%u:%u: keyring of %s: %s: %s", place->file, place->line,
                      place->column, gossip->name, name, why);
    return status;
}

/* Straight into the secret's own pages: no copy lies about. */
static ssize_t read_into(struct secret *text, const char *path)
{
    uint8_t *room = secret_room(text);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor < 0) {
        return -1;
    }
    size_t len = 0;
    ssize_t got = 0;
    do {
        got = read(descriptor, room + len, KEYRING_TEXT_BYTES_MAX + 1 - len);
        len += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    int why = errno;
    (void)close(descriptor);
    errno = why;
    return got < 0 ? -1 : (ssize_t)len;
}

static enum status read_file(const struct config_gossip *gossip, const char *path,
                             struct secret *text, struct process_error *error)
{
    ssize_t len = read_into(text, path);
    if (len < 0) {
        return fail(error, STATUS_SYS, gossip, path, strerror(errno));
    }
    if (len > KEYRING_TEXT_BYTES_MAX) {
        return fail(error, STATUS_REFUSED, gossip, path, "is longer than a keyring can be");
    }
    return secret_set_len(text, (size_t)len) ? STATUS_OK : STATUS_NOMEM;
}

static enum status read_environment(const struct config_gossip *gossip, struct secret *text,
                                    struct process_error *error)
{
    const char *name = gossip->key.value;
    const char *value = getenv(name);
    if (value == NULL) {
        return fail(error, STATUS_REFUSED, gossip, name, "the environment variable is not set");
    }
    size_t len = strlen(value);
    return len <= KEYRING_TEXT_BYTES_MAX && secret_set(text, value, len)
               ? STATUS_OK
               : fail(error, STATUS_REFUSED, gossip, name, "is longer than a keyring can be");
}

enum status keyring_source_read(const struct config_gossip *gossip, struct secret *text,
                                struct process_error *error)
{
    *text = (struct secret){0};
    if (!secret_init(text, KEYRING_TEXT_BYTES_MAX + 1)) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    const char *path = keyring_source_path(gossip);
    enum status status =
        path != NULL ? read_file(gossip, path, text, error) : read_environment(gossip, text, error);
    if (status != STATUS_OK) {
        secret_fini(text);
    }
    return status;
}

const char *keyring_source_path(const struct config_gossip *gossip)
{
    if (gossip->keyring.path != NULL) {
        return gossip->keyring.path;
    }
    return gossip->key.kind == CONFIG_SECRET_FILE ? gossip->key.value : NULL;
}
