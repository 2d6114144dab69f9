/* crypto/ocsp.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/x509_text.h"

enum { DIGEST_BYTES_MIN = 28, AUTH_LEVEL = 2 };

const char *ocsp_status_name(enum ocsp_status status)
{
    static const char *const NAMES[] = {"good", "revoked", "unknown"};
    return NAMES[status];
}

bool ocsp_facts_may_replace(const struct ocsp_facts *next, const struct ocsp_facts *held)
{
    return next->this_update > held->this_update ||
           (next->this_update == held->this_update &&
            (next->status == OCSP_REVOKED || held->status != OCSP_REVOKED));
}

static X509 *issuer_of(const struct certificate *certificate, struct crypto_error *error)
{
    X509 *issuer = certificate_issuer(certificate);
    if (issuer == NULL) {
        crypto_error_set(error, "the chain file does not hold the certificate's issuer, which OCSP "
                                "needs: add it behind the certificate");
    }
    return issuer;
}

/* ---- request ---- */

/* SHA-1 here names the issuer and protects nothing; responders know no other (RFC 5019 §2.1.1). */
static OCSP_CERTID *certificate_id(const struct certificate *certificate, X509 *issuer)
{
    return OCSP_cert_to_id(EVP_sha1(), certificate_leaf(certificate), issuer);
}

uint8_t *ocsp_request(const struct certificate *certificate, size_t *len,
                      struct crypto_error *error)
{
    X509 *issuer = issuer_of(certificate, error);
    if (issuer == NULL) {
        return NULL;
    }
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = certificate_id(certificate, issuer);
    unsigned char *der = NULL;
    int der_len = -1;
    if (request != NULL && id != NULL && OCSP_request_add0_id(request, id) != NULL) {
        id = NULL;
        der_len = i2d_OCSP_REQUEST(request, &der);
    }
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    uint8_t *copy = der_len > 0 ? malloc((size_t)der_len) : NULL;
    if (copy == NULL) {
        crypto_error_set_openssl(error, "the OCSP request cannot be made");
    } else {
        memcpy(copy, der, (size_t)der_len);
        *len = (size_t)der_len;
    }
    OPENSSL_free(der);
    return copy;
}

/* ---- response ---- */

static OCSP_BASICRESP *parse(struct bytes bytes, struct crypto_error *error)
{
    const unsigned char *at = bytes.at;
    if (bytes.len == 0 || bytes.len > OCSP_RESPONSE_BYTES_MAX) {
        crypto_error_set(error, "an empty or far too large OCSP response");
        return NULL;
    }
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)bytes.len);
    if (response == NULL || at != bytes.at + bytes.len) {
        OCSP_RESPONSE_free(response);
        ERR_clear_error();
        crypto_error_set(error, "not an OCSP response in DER");
        return NULL;
    }
    int status = OCSP_response_status(response);
    OCSP_BASICRESP *basic = NULL;
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        crypto_error_set(error, "the OCSP responder answers: %s", OCSP_response_status_str(status));
    } else {
        basic = OCSP_response_get1_basic(response);
        if (basic == NULL) {
            crypto_error_set_openssl(error, "an OCSP response of an unknown type");
        }
    }
    OCSP_RESPONSE_free(response);
    return basic;
}

/* libcrypto verifies what it knows, SHA-1 among it. Schemes that name no digest of their own
 * (EdDSA, and PSS in whose parameters it is) pass. */
static bool is_weakly_signed(const OCSP_BASICRESP *basic)
{
    const X509_ALGOR *algorithm = OCSP_resp_get0_tbs_sigalg(basic);
    const ASN1_OBJECT *scheme = NULL;
    int digest = NID_undef;
    X509_ALGOR_get0(&scheme, NULL, NULL, algorithm);
    if (OBJ_find_sigid_algs(OBJ_obj2nid(scheme), &digest, NULL) != 1) {
        return true;
    }
    const EVP_MD *md = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
    return digest != NID_undef && (md == NULL || EVP_MD_get_size(md) < DIGEST_BYTES_MIN);
}

static X509_STORE *store_of(X509 *issuer)
{
    X509_STORE *store = X509_STORE_new();
    if (store == NULL || X509_STORE_add_cert(store, issuer) != 1 ||
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1) {
        X509_STORE_free(store);
        return NULL;
    }
    /* 112 bits: no SHA-1 and no small key in the certificate of a delegate. */
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_get0_param(store), AUTH_LEVEL);
    return store;
}

/* The issuer alone is trusted: it signed the response, or the certificate of who did
 * (RFC 6960 §4.2.2.2), whatever authority stands above it. */
static bool is_signed(OCSP_BASICRESP *basic, X509 *issuer, struct crypto_error *error)
{
    if (is_weakly_signed(basic)) {
        crypto_error_set(error, "the OCSP response is signed with an algorithm that is too weak");
        return false;
    }
    X509_STORE *store = store_of(issuer);
    STACK_OF(X509) *signers = sk_X509_new_null();
    bool verified = store != NULL && signers != NULL && sk_X509_push(signers, issuer) > 0 &&
                    OCSP_basic_verify(basic, signers, store, OCSP_NOEXPLICIT) == 1;
    if (!verified) {
        crypto_error_set_openssl(error, "the OCSP response is not signed by the issuer");
    }
    sk_X509_free(signers);
    X509_STORE_free(store);
    return verified;
}

static bool read_times(struct ocsp_facts *facts, const ASN1_GENERALIZEDTIME *this_update,
                       const ASN1_GENERALIZEDTIME *next_update, time_t now,
                       struct crypto_error *error)
{
    facts->this_update = this_update != NULL ? x509_time(this_update) : -1;
    facts->next_update = next_update != NULL ? x509_time(next_update) : 0;
    if (facts->this_update < 0 || facts->next_update < 0 ||
        (facts->next_update != 0 && facts->next_update <= facts->this_update)) {
        crypto_error_set(error, "the OCSP response's times make no sense");
        return false;
    }
    facts->usable_until =
        facts->next_update != 0 ? facts->next_update : facts->this_update + OCSP_UNDATED_SECONDS;
    facts->refresh_at = facts->this_update + (facts->usable_until - facts->this_update) / 2;
    if (facts->this_update > now + OCSP_CLOCK_SKEW_SECONDS) {
        crypto_error_set(error, "the OCSP response is from the future");
        return false;
    }
    if (facts->usable_until <= now) {
        crypto_error_set(error, "the OCSP response ran out");
        return false;
    }
    return true;
}

/* NULL: not one that a name may be hashed with. */
static const EVP_MD *digest_of_id(const OCSP_CERTID *id)
{
    ASN1_OBJECT *hash = NULL;
    (void)OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)(uintptr_t)id);
    switch (hash == NULL ? NID_undef : OBJ_obj2nid(hash)) {
    case NID_sha1:
        return EVP_sha1();
    case NID_sha256:
        return EVP_sha256();
    default:
        return NULL;
    }
}

/* Responders may hash with something else than we asked with: the id is compared in the
 * response's own terms. */
static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const struct certificate *certificate,
                                    X509 *issuer)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        const EVP_MD *digest = digest_of_id(OCSP_SINGLERESP_get0_id(single));
        OCSP_CERTID *id =
            digest != NULL ? OCSP_cert_to_id(digest, certificate_leaf(certificate), issuer) : NULL;
        bool is_it = id != NULL && OCSP_id_cmp(id, OCSP_SINGLERESP_get0_id(single)) == 0;
        OCSP_CERTID_free(id);
        if (is_it) {
            return single;
        }
    }
    return NULL;
}

static bool judge(OCSP_BASICRESP *basic, const struct certificate *certificate, X509 *issuer,
                  time_t now, struct ocsp_facts *facts, struct crypto_error *error)
{
    OCSP_SINGLERESP *single = find_single(basic, certificate, issuer);
    if (single == NULL) {
        crypto_error_set(error, "the OCSP response is about another certificate");
        return false;
    }
    ASN1_GENERALIZEDTIME *this_update = NULL;
    ASN1_GENERALIZEDTIME *next_update = NULL;
    int status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
    facts->status = status == V_OCSP_CERTSTATUS_GOOD      ? OCSP_GOOD
                    : status == V_OCSP_CERTSTATUS_REVOKED ? OCSP_REVOKED
                                                          : OCSP_UNKNOWN;
    return read_times(facts, this_update, next_update, now, error);
}

bool ocsp_response_verify(const struct certificate *certificate, struct bytes response, time_t now,
                          struct ocsp_facts *facts, struct crypto_error *error)
{
    *facts = (struct ocsp_facts){.status = OCSP_UNKNOWN};
    X509 *issuer = issuer_of(certificate, error);
    OCSP_BASICRESP *basic = issuer != NULL ? parse(response, error) : NULL;
    if (basic == NULL) {
        return false;
    }
    bool is_good =
        is_signed(basic, issuer, error) && judge(basic, certificate, issuer, now, facts, error);
    OCSP_BASICRESP_free(basic);
    ERR_clear_error();
    return is_good;
}
