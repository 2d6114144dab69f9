/* proxy/process/snapshot_certificates.c · SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/private_key.h"
#include "crypto/secret.h"
#include "proxy/process/gathering.h"
#include "proxy/process/public_file.h"
#include "proxy/process/snapshot.h"

/* ---- passwords and keys ---- */

static void add_password(struct gathering *gathering, size_t index)
{
    const struct config_secret *secret = &gathering->config->certificates[index].password;
    if (secret->kind == CONFIG_SECRET_NONE) {
        return;
    }
    size_t len = 0;
    char *bytes = gathering_read_secret(gathering, secret, &len);
    if (bytes == NULL) {
        return;
    }
    char name[SNAPSHOT_NAME_BYTES];
    (void)snprintf(name, sizeof(name), SNAPSHOT_PASSWORD "%zu", index);
    gathering_add(gathering, gathering->for_keyholder, name, bytes, len);
    gathering_wipe_and_free(bytes, len);
}

/* False: out of memory. Without a password the secret stays empty. */
static bool copy_password(const struct gathering *gathering, size_t index, struct secret *password)
{
    char name[SNAPSHOT_NAME_BYTES];
    (void)snprintf(name, sizeof(name), SNAPSHOT_PASSWORD "%zu", index);
    const struct bundle_entry *entry = bundle_find(gathering->for_keyholder, name);
    return entry == NULL || entry->len == 0 ||
           (secret_init(password, entry->len) && secret_set(password, entry->bytes, entry->len));
}

/* ---- certificates ---- */

/* Both were looked at before, when the configuration was planned; but whoever renews a certificate
 * may have replaced one of them since. A key that cannot be read is the keyholder's to tell. */
static bool is_of_another_key(const struct gathering *gathering, size_t index,
                              const struct certificate *certificate, const struct secret *password)
{
    char name[SNAPSHOT_NAME_BYTES];
    (void)snprintf(name, sizeof(name), SNAPSHOT_KEY "%zu", index);
    const struct bundle_entry *entry = bundle_find(gathering->for_keyholder, name);
    EVP_PKEY *key =
        entry == NULL ? NULL : private_key_read(entry->bytes, entry->len, password, NULL);
    bool is_another = key != NULL && !certificate_fits_key(certificate, key);
    EVP_PKEY_free(key);
    return is_another;
}

static void fail_pair(struct gathering *gathering, size_t index)
{
    const struct config_certificate *own = &gathering->config->certificates[index];
    struct process_error why;
    process_error_set(&why,
                      "is not the key of the certificate in %s, as both were read; expected the "
                      "one that it was made for (is one of them being replaced?)",
                      own->chain.path);
    gathering_fail(gathering, STATUS_REFUSED, &own->key.place, own->key.path, why.text);
}

/* Workers get the certificates as PEM, whatever else is in the file. */
static void add_pem(struct gathering *gathering, size_t index,
                    const struct certificate *certificate)
{
    const struct config_file *chain = &gathering->config->certificates[index].chain;
    size_t len = 0;
    char *pem = certificate_pem(certificate, &len);
    if (pem == NULL) {
        gathering_fail(gathering, STATUS_NOMEM, &chain->place, chain->path, "out of memory");
        return;
    }
    gathering_add(gathering, gathering->for_workers, chain->path, pem, len);
    free(pem);
}

static void add_certificate(struct gathering *gathering, size_t index, struct bytes file)
{
    const struct config_file *chain = &gathering->config->certificates[index].chain;
    struct secret password = {0};
    struct crypto_error error = {"out of memory"};
    struct certificate *certificate = NULL;
    const struct secret *given = NULL;
    if (copy_password(gathering, index, &password)) {
        given = secret_len(&password) > 0 ? &password : NULL;
        certificate = certificate_read(file, given, &error);
    }
    if (certificate == NULL) {
        gathering_fail(gathering, STATUS_REFUSED, &chain->place, chain->path, error.text);
    } else if (is_of_another_key(gathering, index, certificate, given)) {
        fail_pair(gathering, index);
    } else {
        add_pem(gathering, index, certificate);
    }
    certificate_unref(certificate);
    secret_fini(&password);
}

static void add_chain(struct gathering *gathering, size_t index)
{
    const struct config_certificate *own = &gathering->config->certificates[index];
    size_t len = 0;
    char *bytes = gathering_read_file(gathering, own->chain.path, &own->chain.place, &len);
    if (bytes == NULL) {
        return;
    }
    const struct bytes file = {(const uint8_t *)bytes, len};
    const char *fault = own->key_in_chain ? NULL : public_file_fault(CONFIG_FILE_CHAIN, file);
    if (fault != NULL) {
        gathering_fail(gathering, STATUS_REFUSED, &own->chain.place, own->chain.path, fault);
    } else {
        add_certificate(gathering, index, file);
    }
    gathering_wipe_and_free(bytes, len);
}

static void add_key(struct gathering *gathering, size_t index)
{
    const struct config_file *key = &gathering->config->certificates[index].key;
    size_t len = 0;
    char *bytes = gathering_read_file(gathering, key->path, &key->place, &len);
    if (bytes == NULL) {
        return;
    }
    char name[SNAPSHOT_NAME_BYTES];
    (void)snprintf(name, sizeof(name), SNAPSHOT_KEY "%zu", index);
    gathering_add(gathering, gathering->for_keyholder, name, bytes, len);
    gathering_wipe_and_free(bytes, len);
}

void gathering_add_certificates(struct gathering *gathering)
{
    for (size_t i = 0; i < gathering->config->certificate_count; i++) {
        add_password(gathering, i);
        add_key(gathering, i);
        add_chain(gathering, i);
    }
}
