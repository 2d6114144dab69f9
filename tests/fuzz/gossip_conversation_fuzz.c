/* tests/fuzz/gossip_conversation_fuzz.c
 *
 * A TCP conversation of gossip between two ends that say and do anything, in any order: it ends, it
 * gives all memory back, and what the policy keeps apart stays so. Nothing reaches our node that
 * was not sealed with a key of ours, and nothing leaves it but sealed.
 *
 *   input:  what is set (1 byte, see below), then steps
 *   step:   what is done (1 byte: enum act in the low bits, how many bytes in the high ones), and
 *           for what is said the bytes
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/assert.h"
#include "proxy/gossip/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum setting {
    SET_IN = 1, /* or out */
    SET_TAKES_PLAINTEXT = 2,
    SET_SENDS_PLAINTEXT = 4,
    SET_LABEL = 8,
    SET_VERSION_1 = 16,
    SET_FAR_CLOSED = 32, /* nobody listens there */
};

enum act {
    ACT_NEAR_SAYS,
    ACT_FAR_SAYS,
    ACT_NEAR_SEALS, /* says it in a frame, under no label */
    ACT_FAR_SEALS,
    ACT_NEAR_SEALS_LABELLED,
    ACT_FAR_SEALS_LABELLED,
    ACT_TURN,
    ACT_END, /* which one, by the high bits */
};

enum ending { END_NEAR_HALF, END_FAR_HALF, END_NEAR, END_FAR, END_DEADLINE, END_ABORT, ENDINGS };

enum { TURNS = 6, INPUT_BYTES_MAX = 8192, FRAME_BYTES = 512, ACT_BITS = 3, SHORT_MAX = 30 };

static const char KEY[] = "ERERERERERERERERERERERERERERERERERERERERERE=\n";
static const struct bytes LABEL = {(const uint8_t *)"prod", 4};

struct end {
    int descriptor; /* -1: closed */
    size_t heard;
    uint8_t first; /* of what was heard */
    bool has_sealed;
};

struct stage {
    struct loop *loop;
    struct loop_post post;
    int turns_left;
    struct log *log;
    struct peer_pages *pages;
    struct gossip_cipher *cipher; /* of the ends */
    int listening;
    struct endpoint far_at;
    unsigned set;
    struct config_gossip settings;
    struct cluster cluster;
    struct end near;
    struct end far;
    size_t held;
    unsigned overs;
    struct conversation *conversation; /* NULL: over */
};

/* ---- once for all inputs ---- */

static void nothing(void *self)
{
    (void)self;
}

static void on_turn_end(void *self)
{
    struct stage *stage = self;
    if (--stage->turns_left > 0) {
        loop_post(stage->loop, &stage->post);
    } else {
        loop_stop(stage->loop);
    }
}

static void make_cipher(struct stage *stage)
{
    struct crypto_error error;
    struct keyring *ring =
        keyring_parse((struct bytes){(const uint8_t *)KEY, sizeof(KEY) - 1}, &error);
    assert_always(ring != NULL);
    stage->cipher = gossip_cipher_new(ring, &error);
    assert_always(stage->cipher != NULL);
    keyring_free(ring);
}

static void make_listener(struct stage *stage)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    stage->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_always(stage->listening >= 0 &&
                  bind(stage->listening, (struct sockaddr *)&address, len) == 0 &&
                  listen(stage->listening, 8) == 0 &&
                  getsockname(stage->listening, (struct sockaddr *)&address, &len) == 0 &&
                  endpoint_from_sockaddr(&stage->far_at, (struct sockaddr *)&address));
}

static void make_once(struct stage *stage)
{
    if (stage->loop != NULL) {
        return;
    }
    stage->loop = loop_new();
    stage->log = log_new(LOG_ERROR, LOG_JSON, -1, "fuzz");
    int descriptor = peer_pages_new();
    stage->pages = peer_pages_map(descriptor, true);
    assert_always(stage->loop != NULL && stage->log != NULL && stage->pages != NULL);
    (void)close(descriptor);
    stage->post = (struct loop_post){.run = nothing, .self = stage};
    loop_at_turn_end(stage->loop, on_turn_end, stage);
    make_cipher(stage);
    make_listener(stage);
}

/* ---- the ends ---- */

static void reset(struct end *end)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (end->descriptor >= 0) {
        (void)setsockopt(end->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        (void)close(end->descriptor);
    }
    end->descriptor = -1;
}

static void hear(struct end *end)
{
    uint8_t bytes[4096];
    ssize_t got;
    while (end->descriptor >= 0 &&
           (got = recv(end->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        end->first = end->heard == 0 ? bytes[0] : end->first;
        end->heard += (size_t)got;
    }
}

static void say(struct end *end, const void *bytes, size_t len)
{
    if (end->descriptor >= 0) {
        (void)!send(end->descriptor, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void say_sealed(struct stage *stage, struct end *end, struct bytes label, slice message)
{
    uint8_t room[FRAME_BYTES];
    size_t len = 0;
    memcpy(room + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, message.at, message.len);
    if (gossip_frame_seal(stage->cipher, (stage->set & SET_VERSION_1) != 0, label, room,
                          message.len, &len) == GOSSIP_FINE) {
        end->has_sealed = true;
        say(end, room, len);
    }
}

static void turn(struct stage *stage)
{
    stage->turns_left = TURNS;
    loop_post(stage->loop, &stage->post);
    loop_run(stage->loop);
    if (stage->far.descriptor < 0) {
        stage->far.descriptor = accept4(stage->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    hear(&stage->near);
    hear(&stage->far);
    assert_always(stage->held <= PARCEL_HELD_BYTES_MAX);
    assert_always(stage->conversation != NULL || stage->held == 0);
}

/* ---- one input ---- */

static void on_over(void *self, struct list_link *link)
{
    struct stage *stage = self;
    assert_always(LIST_OBJECT(link, struct conversation, link) == stage->conversation);
    stage->conversation = NULL;
    stage->overs++;
}

static void begin(struct stage *stage, unsigned set)
{
    static uint16_t ports[] = {7946};
    struct crypto_error error;
    stage->set = set;
    stage->settings = (struct config_gossip){
        .name = "fuzz",
        .ports = ports,
        .port_count = 1,
        .mode = CONFIG_GOSSIP_RELAY, /* which needs no rights; the map is empty */
        .takes_plaintext = (set & SET_TAKES_PLAINTEXT) != 0,
        .sends_plaintext = (set & SET_SENDS_PLAINTEXT) != 0,
        .version = (set & SET_VERSION_1) != 0,
        .label = (set & SET_LABEL) != 0 ? "prod" : NULL,
        .replay_window = 64,
    };
    memset(stage->pages, 0, 4096);
    assert_always(cluster_init(&stage->cluster, &stage->settings, stage->loop, stage->log,
                               stage->pages) == STATUS_OK);
    assert_always(cluster_set_ring(&stage->cluster,
                                   (struct bytes){(const uint8_t *)KEY, sizeof(KEY) - 1},
                                   &error) == STATUS_OK);
    stage->near = (struct end){.descriptor = -1};
    stage->far = (struct end){.descriptor = -1};
    stage->overs = 0;
}

static bool open_conversation(struct stage *stage)
{
    int pair[2];
    assert_always(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    stage->near.descriptor = pair[1];
    struct conversation_start start = {
        .descriptor = pair[0],
        .direction = (stage->set & SET_IN) != 0 ? CLUSTER_IN : CLUSTER_OUT,
        .destination = stage->far_at,
        .peer = {.ip = {[15] = 1}, .port = 7946},
        .held = &stage->held,
        .calls = {.self = stage, .on_over = on_over},
    };
    start.destination.port = (stage->set & SET_FAR_CLOSED) != 0 ? 1 : start.destination.port;
    stage->conversation = conversation_open(&stage->cluster, &start);
    return stage->conversation != NULL;
}

static void end_somehow(struct stage *stage, enum ending ending)
{
    struct conversation *conversation = stage->conversation;
    switch (ending) {
    case END_NEAR_HALF:
        (void)shutdown(stage->near.descriptor, SHUT_WR);
        break;
    case END_FAR_HALF:
        (void)shutdown(stage->far.descriptor, SHUT_WR);
        break;
    case END_NEAR:
        reset(&stage->near);
        break;
    case END_FAR:
        reset(&stage->far);
        break;
    case END_DEADLINE:
        if (conversation != NULL) {
            deadline_disarm(&conversation->deadline);
            conversation->deadline.on_deadline(conversation->deadline.self);
        }
        break;
    case END_ABORT:
    case ENDINGS:
        if (conversation != NULL) {
            conversation_abort(conversation);
        }
        break;
    }
}

static void act(struct stage *stage, enum act act, unsigned number, slice said)
{
    switch (act) {
    case ACT_NEAR_SAYS:
        say(&stage->near, said.at, said.len);
        break;
    case ACT_FAR_SAYS:
        say(&stage->far, said.at, said.len);
        break;
    case ACT_NEAR_SEALS:
        say_sealed(stage, &stage->near, (struct bytes){0}, said);
        break;
    case ACT_FAR_SEALS:
        say_sealed(stage, &stage->far, (struct bytes){0}, said);
        break;
    case ACT_NEAR_SEALS_LABELLED:
        say_sealed(stage, &stage->near, LABEL, said);
        break;
    case ACT_FAR_SEALS_LABELLED:
        say_sealed(stage, &stage->far, LABEL, said);
        break;
    case ACT_TURN:
        turn(stage);
        break;
    case ACT_END:
        end_somehow(stage, number % ENDINGS);
        break;
    }
}

static bool is_said(enum act act)
{
    return act != ACT_TURN && act != ACT_END;
}

/* The high bits are a length; their largest value is followed by a byte that adds to it. */
static void run(struct stage *stage, slice input)
{
    while (input.len > 0) {
        uint8_t first = (uint8_t)input.at[0];
        enum act what = first & ((1U << ACT_BITS) - 1);
        size_t number = first >> ACT_BITS;
        input = slice_from(input, 1);
        if (number > SHORT_MAX && input.len > 0) {
            number += (uint8_t)input.at[0];
            input = slice_from(input, 1);
        }
        slice said = {input.at, 0};
        if (is_said(what)) {
            said.len = number < input.len ? number : input.len;
            input = slice_from(input, said.len);
        }
        act(stage, what, (unsigned)number, said);
    }
}

/* What the policy promises of our node, whatever was said. */
static void check(const struct stage *stage)
{
    bool is_in = (stage->set & SET_IN) != 0;
    const struct end *node = is_in ? &stage->far : &stage->near;
    const struct end *peer = is_in ? &stage->near : &stage->far;
    bool takes = (stage->set & SET_TAKES_PLAINTEXT) != 0;
    bool sends = (stage->set & SET_SENDS_PLAINTEXT) != 0;
    assert_always(takes || peer->has_sealed || node->heard == 0);
    assert_always(sends || peer->heard == 0 || peer->first == GOSSIP_FRAME_TYPE ||
                  peer->first == GOSSIP_LABEL_TYPE);
}

static void finish(struct stage *stage, bool was_open)
{
    if (stage->conversation != NULL) {
        conversation_abort(stage->conversation);
    }
    turn(stage);
    check(stage);
    assert_always(stage->overs == was_open && stage->held == 0);
    reset(&stage->near);
    reset(&stage->far);
    turn(stage); /* streams that linger hear of it */
    reset(&stage->far);
    for (int late; (late = accept(stage->listening, NULL, NULL)) >= 0;) {
        (void)close(late);
    }
    cluster_fini(&stage->cluster);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct stage stage;
    if (len == 0 || len > INPUT_BYTES_MAX) {
        return 0;
    }
    make_once(&stage);
    begin(&stage, bytes[0]);
    bool was_open = open_conversation(&stage);
    if (was_open) {
        run(&stage, (slice){(const char *)bytes + 1, len - 1});
    }
    finish(&stage, was_open);
    return 0;
}
