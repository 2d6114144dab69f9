/* crypto/identity.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/identity.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/ocsp.h"

struct identity {
    unsigned references;
    struct certificate *certificate;
    EVP_PKEY *key;
    uint8_t *staple; /* DER, or NULL */
    size_t staple_len;
    time_t staple_until;
};

struct identity *identity_new(struct certificate *certificate, EVP_PKEY *key,
                              struct crypto_error *error)
{
    if (!certificate_fits_key(certificate, key)) {
        crypto_error_set(error, "the key is not that of the certificate of %.200s",
                         certificate_facts(certificate)->subject);
        return NULL;
    }
    struct identity *identity = calloc(1, sizeof(*identity));
    if (identity == NULL || EVP_PKEY_up_ref(key) != 1) {
        free(identity);
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    identity->references = 1;
    identity->certificate = certificate_ref(certificate);
    identity->key = key;
    return identity;
}

struct identity *identity_ref(struct identity *identity)
{
    identity->references++;
    return identity;
}

void identity_unref(struct identity *identity)
{
    if (identity == NULL || --identity->references > 0) {
        return;
    }
    certificate_unref(identity->certificate);
    EVP_PKEY_free(identity->key);
    free(identity->staple);
    free(identity);
}

struct certificate *identity_certificate(const struct identity *identity)
{
    return identity->certificate;
}

EVP_PKEY *identity_key(const struct identity *identity)
{
    return identity->key;
}

static void set_staple(struct identity *identity, uint8_t *bytes, size_t len, time_t until)
{
    free(identity->staple);
    identity->staple = bytes;
    identity->staple_len = len;
    identity->staple_until = until;
}

bool identity_staple(struct identity *identity, struct bytes response, time_t now,
                     struct crypto_error *error)
{
    if (response.len == 0) {
        set_staple(identity, NULL, 0, 0);
        return true;
    }
    struct ocsp_facts facts = {0};
    if (!ocsp_response_verify(identity->certificate, response, now, &facts, error)) {
        return false;
    }
    if (facts.status != OCSP_GOOD) {
        crypto_error_set(error, "the responder says that the certificate is %s",
                         ocsp_status_name(facts.status));
        return false;
    }
    uint8_t *copy = malloc(response.len);
    if (copy == NULL) {
        crypto_error_set(error, "out of memory");
        return false;
    }
    memcpy(copy, response.at, response.len);
    set_staple(identity, copy, response.len, facts.usable_until);
    return true;
}

struct bytes identity_staple_at(const struct identity *identity, time_t now)
{
    if (identity->staple == NULL || now >= identity->staple_until) {
        return (struct bytes){0};
    }
    return (struct bytes){identity->staple, identity->staple_len};
}
