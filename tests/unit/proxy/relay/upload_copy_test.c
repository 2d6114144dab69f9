/* tests/unit/proxy/relay/upload_copy_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/upload_copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/relay/exchange_state.h"

static const struct requester_calls REFUSING_CALLS = {.may_be_refused = true};
static const struct requester_calls OTHER_CALLS = {.may_be_refused = false};
static const struct requester REFUSING = {.calls = &REFUSING_CALLS};
static const struct requester OTHER = {.calls = &OTHER_CALLS};

struct rig {
    struct buffer_pool *pool;
    struct relay_shared shared;
    struct relay_exchange relayed[UPLOAD_COPIES_MAX + 1];
};

static struct body *body_of(struct relay_exchange *relayed)
{
    return &relayed->exchange.request_body;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->pool = buffer_pool_new();
    for (size_t i = 0; i <= UPLOAD_COPIES_MAX; i++) {
        rig->relayed[i].shared = &rig->shared;
        body_init(body_of(&rig->relayed[i]), rig->pool);
    }
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i <= UPLOAD_COPIES_MAX; i++) {
        upload_copy_end(&rig->relayed[i]);
        body_fini(body_of(&rig->relayed[i]));
    }
    assert_int_equal(rig->shared.upload_copies, 0);
    buffer_pool_free(rig->pool);
    free(rig);
    return 0;
}

/* `text` goes into the body and to the server. */
static void send_text(struct relay_exchange *relayed, const char *text)
{
    size_t room = 0;
    char *at = body_room(body_of(relayed), &room);
    assert_true(room >= strlen(text));
    memcpy(at, text, strlen(text));
    body_filled(body_of(relayed), strlen(text));
    body_take(body_of(relayed), strlen(text));
}

static void what_was_sent_is_there_for_another_attempt(void **state)
{
    struct relay_exchange *relayed = ((struct rig *)*state)->relayed;
    upload_copy_begin(relayed, &REFUSING);
    send_text(relayed, "hello");
    assert_true(body_rewind(body_of(relayed)));
    assert_memory_equal(body_bytes(body_of(relayed)).at, "hello", 5);
    upload_copy_begin(relayed, &REFUSING); /* the other attempt has the same copy */
    assert_int_equal(relayed->shared->upload_copies, 1);
}

static void no_copy_outlives_its_use(void **state)
{
    struct relay_exchange *relayed = ((struct rig *)*state)->relayed;
    upload_copy_begin(relayed, &REFUSING);
    send_text(relayed, "hello");
    upload_copy_end(relayed);
    upload_copy_end(relayed);
    assert_int_equal(relayed->shared->upload_copies, 0);
    assert_false(body_rewind(body_of(relayed)));
}

static void who_cannot_be_refused_makes_none(void **state)
{
    struct relay_exchange *relayed = ((struct rig *)*state)->relayed;
    upload_copy_begin(relayed, &REFUSING);
    upload_copy_begin(relayed, &OTHER);
    assert_int_equal(relayed->shared->upload_copies, 0);
    send_text(relayed, "hello");
    assert_false(body_rewind(body_of(relayed)));
}

static void a_request_without_content_needs_none(void **state)
{
    struct relay_exchange *relayed = ((struct rig *)*state)->relayed;
    body_end(body_of(relayed));
    upload_copy_begin(relayed, &REFUSING);
    assert_int_equal(relayed->shared->upload_copies, 0);
    assert_true(body_rewind(body_of(relayed)));
}

static void there_are_no_more_than_so_many(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i <= UPLOAD_COPIES_MAX; i++) {
        upload_copy_begin(&rig->relayed[i], &REFUSING);
        send_text(&rig->relayed[i], "hello");
    }
    assert_int_equal(rig->shared.upload_copies, UPLOAD_COPIES_MAX);
    assert_true(body_rewind(body_of(&rig->relayed[UPLOAD_COPIES_MAX - 1])));
    assert_false(body_rewind(body_of(&rig->relayed[UPLOAD_COPIES_MAX])));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_sent_is_there_for_another_attempt),
        TEST(no_copy_outlives_its_use),
        TEST(who_cannot_be_refused_makes_none),
        TEST(a_request_without_content_needs_none),
        TEST(there_are_no_more_than_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
