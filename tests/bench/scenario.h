/* tests/bench/scenario.h
 *
 * What the load program can do. Each scenario makes its clients and starts them; from then on it
 * lives in their callbacks, counting units in the load's report.
 *
 * Owner: each start function allocates its slots once, for the life of the program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

struct load;

/* False: out of memory. `load->ready` rises to the number of clients when all is warm. */
bool handshake_start(struct load *load);         /* unit: full handshakes */
bool handshake_start_resumed(struct load *load); /* unit: resumed handshakes */
bool request_start(struct load *load);           /* unit: requests */
bool bulk_start_download(struct load *load);     /* unit: bytes */
bool bulk_start_upload(struct load *load);       /* unit: bytes */
bool websocket_start(struct load *load);         /* unit: messages */
bool idle_start_requests(struct load *load);     /* unit: connections held */
bool idle_start_websockets(struct load *load);   /* unit: connections held */
bool idle_start_http2(struct load *load);        /* unit: connections held */
