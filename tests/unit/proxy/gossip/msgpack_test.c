/* tests/unit/proxy/gossip/msgpack_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/msgpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    slice head;
    enum msgpack_kind kind;
    uint64_t number;
} heads[] = {
    {SLICE("\x00"), MSGPACK_NUMBER, 0},
    {SLICE("\x7f"), MSGPACK_NUMBER, 127},
    {SLICE("\x80"), MSGPACK_MAP, 0},
    {SLICE("\x8f"), MSGPACK_MAP, 15},
    {SLICE("\x90"), MSGPACK_ARRAY, 0},
    {SLICE("\x9f"), MSGPACK_ARRAY, 15},
    {SLICE("\xa0"), MSGPACK_BYTES, 0},
    {SLICE("\xbf"), MSGPACK_BYTES, 31},
    {SLICE("\xc0"), MSGPACK_NIL, 0},
    {SLICE("\xc2"), MSGPACK_BOOL, 0},
    {SLICE("\xc3"), MSGPACK_BOOL, 0},
    {SLICE("\xc4\xff"), MSGPACK_BYTES, 255},
    {SLICE("\xc5\x01\x02"), MSGPACK_BYTES, 258},
    {SLICE("\xc6\x01\x02\x03\x04"), MSGPACK_BYTES, 0x01020304},
    {SLICE("\xc7\x03"), MSGPACK_EXTENSION, 4},
    {SLICE("\xc8\x01\0"), MSGPACK_EXTENSION, 257},
    {SLICE("\xc9\0\x01\0\0"), MSGPACK_EXTENSION, 65537},
    {SLICE("\xca\1\2\3\4"), MSGPACK_FLOAT, 0x01020304},
    {SLICE("\xcb\0\0\0\0\0\0\0\1"), MSGPACK_FLOAT, 1},
    {SLICE("\xcc\xff"), MSGPACK_NUMBER, 255},
    {SLICE("\xcd\xff\xff"), MSGPACK_NUMBER, 65535},
    {SLICE("\xce\xff\xff\xff\xff"), MSGPACK_NUMBER, UINT32_MAX},
    {SLICE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), MSGPACK_NUMBER, UINT64_MAX},
    {SLICE("\xd0\x7f"), MSGPACK_NUMBER, 127},
    {SLICE("\xd1\x7f\xff"), MSGPACK_NUMBER, 32767},
    {SLICE("\xd2\x7f\xff\xff\xff"), MSGPACK_NUMBER, INT32_MAX},
    {SLICE("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), MSGPACK_NUMBER, INT64_MAX},
    {SLICE("\xd4"), MSGPACK_EXTENSION, 2},
    {SLICE("\xd5"), MSGPACK_EXTENSION, 3},
    {SLICE("\xd6"), MSGPACK_EXTENSION, 5},
    {SLICE("\xd7"), MSGPACK_EXTENSION, 9},
    {SLICE("\xd8"), MSGPACK_EXTENSION, 17},
    {SLICE("\xd9\x20"), MSGPACK_BYTES, 32},
    {SLICE("\xda\x01\0"), MSGPACK_BYTES, 256},
    {SLICE("\xdb\0\x01\0\0"), MSGPACK_BYTES, 65536},
    {SLICE("\xdc\0\x10"), MSGPACK_ARRAY, 16},
    {SLICE("\xdd\0\0\0\x10"), MSGPACK_ARRAY, 16},
    {SLICE("\xde\0\x10"), MSGPACK_MAP, 16},
    {SLICE("\xdf\xff\xff\xff\xff"), MSGPACK_MAP, UINT32_MAX},
};

static void reads_every_head_whole_and_no_shorter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct msgpack_head head;
        for (size_t len = 0; len < heads[i].head.len; len++) {
            assert_int_equal(msgpack_head_read(slice_first(heads[i].head, len), &head),
                             STATUS_AGAIN);
        }
        assert_int_equal(msgpack_head_read(heads[i].head, &head), STATUS_OK);
        assert_int_equal(head.kind, heads[i].kind);
        assert_int_equal(head.len, heads[i].head.len);
        assert_int_equal(head.number, heads[i].number);
    }
}

static void tells_numbers_below_zero(void **state)
{
    (void)state;
    static const slice negative[] = {
        SLICE("\xff"),           SLICE("\xe0"),
        SLICE("\xd0\x80"),       SLICE("\xd1\xff\xff"),
        SLICE("\xd2\x80\0\0\0"), SLICE("\xd3\xff\xff\xff\xff\xff\xff\xff\xff")};
    for (size_t i = 0; i < sizeof(negative) / sizeof(negative[0]); i++) {
        struct msgpack_head head;
        assert_int_equal(msgpack_head_read(negative[i], &head), STATUS_OK);
        assert_int_equal(head.kind, MSGPACK_NEGATIVE);
        assert_int_equal(head.len, negative[i].len);
    }
}

static void refuses_the_byte_that_is_never_used(void **state)
{
    (void)state;
    struct msgpack_head head;
    assert_int_equal(msgpack_head_read(SLICE("\xc1"), &head), STATUS_PEER);
}

static void takes_objects_of_the_kind_that_is_asked_for(void **state)
{
    (void)state;
    slice rest = SLICE("\x81\xa3key\xcd\x01\x02");
    uint64_t number = 0;
    slice name;
    assert_int_equal(msgpack_take_number(&(slice){rest.at, rest.len}, &number), STATUS_PEER);
    assert_int_equal(msgpack_take_map(&rest, &number), STATUS_OK);
    assert_int_equal(number, 1);
    assert_int_equal(msgpack_take_map(&(slice){rest.at, rest.len}, &number), STATUS_PEER);
    assert_int_equal(msgpack_take_bytes(&(slice){rest.at, 3}, &name), STATUS_PEER);
    assert_int_equal(msgpack_take_bytes(&rest, &name), STATUS_OK);
    assert_true(slice_equal(name, SLICE("key")));
    assert_int_equal(msgpack_take_bytes(&(slice){rest.at, rest.len}, &name), STATUS_PEER);
    assert_int_equal(msgpack_take_number(&rest, &number), STATUS_OK);
    assert_int_equal(number, 258);
    assert_int_equal(rest.len, 0);
    assert_int_equal(msgpack_take_number(&rest, &number), STATUS_PEER);
}

static void passes_over_one_object_and_no_more(void **state)
{
    (void)state;
    slice rest = SLICE("\x82\xa1x\x93\x01\xc0\xd5\1\2\3\x90\xcb\0\0\0\0\0\0\0\0\x80");
    assert_int_equal(msgpack_skip(&rest), STATUS_OK);
    assert_true(slice_equal(rest, SLICE("\x80")));
    assert_int_equal(msgpack_skip(&rest), STATUS_OK);
    assert_int_equal(rest.len, 0);
    static const slice bad[] = {
        SLICE(""),
        SLICE("\x91"),
        SLICE("\x81\xa1x"),
        SLICE("\xa2x"),
        SLICE("\xc1"),
        SLICE("\xdf\xff\xff\xff\xff\x01"),
        SLICE("\xdd\0\0\0\x05\x01\x01\x01\x01"),
        SLICE("\x91\x91\x91\x91\x91\x91\x91\x91\xc0"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rest = bad[i];
        assert_int_equal(msgpack_skip(&rest), STATUS_PEER);
    }
    rest = SLICE("\x91\x91\x91\x91\x91\x91\x91\xc0");
    assert_int_equal(msgpack_skip(&rest), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_head_whole_and_no_shorter),
        cmocka_unit_test(tells_numbers_below_zero),
        cmocka_unit_test(refuses_the_byte_that_is_never_used),
        cmocka_unit_test(takes_objects_of_the_kind_that_is_asked_for),
        cmocka_unit_test(passes_over_one_object_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
