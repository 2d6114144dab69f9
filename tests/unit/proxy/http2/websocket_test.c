/* tests/unit/proxy/http2/websocket_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/websocket.h"

#include <stdint.h>
#include <stdlib.h>

#include "support/arena_rig.h"

/* RFC 6455 §1.3 */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static struct message with(enum field_token token, slice value)
{
    struct message message = {0};
    assert_int_equal(fields_add(&message.fields, &arena, token, value), STATUS_OK);
    return message;
}

static void the_answer_belongs_to_the_key(void **state)
{
    (void)state;
    struct message request = with(FIELD_SEC_WEBSOCKET_KEY, SLICE(KEY));
    struct message response = with(FIELD_SEC_WEBSOCKET_ACCEPT, SLICE("what a backend made up"));
    assert_false(websocket_is_accepted(&request, &response));
    assert_int_equal(websocket_add_accept(&request, &response, &arena), FAULT_NONE);
    assert_int_equal(fields_count(&response.fields, FIELD_SEC_WEBSOCKET_ACCEPT), 1);
    assert_true(slice_equal(fields_find(&response.fields, FIELD_SEC_WEBSOCKET_ACCEPT)->value,
                            SLICE(ACCEPT)));
    assert_true(websocket_is_accepted(&request, &response));
}

static void what_is_missing_is_not_accepted(void **state)
{
    (void)state;
    const struct message none = {0};
    struct message request = with(FIELD_SEC_WEBSOCKET_KEY, SLICE(KEY));
    struct message response = with(FIELD_SEC_WEBSOCKET_ACCEPT, SLICE(ACCEPT));
    assert_true(websocket_is_accepted(&request, &response));
    assert_false(websocket_is_accepted(&none, &response));
    assert_false(websocket_is_accepted(&request, &none));
    struct message other = with(FIELD_SEC_WEBSOCKET_KEY, SLICE("x3JJHMbDL1EzLkh9GBhXDw=="));
    assert_false(websocket_is_accepted(&other, &response));
}

static void a_client_without_a_key_gets_no_answer(void **state)
{
    (void)state;
    const struct message request = {0};
    struct message response = with(FIELD_SEC_WEBSOCKET_ACCEPT, SLICE(ACCEPT));
    assert_int_equal(websocket_add_accept(&request, &response, &arena), FAULT_NONE);
    assert_int_equal(response.fields.count, 0);
}

static void each_request_has_one_key_and_another_one(void **state)
{
    (void)state;
    struct message first = with(FIELD_SEC_WEBSOCKET_KEY, SLICE(KEY));
    struct message second = {0};
    assert_int_equal(websocket_add_key(&first, &arena), FAULT_NONE);
    assert_int_equal(websocket_add_key(&second, &arena), FAULT_NONE);
    assert_int_equal(fields_count(&first.fields, FIELD_SEC_WEBSOCKET_KEY), 1);
    slice a = fields_find(&first.fields, FIELD_SEC_WEBSOCKET_KEY)->value;
    slice b = fields_find(&second.fields, FIELD_SEC_WEBSOCKET_KEY)->value;
    assert_int_equal(a.len, 24);
    assert_false(slice_equal(a, b));
    assert_false(slice_equal(a, SLICE(KEY)));
}

static void an_arena_that_is_full_is_told_of(void **state)
{
    (void)state;
    struct message request = with(FIELD_SEC_WEBSOCKET_KEY, SLICE(KEY));
    struct arena small;
    arena_init(&small, &pool, 0);
    struct message out = {0};
    assert_int_equal(websocket_add_key(&out, &small), FAULT_LIMIT_MEMORY);
    assert_int_equal(websocket_add_accept(&request, &out, &small), FAULT_LIMIT_MEMORY);
    arena_reset(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_belongs_to_the_key),
        cmocka_unit_test(what_is_missing_is_not_accepted),
        cmocka_unit_test(a_client_without_a_key_gets_no_answer),
        cmocka_unit_test(each_request_has_one_key_and_another_one),
        cmocka_unit_test(an_arena_that_is_full_is_told_of),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
