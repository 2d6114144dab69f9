/* crypto/agreement_provider.h
 *
 * The built-in OpenSSL provider "sallyport-agreements": X25519 by agreements.h, for whoever asks
 * for it with AGREEMENT_PROPERTIES, as the server side of TLS does (tls_server.c). Everybody else
 * gets OpenSSL's own, and where this provider is not loaded the server side does too. The hybrid
 * X25519MLKEM768 is OpenSSL's own in any case.
 *
 * Why it exists: libssl does its key exchange by what a property query finds.
 *
 * Owner: the worker, one in a process. Free it after every SSL_CTX of servers, and before the
 * agreements.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

struct agreement_provider;
struct agreements;
struct crypto_error;

/* For SSL_CTX_new_ex: prefers us where we are. */
extern const char AGREEMENT_PROPERTIES[];

/* After key_provider_load, which keeps OpenSSL's own provider in its place. Borrows `agreements`.
 * NULL with a sentence in `error`; then everything is as it would be without. */
struct agreement_provider *agreement_provider_load(struct agreements *agreements,
                                                   struct crypto_error *error);
/* NULL is fine. */
void agreement_provider_free(struct agreement_provider *provider);
