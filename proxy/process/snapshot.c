/* proxy/process/snapshot.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/snapshot.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/ticket_keys.h"
#include "crypto/trust.h"
#include "proxy/process/gathering.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/public_file.h"
#include "proxy/relay/relay.h"

static void add_public_file(struct gathering *gathering, enum config_file_kind kind,
                            const char *path, const struct place *place)
{
    if (config_path_is_private(gathering->config, path)) {
        gathering_fail(gathering, STATUS_REFUSED, place, path,
                       "is named as a key or password too; expected a file of its own");
        return;
    }
    size_t len = 0;
    char *bytes = gathering_read_file(gathering, path, place, &len);
    if (bytes == NULL) {
        return;
    }
    const char *fault = public_file_fault(kind, (struct bytes){(const uint8_t *)bytes, len});
    if (fault != NULL) {
        gathering_fail(gathering, STATUS_REFUSED, place, path, fault);
    } else {
        gathering_add(gathering, gathering->for_workers, path, bytes, len);
    }
    gathering_wipe_and_free(bytes, len);
}

/* ---- the ticket secret ---- */

/* The one that other instances have too. */
static void add_shared_secret(struct gathering *gathering, const struct config_secret *secret)
{
    size_t len = 0;
    char *bytes = gathering_read_secret(gathering, secret, &len);
    if (bytes == NULL) {
        return;
    }
    if (len < TICKET_SECRET_BYTES_MIN) {
        gathering_fail(gathering, STATUS_REFUSED, &secret->place, secret->value,
                       SNAPSHOT_SHORT_SECRET);
    } else {
        gathering_add(gathering, gathering->for_keyholder, SNAPSHOT_TICKET_SECRET, bytes, len);
    }
    gathering_wipe_and_free(bytes, len);
}

/* False: there is none. */
static bool keep_ticket_secret(struct gathering *gathering, const struct snapshot *former)
{
    struct memory_file file;
    if (former == NULL || memory_file_map(&file, former->key_file, BUNDLE_BYTES_MAX) != STATUS_OK) {
        return false;
    }
    struct bundle *bundle = bundle_parse(file.bytes, file.len);
    memory_file_unmap(&file);
    const struct bundle_entry *secret =
        bundle == NULL ? NULL : bundle_find(bundle, SNAPSHOT_TICKET_SECRET);
    if (secret != NULL) {
        gathering_add(gathering, gathering->for_keyholder, SNAPSHOT_TICKET_SECRET, secret->bytes,
                      secret->len);
    }
    snapshot_wipe_bundle(bundle);
    return secret != NULL;
}

static void add_ticket_secret(struct gathering *gathering)
{
    const struct config_secret *shared = &gathering->config->tickets.secret;
    if (shared->kind != CONFIG_SECRET_NONE) {
        add_shared_secret(gathering, shared);
        return;
    }
    unsigned char secret[SNAPSHOT_TICKET_SECRET_BYTES];
    if (RAND_priv_bytes(secret, sizeof(secret)) != 1) {
        gathering_fail(gathering, STATUS_SYS, NULL, SNAPSHOT_TICKET_SECRET, "no randomness");
        return;
    }
    gathering_add(gathering, gathering->for_keyholder, SNAPSHOT_TICKET_SECRET, secret,
                  sizeof(secret));
    OPENSSL_cleanse(secret, sizeof(secret));
}

/* ---- the system's authorities ---- */

/* The first backend's `ca: system` with a server that speaks TLS; NULL: nobody asks for the
 * system's. */
static const struct config_file *system_ca_wish(const struct config *config)
{
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct config_backend *backend = &config->backends[i];
        for (size_t j = 0; backend->tls.ca.path == NULL && j < backend->server_count; j++) {
            if (config_scheme_is_tls(backend->servers[j].scheme)) {
                return &backend->tls.ca;
            }
        }
    }
    return NULL;
}

const char *snapshot_system_ca_path(void)
{
    const char *named = getenv("SSL_CERT_FILE");
    return named != NULL && named[0] != '\0' ? named : trust_system_path();
}

static void add_system_ca(struct gathering *gathering)
{
    const struct config_file *wish = system_ca_wish(gathering->config);
    if (wish == NULL) {
        return;
    }
    const char *path = snapshot_system_ca_path();
    if (path == NULL) {
        gathering_fail(gathering, STATUS_REFUSED, &wish->place, "ca: system",
                       SNAPSHOT_NO_SYSTEM_CA);
        return;
    }
    if (bundle_find(gathering->for_workers, RELAY_SYSTEM_CA) != NULL) {
        gathering_fail(gathering, STATUS_REFUSED, NULL, RELAY_SYSTEM_CA,
                       "no file may have this name");
        return;
    }
    size_t len = 0;
    char *bytes = gathering_read_file(gathering, path, &wish->place, &len);
    if (bytes == NULL) {
        return;
    }
    const struct bytes file = {(const uint8_t *)bytes, len};
    const char *fault = public_file_fault(CONFIG_FILE_CA, file);
    if (fault != NULL) {
        gathering_fail(gathering, STATUS_REFUSED, &wish->place, path, fault);
    } else {
        gathering_add(gathering, gathering->for_workers, RELAY_SYSTEM_CA, bytes, len);
    }
    gathering_wipe_and_free(bytes, len);
}

/* ---- gathering ---- */

/* Chains are added with their certificates, whose passwords they may need. */
static void on_file(void *self, enum config_file_kind kind, const char *path,
                    const struct place *place)
{
    if (!config_file_kind_is_private(kind) && kind != CONFIG_FILE_CHAIN) {
        add_public_file(self, kind, path, place);
    }
}

static void gather(struct gathering *gathering, const struct snapshot *former)
{
    const struct config *config = gathering->config;
    config_files(config, on_file, gathering);
    gathering_add_certificates(gathering);
    add_system_ca(gathering);
    if (!keep_ticket_secret(gathering, former)) {
        add_ticket_secret(gathering);
    }
}

static int seal(struct gathering *gathering, const char *name, const struct bundle *bundle)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (!bundle_serialise(bundle, &bytes, &len)) {
        gathering_fail(gathering, STATUS_NOMEM, NULL, name, "out of memory");
        return -1;
    }
    int descriptor = memory_file_new(name, bytes, len);
    gathering_wipe_and_free((char *)bytes, len);
    if (descriptor < 0) {
        gathering_fail(gathering, STATUS_SYS, NULL, name, "the memory file cannot be made");
    }
    return descriptor;
}

void snapshot_wipe_bundle(struct bundle *bundle)
{
    if (bundle == NULL) {
        return;
    }
    for (size_t i = 0; i < bundle_count(bundle); i++) {
        const struct bundle_entry *entry = bundle_at(bundle, i);
        OPENSSL_cleanse((void *)(uintptr_t)entry->bytes, entry->len);
    }
    bundle_free(bundle);
}

enum status snapshot_open(struct snapshot *snapshot, const struct config *config,
                          const struct bundle *overlay, const struct snapshot *former,
                          struct process_error *error)
{
    struct gathering gathering = {
        .config = config,
        .source = source_files(overlay),
        .for_workers = bundle_new(),
        .for_keyholder = bundle_new(),
        .error = error,
    };
    *snapshot = (struct snapshot){-1, -1};
    if (gathering.for_workers == NULL || gathering.for_keyholder == NULL) {
        gathering_fail(&gathering, STATUS_NOMEM, NULL, "configuration", "out of memory");
    } else {
        gather(&gathering, former);
    }
    if (gathering.status == STATUS_OK) {
        snapshot->worker_file = seal(&gathering, "sallyport-config", gathering.for_workers);
        snapshot->key_file = seal(&gathering, "sallyport-keys", gathering.for_keyholder);
    }
    bundle_free(gathering.for_workers);
    snapshot_wipe_bundle(gathering.for_keyholder);
    if (gathering.status != STATUS_OK) {
        snapshot_close(snapshot);
    }
    return gathering.status;
}

void snapshot_close_public(struct snapshot *snapshot)
{
    if (snapshot->worker_file >= 0) {
        (void)close(snapshot->worker_file);
        snapshot->worker_file = -1;
    }
}

void snapshot_close(struct snapshot *snapshot)
{
    snapshot_close_public(snapshot);
    if (snapshot->key_file >= 0) {
        (void)close(snapshot->key_file);
    }
    *snapshot = (struct snapshot){-1, -1};
}

/* ---- comparing and reading ---- */

static bool has_same_bytes(int left, int right)
{
    struct memory_file a;
    struct memory_file b;
    if (memory_file_map(&a, left, BUNDLE_BYTES_MAX) != STATUS_OK) {
        return false;
    }
    bool is_mapped = memory_file_map(&b, right, BUNDLE_BYTES_MAX) == STATUS_OK;
    bool is_same = is_mapped && a.len == b.len && CRYPTO_memcmp(a.bytes, b.bytes, a.len) == 0;
    if (is_mapped) {
        memory_file_unmap(&b);
    }
    memory_file_unmap(&a);
    return is_same;
}

bool snapshot_is_same(const struct snapshot *left, const struct snapshot *right)
{
    return has_same_bytes(left->worker_file, right->worker_file) &&
           has_same_bytes(left->key_file, right->key_file);
}

struct bundle *snapshot_yaml(const struct snapshot *snapshot, const struct config *config)
{
    struct memory_file file;
    if (memory_file_map(&file, snapshot->worker_file, BUNDLE_BYTES_MAX) != STATUS_OK) {
        return NULL;
    }
    struct bundle *all = bundle_parse(file.bytes, file.len);
    struct bundle *yaml = bundle_new();
    memory_file_unmap(&file);
    bool is_whole = all != NULL && yaml != NULL;
    for (size_t i = 0; is_whole && i < config->file_count; i++) {
        const struct bundle_entry *entry = bundle_find(all, config->files[i]);
        is_whole = entry != NULL && bundle_add(yaml, entry->name, entry->bytes, entry->len);
    }
    bundle_free(all);
    if (!is_whole) {
        bundle_free(yaml);
        return NULL;
    }
    return yaml;
}

/* ---- the ticket secret ---- */

int snapshot_ticket_secret(const struct snapshot *snapshot)
{
    struct process_error error;
    const struct config none = {0};
    struct gathering gathering = {.config = &none, .for_keyholder = bundle_new(), .error = &error};
    int file = -1;
    if (gathering.for_keyholder != NULL && keep_ticket_secret(&gathering, snapshot) &&
        gathering.status == STATUS_OK) {
        file = seal(&gathering, "sallyport-tickets", gathering.for_keyholder);
    }
    snapshot_wipe_bundle(gathering.for_keyholder);
    return file;
}
