/* tests/unit/proxy/gossip/message_addresses_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/message_addresses.h"

#include "proxy/gossip/message_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/vectors.h"

enum { SHOWN_BYTES = 4096 };

/* What was shown, in hex: "0a000001:7946 ". */
struct shown {
    char text[SHOWN_BYTES];
    size_t len;
    size_t count;
    size_t stop_at; /* the address at which the callback stops; 0: none */
};

static bool show(void *self, slice ip, uint16_t port)
{
    struct shown *shown = self;
    for (size_t i = 0; i < ip.len && shown->len + 3 < SHOWN_BYTES; i++) {
        shown->len += (size_t)snprintf(shown->text + shown->len, SHOWN_BYTES - shown->len, "%02x",
                                       (unsigned char)ip.at[i]);
    }
    if (shown->len + 8 < SHOWN_BYTES) {
        shown->len +=
            (size_t)snprintf(shown->text + shown->len, SHOWN_BYTES - shown->len, ":%d ", port);
    }
    return ++shown->count != shown->stop_at;
}

static void expect(const char *claim, slice message, enum status status, const char *text)
{
    struct shown shown = {{0}, 0, 0, 0};
    enum status answer = message_addresses(message, show, &shown);
    if (answer != status || (status == STATUS_OK && strcmp(shown.text, text) != 0)) {
        fail_msg("%s: status %d, %s", claim, answer, shown.text);
    }
}

static slice without_label(json_t *vector, slice message)
{
    return json_is_true(json_object_get(vector, "has_label_header")) ||
                   (unsigned char)message.at[0] == 0xf4
               ? slice_from(message, 2U + (unsigned char)message.at[1])
               : message;
}

/* Every message of a section is understood. Returns how many addresses were shown. */
static size_t look_at_section(json_t *vectors, const char *section, const char *field)
{
    size_t count = 0;
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, section), index, vector)
    {
        slice whole = vectors_bytes(vector, field);
        if (whole.at == NULL) {
            continue;
        }
        struct shown shown = {{0}, 0, 0, 0};
        assert_int_equal(message_addresses(without_label(vector, whole), show, &shown), STATUS_OK);
        count += shown.count;
        free((void *)(uintptr_t)whole.at);
    }
    assert_true(index > 0);
    return count;
}

static void understands_all_that_the_real_library_sends(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/memberlist.json");
    /* Three in plain, three compressed: of the joining node, of its peer, and of a ping. */
    assert_int_equal(look_at_section(vectors, "plain_streams", "wire"), 6);
    assert_int_equal(look_at_section(vectors, "encrypted_streams", "plain"), 12);
    assert_int_equal(look_at_section(vectors, "label_plain_streams", "wire"), 4);
    assert_int_equal(look_at_section(vectors, "plain_packets", "wire"), 0);
    assert_int_equal(look_at_section(vectors, "encrypted_packets", "plain"), 0);
    assert_int_equal(look_at_section(vectors, "label_exchange_packets", "plain"), 0);
    json_decref(vectors);
}

static void unpacks_no_more_than_the_room_that_it_is_given(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/memberlist.json");
    size_t packed = 0;
    size_t index;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "plain_streams"), index, vector)
    {
        slice message = vectors_bytes(vector, "wire");
        if (message.at != NULL && message.at[0] == MESSAGE_COMPRESS) {
            packed++;
            assert_true(message_is_understood(message, 64 * 1024));
            assert_false(message_is_understood(message, 16));
        }
        free((void *)(uintptr_t)message.at);
    }
    assert_true(packed > 0);
    json_decref(vectors);
}

/* Recorded from four agents at 127.0.17.1 to 127.0.17.4, port 17946. */
static bool is_of_the_agents(void *self, slice ip, uint16_t port)
{
    size_t *count = self;
    ++*count;
    return ip.len == 4 && memcmp(ip.at, "\x7f\x00\x11", 3) == 0 && ip.at[3] >= 1 && ip.at[3] <= 4 &&
           port == 17946;
}

static void finds_the_addresses_of_real_agents_and_no_others(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/serf.json");
    size_t index;
    json_t *vector;
    size_t count = 0;
    json_array_foreach(vectors, index, vector)
    {
        slice message = vectors_bytes(vector, "wire");
        assert_int_equal(message_addresses(message, is_of_the_agents, &count), STATUS_OK);
        free((void *)(uintptr_t)message.at);
    }
    assert_true(index > 40);
    assert_true(count > 30);
    json_decref(vectors);
}

#define ADDR                                                                                       \
    "\xa4"                                                                                         \
    "Addr"
#define PORT                                                                                       \
    "\xa4"                                                                                         \
    "Port"
#define ALIVE                                                                                      \
    "\x04\x82\xa4"                                                                                 \
    "Addr\xa4\x0a\0\0\1\xa4"                                                                       \
    "Port\xcd\x1f\x0a"

static const struct {
    const char *claim;
    slice message;
    const char *shown;
} understood[] = {
    {"an alive", SLICE(ALIVE), "0a000001:7946 "},
    {"the port first, and other fields",
     SLICE("\x04\x84\xa3Vsn\x92\1\2" PORT "\xcd\x1f\x0a\xa4"
           "Meta\xc0" ADDR "\xa4\x0a\0\0\2"),
     "0a000002:7946 "},
    {"newer strings and wider numbers",
     SLICE("\x04\x82\xd9\4Addr\xc4\4\x0a\0\0\2\xda\0\4Port\xcf\0\0\0\0\0\0\x1f\x0a"),
     "0a000002:7946 "},
    {"IPv6", SLICE("\x04\x82" ADDR "\xb0\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" PORT "\1"),
     "fd000000000000000000000000000001:1 "},
    {"an address of an odd length", SLICE("\x04\x82" ADDR "\xa3\1\2\3" PORT "\1"), "010203:1 "},
    {"no address and no port", SLICE("\x04\x80"), ":0 "},
    {"an address of nil", SLICE("\x04\x82" ADDR "\xc0" PORT "\xc0"), ":0 "},
    {"a ping of an old library", SLICE("\x00\x82\xa5SeqNo\1\xa4Node\xa1n"), ""},
    {"a ping that says where from",
     SLICE("\x00\x83\xa5SeqNo\1\xaaSourceAddr\xa4\x7f\0\0\1\xaaSourcePort\7"), "7f000001:7 "},
    {"an indirect ping of an old library",
     SLICE("\x01\x83\xa5SeqNo\1\xa6Target\xa4\x7f\0\0\2" PORT "\x08"), "7f000002:8 "},
    {"an indirect ping",
     SLICE("\x01\x84\xa6Target\xa4\x7f\0\0\2" PORT
           "\x08\xaaSourceAddr\xa4\x7f\0\0\1\xaaSourcePort\7"),
     "7f000002:8 7f000001:7 "},
    {"what carries no address", SLICE("\x02\x81\xa5SeqNo\1"), ""},
    {"a user message, whatever is in it", SLICE("\x08" ALIVE), ""},
    {"an error",
     SLICE("\x0d\x81\xa5"
           "Error\xa1x"),
     ""},
    {"a push of two nodes and of state",
     SLICE("\x06\x83\xacUserStateLen\2\xa4Join\xc3\xa5Nodes\2\x82" ADDR "\xa4\x0a\0\0\1" PORT
           "\1\x82" PORT "\2" ADDR "\xa4\x0a\0\0\2xy"),
     "0a000001:1 0a000002:2 "},
    {"a compound", SLICE("\x07\2\0\x14\0\2" ALIVE "\x02\x80"), "0a000001:7946 "},
    {"an empty compound", SLICE("\x07\0"), ""},
    {"wrappers four deep", SLICE("\x07\1\0\x0e\x07\1\0\x0a\x07\1\0\6\x07\1\0\2\4\x80"), ":0 "},
};

static void shows_each_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(understood) / sizeof(understood[0]); i++) {
        expect(understood[i].claim, understood[i].message, STATUS_OK, understood[i].shown);
    }
}

static const struct {
    const char *claim;
    slice message;
} odd[] = {
    {"nothing", SLICE("")},
    {"a type that is not known", SLICE("\x0e\x80")},
    {"a label", SLICE("\xf4\1x\x02\x80")},
    {"an encrypted frame", SLICE("\x0a\0\0\0\x1d")},
    {"an alive that is an array, which readers may take",
     SLICE("\x04\x94\1\xa1n\xa4\x0a\0\0\1\xcd\x1f\x0a")},
    {"an address that is an array, which readers may take",
     SLICE("\x04\x82" ADDR "\x94\x0a\0\0\1" PORT "\1")},
    {"two addresses", SLICE("\x04\x83" ADDR "\xa4\x0a\0\0\1" ADDR "\xa4\x0a\0\0\2" PORT "\1")},
    {"two ports", SLICE("\x04\x83" ADDR "\xa4\x0a\0\0\1" PORT "\1" PORT "\2")},
    {"a port above 65535", SLICE("\x04\x82" ADDR "\xa4\x0a\0\0\1" PORT "\xce\0\1\0\0")},
    {"a port below 0", SLICE("\x04\x82" ADDR "\xa4\x0a\0\0\1" PORT "\xff")},
    {"a field name that is no text", SLICE("\x04\x81\1\1")},
    {"more behind the map", SLICE(ALIVE "x")},
    {"fewer fields than said", SLICE("\x04\x83" ADDR "\xa4\x0a\0\0\1" PORT "\1")},
    {"more nodes than there are", SLICE("\x06\x81\xa5Nodes\2\x80")},
    {"nodes said twice", SLICE("\x06\x82\xa5Nodes\0\xa5Nodes\0")},
    {"more state than said", SLICE("\x06\x81\xacUserStateLen\1xy")},
    {"less state than said", SLICE("\x06\x81\xacUserStateLen\2x")},
    {"nodes hidden in what is said to be state",
     SLICE("\x06\x82\xa5Nodes\0\xacUserStateLen\0\x80")},
    {"a compound cut short", SLICE("\x07\2\0\x14\0\3" ALIVE "\x02\x80")},
    {"a compound with more behind", SLICE("\x07\2\0\x14\0\1" ALIVE "\x02\x80")},
    {"an empty part, at which readers fall over", SLICE("\x07\1\0\0")},
    {"a compound without a count", SLICE("\x07")},
    {"more parts than readers can count", SLICE("\x07\x80")},
    {"a wrong checksum", SLICE("\x0c\0\0\0\0\x08x")},
    {"half a checksum", SLICE("\x0c\0\0")},
    {"a checksum further in", SLICE("\x07\1\0\7\x0c\0\0\0\0\x02\x80")},
    {"wrappers five deep", SLICE("\x07\1\0\x12\x07\1\0\x0e\x07\1\0\x0a\x07\1\0\6\x07\1\0\2\4\x80")},
    {"another way of packing", SLICE("\x09\x82\xa4"
                                     "Algo\1\xa3"
                                     "Buf\xa3\2\2\2")},
    {"nothing packed", SLICE("\x09\x81\xa4"
                             "Algo\0")},
    {"packed twice", SLICE("\x09\x82\xa3"
                           "Buf\xa4\4\0\6\4\xa3"
                           "Buf\xa4\4\0\6\4")},
    {"what cannot be unpacked", SLICE("\x09\x81\xa3"
                                      "Buf\xa3\2\3\2")},
    {"packed, and more in the map", SLICE("\x09\x82\xa3"
                                          "Buf\xa4\4\0\6\4\xa1x\1")},
};

static void says_nothing_of_what_is_odd(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        expect(odd[i].claim, odd[i].message, STATUS_PEER, "");
    }
}

static void stops_where_it_is_told_to(void **state)
{
    (void)state;
    struct shown shown = {{0}, 0, 0, 2};
    slice message = SLICE("\x07\3\0\x14\0\x14\0\x14" ALIVE ALIVE ALIVE);
    assert_int_equal(message_addresses(message, show, &shown), STATUS_REFUSED);
    assert_int_equal(shown.count, 2);
}

static void says_nothing_of_any_message_that_is_cut_short(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/serf.json");
    size_t index;
    json_t *vector;
    json_array_foreach(vectors, index, vector)
    {
        slice message = vectors_bytes(vector, "wire");
        unsigned char type = (unsigned char)message.at[0];
        /* Of acks, nacks and user messages nothing is looked at. */
        for (size_t len = 0; len < message.len && type != 2 && type != 8 && type != 11; len++) {
            struct shown shown = {{0}, 0, 0, 0};
            assert_int_equal(message_addresses(slice_first(message, len), show, &shown),
                             STATUS_PEER);
        }
        free((void *)(uintptr_t)message.at);
    }
    json_decref(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_all_that_the_real_library_sends),
        cmocka_unit_test(unpacks_no_more_than_the_room_that_it_is_given),
        cmocka_unit_test(finds_the_addresses_of_real_agents_and_no_others),
        cmocka_unit_test(shows_each_address),
        cmocka_unit_test(says_nothing_of_what_is_odd),
        cmocka_unit_test(stops_where_it_is_told_to),
        cmocka_unit_test(says_nothing_of_any_message_that_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
