/* proxy/commands/inspection.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/inspection.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/private_key.h"
#include "crypto/secret.h"

enum { PASSWORD_BYTES_MAX = 4096 };

/* A file's bytes; freed with file_fini, which wipes. */
struct file {
    char *bytes;
    size_t len;
};

static bool file_read(struct file *file, const struct source *source, const char *path,
                      const struct place *place, size_t limit, struct problem_list *problems)
{
    *file = (struct file){0};
    if (source_read(source, path, limit, &file->bytes, &file->len) == SOURCE_OK) {
        return true;
    }
    problem_add(problems, place, "%s cannot be read", path);
    return false;
}

static void file_fini(struct file *file)
{
    if (file->bytes != NULL) {
        OPENSSL_cleanse(file->bytes, file->len);
        free(file->bytes);
    }
    *file = (struct file){0};
}

static struct bytes file_bytes(const struct file *file)
{
    return (struct bytes){(const uint8_t *)file->bytes, file->len};
}

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
    struct file file;
    if (!file_read(&file, source, reference->value, &reference->place, PASSWORD_BYTES_MAX,
                   problems)) {
        return false;
    }
    size_t len = file.len > 0 && file.bytes[file.len - 1] == '\n' ? file.len - 1 : file.len;
    bool is_set = set_password(password, file.bytes, len);
    file_fini(&file);
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

static void keep_facts(struct inspection *inspection, const struct config *config, size_t index,
                       const struct certificate_facts *facts)
{
    inspection->facts[inspection->fact_count] = (struct enforcement_facts){
        .certificate = index,
        .key_type = key_type(facts->key),
        .key_bits = facts->key_bits,
        .not_before = facts->not_before,
        .not_after = facts->not_after,
    };
    inspection->certificates[inspection->fact_count] = (struct status_certificate){
        .name = config->certificates[index].name,
        .file = config->certificates[index].chain.path,
        .expires = facts->not_after,
    };
    inspection->fact_count++;
}

static void check_key(const struct config_certificate *own, const struct certificate *certificate,
                      const struct secret *password, const struct source *source,
                      struct problem_list *problems)
{
    struct file file;
    if (!file_read(&file, source, own->key.path, &own->key.place, CERTIFICATE_FILE_BYTES_MAX,
                   problems)) {
        return;
    }
    struct crypto_error error = {{0}};
    EVP_PKEY *key = private_key_read((const uint8_t *)file.bytes, file.len, password, &error);
    file_fini(&file);
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

static void inspect(struct inspection *inspection, const struct config *config, size_t index,
                    const struct source *source, struct problem_list *problems)
{
    const struct config_certificate *own = &config->certificates[index];
    struct secret password = {0};
    struct file file = {0};
    if (read_password(&password, &own->password, source, problems) &&
        file_read(&file, source, own->chain.path, &own->chain.place, CERTIFICATE_FILE_BYTES_MAX,
                  problems)) {
        struct crypto_error error = {{0}};
        const struct secret *given = secret_len(&password) > 0 ? &password : NULL;
        struct certificate *certificate = certificate_read(file_bytes(&file), given, &error);
        if (certificate == NULL) {
            problem_add(problems, &own->chain.place, "%s: %s", own->chain.path, error.text);
        } else {
            keep_facts(inspection, config, index, certificate_facts(certificate));
            check_key(own, certificate, given, source, problems);
        }
        certificate_unref(certificate);
    }
    file_fini(&file);
    secret_fini(&password);
}

bool inspection_make(struct inspection *inspection, const struct config *config,
                     const struct source *source, struct problem_list *problems)
{
    *inspection = (struct inspection){0};
    inspection->facts = calloc(config->certificate_count + 1, sizeof(*inspection->facts));
    inspection->certificates =
        calloc(config->certificate_count + 1, sizeof(*inspection->certificates));
    if (inspection->facts == NULL || inspection->certificates == NULL) {
        inspection_fini(inspection);
        return false;
    }
    for (size_t i = 0; i < config->certificate_count; i++) {
        inspect(inspection, config, i, source, problems);
    }
    return true;
}

void inspection_fini(struct inspection *inspection)
{
    free(inspection->facts);
    free(inspection->certificates);
    *inspection = (struct inspection){0};
}
