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
    struct ocsp_facts said; /* by the last response that was believed; good or revoked */
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

/* "revoked" is not shown: a client that looks for it asks the responder, and whoever has a stolen
 * key would not show it. */
static bool may_staple(struct identity *identity, struct bytes response, time_t now,
                       struct ocsp_facts *facts, struct crypto_error *error)
{
    if (!ocsp_response_verify(identity->certificate, response, now, facts, error)) {
        return false;
    }
    if (!ocsp_facts_may_replace(facts, &identity->said)) {
        crypto_error_set(error, "the OCSP response is older than the one before");
        return false;
    }
    if (facts->status == OCSP_GOOD) {
        return true;
    }
    if (facts->status == OCSP_REVOKED) {
        set_staple(identity, NULL, 0, 0);
        identity->said = *facts;
    }
    crypto_error_set(error, "the responder says that the certificate is %s",
                     ocsp_status_name(facts->status));
    return false;
}

bool identity_staple(struct identity *identity, struct bytes response, time_t now,
                     struct crypto_error *error)
{
    struct ocsp_facts facts = {0};
    if (response.len == 0) {
        set_staple(identity, NULL, 0, 0);
        identity->said = facts;
        return true;
    }
    if (!may_staple(identity, response, now, &facts, error)) {
        return false;
    }
    uint8_t *copy = malloc(response.len);
    if (copy == NULL) {
        crypto_error_set(error, "out of memory");
        return false;
    }
    memcpy(copy, response.at, response.len);
    set_staple(identity, copy, response.len, facts.usable_until);
    identity->said = facts;
    return true;
}

struct bytes identity_staple_at(const struct identity *identity, time_t now)
{
    if (identity->staple == NULL || now >= identity->staple_until) {
        return (struct bytes){0};
    }
    return (struct bytes){identity->staple, identity->staple_len};
}
