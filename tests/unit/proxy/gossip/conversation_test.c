/* tests/unit/proxy/gossip/conversation_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/conversation_rig.h"

#define PUSH                                                                                       \
    "\x06\x83\xa4"                                                                                 \
    "Join\xc3\xa5Nodes\x01\xacUserStateLen\x03\x82\xa4"                                            \
    "Addr\xa4\x7f\0\0\x02\xa4Port\xcd\x1f\x0a"                                                     \
    "abc"
#define ANSWER                                                                                     \
    "\x06\x83\xa4"                                                                                 \
    "Join\xc2\xa5Nodes\x01\xacUserStateLen\x05\x82\xa4"                                            \
    "Addr\xa4\x7f\0\0\x01\xa4Port\xcd\x1f\x0a"                                                     \
    "state"
#define USER  "\x08\x81\xaaUserMsgLen\x05hello"
#define LABEL "\xf4\x04prod"

static const slice NO_LABEL = {"", 0};
static const slice PROD = {"prod", 4};

static int set_up(void **state)
{
    struct conversation_rig *rig = malloc(sizeof(*rig));
    assert_non_null(rig);
    conversation_rig_init(rig, NULL);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    conversation_rig_fini(*state);
    free(*state);
    return 0;
}

/* Another configuration than the one that set_up has made. */
static void set_up_again(struct conversation_rig *rig, const struct config_gossip *settings)
{
    conversation_rig_fini(rig);
    conversation_rig_init(rig, settings);
}

static slice heard(const struct end *end)
{
    return (slice){end->got, end->len};
}

/* In two parts with turns in between; a part of 0 bytes is none. */
static void push_split(struct conversation_rig *rig, struct end *end, slice bytes, size_t at)
{
    if (at > 0) {
        assert_int_equal(end_push(end, slice_first(bytes, at)), at);
        conversation_rig_turn(rig);
    }
    assert_int_equal(end_push(end, slice_from(bytes, at)), bytes.len - at);
    conversation_rig_turn(rig);
}

static void push_bytes(struct conversation_rig *rig, struct end *end, slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        assert_int_equal(end_push(end, (slice){bytes.at + i, 1}), 1);
        conversation_rig_turn(rig);
    }
}

static uint64_t counted(struct conversation_rig *rig, enum peer_counter counter)
{
    return peer_counter_get(conversation_rig_peer(rig), counter);
}

static uint64_t refused(struct conversation_rig *rig, enum gossip_refusal refusal)
{
    return conversation_rig_peer(rig)->refused[refusal];
}

static void expect_log(struct conversation_rig *rig, const char *direction, const char *cause)
{
    char line[160];
    (void)snprintf(line, sizeof(line),
                   "\"direction\":\"%s\",\"transport\":\"tcp\",\"peer\":\"10.0.0.7:7946\","
                   "\"cause\":\"%s\"",
                   direction, cause);
    cluster_rig_expect(&rig->ours, line);
}

/* Near was reset, and of the answer it got nothing. */
static void expect_near_reset(struct conversation_rig *rig)
{
    conversation_rig_turn(rig);
    turns_until(&rig->turns, conversation_rig_near_ended, rig);
    assert_true(rig->near.was_reset);
    assert_int_equal(rig->near.len, 0);
    conversation_rig_finish(rig);
}

/* Near got all of the answer, and an orderly end. */
static void expect_near_ended(struct conversation_rig *rig)
{
    conversation_rig_turn(rig);
    turns_until(&rig->turns, conversation_rig_near_ended, rig);
    assert_false(rig->near.was_reset);
    conversation_rig_finish(rig);
}

/* ---- out: our node asks a peer ---- */

static void expect_sealed(struct conversation_rig *rig, slice header, slice label, slice message)
{
    assert_true(slice_starts_with(heard(&rig->far), header));
    assert_true(
        conversation_rig_opens(rig, slice_from(heard(&rig->far), header.len), label, message));
}

static void exchange_out(struct conversation_rig *rig, slice request, size_t split,
                         size_t answer_split)
{
    bool has_label = (uint8_t)request.at[0] == GOSSIP_LABEL_TYPE;
    slice header = has_label ? SLICE(LABEL) : NO_LABEL;
    slice label = has_label ? PROD : NO_LABEL;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_split(rig, &rig->near, request, split);
    expect_sealed(rig, header, label, slice_from(request, header.len));
    push_split(rig, &rig->far, conversation_rig_seal(rig, SLICE(ANSWER), label), answer_split);
    expect_near_ended(rig);
    assert_true(end_heard(&rig->near, SLICE(ANSWER)));
}

static void a_request_goes_out_sealed_and_its_answer_comes_back_opened(void **state)
{
    struct conversation_rig *rig = *state;
    static const slice REQUESTS[] = {SLICE(PUSH), SLICE(LABEL PUSH)};
    static const unsigned VERSIONS[] = {0, 1};
    for (size_t i = 0; i < 4; i++) {
        set_up_again(rig, &(struct config_gossip){.version = VERSIONS[i % 2]});
        exchange_out(rig, REQUESTS[i / 2], 0, 0);
        assert_int_equal(counted(rig, PEER_SEALED), 1);
        assert_int_equal(counted(rig, PEER_OPENED), 1);
        assert_int_equal(cluster_rig_sum(conversation_rig_peer(rig)), 2);
    }
}

static void wherever_request_and_answer_are_split(void **state)
{
    struct conversation_rig *rig = *state;
    slice request = SLICE(LABEL PUSH);
    for (size_t split = 1; split < request.len; split++) {
        exchange_out(rig, request, split, 0);
    }
    size_t answer_len = gossip_frame_bytes(1, sizeof(ANSWER) - 1);
    for (size_t split = 1; split < answer_len; split++) {
        exchange_out(rig, request, 0, split);
    }
}

static void and_byte_by_byte(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_bytes(rig, &rig->near, SLICE(LABEL PUSH));
    expect_sealed(rig, SLICE(LABEL), PROD, SLICE(PUSH));
    push_bytes(rig, &rig->far, conversation_rig_seal(rig, SLICE(ANSWER), PROD));
    expect_near_ended(rig);
    assert_true(end_heard(&rig->near, SLICE(ANSWER)));
}

static void a_user_message_is_delivered_though_the_node_closes_at_once(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    assert_int_equal(end_push(&rig->near, SLICE(USER)), sizeof(USER) - 1);
    end_close(&rig->near);
    conversation_rig_turn(rig);
    expect_sealed(rig, NO_LABEL, NO_LABEL, SLICE(USER));
    assert_true(rig->far.has_ended && !rig->far.was_reset);
    end_close(&rig->far);
    conversation_rig_finish(rig);
}

static void half_an_end_is_passed_on_and_the_answer_still_comes(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    assert_int_equal(end_push(&rig->near, SLICE(PUSH)), sizeof(PUSH) - 1);
    assert_int_equal(shutdown(rig->near.descriptor, SHUT_WR), 0);
    conversation_rig_turn(rig);
    assert_true(rig->far.has_ended && !rig->far.was_reset);
    (void)end_push(&rig->far, conversation_rig_seal(rig, SLICE(ANSWER), NO_LABEL));
    expect_near_ended(rig);
    assert_true(end_heard(&rig->near, SLICE(ANSWER)));
}

static void a_peer_that_closes_without_an_answer_is_an_orderly_end(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_split(rig, &rig->near, SLICE(USER), 0);
    end_close(&rig->far);
    rig->far.has_ended = true;
    expect_near_ended(rig);
    assert_int_equal(rig->near.len, 0);
}

/* ---- out: what does not pass ---- */

static const struct {
    const char *claim;
    slice said;
    enum peer_counter counter;
    const char *sentence;
} NO_MESSAGE[] = {
    {"dskit's transport", SLICE("\x01\x09some.host"), PEER_MALFORMED, "dskit"},
    {"a node that encrypts by itself", SLICE("\x0a\0\0\0\x50\x01"), PEER_MALFORMED,
     "no gossip message"},
    {"HTTP", SLICE("GET / HTTP/1.1\r\n"), PEER_MALFORMED, "no gossip message"},
    {"a user message above 20 MiB", SLICE("\x08\x81\xaaUserMsgLen\xce\x01\x40\0\0"), PEER_MALFORMED,
     "20 MiB"},
    {"more bytes behind the message", SLICE(USER "x"), PEER_MALFORMED, "more bytes follow"},
    {"an address that is not in the map",
     SLICE("\x06\x83\xa4"
           "Join\xc3\xa5Nodes\x01\xacUserStateLen\x00\x82\xa4"
           "Addr\xa4\x0a\0\0\x02\xa4Port\xcd\x1f\x0a"),
     PEER_UNMAPPED, "not in the map"},
};

static void what_is_no_message_resets_the_node_and_reaches_nobody(void **state)
{
    struct conversation_rig *rig = *state;
    for (size_t i = 0; i < sizeof(NO_MESSAGE) / sizeof(NO_MESSAGE[0]); i++) {
        set_up_again(rig, NULL);
        conversation_rig_open(rig, CLUSTER_OUT, true);
        push_split(rig, &rig->near, NO_MESSAGE[i].said, 0);
        expect_near_reset(rig);
        assert_int_equal(rig->far.len, 0);
        if (counted(rig, NO_MESSAGE[i].counter) != 1 ||
            cluster_rig_sum(conversation_rig_peer(rig)) != 1) {
            fail_msg("%s:\n%s", NO_MESSAGE[i].claim, cluster_rig_log(&rig->ours));
        }
        expect_log(rig, "out", peer_counter_name(NO_MESSAGE[i].counter));
        cluster_rig_expect(&rig->ours, NO_MESSAGE[i].sentence);
    }
}

static void a_message_that_ends_in_the_middle_reaches_nobody(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    (void)end_push(&rig->near, slice_first(SLICE(USER), 10));
    assert_int_equal(shutdown(rig->near.descriptor, SHUT_WR), 0);
    expect_near_reset(rig);
    assert_int_equal(rig->far.len, 0);
    assert_int_equal(refused(rig, GOSSIP_SHORT), 1);
    expect_log(rig, "out", "truncated");
}

static void bytes_that_come_while_the_answer_is_awaited_end_it(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_split(rig, &rig->near, SLICE(USER "x"), sizeof(USER) - 1);
    expect_near_reset(rig);
    assert_int_equal(counted(rig, PEER_MALFORMED), 1);
}

static void another_label_than_is_configured_is_refused(void **state)
{
    struct conversation_rig *rig = *state;
    static const slice SAID[] = {SLICE(LABEL PUSH), SLICE(PUSH)};
    for (size_t i = 0; i < 2; i++) {
        set_up_again(rig, &(struct config_gossip){.version = 1, .label = "test"});
        conversation_rig_open(rig, CLUSTER_OUT, true);
        push_split(rig, &rig->near, SAID[i], 0);
        expect_near_reset(rig);
        assert_int_equal(refused(rig, GOSSIP_OTHER_LABEL), 1);
        assert_int_equal(rig->far.len, 0);
    }
}

static void a_peer_that_does_not_listen_resets_the_node(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, false);
    (void)end_push(&rig->near, SLICE(PUSH));
    expect_near_reset(rig);
    assert_int_equal(counted(rig, PEER_NOT_DIALLED), 1);
    expect_log(rig, "out", "not_dialled");
}

static void expect_answer_refused(struct conversation_rig *rig, slice answer, bool ends,
                                  enum gossip_refusal refusal)
{
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_split(rig, &rig->near, SLICE(PUSH), 0);
    (void)end_push(&rig->far, answer);
    if (ends) {
        assert_int_equal(shutdown(rig->far.descriptor, SHUT_WR), 0);
    }
    expect_near_reset(rig);
    assert_int_equal(refused(rig, refusal), 1);
    expect_log(rig, "in", gossip_refusal_name(refusal));
}

static void an_answer_that_no_key_of_ours_opens_never_reaches_the_node(void **state)
{
    struct conversation_rig *rig = *state;
    expect_answer_refused(rig, SLICE(ANSWER), false, GOSSIP_PLAINTEXT);
    expect_answer_refused(rig, SLICE("HTTP/1.1 400 Bad Request\r\n"), false, GOSSIP_FRAME);
    expect_answer_refused(rig, SLICE("\x0a\0\0\0\x05"), false, GOSSIP_SHORT);
    expect_answer_refused(rig, SLICE("\x0a\x7f\0\0\0"), false, GOSSIP_LONG);
    slice other = conversation_rig_seal(rig, SLICE(ANSWER), PROD);
    expect_answer_refused(rig, other, false, GOSSIP_NO_KEY);
    set_up_again(rig, NULL);
    slice whole = conversation_rig_seal(rig, SLICE(ANSWER), NO_LABEL);
    expect_answer_refused(rig, slice_first(whole, whole.len - 1), true, GOSSIP_SHORT);
}

static void a_peer_that_resets_resets_the_node(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_split(rig, &rig->near, SLICE(PUSH), 0);
    end_reset(&rig->far);
    rig->far.has_ended = true;
    expect_near_reset(rig);
}

/* ---- in: a peer asks our node ---- */

static void exchange_in(struct conversation_rig *rig, slice header, slice label, size_t split)
{
    static char wire[4096];
    slice frame = conversation_rig_seal(rig, SLICE(PUSH), label);
    memcpy(wire, header.at, header.len);
    memcpy(wire + header.len, frame.at, frame.len);
    conversation_rig_open(rig, CLUSTER_IN, true);
    push_split(rig, &rig->near, (slice){wire, header.len + frame.len}, split);
    assert_true(slice_starts_with(heard(&rig->far), header));
    assert_true(slice_equal(slice_from(heard(&rig->far), header.len), SLICE(PUSH)));
    push_split(rig, &rig->far, SLICE(ANSWER), split % sizeof(ANSWER));
    expect_near_ended(rig);
    assert_true(conversation_rig_opens(rig, heard(&rig->near), label, SLICE(ANSWER)));
}

static void a_request_comes_in_opened_and_its_answer_leaves_sealed(void **state)
{
    struct conversation_rig *rig = *state;
    size_t len = 6 + gossip_frame_bytes(1, sizeof(PUSH) - 1);
    exchange_in(rig, NO_LABEL, NO_LABEL, 0);
    for (size_t split = 0; split < len; split++) {
        exchange_in(rig, SLICE(LABEL), PROD, split);
    }
    assert_int_equal(counted(rig, PEER_OPENED), len + 1);
    assert_int_equal(counted(rig, PEER_SEALED), len + 1);
    assert_int_equal(cluster_rig_sum(conversation_rig_peer(rig)), 2 * (len + 1));
}

/* For whoever has to choose which conversation gives way. */
static void a_peer_is_proven_by_what_was_opened_and_our_node_from_the_start(void **state)
{
    struct conversation_rig *rig = *state;
    slice frame = conversation_rig_seal(rig, SLICE(PUSH), NO_LABEL);
    conversation_rig_open(rig, CLUSTER_IN, true);
    (void)end_push(&rig->near, slice_first(frame, frame.len - 1));
    conversation_rig_turn(rig);
    assert_false(rig->conversation->is_proven);
    (void)end_push(&rig->near, slice_from(frame, frame.len - 1));
    conversation_rig_turn(rig);
    assert_true(rig->conversation->is_proven);
    conversation_abort(rig->conversation);
    conversation_rig_finish(rig);
    conversation_rig_open(rig, CLUSTER_OUT, true);
    assert_true(rig->conversation->is_proven);
}

/* Sealed with our key, so that whoever has that learns why; our node hears nothing. */
static void expect_error_answer(struct conversation_rig *rig, slice wire, slice label)
{
    conversation_rig_open(rig, CLUSTER_IN, true);
    (void)end_push(&rig->near, wire);
    expect_near_ended(rig);
    if (!conversation_rig_opens(rig, heard(&rig->near), label,
                                SLICE("\x0d\x81\xa5"
                                      "Error\xbbnot encrypted with our keys"))) {
        fail_msg("no error came back:\n%s", cluster_rig_log(&rig->ours));
    }
    assert_int_equal(rig->far.descriptor, -1);
}

/* The other node seals with a key that we have not, and opens what we seal. */
static slice seal_foreign(struct conversation_rig *rig, slice message, slice label)
{
    static const char TEXT[] = CLUSTER_KEY_B CLUSTER_KEY_A;
    struct crypto_error error;
    assert_int_equal(cluster_set_ring(&rig->theirs.cluster,
                                      (struct bytes){(const uint8_t *)TEXT, sizeof(TEXT) - 1},
                                      &error),
                     STATUS_OK);
    return conversation_rig_seal(rig, message, label);
}

static void a_frame_of_another_key_is_answered_with_an_error_and_our_node_is_not_dialled(
    void **state)
{
    struct conversation_rig *rig = *state;
    expect_error_answer(rig, seal_foreign(rig, SLICE(PUSH), NO_LABEL), NO_LABEL);
    assert_int_equal(refused(rig, GOSSIP_NO_KEY), 1);
    expect_log(rig, "in", "no_key_fits");
}

static void the_error_has_the_label_of_the_request(void **state)
{
    struct conversation_rig *rig = *state;
    char wire[4096] = LABEL;
    slice frame = seal_foreign(rig, SLICE(PUSH), PROD);
    memcpy(wire + 6, frame.at, frame.len);
    expect_error_answer(rig, (slice){wire, 6 + frame.len}, PROD);
    expect_error_answer(rig, SLICE(LABEL PUSH), PROD);
    assert_int_equal(refused(rig, GOSSIP_PLAINTEXT), 1);
}

static void what_is_no_frame_is_answered_with_an_error(void **state)
{
    static const struct {
        slice wire;
        enum gossip_refusal refusal;
    } ROWS[] = {
        {SLICE(PUSH), GOSSIP_PLAINTEXT},
        {SLICE(USER), GOSSIP_PLAINTEXT},
        {SLICE("GET / HTTP/1.1"), GOSSIP_FRAME},
        {SLICE("\x01\x04host"), GOSSIP_FRAME},
        {SLICE("\x0a\x01\x40\0\x01"), GOSSIP_LONG},
        {SLICE("\x0a\0\0\0\x1c"), GOSSIP_SHORT},
    };
    struct conversation_rig *rig = *state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        set_up_again(rig, NULL);
        expect_error_answer(rig, ROWS[i].wire, NO_LABEL);
        assert_int_equal(refused(rig, ROWS[i].refusal), 1);
        assert_int_equal(conversation_rig_peer(rig)->proven_s, 0);
        expect_log(rig, "in", gossip_refusal_name(ROWS[i].refusal));
    }
}

/* As the library does: an answer would have to be sealed with a label. */
static void a_malformed_label_is_a_reset_without_a_word(void **state)
{
    static const slice WIRES[] = {{"\xf4\0\x0a", 3}, {LABEL LABEL, sizeof(LABEL LABEL) - 1}};
    struct conversation_rig *rig = *state;
    for (size_t i = 0; i < sizeof(WIRES) / sizeof(WIRES[0]); i++) {
        set_up_again(rig, NULL);
        conversation_rig_open(rig, CLUSTER_IN, true);
        (void)end_push(&rig->near, WIRES[i]);
        expect_near_reset(rig);
        assert_int_equal(refused(rig, GOSSIP_LABEL), 1);
    }
}

static void a_frame_that_was_recorded_is_not_taken_again(void **state)
{
    struct conversation_rig *rig = *state;
    char recorded[512];
    set_up_again(rig, &(struct config_gossip){.version = 1, .replay_window = 64});
    slice frame = conversation_rig_seal(rig, SLICE(USER), NO_LABEL);
    memcpy(recorded, frame.at, frame.len);
    conversation_rig_open(rig, CLUSTER_IN, true);
    push_split(rig, &rig->near, frame, 0);
    assert_true(end_heard(&rig->far, SLICE(USER)));
    end_close(&rig->far);
    rig->far.has_ended = true;
    expect_near_ended(rig);
    expect_error_answer(rig, (slice){recorded, frame.len}, NO_LABEL);
    assert_int_equal(counted(rig, PEER_REPLAYED), 1);
}

static void a_frame_that_ends_in_the_middle_is_a_reset(void **state)
{
    struct conversation_rig *rig = *state;
    slice frame = conversation_rig_seal(rig, SLICE(PUSH), NO_LABEL);
    for (size_t len = 1; len < frame.len; len += 13) {
        set_up_again(rig, NULL);
        frame = conversation_rig_seal(rig, SLICE(PUSH), NO_LABEL);
        conversation_rig_open(rig, CLUSTER_IN, true);
        (void)end_push(&rig->near, slice_first(frame, len));
        assert_int_equal(shutdown(rig->near.descriptor, SHUT_WR), 0);
        expect_near_reset(rig);
        assert_int_equal(refused(rig, GOSSIP_SHORT), 1);
        assert_int_equal(rig->far.descriptor, -1);
    }
}

static void whoever_only_looks_whether_the_port_is_open_is_not_complained_of(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_IN, true);
    conversation_rig_turn(rig);
    assert_int_equal(shutdown(rig->near.descriptor, SHUT_WR), 0);
    expect_near_ended(rig);
    assert_int_equal(cluster_rig_sum(conversation_rig_peer(rig)), 0);
    assert_int_equal(rig->far.descriptor, -1);
}

static void our_node_that_does_not_listen_resets_the_peer(void **state)
{
    struct conversation_rig *rig = *state;
    slice frame = conversation_rig_seal(rig, SLICE(PUSH), NO_LABEL);
    conversation_rig_open(rig, CLUSTER_IN, false);
    (void)end_push(&rig->near, frame);
    expect_near_reset(rig);
    assert_int_equal(counted(rig, PEER_NOT_DIALLED), 1);
    assert_int_equal(counted(rig, PEER_OPENED), 1);
}

static void plaintext_comes_in_where_it_is_taken_and_leaves_where_it_is_sent(void **state)
{
    struct conversation_rig *rig = *state;
    for (int sends = 0; sends < 2; sends++) {
        set_up_again(rig, &(struct config_gossip){.version = 1,
                                                  .takes_plaintext = true,
                                                  .sends_plaintext = sends != 0});
        conversation_rig_open(rig, CLUSTER_IN, true);
        push_bytes(rig, &rig->near, SLICE(LABEL PUSH));
        assert_true(end_heard(&rig->far, SLICE(LABEL PUSH)));
        push_split(rig, &rig->far, SLICE(ANSWER), 5);
        expect_near_ended(rig);
        assert_int_equal(end_heard(&rig->near, SLICE(ANSWER)), sends);
        assert_int_equal(counted(rig, PEER_CLEAR_IN), 1);
        assert_int_equal(counted(rig, PEER_CLEAR_OUT), sends);
        assert_int_equal(counted(rig, PEER_SEALED), 1 - sends);
        if (sends == 0) {
            exchange_in(rig, NO_LABEL, NO_LABEL, 0);
        }
    }
}

/* A push/pull with the real address of somebody, which our node would dial by itself. */
#define UNMAPPED                                                                                   \
    "\x06\x83\xa4"                                                                                 \
    "Join\xc3\xa5Nodes\x01\xacUserStateLen\x00\x82\xa4"                                            \
    "Addr\xa4\x0a\0\0\x02\xa4Port\xcd\x1f\x0a"

static void an_address_beside_the_map_reaches_our_node_in_no_frame(void **state)
{
    struct conversation_rig *rig = *state;
    expect_error_answer(rig, conversation_rig_seal(rig, SLICE(UNMAPPED), NO_LABEL), NO_LABEL);
    assert_int_equal(counted(rig, PEER_UNMAPPED), 1);
    expect_log(rig, "in", "unmapped");
    conversation_rig_open(rig, CLUSTER_OUT, true);
    push_split(rig, &rig->near, SLICE(PUSH), 0);
    (void)end_push(&rig->far, conversation_rig_seal(rig, SLICE(UNMAPPED), NO_LABEL));
    expect_near_reset(rig);
    assert_int_equal(counted(rig, PEER_UNMAPPED), 2);
}

/* ---- size and memory ---- */

/* A user message of that many bytes in all. */
static slice long_message(size_t len)
{
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, "\x08\x81\xaaUserMsgLen\xce", 14);
    size_t tail = len - 18;
    for (size_t i = 0; i < 4; i++) {
        bytes[14 + i] = (char)(tail >> 8 * (3 - i));
    }
    for (size_t i = 18; i < len; i++) {
        bytes[i] = (char)(i * 31 + i / 4093);
    }
    return (slice){bytes, len};
}

static bool far_has_all(void *self)
{
    struct conversation_rig *rig = self;
    (void)conversation_rig_listens(rig);
    return rig->far.len == GOSSIP_FRAME_BYTES_MAX + GOSSIP_FRAME_HEAD_BYTES - GOSSIP_TAG_BYTES;
}

static void the_longest_message_passes_whole(void **state)
{
    struct conversation_rig *rig = *state;
    size_t most = GOSSIP_FRAME_BYTES_MAX - GOSSIP_HEAD_BYTES - GOSSIP_TAIL_BYTES_MAX;
    slice message = long_message(most);
    conversation_rig_open(rig, CLUSTER_OUT, true);
    conversation_rig_push(rig, &rig->near, message);
    turns_until(&rig->turns, far_has_all, rig);
    expect_sealed(rig, NO_LABEL, NO_LABEL, message);
    end_close(&rig->far);
    rig->far.has_ended = true;
    expect_near_ended(rig);
    free((void *)(uintptr_t)message.at);
}

static void a_byte_more_is_refused_before_it_is_gathered(void **state)
{
    struct conversation_rig *rig = *state;
    size_t most = GOSSIP_FRAME_BYTES_MAX - GOSSIP_HEAD_BYTES - GOSSIP_TAIL_BYTES_MAX;
    slice message = long_message(most + 1);
    conversation_rig_open(rig, CLUSTER_OUT, true);
    (void)end_push(&rig->near, slice_first(message, 18));
    expect_near_reset(rig);
    assert_int_equal(counted(rig, PEER_MALFORMED), 1);
    free((void *)(uintptr_t)message.at);
}

static void a_length_that_is_only_said_takes_no_memory(void **state)
{
    struct conversation_rig *rig = *state;
    conversation_rig_open(rig, CLUSTER_IN, true);
    push_split(rig, &rig->near, SLICE("\x0a\x01\x3f\xff\xff\x01"), 0);
    assert_in_range(rig->held, 1, 8192);
}

static void all_parcels_together_have_one_limit(void **state)
{
    struct conversation_rig *rig = *state;
    static const enum cluster_direction BOTH[] = {CLUSTER_OUT, CLUSTER_IN};
    for (size_t i = 0; i < 2; i++) {
        set_up_again(rig, NULL);
        rig->held = PARCEL_HELD_BYTES_MAX - 4095; /* by others: a byte less than is needed */
        conversation_rig_open(rig, BOTH[i], true);
        (void)end_push(&rig->near, SLICE(PUSH));
        turns_until(&rig->turns, conversation_rig_near_ended, rig);
        assert_true(rig->near.was_reset);
        assert_int_equal(rig->held, PARCEL_HELD_BYTES_MAX - 4095);
        assert_int_equal(counted(rig, PEER_NO_ROOM), 1);
        expect_log(rig, BOTH[i] == CLUSTER_OUT ? "out" : "in", "no_room");
        rig->held = 0;
    }
}

static void at_the_limit_a_message_may_not_grow(void **state)
{
    struct conversation_rig *rig = *state;
    slice message = long_message(100000);
    rig->held = PARCEL_HELD_BYTES_MAX - 16384;
    conversation_rig_open(rig, CLUSTER_OUT, true);
    (void)end_push(&rig->near, message);
    turns_until(&rig->turns, conversation_rig_near_ended, rig);
    assert_int_equal(counted(rig, PEER_NO_ROOM), 1);
    assert_int_equal(rig->held, PARCEL_HELD_BYTES_MAX - 16384);
    free((void *)(uintptr_t)message.at);
}

/* ---- the end, in every state ---- */

/* Until the conversation is in that state: nobody reads at the end that is sent to. */
static void bring_to(struct conversation_rig *rig, enum cluster_direction direction,
                     enum conversation_state wanted)
{
    static slice message;
    if (message.at == NULL) {
        message = long_message(16 * 1024 * 1024);
    }
    bool is_out = direction == CLUSTER_OUT;
    conversation_rig_open(rig, direction, true);
    rig->far.is_deaf = wanted == CONVERSATION_FORWARDING;
    rig->near.is_deaf = wanted == CONVERSATION_RETURNING;
    bool is_long = wanted == CONVERSATION_FORWARDING;
    slice request = is_long ? message : SLICE(PUSH);
    if (!is_out) {
        request = conversation_rig_seal(rig, request, NO_LABEL);
    }
    if (wanted == CONVERSATION_GATHERING) {
        request = slice_first(request, request.len - 1);
    }
    conversation_rig_push(rig, &rig->near, request);
    if (wanted == CONVERSATION_RETURNING) {
        slice answer = is_out ? conversation_rig_seal(rig, message, NO_LABEL) : message;
        conversation_rig_push(rig, &rig->far, answer);
    }
    conversation_rig_turn(rig);
    assert_non_null(rig->conversation);
    assert_int_equal(rig->conversation->state, wanted);
}

typedef void ending(struct conversation_rig *rig);

static void by_abort(struct conversation_rig *rig)
{
    conversation_abort(rig->conversation);
}

static void by_deadline(struct conversation_rig *rig)
{
    struct deadline *deadline = &rig->conversation->deadline;
    assert_true(deadline_is_armed(deadline));
    deadline->on_deadline(deadline->self);
    assert_int_equal(counted(rig, PEER_TIMED_OUT), 1);
}

static void by_a_reset_of_near(struct conversation_rig *rig)
{
    end_reset(&rig->near);
}

static void by_a_reset_of_far(struct conversation_rig *rig)
{
    end_reset(&rig->far);
    rig->far.has_ended = true;
}

/* Well before the deadline, which is a minute away. */
static void expect_end(struct conversation_rig *rig, enum cluster_direction direction,
                       enum conversation_state state, ending *end, bool is_near_reset)
{
    set_up_again(rig, NULL);
    bring_to(rig, direction, state);
    end(rig);
    if (!turns_until_within(&rig->turns, 5000, conversation_rig_is_over, rig)) {
        fail_msg("direction %d, state %d: it goes on", direction, state);
    }
    conversation_rig_finish(rig);
    rig->near.is_deaf = false;
    if (is_near_reset) {
        turns_until(&rig->turns, conversation_rig_near_ended, rig);
        assert_true(rig->near.was_reset);
    }
}

static void an_abort_in_any_state_resets_near_and_gives_all_memory_back(void **state)
{
    struct conversation_rig *rig = *state;
    for (enum conversation_state at = CONVERSATION_GATHERING; at < CONVERSATION_OVER; at++) {
        expect_end(rig, CLUSTER_OUT, at, by_abort, true);
        expect_end(rig, CLUSTER_IN, at, by_abort, true);
    }
}

static void so_does_the_deadline(void **state)
{
    struct conversation_rig *rig = *state;
    for (enum conversation_state at = CONVERSATION_GATHERING; at < CONVERSATION_OVER; at++) {
        expect_end(rig, CLUSTER_OUT, at, by_deadline, true);
        expect_log(rig, "out", "timed_out");
        expect_end(rig, CLUSTER_IN, at, by_deadline, true);
    }
}

static void a_near_that_resets_ends_it_at_once(void **state)
{
    struct conversation_rig *rig = *state;
    static const enum conversation_state STATES[] = {CONVERSATION_GATHERING, CONVERSATION_WAITING,
                                                     CONVERSATION_RETURNING};
    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
        expect_end(rig, CLUSTER_OUT, STATES[i], by_a_reset_of_near, false);
        expect_end(rig, CLUSTER_IN, STATES[i], by_a_reset_of_near, false);
    }
}

static void a_far_that_resets_before_it_answered_ends_it_at_once(void **state)
{
    struct conversation_rig *rig = *state;
    static const enum conversation_state STATES[] = {CONVERSATION_FORWARDING, CONVERSATION_WAITING};
    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
        expect_end(rig, CLUSTER_OUT, STATES[i], by_a_reset_of_far, true);
        expect_end(rig, CLUSTER_IN, STATES[i], by_a_reset_of_far, true);
    }
}

/* It has said all: what it does then is nobody's business. */
static void a_far_that_resets_after_its_answer_takes_nothing_from_near(void **state)
{
    struct conversation_rig *rig = *state;
    bring_to(rig, CLUSTER_IN, CONVERSATION_RETURNING);
    by_a_reset_of_far(rig);
    conversation_rig_turn(rig);
    rig->near.is_deaf = false;
    expect_near_ended(rig);
    assert_in_range(rig->near.len, 16 * 1024 * 1024, 17 * 1024 * 1024);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_goes_out_sealed_and_its_answer_comes_back_opened),
        TEST(wherever_request_and_answer_are_split),
        TEST(and_byte_by_byte),
        TEST(a_user_message_is_delivered_though_the_node_closes_at_once),
        TEST(half_an_end_is_passed_on_and_the_answer_still_comes),
        TEST(a_peer_that_closes_without_an_answer_is_an_orderly_end),
        TEST(what_is_no_message_resets_the_node_and_reaches_nobody),
        TEST(a_message_that_ends_in_the_middle_reaches_nobody),
        TEST(bytes_that_come_while_the_answer_is_awaited_end_it),
        TEST(another_label_than_is_configured_is_refused),
        TEST(a_peer_that_does_not_listen_resets_the_node),
        TEST(an_answer_that_no_key_of_ours_opens_never_reaches_the_node),
        TEST(a_peer_that_resets_resets_the_node),
        TEST(a_request_comes_in_opened_and_its_answer_leaves_sealed),
        TEST(a_frame_of_another_key_is_answered_with_an_error_and_our_node_is_not_dialled),
        TEST(a_peer_is_proven_by_what_was_opened_and_our_node_from_the_start),
        TEST(the_error_has_the_label_of_the_request),
        TEST(what_is_no_frame_is_answered_with_an_error),
        TEST(a_malformed_label_is_a_reset_without_a_word),
        TEST(a_frame_that_was_recorded_is_not_taken_again),
        TEST(a_frame_that_ends_in_the_middle_is_a_reset),
        TEST(whoever_only_looks_whether_the_port_is_open_is_not_complained_of),
        TEST(our_node_that_does_not_listen_resets_the_peer),
        TEST(plaintext_comes_in_where_it_is_taken_and_leaves_where_it_is_sent),
        TEST(an_address_beside_the_map_reaches_our_node_in_no_frame),
        TEST(the_longest_message_passes_whole),
        TEST(a_byte_more_is_refused_before_it_is_gathered),
        TEST(a_length_that_is_only_said_takes_no_memory),
        TEST(all_parcels_together_have_one_limit),
        TEST(at_the_limit_a_message_may_not_grow),
        TEST(an_abort_in_any_state_resets_near_and_gives_all_memory_back),
        TEST(so_does_the_deadline),
        TEST(a_near_that_resets_ends_it_at_once),
        TEST(a_far_that_resets_before_it_answered_ends_it_at_once),
        TEST(a_far_that_resets_after_its_answer_takes_nothing_from_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
