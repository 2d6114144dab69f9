/* tests/unit/proxy/gossip/message_walk_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/message_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/vectors.h"

enum { LIMIT = 1 << 20 };

/* The answer when all of it comes at once. */
static enum status walk_whole(slice message, size_t limit, size_t *len, enum message_fault *fault)
{
    struct message_walk walk;
    message_walk_init(&walk, limit);
    enum status status = message_walk(&walk, message, len);
    *fault = walk.fault;
    return status;
}

/* The same byte by byte. */
static enum status walk_bytes(slice message, size_t limit, size_t *len, enum message_fault *fault)
{
    struct message_walk walk;
    message_walk_init(&walk, limit);
    enum status status = STATUS_AGAIN;
    for (size_t come = 0; come <= message.len && status == STATUS_AGAIN; come++) {
        status = message_walk(&walk, slice_first(message, come), len);
    }
    *fault = walk.fault;
    return status;
}

static void expect_end(slice message, size_t expected)
{
    size_t len = 0;
    enum message_fault fault;
    assert_int_equal(walk_whole(message, LIMIT, &len, &fault), STATUS_END);
    assert_int_equal(len, expected);
    assert_int_equal(walk_bytes(message, LIMIT, &len, &fault), STATUS_END);
    assert_int_equal(len, expected);
    for (size_t split = 0; split < expected; split++) {
        struct message_walk walk;
        message_walk_init(&walk, LIMIT);
        assert_int_equal(message_walk(&walk, slice_first(message, split), &len), STATUS_AGAIN);
        len = 0;
        assert_int_equal(message_walk(&walk, message, &len), STATUS_END);
        assert_int_equal(len, expected);
    }
}

/* Each message of a section ends where it ends, alone and with more behind it, and no proper prefix
 * of it does. Returns how many there were. */
static size_t walk_section(json_t *vectors, const char *section, const char *field)
{
    size_t count = 0;
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, section), index, vector)
    {
        slice whole = vectors_bytes(vector, field);
        slice message = whole;
        if (json_is_true(json_object_get(vector, "has_label_header"))) {
            message = slice_from(whole, 2U + (unsigned char)whole.at[1]);
        }
        expect_end(message, message.len);
        char more[4096] = {0};
        assert_true(message.len < sizeof(more));
        memcpy(more, message.at, message.len);
        expect_end((slice){more, sizeof(more)}, message.len);
        free((void *)(uintptr_t)whole.at);
        count++;
    }
    return count;
}

static void finds_the_end_of_what_the_real_library_sends(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/memberlist.json");
    assert_int_equal(walk_section(vectors, "plain_streams", "wire"), 13);
    assert_int_equal(walk_section(vectors, "encrypted_streams", "plain"), 25);
    assert_int_equal(walk_section(vectors, "label_plain_streams", "wire"), 6);
    json_decref(vectors);
}

static void takes_header_fields_in_any_order_and_spelling(void **state)
{
    (void)state;
    static const slice messages[] = {
        SLICE("\x08\x81\xaaUserMsgLen\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xcc\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xcd\0\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xce\0\0\0\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xcf\0\0\0\0\0\0\0\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xd0\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xd1\0\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xd2\0\0\0\x03xyz"),
        SLICE("\x08\x81\xaaUserMsgLen\xd3\0\0\0\0\0\0\0\x03xyz"),
        SLICE("\x08\x81\xd9\x0aUserMsgLen\x03xyz"),
        SLICE("\x08\x81\xda\0\x0aUserMsgLen\x03xyz"),
        SLICE("\x08\x81\xdb\0\0\0\x0aUserMsgLen\x03xyz"),
        SLICE("\x08\x81\xc4\x0aUserMsgLen\x03xyz"),
        SLICE("\x08\xde\0\x01\xaaUserMsgLen\x03xyz"),
        SLICE("\x08\xdf\0\0\0\x01\xaaUserMsgLen\x03xyz"),
        SLICE("\x08\x82\xa5Other\x92\xc0\x81\xa1k\xcb\0\0\0\0\0\0\0\0\xaaUserMsgLen\x03xyz"),
        SLICE("\x08\x82\xb0SomethingOtherAs\xd5\x01\x02\x03\xaaUserMsgLen\x03xyz"),
        SLICE("\x08\x80"), /* a field that is not there counts as 0, as it does to memberlist */
        SLICE("\x06\x83\xa4Join\xc3\xa5Nodes\0\xacUserStateLen\x02xy"),
        SLICE("\x06\x83\xacUserStateLen\x02\xa5Nodes\x02\xa4Join\xc2\x80\x81\xa4Name\xa1nxy"),
        SLICE("\x06\x83\xa5Nodes\x01\xa4Join\xc2\xacUserStateLen\0\x81\xa3Vsn\xc6\0\0\0\x02zz"),
        SLICE("\x00\x81\xa5SeqNo\xff"),
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        expect_end(messages[i], messages[i].len);
    }
}

static const struct {
    const char *claim;
    slice message;
    enum message_fault fault;
} refusals[] = {
    {"dskit's packets",
     SLICE("\x01\x0e"
           "127.0.0.1:7946"),
     MESSAGE_FOREIGN},
    {"a frame that is encrypted already", SLICE("\x0a\0\0\0\x20"), MESSAGE_ENCRYPTED},
    {"a type that only packets have", SLICE("\x04\x80"), MESSAGE_TYPE},
    {"a compound", SLICE("\x07\x01\0\x02\x02\x80"), MESSAGE_TYPE},
    {"a checksum", SLICE("\x0c\0\0\0\0\x08"), MESSAGE_TYPE},
    {"HTTP", SLICE("GET / HTTP/1.1\r\n\r\n"), MESSAGE_TYPE},
    {"TLS", SLICE("\x16\x03\x01\0\x05"), MESSAGE_TYPE},
    {"a label header, which the caller takes off", SLICE("\xf4\x01x\0\x80"), MESSAGE_TYPE},
    {"a ping that is no map", SLICE("\x00\x93\x01\x02\x03"), MESSAGE_MALFORMED},
    {"dskit's streams",
     SLICE("\x02\x0e"
           "127.0.0.1:7946"),
     MESSAGE_MALFORMED},
    {"a header that is no map", SLICE("\x08\x91\x01"), MESSAGE_MALFORMED},
    {"a node that is no map", SLICE("\x06\x81\xa5Nodes\x01\xc0"), MESSAGE_MALFORMED},
    {"a byte that msgpack does not have", SLICE("\x00\x81\xa1x\xc1"), MESSAGE_MALFORMED},
    {"a field without a name", SLICE("\x08\x81\x01\x01"), MESSAGE_MALFORMED},
    {"a negative length", SLICE("\x08\x81\xaaUserMsgLen\xff"), MESSAGE_MALFORMED},
    {"a negative length of 8 bytes",
     SLICE("\x08\x81\xaaUserMsgLen\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), MESSAGE_MALFORMED},
    {"a negative count", SLICE("\x06\x81\xa5Nodes\xd0\x80"), MESSAGE_MALFORMED},
    {"a length that is no number", SLICE("\x08\x81\xaaUserMsgLen\xa1x"), MESSAGE_MALFORMED},
    {"a length that is a fraction", SLICE("\x08\x81\xaaUserMsgLen\xca\0\0\0\0"), MESSAGE_MALFORMED},
    {"a length said twice", SLICE("\x08\x82\xaaUserMsgLen\x01\xaaUserMsgLen\x02"),
     MESSAGE_MALFORMED},
    {"a count said twice", SLICE("\x06\x82\xa5Nodes\0\xa5Nodes\0"), MESSAGE_MALFORMED},
    {"a length above the limit", SLICE("\x08\x81\xaaUserMsgLen\xce\0\x10\0\0"), MESSAGE_TOO_LONG},
    {"the greatest length", SLICE("\x08\x81\xaaUserMsgLen\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
     MESSAGE_TOO_LONG},
    {"a count above the limit", SLICE("\x06\x81\xa5Nodes\xce\xff\xff\xff\xff"), MESSAGE_TOO_LONG},
    {"a count and a length that are above it together",
     SLICE("\x06\x82\xa5Nodes\xce\0\x08\0\0\xacUserStateLen\xce\0\x08\0\0"), MESSAGE_TOO_LONG},
    {"more fields than can come", SLICE("\x08\xdf\xff\xff\xff\xff"), MESSAGE_TOO_LONG},
    {"more pairs than can come", SLICE("\x00\xdf\xff\xff\xff\xff"), MESSAGE_TOO_LONG},
    {"more members than can come", SLICE("\x00\x81\xa1x\xdd\xff\xff\xff\xff"), MESSAGE_TOO_LONG},
    {"more text than can come", SLICE("\x00\x81\xdb\xff\xff\xff\xff"), MESSAGE_TOO_LONG},
    {"a name longer than can come", SLICE("\x08\x81\xdb\xff\xff\xff\xff"), MESSAGE_TOO_LONG},
    {"a map nine deep",
     SLICE("\x00\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x80"),
     MESSAGE_TOO_DEEP},
    {"a field's value eight deep", SLICE("\x08\x81\xa1x\x91\x91\x91\x91\x91\x91\x91\x91\xc0"),
     MESSAGE_TOO_DEEP},
};

static void refuses_what_is_no_message_of_a_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        size_t len = 0;
        enum message_fault fault = MESSAGE_FINE;
        enum status status = walk_whole(refusals[i].message, LIMIT, &len, &fault);
        if (status != STATUS_PEER || fault != refusals[i].fault) {
            fail_msg("%s: status %d, %s", refusals[i].claim, status, message_fault_name(fault));
        }
        status = walk_bytes(refusals[i].message, LIMIT, &len, &fault);
        if (status != STATUS_PEER || fault != refusals[i].fault) {
            fail_msg("%s, byte by byte: %s", refusals[i].claim, message_fault_name(fault));
        }
    }
}

static void takes_a_map_eight_deep(void **state)
{
    (void)state;
    slice message =
        SLICE("\x00\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x81\xa1x\x80");
    expect_end(message, message.len);
}

static void takes_a_message_of_just_the_limit(void **state)
{
    (void)state;
    slice message = SLICE("\x08\x81\xaaUserMsgLen\x03xyz");
    size_t len = 0;
    enum message_fault fault;
    assert_int_equal(walk_whole(message, message.len, &len, &fault), STATUS_END);
    assert_int_equal(len, message.len);
    for (size_t limit = 0; limit < message.len; limit++) {
        assert_int_equal(walk_whole(message, limit, &len, &fault), STATUS_PEER);
        assert_int_equal(fault, MESSAGE_TOO_LONG);
        assert_int_equal(walk_bytes(message, limit, &len, &fault), STATUS_PEER);
        assert_int_equal(fault, MESSAGE_TOO_LONG);
    }
}

/* The stage would otherwise be taken up in the middle of a message that was given up. */
static void stays_refused_and_stays_at_the_end(void **state)
{
    (void)state;
    struct message_walk walk;
    size_t len = 0;
    message_walk_init(&walk, LIMIT);
    assert_int_equal(message_walk(&walk, SLICE("\x08\x91"), &len), STATUS_PEER);
    assert_int_equal(message_walk(&walk, SLICE("\x08\x80"), &len), STATUS_PEER);
    message_walk_init(&walk, LIMIT);
    assert_int_equal(message_walk(&walk, SLICE("\x08\x80"), &len), STATUS_END);
    assert_int_equal(message_walk(&walk, SLICE("\x08\x80more"), &len), STATUS_END);
    assert_int_equal(len, 2);
}

static void names_every_fault(void **state)
{
    (void)state;
    for (int fault = MESSAGE_FINE; fault <= MESSAGE_TOO_LONG; fault++) {
        assert_string_not_equal(message_fault_name((enum message_fault)fault), "unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_end_of_what_the_real_library_sends),
        cmocka_unit_test(takes_header_fields_in_any_order_and_spelling),
        cmocka_unit_test(refuses_what_is_no_message_of_a_stream),
        cmocka_unit_test(takes_a_map_eight_deep),
        cmocka_unit_test(takes_a_message_of_just_the_limit),
        cmocka_unit_test(stays_refused_and_stays_at_the_end),
        cmocka_unit_test(names_every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
