/* proxy/relay/relay_tls.h
 *
 * The TLS side of a configuration: one tls_server a listener, one tls_client a backend, made from
 * the files in the bundle and from keys that the keyholder holds.
 *
 * Owner: the relay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/relay/relay.h"

struct relay_tls;
struct tls_server;
struct tls_client;

/* STATUS_REFUSED with the place of the file in `error`. */
MUST_CHECK enum status relay_tls_open(struct relay_tls **out, const struct relay_start *start,
                                      struct relay_error *error);
void relay_tls_close(struct relay_tls *tls);

/* NULL for a listener without TLS, or a backend without https servers. */
struct tls_server *relay_tls_server(const struct relay_tls *tls, size_t listener);
struct tls_client *relay_tls_client(const struct relay_tls *tls, size_t backend);

/* To every listener that serves this certificate. */
void relay_tls_staple(struct relay_tls *tls, size_t certificate, slice der);
