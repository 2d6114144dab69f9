/* tests/unit/proxy/gossip/conversation_rig.h
 *
 * One conversation on a real loop, over TCP, between two ends that the test plays, and a second
 * cluster that seals and opens in the name of another node.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "proxy/gossip/conversation.h"
#include "support/cluster_rig.h"
#include "support/turns.h"

enum { END_ROOM = 21 * 1024 * 1024, FRAME_BEFORE = GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES };

/* Near or far. */
struct end {
    int descriptor; /* -1: closed, or not accepted yet */
    char *got;
    size_t len;
    bool has_ended;
    bool was_reset;
    bool is_deaf;
};

struct conversation_rig {
    struct turns turns;
    struct cluster_rig ours;
    struct cluster_rig theirs;
    struct config_gossip_peer member;
    struct end near;
    struct end far;
    int listening; /* -1: nobody listens there */
    size_t held;
    unsigned overs;
    struct conversation *conversation; /* NULL: over */
    char *frame;                       /* what seal_frame has made */
};

/* ---- ends ---- */

static inline void end_init(struct end *end, int descriptor)
{
    static const int ON = 1;
    free(end->got);
    *end = (struct end){.descriptor = descriptor, .got = malloc(END_ROOM), .is_deaf = end->is_deaf};
    assert_non_null(end->got);
    if (descriptor >= 0) {
        (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof(ON));
        assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
    }
}

static inline void end_close(struct end *end)
{
    if (end->descriptor >= 0) {
        (void)close(end->descriptor);
    }
    end->descriptor = -1;
}

static inline void end_reset(struct end *end)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(end->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    end_close(end);
}

static inline void end_hear(struct end *end)
{
    while (end->descriptor >= 0 && !end->has_ended && !end->is_deaf) {
        ssize_t got = recv(end->descriptor, end->got + end->len, END_ROOM - end->len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        end->has_ended = got <= 0;
        end->was_reset = got < 0;
        end->len += got > 0 ? (size_t)got : 0;
    }
}

static inline size_t end_push(struct end *end, slice bytes)
{
    size_t sent = 0;
    while (sent < bytes.len) {
        ssize_t more = send(end->descriptor, bytes.at + sent, bytes.len - sent, MSG_NOSIGNAL);
        if (more <= 0) {
            break;
        }
        sent += (size_t)more;
    }
    return sent;
}

static inline bool end_heard(const struct end *end, slice bytes)
{
    return slice_equal((slice){end->got, end->len}, bytes);
}

/* ---- turns ---- */

static inline bool conversation_rig_listens(void *self)
{
    struct conversation_rig *rig = self;
    if (rig->far.descriptor < 0 && rig->listening >= 0 && !rig->far.has_ended) {
        int accepted = accept(rig->listening, NULL, NULL);
        if (accepted >= 0) {
            end_init(&rig->far, accepted);
        }
    }
    end_hear(&rig->near);
    end_hear(&rig->far);
    return false;
}

/* What can happen without the clock has happened. */
static inline void conversation_rig_turn(struct conversation_rig *rig)
{
    turns_settle(&rig->turns, conversation_rig_listens, rig);
}

static inline bool conversation_rig_is_over(void *self)
{
    struct conversation_rig *rig = self;
    (void)conversation_rig_listens(rig);
    return rig->conversation == NULL;
}

static inline bool conversation_rig_near_ended(void *self)
{
    struct conversation_rig *rig = self;
    (void)conversation_rig_listens(rig);
    return rig->conversation == NULL && rig->near.has_ended;
}

/* All is said: within a time in which no deadline of a conversation comes. */
static inline void conversation_rig_finish(struct conversation_rig *rig)
{
    turns_until(&rig->turns, conversation_rig_is_over, rig);
    conversation_rig_turn(rig);
    assert_int_equal(rig->overs, 1);
    assert_int_equal(rig->held, 0);
}

/* Pushes with turns in between, for what no socket holds at once. */
static inline void conversation_rig_push(struct conversation_rig *rig, struct end *end, slice bytes)
{
    for (int i = 0; i < 10000 && bytes.len > 0; i++) {
        bytes = slice_from(bytes, end_push(end, bytes));
        conversation_rig_turn(rig);
    }
    assert_int_equal(bytes.len, 0);
}

/* ---- life ---- */

static inline struct config_address conversation_rig_address(uint8_t last, uint16_t port)
{
    return (struct config_address){
        .kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, last}, .port = port};
}

/* Mode relay, which needs no rights: our node is 127.0.0.1, the one member 127.0.0.2. */
static inline void conversation_rig_init(struct conversation_rig *rig,
                                         const struct config_gossip *settings)
{
    *rig = (struct conversation_rig){.listening = -1};
    rig->near.descriptor = -1;
    rig->far.descriptor = -1;
    struct config_gossip ours = settings != NULL ? *settings : (struct config_gossip){.version = 1};
    rig->member = (struct config_gossip_peer){.stand_in = conversation_rig_address(2, CLUSTER_PORT),
                                              .address = conversation_rig_address(3, CLUSTER_PORT)};
    ours.mode = CONFIG_GOSSIP_RELAY;
    ours.node.stand_in = conversation_rig_address(1, CLUSTER_PORT);
    ours.peers = &rig->member;
    ours.peer_count = 1;
    turns_init(&rig->turns);
    cluster_rig_init(&rig->ours, rig->turns.loop, &ours, CLUSTER_KEY_A);
    cluster_rig_init(&rig->theirs, rig->turns.loop, NULL, CLUSTER_KEY_A CLUSTER_KEY_B);
    rig->frame = malloc(END_ROOM);
    assert_non_null(rig->frame);
}

static inline void conversation_rig_fini(struct conversation_rig *rig)
{
    if (rig->conversation != NULL) {
        conversation_abort(rig->conversation);
        loop_reap(rig->turns.loop);
    }
    end_close(&rig->near);
    end_close(&rig->far);
    if (rig->listening >= 0) {
        (void)close(rig->listening);
    }
    cluster_rig_fini(&rig->ours);
    cluster_rig_fini(&rig->theirs);
    turns_fini(&rig->turns);
    free(rig->near.got);
    free(rig->far.got);
    free(rig->frame);
}

static inline int conversation_rig_listen(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)address, len), 0);
    assert_int_equal(listen(descriptor, 8), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)address, &len), 0);
    return descriptor;
}

static inline int conversation_rig_connect_near(struct conversation_rig *rig)
{
    struct sockaddr_in address;
    int listening = conversation_rig_listen(&address);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
    end_init(&rig->near, descriptor);
    int accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    (void)close(listening);
    return accepted;
}

static inline void conversation_rig_on_over(void *self, struct list_link *link)
{
    struct conversation_rig *rig = self;
    assert_ptr_equal(LIST_OBJECT(link, struct conversation, link), rig->conversation);
    rig->conversation = NULL;
    rig->overs++;
}

/* The former one has to be over. */
static inline void conversation_rig_open(struct conversation_rig *rig,
                                         enum cluster_direction direction, bool is_far_there)
{
    struct sockaddr_in address;
    end_close(&rig->near);
    end_close(&rig->far);
    rig->near.is_deaf = rig->far.is_deaf = false;
    end_init(&rig->far, -1);
    if (rig->listening >= 0) {
        (void)close(rig->listening);
    }
    rig->listening = conversation_rig_listen(&address);
    if (!is_far_there) {
        (void)close(rig->listening);
        rig->listening = -1;
    }
    struct conversation_start start = {
        .descriptor = conversation_rig_connect_near(rig),
        .direction = direction,
        .peer = cluster_rig_endpoint(7),
        .held = &rig->held,
        .calls = {.self = rig, .on_over = conversation_rig_on_over},
    };
    assert_true(endpoint_from_sockaddr(&start.destination, (struct sockaddr *)&address));
    rig->overs = 0;
    rig->conversation = conversation_open(&rig->ours.cluster, &start);
    assert_non_null(rig->conversation);
}

/* ---- the other node ---- */

/* Seals in its name; the slice holds until the next call. */
static inline slice conversation_rig_seal(struct conversation_rig *rig, slice message, slice label)
{
    size_t len = 0;
    memcpy(rig->frame + FRAME_BEFORE, message.at, message.len);
    assert_true(cluster_seal_message(&rig->theirs.cluster, cluster_rig_peer(&rig->theirs, 1, true),
                                     (struct bytes){(const uint8_t *)label.at, label.len},
                                     (uint8_t *)rig->frame, message.len, &len));
    return (slice){rig->frame, len};
}

/* Whether these bytes are a frame that says the message. */
static inline bool conversation_rig_opens(struct conversation_rig *rig, slice bytes, slice label,
                                          slice message)
{
    struct bytes opened = {0};
    assert_true(bytes.len <= END_ROOM);
    memcpy(rig->frame, bytes.at, bytes.len);
    return cluster_open_frame(&rig->theirs.cluster, cluster_rig_peer(&rig->theirs, 1, true),
                              (struct bytes){(const uint8_t *)label.at, label.len},
                              (uint8_t *)rig->frame, bytes.len, &opened) &&
           slice_equal((slice){(const char *)opened.at, opened.len}, message);
}

/* Under which the conversation is accounted for. */
static inline struct peer *conversation_rig_peer(struct conversation_rig *rig)
{
    return cluster_rig_peer(&rig->ours, 7, true);
}
