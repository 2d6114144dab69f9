/* proxy/gossip/conversation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/conversation.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/gossip/intercept_rules.h"

enum {
    /* The library gives a conn 10 s in a LAN and 30 s in a WAN: never less than it, and enough for
     * both ends to give up first. */
    DEADLINE_MS = 60000,
    FIRST_DEADLINE_MS = 30000, /* for a peer's request, which has proven nothing yet */
    DEAD_PEER_MS = 30000,
    DISCARD_BYTES = 4096,
};

static void step(struct conversation *conversation);

static struct peer *peer_of(struct conversation *conversation)
{
    struct cluster *cluster = conversation->cluster;
    cluster_tick(cluster);
    return conversation->direction == CLUSTER_OUT
               ? peer_table_get(cluster->peers, &conversation->peer, true, cluster->now_s)
               : peer_table_get_by_ip(cluster->peers, &conversation->peer, cluster->now_s);
}

/* ---- the end ---- */

static void free_now(void *self)
{
    free(self);
}

/* Near is done with, one way or another. */
static void end(struct conversation *conversation)
{
    if (conversation->state == CONVERSATION_OVER) {
        return;
    }
    conversation->state = CONVERSATION_OVER;
    if (conversation->far != NULL) {
        stream_close(conversation->far);
    }
    deadline_disarm(&conversation->deadline);
    parcel_fini(&conversation->request);
    parcel_fini(&conversation->answer);
    conversation->calls.on_over(conversation->calls.self, &conversation->link);
    conversation->reap = (struct loop_post){.run = free_now, .self = conversation};
    loop_post_reap(conversation->cluster->loop, &conversation->reap);
}

void conversation_abort(struct conversation *conversation)
{
    if (conversation->state == CONVERSATION_OVER) {
        return;
    }
    stream_reset(conversation->near);
    if (conversation->far != NULL) {
        stream_reset(conversation->far);
        conversation->far = NULL;
    }
    end(conversation);
}

/* What near has got is the whole. */
static void finish(struct conversation *conversation)
{
    stream_linger(conversation->near);
    end(conversation);
}

static void on_deadline(void *self)
{
    struct conversation *conversation = self;
    (void)cluster_complain(conversation->cluster, peer_of(conversation), conversation->direction,
                           "tcp", PEER_TIMED_OUT,
                           conversation->state == CONVERSATION_GATHERING
                               ? "the message did not come in time"
                               : "the other end did not answer in time");
    conversation_abort(conversation);
}

/* ---- far ---- */

static void on_far_open(void *self)
{
    struct conversation *conversation = self;
    conversation->is_far_open = true;
    step(conversation);
}

static void on_ready(void *self)
{
    step(self);
}

static const char *dial_failure(const struct conversation *conversation)
{
    return conversation->direction == CLUSTER_OUT ? "the peer could not be reached by TCP"
                                                  : "our own node does not listen there";
}

static void on_far_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    struct conversation *conversation = self;
    if (!conversation->is_far_open) {
        (void)cluster_complain(conversation->cluster, peer_of(conversation),
                               conversation->direction, "tcp", PEER_NOT_DIALLED,
                               dial_failure(conversation));
    }
    conversation_abort(conversation);
}

static const struct stream_events FAR_EVENTS = {
    .on_open = on_far_open,
    .on_readable = on_ready,
    .on_writable = on_ready,
    .on_failed = on_far_failed,
};

/* A socket whose packets the rules of interception let pass, and that leaves from where the node
 * is, so that a machine with several addresses shows the same one as without us. -1 with errno. */
static int far_socket(const struct conversation *conversation)
{
    static const int ON = 1;
    static const uint32_t MARK = INTERCEPT_OWN_MARK;
    struct sockaddr_storage address;
    socklen_t len = endpoint_to_sockaddr(&conversation->bind_to, &address);
    bool is_bound = conversation->bind_to.port != 0;
    int family = endpoint_is_ip4(&conversation->destination) ? AF_INET : AF_INET6;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    bool is_transparent = conversation->cluster->settings->mode == CONFIG_GOSSIP_TRANSPARENT;
    stream_set_tcp_options(descriptor, DEAD_PEER_MS);
    if (is_bound && family == AF_INET) {
        ((struct sockaddr_in *)(void *)&address)->sin_port = 0;
    } else if (is_bound) {
        ((struct sockaddr_in6 *)(void *)&address)->sin6_port = 0;
    }
    (void)setsockopt(descriptor, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &ON, sizeof(ON));
    bool is_ready = (!is_transparent ||
                     setsockopt(descriptor, SOL_SOCKET, SO_MARK, &MARK, sizeof(MARK)) == 0) &&
                    (!is_bound || bind(descriptor, (const struct sockaddr *)&address, len) == 0);
    if (!is_ready) {
        int why = errno;
        (void)close(descriptor);
        errno = why;
        return -1;
    }
    return descriptor;
}

static bool dial(struct conversation *conversation)
{
    struct sockaddr_storage address;
    socklen_t len = endpoint_to_sockaddr(&conversation->destination, &address);
    int descriptor = far_socket(conversation);
    return descriptor >= 0 && stream_connect_socket(&conversation->far, conversation->cluster->loop,
                                                    descriptor, (const struct sockaddr *)&address,
                                                    len, &FAR_EVENTS, conversation) == STATUS_OK;
}

/* ---- the request ---- */

static struct bytes label_of(const struct conversation *conversation)
{
    return (struct bytes){conversation->label, conversation->label_len};
}

static void copy_label(struct conversation *conversation)
{
    struct bytes label = parcel_label(&conversation->request);
    if (label.len > 0) {
        memcpy(conversation->label, label.at, label.len);
    }
    conversation->label_len = label.len;
}

static bool keep_label(struct conversation *conversation, struct peer *peer)
{
    if (!cluster_take_label(conversation->cluster, conversation->direction,
                            parcel_label(&conversation->request))) {
        return cluster_refuse(conversation->cluster, peer, conversation->direction, "tcp",
                              GOSSIP_OTHER_LABEL);
    }
    copy_label(conversation);
    return true;
}

/* As the library does, so that an operator at the other end, or a probe, can tell a wrong key from
 * a closed port. */
static void answer_error(struct conversation *conversation, struct peer *peer)
{
    conversation->state = CONVERSATION_RETURNING;
    if (parcel_set_error(&conversation->answer, SLICE("not encrypted with our keys")) !=
            STATUS_OK ||
        parcel_seal(&conversation->answer, peer, label_of(conversation)) != STATUS_OK) {
        conversation_abort(conversation);
        return;
    }
    step(conversation);
}

static void take_request(struct conversation *conversation)
{
    struct peer *peer = peer_of(conversation);
    bool is_out = conversation->direction == CLUSTER_OUT;
    if (!keep_label(conversation, peer)) {
        conversation_abort(conversation);
        return;
    }
    struct parcel *request = &conversation->request;
    enum status status = is_out ? parcel_seal(request, peer, label_of(conversation))
                                : parcel_open(request, peer, label_of(conversation));
    if (status != STATUS_OK && is_out) {
        conversation_abort(conversation);
        return;
    }
    if (status != STATUS_OK) {
        answer_error(conversation, peer);
        return;
    }
    conversation->is_proven = true;
    conversation->state = CONVERSATION_FORWARDING;
    deadline_arm(&conversation->deadline, conversation->cluster->loop, DEADLINE_MS, on_deadline,
                 conversation);
    if (conversation->far == NULL && !dial(conversation)) {
        (void)cluster_complain(conversation->cluster, peer, conversation->direction, "tcp",
                               PEER_NOT_DIALLED, dial_failure(conversation));
        conversation_abort(conversation);
        return;
    }
    step(conversation);
}

static void gather_request(struct conversation *conversation)
{
    struct peer *peer = peer_of(conversation);
    enum status status =
        parcel_read(&conversation->request, conversation->near, peer, conversation->direction);
    if (status == STATUS_OK) {
        take_request(conversation);
    } else if (status == STATUS_END) {
        finish(conversation); /* somebody looked whether the port is open */
    } else if (status == STATUS_REFUSED && conversation->direction == CLUSTER_IN) {
        copy_label(conversation); /* whoever gave one expects it of the answer */
        answer_error(conversation, peer);
    } else if (status != STATUS_AGAIN) {
        conversation_abort(conversation);
    }
}

/* A node that closes right after a user message has still said all of it. */
static void forward_request(struct conversation *conversation)
{
    if (!conversation->is_far_open) {
        return;
    }
    enum status status = parcel_send(&conversation->request, conversation->far);
    if (status == STATUS_BROKEN) {
        conversation_abort(conversation);
    }
    if (status != STATUS_OK) {
        return;
    }
    parcel_fini(&conversation->request);
    conversation->state = CONVERSATION_WAITING;
    step(conversation);
}

/* ---- the answer ---- */

/* Near has nothing more to say: it ends its half, or it breaks the protocol. */
static void watch_near(struct conversation *conversation)
{
    char discarded[DISCARD_BYTES];
    size_t moved = 0;
    if (conversation->has_near_ended) {
        return;
    }
    enum status status = stream_read(conversation->near, discarded, sizeof(discarded), &moved);
    if (status == STATUS_END) {
        conversation->has_near_ended = true;
        stream_finish(conversation->far);
    } else if (status == STATUS_OK) {
        (void)cluster_complain(conversation->cluster, peer_of(conversation),
                               conversation->direction, "tcp", PEER_MALFORMED,
                               "more bytes follow the one message that a connection carries");
        conversation_abort(conversation);
    } else if (status != STATUS_AGAIN) {
        conversation_abort(conversation);
    }
}

static void take_answer(struct conversation *conversation, struct peer *peer)
{
    struct parcel *answer = &conversation->answer;
    enum status status = conversation->direction == CLUSTER_OUT
                             ? parcel_open(answer, peer, label_of(conversation))
                             : parcel_seal(answer, peer, label_of(conversation));
    if (status != STATUS_OK) {
        conversation_abort(conversation);
        return;
    }
    conversation->state = CONVERSATION_RETURNING;
    step(conversation);
}

static void gather_answer(struct conversation *conversation)
{
    watch_near(conversation);
    if (conversation->state != CONVERSATION_WAITING) {
        return;
    }
    struct peer *peer = peer_of(conversation);
    enum cluster_direction back = conversation->direction == CLUSTER_OUT ? CLUSTER_IN : CLUSTER_OUT;
    enum status status = parcel_read(&conversation->answer, conversation->far, peer, back);
    if (status == STATUS_OK) {
        take_answer(conversation, peer);
    } else if (status == STATUS_END) {
        finish(conversation); /* user messages have no answer */
    } else if (status != STATUS_AGAIN) {
        conversation_abort(conversation);
    }
}

static void return_answer(struct conversation *conversation)
{
    enum status status = parcel_send(&conversation->answer, conversation->near);
    if (status == STATUS_OK) {
        finish(conversation);
    } else if (status == STATUS_BROKEN) {
        conversation_abort(conversation);
    }
}

/* ---- both ---- */

static void step(struct conversation *conversation)
{
    switch (conversation->state) {
    case CONVERSATION_GATHERING:
        gather_request(conversation);
        return;
    case CONVERSATION_FORWARDING:
        forward_request(conversation);
        return;
    case CONVERSATION_WAITING:
        gather_answer(conversation);
        return;
    case CONVERSATION_RETURNING:
        return_answer(conversation);
        return;
    case CONVERSATION_OVER:
        return;
    }
}

static void on_near_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    conversation_abort(self);
}

static const struct stream_events NEAR_EVENTS = {
    .on_open = on_ready,
    .on_readable = on_ready,
    .on_writable = on_ready,
    .on_failed = on_near_failed,
};

/* Peers speak frames, our node does not; labels come first only from who opens the conn. */
static void init_parcels(struct conversation *conversation, size_t *held)
{
    struct cluster *cluster = conversation->cluster;
    enum parcel_form of_peers = cluster->settings->takes_plaintext ? PARCEL_EITHER : PARCEL_FRAME;
    bool is_out = conversation->direction == CLUSTER_OUT;
    parcel_init(&conversation->request, cluster, held, is_out ? PARCEL_PLAIN : of_peers, true);
    parcel_init(&conversation->answer, cluster, held, is_out ? of_peers : PARCEL_PLAIN, false);
}

static void refuse_start(struct conversation *conversation, struct peer *peer)
{
    (void)cluster_complain(conversation->cluster, peer, conversation->direction, "tcp",
                           PEER_NOT_DIALLED, dial_failure(conversation));
    stream_reset(conversation->near);
    parcel_fini(&conversation->request);
    parcel_fini(&conversation->answer);
    free(conversation);
}

struct conversation *conversation_open(struct cluster *cluster,
                                       const struct conversation_start *start)
{
    struct conversation *conversation = calloc(1, sizeof(*conversation));
    if (conversation == NULL) {
        (void)close(start->descriptor);
        return NULL;
    }
    bool is_out = start->direction == CLUSTER_OUT;
    conversation->cluster = cluster;
    conversation->calls = start->calls;
    conversation->direction = start->direction;
    conversation->destination = start->destination;
    conversation->bind_to = start->bind_to;
    conversation->peer = start->peer;
    conversation->is_proven = is_out;
    init_parcels(conversation, start->held);
    if (stream_adopt(&conversation->near, cluster->loop, start->descriptor, &NEAR_EVENTS,
                     conversation) != STATUS_OK) {
        free(conversation);
        return NULL;
    }
    if (is_out && !dial(conversation)) {
        refuse_start(conversation, peer_of(conversation));
        return NULL;
    }
    deadline_arm(&conversation->deadline, cluster->loop, is_out ? DEADLINE_MS : FIRST_DEADLINE_MS,
                 on_deadline, conversation);
    stream_read_later(conversation->near);
    return conversation;
}
