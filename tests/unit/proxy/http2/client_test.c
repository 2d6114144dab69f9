/* tests/unit/proxy/http2/client_test.c
 *
 * The server's side of HTTP/2 on the real loop: the server is a socket of the test that sends
 * frames made by hand, the driver a fake that writes down what it is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/client.h"

#include "proxy/http2/limits.h"
#include "support/talk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct vector;

struct stage {
    struct talk talk;
    struct client_settings settings;
    struct client_codec *codec; /* NULL: closed */
    int send_bytes;             /* room of our socket; 0: as it is */
    const struct vector *wrong; /* the last one that was */
};

static void on_room(void *self, bool is_idle)
{
    struct stage *stage = self;
    assert_non_null(stage->codec);
    fake_tell(&stage->talk.fake, is_idle ? "idle\n" : "room\n");
}

static void on_closed(void *self)
{
    struct stage *stage = self;
    assert_non_null(stage->codec);
    stage->codec = NULL;
    fake_tell(&stage->talk.fake, "closed\n");
}

#define OFFER "settings 2=0 4=32768 6=4096\nwindow 0 4128769\n"

static void settle(struct stage *stage)
{
    talk_settle(&stage->talk);
}

static void push(struct stage *stage, size_t from, size_t to)
{
    talk_push(&stage->talk, from, to);
}

static void say(struct stage *stage, const char *script)
{
    talk_say(&stage->talk, script);
}

static void expect_told(struct stage *stage, const char *told)
{
    talk_expect_told(&stage->talk, told);
}

static void expect_heard(struct stage *stage, const char *heard)
{
    talk_expect_heard(&stage->talk, heard);
}

/* Past the client's greeting; the server has said nothing yet. */
static void open_conn(struct stage *stage)
{
    const struct client_codec_start start = {
        .loop = stage->talk.turns.loop,
        .settings = &stage->settings,
        .on_room = on_room,
        .on_closed = on_closed,
        .self = stage,
    };
    stage->codec = http2_client_open(talk_connect(&stage->talk, stage->send_bytes), &start);
    assert_non_null(stage->codec);
    assert_true(stage->codec->calls->is_multiplexed);
    turns_settle(&stage->talk.turns, peer_listens, &stage->talk.peer);
    wire_drop_preface(&stage->talk.wire);
    settle(stage);
    expect_heard(stage, OFFER);
}

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){
        .settings = {.limits = {.header_bytes = 4096, .header_count = 32, .uri_bytes = 1024}}};
    talk_init(&stage->talk);
    open_conn(stage);
}

static void close_conn(struct stage *stage)
{
    if (stage->codec != NULL) {
        stage->codec->calls->close(stage->codec);
    }
    talk_end(&stage->talk);
    assert_null(stage->codec);
}

static void reopen(struct stage *stage)
{
    close_conn(stage);
    fake_init(&stage->talk.fake, stage->talk.turns.loop);
    open_conn(stage);
}

static void stage_fini(struct stage *stage)
{
    close_conn(stage);
    talk_fini(&stage->talk);
}

/* Past the greeting of both sides. */
static void stage_init_greeted(struct stage *stage)
{
    stage_init(stage);
    say(stage, "settings\nsettings+ack\n");
    expect_heard(stage, "settings+ack\n");
}

/* A request without a body, to be changed before it is sent. */
static struct fake_exchange *make_request(struct stage *stage)
{
    struct fake_exchange *faked = fake_open(&stage->talk.fake);
    *faked->exchange.request = (struct message){
        .method = METHOD_GET,
        .method_name = SLICE("GET"),
        .scheme = SLICE("https"),
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

static struct fake_exchange *send_request(struct stage *stage, struct fake_exchange *faked)
{
    assert_true(stage->codec->calls->has_room(stage->codec));
    struct requester *requester = stage->codec->calls->requester(stage->codec);
    assert_non_null(requester);
    requester->calls->request(requester, &faked->exchange);
    settle(stage);
    return faked;
}

static struct fake_exchange *ask(struct stage *stage)
{
    return send_request(stage, make_request(stage));
}

static void send_on(struct stage *stage, struct fake_exchange *faked, const char *text, bool ends)
{
    struct body *body = &faked->exchange.request_body;
    assert_int_equal(fake_put(body, text, strlen(text)), strlen(text));
    if (ends) {
        body_end(body);
    }
    body_offer(body);
    settle(stage);
}

static bool has_room(const struct stage *stage)
{
    return stage->codec != NULL && stage->codec->calls->has_room(stage->codec);
}

static bool is_over(void *self)
{
    struct stage *stage = self;
    (void)wire_listens(&stage->talk.wire);
    return stage->talk.fake.last == NULL;
}

static bool is_closed(void *self)
{
    struct stage *stage = self;
    return is_over(self) && stage->codec == NULL;
}

#define GET(id)  "headers " #id " end :method=GET :scheme=https :authority=h :path=/\n"
#define POST(id) "headers " #id " :method=POST :scheme=https :authority=h :path=/\n"
#define OK(id)   "headers " #id " :status=200 content-length=2\ndata " #id " end ok\n"

/* ---- responses in any pieces ---- */

static const struct vector {
    const char *name;
    const char *said;
    const char *told;
    const char *heard; /* behind the request */
} vectors[] = {
    {"length", "headers 1 :status=200 content-length=5\ndata 1 he\ndata 1 end llo\n",
     "response 200\nhello|end\nidle\ndone\n", ""},
    {"until the end", "headers 1 :status=200\ndata 1 hello\ndata 1 end\n",
     "response 200\nhello|end\nidle\ndone\n", ""},
    {"no body", "headers 1 end :status=204\n", "response 204\n|end\nidle\ndone\n", ""},
    {"no content", "headers 1 end :status=200\n", "response 200\n|end\nidle\ndone\n", ""},
    {"a length of none", "headers 1 :status=200 content-length=0\ndata 1 end\n",
     "response 200\n|end\nidle\ndone\n", ""},
    {"a block in parts", "headers 1 end part :status=200\ncontinuation 1 x-a=b\n",
     "response 200\n|end\nidle\ndone\n", ""},
    {"trailers", "headers 1 :status=200\ndata 1 hello\nheaders 1 end grpc-status=0\n",
     "response 200\nhello|end\nidle\ndone\n", ""},
    {"interim", "headers 1 :status=100\nheaders 1 :status=103 link=x\nheaders 1 end :status=200\n",
     "interim 100\ninterim 103\nresponse 200\n|end\nidle\ndone\n", ""},
    {"an interim response that ends", "headers 1 end :status=103\n",
     "idle\nfailed backend_response\n", ""},
    {"switched", "headers 1 :status=101\n", "idle\nfailed backend_response\n", "reset 1 8\n"},
    {"no status", "headers 1 end x-a=b\n", "idle\nfailed backend_response\n", ""},
    {"a status of four digits", "headers 1 :status=2000\n", "idle\nfailed backend_response\n",
     "reset 1 8\n"},
    {"two", "headers 1 :status=200 :status=200\n", "idle\nfailed backend_response\n",
     "reset 1 8\n"},
    {"a request", "headers 1 :status=200 :path=/\n", "idle\nfailed backend_response\n",
     "reset 1 8\n"},
    {"a name in upper case", "headers 1 :status=200 X-a=b\n", "idle\nfailed backend_response\n",
     "reset 1 8\n"},
    {"a field of the conn", "headers 1 :status=200 connection=close\n",
     "idle\nfailed backend_response\n", "reset 1 8\n"},
    {"a coding", "headers 1 :status=200 transfer-encoding=chunked\n",
     "idle\nfailed backend_response\n", "reset 1 8\n"},
    {"two lengths", "headers 1 :status=200 content-length=1 content-length=1\n",
     "idle\nfailed backend_response\n", "reset 1 8\n"},
    {"a length and no content", "headers 1 end :status=200 content-length=5\n",
     "idle\nfailed backend_response\n", ""},
    {"less than the length", "headers 1 :status=200 content-length=5\ndata 1 end\n",
     "response 200\nidle\n|cut backend_response\ndone\n", ""},
    {"more than the length", "headers 1 :status=200 content-length=1\ndata 1 h\ndata 1 i\n",
     "response 200\nhidle\n|cut backend_response\ndone\n", "reset 1 8\n"},
    {"content where there is none", "headers 1 :status=204\ndata 1 h\n",
     "response 204\nidle\n|cut backend_response\ndone\n", "reset 1 8\n"},
    {"trailers that are not the end", "headers 1 :status=200\nheaders 1 x-a=b\n",
     "response 200\nidle\n|cut backend_response\ndone\n", "reset 1 8\n"},
    {"trailers that say who is asked", "headers 1 :status=200\nheaders 1 end host=h\n",
     "response 200\nidle\n|cut backend_response\ndone\n", ""},
    {"a reset", "reset 1 2\n", "idle\nfailed backend_reset\n", ""},
    {"not now", "reset 1 7\n", "idle\nfailed backend_reset unseen\n", ""},
    {"goodbye", "goaway 0 0\n", "failed backend_reset unseen\nclosed\n", ""},
    {"goodbye, but that one", "goaway 1 0\nheaders 1 end :status=204\n",
     "response 204\n|end\ndone\nclosed\n", ""},
    {"content before a head", "data 1 hello\n", "failed backend_response\nclosed\n",
     "goaway 0 1\n"},
    {"content of a stream that nobody opened", "data 3 hello\n",
     "failed backend_response\nclosed\n", "goaway 0 1\n"},
    {"a request from the server", "headers 2 end :method=GET\n",
     "failed backend_response\nclosed\n", "goaway 0 1\n"},
    {"a promise", "settings+ack\nframe 5 4 1 0000000282\n", "failed backend_response\nclosed\n",
     "goaway 0 1\n"},
    {"a block that cannot be decoded", "frame 1 5 1 ffffffffffff\n",
     "failed backend_response\nclosed\n", "goaway 0 9\n"},
    {"a ping", "ping 01234567\nheaders 1 end :status=204\n", "response 204\n|end\nidle\ndone\n",
     "ping+ack 01234567\n"},
    {"a frame that nobody knows", "frame 99 255 1 0011\nheaders 1 end :status=204\n",
     "response 204\n|end\nidle\ndone\n", ""},
};

/* Says which vector is wrong, once for each, and goes on. */
static void check_vector(struct stage *stage, const struct vector *vector, size_t at)
{
    if ((strcmp(stage->talk.fake.told, vector->told) != 0 ||
         strcmp(stage->talk.wire.heard, vector->heard) != 0) &&
        stage->wrong != vector) {
        stage->wrong = vector;
        print_error("%s, cut at %zu: told \"%s\", heard \"%s\"\n", vector->name, at,
                    stage->talk.fake.told, stage->talk.wire.heard);
    }
    reopen(stage);
}

/* The request is on its way, and the vector's bytes are ready. */
static void begin_vector(struct stage *stage, const struct vector *vector)
{
    say(stage, "settings\n");
    ask(stage);
    expect_heard(stage, "settings+ack\n" GET(1));
    stage->talk.said.len = 0;
    wire_write(&stage->talk.said, vector->said);
}

static void a_response_means_the_same_however_it_is_cut(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        size_t len = 1;
        for (size_t at = 0; at < len; at++) {
            begin_vector(&stage, &vectors[i]);
            len = stage.talk.said.len;
            push(&stage, 0, at);
            settle(&stage);
            push(&stage, at, len);
            settle(&stage);
            check_vector(&stage, &vectors[i], at);
        }
    }
    assert_null(stage.wrong);
    stage_fini(&stage);
}

static void a_response_means_the_same_byte_by_byte(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        if (strstr(vectors[i].said, "continuation ") != NULL) {
            continue; /* see is_in_parts in server_test.c */
        }
        begin_vector(&stage, &vectors[i]);
        for (size_t at = 0; at < stage.talk.said.len; at++) {
            push(&stage, at, at + 1);
            turns_settle(&stage.talk.turns, NULL, NULL);
        }
        settle(&stage);
        check_vector(&stage, &vectors[i], 1);
    }
    assert_null(stage.wrong);
    stage_fini(&stage);
}

/* ---- requests ---- */

static void requests_are_heard_as_they_were_meant(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = make_request(&stage);
    struct message *request = faked->exchange.request;
    request->path = SLICE("/a");
    request->query = SLICE("?b");
    request->accepts_trailers = true;
    assert_int_equal(
        fields_add(&request->fields, &faked->exchange.arena, FIELD_COOKIE, SLICE("a=b; c=d")),
        STATUS_OK);
    send_request(&stage, faked);
    expect_heard(&stage, "headers 1 end :method=GET :scheme=https :authority=h :path=/a?b "
                         "cookie=a=b;~c=d te=trailers\n");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void an_upload_leaves_as_it_comes(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    expect_heard(&stage, POST(1));
    send_on(&stage, faked, "he", false);
    send_on(&stage, faked, "llo", true);
    expect_heard(&stage, "data 1 he\ndata 1 end llo\n");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    faked = send_request(&stage, make_upload(&stage, FRAMING_LENGTH, 5));
    send_on(&stage, faked, "hello", true);
    expect_heard(&stage, "headers 3 :method=POST :scheme=https :authority=h :path=/ "
                         "content-length=5\ndata 3 end hello\n");
    say(&stage, OK(3));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void add_trailer(struct exchange *exchange)
{
    struct fields *trailers = arena_take(&exchange->arena, sizeof(*trailers));
    assert_non_null(trailers);
    *trailers = (struct fields){0};
    assert_int_equal(fields_add_named(trailers, &exchange->arena, SLICE("x-sum"), SLICE("1")),
                     STATUS_OK);
    exchange->request_body.trailers = trailers;
}

static void trailers_of_a_request_are_its_end(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    add_trailer(&faked->exchange);
    send_on(&stage, faked, "hello", true);
    expect_heard(&stage, POST(1) "data 1 hello\nheaders 1 end x-sum=1\n");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void an_upload_waits_for_the_servers_windows(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    say(&stage, "settings 4=2\n");
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    send_on(&stage, faked, "hello", false);
    expect_heard(&stage, "settings+ack\n" POST(1) "data 1 he\n");
    say(&stage, "window 1 1\n");
    expect_heard(&stage, "data 1 l\n");
    body_end(&faked->exchange.request_body);
    say(&stage, "window 1 100\n");
    expect_heard(&stage, "data 1 end lo\n");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void an_upload_that_waits_fills_its_body_and_no_more(void **state)
{
    (void)state;
    enum { BYTES = 1024 * 1024 };
    static char bytes[BYTES];
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    struct body *body = &faked->exchange.request_body;
    size_t put = 0;
    for (int i = 0; i < 8; i++) {
        put += body_put(body, (slice){bytes + put, BYTES - put});
        body_offer(body);
        settle(&stage);
    }
    assert_int_equal(stage.talk.wire.content, H2_WINDOW_DEFAULT);
    assert_int_equal(body->moved_out, H2_WINDOW_DEFAULT);
    assert_true(put <= H2_WINDOW_DEFAULT + BUFFER_LARGE_BYTES);
    stage_fini(&stage);
}

static void a_cut_request_can_be_told_from_a_complete_one(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    send_on(&stage, faked, "he", false);
    body_cut(&faked->exchange.request_body, FAULT_CLIENT_GONE);
    send_on(&stage, faked, "", false);
    expect_heard(&stage, POST(1) "data 1 he\nreset 1 8\n");
    stage.talk.fake.told[0] = '\0';
    stage_fini(&stage);
}

/* ---- responses ---- */

/* An exchange of which the test looks at more than the driver was told: it is not freed when the
 * requester lets go. */
static struct responder holder;

static struct fake_exchange *hold(struct fake_exchange *faked)
{
    faked->exchange.responder = &holder;
    return faked;
}

static void let_go(struct fake_exchange *faked)
{
    faked->exchange.responder = NULL;
    fake_end_if_over(faked);
}

static void trailers_of_a_response_are_the_bodys(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = send_request(&stage, hold(make_request(&stage)));
    say(&stage, "headers 1 :status=200\ndata 1 hello\nheaders 1 end grpc-status=0 x-b=2\n");
    const struct fields *trailers = faked->exchange.response_body.trailers;
    assert_non_null(trailers);
    assert_int_equal(trailers->count, 2);
    assert_true(slice_equal(trailers->at[0].name, SLICE("grpc-status")));
    let_go(faked);
    stage_fini(&stage);
}

static void a_response_to_head_tells_a_length_and_has_none(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = hold(make_request(&stage));
    faked->exchange.request->method = METHOD_HEAD;
    faked->exchange.request->method_name = SLICE("HEAD");
    send_request(&stage, faked);
    say(&stage, "headers 1 end :status=200 content-length=9\n");
    assert_true(faked->exchange.response->framing.tells_length);
    assert_int_equal(faked->exchange.response->framing.length, 9);
    expect_told(&stage, "response 200\n|end\nidle\ndone\n");
    let_go(faked);
    stage_fini(&stage);
}

/* Of the conn all is given back at once, so that others are not stopped; of the stream nothing. */
static void what_nobody_takes_gives_no_credit_to_its_stream(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    stage.talk.fake.is_slow = true;
    stage.talk.fake.tells_bytes = false;
    struct fake_exchange *faked = ask(&stage);
    expect_heard(&stage, GET(1));
    say(&stage, "headers 1 :status=200\n");
    say(&stage, "data 1 #16384\ndata 1 #16384\n");
    expect_heard(&stage, "");
    assert_int_equal(faked->exchange.response_body.moved_in, H2_SERVER_WINDOW_FIRST);
    ask(&stage);
    say(&stage, "headers 3 :status=200\ndata 3 end ok\n");
    stage.talk.fake.is_slow = false;
    fake_on_response_bytes(faked);
    body_made_room(&faked->exchange.response_body);
    settle(&stage);
    expect_heard(&stage, GET(3) "window 1 32768\nwindow 1 32768\n"); /* and as much to grow */
    say(&stage, "data 1 end bye\n");
    expect_told(&stage, "response 200\nresponse 200\nroom\ndone\n|end\nidle\ndone\n");
    stage_fini(&stage);
}

/* ---- several at once ---- */

static void exchanges_share_the_conn_and_end_in_any_order(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    ask(&stage);
    ask(&stage);
    ask(&stage);
    expect_heard(&stage, GET(1) GET(3) GET(5));
    say(&stage, OK(5));
    expect_told(&stage, "response 200\nok|end\nroom\ndone\n");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nroom\ndone\n");
    say(&stage, OK(3));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void there_is_room_for_as_many_as_the_server_takes(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    assert_true(has_room(&stage)); /* before it has said how many */
    say(&stage, "settings 3=2\n");
    ask(&stage);
    assert_true(has_room(&stage));
    ask(&stage);
    assert_false(has_room(&stage));
    say(&stage, "settings 3=3\n");
    assert_true(has_room(&stage));
    say(&stage, "settings 3=0\n");
    assert_false(has_room(&stage));
    say(&stage, OK(1) OK(3));
    assert_false(has_room(&stage));
    say(&stage, "settings 3=1\n");
    assert_true(has_room(&stage));
    stage.talk.fake.told[0] = '\0';
    stage_fini(&stage);
}

/* Taken places count before anything is sent. */
static void a_promised_place_is_taken(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    say(&stage, "settings 3=1\n");
    struct requester *requester = stage.codec->calls->requester(stage.codec);
    assert_false(has_room(&stage));
    requester->calls->request(requester, &make_request(&stage)->exchange);
    settle(&stage);
    assert_false(has_room(&stage));
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    assert_true(has_room(&stage));
    stage_fini(&stage);
}

/* The conn ends between the promise and the request. */
static void a_promise_of_a_conn_that_has_ended_fails_at_once(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct requester *requester = stage.codec->calls->requester(stage.codec);
    stage.codec->calls->close(stage.codec);
    requester->calls->request(requester, &make_request(&stage)->exchange);
    settle(&stage);
    expect_told(&stage, "closed\nfailed backend_reset unseen\n");
    stage_fini(&stage);
}

/* More than the server takes after all wait for their turn in the library. */
static void streams_that_became_too_many_wait(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    ask(&stage);
    expect_heard(&stage, GET(1));
    say(&stage, "settings 3=1\n");
    expect_heard(&stage, "settings+ack\n");
    assert_false(has_room(&stage));
    say(&stage, OK(1));
    ask(&stage);
    expect_heard(&stage, GET(3));
    say(&stage, OK(3));
    stage.talk.fake.told[0] = '\0';
    stage_fini(&stage);
}

static void goodbye_ends_those_above_the_last_one(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    ask(&stage);
    ask(&stage);
    say(&stage, "goaway 2147483647 0\n");
    assert_false(has_room(&stage));
    expect_told(&stage, "");
    say(&stage, "goaway 1 0\n");
    expect_told(&stage, "failed backend_reset unseen\n");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\ndone\nclosed\n");
    stage_fini(&stage);
}

static void an_idle_conn_that_is_told_goodbye_is_closed(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    say(&stage, "goaway 0 0\n");
    expect_told(&stage, "closed\n");
    stage_fini(&stage);
}

/* ---- the end of one exchange ---- */

static void a_response_that_is_reset_is_cut(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    ask(&stage);
    say(&stage, "headers 1 :status=200\ndata 1 he\n");
    say(&stage, "reset 1 2\n");
    expect_told(&stage, "response 200\nheidle\n|cut backend_truncated\ndone\n");
    stage_fini(&stage);
}

/* No byte of it is lost or doubled, whether more of it was waiting, is yet to come, or all was sent
 * with its trailers. */
static void a_refused_upload_is_sent_again_with_what_was_sent(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = make_upload(&stage, FRAMING_STREAMED, 0);
    struct body *body = &faked->exchange.request_body;
    faked->is_repeated = true;
    body_keep(body, 100);
    send_request(&stage, faked);
    send_on(&stage, faked, "he", false);
    expect_heard(&stage, POST(1) "data 1 he\n");
    say(&stage, "reset 1 7\n");
    expect_told(&stage, "idle\nfailed backend_reset unseen\n");
    assert_int_equal(fake_put(body, "l", 1), 1);
    assert_true(body_rewind(body));
    send_request(&stage, faked);
    expect_heard(&stage, POST(3) "data 3 hel\n");
    add_trailer(&faked->exchange);
    send_on(&stage, faked, "lo", true);
    expect_heard(&stage, "data 3 lo\nheaders 3 end x-sum=1\n");
    say(&stage, "reset 3 7\n");
    expect_told(&stage, "idle\nfailed backend_reset unseen\n");
    assert_true(body_rewind(body));
    send_request(&stage, faked);
    expect_heard(&stage, POST(5) "data 5 hello\nheaders 5 end x-sum=1\n");
    say(&stage, OK(5));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

/* RFC 9113 §8.1: the server has answered and wants no more of the request. */
static void an_early_response_ends_the_upload(void **state)
{
    (void)state;
    static const char *const said[] = {OK(1) "reset 1 0\n",
                                       "headers 1 end :status=413\nreset 1 0\n"};
    for (size_t i = 0; i < COUNT(said); i++) {
        static struct stage stage;
        stage_init_greeted(&stage);
        struct fake_exchange *faked =
            send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
        send_on(&stage, faked, "he", false);
        say(&stage, said[i]);
        expect_told(&stage, i == 0 ? "response 200\nok|end\nidle\ndone\n"
                                   : "response 413\n|end\nidle\ndone\n");
        stage_fini(&stage);
    }
}

static void a_response_may_be_complete_before_the_request(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    send_on(&stage, faked, "he", false);
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\n");
    send_on(&stage, faked, "llo", true);
    expect_told(&stage, "idle\ndone\n");
    expect_heard(&stage, POST(1) "data 1 he\ndata 1 end llo\n");
    stage_fini(&stage);
}

static void the_driver_may_abandon_in_any_call(void **state)
{
    (void)state;
    static const struct {
        enum fake_call call;
        const char *said;
        const char *told;
        const char *heard;
    } rows[] = {
        {FAKE_ON_INTERIM, "headers 1 :status=103\n", "interim 103\nidle\nabandoned\n",
         "reset 1 8\n"},
        {FAKE_ON_INTERIM, "headers 1 :status=103\nheaders 1 end :status=200\n",
         "interim 103\nidle\nabandoned\n", "reset 1 8\n"},
        {FAKE_ON_RESPONSE, "headers 1 :status=200\n", "response 200\nidle\nabandoned\n",
         "reset 1 8\n"},
        {FAKE_ON_RESPONSE, OK(1), "response 200\nidle\nabandoned\n", ""},
        {FAKE_ON_BYTES, "headers 1 :status=200\ndata 1 he\n", "response 200\nidle\nabandoned\n",
         "reset 1 8\n"},
        {FAKE_ON_BYTES, OK(1), "response 200\nidle\nabandoned\n", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static struct stage stage;
        stage_init_greeted(&stage);
        stage.talk.fake.abandons_in = rows[i].call;
        ask(&stage);
        expect_heard(&stage, GET(1));
        say(&stage, rows[i].said);
        expect_told(&stage, rows[i].told);
        expect_heard(&stage, rows[i].heard);
        stage.talk.fake.abandons_in = FAKE_NEVER;
        ask(&stage);
        say(&stage, OK(3));
        expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
        stage_fini(&stage);
    }
}

static void an_abandoned_request_is_reset_and_its_content_dropped(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    struct fake_exchange *faked = ask(&stage);
    ask(&stage);
    fake_abandon(faked);
    settle(&stage);
    expect_heard(&stage, GET(1) GET(3) "reset 1 8\n");
    say(&stage, OK(1) OK(3));
    expect_told(&stage, "room\nabandoned\nresponse 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void a_response_head_that_is_too_large_is_refused(void **state)
{
    (void)state;
    static char value[5000];
    static struct wire_bytes block;
    static struct stage stage;
    stage_init_greeted(&stage);
    ask(&stage);
    expect_heard(&stage, GET(1));
    memset(value, 'v', sizeof(value));
    block.len = 0;
    wire_put_field(&block, SLICE(":status"), SLICE("200"));
    wire_put_field(&block, SLICE("x-large"), (slice){value, sizeof(value)});
    stage.talk.said.len = 0;
    wire_put_header(&stage.talk.said, block.len, NGHTTP2_HEADERS, WIRE_END_HEADERS, 1);
    wire_put(&stage.talk.said, (slice){block.at, block.len});
    push(&stage, 0, stage.talk.said.len);
    settle(&stage);
    expect_told(&stage, "idle\nfailed backend_header_bytes\n");
    expect_heard(&stage, "reset 1 8\n");
    stage_fini(&stage);
}

/* ---- the conn is lost ---- */

static void lose(struct stage *stage, bool resets)
{
    if (resets) {
        peer_reset(&stage->talk.peer);
    } else {
        peer_close(&stage->talk.peer);
    }
    settle(stage);
}

static void a_conn_that_is_lost_tells_every_exchange(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        bool resets;
        const char *told;
    } rows[] = {
        {"", false, "failed backend_reset\nfailed backend_reset\nclosed\n"},
        {"", true, "failed backend_reset\nfailed backend_reset\nclosed\n"},
        {"headers 3 :status=200\ndata 3 he\n", false,
         "response 200\nhefailed backend_reset\n|cut backend_truncated\ndone\nclosed\n"},
        {"headers 3 :status=200\ndata 3 he\n", true,
         "response 200\nhefailed backend_reset\n|cut backend_truncated\ndone\nclosed\n"},
        {OK(3), false, "response 200\nok|end\nroom\ndone\nfailed backend_reset\nclosed\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static struct stage stage;
        stage_init_greeted(&stage);
        ask(&stage);
        ask(&stage);
        say(&stage, rows[i].said);
        lose(&stage, rows[i].resets);
        expect_told(&stage, rows[i].told);
        stage_fini(&stage);
    }
}

static void an_idle_conn_that_ends_is_closed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        static struct stage stage;
        stage_init_greeted(&stage);
        lose(&stage, i == 1);
        expect_told(&stage, "closed\n");
        stage_fini(&stage);
    }
}

/* The server closed an idle conn just when we took it. */
static void a_request_on_a_conn_that_was_going_may_be_repeated(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    ask(&stage);
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    turns_pass(&stage.talk.turns, 20);
    ask(&stage);
    lose(&stage, true);
    expect_told(&stage, "failed backend_reset unsent\nclosed\n");
    stage_fini(&stage);
}

static void a_server_that_floods_is_left(void **state)
{
    (void)state;
    static const char *const frames[] = {"ping 01234567\n", "settings\n"};
    for (size_t i = 0; i < COUNT(frames); i++) {
        static struct stage stage;
        stage_init_greeted(&stage);
        ask(&stage);
        stage.talk.said.len = 0;
        for (int j = 0; j < 2300; j++) {
            wire_write(&stage.talk.said, frames[i]);
        }
        push(&stage, 0, stage.talk.said.len);
        settle(&stage);
        settle(&stage);
        expect_told(&stage, "failed backend_response\nclosed\n");
        stage_fini(&stage);
    }
}

static void closing_tells_every_exchange(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    ask(&stage);
    stage.codec->calls->close(stage.codec);
    settle(&stage);
    expect_told(&stage, "failed backend_reset\nclosed\n");
    expect_heard(&stage, GET(1) "goaway 0 0\n");
    stage_fini(&stage);
}

/* ---- deadlines ---- */

static void a_server_that_does_not_answer_is_given_up(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        const char *told;
    } rows[] = {
        {"", "idle\nfailed timeout_response\n"},
        {"headers 1 :status=200\ndata 1 he\n",
         "response 200\nheidle\n|cut timeout_response\ndone\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static struct stage stage;
        stage_init_greeted(&stage);
        stage.settings.response_ms = 150;
        ask(&stage);
        say(&stage, rows[i].said);
        assert_true(turns_until_within(&stage.talk.turns, 2000, is_over, &stage));
        settle(&stage);
        expect_told(&stage, rows[i].told);
        expect_heard(&stage, GET(1) "reset 1 8\n");
        stage_fini(&stage);
    }
}

static void an_upload_that_waits_for_the_client_is_not_the_servers_fault(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    stage.settings.response_ms = 100;
    struct fake_exchange *faked = send_request(&stage, make_upload(&stage, FRAMING_STREAMED, 0));
    turns_pass(&stage.talk.turns, 400);
    expect_told(&stage, "");
    send_on(&stage, faked, "hello", true);
    assert_true(turns_until_within(&stage.talk.turns, 2000, is_over, &stage));
    expect_told(&stage, "idle\nfailed timeout_response\n");
    stage_fini(&stage);
}

static void a_call_of_grpc_may_be_silent(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    stage.settings.response_ms = 100;
    struct fake_exchange *faked = make_request(&stage);
    assert_int_equal(fields_add(&faked->exchange.request->fields, &faked->exchange.arena,
                                FIELD_CONTENT_TYPE, SLICE("application/grpc")),
                     STATUS_OK);
    send_request(&stage, faked);
    turns_pass(&stage.talk.turns, 400);
    expect_told(&stage, "");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void a_silent_conn_is_asked_and_then_given_up(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    stage.settings.ping_ms = 150;
    ask(&stage);
    assert_true(turns_until_within(&stage.talk.turns, 2000, is_closed, &stage));
    expect_heard(&stage, GET(1) "ping ........\n");
    expect_told(&stage, "failed timeout_response\nclosed\n");
    stage_fini(&stage);
}

static void answer_pings(void *self)
{
    struct stage *stage = self;
    if (strstr(stage->talk.wire.heard, "ping ") != NULL) {
        stage->talk.wire.heard[0] = '\0';
        stage->talk.said.len = 0;
        wire_write(&stage->talk.said, "frame 6 1 0 0000000000000000\n");
        push(stage, 0, stage->talk.said.len);
    }
}

static bool listens_and_answers_pings(void *self)
{
    struct stage *stage = self;
    (void)wire_listens(&stage->talk.wire);
    answer_pings(stage);
    return false;
}

static void a_silent_conn_that_answers_is_kept(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init_greeted(&stage);
    stage.settings.ping_ms = 100;
    ask(&stage);
    (void)turns_until_within(&stage.talk.turns, 700, listens_and_answers_pings, &stage);
    expect_told(&stage, "");
    say(&stage, OK(1));
    expect_told(&stage, "response 200\nok|end\nidle\ndone\n");
    turns_pass(&stage.talk.turns, 300); /* an idle one is not asked */
    expect_heard(&stage, "");
    stage_fini(&stage);
}

/* ---- tunnels ---- */

static struct fake_exchange *make_upgrade(struct stage *stage)
{
    struct fake_exchange *faked = make_request(stage);
    struct exchange *exchange = &faked->exchange;
    exchange->request->upgrade = SLICE("websocket");
    exchange->request_body.state = BODY_OPEN;
    assert_int_equal(fields_add(&exchange->request->fields, &exchange->arena,
                                FIELD_SEC_WEBSOCKET_KEY, SLICE("dGhlIHNhbXBsZSBub25jZQ==")),
                     STATUS_OK);
    assert_int_equal(fields_add(&exchange->request->fields, &exchange->arena,
                                FIELD_SEC_WEBSOCKET_VERSION, SLICE("13")),
                     STATUS_OK);
    return faked;
}

#define CONNECT(id)                                                                                \
    "headers " #id " :method=CONNECT :protocol=websocket :scheme=https :authority=h :path=/ "      \
    "sec-websocket-version=13\n"

static void a_tunnel_waits_for_the_servers_settings(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    send_request(&stage, make_upgrade(&stage));
    expect_heard(&stage, "");
    say(&stage, "settings 8=1\n");
    expect_heard(&stage, "settings+ack\n" CONNECT(1));
    say(&stage, "headers 1 :status=200\n");
    expect_told(&stage, "response 101\n");
    stage_fini(&stage);
}

static void a_tunnel_fails_where_it_is_not_offered(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    send_request(&stage, make_upgrade(&stage));
    say(&stage, "settings\n");
    expect_told(&stage, "idle\nfailed backend_no_tunnel\n");
    send_request(&stage, make_upgrade(&stage));
    expect_told(&stage, "idle\nfailed backend_no_tunnel\n");
    expect_heard(&stage, "settings+ack\n");
    stage_fini(&stage);
}

static void one_that_waits_may_be_abandoned_or_lost(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        static struct stage stage;
        stage_init(&stage);
        stage.settings.response_ms = 100;
        struct fake_exchange *faked = send_request(&stage, make_upgrade(&stage));
        if (i == 0) {
            fake_abandon(faked);
            expect_told(&stage, "idle\nabandoned\n");
        } else if (i == 1) {
            lose(&stage, true);
            expect_told(&stage, "failed backend_reset unseen\nclosed\n");
        } else if (i == 2) {
            stage.codec->calls->close(stage.codec);
            expect_told(&stage, "failed backend_reset unseen\nclosed\n");
        } else {
            turns_pass(&stage.talk.turns, 300);
            expect_told(&stage, "idle\nfailed timeout_response\n");
        }
        settle(&stage);
        stage_fini(&stage);
    }
}

static struct fake_exchange *begin_tunnel(struct stage *stage)
{
    stage_init(stage);
    say(stage, "settings 8=1\n");
    struct fake_exchange *faked = send_request(stage, make_upgrade(stage));
    say(stage, "headers 1 :status=200\n");
    expect_told(stage, "response 101\n");
    expect_heard(stage, "settings+ack\n" CONNECT(1));
    return faked;
}

static void a_tunnel_carries_bytes_both_ways(void **state)
{
    (void)state;
    static struct stage stage;
    struct fake_exchange *faked = begin_tunnel(&stage);
    const struct field *accept =
        fields_find(&faked->exchange.response->fields, FIELD_SEC_WEBSOCKET_ACCEPT);
    assert_non_null(accept); /* for a client of HTTP/1.1, which has sent that key */
    assert_true(slice_equal(accept->value, SLICE("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    send_on(&stage, faked, "ping", false);
    expect_heard(&stage, "data 1 ping\n");
    say(&stage, "data 1 pong\n");
    expect_told(&stage, "pong");
    send_on(&stage, faked, "", true);
    expect_heard(&stage, "data 1 end\n");
    say(&stage, "data 1 end bye\n");
    expect_told(&stage, "bye|end\nidle\ndone\n");
    stage_fini(&stage);
}

static void a_tunnel_may_be_ended_by_the_server_first(void **state)
{
    (void)state;
    static struct stage stage;
    struct fake_exchange *faked = begin_tunnel(&stage);
    say(&stage, "data 1 end bye\n");
    expect_told(&stage, "bye|end\n");
    send_on(&stage, faked, "still here", true);
    expect_heard(&stage, "data 1 end still~here\n");
    expect_told(&stage, "idle\ndone\n");
    stage_fini(&stage);
}

static void a_tunnel_that_is_reset_is_cut(void **state)
{
    (void)state;
    static struct stage stage;
    (void)begin_tunnel(&stage);
    say(&stage, "reset 1 8\n");
    expect_told(&stage, "idle\n|cut backend_cancelled\ndone\n");
    stage_fini(&stage);
}

static void a_tunnel_that_is_refused_is_an_ordinary_answer(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage);
    say(&stage, "settings 8=1\n");
    send_request(&stage, make_upgrade(&stage));
    say(&stage, "headers 1 :status=403 content-length=2\ndata 1 end no\n");
    expect_told(&stage, "response 403\nno|end\nidle\ndone\n");
    expect_heard(&stage, "settings+ack\n" CONNECT(1) "data 1 end\n");
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_means_the_same_however_it_is_cut),
        cmocka_unit_test(a_response_means_the_same_byte_by_byte),
        cmocka_unit_test(requests_are_heard_as_they_were_meant),
        cmocka_unit_test(an_upload_leaves_as_it_comes),
        cmocka_unit_test(trailers_of_a_request_are_its_end),
        cmocka_unit_test(an_upload_waits_for_the_servers_windows),
        cmocka_unit_test(an_upload_that_waits_fills_its_body_and_no_more),
        cmocka_unit_test(a_cut_request_can_be_told_from_a_complete_one),
        cmocka_unit_test(trailers_of_a_response_are_the_bodys),
        cmocka_unit_test(a_response_to_head_tells_a_length_and_has_none),
        cmocka_unit_test(what_nobody_takes_gives_no_credit_to_its_stream),
        cmocka_unit_test(exchanges_share_the_conn_and_end_in_any_order),
        cmocka_unit_test(there_is_room_for_as_many_as_the_server_takes),
        cmocka_unit_test(a_promised_place_is_taken),
        cmocka_unit_test(a_promise_of_a_conn_that_has_ended_fails_at_once),
        cmocka_unit_test(streams_that_became_too_many_wait),
        cmocka_unit_test(goodbye_ends_those_above_the_last_one),
        cmocka_unit_test(an_idle_conn_that_is_told_goodbye_is_closed),
        cmocka_unit_test(a_response_that_is_reset_is_cut),
        cmocka_unit_test(a_refused_upload_is_sent_again_with_what_was_sent),
        cmocka_unit_test(an_early_response_ends_the_upload),
        cmocka_unit_test(a_response_may_be_complete_before_the_request),
        cmocka_unit_test(the_driver_may_abandon_in_any_call),
        cmocka_unit_test(an_abandoned_request_is_reset_and_its_content_dropped),
        cmocka_unit_test(a_response_head_that_is_too_large_is_refused),
        cmocka_unit_test(a_conn_that_is_lost_tells_every_exchange),
        cmocka_unit_test(an_idle_conn_that_ends_is_closed),
        cmocka_unit_test(a_request_on_a_conn_that_was_going_may_be_repeated),
        cmocka_unit_test(a_server_that_floods_is_left),
        cmocka_unit_test(closing_tells_every_exchange),
        cmocka_unit_test(a_server_that_does_not_answer_is_given_up),
        cmocka_unit_test(an_upload_that_waits_for_the_client_is_not_the_servers_fault),
        cmocka_unit_test(a_call_of_grpc_may_be_silent),
        cmocka_unit_test(a_silent_conn_is_asked_and_then_given_up),
        cmocka_unit_test(a_silent_conn_that_answers_is_kept),
        cmocka_unit_test(a_tunnel_waits_for_the_servers_settings),
        cmocka_unit_test(a_tunnel_fails_where_it_is_not_offered),
        cmocka_unit_test(one_that_waits_may_be_abandoned_or_lost),
        cmocka_unit_test(a_tunnel_carries_bytes_both_ways),
        cmocka_unit_test(a_tunnel_may_be_ended_by_the_server_first),
        cmocka_unit_test(a_tunnel_that_is_reset_is_cut),
        cmocka_unit_test(a_tunnel_that_is_refused_is_an_ordinary_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
