/* tests/bench/gossip_forwarder.c
 *
 * The sidecar's way of a packet without what it is for: the same sockets, rules, batches and system
 * calls, but nothing is sealed, judged or counted. What the sidecar costs beside it is the price of
 * encryption.
 *
 *   bench_gossip_forwarder OWN_PORT      says "ready", and forwards until it is killed
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/gossip/datagram_batch.h"
#include "proxy/gossip/intercept_rules.h"
#include "proxy/gossip/raw_sender.h"
#include "proxy/gossip/sockets.h"
#include "proxy/net/loop.h"

enum { BATCHES_PER_TURN = 8, SOCKETS_MAX = 8 };

struct forwarder {
    struct loop *loop;
    struct gossip_sockets sockets;
    struct datagram_batch *batch;
    struct raw_sender *raw;
    struct port {
        struct forwarder *forwarder;
        int descriptor;
        struct watch watch;
    } ports[SOCKETS_MAX];
};

static void on_unsent(void *self, void *owner)
{
    (void)self;
    (void)owner;
}

static void on_ready(void *self, unsigned events)
{
    (void)events;
    const struct port *port = self;
    struct forwarder *forwarder = port->forwarder;
    for (int i = 0; i < BATCHES_PER_TURN; i++) {
        size_t count = datagram_batch_receive(forwarder->batch, port->descriptor);
        for (size_t k = 0; k < count; k++) {
            const struct datagram *datagram = datagram_batch_at(forwarder->batch, k);
            raw_sender_send(forwarder->raw, &(struct raw_packet){
                                                .source = datagram->source,
                                                .destination = datagram->destination,
                                                .payload = {(const char *)datagram->packet.at,
                                                            datagram->packet.len},
                                            });
        }
        raw_sender_flush(forwarder->raw);
        if (count < DATAGRAM_BATCH) {
            return;
        }
    }
}

static bool begin(struct forwarder *forwarder, uint16_t own_port)
{
    const struct config_gossip settings = {.mode = CONFIG_GOSSIP_TRANSPARENT, .own_port = own_port};
    struct endpoint what;
    forwarder->loop = loop_new();
    forwarder->batch = datagram_batch_new();
    if (forwarder->loop == NULL || forwarder->batch == NULL ||
        gossip_sockets_open(&forwarder->sockets, &settings, &what) != STATUS_OK ||
        raw_sender_open(&forwarder->raw, INTERCEPT_OWN_MARK, on_unsent, forwarder) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < forwarder->sockets.count && i < SOCKETS_MAX; i++) {
        struct port *port = &forwarder->ports[i];
        *port = (struct port){.forwarder = forwarder,
                              .descriptor = forwarder->sockets.at[i].descriptor};
        if (forwarder->sockets.at[i].transport == GOSSIP_UDP &&
            watch_open_level(&port->watch, forwarder->loop, port->descriptor, WATCH_READ, on_ready,
                             port) != STATUS_OK) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct forwarder forwarder;
    unsigned long own_port = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (own_port == 0 || own_port > UINT16_MAX) {
        (void)fprintf(stderr, "usage: bench_gossip_forwarder OWN_PORT\n");
        return 2;
    }
    if (!begin(&forwarder, (uint16_t)own_port)) {
        (void)fprintf(stderr, "bench_gossip_forwarder: cannot begin: %s\n", strerror(errno));
        return 1;
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    loop_run(forwarder.loop);
    return 0;
}
