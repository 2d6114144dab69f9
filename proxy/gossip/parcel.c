/* proxy/gossip/parcel.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/parcel.h"

#include <stdlib.h>

#include "proxy/gossip/message_type.h"

enum {
    BEFORE = GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES,
    FIRST_BYTES = 4096,
    MESSAGE_BYTES_MAX = GOSSIP_FRAME_BYTES_MAX - GOSSIP_HEAD_BYTES - GOSSIP_TAIL_BYTES_MAX,
    RECEIVED_BYTES_MAX = GOSSIP_LABEL_HEAD_BYTES + GOSSIP_LABEL_BYTES_MAX +
                         GOSSIP_FRAME_HEAD_BYTES + GOSSIP_FRAME_BYTES_MAX,
};

void parcel_init(struct parcel *parcel, struct cluster *cluster, size_t *held,
                 enum parcel_form form, bool has_label)
{
    *parcel =
        (struct parcel){.cluster = cluster, .held = held, .form = form, .has_label = has_label};
    message_walk_init(&parcel->walk, MESSAGE_BYTES_MAX);
}

void parcel_fini(struct parcel *parcel)
{
    if (parcel->room != NULL) {
        *parcel->held -= parcel->capacity;
        free(parcel->room);
    }
    parcel->room = NULL;
    parcel->capacity = 0;
}

/* ---- memory ---- */

static bool resize(struct parcel *parcel, size_t capacity)
{
    size_t more = capacity - parcel->capacity;
    if (more > PARCEL_HELD_BYTES_MAX - *parcel->held) {
        return false;
    }
    uint8_t *room = realloc(parcel->room, capacity);
    if (room == NULL) {
        return false;
    }
    *parcel->held += more;
    parcel->room = room;
    parcel->capacity = capacity;
    return true;
}

/* Room for what comes next, doubled as more really comes: a length that was only said costs
 * nothing. */
static bool make_room(struct parcel *parcel)
{
    size_t used = BEFORE + parcel->len + GOSSIP_TAIL_BYTES_MAX;
    if (parcel->capacity > used) {
        return true;
    }
    size_t capacity = parcel->capacity == 0 ? (size_t)FIRST_BYTES : 2 * parcel->capacity;
    size_t most = (size_t)BEFORE + RECEIVED_BYTES_MAX + 1 + GOSSIP_TAIL_BYTES_MAX;
    return resize(parcel, capacity > most ? most : capacity);
}

/* ---- the end of the message ---- */

static enum status refuse(struct parcel *parcel, struct peer *peer,
                          enum cluster_direction direction, enum gossip_refusal refusal)
{
    (void)cluster_refuse(parcel->cluster, peer, direction, "tcp", refusal);
    return STATUS_REFUSED;
}

static enum status complain(struct parcel *parcel, struct peer *peer,
                            enum cluster_direction direction, enum peer_counter counter,
                            const char *sentence)
{
    (void)cluster_complain(parcel->cluster, peer, direction, "tcp", counter, sentence);
    return STATUS_REFUSED;
}

/* Closed without a word, as the library does: an answer would have to be sealed with a label. */
static enum status refuse_label(struct parcel *parcel, struct peer *peer,
                                enum cluster_direction direction, enum gossip_refusal refusal)
{
    (void)refuse(parcel, peer, direction, refusal);
    return STATUS_BROKEN;
}

static enum status find_label(struct parcel *parcel, struct peer *peer,
                              enum cluster_direction direction)
{
    const uint8_t *at = parcel->room + BEFORE;
    bool is_labelled = parcel->len > 0 && at[0] == GOSSIP_LABEL_TYPE;
    if (!parcel->has_label || parcel->header_len > 0 || parcel->len == 0) {
        return STATUS_OK;
    }
    if (is_labelled && parcel->len < GOSSIP_LABEL_HEAD_BYTES) {
        return STATUS_AGAIN;
    }
    size_t header_len = is_labelled ? GOSSIP_LABEL_HEAD_BYTES + (size_t)at[1] : 0;
    if (is_labelled && at[1] == 0) {
        return refuse_label(parcel, peer, direction, GOSSIP_LABEL);
    }
    if (parcel->len < header_len) {
        return STATUS_AGAIN;
    }
    struct bytes label = {at + GOSSIP_LABEL_HEAD_BYTES,
                          is_labelled ? header_len - GOSSIP_LABEL_HEAD_BYTES : 0};
    if (!cluster_knows_label(parcel->cluster, label)) {
        return refuse_label(parcel, peer, direction, GOSSIP_OTHER_LABEL);
    }
    if (parcel->len == header_len) {
        return STATUS_AGAIN; /* what follows decides too */
    }
    if (is_labelled && at[header_len] == GOSSIP_LABEL_TYPE) {
        return refuse_label(parcel, peer, direction, GOSSIP_LABEL);
    }
    parcel->header_len = header_len;
    return STATUS_OK;
}

static enum status find_frame_end(struct parcel *parcel, struct peer *peer,
                                  enum cluster_direction direction)
{
    size_t received = parcel->len - parcel->header_len;
    if (received < GOSSIP_FRAME_HEAD_BYTES) {
        return STATUS_AGAIN;
    }
    size_t len = 0;
    enum gossip_refusal refusal =
        gossip_frame_length(parcel->room + BEFORE + parcel->header_len, &len);
    if (refusal != GOSSIP_FINE) {
        return refuse(parcel, peer, direction, refusal);
    }
    if (received < len) {
        return STATUS_AGAIN;
    }
    parcel->message_len = len;
    return STATUS_OK;
}

static enum status find_message_end(struct parcel *parcel, struct peer *peer,
                                    enum cluster_direction direction)
{
    slice message = {(const char *)parcel->room + BEFORE + parcel->header_len,
                     parcel->len - parcel->header_len};
    enum status status = message_walk(&parcel->walk, message, &parcel->message_len);
    if (status == STATUS_END) {
        return STATUS_OK;
    }
    if (status == STATUS_AGAIN) {
        return STATUS_AGAIN;
    }
    return complain(parcel, peer, direction, PEER_MALFORMED,
                    parcel->walk.fault == MESSAGE_FOREIGN
                        ? "it speaks dskit's transport (Loki, Mimir, Tempo), not memberlist's"
                    : parcel->walk.fault == MESSAGE_TOO_LONG
                        ? "the message is longer than the 20 MiB that the protocol allows"
                        : "it is no gossip message");
}

static bool may_be_plaintext(uint8_t type)
{
    return type == MESSAGE_PING || type == MESSAGE_PUSH_PULL || type == MESSAGE_USER ||
           type == MESSAGE_COMPRESS || type == MESSAGE_ACK || type == MESSAGE_ERROR;
}

static enum status find_end(struct parcel *parcel, struct peer *peer,
                            enum cluster_direction direction)
{
    enum status status = find_label(parcel, peer, direction);
    if (status != STATUS_OK) {
        return status;
    }
    if (parcel->len == parcel->header_len) {
        return STATUS_AGAIN;
    }
    uint8_t type = parcel->room[BEFORE + parcel->header_len];
    parcel->is_frame = parcel->form != PARCEL_PLAIN && type == GOSSIP_FRAME_TYPE;
    if (parcel->form == PARCEL_FRAME && !parcel->is_frame) {
        return refuse(parcel, peer, direction,
                      may_be_plaintext(type) ? GOSSIP_PLAINTEXT : GOSSIP_FRAME);
    }
    status = parcel->is_frame ? find_frame_end(parcel, peer, direction)
                              : find_message_end(parcel, peer, direction);
    if (status == STATUS_OK && parcel->header_len + parcel->message_len != parcel->len) {
        return complain(parcel, peer, direction, PEER_MALFORMED,
                        "more bytes follow the one message that a connection carries");
    }
    return status;
}

/* ---- reading ---- */

static enum status end_early(struct parcel *parcel, struct peer *peer,
                             enum cluster_direction direction)
{
    if (parcel->len == 0) {
        return STATUS_END;
    }
    (void)refuse(parcel, peer, direction, GOSSIP_SHORT);
    return STATUS_BROKEN;
}

enum status parcel_read(struct parcel *parcel, struct stream *stream, struct peer *peer,
                        enum cluster_direction direction)
{
    for (;;) {
        if (!make_room(parcel)) {
            return complain(parcel, peer, direction, PEER_NO_ROOM,
                            "too much memory is held for messages of streams");
        }
        size_t used = BEFORE + parcel->len;
        size_t moved = 0;
        enum status status = stream_read(stream, (char *)parcel->room + used,
                                         parcel->capacity - GOSSIP_TAIL_BYTES_MAX - used, &moved);
        if (status == STATUS_END) {
            return end_early(parcel, peer, direction);
        }
        if (status != STATUS_OK) {
            return status;
        }
        parcel->len += moved;
        status = find_end(parcel, peer, direction);
        if (status != STATUS_AGAIN) {
            return status;
        }
    }
}

struct bytes parcel_label(const struct parcel *parcel)
{
    if (parcel->header_len == 0) {
        return (struct bytes){0};
    }
    return (struct bytes){parcel->room + BEFORE + GOSSIP_LABEL_HEAD_BYTES,
                          parcel->header_len - GOSSIP_LABEL_HEAD_BYTES};
}

/* ---- sealing and opening ---- */

static void send_as_received(struct parcel *parcel)
{
    parcel->out = parcel->room + BEFORE;
    parcel->out_len = parcel->header_len + parcel->message_len;
}

enum status parcel_seal(struct parcel *parcel, struct peer *peer, struct bytes label)
{
    struct cluster *cluster = parcel->cluster;
    const struct bytes message = {parcel->room + BEFORE + parcel->header_len, parcel->message_len};
    if (cluster->settings->sends_plaintext) {
        send_as_received(parcel);
        return cluster_pass_message(cluster, peer, CLUSTER_OUT, "tcp", message) ? STATUS_OK
                                                                                : STATUS_REFUSED;
    }
    size_t frame_len = 0;
    if (!cluster_seal_message(cluster, peer, label, parcel->room + parcel->header_len, message.len,
                              &frame_len)) {
        return STATUS_REFUSED;
    }
    if (parcel->header_len > 0) {
        (void)gossip_label_put(parcel->room, label);
    }
    parcel->out = parcel->room;
    parcel->out_len = parcel->header_len + frame_len;
    return STATUS_OK;
}

enum status parcel_open(struct parcel *parcel, struct peer *peer, struct bytes label)
{
    uint8_t *received = parcel->room + BEFORE + parcel->header_len;
    struct bytes message = {received, parcel->message_len};
    if (!parcel->is_frame) {
        send_as_received(parcel);
        return cluster_pass_message(parcel->cluster, peer, CLUSTER_IN, "tcp", message)
                   ? STATUS_OK
                   : STATUS_REFUSED;
    }
    if (!cluster_open_frame(parcel->cluster, peer, label, received, parcel->message_len,
                            &message)) {
        return STATUS_REFUSED;
    }
    parcel->out = received + (message.at - received) - parcel->header_len;
    parcel->out_len = parcel->header_len + message.len;
    if (parcel->header_len > 0) {
        (void)gossip_label_put(parcel->out, label);
    }
    return STATUS_OK;
}

enum status parcel_set_error(struct parcel *parcel, slice text)
{
    enum { MAP_OF_ONE = 0x81, SHORT_TEXT = 0xa0, TEXT_BYTES_MAX = 31 };
    static const slice KEY = {"Error", 5};
    text.len = text.len > TEXT_BYTES_MAX ? TEXT_BYTES_MAX : text.len;
    if (parcel->capacity < FIRST_BYTES && !resize(parcel, FIRST_BYTES)) {
        return STATUS_NOMEM;
    }
    uint8_t *at = parcel->room + BEFORE;
    *at++ = MESSAGE_ERROR;
    *at++ = MAP_OF_ONE;
    *at++ = (uint8_t)(SHORT_TEXT + KEY.len);
    memcpy(at, KEY.at, KEY.len);
    at += KEY.len;
    *at++ = (uint8_t)(SHORT_TEXT + text.len);
    memcpy(at, text.at, text.len);
    parcel->header_len = 0;
    parcel->message_len = (size_t)(at + text.len - (parcel->room + BEFORE));
    return STATUS_OK;
}

/* ---- sending ---- */

enum status parcel_send(struct parcel *parcel, struct stream *stream)
{
    size_t taken = 0;
    slice rest = {(const char *)parcel->out + parcel->sent, parcel->out_len - parcel->sent};
    enum status status = stream_write(stream, rest, &taken);
    parcel->sent += taken;
    return status;
}
