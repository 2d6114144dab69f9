/* tests/unit/proxy/http2/crumbs_test.c
 *
 * Windows that open in small steps, on the real loop: the peer gives back what it has heard as a
 * test wants, and the driver is a fake with more to send than any window takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/crumbs.h"

#include "proxy/http2/client.h"
#include "proxy/http2/client_state.h"
#include "proxy/http2/limits.h"
#include "proxy/http2/server_state.h"
#include "support/talk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { KIB = 1024, MIB = 1024 * 1024, BUDGET = 256 * KIB, STREAMS = 4, OWED_MAX = 1 << 16 };
enum { FIRST_PIECE = 10, FIRST_BYTES = 60 * 1000 };

/* ---- the size of frames ---- */

static void a_window_is_used_up_or_enough_of_it_is_left(void **state)
{
    (void)state;
    enum { MOST = H2_DATA_BYTES, LITTLE = H2_WHOLE_BYTES - 1 };
    static const struct {
        int32_t window;
        int32_t limit;
    } rows[] = {
        {0, 0},
        {-1, -1},
        {1, 1},
        {MOST, MOST},
        {MOST + 1, (MOST + 1) / 2},
        {MOST + LITTLE, (MOST + LITTLE) / 2},
        {MOST + H2_WHOLE_BYTES, MOST},
        {2147483647, MOST},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct crumbs crumbs;
        crumbs_init(&crumbs);
        assert_int_equal(crumbs_frame_limit(&crumbs, rows[i].window, INT32_MAX, MOST),
                         rows[i].limit);
        assert_int_equal(crumbs_frame_limit(&crumbs, INT32_MAX, rows[i].window, MOST),
                         rows[i].limit);
    }
}

/* ---- a conn on whose other side windows are given back as the test wants ---- */

struct stage {
    struct talk talk;
    struct server_settings server_settings;
    struct client_settings client_settings;
    struct server_codec *server; /* NULL: the conn is one to a server, or closed */
    struct client_codec *client;
    struct body *bodies[STREAMS]; /* that we send */
    size_t body_count;
    struct framer *framer;
    enum fault_code fault; /* that the conn was closed with */
    /* ---- the peer's ---- */
    uint64_t heard;             /* bytes of content */
    uint32_t owed[2][OWED_MAX]; /* a ring of the streams and lengths of frames not given back yet */
    unsigned owed_from;
    unsigned owed_to;
    unsigned turn;
    bool waits_first;     /* gives nothing back until FIRST_BYTES came */
    unsigned most_a_turn; /* frames to give back, 0: all */
    uint64_t wanted;      /* bytes, until the test is over */
    int32_t least_patience;
};

static void on_server_closed(void *self, enum fault_code fault)
{
    struct stage *stage = self;
    stage->server = NULL;
    stage->framer = NULL;
    stage->fault = fault;
}

static void on_client_closed(void *self)
{
    struct stage *stage = self;
    stage->client = NULL;
    stage->framer = NULL;
}

static void on_room(void *self, bool is_idle)
{
    (void)self;
    (void)is_idle;
}

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){
        .server_settings = {.limits = {.header_bytes = 4096, .header_count = 32, .uri_bytes = 1024},
                            .streams = STREAMS,
                            .connection_buffer_bytes = BUDGET},
        .client_settings = {.limits = {.header_bytes = 4096, .header_count = 32}},
        .least_patience = H2_PATIENCE,
    };
    talk_init(&stage->talk);
    stage->talk.fake.tells_bytes = false;
}

static void stage_fini(struct stage *stage)
{
    if (stage->server != NULL) {
        stage->server->calls->close(stage->server, FAULT_DRAIN_DEADLINE);
    }
    if (stage->client != NULL) {
        stage->client->calls->close(stage->client);
    }
    talk_end(&stage->talk);
    talk_fini(&stage->talk);
}

static void open_server(struct stage *stage, const char *settings)
{
    stage_init(stage);
    const struct server_codec_start start = {
        .loop = stage->talk.turns.loop,
        .settings = &stage->server_settings,
        .source = {.open = fake_source, .self = &stage->talk.fake},
        .scheme = SLICE("https"),
        .on_closed = on_server_closed,
        .self = stage,
    };
    stage->server = http2_server_open(talk_connect(&stage->talk, 0), &start);
    assert_non_null(stage->server);
    stage->framer = &LIST_OBJECT(stage->server, struct http2_server, codec)->framer;
    char script[256];
    (void)snprintf(script, sizeof(script), "preface\n%s\n", settings);
    talk_say(&stage->talk, script);
    stage->talk.wire.heard[0] = '\0';
}

/* A response without an end, on the next stream. */
static void open_download(struct stage *stage)
{
    char script[128];
    (void)snprintf(script, sizeof(script),
                   "headers %zu end :method=GET :scheme=https :authority=h :path=/\n",
                   2 * stage->body_count + 1);
    talk_say(&stage->talk, script);
    assert_non_null(stage->talk.fake.last);
    const struct framing streamed = {.kind = FRAMING_STREAMED};
    fake_respond(stage->talk.fake.last, 200, &streamed);
    stage->bodies[stage->body_count++] = &stage->talk.fake.last->exchange.response_body;
    talk_settle(&stage->talk);
}

/* The same towards a server: a request without an end. */
static void open_upload(struct stage *stage)
{
    stage_init(stage);
    const struct client_codec_start start = {
        .loop = stage->talk.turns.loop,
        .settings = &stage->client_settings,
        .on_room = on_room,
        .on_closed = on_client_closed,
        .self = stage,
    };
    stage->client = http2_client_open(talk_connect(&stage->talk, 0), &start);
    assert_non_null(stage->client);
    stage->framer = &LIST_OBJECT(stage->client, struct http2_client, codec)->framer;
    turns_settle(&stage->talk.turns, peer_listens, &stage->talk.peer);
    wire_drop_preface(&stage->talk.wire);
    talk_say(&stage->talk, "settings\nsettings+ack\n");
    struct fake_exchange *faked = fake_open(&stage->talk.fake);
    *faked->exchange.request = (struct message){
        .method = METHOD_POST,
        .method_name = SLICE("POST"),
        .scheme = SLICE("https"),
        .authority = SLICE("h"),
        .path = SLICE("/"),
        .framing = {.kind = FRAMING_STREAMED},
    };
    struct requester *requester = stage->client->calls->requester(stage->client);
    assert_non_null(requester);
    requester->calls->request(requester, &faked->exchange);
    stage->bodies[stage->body_count++] = &faked->exchange.request_body;
    talk_settle(&stage->talk);
}

/* ---- the driver: there is always more to send, in small pieces until a window is full ---- */

static void fill(struct stage *stage)
{
    static char bytes[BUDGET];
    static const size_t pieces[] = {16384, 1, 4097, 65536, 333, 16375};
    bool is_first = stage->heard < FIRST_BYTES;
    for (size_t i = 0; i < stage->body_count && stage->framer != NULL; i++) {
        size_t len = is_first ? FIRST_PIECE : pieces[(stage->turn + i) % COUNT(pieces)];
        (void)body_put(stage->bodies[i], (slice){bytes, len});
        body_offer(stage->bodies[i]);
    }
}

/* ---- the peer ---- */

static void note_data(struct stage *stage, uint32_t stream, uint32_t len)
{
    stage->heard += len;
    unsigned at = stage->owed_to++ % OWED_MAX;
    stage->owed[0][at] = stream;
    stage->owed[1][at] = len;
    assert_true(stage->owed_to - stage->owed_from < OWED_MAX);
}

static void hear_frames(struct stage *stage)
{
    struct peer *peer = &stage->talk.peer;
    size_t start = 0;
    peer_hear(peer);
    while (peer->len - start >= WIRE_HEADER) {
        const uint8_t *head = (const uint8_t *)peer->got + start;
        size_t len = wire_read_number(head, 3);
        if (peer->len - start < WIRE_HEADER + len) {
            break;
        }
        if (head[3] == NGHTTP2_DATA) {
            note_data(stage, wire_read_number(head + 5, 4), (uint32_t)len);
        }
        start += WIRE_HEADER + len;
    }
    memmove(peer->got, peer->got + start, peer->len - start);
    peer->len -= start;
}

/* As python-h2's users do: two WINDOW_UPDATE for each frame, as long as it was. */
static void give_back(struct stage *stage)
{
    struct wire_bytes *said = &stage->talk.said;
    said->len = 0;
    for (unsigned count = 0; stage->owed_from != stage->owed_to; count++) {
        if (stage->most_a_turn > 0 && count == stage->most_a_turn) {
            break;
        }
        unsigned at = stage->owed_from++ % OWED_MAX;
        const uint32_t streams[] = {0, stage->owed[0][at]};
        for (size_t i = 0; i < COUNT(streams); i++) {
            wire_put_header(said, 4, NGHTTP2_WINDOW_UPDATE, 0, streams[i]);
            wire_put_number(said, stage->owed[1][at], 4);
        }
    }
    assert_int_equal(peer_push(&stage->talk.peer, said->at, said->len), said->len);
}

static bool run_turn(void *self)
{
    struct stage *stage = self;
    hear_frames(stage);
    if (stage->framer == NULL || stage->heard >= stage->wanted) {
        return true;
    }
    int32_t patience = stage->framer->meter.patience;
    stage->least_patience = patience < stage->least_patience ? patience : stage->least_patience;
    stage->turn++;
    fill(stage);
    if (!stage->waits_first || stage->heard >= FIRST_BYTES) {
        give_back(stage);
    }
    return false;
}

static void run_until(struct stage *stage, uint64_t wanted)
{
    stage->wanted = wanted;
    assert_true(turns_until_within(&stage->talk.turns, 60000, run_turn, stage));
}

/* ---- patience ---- */

enum { BYTES = 64 * MIB };

static void expect_patience(const struct stage *stage)
{
    assert_int_equal(stage->fault, FAULT_NONE);
    assert_true(stage->heard >= stage->wanted);
    assert_true(stage->least_patience > H2_PATIENCE * 9 / 10);
}

static void a_client_that_gives_back_frame_by_frame_keeps_its_patience(void **state)
{
    (void)state;
    static const unsigned paces[] = {0, 1, 3};
    for (size_t i = 0; i < COUNT(paces); i++) {
        static struct stage stage;
        open_server(&stage, "settings");
        open_download(&stage);
        stage.most_a_turn = paces[i];
        stage.waits_first = true;
        run_until(&stage, BYTES);
        expect_patience(&stage);
        stage_fini(&stage);
    }
}

/* The conn's window is shared by all of them. */
static void so_does_a_client_with_many_streams(void **state)
{
    (void)state;
    static struct stage stage;
    open_server(&stage, "settings");
    for (size_t i = 0; i < STREAMS; i++) {
        open_download(&stage);
    }
    stage.most_a_turn = 1;
    stage.waits_first = true;
    run_until(&stage, BYTES);
    expect_patience(&stage);
    stage_fini(&stage);
}

static void so_does_a_server(void **state)
{
    (void)state;
    static struct stage stage;
    open_upload(&stage);
    stage.most_a_turn = 1;
    stage.waits_first = true;
    run_until(&stage, BYTES);
    assert_non_null(stage.client);
    expect_patience(&stage);
    stage_fini(&stage);
}

static void tiny_windows_are_served_without_a_wait(void **state)
{
    (void)state;
    enum { TIMES = 200 };
    static const unsigned windows[] = {1, 2, 100, 255};
    for (size_t i = 0; i < COUNT(windows); i++) {
        static struct stage stage;
        char settings[64];
        (void)snprintf(settings, sizeof(settings), "settings 4=%u", windows[i]);
        open_server(&stage, settings);
        open_download(&stage);
        uint64_t began_ms = loop_now_ms(stage.talk.turns.loop);
        run_until(&stage, (uint64_t)TIMES * windows[i]);
        assert_true(loop_now_ms(stage.talk.turns.loop) - began_ms < TIMES * H2_KEPT_MS / 4);
        stage_fini(&stage);
    }
}

static void windows_above_half_a_crumb_pay_for_what_they_cost(void **state)
{
    (void)state;
    static struct stage stage;
    open_server(&stage, "settings 4=130");
    open_download(&stage);
    run_until(&stage, (uint64_t)4 * H2_PATIENCE * 130);
    expect_patience(&stage);
    stage_fini(&stage);
}

static void a_byte_at_a_time_uses_patience_up(void **state)
{
    (void)state;
    static struct stage stage;
    open_server(&stage, "settings 4=1");
    open_download(&stage);
    run_until(&stage, UINT64_MAX);
    assert_int_equal(stage.heard < 4L * H2_PATIENCE, true);
    assert_string_equal(stage.talk.fake.told, "request GET /\n|end\nresponded h2_flood\n");
    stage_fini(&stage);
}

/* ---- what is kept back ---- */

static void put(struct stage *stage, size_t len)
{
    static char bytes[MIB];
    memset(bytes, 'y', sizeof(bytes));
    assert_int_equal(body_put(stage->bodies[0], (slice){bytes, len}), len);
    body_offer(stage->bodies[0]);
    talk_settle(&stage->talk);
}

static void open_and_put(struct stage *stage, const char *settings, const char *heard)
{
    open_server(stage, settings);
    open_download(stage);
    put(stage, 100 * 1000);
    talk_expect_heard(&stage->talk, heard);
}

static void a_crumb_of_a_window_is_kept_until_there_is_more(void **state)
{
    (void)state;
    static struct stage stage;
    open_and_put(&stage, "settings 4=1000", "headers 1 :status=200\ndata 1 #1000\n");
    talk_say(&stage.talk, "window 1 499\n");
    talk_expect_heard(&stage.talk, "");
    talk_say(&stage.talk, "window 1 1\n"); /* half of the largest window */
    talk_expect_heard(&stage.talk, "data 1 #500\n");
    stage_fini(&stage);
}

static void a_crumb_of_the_conns_window_is_kept_until_there_is_more(void **state)
{
    (void)state;
    static struct stage stage;
    open_and_put(&stage, "settings 4=1000000",
                 "headers 1 :status=200\ndata 1 #16375\ndata 1 #16375\ndata 1 #16375\n"
                 "data 1 #8205\ndata 1 #8205\n");
    talk_say(&stage.talk, "window 0 4095\n");
    talk_expect_heard(&stage.talk, "");
    talk_say(&stage.talk, "window 1 1\n"); /* is not what is missing */
    talk_expect_heard(&stage.talk, "");
    talk_say(&stage.talk, "window 0 1\n");
    talk_expect_heard(&stage.talk, "data 1 #4096\n");
    stage_fini(&stage);
}

static bool heard_something(void *self)
{
    struct wire *wire = self;
    (void)wire_listens(wire);
    return wire->heard[0] != '\0';
}

static void what_was_kept_for_a_moment_is_sent_as_it_is(void **state)
{
    (void)state;
    static struct stage stage;
    open_and_put(&stage, "settings 4=1000", "headers 1 :status=200\ndata 1 #1000\n");
    for (int i = 0; i < 3; i++) {
        talk_say(&stage.talk, "window 1 1\n");
        talk_expect_heard(&stage.talk, "");
        turns_until(&stage.talk.turns, heard_something, &stage.talk.wire);
        talk_expect_heard(&stage.talk, "data 1 y\n");
    }
    stage_fini(&stage);
}

static void the_rest_of_a_body_is_not_kept(void **state)
{
    (void)state;
    static struct stage stage;
    open_server(&stage, "settings 4=1000");
    open_download(&stage);
    put(&stage, 1003);
    talk_expect_heard(&stage.talk, "headers 1 :status=200\ndata 1 #1000\n");
    talk_say(&stage.talk, "window 1 5\n");
    talk_expect_heard(&stage.talk, "data 1 yyy\n");
    stage_fini(&stage);
}

static void windows_that_settings_made_small_are_used(void **state)
{
    (void)state;
    static struct stage stage;
    open_and_put(&stage, "settings 4=1000", "headers 1 :status=200\ndata 1 #1000\n");
    talk_say(&stage.talk, "window 1 10\n");
    talk_expect_heard(&stage.talk, "");
    talk_say(&stage.talk, "settings 4=1001\n");
    talk_expect_heard(&stage.talk, "settings+ack\ndata 1 yyyyyyyyyyy\n");
    talk_say(&stage.talk, "window 1 10\n");
    talk_expect_heard(&stage.talk, "data 1 yyyyyyyyyy\n");
    stage_fini(&stage);
}

static void a_stream_that_ends_is_kept_no_more(void **state)
{
    (void)state;
    static struct stage stage;
    open_and_put(&stage, "settings 4=1000", "headers 1 :status=200\ndata 1 #1000\n");
    talk_say(&stage.talk, "window 1 10\n");
    talk_say(&stage.talk, "reset 1 8\n");
    assert_null(stage.talk.fake.last);
    assert_true(list_is_empty(&stage.framer->crumbs.lanes));
    turns_pass(&stage.talk.turns, H2_KEPT_MS + 2 * TIMER_TICK_MS);
    talk_settle(&stage.talk);
    talk_expect_heard(&stage.talk, "");
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_is_used_up_or_enough_of_it_is_left),
        cmocka_unit_test(a_client_that_gives_back_frame_by_frame_keeps_its_patience),
        cmocka_unit_test(so_does_a_client_with_many_streams),
        cmocka_unit_test(so_does_a_server),
        cmocka_unit_test(tiny_windows_are_served_without_a_wait),
        cmocka_unit_test(windows_above_half_a_crumb_pay_for_what_they_cost),
        cmocka_unit_test(a_byte_at_a_time_uses_patience_up),
        cmocka_unit_test(a_crumb_of_a_window_is_kept_until_there_is_more),
        cmocka_unit_test(a_crumb_of_the_conns_window_is_kept_until_there_is_more),
        cmocka_unit_test(what_was_kept_for_a_moment_is_sent_as_it_is),
        cmocka_unit_test(the_rest_of_a_body_is_not_kept),
        cmocka_unit_test(windows_that_settings_made_small_are_used),
        cmocka_unit_test(a_stream_that_ends_is_kept_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
