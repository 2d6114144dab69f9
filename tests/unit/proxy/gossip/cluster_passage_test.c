/* tests/unit/proxy/gossip/cluster_passage_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "support/cluster_rig.h"

#include "support/vectors.h"

enum {
    FREE_BEFORE = 512, /* more than is needed, so that a sanitizer is the one to complain */
    ROOM_BYTES = FREE_BEFORE + 65536 + 512,
    SEALED_V1_MAX = GOSSIP_PACKET_BYTES_MAX - GOSSIP_HEAD_BYTES - GOSSIP_TAG_BYTES,
    SEALED_V0_MAX = SEALED_V1_MAX / 16 * 16 - 1, /* padded by one byte at least */
    PEER = 7,
};

#define PING                                                                                       \
    "\x00\x82\xa5"                                                                                 \
    "SeqNo\x01\xa4Node\xa1n"
#define INDIRECT_PING "\x01\x83\xa5SeqNo\x01\xa6Target\xa4\x0a\0\0\x01\xa4Port\xcd\x1f\x0a"
#define COMPOUND                                                                                   \
    "\x07\x01\x00\x10"                                                                             \
    "\x00\x82\xa5SeqNo\x01\xa4Node\xa1n"
#define LABELLED(text) "\xf4\x04prod" text

struct packet {
    uint8_t room[ROOM_BYTES];
    struct cluster_packet at;
};

static void put(struct packet *packet, slice bytes)
{
    packet->at = (struct cluster_packet){packet->room + FREE_BEFORE, bytes.len};
    memcpy(packet->at.at, bytes.at, bytes.len);
}

static slice bytes_of(const struct packet *packet)
{
    return (slice){(const char *)packet->at.at, packet->at.len};
}

static bool packet_is(const struct packet *packet, slice bytes)
{
    return slice_equal(bytes_of(packet), bytes);
}

/* Two ends of a cluster: ours, and another node's. */
struct ends {
    struct cluster_rig ours;
    struct cluster_rig theirs;
    struct packet packet;
};

static struct ends *ends_new(const struct config_gossip *settings, const char *our_keys,
                             const char *their_keys)
{
    struct ends *ends = calloc(1, sizeof(*ends));
    assert_non_null(ends);
    cluster_rig_init(&ends->ours, NULL, settings, our_keys);
    cluster_rig_init(&ends->theirs, NULL, NULL, their_keys);
    return ends;
}

static void ends_free(struct ends *ends)
{
    cluster_rig_fini(&ends->ours);
    cluster_rig_fini(&ends->theirs);
    free(ends);
}

/* Seals in the other node's name what is then in ends->packet. */
static void seal_theirs(struct ends *ends, slice plain)
{
    put(&ends->packet, plain);
    assert_true(cluster_seal_packet(&ends->theirs.cluster, cluster_rig_peer(&ends->theirs, 1, true),
                                    &ends->packet.at));
}

static bool open_ours(struct ends *ends, uint32_t peer)
{
    return cluster_open_packet(&ends->ours.cluster, cluster_rig_peer(&ends->ours, peer, false),
                               &ends->packet.at);
}

static bool seal_ours(struct ends *ends, slice plain)
{
    put(&ends->packet, plain);
    return cluster_seal_packet(&ends->ours.cluster, cluster_rig_peer(&ends->ours, PEER, true),
                               &ends->packet.at);
}

static uint64_t counted(struct ends *ends, enum peer_counter counter)
{
    return peer_counter_get(cluster_rig_peer(&ends->ours, PEER, false), counter);
}

/* ---- what was sealed is opened ---- */

static slice user_message(size_t label_len, size_t len)
{
    static char bytes[65536 + 300] = {(char)0xf4};
    bytes[1] = (char)label_len;
    size_t header_len = label_len == 0 ? 0 : 2 + label_len;
    memset(bytes + 2, 'p', label_len);
    for (size_t i = 0; i < len; i++) {
        bytes[2 + label_len + i] = (char)(i * 7 + i / 251);
    }
    bytes[2 + label_len] = 8;
    return (slice){bytes + (label_len == 0 ? 2 : 0), header_len + len};
}

static void expect_identity(struct ends *ends, slice plain)
{
    assert_true(seal_ours(ends, plain));
    assert_true(ends->packet.at.len <= GOSSIP_PACKET_BYTES_MAX);
    assert_false(slice_equal(slice_first(bytes_of(&ends->packet), plain.len), plain));
    struct peer *peer = cluster_rig_peer(&ends->theirs, 1, false);
    assert_true(cluster_open_packet(&ends->theirs.cluster, peer, &ends->packet.at));
    assert_true(packet_is(&ends->packet, plain));
}

static void expect_identity_of_sizes(struct ends *ends, size_t label_len, size_t most)
{
    size_t header_len = label_len == 0 ? 0 : 2 + label_len;
    for (size_t len = 1; len <= most - header_len; len += len < 70 ? 1 : 809) {
        expect_identity(ends, user_message(label_len, len));
    }
    for (size_t len = most - header_len - 20; len <= most - header_len; len++) {
        expect_identity(ends, user_message(label_len, len));
    }
}

static void another_node_opens_what_was_sealed_to_the_same_bytes(void **state)
{
    (void)state;
    static const struct {
        unsigned version;
        size_t label_len;
        const char *label; /* of the settings */
    } ROWS[] = {{0, 0, NULL}, {1, 0, NULL},   {0, 4, NULL},   {1, 4, NULL},
                {0, 1, "p"},  {1, 4, "pppp"}, {1, 255, NULL}, {0, 255, NULL}};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct config_gossip settings = {.version = ROWS[i].version, .label = ROWS[i].label};
        struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_B CLUSTER_KEY_A);
        size_t header_len = ROWS[i].label_len == 0 ? 0 : 2 + ROWS[i].label_len;
        size_t room = SEALED_V1_MAX - header_len; /* of the padded text */
        size_t most =
            ROWS[i].version == 1 ? (size_t)SEALED_V1_MAX : room / 16 * 16 - 1 + header_len;
        expect_identity_of_sizes(ends, ROWS[i].label_len, most);
        assert_false(seal_ours(ends, user_message(ROWS[i].label_len, most - header_len + 1)));
        assert_int_equal(cluster_rig_peer(&ends->ours, PEER, true)->refused[GOSSIP_LONG], 1);
        ends_free(ends);
    }
    assert_int_equal(gossip_packet_bytes(0, SEALED_V0_MAX), 65501);
}

static void what_was_sealed_and_opened_is_counted_by_peer_and_key(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A CLUSTER_KEY_B, CLUSTER_KEY_B);
    seal_theirs(ends, SLICE(PING));
    assert_true(open_ours(ends, PEER));
    assert_true(seal_ours(ends, SLICE(PING)));
    assert_true(seal_ours(ends, SLICE(PING)));
    const struct peer *peer = cluster_rig_peer(&ends->ours, PEER, false);
    assert_int_equal(peer->at[PEER_OPENED], 1);
    assert_int_equal(peer->at[PEER_SEALED], 2);
    assert_int_equal(peer->proven_s, ends->ours.cluster.now_s);
    assert_int_equal(cluster_rig_sum(peer), 3);
    assert_int_equal(ends->ours.pages->keys[0].sealed, 2);
    assert_int_equal(ends->ours.pages->keys[0].opened, 0);
    assert_int_equal(ends->ours.pages->keys[1].opened, 1);
    ends_free(ends);
}

/* ---- what is refused, and under which name ---- */

struct refused {
    const char *claim;
    slice wire;
    const char *label; /* of the settings */
    enum gossip_refusal refusal;
    const char *cause; /* in the log */
};

/* Counted once, under this name and no other, and told with who, which way and why. */
static void expect_told(struct cluster_rig *rig, const char *claim, const uint64_t *count,
                        const char *direction, const char *cause)
{
    char line[256];
    struct peer *peer = cluster_rig_peer(rig, PEER, false);
    if (*count != 1 || cluster_rig_sum(peer) != 1) {
        fail_msg("%s: counted %" PRIu64 " of %" PRIu64 "\n%s", claim, *count, cluster_rig_sum(peer),
                 cluster_rig_log(rig));
    }
    (void)snprintf(line, sizeof(line),
                   "\"cluster\":\"test\",\"direction\":\"%s\",\"transport\":\"udp\","
                   "\"peer\":\"10.0.0.7:7946\",\"cause\":\"%s\"",
                   direction, cause);
    cluster_rig_expect(rig, line);
}

static void expect_refused_in(const struct refused *row)
{
    const struct config_gossip settings = {.version = 1, .label = row->label};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_B);
    put(&ends->packet, row->wire);
    if (open_ours(ends, PEER)) {
        fail_msg("%s: it passed", row->claim);
    }
    struct peer *peer = cluster_rig_peer(&ends->ours, PEER, false);
    expect_told(&ends->ours, row->claim, &peer->refused[row->refusal], "in", row->cause);
    assert_int_equal(peer->is_stranger, 1);
    ends_free(ends);
}

static const struct refused REFUSED_IN[] = {
    {"nothing", SLICE(""), NULL, GOSSIP_EMPTY, "empty"},
    {"nothing behind a label", SLICE(LABELLED("")), NULL, GOSSIP_EMPTY, "empty"},
    {"no gossip at all", SLICE("GET / HTTP/1.1\r\n\r\n"), NULL, GOSSIP_VERSION, "unknown_version"},
    {"version 2", SLICE("\x02"), NULL, GOSSIP_PLAINTEXT, "plaintext"}, /* it is an ack's type */
    {"one byte of version 1", SLICE("\x01"), NULL, GOSSIP_SHORT, "truncated"},
    {"28 bytes of version 1", SLICE("\x01" CLUSTER_TEN("xx") "1234567"), NULL, GOSSIP_SHORT,
     "truncated"},
    {"29 bytes of version 0", SLICE("\0" CLUSTER_TEN("xx") "12345678"), NULL, GOSSIP_SHORT,
     "truncated"},
    {"noise of version 1", SLICE("\x01" CLUSTER_TEN("noise")), NULL, GOSSIP_NO_KEY, "no_key_fits"},
    {"noise of version 0", SLICE("\0" CLUSTER_TEN("noise")), NULL, GOSSIP_NO_KEY, "no_key_fits"},
    {"a ping", SLICE(PING), NULL, GOSSIP_PLAINTEXT, "plaintext"},
    {"an indirect ping", SLICE(INDIRECT_PING), NULL, GOSSIP_PLAINTEXT, "plaintext"},
    {"a compound", SLICE(COMPOUND), NULL, GOSSIP_PLAINTEXT, "plaintext"},
    {"a compound whose part is missing", SLICE("\x07\x01\x00\x10"), NULL, GOSSIP_VERSION,
     "unknown_version"},
    {"a user message", SLICE("\x08hello"), NULL, GOSSIP_PLAINTEXT, "plaintext"},
    {"a label of no bytes", SLICE("\xf4\0" PING), NULL, GOSSIP_LABEL, "bad_label"},
    {"a label that is cut short", SLICE("\xf4\x09prod"), NULL, GOSSIP_LABEL, "bad_label"},
    {"two labels", SLICE(LABELLED(LABELLED(PING))), NULL, GOSSIP_LABEL, "bad_label"},
    {"another label than is configured", SLICE(LABELLED(PING)), "test", GOSSIP_OTHER_LABEL,
     "other_label"},
    {"no label though one is configured", SLICE(PING), "prod", GOSSIP_OTHER_LABEL, "other_label"},
    {"noise with another label than the node's", SLICE(LABELLED("\x01" CLUSTER_TEN("noise"))), NULL,
     GOSSIP_OTHER_LABEL, "other_label"},
    {"a ping with the label that is configured", SLICE(LABELLED(PING)), "prod", GOSSIP_PLAINTEXT,
     "plaintext"},
};

static void what_is_refused_is_counted_and_told_under_its_own_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(REFUSED_IN) / sizeof(REFUSED_IN[0]); i++) {
        expect_refused_in(&REFUSED_IN[i]);
    }
}

static const struct refused REFUSED_OUT[] = {
    {"nothing", SLICE(""), NULL, GOSSIP_EMPTY, "empty"},
    {"nothing behind a label", SLICE(LABELLED("")), NULL, GOSSIP_EMPTY, "empty"},
    {"a label of no bytes", SLICE("\xf4\0" PING), NULL, GOSSIP_LABEL, "bad_label"},
    {"two labels", SLICE(LABELLED(LABELLED(PING))), NULL, GOSSIP_LABEL, "bad_label"},
    {"another label than is configured", SLICE(LABELLED(PING)), "test", GOSSIP_OTHER_LABEL,
     "other_label"},
    {"no label though one is configured", SLICE(PING), "test", GOSSIP_OTHER_LABEL, "other_label"},
};

static void what_our_node_may_not_send_is_told_as_going_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(REFUSED_OUT) / sizeof(REFUSED_OUT[0]); i++) {
        const struct refused *row = &REFUSED_OUT[i];
        const struct config_gossip settings = {.version = 1, .label = row->label};
        struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_B);
        assert_false(seal_ours(ends, row->wire));
        struct peer *peer = cluster_rig_peer(&ends->ours, PEER, true);
        expect_told(&ends->ours, row->claim, &peer->refused[row->refusal], "out", row->cause);
        ends_free(ends);
    }
}

/* What the real library sends in plaintext, checksummed and compressed, is known for what it is. */
static void plaintext_of_the_real_library_is_known(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/memberlist.json");
    static const char *const SECTIONS[] = {"plain_packets", "plain_streams"};
    for (size_t i = 0; i < 2; i++) {
        size_t index;
        json_t *vector;
        json_array_foreach(json_object_get(vectors, SECTIONS[i]), index, vector)
        {
            slice wire = vectors_bytes(vector, "wire");
            expect_refused_in(&(struct refused){json_string_value(json_object_get(vector, "id")),
                                                wire, NULL, GOSSIP_PLAINTEXT, "plaintext"});
            free((void *)(uintptr_t)wire.at);
        }
        assert_true(index > 3);
    }
    json_decref(vectors);
}

static void sealed_by_somebody_else_is_told_as_such(void **state)
{
    (void)state;
    static const struct {
        const char *claim;
        const char *their_keys;
        slice plain;
        size_t cut;
        int flipped; /* a byte from the front; -1: none */
        enum gossip_refusal refusal;
        const char *cause;
    } ROWS[] = {
        {"another key", CLUSTER_KEY_B, SLICE(PING), 0, -1, GOSSIP_NO_KEY, "no_key_fits"},
        {"another label", CLUSTER_KEY_A, SLICE(LABELLED(PING)), 0, 3, GOSSIP_OTHER_LABEL,
         "other_label"},
        {"cut short", CLUSTER_KEY_A, SLICE(PING), 1, -1, GOSSIP_NO_KEY, "no_key_fits"},
        {"a changed byte", CLUSTER_KEY_A, SLICE(PING), 0, 14, GOSSIP_NO_KEY, "no_key_fits"},
        {"its padding is none", CLUSTER_KEY_A,
         SLICE("\x08"
               "123456789012345"),
         0, 0, GOSSIP_PADDING, "bad_padding"},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, ROWS[i].their_keys);
        seal_theirs(ends, ROWS[i].plain);
        ends->packet.at.len -= ROWS[i].cut;
        if (ROWS[i].flipped >= 0) {
            ends->packet.at.at[ROWS[i].flipped] ^= 1;
        }
        if (open_ours(ends, PEER)) {
            fail_msg("%s: it passed", ROWS[i].claim);
        }
        struct peer *peer = cluster_rig_peer(&ends->ours, PEER, false);
        expect_told(&ends->ours, ROWS[i].claim, &peer->refused[ROWS[i].refusal], "in",
                    ROWS[i].cause);
        ends_free(ends);
    }
}

/* ---- plaintext that the policy takes and sends ---- */

static void plaintext_passes_unchanged_where_it_is_taken(void **state)
{
    (void)state;
    static const slice TAKEN[] = {SLICE(PING), SLICE(COMPOUND), SLICE(LABELLED(PING))};
    const struct config_gossip settings = {.version = 1, .takes_plaintext = true};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
    for (size_t i = 0; i < 3; i++) {
        put(&ends->packet, TAKEN[i]);
        assert_true(open_ours(ends, PEER));
        assert_true(packet_is(&ends->packet, TAKEN[i]));
    }
    assert_int_equal(counted(ends, PEER_CLEAR_IN), 3);
    put(&ends->packet, SLICE("GET / HTTP/1.1\r\n\r\n"));
    assert_false(open_ours(ends, PEER));
    assert_int_equal(counted(ends, PEER_CLEAR_IN), 3);
    seal_theirs(ends, SLICE(PING));
    assert_true(open_ours(ends, PEER));
    assert_true(packet_is(&ends->packet, SLICE(PING)));
    assert_int_equal(counted(ends, PEER_OPENED), 1);
    assert_true(seal_ours(ends, SLICE(PING))); /* taking is not sending */
    assert_false(packet_is(&ends->packet, SLICE(PING)));
    ends_free(ends);
}

static void plaintext_leaves_unchanged_where_it_is_sent(void **state)
{
    (void)state;
    const struct config_gossip settings = {.version = 1, .sends_plaintext = true};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
    assert_true(seal_ours(ends, SLICE(PING)));
    assert_true(packet_is(&ends->packet, SLICE(PING)));
    assert_true(seal_ours(ends, SLICE(LABELLED(PING))));
    assert_true(packet_is(&ends->packet, SLICE(LABELLED(PING))));
    assert_int_equal(counted(ends, PEER_CLEAR_OUT), 2);
    assert_int_equal(counted(ends, PEER_SEALED), 0);
    put(&ends->packet, SLICE(PING)); /* sending is not taking */
    assert_false(open_ours(ends, PEER));
    ends_free(ends);
}

/* ---- labels ---- */

static void the_nodes_own_label_is_learned_and_may_change(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_A);
    assert_true(seal_ours(ends, SLICE(LABELLED(PING))));
    assert_int_equal(ends->ours.cluster.label_len, 4);
    assert_true(slice_starts_with(bytes_of(&ends->packet), SLICE(LABELLED("\x01"))));
    assert_true(seal_ours(ends, SLICE("\xf4\x02"
                                      "eu" PING)));
    assert_true(slice_starts_with(bytes_of(&ends->packet), SLICE("\xf4\x02"
                                                                 "eu\x01")));
    assert_true(seal_ours(ends, SLICE(PING)));
    assert_int_equal(ends->ours.cluster.label_len, 0);
    ends_free(ends);
}

static void a_stranger_teaches_no_label(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_B);
    seal_theirs(ends, SLICE(LABELLED(PING)));
    assert_false(open_ours(ends, PEER));
    assert_int_equal(ends->ours.cluster.label_len, 0);
    ends_free(ends);
}

/* ---- replay ---- */

static void a_packet_passes_once(void **state)
{
    (void)state;
    const struct config_gossip settings = {.version = 1, .replay_window = 64};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
    struct packet recorded;
    seal_theirs(ends, SLICE(PING));
    put(&recorded, bytes_of(&ends->packet));
    assert_true(open_ours(ends, PEER));
    put(&ends->packet, bytes_of(&recorded));
    assert_false(open_ours(ends, PEER));
    assert_int_equal(counted(ends, PEER_REPLAYED), 1);
    assert_int_equal(counted(ends, PEER_OPENED), 1);
    cluster_rig_expect(&ends->ours, "\"peer\":\"10.0.0.7:7946\",\"cause\":\"replayed\"");
    put(&ends->packet, bytes_of(&recorded)); /* nor from another address */
    assert_false(open_ours(ends, PEER + 1));
    assert_int_equal(cluster_rig_peer(&ends->ours, PEER + 1, false)->proven_s, 0);
    ends_free(ends);
}

static void a_packet_of_ours_that_comes_back_is_dropped(void **state)
{
    (void)state;
    const struct config_gossip settings = {.version = 0, .replay_window = 64};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
    assert_true(seal_ours(ends, SLICE(LABELLED(PING))));
    assert_false(open_ours(ends, PEER + 1));
    const struct peer *peer = cluster_rig_peer(&ends->ours, PEER + 1, false);
    assert_int_equal(peer_counter_get(peer, PEER_REPLAYED), 1);
    assert_int_equal(cluster_rig_sum(peer), 1);
    ends_free(ends);
}

static void without_a_window_a_packet_passes_again(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_A);
    struct packet recorded;
    seal_theirs(ends, SLICE(PING));
    put(&recorded, bytes_of(&ends->packet));
    assert_true(open_ours(ends, PEER));
    put(&ends->packet, bytes_of(&recorded));
    assert_true(open_ours(ends, PEER));
    ends_free(ends);
}

/* ---- strangers ---- */

static void a_flood_of_strangers_is_throttled_and_proven_peers_are_served(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_A);
    struct cluster *cluster = &ends->ours.cluster;
    cluster->uptime_s = UINT32_MAX; /* no tick comes in between */
    seal_theirs(ends, SLICE(PING));
    assert_true(open_ours(ends, PEER));
    for (uint32_t number = 0; number < 5000; number++) {
        put(&ends->packet, SLICE("\x01" CLUSTER_TEN("noise")));
        assert_false(open_ours(ends, 1000 + number));
    }
    uint64_t throttled = 0;
    uint64_t tried = 0;
    for (size_t i = 0; i < ends->ours.pages->used; i++) {
        throttled += ends->ours.pages->peers[i].at[PEER_THROTTLED];
        tried += ends->ours.pages->peers[i].refused[GOSSIP_NO_KEY];
    }
    assert_int_equal(throttled, 4000);
    assert_int_equal(tried, 1000);
    seal_theirs(ends, SLICE(PING));
    assert_false(open_ours(ends, 900)); /* it would fit, but nobody knows */
    seal_theirs(ends, SLICE(PING));
    assert_true(open_ours(ends, PEER));
    cluster->now_s += 61; /* proven too long ago */
    seal_theirs(ends, SLICE(PING));
    assert_false(open_ours(ends, PEER));
    cluster_tick(cluster); /* the next second */
    seal_theirs(ends, SLICE(PING));
    assert_true(open_ours(ends, PEER));
    ends_free(ends);
}

/* Peers that cannot seal yet prove nothing, and may have much to say. */
static void plaintext_that_is_taken_uses_up_no_trials(void **state)
{
    (void)state;
    const struct config_gossip settings = {.version = 1, .takes_plaintext = true};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
    ends->ours.cluster.uptime_s = UINT32_MAX;
    for (int i = 0; i < 3000; i++) {
        put(&ends->packet, SLICE(PING));
        assert_true(open_ours(ends, PEER));
    }
    assert_int_equal(counted(ends, PEER_CLEAR_IN), 3000);
    ends_free(ends);
}

static void the_log_of_a_flood_stays_short(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_A);
    for (uint32_t number = 0; number < 5000; number++) {
        put(&ends->packet, SLICE("\x01" CLUSTER_TEN("noise")));
        assert_false(open_ours(ends, 1000 + number));
    }
    assert_in_range(cluster_rig_count(&ends->ours, "gossip_refused"), 20, 20 * 5);
    ends_free(ends);
}

/* ---- mode relay ---- */

#define ALIVE(ip)                                                                                  \
    "\x04\x82\xa4"                                                                                 \
    "Addr\xa4" ip "\xa4"                                                                           \
    "Port\xcd\x1f\x0a"
#define PUSH(ip)                                                                                   \
    "\x06\x83\xa4"                                                                                 \
    "Join\xc3\xa5Nodes\x01\xacUserStateLen\x00\x82\xa4"                                            \
    "Addr\xa4" ip "\xa4Port\xcd\x1f\x0a"
#define ASK(ip)       "\x01\x83\xa5SeqNo\x01\xa6Target\xa4" ip "\xa4Port\xcd\x1f\x0a"
#define ANSWER_AT(ip) "\x00\x83\xa5SeqNo\1\xaaSourceAddr\xa4" ip "\xaaSourcePort\xcd\x1f\x0a"
#define MAPPED_IP     "\x7f\x00\x00\x02"
#define NODE_IP       "\x7f\x00\x00\x01"
#define REAL_IP       "\x0a\x00\x00\x07"

static struct config_address address_of(const char *ip, uint16_t port)
{
    struct config_address address = {.kind = CONFIG_ADDRESS_IP4, .port = port};
    memcpy(address.ip, ip, 4);
    return address;
}

static struct ends *relay_ends(struct config_gossip_peer *member, bool is_clear)
{
    *member = (struct config_gossip_peer){.stand_in = address_of(MAPPED_IP, CLUSTER_PORT),
                                          .address = address_of(REAL_IP, CLUSTER_PORT)};
    const struct config_gossip settings = {
        .version = 1,
        .mode = CONFIG_GOSSIP_RELAY,
        .takes_plaintext = is_clear,
        .sends_plaintext = is_clear,
        .node = {.stand_in = address_of(NODE_IP, CLUSTER_PORT),
                 .address = address_of("\x0a\x00\x00\x01", CLUSTER_PORT)},
        .peers = member,
        .peer_count = 1,
    };
    return ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
}

static const struct {
    const char *claim;
    slice message;
    bool passes;
    enum peer_counter counter; /* when not */
} MAPPED[] = {
    {"an alive of a stand-in", SLICE(ALIVE(MAPPED_IP)), true, 0},
    {"an alive of our node's stand-in", SLICE(ALIVE(NODE_IP)), true, 0},
    {"a ping that asks nothing", SLICE(PING), true, 0},
    {"a ping to be answered at a stand-in", SLICE(ANSWER_AT(MAPPED_IP)), true, 0},
    {"an indirect ping of a stand-in", SLICE(ASK(MAPPED_IP)), true, 0},
    {"a push/pull with a stand-in", SLICE(PUSH(MAPPED_IP)), true, 0},
    {"an alive of a real address", SLICE(ALIVE(REAL_IP)), false, PEER_UNMAPPED},
    {"a push/pull with a real address", SLICE(PUSH(REAL_IP)), false, PEER_UNMAPPED},
    {"a ping to be answered at a real address", SLICE(ANSWER_AT(REAL_IP)), false, PEER_UNMAPPED},
    {"an indirect ping of a real address", SLICE(ASK(REAL_IP)), false, PEER_UNMAPPED},
    {"an alive of no address", SLICE("\x04\x80"), false, PEER_UNMAPPED},
    {"what is no message", SLICE("\x63 is no type"), false, PEER_MALFORMED},
    {"an alive that is cut short", SLICE("\x04\x82\xa4"), false, PEER_MALFORMED},
};

static void expect_mapped(struct ends *ends, size_t row, bool passed)
{
    if (passed != MAPPED[row].passes) {
        fail_msg("%s: %s", MAPPED[row].claim, passed ? "passed" : "refused");
    }
    if (passed) {
        assert_true(packet_is(&ends->packet, MAPPED[row].message) ||
                    counted(ends, PEER_SEALED) == 1);
        return;
    }
    assert_int_equal(counted(ends, MAPPED[row].counter), 1);
    char cause[64];
    (void)snprintf(cause, sizeof(cause), "\"peer\":\"10.0.0.7:7946\",\"cause\":\"%s\"",
                   peer_counter_name(MAPPED[row].counter));
    cluster_rig_expect(&ends->ours, cause);
}

static void no_address_beside_the_map_passes_either_way(void **state)
{
    (void)state;
    struct config_gossip_peer member;
    for (size_t i = 0; i < sizeof(MAPPED) / sizeof(MAPPED[0]); i++) {
        struct ends *ends = relay_ends(&member, false);
        expect_mapped(ends, i, seal_ours(ends, MAPPED[i].message));
        ends_free(ends);
        ends = relay_ends(&member, false);
        seal_theirs(ends, MAPPED[i].message);
        expect_mapped(ends, i, open_ours(ends, PEER));
        assert_int_equal(counted(ends, PEER_OPENED), 1);
        ends_free(ends);
    }
}

static void nor_in_plaintext(void **state)
{
    (void)state;
    struct config_gossip_peer member;
    for (size_t i = 0; i < sizeof(MAPPED) / sizeof(MAPPED[0]); i++) {
        struct ends *ends = relay_ends(&member, true);
        expect_mapped(ends, i, seal_ours(ends, MAPPED[i].message));
        ends_free(ends);
        if (MAPPED[i].counter == PEER_MALFORMED && !MAPPED[i].passes) {
            continue; /* coming in it is no plaintext at all */
        }
        ends = relay_ends(&member, true);
        put(&ends->packet, MAPPED[i].message);
        expect_mapped(ends, i, open_ours(ends, PEER));
        ends_free(ends);
    }
}

static void in_mode_transparent_any_address_passes(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_A);
    assert_true(seal_ours(ends, SLICE(ALIVE(REAL_IP))));
    seal_theirs(ends, SLICE(ALIVE(REAL_IP)));
    assert_true(open_ours(ends, PEER));
    ends_free(ends);
}

/* ---- frames ---- */

enum { BEFORE = GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES };

static const struct bytes LABEL = {(const uint8_t *)"prod", 4};

static size_t seal_frame(struct ends *ends, slice message, struct bytes label)
{
    size_t len = 0;
    memcpy(ends->packet.room + BEFORE, message.at, message.len);
    assert_true(cluster_seal_message(&ends->theirs.cluster,
                                     cluster_rig_peer(&ends->theirs, 1, true), label,
                                     ends->packet.room, message.len, &len));
    return len;
}

static bool open_frame(struct ends *ends, struct bytes label, size_t len, struct bytes *message)
{
    return cluster_open_frame(&ends->ours.cluster, cluster_rig_peer(&ends->ours, PEER, false),
                              label, ends->packet.room, len, message);
}

static void a_frame_is_opened_once_and_with_its_own_label(void **state)
{
    (void)state;
    const struct config_gossip settings = {.version = 1, .replay_window = 64};
    struct ends *ends = ends_new(&settings, CLUSTER_KEY_A, CLUSTER_KEY_A);
    struct bytes message = {0};
    size_t len = seal_frame(ends, SLICE(PING), LABEL);
    struct packet recorded;
    memcpy(recorded.room, ends->packet.room, len);
    assert_false(open_frame(ends, (struct bytes){0}, len, &message));
    assert_int_equal(cluster_rig_peer(&ends->ours, PEER, false)->refused[GOSSIP_NO_KEY], 1);
    assert_true(open_frame(ends, LABEL, len, &message));
    assert_true(slice_equal((slice){(const char *)message.at, message.len}, SLICE(PING)));
    memcpy(ends->packet.room, recorded.room, len);
    assert_false(open_frame(ends, LABEL, len, &message));
    assert_int_equal(counted(ends, PEER_REPLAYED), 1);
    cluster_rig_expect(&ends->ours, "\"direction\":\"in\",\"transport\":\"tcp\","
                                    "\"peer\":\"10.0.0.7:7946\",\"cause\":\"replayed\"");
    ends_free(ends);
}

static void frames_of_strangers_are_throttled_with_their_packets(void **state)
{
    (void)state;
    struct ends *ends = ends_new(NULL, CLUSTER_KEY_A, CLUSTER_KEY_B);
    struct bytes message = {0};
    ends->ours.cluster.uptime_s = UINT32_MAX;
    ends->ours.cluster.trials = 1;
    size_t len = seal_frame(ends, SLICE(PING), LABEL);
    assert_false(open_frame(ends, LABEL, len, &message));
    assert_false(open_frame(ends, LABEL, len, &message));
    assert_int_equal(counted(ends, PEER_THROTTLED), 1);
    put(&ends->packet, SLICE("\x01" CLUSTER_TEN("noise")));
    assert_false(open_ours(ends, PEER));
    assert_int_equal(counted(ends, PEER_THROTTLED), 2);
    ends_free(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_node_opens_what_was_sealed_to_the_same_bytes),
        cmocka_unit_test(what_was_sealed_and_opened_is_counted_by_peer_and_key),
        cmocka_unit_test(what_is_refused_is_counted_and_told_under_its_own_name),
        cmocka_unit_test(what_our_node_may_not_send_is_told_as_going_out),
        cmocka_unit_test(plaintext_of_the_real_library_is_known),
        cmocka_unit_test(sealed_by_somebody_else_is_told_as_such),
        cmocka_unit_test(plaintext_passes_unchanged_where_it_is_taken),
        cmocka_unit_test(plaintext_leaves_unchanged_where_it_is_sent),
        cmocka_unit_test(the_nodes_own_label_is_learned_and_may_change),
        cmocka_unit_test(a_stranger_teaches_no_label),
        cmocka_unit_test(a_packet_passes_once),
        cmocka_unit_test(a_packet_of_ours_that_comes_back_is_dropped),
        cmocka_unit_test(without_a_window_a_packet_passes_again),
        cmocka_unit_test(a_flood_of_strangers_is_throttled_and_proven_peers_are_served),
        cmocka_unit_test(plaintext_that_is_taken_uses_up_no_trials),
        cmocka_unit_test(the_log_of_a_flood_stays_short),
        cmocka_unit_test(no_address_beside_the_map_passes_either_way),
        cmocka_unit_test(nor_in_plaintext),
        cmocka_unit_test(in_mode_transparent_any_address_passes),
        cmocka_unit_test(a_frame_is_opened_once_and_with_its_own_label),
        cmocka_unit_test(frames_of_strangers_are_throttled_with_their_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
