/* tests/unit/proxy/http1/sender_test.c
 *
 * Framing, gathering and what happens when there is no memory for it. The source is included so
 * that the buffers can be made to fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/net/buffer.h"

static int reserves_left = -1; /* then the pool is empty; -1: never */

static bool reserve_or_fail(struct buffer *buffer, struct buffer_pool *pool, size_t bytes)
{
    if (reserves_left == 0) {
        return false;
    }
    reserves_left -= reserves_left > 0 ? 1 : 0;
    return buffer_reserve(buffer, pool, bytes);
}

#define buffer_reserve reserve_or_fail
#include "proxy/http1/sender.c"
#undef buffer_reserve

#include "support/fake_driver.h"
#include "support/peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct stage {
    struct turns turns;
    struct peer peer;
    struct stream *stream;
    struct sender sender;
    struct body body;
    struct message message;
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

static void stage_init(struct stage *stage, enum framing_kind kind, uint64_t length)
{
    *stage =
        (struct stage){.message = {.status = 200, .framing = {.kind = kind, .length = length}}};
    reserves_left = -1;
    turns_init(&stage->turns);
    int descriptor = peer_pair(&stage->peer);
    assert_int_equal(stream_adopt(&stage->stream, stage->turns.loop, descriptor, &events, stage),
                     STATUS_OK);
    sender_init(&stage->sender, loop_buffer_pool(stage->turns.loop));
    body_init(&stage->body, loop_buffer_pool(stage->turns.loop));
}

static void stage_fini(struct stage *stage)
{
    reserves_left = -1;
    body_fini(&stage->body);
    sender_fini(&stage->sender);
    stream_close(stage->stream);
    peer_fini(&stage->peer);
    turns_settle(&stage->turns, NULL, NULL);
    turns_fini(&stage->turns);
}

static void stage_head(struct stage *stage)
{
    const struct http1_sending sending = {0};
    assert_int_equal(sender_stage_response(&stage->sender, &stage->message, &sending), FAULT_NONE);
}

static void put(struct stage *stage, const char *text)
{
    assert_int_equal(fake_put(&stage->body, text, strlen(text)), strlen(text));
}

static enum sender_result pump(struct stage *stage)
{
    enum sender_result result = sender_pump(&stage->sender, stage->stream, &stage->body);
    turns_settle(&stage->turns, peer_listens, &stage->peer);
    return result;
}

#define HEAD_LENGTH  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
#define HEAD_CHUNKED "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

static void a_head_waits_for_the_first_bytes_of_its_body(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_LENGTH, 5);
    stage_head(&stage);
    assert_int_equal(pump(&stage), SENDER_WAITS_FOR_BODY);
    assert_true(sender_has_staged(&stage.sender));
    assert_string_equal(stage.peer.got, "");
    put(&stage, "he");
    assert_int_equal(pump(&stage), SENDER_WAITS_FOR_BODY);
    assert_string_equal(stage.peer.got, HEAD_LENGTH "he");
    put(&stage, "llo");
    body_end(&stage.body);
    assert_int_equal(pump(&stage), SENDER_DONE);
    assert_string_equal(stage.peer.got, HEAD_LENGTH "hello");
    stage_fini(&stage);
}

static void a_head_can_be_sent_without_waiting(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_LENGTH, 5);
    stage_head(&stage);
    assert_int_equal(sender_flush(&stage.sender, stage.stream), SENDER_DONE);
    turns_settle(&stage.turns, peer_listens, &stage.peer);
    assert_string_equal(stage.peer.got, HEAD_LENGTH);
    stage_fini(&stage);
}

static void chunks_and_their_end_share_a_record(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_STREAMED, 0);
    stage_head(&stage);
    put(&stage, "hello");
    body_end(&stage.body);
    assert_int_equal(pump(&stage), SENDER_DONE);
    assert_string_equal(stage.peer.got, HEAD_CHUNKED "5\r\nhello\r\n0\r\n\r\n");
    stage_fini(&stage);
}

static void a_large_body_is_whole_in_either_framing(void **state)
{
    (void)state;
    enum { BODY_BYTES = 100000 };
    static const enum framing_kind kinds[] = {FRAMING_LENGTH, FRAMING_STREAMED};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct stage stage;
        stage_init(&stage, kinds[i], BODY_BYTES);
        stage_head(&stage);
        size_t sent = 0;
        for (int turn = 0; turn < 100; turn++) {
            char byte[64];
            size_t len = BODY_BYTES - sent < sizeof(byte) ? BODY_BYTES - sent : sizeof(byte);
            memset(byte, 'x', sizeof(byte));
            for (size_t put_now = 1; put_now > 0 && sent < BODY_BYTES; sent += put_now) {
                len = BODY_BYTES - sent < sizeof(byte) ? BODY_BYTES - sent : sizeof(byte);
                put_now = fake_put(&stage.body, byte, len);
            }
            if (sent == BODY_BYTES) {
                body_end(&stage.body);
            }
            if (pump(&stage) == SENDER_DONE) {
                break;
            }
        }
        size_t letters = 0;
        for (const char *at = strstr(stage.peer.got, "\r\n\r\n") + 4; *at != '\0'; at++) {
            letters += *at == 'x' ? 1U : 0U;
        }
        assert_int_equal(letters, BODY_BYTES);
        assert_true(body_is_done(&stage.body));
        stage_fini(&stage);
    }
}

static void a_cut_body_is_no_end(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_STREAMED, 0);
    stage_head(&stage);
    put(&stage, "he");
    body_cut(&stage.body, FAULT_BACKEND_TRUNCATED);
    assert_int_equal(pump(&stage), SENDER_CUT);
    assert_string_equal(stage.peer.got, HEAD_CHUNKED "2\r\nhe\r\n");
    stage_fini(&stage);
}

/* Content that left without its framing would be read as framing: whoever writes the body could
 * write the next response. */
static void without_memory_no_byte_leaves_unframed(void **state)
{
    (void)state;
    for (int left = 0; left < 4; left++) {
        struct stage stage;
        stage_init(&stage, FRAMING_STREAMED, 0);
        stage_head(&stage);
        assert_int_equal(sender_flush(&stage.sender, stage.stream), SENDER_DONE);
        put(&stage, "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
        body_end(&stage.body);
        reserves_left = left;
        enum sender_result result = pump(&stage);
        assert_true(result == SENDER_CUT || result == SENDER_DONE);
        assert_true(result == SENDER_CUT || left >= 2);
        assert_string_not_equal(stage.peer.got, "");
        assert_null(strstr(stage.peer.got, HEAD_CHUNKED "0\r\n\r\nHTTP"));
        stage_fini(&stage);
    }
}

static void without_memory_no_head_is_staged(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_LENGTH, 5);
    reserves_left = 0;
    const struct http1_sending sending = {0};
    assert_int_equal(sender_stage_response(&stage.sender, &stage.message, &sending),
                     FAULT_LIMIT_MEMORY);
    stage_fini(&stage);
}

static void a_head_larger_than_the_first_room_is_staged_whole(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_LENGTH, 5);
    struct arena arena;
    static char value[6000];
    memset(value, 'v', sizeof(value) - 1);
    arena_init(&arena, loop_arena_pool(stage.turns.loop), 1 << 20);
    assert_int_equal(
        fields_add_named(&stage.message.fields, &arena, SLICE("x-long"), slice_of(value)),
        STATUS_OK);
    stage_head(&stage);
    put(&stage, "hello");
    body_end(&stage.body);
    assert_int_equal(pump(&stage), SENDER_DONE);
    assert_true(peer_heard(&stage.peer, value));
    assert_true(peer_heard(&stage.peer, "\r\n\r\nhello"));
    arena_reset(&arena);
    stage_fini(&stage);
}

static void a_trailer_that_must_not_be_sent_cuts_the_body(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_STREAMED, 0);
    struct field length = {
        .name = SLICE("content-length"), .value = SLICE("3"), .token = FIELD_CONTENT_LENGTH};
    struct fields trailers = {.at = &length, .count = 1, .room = 1};
    stage_head(&stage);
    put(&stage, "he");
    stage.body.trailers = &trailers;
    body_end(&stage.body);
    assert_int_equal(pump(&stage), SENDER_CUT);
    stage_fini(&stage);
}

static void a_peer_that_has_left_breaks_the_sending(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, FRAMING_LENGTH, 500);
    stage_head(&stage);
    peer_reset(&stage.peer);
    put(&stage, "he");
    (void)pump(&stage);
    put(&stage, "he");
    assert_int_equal(pump(&stage), SENDER_BROKEN);
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_waits_for_the_first_bytes_of_its_body),
        cmocka_unit_test(a_head_can_be_sent_without_waiting),
        cmocka_unit_test(chunks_and_their_end_share_a_record),
        cmocka_unit_test(a_large_body_is_whole_in_either_framing),
        cmocka_unit_test(a_cut_body_is_no_end),
        cmocka_unit_test(without_memory_no_byte_leaves_unframed),
        cmocka_unit_test(without_memory_no_head_is_staged),
        cmocka_unit_test(a_head_larger_than_the_first_room_is_staged_whole),
        cmocka_unit_test(a_trailer_that_must_not_be_sent_cuts_the_body),
        cmocka_unit_test(a_peer_that_has_left_breaks_the_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
