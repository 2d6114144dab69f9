/* crypto/remote_signature.h
 *
 * Signatures of the keyholder provider: hashes here, has the hash signed by the keyholder. The
 * tables are OpenSSL's "signature" operations, one-shot digest_sign only: all that libssl uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/core.h>

struct key_client;

/* What all keys of the provider share: the way to the keyholder and the hashes. It is OpenSSL's
 * provider context, made in its init and freed in its teardown. */
struct remote_signer;

struct remote_signer *remote_signer_new(void);
void remote_signer_free(struct remote_signer *signer);
/* Borrows `client`; NULL: signatures fail. */
void remote_signer_attach(struct remote_signer *signer, struct key_client *client);

extern const OSSL_DISPATCH REMOTE_SIGNATURE_RSA[];
extern const OSSL_DISPATCH REMOTE_SIGNATURE_ECDSA[];
