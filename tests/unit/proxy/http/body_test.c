/* tests/unit/proxy/http/body_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct buffer_pool *pool;
    struct body body;
    size_t take; /* per call of on_readable */
    unsigned offers;
    unsigned rooms;
    bool makes_room; /* wrongly, inside on_readable */
};

static void on_readable(void *self)
{
    struct rig *rig = self;
    rig->offers++;
    size_t held = body_bytes(&rig->body).len;
    body_take(&rig->body, held < rig->take ? held : rig->take);
    if (rig->makes_room) {
        body_made_room(&rig->body);
        body_offer(&rig->body);
    }
}

static void on_room(void *self)
{
    struct rig *rig = self;
    rig->rooms++;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->pool = buffer_pool_new();
    body_init(&rig->body, rig->pool);
    body_attach_consumer(&rig->body, on_readable, rig);
    body_attach_producer(&rig->body, on_room, rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    body_fini(&rig->body);
    buffer_pool_free(rig->pool);
    free(rig);
    return 0;
}

/* Fills all room there is; returns how much. */
static size_t fill(struct rig *rig)
{
    size_t room = 0;
    char *at = body_room(&rig->body, &room);
    if (at == NULL) {
        assert_int_equal(room, 0);
        return 0;
    }
    memset(at, 'x', room);
    body_filled(&rig->body, room);
    return room;
}

static void put(struct rig *rig, slice bytes)
{
    size_t room = 0;
    char *at = body_room(&rig->body, &room);
    assert_non_null(at);
    assert_true(room >= bytes.len);
    memcpy(at, bytes.at, bytes.len);
    body_filled(&rig->body, bytes.len);
}

static void carries_bytes_from_producer_to_consumer(void **state)
{
    struct rig *rig = *state;
    put(rig, SLICE("hello "));
    put(rig, SLICE("world"));
    assert_true(slice_equal(body_bytes(&rig->body), SLICE("hello world")));
    rig->take = 6;
    body_offer(&rig->body);
    assert_true(slice_equal(body_bytes(&rig->body), SLICE("world")));
    body_end(&rig->body);
    assert_false(body_is_done(&rig->body));
    body_offer(&rig->body);
    assert_true(body_is_done(&rig->body));
    assert_int_equal(rig->offers, 2);
    assert_int_equal(rig->body.moved_in, 11);
    assert_int_equal(rig->body.moved_out, 11);
    assert_null(rig->body.bytes.base); /* an empty body holds no block */
}

static void is_full_until_the_consumer_took_some(void **state)
{
    struct rig *rig = *state;
    size_t held = fill(rig);
    assert_true(held > 0);
    assert_int_equal(fill(rig), 0);
    body_take(&rig->body, held);
    assert_true(fill(rig) > 0);
}

static void room_grows_while_fills_are_complete_and_shrinks_again(void **state)
{
    struct rig *rig = *state;
    /* Whole TLS records each. */
    static const size_t sizes[] = {16 * 1024, 64 * 1024, 256 * 1024, 512 * 1024, 512 * 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t filled = fill(rig);
        assert_int_equal(filled, sizes[i]);
        body_take(&rig->body, filled);
    }
    for (size_t i = 0; i < 4; i++) {
        put(rig, SLICE("little"));
        body_take(&rig->body, 6);
    }
    size_t room = 0;
    assert_non_null(body_room(&rig->body, &room));
    assert_int_equal(room, 16 * 1024);
    body_filled(&rig->body, 0);
    assert_null(rig->body.bytes.base);
}

static void neither_side_is_called_from_inside_itself(void **state)
{
    struct rig *rig = *state;
    rig->makes_room = true;
    rig->take = 1;
    put(rig, SLICE("abc"));
    body_offer(&rig->body);
    assert_int_equal(rig->offers, 1);
    assert_int_equal(rig->rooms, 0);
    body_take(&rig->body, 1);
    body_made_room(&rig->body); /* at another time: the producer goes on */
    assert_int_equal(rig->rooms, 1);
}

static void no_room_is_asked_for_after_the_end(void **state)
{
    struct rig *rig = *state;
    put(rig, SLICE("abc"));
    body_end(&rig->body);
    body_take(&rig->body, 3);
    body_made_room(&rig->body);
    assert_int_equal(rig->rooms, 0);
}

static void the_first_end_counts(void **state)
{
    struct rig *rig = *state;
    body_cut(&rig->body, FAULT_CLIENT_GONE);
    body_end(&rig->body);
    body_cut(&rig->body, FAULT_CLIENT_RESET);
    assert_int_equal(rig->body.state, BODY_CUT);
    assert_int_equal(rig->body.fault, FAULT_CLIENT_GONE);
    assert_false(body_is_done(&rig->body));
    struct body other;
    body_init(&other, rig->pool);
    body_end(&other);
    body_cut(&other, FAULT_CLIENT_GONE);
    assert_int_equal(other.state, BODY_ENDED);
    assert_true(body_is_done(&other));
    body_fini(&other);
}

static void nobody_is_called_after_letting_go(void **state)
{
    struct rig *rig = *state;
    put(rig, SLICE("abc"));
    body_detach_consumer(&rig->body);
    body_detach_producer(&rig->body);
    body_offer(&rig->body);
    body_made_room(&rig->body);
    assert_int_equal(rig->offers + rig->rooms, 0);
}

#define BODY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- for another attempt ---- */

static void holds_what_was_taken_again_before_what_was_not(void **state)
{
    struct rig *rig = *state;
    struct body_budget budget = {.limit = 100};
    body_join_budget(&rig->body, &budget);
    body_keep(&rig->body, 10);
    assert_true(body_rewind(&rig->body));
    for (int i = 0; i < 2; i++) {
        body_put(&rig->body, i == 0 ? SLICE("hello") : SLICE("fgh"));
        body_take(&rig->body, 2);
        body_take(&rig->body, 2);
        assert_true(body_rewind(&rig->body));
        assert_true(
            slice_equal(body_bytes(&rig->body), i == 0 ? SLICE("hello") : SLICE("hellofgh")));
        assert_int_equal(rig->body.moved_out, 0);
        assert_int_equal(budget.held, i == 0 ? 5 : 8);
        assert_null(rig->body.kept.base);
    }
    body_end(&rig->body);
    body_take(&rig->body, 8);
    assert_true(body_is_done(&rig->body));
    assert_true(body_rewind(&rig->body));
    assert_false(body_is_done(&rig->body));
    assert_int_equal(rig->body.moved_in, 8);
}

static void keeps_all_of_it_or_nothing(void **state)
{
    struct rig *rig = *state;
    body_keep(&rig->body, 5);
    body_put(&rig->body, SLICE("hello, world"));
    body_take(&rig->body, 5);
    assert_non_null(rig->body.kept.base);
    body_take(&rig->body, 1);
    assert_null(rig->body.kept.base);
    assert_false(body_rewind(&rig->body));
    body_keep(&rig->body, 100); /* too late */
    body_take(&rig->body, 1);
    assert_null(rig->body.kept.base);
    assert_false(body_rewind(&rig->body));
    assert_true(slice_equal(body_bytes(&rig->body), SLICE("world")));
}

static void forgets_what_it_kept(void **state)
{
    struct rig *rig = *state;
    body_keep(&rig->body, 5);
    body_put(&rig->body, SLICE("hello"));
    body_take(&rig->body, 4);
    body_forget(&rig->body);
    assert_null(rig->body.kept.base);
    body_take(&rig->body, 1);
    assert_null(rig->body.kept.base);
    assert_false(body_rewind(&rig->body));
}

/* ---- for producers with bytes of their own ---- */

static void takes_bytes_up_to_the_largest_block(void **state)
{
    struct rig *rig = *state;
    static char bytes[BUFFER_LARGE_BYTES + 100];
    assert_int_equal(body_put(&rig->body, (slice){"hello", 5}), 5);
    assert_int_equal(body_put(&rig->body, (slice){"", 0}), 0);
    assert_int_equal(body_put(&rig->body, (slice){bytes, sizeof(bytes)}), BUFFER_LARGE_BYTES - 5);
    assert_int_equal(body_put(&rig->body, (slice){bytes, 1}), 0);
    assert_int_equal(rig->body.moved_in, BUFFER_LARGE_BYTES);
    assert_true(slice_equal(slice_first(body_bytes(&rig->body), 5), SLICE("hello")));
    rig->take = 100;
    body_offer(&rig->body);
    assert_int_equal(body_put(&rig->body, (slice){bytes, sizeof(bytes)}), 100);
}

/* ---- what several may hold together ---- */

static void is_refused_room_when_the_budget_is_used_up(void **state)
{
    struct rig *rig = *state;
    struct body_budget budget = {.limit = 100};
    struct body other;
    body_init(&other, rig->pool);
    body_join_budget(&other, &budget);
    assert_int_equal(body_put(&other, SLICE("0123456789")), 10);
    body_join_budget(&rig->body, &budget);
    assert_int_equal(budget.held, 10);
    size_t filled = fill(rig); /* one may go above it, so that it is of use at all */
    assert_true(filled > budget.limit);
    assert_int_equal(budget.held, filled + 10);
    body_take(&other, 10);
    size_t room = 0;
    assert_null(body_room(&other, &room));
    assert_int_equal(room, 0);
    assert_true(other.is_refused && budget.has_refused);
    body_take(&rig->body, filled);
    assert_int_equal(budget.held, 0);
    assert_non_null(body_room(&other, &room));
    assert_false(other.is_refused);
    body_fini(&other);
}

static void a_budget_counts_what_its_bodies_hold(void **state)
{
    struct rig *rig = *state;
    struct body_budget budget = {.limit = 1};
    put(rig, SLICE("hello"));
    body_join_budget(&rig->body, &budget);
    assert_int_equal(budget.held, 5);
    assert_int_equal(body_put(&rig->body, SLICE("more")), 4); /* is counted, and not refused */
    assert_int_equal(budget.held, 9);
    body_take(&rig->body, 3);
    assert_int_equal(budget.held, 6);
    body_leave_budget(&rig->body);
    assert_int_equal(budget.held, 0);
    body_take(&rig->body, 1);
    assert_int_equal(budget.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BODY_TEST(carries_bytes_from_producer_to_consumer),
        BODY_TEST(is_full_until_the_consumer_took_some),
        BODY_TEST(room_grows_while_fills_are_complete_and_shrinks_again),
        BODY_TEST(neither_side_is_called_from_inside_itself),
        BODY_TEST(no_room_is_asked_for_after_the_end),
        BODY_TEST(the_first_end_counts),
        BODY_TEST(nobody_is_called_after_letting_go),
        BODY_TEST(takes_bytes_up_to_the_largest_block),
        BODY_TEST(is_refused_room_when_the_budget_is_used_up),
        BODY_TEST(holds_what_was_taken_again_before_what_was_not),
        BODY_TEST(keeps_all_of_it_or_nothing),
        BODY_TEST(forgets_what_it_kept),
        BODY_TEST(a_budget_counts_what_its_bodies_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
