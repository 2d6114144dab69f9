/* proxy/relay/relay_tunnel.h
 *
 * An exchange that has become a tunnel: the two streams joined (proxy/tunnel/tunnel.h), the place
 * at the server that it holds, and what its line in the access log will say at its end. Exchange,
 * codecs and client conn are gone by then, so that an idle WebSocket costs little more than its
 * TLS state.
 *
 * Owner: its entry's list; it frees itself at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/fault.h"
#include "proxy/base/list.h"

struct relay_exchange;
struct relay_tunnel;

/* Takes over an exchange whose 101 has been sent: both codecs give up their streams, the client
 * conn is dissolved, the exchange ends without a line. False: a codec frames the tunnel's bytes
 * itself, or memory is out; then nothing has changed and the bodies go on. */
bool relay_tunnel_begin(struct relay_exchange *relayed);

/* Goes over to the successor of its entry, if its request would lead to its server there too. */
void relay_tunnel_follow(struct list_link *link);

/* Ends the tunnel that is linked into a list by this link; at the drain deadline with a close frame
 * where that is possible. */
void relay_tunnel_close(struct list_link *link, enum fault_code fault);
