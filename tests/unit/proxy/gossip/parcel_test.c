/* tests/unit/proxy/gossip/parcel_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/parcel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "support/cluster_rig.h"
#include "support/turns.h"

#define USER "\x08\x81\xaaUserMsgLen\x05hello"

struct fixture {
    struct turns turns;
    struct cluster_rig rig;
    struct stream *stream;
    int other; /* end of the stream */
    size_t held;
    struct parcel parcel;
};

static void nothing(void *self)
{
    (void)self;
}

static void nothing_failed(void *self, enum stream_failure failure)
{
    (void)self;
    (void)failure;
}

static const struct stream_events EVENTS = {.on_open = nothing,
                                            .on_readable = nothing,
                                            .on_writable = nothing,
                                            .on_failed = nothing_failed};

static int set_up(void **state)
{
    int pair[2];
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    turns_init(&fixture->turns);
    cluster_rig_init(&fixture->rig, fixture->turns.loop, NULL, CLUSTER_KEY_A);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    fixture->other = pair[1];
    assert_int_equal(stream_adopt(&fixture->stream, fixture->turns.loop, pair[0], &EVENTS, fixture),
                     STATUS_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    parcel_fini(&fixture->parcel);
    parcel_fini(&fixture->parcel); /* harmless */
    assert_int_equal(fixture->held, 0);
    stream_close(fixture->stream);
    (void)close(fixture->other);
    turns_settle(&fixture->turns, NULL, NULL);
    cluster_rig_fini(&fixture->rig);
    turns_fini(&fixture->turns);
    free(fixture);
    return 0;
}

static void begin(struct fixture *fixture, enum parcel_form form, bool has_label)
{
    parcel_fini(&fixture->parcel);
    parcel_init(&fixture->parcel, &fixture->rig.cluster, &fixture->held, form, has_label);
}

static struct peer *peer_of(struct fixture *fixture)
{
    return cluster_rig_peer(&fixture->rig, 7, true);
}

static enum status read_after(struct fixture *fixture, slice bytes)
{
    if (bytes.len > 0) {
        assert_int_equal(send(fixture->other, bytes.at, bytes.len, MSG_NOSIGNAL), bytes.len);
    }
    turns_settle(&fixture->turns, NULL, NULL);
    return parcel_read(&fixture->parcel, fixture->stream, peer_of(fixture), CLUSTER_IN);
}

/* What the other end gets of it. */
static slice heard(struct fixture *fixture)
{
    static char room[65536];
    turns_settle(&fixture->turns, NULL, NULL);
    ssize_t len = recv(fixture->other, room, sizeof(room), 0);
    assert_true(len >= 0);
    return (slice){room, (size_t)len};
}

static slice bytes_of(struct bytes bytes)
{
    return (slice){(const char *)bytes.at, bytes.len};
}

static void sealed_by_one_is_opened_by_another(void **state)
{
    struct fixture *fixture = *state;
    static const struct bytes PROD = {(const uint8_t *)"prod", 4};
    for (int has_label = 0; has_label < 2; has_label++) {
        slice plain = has_label ? SLICE("\xf4\x04prod" USER) : SLICE(USER);
        struct bytes label = has_label ? PROD : (struct bytes){0};
        begin(fixture, PARCEL_PLAIN, true);
        assert_int_equal(read_after(fixture, plain), STATUS_OK);
        assert_true(slice_equal(bytes_of(parcel_label(&fixture->parcel)), bytes_of(label)));
        assert_int_equal(parcel_seal(&fixture->parcel, peer_of(fixture), label), STATUS_OK);
        assert_int_equal(parcel_send(&fixture->parcel, fixture->stream), STATUS_OK);
        slice sealed = heard(fixture);
        begin(fixture, PARCEL_FRAME, true);
        assert_int_equal(read_after(fixture, sealed), STATUS_OK);
        assert_true(fixture->parcel.is_frame);
        assert_int_equal(parcel_open(&fixture->parcel, peer_of(fixture), label), STATUS_OK);
        assert_int_equal(parcel_send(&fixture->parcel, fixture->stream), STATUS_OK);
        assert_true(slice_equal(heard(fixture), plain));
    }
}

static void memory_grows_with_what_came_and_goes_back(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[40000] = "\x08\x81\xaaUserMsgLen\xce\x00\xff\xff\xff";
    begin(fixture, PARCEL_PLAIN, false);
    assert_int_equal(fixture->held, 0);
    assert_int_equal(read_after(fixture, (slice){bytes, 18}), STATUS_AGAIN);
    assert_int_equal(fixture->held, 4096);
    assert_int_equal(read_after(fixture, (slice){bytes + 18, 10000}), STATUS_AGAIN);
    assert_int_equal(fixture->held, 16384);
    assert_int_equal(read_after(fixture, (slice){bytes + 10018, 20000}), STATUS_AGAIN);
    assert_in_range(fixture->held, 30018, 2 * 30018 + 4096);
    parcel_fini(&fixture->parcel);
    assert_int_equal(fixture->held, 0);
}

static void what_others_hold_counts_against_the_limit(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture, PARCEL_PLAIN, false);
    fixture->held = PARCEL_HELD_BYTES_MAX - 4096;
    assert_int_equal(read_after(fixture, slice_first(SLICE(USER), 5)), STATUS_AGAIN);
    assert_int_equal(fixture->held, PARCEL_HELD_BYTES_MAX);
    struct parcel other;
    parcel_init(&other, &fixture->rig.cluster, &fixture->held, PARCEL_PLAIN, false);
    assert_int_equal(parcel_set_error(&other, SLICE("x")), STATUS_NOMEM);
    assert_int_equal(parcel_read(&other, fixture->stream, peer_of(fixture), CLUSTER_IN),
                     STATUS_REFUSED);
    assert_int_equal(peer_counter_get(peer_of(fixture), PEER_NO_ROOM), 1);
    parcel_fini(&other);
    fixture->held -= PARCEL_HELD_BYTES_MAX - 4096;
}

static const struct {
    const char *claim;
    enum parcel_form form;
    bool has_label;
    slice said;
    bool ends;
    enum status status;
} READ[] = {
    {"a message where messages are due", PARCEL_PLAIN, false, SLICE(USER), false, STATUS_OK},
    {"the same where both are", PARCEL_EITHER, false, SLICE(USER), false, STATUS_OK},
    {"and where only frames are", PARCEL_FRAME, false, SLICE(USER), false, STATUS_REFUSED},
    {"a label where none is due", PARCEL_PLAIN, false, SLICE("\xf4\x04prod" USER), false,
     STATUS_REFUSED},
    {"a frame where only messages are", PARCEL_PLAIN, false, SLICE("\x0a\0\0\0\x1d"), false,
     STATUS_REFUSED},
    {"a frame's head", PARCEL_FRAME, false, SLICE("\x0a\0\0\0\x1d"), false, STATUS_AGAIN},
    {"a label alone", PARCEL_FRAME, true, SLICE("\xf4\x04prod"), false, STATUS_AGAIN},
    {"a label and an end", PARCEL_FRAME, true, SLICE("\xf4\x04prod"), true, STATUS_BROKEN},
    {"an end in a message", PARCEL_PLAIN, false, SLICE("\x08\x81"), true, STATUS_BROKEN},
    {"an end and nothing else", PARCEL_PLAIN, false, SLICE(""), true, STATUS_END},
    {"nothing", PARCEL_PLAIN, false, SLICE(""), false, STATUS_AGAIN},
};

static void what_is_read_depends_on_what_is_due(void **state)
{
    for (size_t i = 0; i < sizeof(READ) / sizeof(READ[0]); i++) {
        struct fixture *fixture = *state;
        begin(fixture, READ[i].form, READ[i].has_label);
        if (READ[i].ends) {
            (void)send(fixture->other, READ[i].said.at, READ[i].said.len, MSG_NOSIGNAL);
            assert_int_equal(shutdown(fixture->other, SHUT_WR), 0);
        }
        enum status status = read_after(fixture, READ[i].ends ? SLICE("") : READ[i].said);
        if (status != READ[i].status) {
            fail_msg("%s: status %d", READ[i].claim, status);
        }
        (void)tear_down(state);
        (void)set_up(state);
    }
}

/* As msgpack: a map of one, "Error", and the text. */
static void an_error_is_what_the_library_reads(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        slice text;
        slice wire;
    } ROWS[] = {
        {SLICE("no"), SLICE("\x0d\x81\xa5"
                            "Error\xa2no")},
        {SLICE("0123456789012345678901234567890"), SLICE("\x0d\x81\xa5"
                                                         "Error\xbf"
                                                         "0123456789012345678901234567890")},
        {SLICE("01234567890123456789012345678901234"), /* cut to 31 bytes */
         SLICE("\x0d\x81\xa5"
               "Error\xbf"
               "0123456789012345678901234567890")},
    };
    fixture->rig.settings.sends_plaintext = true;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        begin(fixture, PARCEL_PLAIN, false);
        assert_int_equal(parcel_set_error(&fixture->parcel, ROWS[i].text), STATUS_OK);
        assert_int_equal(parcel_seal(&fixture->parcel, peer_of(fixture), (struct bytes){0}),
                         STATUS_OK);
        assert_int_equal(parcel_send(&fixture->parcel, fixture->stream), STATUS_OK);
        assert_true(slice_equal(heard(fixture), ROWS[i].wire));
    }
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sealed_by_one_is_opened_by_another),
        TEST(memory_grows_with_what_came_and_goes_back),
        TEST(what_others_hold_counts_against_the_limit),
        TEST(what_is_read_depends_on_what_is_due),
        TEST(an_error_is_what_the_library_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
