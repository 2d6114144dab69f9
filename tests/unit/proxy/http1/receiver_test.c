/* tests/unit/proxy/http1/receiver_test.c
 *
 * Heads and bodies from a stream, in any pieces.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/receiver.h"

#include "support/fake_driver.h"
#include "support/peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct stage {
    struct turns turns;
    struct peer peer;
    struct stream *stream;
    struct message_limits limits;
    struct receiver receiver;
    struct arena arena;
    struct body body;
};

static void on_event(void *self)
{
    (void)self;
}

static void on_failed(void *self, enum stream_failure failure)
{
    (void)self;
    (void)failure;
}

static const struct stream_events events = {
    .on_open = on_event,
    .on_readable = on_event,
    .on_writable = on_event,
    .on_failed = on_failed,
};

static void stage_init(struct stage *stage)
{
    *stage =
        (struct stage){.limits = {.header_bytes = 8192, .header_count = 64, .uri_bytes = 4096}};
    turns_init(&stage->turns);
    int descriptor = peer_pair(&stage->peer);
    assert_int_equal(stream_adopt(&stage->stream, stage->turns.loop, descriptor, &events, stage),
                     STATUS_OK);
    receiver_init(&stage->receiver, loop_buffer_pool(stage->turns.loop), &stage->limits);
    arena_init(&stage->arena, loop_arena_pool(stage->turns.loop), 1 << 20);
    body_init(&stage->body, loop_buffer_pool(stage->turns.loop));
}

static void stage_fini(struct stage *stage)
{
    body_fini(&stage->body);
    receiver_fini(&stage->receiver);
    arena_reset(&stage->arena);
    stream_close(stage->stream);
    peer_fini(&stage->peer);
    turns_settle(&stage->turns, NULL, NULL);
    turns_fini(&stage->turns);
}

static void say(struct stage *stage, const char *text, size_t len)
{
    assert_int_equal(peer_push(&stage->peer, text, len), len);
    turns_settle(&stage->turns, NULL, NULL);
}

/* Moves until it has to wait, and adds what the body holds to `got`. */
static enum receiver_result drain(struct stage *stage, char *got, enum fault_code *fault)
{
    for (;;) {
        enum receiver_result result =
            receiver_body(&stage->receiver, stage->stream, &stage->body, fault);
        slice bytes = body_bytes(&stage->body);
        size_t held = strlen(got);
        memcpy(got + held, bytes.at != NULL ? bytes.at : "", bytes.len);
        got[held + bytes.len] = '\0';
        body_take(&stage->body, bytes.len);
        if (result != RECEIVER_MOVED) {
            return result;
        }
    }
}

static const struct vector {
    struct framing framing;
    const char *said;
    bool ends;
    enum receiver_result result;
    const char *got;
    const char *left; /* belongs to the next message */
} vectors[] = {
    {{.kind = FRAMING_LENGTH, .length = 5}, "helloGET", false, RECEIVER_COMPLETE, "hello", "GET"},
    {{.kind = FRAMING_LENGTH, .length = 5}, "hel", false, RECEIVER_WAITS, "hel", ""},
    {{.kind = FRAMING_LENGTH, .length = 5}, "hel", true, RECEIVER_ENDED, "hel", ""},
    {{.kind = FRAMING_STREAMED},
     "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET",
     false,
     RECEIVER_COMPLETE,
     "hello",
     "GET"},
    {{.kind = FRAMING_STREAMED}, "2\r\nhe\r\n3\r\nll", true, RECEIVER_ENDED, "hell", ""},
    {{.kind = FRAMING_STREAMED}, "2\r\nhe\r\nx", false, RECEIVER_FAULT, "he", NULL},
    {{.kind = FRAMING_UNTIL_CLOSE}, "hello", true, RECEIVER_COMPLETE, "hello", ""},
    {{.kind = FRAMING_UNTIL_CLOSE}, "hello", false, RECEIVER_WAITS, "hello", ""},
    {{.kind = FRAMING_TUNNEL}, "hello", true, RECEIVER_COMPLETE, "hello", ""},
};

/* What stands behind the message: in hand, or still in the socket. */
static void expect_left(struct stage *stage, const char *left)
{
    char rest[16] = "";
    slice held = buffer_bytes(&stage->receiver.in);
    memcpy(rest, held.at != NULL ? held.at : "", held.len);
    size_t moved = 0;
    if (held.len == 0) {
        (void)!stream_read(stage->stream, rest, sizeof(rest) - 1, &moved);
    }
    assert_string_equal(rest, left);
}

/* The body begins behind a head, so that its first bytes are in hand already: as many of them as
 * came before the cut. */
static void run_vector(const struct vector *vector, size_t cut)
{
    static const char head[] = "GET / HTTP/1.1\r\n\r\n";
    struct stage stage;
    stage_init(&stage);
    char got[64] = "";
    char first[64];
    (void)snprintf(first, sizeof(first), "%s%.*s", head, (int)cut, vector->said);
    say(&stage, first, strlen(first));
    receiver_expect_head(&stage.receiver, HTTP1_REQUEST_HEAD);
    enum fault_code fault = FAULT_NONE;
    size_t head_len = 0;
    assert_int_equal(
        receiver_head(&stage.receiver, stage.stream, BUFFER_SMALL_BYTES, &head_len, &fault),
        RECEIVER_MOVED);
    assert_true(
        slice_equal(receiver_take_head(&stage.receiver, &stage.arena, head_len), slice_of(head)));
    assert_int_equal(receiver_expect_body(&stage.receiver, &vector->framing, 0, &stage.arena),
                     STATUS_OK);
    enum receiver_result result = drain(&stage, got, &fault);
    if (result == RECEIVER_WAITS) {
        say(&stage, vector->said + cut, strlen(vector->said) - cut);
        if (vector->ends) {
            assert_int_equal(shutdown(stage.peer.descriptor, SHUT_WR), 0);
            turns_settle(&stage.turns, NULL, NULL);
        }
        result = drain(&stage, got, &fault);
    } else {
        say(&stage, vector->said + cut, strlen(vector->said) - cut);
    }
    assert_string_equal(got, vector->got);
    assert_int_equal(result, vector->result);
    assert_int_equal(fault == FAULT_NONE, vector->result != RECEIVER_FAULT);
    assert_int_equal(stage.body.state == BODY_ENDED, vector->result == RECEIVER_COMPLETE);
    if (vector->left != NULL && buffer_len(&stage.receiver.in) == 0) {
        expect_left(&stage,
                    cut < strlen(vector->said) || vector->left[0] == '\0' ? vector->left : "");
    }
    stage_fini(&stage);
}

static void a_body_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        size_t len = strlen(vectors[i].said);
        size_t behind = vectors[i].left != NULL ? strlen(vectors[i].left) : 0;
        for (size_t cut = 0; cut <= len - behind; cut++) {
            run_vector(&vectors[i], cut);
        }
    }
}

static void a_streamed_body_above_its_limit_is_refused(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    const struct framing streamed = {.kind = FRAMING_STREAMED};
    char got[64] = "";
    enum fault_code fault = FAULT_NONE;
    assert_int_equal(receiver_expect_body(&stage.receiver, &streamed, 4, &stage.arena), STATUS_OK);
    say(&stage, "4\r\nfour\r\n", 9);
    assert_int_equal(drain(&stage, got, &fault), RECEIVER_WAITS);
    say(&stage, "1\r\n5\r\n", 6);
    assert_int_equal(drain(&stage, got, &fault), RECEIVER_FAULT);
    assert_int_equal(fault, FAULT_LIMIT_BODY_BYTES);
    stage_fini(&stage);
}

static void a_full_body_leaves_the_rest_with_the_sender(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    const struct framing until_close = {.kind = FRAMING_UNTIL_CLOSE};
    enum fault_code fault = FAULT_NONE;
    assert_int_equal(receiver_expect_body(&stage.receiver, &until_close, 0, &stage.arena),
                     STATUS_OK);
    static char bytes[64 * 1024];
    (void)peer_push(&stage.peer, bytes, sizeof(bytes));
    turns_settle(&stage.turns, NULL, NULL);
    enum receiver_result result = RECEIVER_MOVED;
    for (int i = 0; i < 100 && result == RECEIVER_MOVED; i++) {
        result = receiver_body(&stage.receiver, stage.stream, &stage.body, &fault);
    }
    assert_int_equal(result, RECEIVER_WAITS);
    size_t held = buffer_len(&stage.body.bytes);
    assert_true(held > 0 && held <= BUFFER_RECORD_BYTES);
    stage_fini(&stage);
}

/* An idle conn holds no memory. */
static void nothing_in_hand_is_no_buffer(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    enum fault_code fault = FAULT_NONE;
    assert_int_equal(receiver_fill(&stage.receiver, stage.stream, BUFFER_SMALL_BYTES, &fault),
                     RECEIVER_WAITS);
    assert_null(stage.receiver.in.base);
    const struct framing length = {.kind = FRAMING_LENGTH, .length = 9};
    assert_int_equal(receiver_expect_body(&stage.receiver, &length, 0, &stage.arena), STATUS_OK);
    assert_int_equal(receiver_body(&stage.receiver, stage.stream, &stage.body, &fault),
                     RECEIVER_WAITS);
    assert_null(stage.body.bytes.base);
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_the_same_however_it_is_cut),
        cmocka_unit_test(a_streamed_body_above_its_limit_is_refused),
        cmocka_unit_test(a_full_body_leaves_the_rest_with_the_sender),
        cmocka_unit_test(nothing_in_hand_is_no_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
