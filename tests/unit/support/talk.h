/* tests/unit/support/talk.h
 *
 * A conn of HTTP/2 under test: the loop that it runs on, a fake driver, and the peer, which says
 * what a script says and writes down what it hears.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/stream.h"
#include "support/fake_driver.h"
#include "support/peer.h"
#include "support/wire.h"

struct talk {
    struct turns turns;
    struct fake fake;
    struct peer peer;
    struct wire wire;
    struct wire_bytes said;
};

static inline void talk_init(struct talk *talk)
{
    turns_init(&talk->turns);
    fake_init(&talk->fake, talk->turns.loop);
}

static inline void talk_fini(struct talk *talk)
{
    turns_fini(&talk->turns);
}

/* Connects a new peer; returns our end. `send_bytes`: room of its socket, 0 for as it is. */
static inline struct stream *talk_connect(struct talk *talk, int send_bytes)
{
    struct stream *stream = NULL;
    int descriptor = peer_pair(&talk->peer);
    wire_init(&talk->wire, &talk->peer);
    if (send_bytes > 0) {
        (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    }
    assert_int_equal(stream_adopt(&stream, talk->turns.loop, descriptor, NULL, NULL), STATUS_OK);
    return stream;
}

/* The codec has been told to close. */
static inline void talk_end(struct talk *talk)
{
    peer_fini(&talk->peer);
    wire_fini(&talk->wire);
    turns_settle(&talk->turns, NULL, NULL);
    assert_null(talk->fake.last);
}

static inline void talk_settle(struct talk *talk)
{
    turns_settle(&talk->turns, wire_listens, &talk->wire);
}

/* A part of what was written last. The conn may have been closed already. */
static inline void talk_push(struct talk *talk, size_t from, size_t to)
{
    (void)peer_push(&talk->peer, talk->said.at + from, to - from);
}

static inline void talk_say(struct talk *talk, const char *script)
{
    talk->said.len = 0;
    wire_write(&talk->said, script);
    talk_push(talk, 0, talk->said.len);
    talk_settle(talk);
}

static inline void talk_expect_told(struct talk *talk, const char *told)
{
    assert_string_equal(talk->fake.told, told);
    talk->fake.told[0] = '\0';
}

static inline void talk_expect_heard(struct talk *talk, const char *heard)
{
    assert_string_equal(talk->wire.heard, heard);
    talk->wire.heard[0] = '\0';
}
