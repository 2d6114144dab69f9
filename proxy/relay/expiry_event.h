/* proxy/relay/expiry_event.h
 *
 * What the log says of a certificate whose end is near: the master of ours and of authorities,
 * workers of what servers have shown them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/expiry.h"
#include "proxy/base/log.h"

struct relay_shared;
struct server;

/* One event, certificate_expires or certificate_expired: an error when it is urgent, else a
 * warning. */
void expiry_tell(struct log *log, const struct expiry_date *date, const struct expiry_view *view);

/* A server has shown a certificate: told of and counted if its end is near. */
void expiry_note_server(const struct relay_shared *shared, const struct server *server,
                        int64_t not_after, int64_t now);
