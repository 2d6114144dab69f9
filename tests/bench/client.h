/* tests/bench/client.h
 *
 * One non-blocking TLS connection of the load program: connects, shakes hands, checks what was
 * negotiated, then tells its scenario whenever something may be read or written.
 *
 * Why it exists: scenarios read as what they ask and expect; sockets and OpenSSL stay here.
 *
 * Owner: the scenario's slot, which embeds it and outlives the loop. A client may be closed, and
 * opened again, inside its own callbacks.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct load;
struct client;

struct client_events {
    void (*on_open)(struct client *client);  /* the handshake is done and as asked for */
    void (*on_ready)(struct client *client); /* something may be read or written */
    void (*on_lost)(struct client *client);  /* connecting or shaking hands failed; it is closed
                                                and the fault is counted */
};

struct client {
    struct load *load;
    const struct client_events *events;
    void *slot; /* the scenario's */
    SSL *ssl;
    int fd;
    bool is_open;
    bool wants_write;    /* what epoll was told */
    bool has_ended;      /* the other end closed, not cut off by a reset or an alert */
    int64_t since_ns;    /* when the connection was begun */
    int64_t progress_ns; /* when it last got anywhere while something was outstanding; 0: idle */
};

/* Prepares the client and enters it into the load's list. False: out of memory. */
bool client_init(struct client *client, struct load *load, const struct client_events *events,
                 void *slot);

/* Connects; `resume` is borrowed for the call and may be NULL. Failure comes by on_lost, possibly
 * before this returns. */
void client_open(struct client *client, SSL_SESSION *resume);

/* Bytes read, 0 when there are none now, -1 when the connection is over (has_ended says how). */
ssize_t client_read(struct client *client, void *bytes, size_t room);

/* Bytes written, 0 when the socket is full, -1 when the connection is over. */
ssize_t client_write(struct client *client, const void *bytes, size_t len);

/* From here on written records wait for client_flush. False: out of memory. */
bool client_gather(struct client *client);

/* Sends what was gathered, in one system call. False: the socket did not take all of it. */
bool client_flush(struct client *client);

/* Asks for on_ready when the socket can be written, or no longer. */
void client_want_write(struct client *client, bool wants);

/* Says close_notify and ends the sending direction; what still comes can be read. */
void client_finish(struct client *client);

/* Closes at once; harmless when closed. */
void client_close(struct client *client);

/* For the loop. */
void client_on_event(struct client *client, uint32_t events);
