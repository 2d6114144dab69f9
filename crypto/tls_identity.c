/* crypto/tls_identity.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_identity.h"

#include <openssl/err.h>
#include <string.h>

#include "crypto/error.h"
#include "crypto/identity.h"

bool tls_identity_load(SSL_CTX *ctx, const struct cert_choice *choice, struct crypto_error *error)
{
    for (int i = 0; i < CERTIFICATE_KEYS; i++) {
        const struct identity *identity = choice->of[i];
        if (identity == NULL) {
            continue;
        }
        const struct certificate *certificate = identity_certificate(identity);
        if (SSL_CTX_use_cert_and_key(ctx, certificate_leaf(certificate), identity_key(identity),
                                     certificate_chain(certificate), 1) != 1) {
            crypto_error_set_openssl(error, "the certificate of %.200s cannot be used",
                                     certificate_facts(certificate)->subject);
            return false;
        }
    }
    return true;
}

bool tls_identity_replace(SSL *ssl, const struct cert_choice *choice)
{
    SSL_certs_clear(ssl);
    for (int i = 0; i < CERTIFICATE_KEYS; i++) {
        const struct identity *identity = choice->of[i];
        if (identity == NULL) {
            continue;
        }
        const struct certificate *certificate = identity_certificate(identity);
        if (SSL_use_cert_and_key(ssl, certificate_leaf(certificate), identity_key(identity),
                                 certificate_chain(certificate), 1) != 1) {
            return false;
        }
    }
    return true;
}

bool tls_identity_is_same(const struct cert_choice *a, const struct cert_choice *b)
{
    return memcmp(a->of, b->of, sizeof(a->of)) == 0;
}

bool alpn_list_init(struct alpn_list *list, const char *const *ids, size_t count,
                    struct crypto_error *error)
{
    list->len = 0;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(ids[i]);
        if (len == 0 || len > 255 || list->len + 1 + len > sizeof(list->wire)) {
            crypto_error_set(error, "the ALPN protocol \"%.64s\" is empty, or the list too long",
                             ids[i]);
            return false;
        }
        list->wire[list->len] = (unsigned char)len;
        memcpy(list->wire + list->len + 1, ids[i], len);
        list->len += (unsigned)len + 1;
    }
    return true;
}
