/* tests/unit/proxy/http1/client_test.c
 *
 * The server's side of HTTP/1 on the real loop: the server is a socket of the test, the driver a
 * fake that writes down what it is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/client.h"

#include "support/fake_driver.h"
#include "support/peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct stage {
    struct turns turns;
    struct fake fake;
    struct peer server;
    struct client_settings settings;
    struct client_codec *codec; /* NULL: closed */
    int send_bytes;             /* room of our socket; 0: as it is */
};

static void on_room(void *self, bool is_idle)
{
    struct stage *stage = self;
    assert_true(is_idle);
    fake_tell(&stage->fake, "idle\n");
}

static void on_closed(void *self)
{
    struct stage *stage = self;
    stage->codec = NULL;
    fake_tell(&stage->fake, "closed\n");
}

static void open_conn(struct stage *stage)
{
    struct stream *stream = NULL;
    int descriptor = peer_pair(&stage->server);
    if (stage->send_bytes > 0) {
        (void)setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &stage->send_bytes,
                         sizeof(stage->send_bytes));
    }
    const struct client_codec_start start = {
        .loop = stage->turns.loop,
        .settings = &stage->settings,
        .on_room = on_room,
        .on_closed = on_closed,
        .self = stage,
    };
    assert_int_equal(stream_adopt(&stream, stage->turns.loop, descriptor, NULL, NULL), STATUS_OK);
    stage->codec = http1_client_open(stream, &start);
    assert_non_null(stage->codec);
}

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){
        .settings = {.limits = {.header_bytes = 8192, .header_count = 64, .uri_bytes = 4096}}};
    turns_init(&stage->turns);
    fake_init(&stage->fake, stage->turns.loop);
    open_conn(stage);
}

static void close_conn(struct stage *stage)
{
    if (stage->codec != NULL) {
        stage->codec->calls->close(stage->codec);
    }
    peer_fini(&stage->server);
    turns_settle(&stage->turns, NULL, NULL);
    assert_null(stage->codec);
    assert_null(stage->fake.last);
}

static void stage_fini(struct stage *stage)
{
    close_conn(stage);
    turns_fini(&stage->turns);
}

static void settle(struct stage *stage)
{
    turns_settle(&stage->turns, peer_listens, &stage->server);
}

static void say(struct stage *stage, const char *text)
{
    peer_say(&stage->server, text);
    settle(stage);
}

static void expect_told(struct stage *stage, const char *told)
{
    assert_string_equal(stage->fake.told, told);
    stage->fake.told[0] = '\0';
}

/* A request without a body, to be changed before it is sent. */
static struct fake_exchange *make_request(struct stage *stage)
{
    struct fake_exchange *faked = fake_open(&stage->fake);
    *faked->exchange.request = (struct message){
        .method = METHOD_GET,
        .method_name = SLICE("GET"),
        .scheme = SLICE("http"),
        .authority = SLICE("h"),
        .path = SLICE("/"),
    };
    body_end(&faked->exchange.request_body);
    return faked;
}

static struct fake_exchange *make_upload(struct stage *stage, enum framing_kind kind,
                                         uint64_t length)
{
    struct fake_exchange *faked = make_request(stage);
    struct message *request = faked->exchange.request;
    request->method = METHOD_POST;
    request->method_name = SLICE("POST");
    request->framing = (struct framing){.kind = kind, .length = length};
    faked->exchange.request_body.state = BODY_OPEN;
    return faked;
}

static void send_request(struct stage *stage, struct fake_exchange *faked)
{
    struct requester *requester = stage->codec->calls->requester(stage->codec);
    requester->calls->request(requester, &faked->exchange);
    settle(stage);
}

static void ask(struct stage *stage)
{
    send_request(stage, make_request(stage));
}

#define REQUEST "GET / HTTP/1.1\r\nhost: h\r\n\r\n"

static bool is_over(void *self)
{
    struct stage *stage = self;
    peer_hear(&stage->server);
    return stage->fake.last == NULL;
}

/* ---- responses in any pieces ---- */

static const struct vector {
    const char *name;
    const char *said;
    bool ends; /* the server closes behind it */
    const char *told;
} vectors[] = {
    {"length", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", false,
     "response 200\nidle\ndone\nhello|end\n"},
    {"no body", "HTTP/1.1 204 No Content\r\n\r\n", false, "response 204\n|end\nidle\ndone\n"},
    {"empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false,
     "response 200\n|end\nidle\ndone\n"},
    {"chunked",
     "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", false,
     "response 200\nidle\ndone\nhello|end\n"},
    {"until close", "HTTP/1.1 200 OK\r\n\r\nhello", true,
     "response 200\nhelloclosed\ndone\n|end\n"},
    {"close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello", false,
     "response 200\nclosed\ndone\nhello|end\n"},
    {"HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", false,
     "response 200\nclosed\ndone\nhello|end\n"},
    {"interim",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
     "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
     false, "interim 100\ninterim 103\nresponse 200\n|end\nidle\ndone\n"},
    {"not HTTP", "SSH-2.0-x\r\n", false, "closed\nfailed h1_status_line\n"},
    {"both lengths",
     "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false,
     "closed\nfailed backend_response\n"},
    {"switched unasked", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", false,
     "closed\nfailed backend_upgrade\n"},
    {"short", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", true,
     "response 200\nclosed\n|cut backend_truncated\ndone\n"},
    {"short chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true,
     "response 200\nclosed\n|cut backend_truncated\ndone\n"},
    {"half a head", "HTTP/1.1 200 OK\r\ncont", true, "closed\nfailed backend_reset\n"},
    {"nothing", "", true, "closed\nfailed backend_reset\n"},
};

/* The bodies above are told in pieces when they come in pieces: only the order of the rest is
 * compared, and the bytes. */
static void normalise(const char *told, char *bare, char *letters)
{
    size_t bare_len = 0;
    size_t letters_len = 0;
    for (const char *at = told; *at != '\0'; at++) {
        bool is_hello = strchr("helo", *at) != NULL;
        if (is_hello) {
            letters[letters_len++] = *at;
        } else {
            bare[bare_len++] = *at;
        }
    }
    bare[bare_len] = '\0';
    letters[letters_len] = '\0';
}

static bool has_line(const char *told, const char *line)
{
    return strstr(told, line) != NULL;
}

static void run_vector(struct stage *stage, const struct vector *vector, size_t at)
{
    size_t len = strlen(vector->said);
    ask(stage);
    assert_string_equal(stage->server.got, REQUEST);
    (void)peer_push(&stage->server, vector->said, at);
    settle(stage);
    (void)peer_push(&stage->server, vector->said + at, len - at);
    if (vector->ends) {
        (void)shutdown(stage->server.descriptor, SHUT_WR);
    }
    settle(stage);
    char got_bare[512];
    char got_letters[512];
    char want_bare[512];
    char want_letters[512];
    normalise(stage->fake.told, got_bare, got_letters);
    normalise(vector->told, want_bare, want_letters);
    bool is_body = has_line(vector->told, "hello");
    if (is_body ? strlen(got_letters) != strlen(want_letters)
                : strcmp(stage->fake.told, vector->told) != 0) {
        fail_msg("%s, cut at %zu: told \"%s\"", vector->name, at, stage->fake.told);
    }
    assert_null(stage->fake.last);
}

static void a_response_means_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        for (size_t at = 0; at <= strlen(vectors[i].said); at++) {
            run_vector(&stage, &vectors[i], at);
            close_conn(&stage);
            fake_init(&stage.fake, stage.turns.loop);
            open_conn(&stage);
        }
    }
    stage_fini(&stage);
}

static void a_response_at_once_is_told_in_this_order(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        ask(&stage);
        (void)peer_push(&stage.server, vectors[i].said, strlen(vectors[i].said));
        settle(&stage);
        if (vectors[i].ends) {
            (void)shutdown(stage.server.descriptor, SHUT_WR);
            settle(&stage);
        }
        expect_told(&stage, vectors[i].told);
        close_conn(&stage);
        fake_init(&stage.fake, stage.turns.loop);
        open_conn(&stage);
    }
    stage_fini(&stage);
}

/* ---- the conn afterwards ---- */

static void a_conn_serves_one_request_after_the_other(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    for (int i = 0; i < 3; i++) {
        ask(&stage);
        assert_string_equal(stage.server.got, REQUEST);
        peer_forget(&stage.server);
        say(&stage, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        expect_told(&stage, "response 200\nidle\ndone\nok|end\n");
    }
    stage_fini(&stage);
}

static void an_idle_conn_that_speaks_or_ends_is_closed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct stage stage;
        stage_init(&stage);
        ask(&stage);
        say(&stage, "HTTP/1.1 204 No Content\r\n\r\n");
        expect_told(&stage, "response 204\n|end\nidle\ndone\n");
        if (i == 0) {
            say(&stage, "x");
        } else if (i == 1) {
            peer_close(&stage.server);
        } else {
            peer_reset(&stage.server);
        }
        settle(&stage);
        expect_told(&stage, "closed\n");
        stage_fini(&stage);
    }
}

/* What follows a response in the same segment is nobody's: the next exchange must not take it for
 * its own response. */
static void bytes_behind_a_response_end_the_conn(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    ask(&stage);
    say(&stage, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n");
    expect_told(&stage, "response 200\nclosed\ndone\nok|end\n");
    stage_fini(&stage);
}

/* The same behind a body that is larger than one read: the rest is still in the socket. */
static void bytes_behind_a_large_response_end_the_conn(void **state)
{
    (void)state;
    enum { BODY_BYTES = 60000 };
    struct stage stage;
    stage_init(&stage);
    stage.fake.tells_bytes = false;
    ask(&stage);
    char *bytes = malloc(BODY_BYTES + 1);
    memset(bytes, 'x', BODY_BYTES);
    bytes[BODY_BYTES] = '\0';
    peer_say(&stage.server, "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n");
    peer_say(&stage.server, bytes);
    say(&stage, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    free(bytes);
    expect_told(&stage, "response 200\nclosed\ndone\n|end\n");
    assert_int_equal(stage.fake.taken, BODY_BYTES);
    stage_fini(&stage);
}

static void a_server_that_ended_behind_a_large_response_is_not_used_again(void **state)
{
    (void)state;
    enum { BODY_BYTES = 60000 };
    struct stage stage;
    stage_init(&stage);
    stage.fake.tells_bytes = false;
    ask(&stage);
    char *bytes = calloc(1, BODY_BYTES);
    peer_say(&stage.server, "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n");
    assert_int_equal(peer_push(&stage.server, bytes, BODY_BYTES), BODY_BYTES);
    assert_int_equal(shutdown(stage.server.descriptor, SHUT_WR), 0);
    free(bytes);
    settle(&stage);
    expect_told(&stage, "response 200\nclosed\ndone\n|end\n");
    stage_fini(&stage);
}

/* A server may close an idle conn at the very moment at which a request leaves. */
static void a_stale_conn_says_that_the_request_was_not_acted_on(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    ask(&stage);
    say(&stage, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_told(&stage, "response 204\n|end\nidle\ndone\n");
    peer_close(&stage.server);
    ask(&stage); /* before the loop could tell of the end */
    expect_told(&stage, "closed\nfailed backend_reset unsent\n");
    stage_fini(&stage);
}

static void a_request_whose_body_has_left_counts_as_sent(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    ask(&stage);
    say(&stage, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_told(&stage, "response 204\n|end\nidle\ndone\n");
    peer_close(&stage.server);
    struct fake_exchange *faked = make_upload(&stage, FRAMING_LENGTH, 3);
    (void)fake_put(&faked->exchange.request_body, "abc", 3);
    body_end(&faked->exchange.request_body);
    send_request(&stage, faked);
    expect_told(&stage, "closed\nfailed backend_reset\n");
    stage_fini(&stage);
}

/* ---- request bodies ---- */

static void put_and_offer(struct fake_exchange *faked, const char *text)
{
    struct body *body = &faked->exchange.request_body;
    assert_int_equal(fake_put(body, text, strlen(text)), strlen(text));
    body_offer(body);
}

static void a_request_body_follows_its_head(void **state)
{
    (void)state;
    static const struct {
        enum framing_kind kind;
        const char *sent;
    } rows[] = {
        {FRAMING_LENGTH, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello"},
        {FRAMING_STREAMED, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
                           "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stage stage;
        stage_init(&stage);
        struct fake_exchange *faked = make_upload(&stage, rows[i].kind, 5);
        send_request(&stage, faked);
        put_and_offer(faked, "he");
        settle(&stage);
        put_and_offer(faked, "llo");
        body_end(&faked->exchange.request_body);
        body_offer(&faked->exchange.request_body);
        settle(&stage);
        assert_string_equal(stage.server.got, rows[i].sent);
        say(&stage, "HTTP/1.1 204 No Content\r\n\r\n");
        expect_told(&stage, "response 204\n|end\nidle\ndone\n");
        stage_fini(&stage);
    }
}

static void a_response_before_the_request_is_complete_waits_for_it(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = make_upload(&stage, FRAMING_LENGTH, 4);
    send_request(&stage, faked);
    put_and_offer(faked, "ab");
    say(&stage, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_told(&stage, "response 204\n|end\n");
    put_and_offer(faked, "cd");
    body_end(&faked->exchange.request_body);
    body_offer(&faked->exchange.request_body);
    expect_told(&stage, "idle\ndone\n");
    stage_fini(&stage);
}

/* Sends as much of a body as the server takes, and a little more. */
static void fill_up(struct stage *stage, struct fake_exchange *faked)
{
    static char bytes[BUFFER_LARGE_BYTES];
    stage->server.is_deaf = true;
    for (int i = 0; i < 100; i++) {
        (void)fake_put(&faked->exchange.request_body, bytes, sizeof(bytes));
        body_offer(&faked->exchange.request_body);
        settle(stage);
    }
    assert_false(buffer_is_empty(&faked->exchange.request_body.bytes));
}

static void a_server_that_answers_and_leaves_in_mid_request_is_heard_out(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = make_upload(&stage, FRAMING_STREAMED, 0);
    send_request(&stage, faked);
    put_and_offer(faked, "ab");
    settle(&stage); /* the server has read all, so that its close is no reset */
    peer_say(&stage.server, "HTTP/1.1 413 x\r\ncontent-length: 2\r\n\r\nno");
    peer_close(&stage.server);
    put_and_offer(faked, "cd");
    settle(&stage);
    assert_non_null(strstr(stage.fake.told, "response 413\n"));
    assert_non_null(strstr(stage.fake.told, "no|end\n"));
    if (stage.fake.last != NULL) {
        fake_abandon(stage.fake.last);
    }
    stage_fini(&stage);
}

static void a_server_that_leaves_after_its_response_ends_the_exchange(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = make_upload(&stage, FRAMING_STREAMED, 0);
    send_request(&stage, faked);
    say(&stage, "HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n");
    expect_told(&stage, "response 413\n|end\n");
    peer_reset(&stage.server);
    put_and_offer(faked, "ab");
    settle(&stage);
    if (stage.fake.told[0] == '\0') {
        put_and_offer(faked, "cd");
    }
    expect_told(&stage, "closed\ndone\n");
    stage_fini(&stage);
}

static void a_server_that_takes_no_more_is_waited_for(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = make_upload(&stage, FRAMING_STREAMED, 0);
    send_request(&stage, faked);
    fill_up(&stage, faked);
    body_end(&faked->exchange.request_body);
    stage.server.is_deaf = false;
    for (int i = 0;
         i < 100 && stage.fake.told[0] == '\0' && !body_is_done(&faked->exchange.request_body);
         i++) {
        settle(&stage);
    }
    assert_true(body_is_done(&faked->exchange.request_body));
    say(&stage, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_told(&stage, "response 204\n|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void a_response_that_nobody_takes_stays_with_the_server(void **state)
{
    (void)state;
    enum { BODY_BYTES = 16 * 1024 * 1024 };
    struct stage stage;
    stage_init(&stage);
    stage.fake.is_slow = true;
    stage.fake.tells_bytes = false;
    ask(&stage);
    peer_say(&stage.server, "HTTP/1.1 200 OK\r\ncontent-length: 16777216\r\n\r\n");
    char *bytes = calloc(1, BODY_BYTES);
    size_t sent = 0;
    for (int i = 0; i < 8; i++) {
        sent += peer_push(&stage.server, bytes, BODY_BYTES - sent);
        settle(&stage);
    }
    struct body *body = &stage.fake.last->exchange.response_body;
    assert_true(sent < BODY_BYTES);
    assert_true(body->moved_in > 0 && body->moved_in <= BUFFER_HUGE_BYTES);
    stage.fake.is_slow = false;
    for (int i = 0; i < 1000 && stage.fake.taken < BODY_BYTES; i++) {
        fake_on_response_bytes(stage.fake.last);
        body_made_room(body);
        sent += peer_push(&stage.server, bytes + sent, BODY_BYTES - sent);
        settle(&stage);
    }
    free(bytes);
    assert_int_equal(stage.fake.taken, BODY_BYTES);
    expect_told(&stage, "response 200\nidle\ndone\n|end\n");
    stage_fini(&stage);
}

/* ---- the driver gives up ---- */

static void the_driver_may_abandon_in_any_call(void **state)
{
    (void)state;
    static const struct {
        enum fake_call call;
        const char *said;
        const char *told;
    } rows[] = {
        {FAKE_ON_INTERIM, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
         "interim 103\nclosed\nabandoned\n"},
        {FAKE_ON_RESPONSE, "HTTP/1.1 204 No Content\r\n\r\n", "response 204\nclosed\nabandoned\n"},
        {FAKE_ON_RESPONSE, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
         "response 200\nclosed\nabandoned\n"},
        {FAKE_ON_BYTES, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
         "response 200\nclosed\nabandoned\n"},
        {FAKE_ON_BYTES, "HTTP/1.1 200 OK\r\n\r\nok", "response 200\nclosed\nabandoned\n"},
        {FAKE_ON_BYTES, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
         "response 200\nclosed\nabandoned\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.fake.abandons_in = rows[i].call;
        ask(&stage);
        say(&stage, rows[i].said);
        expect_told(&stage, rows[i].told);
        stage_fini(&stage);
    }
}

static void closing_a_conn_fails_or_cuts_its_exchange(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        const char *told;
    } rows[] = {
        {"", "closed\nfailed backend_reset\n"},
        {"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
         "response 200\nclosed\n|cut backend_reset\ndone\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stage stage;
        stage_init(&stage);
        ask(&stage);
        say(&stage, rows[i].said);
        stage.codec->calls->close(stage.codec);
        settle(&stage);
        expect_told(&stage, rows[i].told);
        stage_fini(&stage);
    }
}

/* ---- tunnels ---- */

static struct fake_exchange *begin_tunnel(struct stage *stage)
{
    struct fake_exchange *faked = make_request(stage);
    faked->exchange.request->upgrade = SLICE("websocket");
    faked->exchange.request_body.state = BODY_OPEN;
    send_request(stage, faked);
    assert_true(peer_heard(&stage->server, "upgrade: websocket\r\n"));
    peer_forget(&stage->server);
    say(stage, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
               "upgrade: websocket\r\n\r\nfirst");
    expect_told(stage, "response 101\nfirst");
    return faked;
}

static void a_tunnel_ends_when_both_sides_have_the_client_first(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = begin_tunnel(&stage);
    put_and_offer(faked, "ping");
    settle(&stage);
    assert_string_equal(stage.server.got, "ping");
    body_end(&faked->exchange.request_body);
    body_offer(&faked->exchange.request_body);
    settle(&stage);
    assert_true(stage.server.has_ended);
    say(&stage, "pong");
    expect_told(&stage, "pong");
    peer_close(&stage.server);
    settle(&stage);
    expect_told(&stage, "closed\ndone\n|end\n");
    stage_fini(&stage);
}

static void a_tunnel_ends_when_both_sides_have_the_server_first(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = begin_tunnel(&stage);
    assert_int_equal(shutdown(stage.server.descriptor, SHUT_WR), 0);
    settle(&stage);
    expect_told(&stage, "|end\n");
    put_and_offer(faked, "still here");
    settle(&stage);
    assert_string_equal(stage.server.got, "still here");
    body_end(&faked->exchange.request_body);
    body_offer(&faked->exchange.request_body);
    settle(&stage);
    expect_told(&stage, "closed\ndone\n");
    assert_true(stage.server.has_ended && !stage.server.was_reset);
    stage_fini(&stage);
}

static void a_refused_upgrade_is_a_response_like_any_other(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct fake_exchange *faked = make_request(&stage);
    faked->exchange.request->upgrade = SLICE("websocket");
    faked->exchange.request_body.state = BODY_OPEN;
    send_request(&stage, faked);
    say(&stage, "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    expect_told(&stage, "response 403\nidle\ndone\nno|end\n");
    stage_fini(&stage);
}

/* A head of many cookies that the socket does not take at once. */
static void a_large_upgrade_leaves_whole_whatever_the_socket_takes(void **state)
{
    (void)state;
    enum { VALUE_BYTES = 200 * 1024 };
    struct stage stage;
    stage_init(&stage);
    close_conn(&stage);
    stage.send_bytes = 16 * 1024;
    open_conn(&stage);
    stage.fake.told[0] = '\0';
    struct fake_exchange *faked = make_request(&stage);
    faked->exchange.request->upgrade = SLICE("websocket");
    faked->exchange.request_body.state = BODY_OPEN;
    char *value = malloc(VALUE_BYTES + 1);
    memset(value, 'v', VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    assert_int_equal(fields_add_named(&faked->exchange.request->fields, &faked->exchange.arena,
                                      SLICE("x-many"), slice_of(value)),
                     STATUS_OK);
    const int small = 4096;
    (void)setsockopt(stage.server.descriptor, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    stage.server.is_deaf = true;
    send_request(&stage, faked);
    stage.server.is_deaf = false;
    for (int i = 0; i < 100 && stage.server.heard < VALUE_BYTES; i++) {
        turns_pass(&stage.turns, 10);
        peer_hear(&stage.server);
    }
    assert_true(stage.server.heard > VALUE_BYTES);
    assert_true(peer_heard(&stage.server, "\r\n\r\n"));
    fake_abandon(faked);
    free(value);
    stage_fini(&stage);
}

/* ---- deadlines ---- */

static void a_response_that_does_not_come_is_not_waited_for(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.response_ms = 300;
    ask(&stage);
    /* Once the request is sent there is no other progress: the time counts once, not twice. */
    assert_true(turns_until_within(&stage.turns, 550, is_over, &stage));
    expect_told(&stage, "closed\nfailed timeout_response\n");
    stage_fini(&stage);
}

static void a_body_that_stops_is_cut(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.response_ms = 200;
    ask(&stage);
    say(&stage, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok");
    assert_true(turns_until_within(&stage.turns, 2000, is_over, &stage));
    expect_told(&stage, "response 200\nokclosed\n|cut timeout_response\ndone\n");
    stage_fini(&stage);
}

/* Who does not take or send a body is held to the rate elsewhere: the server is not to blame. */
static void a_slow_client_does_not_count_against_the_server(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.response_ms = 200;
    struct fake_exchange *faked = make_upload(&stage, FRAMING_LENGTH, 4);
    send_request(&stage, faked);
    turns_pass(&stage.turns, 700);
    expect_told(&stage, "");
    put_and_offer(faked, "abcd");
    body_end(&faked->exchange.request_body);
    body_offer(&faked->exchange.request_body);
    stage.fake.is_slow = true;
    say(&stage, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    turns_pass(&stage.turns, 700);
    stage.fake.is_slow = false;
    if (stage.fake.last != NULL) {
        fake_on_response_bytes(stage.fake.last);
    }
    assert_null(strstr(stage.fake.told, "timeout"));
    stage_fini(&stage);
}

static void a_server_that_takes_nothing_of_a_body_is_not_waited_for(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.settings.response_ms = 200;
    struct fake_exchange *faked = make_upload(&stage, FRAMING_STREAMED, 0);
    send_request(&stage, faked);
    fill_up(&stage, faked);
    assert_true(turns_until_within(&stage.turns, 3000, is_over, &stage));
    expect_told(&stage, "closed\nfailed timeout_response\n");
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_means_the_same_however_it_is_cut),
        cmocka_unit_test(a_response_at_once_is_told_in_this_order),
        cmocka_unit_test(a_conn_serves_one_request_after_the_other),
        cmocka_unit_test(an_idle_conn_that_speaks_or_ends_is_closed),
        cmocka_unit_test(bytes_behind_a_response_end_the_conn),
        cmocka_unit_test(bytes_behind_a_large_response_end_the_conn),
        cmocka_unit_test(a_server_that_ended_behind_a_large_response_is_not_used_again),
        cmocka_unit_test(a_stale_conn_says_that_the_request_was_not_acted_on),
        cmocka_unit_test(a_request_whose_body_has_left_counts_as_sent),
        cmocka_unit_test(a_request_body_follows_its_head),
        cmocka_unit_test(a_response_before_the_request_is_complete_waits_for_it),
        cmocka_unit_test(a_server_that_answers_and_leaves_in_mid_request_is_heard_out),
        cmocka_unit_test(a_server_that_leaves_after_its_response_ends_the_exchange),
        cmocka_unit_test(a_server_that_takes_no_more_is_waited_for),
        cmocka_unit_test(a_response_that_nobody_takes_stays_with_the_server),
        cmocka_unit_test(the_driver_may_abandon_in_any_call),
        cmocka_unit_test(closing_a_conn_fails_or_cuts_its_exchange),
        cmocka_unit_test(a_tunnel_ends_when_both_sides_have_the_client_first),
        cmocka_unit_test(a_tunnel_ends_when_both_sides_have_the_server_first),
        cmocka_unit_test(a_refused_upgrade_is_a_response_like_any_other),
        cmocka_unit_test(a_large_upgrade_leaves_whole_whatever_the_socket_takes),
        cmocka_unit_test(a_response_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(a_body_that_stops_is_cut),
        cmocka_unit_test(a_slow_client_does_not_count_against_the_server),
        cmocka_unit_test(a_server_that_takes_nothing_of_a_body_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
