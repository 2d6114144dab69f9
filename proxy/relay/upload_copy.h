/* proxy/relay/upload_copy.h
 *
 * A copy of what was sent of a request's body, until its response begins: a request that a server
 * refuses unprocessed goes to another conn (RFC 9113 §8.7), and its body with it.
 *
 * Why it is bounded twice: nobody may make a worker hold 64 KiB for each of thousands of streams.
 * Who gets no copy is answered with 502 where a server refuses in the middle of the body.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

struct relay_exchange;
struct requester;

/* How many exchanges of a generation have one at the same time: 16 MiB a worker. */
enum { UPLOAD_COPY_BYTES = 64 * 1024, UPLOAD_COPIES_MAX = 256 };

/* Before the request is handed to `requester`. */
void upload_copy_begin(struct relay_exchange *relayed, const struct requester *requester);

/* No other attempt will be made. Harmless when there is none. */
void upload_copy_end(struct relay_exchange *relayed);
