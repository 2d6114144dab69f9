/* proxy/relay/relay_tls.h
 *
 * The TLS side of a configuration: one tls_server a listener, one or two tls_client a server, made
 * from the files in the bundle and from keys that the keyholder holds.
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

/* NULL for a listener without TLS. */
struct tls_server *relay_tls_server(const struct relay_tls *tls, size_t listener);

/* One for each server of the backend; NULL for servers that are spoken to in plaintext. */
struct tls_client *const *relay_tls_clients(const struct relay_tls *tls, size_t backend);

/* The same for exchanges that become tunnels, which need HTTP/1.1 and therefore offer nothing else;
 * NULL for servers that are not https. */
struct tls_client *const *relay_tls_tunnel_clients(const struct relay_tls *tls, size_t backend);

/* Staples a response (DER; empty: none) to this certificate on every listener. */
void relay_tls_staple(struct relay_tls *tls, size_t certificate, slice der);
