/* crypto/x509_text.h
 *
 * Small readings of X.509 structures as text and numbers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { X509_SHA256_BYTES = 32, X509_SHA256_TEXT = 65 };

/* RFC 4514 text, non-ASCII and control characters escaped; cut to `size` - 1. */
void x509_name_text(const X509_NAME *name, char *out, size_t size);

/* Seconds since 1970; -1: not a time. */
time_t x509_time(const ASN1_TIME *time);

/* SHA-256 of the DER, and as lower-case hexadecimal; zeros, or empty, on failure. */
void x509_sha256(const X509 *certificate, uint8_t out[X509_SHA256_BYTES]);
void x509_sha256_text(const X509 *certificate, char out[X509_SHA256_TEXT]);

/* SHA-256 of SubjectPublicKeyInfo: what a pin names (RFC 7469 §2.4). */
bool x509_key_sha256(const X509 *certificate, uint8_t out[X509_SHA256_BYTES]);
