/* proxy/http/exchange.h
 *
 * One request and its response, free of any HTTP version, and the seams at which the codecs meet
 * whoever drives it:
 *
 *      client ⇄ responder (server side of a codec) ⇄ exchange ⇄ requester (client side) ⇄ server
 *
 * The driver (proxy/relay/) decides; codecs only read and write. Any client version therefore
 * reaches any backend version without a line that names one.
 *
 * Calls go down (driver → codec) at any time; codecs call up (codec → driver) from the loop. What
 * a codec is told while it is itself calling up takes effect before that call returns, so after
 * calling up it looks at its state anew. The driver frees an exchange in the loop's reaper only,
 * so a codec may touch it until its own turn ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/http/body.h"
#include "proxy/http/message.h"

struct exchange;
struct stream;

/* The codec's end of one exchange on the client side; embedded in the codec's own struct. */
struct responder {
    const struct responder_calls *calls;
};

struct responder_calls {
    /* Sends an interim response (1xx but 101). Dropped where the client cannot take it. */
    void (*interim)(struct responder *responder, const struct message *interim);
    /* Is the tunnel in exchange->response the one that was asked for? NULL: the client judges. */
    bool (*takes_tunnel)(const struct responder *responder);
    /* Sends the head of exchange->response and, as it comes, exchange->response_body. Once. */
    void (*respond)(struct responder *responder);
    /* Ends the exchange without a (complete) response in a way that the client can tell. The
     * driver's exchange is no longer referred to when this returns. */
    void (*abandon)(struct responder *responder);
    /* After the head of a tunnel was sent: gives up the conn's stream, with the bytes that were
     * read too far, and lets go of the exchange; the codec is gone then, without on_closed. NULL
     * (or no such call): the tunnel's bytes need this codec's framing and go on as bodies. */
    struct stream *(*detach)(struct responder *responder, struct buffer *rest);
    /* The codec's own name in the access log, such as "HTTP/1.1". */
    slice (*protocol)(const struct responder *responder);
    /* Both directions flow at once, and trailers always arrive: what gRPC needs. */
    bool is_duplex;
};

/* The same on the backend's side. */
struct requester {
    const struct requester_calls *calls;
};

struct requester_calls {
    /* Sends exchange->request and, as it comes, exchange->request_body; reads the response. */
    void (*request)(struct requester *requester, struct exchange *exchange);
    /* The exchange is over for this side: the codec lets go of it at once and closes what cannot
     * be used again. */
    void (*abandon)(struct requester *requester);
    /* As the responder's; on_closed is called. */
    struct stream *(*detach)(struct requester *requester, struct buffer *rest);
    bool is_duplex; /* as the responder's */
    /* The server can say that it has not processed a request whose body was sent already. */
    bool may_be_refused;
};

/* What became of a request that got no response. */
enum request_fate {
    FATE_UNKNOWN,         /* the server may have acted on it */
    FATE_PROBABLY_UNSEEN, /* an idle conn was closed just then: repeat it if that does no harm */
    FATE_UNSEEN,          /* the server has said so: any request may be sent elsewhere */
};

/* What codecs tell. */
struct exchange_driver {
    /* The request's head is in exchange->request; its body follows. */
    void (*on_request)(struct exchange *exchange);
    /* The request's head, or later its body, breaks a rule or a limit. Answer with respond, or
     * abandon; no more of the request comes. */
    void (*on_bad_request)(struct exchange *exchange, enum fault_code fault);
    /* The last byte of the response (or the end of the tunnel) was handed to the conn, or the
     * client is gone. The responder has let go: exchange->responder is NULL. Last call from it. */
    void (*on_responded)(struct exchange *exchange, enum fault_code fault);

    /* From the requester. `interim` is valid for the call. */
    void (*on_interim)(struct exchange *exchange, const struct message *interim);
    /* exchange->response is there; its body follows. */
    void (*on_response)(struct exchange *exchange);
    /* No response will come; what was sent of the body is not there any more (but see body_keep).
     * The requester has let go. */
    void (*on_request_failed)(struct exchange *exchange, enum fault_code fault,
                              enum request_fate fate);
    /* The response is complete (or cut: see its body) and the requester has let go. */
    void (*on_requester_done)(struct exchange *exchange);
};

/* Embedded in the driver's own struct. The messages are in the arena. */
struct exchange {
    const struct exchange_driver *driver;
    struct responder *responder; /* NULL: has let go */
    struct requester *requester; /* NULL: none yet, or has let go */
    struct arena arena;
    struct message *request;
    struct message *response;
    struct body request_body;
    struct body response_body;
    uint64_t began_us; /* when the first byte of the request was seen */
};

/* How a server codec gets an exchange for a request that begins. */
struct exchange_source {
    /* With arena, request and bodies ready. NULL: no memory; the codec closes the conn. */
    struct exchange *(*open)(void *self, struct responder *responder);
    void *self;
};
