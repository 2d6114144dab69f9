/* proxy/gossip/conversations.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/conversations.h"

#include <stdlib.h>
#include <unistd.h>

#include "proxy/gossip/conversation.h"
#include "proxy/net/listener.h"

/* One listening socket. */
struct gate {
    struct conversations *conversations;
    const struct gossip_socket *socket;
    struct listener listener;
};

struct conversations {
    struct cluster *cluster;
    struct list open; /* oldest first */
    size_t count;
    size_t held; /* bytes of all parcels */
    struct gate *gates;
    size_t gate_count;
};

static void on_over(void *self, struct list_link *link)
{
    struct conversations *conversations = self;
    list_remove(link);
    conversations->count--;
}

/* Whoever has proven nothing for the longest time gives way: strangers that only hold conns open
 * cannot keep out those who have a key, nor our own node. */
static bool make_place(struct conversations *conversations)
{
    if (conversations->count < CONVERSATIONS_MAX) {
        return true;
    }
    for (struct list_link *link = list_first(&conversations->open); link != NULL;
         link = list_next(&conversations->open, link)) {
        struct conversation *conversation = LIST_OBJECT(link, struct conversation, link);
        if (!conversation->is_proven) {
            conversation_abort(conversation);
            return true;
        }
    }
    return false;
}

/* ---- where it was going ---- */

static bool find_transparent(const struct gate *gate, struct conversation_start *start)
{
    if (!gossip_original_destination(start->descriptor, &start->destination, &start->direction) ||
        !cluster_has_port(gate->conversations->cluster, start->destination.port)) {
        return false; /* somebody has connected to our own port: it is no service */
    }
    if (start->direction == CLUSTER_OUT) {
        start->bind_to = start->source;
        start->peer = start->destination;
        return true;
    }
    /* From whatever port it has dialled: it most likely gossips on the same one as our node. */
    start->peer = start->source;
    start->peer.port = start->destination.port;
    return true;
}

static bool find_relay(const struct gate *gate, struct conversation_start *start)
{
    struct cluster *cluster = gate->conversations->cluster;
    start->direction = gate->socket->member != NULL ? CLUSTER_OUT : CLUSTER_IN;
    if (start->direction == CLUSTER_OUT) {
        endpoint_from_config(&start->destination, &gate->socket->member->address);
        endpoint_from_config(&start->bind_to, &cluster->settings->node.address);
        start->peer = start->destination;
        return true;
    }
    const struct config_gossip_peer *member = member_map_at(&cluster->members, &start->source);
    endpoint_from_config(&start->destination, &cluster->settings->node.stand_in);
    if (member != NULL) {
        endpoint_from_config(&start->peer, &member->address);
        return true;
    }
    start->peer = start->source;
    cluster_tick(cluster);
    struct peer *peer = peer_table_get_by_ip(cluster->peers, &start->source, cluster->now_s);
    return cluster_complain(cluster, peer, CLUSTER_IN, "tcp", PEER_UNMAPPED,
                            "it came from an address that is not in the map");
}

static bool find_destination(const struct gate *gate, struct conversation_start *start)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    if (getpeername(start->descriptor, (struct sockaddr *)&address, &len) != 0 ||
        !endpoint_from_sockaddr(&start->source, (const struct sockaddr *)&address)) {
        return false;
    }
    return gate->conversations->cluster->settings->mode == CONFIG_GOSSIP_TRANSPARENT
               ? find_transparent(gate, start)
               : find_relay(gate, start);
}

/* ---- accepting ---- */

static void refuse_for_room(struct conversations *conversations,
                            const struct conversation_start *start)
{
    struct cluster *cluster = conversations->cluster;
    cluster_tick(cluster);
    bool is_out = start->direction == CLUSTER_OUT;
    struct peer *peer = is_out
                            ? peer_table_get(cluster->peers, &start->peer, true, cluster->now_s)
                            : peer_table_get_by_ip(cluster->peers, &start->source, cluster->now_s);
    (void)cluster_complain(cluster, peer, start->direction, "tcp", PEER_NO_ROOM,
                           "too many connections at once");
    (void)close(start->descriptor);
}

static void on_accept(void *self, int descriptor)
{
    struct gate *gate = self;
    struct conversations *conversations = gate->conversations;
    struct conversation_start start = {
        .descriptor = descriptor,
        .held = &conversations->held,
        .calls = {.self = conversations, .on_over = on_over},
    };
    if (!find_destination(gate, &start)) {
        (void)close(descriptor);
        return;
    }
    if (!make_place(conversations)) {
        refuse_for_room(conversations, &start);
        return;
    }
    struct conversation *conversation = conversation_open(conversations->cluster, &start);
    if (conversation != NULL) {
        list_append(&conversations->open, &conversation->link);
        conversations->count++;
    }
}

static const struct listener_events GATE_EVENTS = {.on_accept = on_accept};

/* ---- life ---- */

static enum status open_gates(struct conversations *conversations,
                              const struct gossip_sockets *sockets)
{
    conversations->gates = calloc(sockets->count + 1, sizeof(*conversations->gates));
    if (conversations->gates == NULL) {
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->at[i].transport != GOSSIP_TCP) {
            continue;
        }
        struct gate *gate = &conversations->gates[conversations->gate_count];
        *gate = (struct gate){.conversations = conversations, .socket = &sockets->at[i]};
        enum status status = listener_open(&gate->listener, conversations->cluster->loop,
                                           gate->socket->descriptor, &GATE_EVENTS, gate);
        if (status != STATUS_OK) {
            return status;
        }
        conversations->gate_count++;
    }
    return STATUS_OK;
}

enum status conversations_open(struct conversations **out, struct cluster *cluster,
                               const struct gossip_sockets *sockets)
{
    struct conversations *conversations = calloc(1, sizeof(*conversations));
    if (conversations == NULL) {
        return STATUS_NOMEM;
    }
    conversations->cluster = cluster;
    list_init(&conversations->open);
    enum status status = open_gates(conversations, sockets);
    if (status != STATUS_OK) {
        conversations_close(conversations);
        return status;
    }
    *out = conversations;
    return STATUS_OK;
}

void conversations_close(struct conversations *conversations)
{
    if (conversations == NULL) {
        return;
    }
    for (size_t i = 0; i < conversations->gate_count; i++) {
        listener_close(&conversations->gates[i].listener);
    }
    for (struct list_link *link = list_first(&conversations->open); link != NULL;
         link = list_first(&conversations->open)) {
        conversation_abort(LIST_OBJECT(link, struct conversation, link));
    }
    free(conversations->gates);
    free(conversations);
}
