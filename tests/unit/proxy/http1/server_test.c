/* tests/unit/proxy/http1/server_test.c
 *
 * The client's side of HTTP/1 on the real loop: the client is a socket of the test, the driver a
 * fake that writes down what it is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/server.h"

#include "support/fake_driver.h"
#include "support/peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct stage {
    struct turns turns;
    struct fake fake;
    struct peer client;
    struct server_settings settings;
    struct server_codec *codec; /* NULL: closed */
    enum fault_code closed_with;
};

static void on_closed(void *self, enum fault_code fault)
{
    struct stage *stage = self;
    stage->codec = NULL;
    stage->closed_with = fault;
    fake_tell(&stage->fake, "closed %s\n", fault_name(fault));
}

static void open_conn(struct stage *stage)
{
    struct stream *stream = NULL;
    int descriptor = peer_pair(&stage->client);
    const struct server_codec_start start = {
        .loop = stage->turns.loop,
        .settings = &stage->settings,
        .source = {.open = fake_source, .self = &stage->fake},
        .scheme = SLICE("http"),
        .on_closed = on_closed,
        .self = stage,
    };
    /* The codec becomes the owner before any event can come. */
    assert_int_equal(stream_adopt(&stream, stage->turns.loop, descriptor, NULL, NULL), STATUS_OK);
    stage->codec = http1_server_open(stream, &start);
    assert_non_null(stage->codec);
}

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){
        .settings = {.limits = {.header_bytes = 8192, .header_count = 64, .uri_bytes = 4096}}};
    turns_init(&stage->turns);
    fake_init(&stage->fake, stage->turns.loop);
    stage->fake.answers_at_once = true;
    open_conn(stage);
}

static void close_conn(struct stage *stage)
{
    if (stage->codec != NULL) {
        stage->codec->calls->close(stage->codec, FAULT_DRAIN_DEADLINE);
    }
    peer_fini(&stage->client);
    turns_settle(&stage->turns, NULL, NULL);
    assert_null(stage->codec);
}

static void stage_fini(struct stage *stage)
{
    close_conn(stage);
    turns_fini(&stage->turns);
}

static void settle(struct stage *stage)
{
    turns_settle(&stage->turns, peer_listens, &stage->client);
}

static void say(struct stage *stage, const char *text)
{
    peer_say(&stage->client, text);
    settle(stage);
}

/* What the driver was told since the last call. */
static void expect_told(struct stage *stage, const char *told)
{
    assert_string_equal(stage->fake.told, told);
    stage->fake.told[0] = '\0';
}

static bool is_closed(void *self)
{
    struct stage *stage = self;
    peer_hear(&stage->client);
    return stage->codec == NULL && stage->fake.last == NULL;
}

/* ---- one request in any pieces ---- */

#define ANSWER      "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
#define LAST_ANSWER "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"

static const struct vector {
    const char *name;
    const char *sent;
    const char *told;
    const char *answered;
} vectors[] = {
    {"no body", "GET /a?b HTTP/1.1\r\nhost: h\r\n\r\n", "request GET /a?b\nresponded none\n",
     ANSWER},
    {"an empty line first", "\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n",
     "request GET /\nresponded none\n", ANSWER},
    {"HTTP/1.0", "GET / HTTP/1.0\r\nhost: h\r\n\r\n",
     "request GET /\nresponded none\nclosed none\n", LAST_ANSWER},
    {"close is asked for", "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
     "request GET /\nresponded none\nclosed none\n", LAST_ANSWER},
    {"HEAD", "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n", "request HEAD /\nresponded none\n",
     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"},
    {"a bare CR", "GET / HTTP/1.1\r\nhost: h\r \r\n\r\n",
     "bad h1_bare_cr\nresponded none\nclosed none\n",
     "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"},
    {"both lengths",
     "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
     "bad length_and_coding\nresponded none\nclosed none\n",
     "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"},
    {"two requests", "GET /1 HTTP/1.1\r\nhost: h\r\n\r\nGET /2 HTTP/1.1\r\nhost: h\r\n\r\n",
     "request GET /1\nresponded none\nrequest GET /2\nresponded none\n", ANSWER ANSWER},
};

/* Two pieces, cut at `at`; 0: whole. */
static void run_vector(struct stage *stage, const struct vector *vector, size_t at)
{
    size_t len = strlen(vector->sent);
    assert_int_equal(peer_push(&stage->client, vector->sent, at), at);
    if (at > 0) {
        settle(stage);
    }
    (void)peer_push(&stage->client, vector->sent + at, len - at); /* it may be closed by then */
    settle(stage);
    if (strcmp(stage->fake.told, vector->told) != 0 ||
        strcmp(stage->client.got, vector->answered) != 0) {
        fail_msg("%s, cut at %zu: told \"%s\", answered \"%s\"", vector->name, at, stage->fake.told,
                 stage->client.got);
    }
}

static void a_request_means_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        for (size_t at = 0; at < strlen(vectors[i].sent); at++) {
            run_vector(&stage, &vectors[i], at);
            close_conn(&stage);
            fake_init(&stage.fake, stage.turns.loop);
            stage.fake.answers_at_once = true;
            open_conn(&stage);
        }
    }
    stage_fini(&stage);
}

static void a_request_means_the_same_byte_by_byte(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        for (const char *at = vectors[i].sent; *at != '\0'; at++) {
            (void)peer_push(&stage.client, at, 1);
            turns_settle(&stage.turns, NULL, NULL);
        }
        settle(&stage);
        assert_string_equal(stage.fake.told, vectors[i].told);
        assert_string_equal(stage.client.got, vectors[i].answered);
        close_conn(&stage);
        fake_init(&stage.fake, stage.turns.loop);
        stage.fake.answers_at_once = true;
        open_conn(&stage);
    }
    stage_fini(&stage);
}

/* ---- bodies ---- */

static const char *const bodies[] = {
    "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nx-t: 1\r\n\r\n",
};

static void a_body_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(bodies); i++) {
        for (size_t at = 0; at < strlen(bodies[i]); at++) {
            stage.fake.answers_at_once = false;
            (void)peer_push(&stage.client, bodies[i], at);
            settle(&stage);
            say(&stage, bodies[i] + at);
            expect_told(&stage, "request POST /\nhello|end\n");
            fake_answer(stage.fake.last, 200);
            settle(&stage);
            expect_told(&stage, "responded none\n");
            assert_string_equal(stage.client.got, ANSWER);
            peer_forget(&stage.client);
        }
    }
    stage_fini(&stage);
}

static void a_body_that_nobody_takes_stays_with_the_client(void **state)
{
    (void)state;
    enum { BODY_BYTES = 16 * 1024 * 1024 };
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    stage.fake.is_slow = true;
    stage.fake.tells_bytes = false;
    say(&stage, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 16777216\r\n\r\n");
    char *bytes = calloc(1, BODY_BYTES);
    size_t sent = 0;
    for (int i = 0; i < 8; i++) {
        sent += peer_push(&stage.client, bytes, BODY_BYTES - sent);
        settle(&stage);
    }
    struct body *body = &stage.fake.last->exchange.request_body;
    assert_true(sent < BODY_BYTES);
    assert_true(body->moved_in > 0 && body->moved_in <= BUFFER_HUGE_BYTES);
    stage.fake.is_slow = false;
    for (int i = 0; i < 1000 && stage.fake.taken < BODY_BYTES; i++) {
        fake_on_request_bytes(stage.fake.last);
        body_made_room(body);
        sent += peer_push(&stage.client, bytes + sent, BODY_BYTES - sent);
        settle(&stage);
    }
    assert_int_equal(stage.fake.taken, BODY_BYTES);
    free(bytes);
    expect_told(&stage, "request POST /\n|end\n");
    stage_fini(&stage);
}

static void an_answer_before_the_body_came_ends_the_conn(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    say(&stage, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhe");
    expect_told(&stage, "request POST /\nresponded none\nclosed none\n");
    assert_string_equal(stage.client.got, LAST_ANSWER);
    assert_true(stage.client.has_ended);
    stage_fini(&stage);
}

static void a_body_above_the_limit_is_refused(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    };
    static const char *const told[] = {
        "bad limit_body_bytes\n",
        "request POST /\nbad limit_body_bytes\n",
    };
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.settings.body_bytes = 4;
        stage.fake.answers_at_once = false;
        say(&stage, requests[i]);
        expect_told(&stage, told[i]);
        fake_answer(stage.fake.last, 413);
        settle(&stage);
        assert_true(peer_heard(&stage.client, "413"));
        assert_true(stage.client.has_ended);
        stage_fini(&stage);
    }
}

/* ---- one after the other ---- */

static void the_next_request_waits_for_the_answer_to_the_first(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "GET /1 HTTP/1.1\r\nhost: h\r\n\r\nGET /2 HTTP/1.1\r\nhost: h\r\n\r\n");
    say(&stage, "GET /3 HTTP/1.1\r\nhost: h\r\n\r\n");
    expect_told(&stage, "request GET /1\n");
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    expect_told(&stage, "responded none\nrequest GET /2\n");
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    expect_told(&stage, "responded none\nrequest GET /3\n");
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    expect_told(&stage, "responded none\n");
    assert_string_equal(stage.client.got, ANSWER ANSWER ANSWER);
    stage_fini(&stage);
}

static void many_requests_at_once_are_all_answered(void **state)
{
    (void)state;
    enum { REQUESTS = 500 };
    struct stage stage;
    stage_init(&stage);
    stage.fake.answer = "";
    for (int i = 0; i < REQUESTS; i++) {
        peer_say(&stage.client, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    }
    for (int i = 0; i < 10; i++) {
        settle(&stage);
    }
    assert_int_equal(stage.fake.begun, REQUESTS);
    assert_int_equal(stage.client.len,
                     REQUESTS * strlen("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    stage_fini(&stage);
}

static void the_last_allowed_request_ends_the_conn(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.requests_per_conn = 2;
    say(&stage, "GET /1 HTTP/1.1\r\nhost: h\r\n\r\n");
    say(&stage, "GET /2 HTTP/1.1\r\nhost: h\r\n\r\nGET /3 HTTP/1.1\r\nhost: h\r\n\r\n");
    expect_told(&stage, "request GET /1\nresponded none\n"
                        "request GET /2\nresponded none\nclosed none\n");
    assert_string_equal(stage.client.got, ANSWER LAST_ANSWER);
    stage_fini(&stage);
}

/* ---- the client leaves ---- */

static void a_client_that_sends_no_more_gets_its_answer(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    peer_say(&stage.client, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_int_equal(shutdown(stage.client.descriptor, SHUT_WR), 0);
    settle(&stage);
    expect_told(&stage, "request GET /\n");
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    expect_told(&stage, "responded none\nclosed none\n");
    assert_true(peer_heard(&stage.client, "\r\n\r\nhi"));
    assert_true(stage.client.has_ended && !stage.client.was_reset);
    stage_fini(&stage);
}

/* What the client sends before it leaves, and what the driver hears of it. */
static const struct leaving {
    const char *sent;
    bool resets;
    const char *told;
} leavings[] = {
    {"", false, "closed none\n"},
    {"", true, "closed none\n"},
    {"GET / HT", false, "closed client_gone\n"},
    {"GET / HT", true, "closed client_reset\n"},
    {"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhe", false,
     "request POST /\nheresponded client_gone\nclosed none\n"},
    {"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", false,
     "request POST /\nheresponded client_gone\nclosed none\n"},
    {"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhe", true,
     "request POST /\nheresponded client_reset\nclosed none\n"},
    {"GET / HTTP/1.1\r\nhost: h\r\n\r\n", true,
     "request GET /\nresponded client_reset\nclosed none\n"},
};

static void a_client_may_leave_at_any_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(leavings); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.fake.answers_at_once = false;
        say(&stage, leavings[i].sent);
        if (leavings[i].resets) {
            peer_reset(&stage.client);
        } else {
            peer_close(&stage.client);
        }
        settle(&stage);
        expect_told(&stage, leavings[i].told);
        assert_null(stage.fake.last);
        stage_fini(&stage);
    }
}

static void a_client_that_leaves_during_the_response_is_told_of(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    const struct framing streamed = {.kind = FRAMING_STREAMED};
    struct exchange *exchange = &stage.fake.last->exchange;
    fake_respond(stage.fake.last, 200, &streamed);
    assert_int_equal(fake_put(&exchange->response_body, "abc", 3), 3);
    body_offer(&exchange->response_body);
    settle(&stage);
    assert_true(peer_heard(&stage.client, "3\r\nabc\r\n"));
    peer_reset(&stage.client);
    settle(&stage);
    expect_told(&stage, "request GET /\nresponded client_reset\nclosed none\n");
    stage_fini(&stage);
}

/* ---- the driver gives up ---- */

static void the_driver_may_abandon_in_any_call(void **state)
{
    (void)state;
    static const struct {
        enum fake_call call;
        const char *sent;
        const char *told;
    } rows[] = {
        {FAKE_ON_REQUEST, "GET / HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n",
         "request GET /\nclosed none\nabandoned\n"},
        {FAKE_ON_BAD_REQUEST, "GET / HTTP/1.1\r\n\r\n",
         "bad host_missing\nclosed none\nabandoned\n"},
        {FAKE_ON_BAD_REQUEST, "GET /\r\n\r\n", "bad h1_request_line\nclosed none\nabandoned\n"},
        {FAKE_ON_BYTES, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhe",
         "request POST /\nclosed none\nabandoned\n"},
        {FAKE_ON_BYTES, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhe",
         "request POST /\nclosed none\nabandoned\n"},
        {FAKE_ON_BYTES,
         "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n",
         "request POST /\nclosed none\nabandoned\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.fake.answers_at_once = false;
        stage.fake.abandons_in = rows[i].call;
        say(&stage, rows[i].sent);
        expect_told(&stage, rows[i].told);
        assert_true(stage.client.has_ended);
        assert_int_equal(stage.client.len, 0);
        assert_null(stage.fake.last);
        stage_fini(&stage);
    }
}

static void a_body_that_breaks_the_rules_after_the_response_began_resets(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
    const struct framing streamed = {.kind = FRAMING_STREAMED};
    fake_respond(stage.fake.last, 200, &streamed);
    settle(&stage);
    say(&stage, "zz\r\n");
    expect_told(&stage, "request POST /\nbad h1_chunk_size\nclosed none\nabandoned\n");
    assert_true(stage.client.was_reset);
    stage_fini(&stage);
}

static void a_cut_response_can_be_told_from_a_complete_one(void **state)
{
    (void)state;
    static const struct framing framings[] = {{.kind = FRAMING_STREAMED},
                                              {.kind = FRAMING_LENGTH, .length = 9},
                                              {.kind = FRAMING_UNTIL_CLOSE}};
    for (size_t i = 0; i < COUNT(framings); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.fake.answers_at_once = false;
        say(&stage,
            i == 2 ? "GET / HTTP/1.0\r\nhost: h\r\n\r\n" : "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        struct exchange *exchange = &stage.fake.last->exchange;
        fake_respond(stage.fake.last, 200, &framings[i]);
        assert_int_equal(fake_put(&exchange->response_body, "abc", 3), 3);
        body_cut(&exchange->response_body, FAULT_BACKEND_TRUNCATED);
        body_offer(&exchange->response_body);
        settle(&stage);
        expect_told(&stage, "request GET /\nresponded backend_truncated\nclosed none\n");
        assert_true(stage.client.was_reset);
        stage_fini(&stage);
    }
}

/* The reset that cuts a response would take with it what the client has not read yet. */
static void a_cut_response_takes_no_earlier_one_with_it(void **state)
{
    (void)state;
    enum { BODY_BYTES = 200000 };
    static char body[BODY_BYTES];
    memset(body, 'b', sizeof(body));
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    stage.client.is_deaf = true;
    const int room = 32 * 1024;
    (void)setsockopt(stage.client.descriptor, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    say(&stage, "GET /1 HTTP/1.1\r\nhost: h\r\n\r\nGET /2 HTTP/1.1\r\nhost: h\r\n\r\n");
    const struct framing whole = {.kind = FRAMING_LENGTH, .length = BODY_BYTES};
    struct exchange *exchange = &stage.fake.last->exchange;
    fake_respond(stage.fake.last, 200, &whole);
    for (size_t put = 0; put < BODY_BYTES;) {
        put += fake_put(&exchange->response_body, body + put, BODY_BYTES - put);
        if (put == BODY_BYTES) {
            body_end(&exchange->response_body);
        }
        body_offer(&exchange->response_body);
        settle(&stage);
    }
    expect_told(&stage, "request GET /1\nresponded none\nrequest GET /2\n");
    exchange = &stage.fake.last->exchange;
    fake_respond(stage.fake.last, 200, &whole);
    body_cut(&exchange->response_body, FAULT_BACKEND_TRUNCATED);
    body_offer(&exchange->response_body);
    settle(&stage);
    expect_told(&stage, "responded backend_truncated\nclosed none\n");
    stage.client.is_deaf = false;
    turns_until(&stage.turns, peer_has_ended, &stage.client);
    assert_true(stage.client.was_reset);
    assert_true(stage.client.heard > BODY_BYTES);
    stage_fini(&stage);
}

/* ---- interim responses ---- */

static void interim_responses_come_before_the_final_one(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    const struct message hints = {.status = 103};
    struct responder *responder = stage.fake.last->exchange.responder;
    responder->calls->interim(responder, &hints);
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    assert_string_equal(stage.client.got, "HTTP/1.1 103 Early Hints\r\n\r\n" ANSWER);
    stage_fini(&stage);
}

static void a_client_of_http10_gets_no_interim_response(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.0\r\nhost: h\r\n\r\n");
    const struct message hints = {.status = 103};
    struct responder *responder = stage.fake.last->exchange.responder;
    assert_true(slice_equal(responder->calls->protocol(responder), SLICE("HTTP/1.0")));
    responder->calls->interim(responder, &hints);
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    assert_string_equal(stage.client.got, LAST_ANSWER);
    stage_fini(&stage);
}

/* ---- tunnels ---- */

static const char upgrade[] = "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\n"
                              "upgrade: websocket\r\n\r\n";

static struct exchange *begin_tunnel(struct stage *stage)
{
    stage->fake.answers_at_once = false;
    say(stage, upgrade);
    struct exchange *exchange = &stage->fake.last->exchange;
    exchange->response->upgrade = SLICE("websocket");
    const struct framing tunnel = {.kind = FRAMING_TUNNEL};
    fake_respond(stage->fake.last, 101, &tunnel);
    settle(stage);
    assert_true(peer_heard(&stage->client, "HTTP/1.1 101 "));
    peer_forget(&stage->client);
    return exchange;
}

static void send_through(struct stage *stage, struct exchange *exchange, const char *text)
{
    assert_int_equal(fake_put(&exchange->response_body, text, strlen(text)), strlen(text));
    body_offer(&exchange->response_body);
    settle(stage);
}

static void a_tunnel_ends_when_both_sides_have_the_client_first(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct exchange *exchange = begin_tunnel(&stage);
    say(&stage, "ping");
    send_through(&stage, exchange, "pong");
    assert_string_equal(stage.client.got, "pong");
    assert_int_equal(shutdown(stage.client.descriptor, SHUT_WR), 0);
    settle(&stage);
    expect_told(&stage, "request GET /ws\nping|end\n");
    send_through(&stage, exchange, " and bye");
    assert_string_equal(stage.client.got, "pong and bye");
    body_end(&exchange->response_body);
    body_offer(&exchange->response_body);
    settle(&stage);
    expect_told(&stage, "responded none\nclosed none\n");
    assert_true(stage.client.has_ended && !stage.client.was_reset);
    stage_fini(&stage);
}

static void a_tunnel_ends_when_both_sides_have_the_server_first(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct exchange *exchange = begin_tunnel(&stage);
    body_end(&exchange->response_body);
    send_through(&stage, exchange, "");
    assert_true(stage.client.has_ended);
    say(&stage, "still here");
    expect_told(&stage, "request GET /ws\nstill here");
    peer_close(&stage.client);
    settle(&stage);
    expect_told(&stage, "|end\nresponded none\nclosed none\n");
    stage_fini(&stage);
}

static void bytes_behind_the_upgrade_belong_to_the_tunnel(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    peer_say(&stage.client, upgrade);
    say(&stage, "early");
    expect_told(&stage, "request GET /ws\n");
    struct exchange *exchange = &stage.fake.last->exchange;
    exchange->response->upgrade = SLICE("websocket");
    const struct framing tunnel = {.kind = FRAMING_TUNNEL};
    fake_respond(stage.fake.last, 101, &tunnel);
    settle(&stage);
    expect_told(&stage, "early");
    stage_fini(&stage);
}

static void a_tunnel_may_be_abandoned_from_its_own_bytes(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    (void)begin_tunnel(&stage);
    stage.fake.abandons_in = FAKE_ON_BYTES;
    say(&stage, "ping");
    expect_told(&stage, "request GET /ws\nclosed none\nabandoned\n");
    assert_true(stage.client.was_reset);
    stage_fini(&stage);
}

/* ---- deadlines ---- */

static void a_head_that_does_not_end_is_answered(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.header_ms = 200;
    say(&stage, "GET / HTTP/1.1\r\nho");
    assert_true(turns_until_within(&stage.turns, 2000, is_closed, &stage));
    expect_told(&stage, "bad timeout_header\nresponded none\nclosed none\n");
    assert_true(peer_heard(&stage.client, "HTTP/1.1 408 "));
    stage_fini(&stage);
}

/* One byte now and then does not make the time for a head longer. */
static void a_head_has_one_deadline_however_it_trickles(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.header_ms = 300;
    say(&stage, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < 5; i++) {
        (void)peer_push(&stage.client, "x", 1);
        turns_pass(&stage.turns, 110);
    }
    assert_true(is_closed(&stage));
    stage_fini(&stage);
}

static void a_client_that_says_nothing_is_let_go(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    close_conn(&stage);
    stage.settings.header_ms = 200;
    open_conn(&stage);
    stage.fake.told[0] = '\0';
    assert_true(turns_until_within(&stage.turns, 2000, is_closed, &stage));
    expect_told(&stage, "closed timeout_idle\n");
    assert_int_equal(stage.client.len, 0);
    stage_fini(&stage);
}

static void an_idle_client_is_let_go(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.header_ms = 100000;
    stage.settings.idle_ms = 200;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_true(turns_until_within(&stage.turns, 2000, is_closed, &stage));
    expect_told(&stage, "request GET /\nresponded none\nclosed timeout_idle\n");
    assert_true(stage.client.has_ended || peer_has_ended(&stage.client));
    stage_fini(&stage);
}

static void a_body_below_the_rate_is_answered(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.minimum_rate = 1000;
    stage.settings.rate_grace_ms = 200;
    stage.fake.answers_at_once = false;
    say(&stage, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhe");
    stage.fake.answers_at_once = true;
    assert_true(turns_until_within(&stage.turns, 2000, is_closed, &stage));
    expect_told(&stage, "request POST /\nhebad timeout_body\nresponded none\nclosed none\n");
    assert_true(peer_heard(&stage.client, "HTTP/1.1 408 "));
    stage_fini(&stage);
}

static void a_client_that_takes_nothing_is_cut(void **state)
{
    (void)state;
    enum { BODY_BYTES = 16 * 1024 * 1024 };
    struct stage stage;
    stage_init(&stage);
    stage.settings.minimum_rate = 100 * 1024 * 1024;
    stage.settings.rate_grace_ms = 200;
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    stage.client.is_deaf = true;
    const struct framing length = {.kind = FRAMING_LENGTH, .length = BODY_BYTES};
    struct exchange *exchange = &stage.fake.last->exchange;
    fake_respond(stage.fake.last, 200, &length);
    char *bytes = calloc(1, BODY_BYTES);
    for (size_t put = 0, more = 1; more > 0; put += more) {
        more = fake_put(&exchange->response_body, bytes, BODY_BYTES - put);
        body_offer(&exchange->response_body);
        settle(&stage);
    }
    free(bytes);
    assert_true(turns_until_within(&stage.turns, 2000, is_closed, &stage));
    expect_told(&stage, "request GET /\nresponded timeout_send\nclosed none\n");
    stage_fini(&stage);
}

static void put_one_byte(void *self)
{
    struct stage *stage = self;
    struct body *body = &stage->fake.last->exchange.response_body;
    assert_int_equal(fake_put(body, "b", 1), 1);
    body_offer(body);
}

/* A stream of events says little, and now and then something at the very moment of the check: what
 * the client has not been sent yet it cannot have taken. */
static void a_response_with_little_to_say_is_no_slow_client(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.minimum_rate = 1000;
    stage.settings.rate_grace_ms = 200;
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    const struct framing streamed = {.kind = FRAMING_STREAMED};
    fake_respond(stage.fake.last, 200, &streamed);
    struct deadline moment = {0};
    deadline_arm(&moment, stage.turns.loop, stage.settings.rate_grace_ms, put_one_byte, &stage);
    put_one_byte(&stage);
    turns_pass(&stage.turns, 500);
    peer_hear(&stage.client);
    expect_told(&stage, "request GET /\n");
    assert_true(peer_heard(&stage.client, "1\r\nb\r\n1\r\nb\r\n"));
    stage_fini(&stage);
}

/* ---- drain and close ---- */

static void draining_closes_an_idle_conn_at_once(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    stage.codec->calls->drain(stage.codec);
    settle(&stage);
    expect_told(&stage, "request GET /\nresponded none\nclosed none\n");
    assert_true(stage.client.has_ended && !stage.client.was_reset);
    stage_fini(&stage);
}

static void draining_lets_a_request_end_and_says_close(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    stage.codec->calls->drain(stage.codec);
    settle(&stage);
    expect_told(&stage, "request GET /\n");
    fake_answer(stage.fake.last, 200);
    settle(&stage);
    expect_told(&stage, "responded none\nclosed none\n");
    assert_string_equal(stage.client.got, LAST_ANSWER);
    stage_fini(&stage);
}

static void draining_waits_for_a_head_that_has_begun(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    say(&stage, "GET / HT");
    stage.codec->calls->drain(stage.codec);
    say(&stage, "TP/1.1\r\nhost: h\r\n\r\n");
    expect_told(&stage, "request GET /\nresponded none\nclosed none\n");
    assert_string_equal(stage.client.got, LAST_ANSWER);
    stage_fini(&stage);
}

static void winding_down_waits_for_one_more_request_and_says_close(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    expect_told(&stage, "request GET /\nresponded none\n");
    stage.codec->calls->wind_down(stage.codec);
    settle(&stage);
    assert_false(stage.client.has_ended);
    size_t before = strlen(stage.client.got);
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    expect_told(&stage, "request GET /\nresponded none\nclosed none\n");
    assert_string_equal(stage.client.got + before, LAST_ANSWER);
    stage_fini(&stage);
}

static void an_idle_conn_that_winds_down_closes_with_the_drain(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    stage.codec->calls->wind_down(stage.codec);
    settle(&stage);
    assert_false(stage.client.has_ended);
    stage.codec->calls->drain(stage.codec); /* its time is over */
    settle(&stage);
    assert_true(stage.client.has_ended && !stage.client.was_reset);
    stage_fini(&stage);
}

static void closing_tells_the_exchange_why(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.fake.answers_at_once = false;
    say(&stage, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    stage.codec->calls->close(stage.codec, FAULT_DRAIN_DEADLINE);
    settle(&stage);
    expect_told(&stage, "request GET /\nresponded drain_deadline\nclosed none\n");
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_means_the_same_however_it_is_cut),
        cmocka_unit_test(a_request_means_the_same_byte_by_byte),
        cmocka_unit_test(a_body_is_the_same_however_it_is_cut),
        cmocka_unit_test(a_body_that_nobody_takes_stays_with_the_client),
        cmocka_unit_test(an_answer_before_the_body_came_ends_the_conn),
        cmocka_unit_test(a_body_above_the_limit_is_refused),
        cmocka_unit_test(the_next_request_waits_for_the_answer_to_the_first),
        cmocka_unit_test(many_requests_at_once_are_all_answered),
        cmocka_unit_test(the_last_allowed_request_ends_the_conn),
        cmocka_unit_test(a_client_that_sends_no_more_gets_its_answer),
        cmocka_unit_test(a_client_may_leave_at_any_time),
        cmocka_unit_test(a_client_that_leaves_during_the_response_is_told_of),
        cmocka_unit_test(the_driver_may_abandon_in_any_call),
        cmocka_unit_test(a_body_that_breaks_the_rules_after_the_response_began_resets),
        cmocka_unit_test(a_cut_response_can_be_told_from_a_complete_one),
        cmocka_unit_test(a_cut_response_takes_no_earlier_one_with_it),
        cmocka_unit_test(interim_responses_come_before_the_final_one),
        cmocka_unit_test(a_client_of_http10_gets_no_interim_response),
        cmocka_unit_test(a_tunnel_ends_when_both_sides_have_the_client_first),
        cmocka_unit_test(a_tunnel_ends_when_both_sides_have_the_server_first),
        cmocka_unit_test(bytes_behind_the_upgrade_belong_to_the_tunnel),
        cmocka_unit_test(a_tunnel_may_be_abandoned_from_its_own_bytes),
        cmocka_unit_test(a_head_that_does_not_end_is_answered),
        cmocka_unit_test(a_head_has_one_deadline_however_it_trickles),
        cmocka_unit_test(a_client_that_says_nothing_is_let_go),
        cmocka_unit_test(an_idle_client_is_let_go),
        cmocka_unit_test(a_body_below_the_rate_is_answered),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut),
        cmocka_unit_test(a_response_with_little_to_say_is_no_slow_client),
        cmocka_unit_test(draining_closes_an_idle_conn_at_once),
        cmocka_unit_test(draining_lets_a_request_end_and_says_close),
        cmocka_unit_test(draining_waits_for_a_head_that_has_begun),
        cmocka_unit_test(winding_down_waits_for_one_more_request_and_says_close),
        cmocka_unit_test(an_idle_conn_that_winds_down_closes_with_the_drain),
        cmocka_unit_test(closing_tells_the_exchange_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
