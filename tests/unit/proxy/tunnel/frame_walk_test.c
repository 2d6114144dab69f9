/* tests/unit/proxy/tunnel/frame_walk_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tunnel/frame_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The header, as many zero bytes of payload, and whether a frame may follow. */
static const struct {
    const char *header;
    size_t header_len;
    size_t payload_len;
    bool is_last;
} FRAMES[] = {
    {"\x81\x00", 2, 0, false},
    {"\x81\x05", 2, 5, false},
    {"\x01\x7d", 2, 125, false}, /* a fragment: control frames may come between */
    {"\x82\x7e\x00\x80", 4, 128, false},
    {"\x82\x7e\x01\x00", 4, 256, false},
    {"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x01", 10, 65537, false},
    {"\x82\x83\x01\x02\x03\x04", 6, 3, false}, /* masked: no server may, but it is one frame */
    {"\x82\x80\x01\x02\x03\x04", 6, 0, false},
    {"\x82\xfe\x00\x7e\x01\x02\x03\x04", 8, 126, false},
    {"\x89\x00", 2, 0, false}, /* a ping */
    {"\x88\x02", 2, 2, true},
};

enum { FRAME_COUNT = sizeof(FRAMES) / sizeof(FRAMES[0]), ROOM = 128 * 1024 };

static size_t write_frame(char *out, size_t i)
{
    memcpy(out, FRAMES[i].header, FRAMES[i].header_len);
    memset(out + FRAMES[i].header_len, 0, FRAMES[i].payload_len);
    return FRAMES[i].header_len + FRAMES[i].payload_len;
}

static void it_is_between_frames_at_their_ends_alone(void **state)
{
    (void)state;
    char *bytes = malloc(ROOM);
    struct frame_walk walk = {0};
    assert_non_null(bytes);
    assert_true(frame_walk_is_between(&walk));
    for (size_t i = 0; i < FRAME_COUNT; i++) {
        size_t len = write_frame(bytes, i);
        for (size_t at = 0; at < len; at++) {
            frame_walk_pass(&walk, (slice){bytes + at, 1});
            bool is_end = at + 1 == len;
            assert_int_equal(frame_walk_is_between(&walk), is_end && !FRAMES[i].is_last);
        }
    }
    free(bytes);
}

static void any_split_leads_to_the_same_place(void **state)
{
    (void)state;
    static const size_t STEPS[] = {2, 3, 7, 127, 4096, ROOM};
    char *bytes = malloc(ROOM);
    size_t len = 0;
    assert_non_null(bytes);
    for (size_t i = 0; i + 1 < FRAME_COUNT; i++) { /* all but the close frame */
        len += write_frame(bytes + len, i);
    }
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        struct frame_walk walk = {0};
        for (size_t at = 0; at < len; at += STEPS[i]) {
            size_t step = len - at < STEPS[i] ? len - at : STEPS[i];
            frame_walk_pass(&walk, (slice){bytes + at, step});
        }
        assert_true(frame_walk_is_between(&walk));
        frame_walk_pass(&walk, SLICE("\x81"));
        assert_false(frame_walk_is_between(&walk));
    }
    free(bytes);
}

static void the_longest_length_does_not_wrap(void **state)
{
    (void)state;
    struct frame_walk walk = {0};
    frame_walk_pass(&walk, (slice){"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10});
    assert_false(frame_walk_is_between(&walk));
    frame_walk_pass(&walk, SLICE("payload"));
    assert_false(frame_walk_is_between(&walk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_between_frames_at_their_ends_alone),
        cmocka_unit_test(any_split_leads_to_the_same_place),
        cmocka_unit_test(the_longest_length_does_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
