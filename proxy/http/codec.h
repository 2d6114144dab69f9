/* proxy/http/codec.h
 *
 * What a codec is to those who own its conns, free of any HTTP version: it takes over an open
 * stream, makes exchanges of it (or carries them out), and says when it is over. Which codec
 * speaks which protocol is decided in two places only: proxy/relay/server_codecs.c and
 * proxy/upstream/client_codecs.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/http/exchange.h"
#include "proxy/net/stream.h"

/* What conns are held to: plain values, filled from the configuration by their owner. */
struct server_settings {
    struct message_limits limits;
    uint64_t body_bytes;        /* 0: no limit */
    uint64_t requests_per_conn; /* 0: no limit */
    uint64_t header_ms;         /* from a request's first byte to the end of its head */
    uint64_t idle_ms;           /* between requests */
    uint64_t minimum_rate;      /* bytes per second of a body, either way; 0: off */
    uint64_t rate_grace_ms;     /* the time over which it is measured */
    uint32_t streams; /* exchanges of one conn at the same time, where it can have several */
    uint64_t
        connection_buffer_bytes; /* of bodies held for all exchanges of such a conn, each way */
    bool takes_tunnels;          /* requests may become tunnels: the listener has routes */
};

struct client_settings {
    struct message_limits limits; /* of responses */
    uint64_t response_ms;         /* to the response head, and between two reads of a body */
    uint64_t ping_ms; /* silence of a conn that is waited for until it is asked, and again */
};

/* ---- a client's conn ---- */

/* Embedded in the codec's own struct, which frees itself after on_closed. */
struct server_codec {
    const struct server_codec_calls *calls;
};

struct server_codec_calls {
    /* The exchanges that run are the last ones; an idle conn closes now. */
    void (*drain)(struct server_codec *codec);
    /* The same, but an idle conn waits for its client, who may be writing: the next exchange is the
     * last one, and the response says so. */
    void (*wind_down)(struct server_codec *codec);
    /* Closes now; exchanges that run end with `fault`. */
    void (*close)(struct server_codec *codec, enum fault_code fault);
    /* The conn is held to other settings from its next exchange on; what was agreed with the client
     * when it opened stays. */
    void (*retune)(struct server_codec *codec, const struct server_settings *settings);
};

struct server_codec_start {
    struct loop *loop;
    const struct server_settings *settings; /* must outlive the conn, or its retuning */
    struct exchange_source source;
    slice scheme; /* a literal: what the client used with us */
    /* The conn is over; called once, from the loop or from inside an abandon. `fault` is for a conn
     * that ended outside any exchange; those inside are the exchange's. */
    void (*on_closed)(void *self, enum fault_code fault);
    void *self;
};

/* Takes over an open stream. NULL: no memory, the stream is closed. */
typedef struct server_codec *server_codec_open(struct stream *stream,
                                               const struct server_codec_start *start);

/* ---- our conn to a server ---- */

struct client_codec {
    const struct client_codec_calls *calls;
};

struct client_codec_calls {
    /* Can the conn take one exchange more than it has? */
    bool (*has_room)(struct client_codec *codec);
    /* For a conn with room: what the exchange calls, at once. NULL: no memory. */
    struct requester *(*requester)(struct client_codec *codec);
    /* Closes now. Exchanges that run are told (on_request_failed, or their body is cut). */
    void (*close)(struct client_codec *codec);
    bool is_multiplexed; /* exchanges share the conn, which therefore cannot become a tunnel */
};

struct client_codec_start {
    struct loop *loop;
    const struct client_settings *settings; /* must outlive the conn */
    /* An exchange has ended and the conn can take the next one. `is_idle`: no other runs. */
    void (*on_room)(void *self, bool is_idle);
    /* The conn is over, idle or not. Last call; the codec frees itself. */
    void (*on_closed)(void *self);
    void *self;
};

/* As server_codec_open; the conn is idle. */
typedef struct client_codec *client_codec_open(struct stream *stream,
                                               const struct client_codec_start *start);
