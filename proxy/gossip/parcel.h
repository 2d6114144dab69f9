/* proxy/gossip/parcel.h
 *
 * One message of a stream on its way through us: gathered to its end, sealed or opened in place,
 * and sent on. AES-GCM needs the whole of it, so this is where memory is held; it grows with what
 * has really come, and all parcels together share one limit.
 *
 *     as received    BEFORE | [label header] message or frame | room for padding and tag
 *     sealed         [label header] frame ...                   begins up to BEFORE bytes earlier
 *     opened         ........ [label header] message            begins later
 *
 * Owner: a conversation, which embeds two.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/gossip/cluster.h"
#include "proxy/gossip/message_walk.h"
#include "proxy/net/stream.h"

enum { PARCEL_HELD_BYTES_MAX = 128 * 1024 * 1024 };

enum parcel_form {
    PARCEL_PLAIN,  /* from our node */
    PARCEL_FRAME,  /* from a peer: encrypted, or refused */
    PARCEL_EITHER, /* from a peer, while plaintext is taken too */
};

/* Fields private to parcel.c, but for reading. */
struct parcel {
    struct cluster *cluster;
    size_t *held; /* by all parcels of the sidecar */
    enum parcel_form form;
    bool has_label; /* a label header may come first */
    bool is_frame;  /* it is encrypted, as received */
    uint8_t *room;
    size_t capacity;
    size_t len;         /* bytes received */
    size_t header_len;  /* of the label */
    size_t message_len; /* 0: its end is not known yet */
    struct message_walk walk;
    uint8_t *out;
    size_t out_len;
    size_t sent;
};

void parcel_init(struct parcel *parcel, struct cluster *cluster, size_t *held,
                 enum parcel_form form, bool has_label);
void parcel_fini(struct parcel *parcel);

/* Reads what is there. OK: it is complete. AGAIN: on_readable follows. END: the stream ended before
 * its first byte. REFUSED: counted and told, under `peer`. BROKEN: the stream failed, or ended in
 * the middle. */
MUST_CHECK enum status parcel_read(struct parcel *parcel, struct stream *stream, struct peer *peer,
                                   enum cluster_direction direction);

/* The label that came first, without its header's two bytes; empty: there was none. Borrowed until
 * it is sealed or opened. */
struct bytes parcel_label(const struct parcel *parcel);

/* Makes what was received into what is sent on. `label` must not be the parcel's own bytes.
 * REFUSED: counted and told. */
MUST_CHECK enum status parcel_seal(struct parcel *parcel, struct peer *peer, struct bytes label);
MUST_CHECK enum status parcel_open(struct parcel *parcel, struct peer *peer, struct bytes label);

/* Puts a message of our own in place of what was received: an error, as the library answers what it
 * cannot read. `text` has at most 31 bytes. */
MUST_CHECK enum status parcel_set_error(struct parcel *parcel, slice text);

/* Sends. OK: all was taken. AGAIN: on_writable follows. */
MUST_CHECK enum status parcel_send(struct parcel *parcel, struct stream *stream);
