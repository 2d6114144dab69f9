/* proxy/commands/inspection.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/inspection.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/memory.h"
#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/keyring.h"
#include "crypto/ocsp.h"
#include "crypto/private_key.h"
#include "crypto/secret.h"
#include "crypto/ticket_keys.h"
#include "proxy/commands/inspection_state.h"
#include "proxy/process/keyring_check.h"
#include "proxy/process/public_file.h"
#include "proxy/process/snapshot.h"

enum { PASSWORD_BYTES_MAX = 4096 };

/* ---- files ---- */

static bool file_read(struct inspection_file *file, const struct source *source, const char *path,
                      const struct place *place, size_t limit, struct problem_list *problems)
{
    *file = (struct inspection_file){0};
    if (source_read(source, path, limit, &file->bytes, &file->len) == SOURCE_OK) {
        return true;
    }
    problem_add(problems, place, "%s cannot be read", path);
    return false;
}

void inspection_file_fini(struct inspection_file *file)
{
    if (file->bytes != NULL) {
        OPENSSL_cleanse(file->bytes, file->len);
        free(file->bytes);
    }
    *file = (struct inspection_file){0};
}

struct bytes inspection_file_bytes(const struct inspection_file *file)
{
    return (struct bytes){(const uint8_t *)file->bytes, file->len};
}

bool inspection_public_file_read(struct inspection_file *file, const struct source *source,
                                 enum config_file_kind kind, const struct config_file *reference,
                                 size_t limit, struct problem_list *problems)
{
    if (!file_read(file, source, reference->path, &reference->place, limit, problems)) {
        return false;
    }
    const char *fault = public_file_fault(kind, inspection_file_bytes(file));
    if (fault != NULL) {
        problem_add(problems, &reference->place, "%s %s", reference->path, fault);
        inspection_file_fini(file);
        return false;
    }
    return true;
}

/* ---- our own certificates ---- */

static bool set_password(struct secret *password, const char *bytes, size_t len)
{
    return len == 0 || (secret_init(password, len) && secret_set(password, bytes, len));
}

/* False: a problem was added. */
static bool read_password(struct secret *password, const struct config_secret *reference,
                          const struct source *source, struct problem_list *problems)
{
    if (reference->kind == CONFIG_SECRET_NONE) {
        return true;
    }
    if (reference->kind == CONFIG_SECRET_ENVIRONMENT) {
        const char *value = getenv(reference->value);
        if (value == NULL) {
            problem_add(problems, &reference->place, "the environment variable %s is not set",
                        reference->value);
            return false;
        }
        return set_password(password, value, strlen(value));
    }
    struct inspection_file file;
    if (!file_read(&file, source, reference->value, &reference->place, PASSWORD_BYTES_MAX,
                   problems)) {
        return false;
    }
    size_t len = file.len > 0 && file.bytes[file.len - 1] == '\n' ? file.len - 1 : file.len;
    bool is_set = set_password(password, file.bytes, len);
    inspection_file_fini(&file);
    return is_set;
}

static enum enforcement_key_type key_type(enum certificate_key key)
{
    switch (key) {
    case CERTIFICATE_RSA:
        return ENFORCEMENT_KEY_RSA;
    case CERTIFICATE_EC:
    case CERTIFICATE_ED25519:
        return ENFORCEMENT_KEY_EC;
    case CERTIFICATE_KEYS:
        break;
    }
    return ENFORCEMENT_KEY_OTHER;
}

void inspection_add_date(struct inspection *inspection, const struct expiry_date *date)
{
    struct expiry_date *grown =
        reallocarray(inspection->dates, inspection->date_count + 1, sizeof(*inspection->dates));
    if (grown == NULL) {
        inspection->is_short_of_memory = true;
        return;
    }
    inspection->dates = grown;
    grown[inspection->date_count] = *date;
    grown[inspection->date_count].subject = memory_copy_text(inspection->memory, date->subject);
    inspection->is_short_of_memory |= memory_failed(inspection->memory);
    inspection->date_count += inspection->is_short_of_memory ? 0 : 1;
}

static void keep_facts(struct inspection *inspection, const struct config *config, size_t index,
                       const struct certificate_facts *facts)
{
    inspection->facts[inspection->fact_count] = (struct enforcement_facts){
        .certificate = index,
        .key_type = key_type(facts->key),
        .key_bits = facts->key_bits,
        .not_before = facts->not_before,
        .not_after = facts->not_after,
        .must_staple = facts->must_staple,
        .has_staple = config_certificate_staples(&config->certificates[index]),
    };
    inspection->certificates[inspection->fact_count] = (struct status_certificate){
        .name = config->certificates[index].name,
        .file = config->certificates[index].chain.path,
        .expires = facts->not_after,
    };
    inspection->fact_count++;
    inspection_add_date(inspection,
                        &(struct expiry_date){.kind = EXPIRY_OWN,
                                              .name = config->certificates[index].name,
                                              .file = config->certificates[index].chain.path,
                                              .subject = "",
                                              .not_after = facts->not_after});
}

/* A key that policy refuses for its size alone is a violation, which the facts already tell. */
static bool is_too_small_rsa(const struct enforcement_facts *facts)
{
    return facts->key_type == ENFORCEMENT_KEY_RSA && facts->key_bits < PRIVATE_KEY_RSA_BITS_MIN;
}

static void check_key(const struct config_certificate *own, const struct certificate *certificate,
                      const struct secret *password, const struct source *source,
                      struct problem_list *problems)
{
    struct inspection_file file;
    if (!file_read(&file, source, own->key.path, &own->key.place, CERTIFICATE_FILE_BYTES_MAX,
                   problems)) {
        return;
    }
    struct crypto_error error = {{0}};
    EVP_PKEY *key = private_key_read((const uint8_t *)file.bytes, file.len, password, &error);
    inspection_file_fini(&file);
    if (key == NULL) {
        problem_add(problems, &own->key.place, "%s: %s", own->key.path, error.text);
    } else if (!certificate_fits_key(certificate, key)) {
        problem_add(problems, &own->key.place,
                    "%s is not the key of the certificate in %s; expected the key that the "
                    "certificate was made for",
                    own->key.path, own->chain.path);
    }
    EVP_PKEY_free(key);
}

/* An OCSP response from a file. */
static void check_response(const struct config_certificate *own,
                           const struct certificate *certificate, const struct source *source,
                           struct problem_list *problems)
{
    struct inspection_file file;
    if (own->ocsp.path == NULL ||
        !inspection_public_file_read(&file, source, CONFIG_FILE_OCSP, &own->ocsp,
                                     OCSP_RESPONSE_BYTES_MAX, problems)) {
        return;
    }
    struct crypto_error error = {{0}};
    struct ocsp_facts facts;
    if (!ocsp_response_verify(certificate, inspection_file_bytes(&file), time(NULL), &facts,
                              &error)) {
        problem_add(problems, &own->ocsp.place, "%s: %s", own->ocsp.path, error.text);
    } else if (facts.status != OCSP_GOOD) {
        problem_add(problems, &own->ocsp.place, "%s: it says that the certificate is %s",
                    own->ocsp.path, ocsp_status_name(facts.status));
    }
    inspection_file_fini(&file);
}

static bool read_chain(struct inspection_file *file, const struct config_certificate *own,
                       const struct source *source, struct problem_list *problems)
{
    if (own->key_in_chain) {
        return file_read(file, source, own->chain.path, &own->chain.place,
                         CERTIFICATE_FILE_BYTES_MAX, problems);
    }
    return inspection_public_file_read(file, source, CONFIG_FILE_CHAIN, &own->chain,
                                       CERTIFICATE_FILE_BYTES_MAX, problems);
}

static void inspect_certificate(struct inspection *inspection, const struct config *config,
                                size_t index, const struct source *source,
                                struct problem_list *problems)
{
    const struct config_certificate *own = &config->certificates[index];
    struct secret password = {0};
    struct inspection_file file = {0};
    if (read_password(&password, &own->password, source, problems) &&
        read_chain(&file, own, source, problems)) {
        struct crypto_error error = {{0}};
        const struct secret *given = secret_len(&password) > 0 ? &password : NULL;
        struct certificate *certificate =
            certificate_read(inspection_file_bytes(&file), given, &error);
        if (certificate == NULL) {
            problem_add(problems, &own->chain.place, "%s: %s", own->chain.path, error.text);
        } else {
            keep_facts(inspection, config, index, certificate_facts(certificate));
            if (!is_too_small_rsa(&inspection->facts[inspection->fact_count - 1])) {
                check_key(own, certificate, given, source, problems);
            }
            check_response(own, certificate, source, problems);
        }
        certificate_unref(certificate);
    }
    inspection_file_fini(&file);
    secret_fini(&password);
}

/* ---- tickets ---- */

static void inspect_tickets(const struct config *config, const struct source *source,
                            struct problem_list *problems)
{
    const struct config_secret *reference = &config->tickets.secret;
    struct secret secret = {0};
    if (reference->kind != CONFIG_SECRET_NONE &&
        read_password(&secret, reference, source, problems) &&
        secret_len(&secret) < TICKET_SECRET_BYTES_MIN) {
        problem_add(problems, &reference->place, "%s: " SNAPSHOT_SHORT_SECRET, reference->value);
    }
    secret_fini(&secret);
}

/* ---- keys of gossip ---- */

/* `name` is that of the file or of the variable. */
static void inspect_ring(struct inspection *inspection, size_t cluster, struct bytes text,
                         const char *name, const struct place *place, struct problem_list *problems)
{
    struct crypto_error error = {{0}};
    struct keyring *ring = keyring_parse(text, &error);
    if (ring == NULL) {
        problem_add(problems, place, "%s: %s", name, error.text);
        return;
    }
    keyring_facts(ring, cluster, &inspection->gossip[inspection->gossip_count++]);
    keyring_free(ring);
}

static void inspect_gossip(struct inspection *inspection, const struct config *config,
                           size_t cluster, const struct source *source,
                           struct problem_list *problems)
{
    const struct config_gossip *gossip = &config->gossip[cluster];
    const struct config_secret *key = &gossip->key;
    if (gossip->keyring.path == NULL && key->kind == CONFIG_SECRET_ENVIRONMENT) {
        const char *value = getenv(key->value);
        if (value == NULL) {
            problem_add(problems, &key->place, "the environment variable %s is not set",
                        key->value);
            return;
        }
        struct bytes text = {(const uint8_t *)value, strlen(value)};
        inspect_ring(inspection, cluster, text, key->value, &key->place, problems);
        return;
    }
    bool is_ring = gossip->keyring.path != NULL;
    const char *path = is_ring ? gossip->keyring.path : key->value;
    const struct place *place = is_ring ? &gossip->keyring.place : &key->place;
    if (source_look(source, path) == SOURCE_MISSING) {
        problem_add(problems, place,
                    "%s does not exist; expected a keyring, such as `sallyport keyring create` "
                    "makes",
                    path);
        return;
    }
    struct inspection_file file;
    if (file_read(&file, source, path, place, KEYRING_TEXT_BYTES_MAX, problems)) {
        inspect_ring(inspection, cluster, inspection_file_bytes(&file), path, place, problems);
        inspection_file_fini(&file);
    }
}

/* ---- all ---- */

bool inspection_make(struct inspection *inspection, const struct config *config,
                     const struct source *source, struct problem_list *problems)
{
    *inspection = (struct inspection){0};
    inspection->facts = calloc(config->certificate_count + 1, sizeof(*inspection->facts));
    inspection->certificates =
        calloc(config->certificate_count + 1, sizeof(*inspection->certificates));
    inspection->gossip = calloc(config->gossip_count + 1, sizeof(*inspection->gossip));
    inspection->memory = memory_new();
    if (inspection->facts == NULL || inspection->certificates == NULL ||
        inspection->gossip == NULL || inspection->memory == NULL) {
        inspection_fini(inspection);
        return false;
    }
    for (size_t i = 0; i < config->certificate_count; i++) {
        inspect_certificate(inspection, config, i, source, problems);
    }
    inspection_look_at_trust(inspection, config, source, problems);
    inspect_tickets(config, source, problems);
    for (size_t i = 0; i < config->gossip_count; i++) {
        inspect_gossip(inspection, config, i, source, problems);
    }
    if (inspection->is_short_of_memory) {
        inspection_fini(inspection);
        return false;
    }
    return true;
}

void inspection_fini(struct inspection *inspection)
{
    free(inspection->facts);
    free(inspection->certificates);
    free(inspection->gossip);
    free(inspection->dates);
    memory_free(inspection->memory);
    *inspection = (struct inspection){0};
}
