/* tests/unit/crypto/agreements_test.c: jobs without TLS · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519_batch_fake.h"

#include "crypto/agreements.c"

#include <openssl/async.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { CROWD = 19 };

struct fixture {
    struct agreements *agreements;
    struct x25519 *openssl;
    int asked; /* times that a flush was asked for */
};

static void on_waiting(void *self)
{
    struct fixture *fixture = self;
    fixture->asked++;
}

/* One handshake's worth: a job that agrees with a peer and ends. */
struct waiting {
    struct fixture *fixture;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *wait;
    struct x25519_share share;
    uint8_t peer[X25519_BYTES];
    uint8_t secret[X25519_BYTES];
    struct waiting *resumes; /* that its wake resumes at once; NULL: none */
    bool is_blocked;         /* somebody holds ASYNC_block_pause */
    bool is_over;
    bool has_agreed;
    int wakes;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const struct agreements_events events = {.on_waiting = on_waiting, .self = &fixture};
    memset(&fake_batch, 0, sizeof(fake_batch));
    fixture = (struct fixture){.asked = 0};
    fixture.agreements = agreements_new(&events);
    fixture.openssl = x25519_new();
    assert_non_null(fixture.agreements);
    fake_batch.point_calls = 0;
    fake_batch.points = 0;
    fake_batch.runs_of_ones = 0;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(agreements_waiting(fixture->agreements), 0);
    assert_int_equal(fake_batch.runs_of_ones, 0);
    agreements_free(fixture->agreements);
    x25519_free(fixture->openssl);
    ASYNC_cleanup_thread();
    return 0;
}

static void resume(struct waiting *waiting);

static int on_wake(void *argument)
{
    struct waiting *waiting = argument;
    waiting->wakes++;
    if (waiting->resumes != NULL) {
        resume(waiting->resumes);
    }
    return 1;
}

static int run(void *argument)
{
    struct waiting *waiting = *(struct waiting **)argument;
    if (waiting->is_blocked) {
        ASYNC_block_pause();
    }
    waiting->has_agreed = agreements_agree(waiting->fixture->agreements, &waiting->share,
                                           waiting->peer, waiting->secret);
    if (waiting->is_blocked) {
        ASYNC_unblock_pause();
    }
    return 1;
}

static void resume(struct waiting *waiting)
{
    int result = 0;
    int how = ASYNC_start_job(&waiting->job, waiting->wait, &result, run, &waiting,
                              sizeof(struct waiting *));
    assert_true(how == ASYNC_PAUSE || how == ASYNC_FINISH);
    waiting->is_over = how == ASYNC_FINISH;
}

/* With a random peer. */
static void prepare(struct waiting *waiting, struct fixture *fixture)
{
    struct x25519_share peer;
    *waiting = (struct waiting){.fixture = fixture, .wait = ASYNC_WAIT_CTX_new()};
    assert_int_equal(ASYNC_WAIT_CTX_set_callback(waiting->wait, on_wake, waiting), 1);
    assert_true(agreements_make_share(fixture->agreements, &waiting->share));
    do {
        assert_true(x25519_make_share(fixture->openssl, &peer));
    } while (!is_for_batches(peer.point));
    memcpy(waiting->peer, peer.point, X25519_BYTES);
}

static void begin(struct waiting *waiting, struct fixture *fixture)
{
    prepare(waiting, fixture);
    resume(waiting);
    assert_false(waiting->is_over);
}

/* Over, and with what OpenSSL gets. */
static void end(struct waiting *waiting)
{
    uint8_t expected[X25519_BYTES];
    if (!waiting->is_over) {
        resume(waiting);
    }
    assert_true(waiting->is_over);
    bool may_agree =
        x25519_agree(waiting->fixture->openssl, &waiting->share, waiting->peer, expected);
    assert_int_equal(waiting->has_agreed, may_agree);
    if (may_agree) {
        assert_memory_equal(waiting->secret, expected, X25519_BYTES);
    }
    ASYNC_WAIT_CTX_free(waiting->wait);
}

static void those_of_a_turn_are_computed_together(void **state)
{
    static const struct {
        size_t count;
        unsigned calls;
        unsigned points;
    } rows[] = {{1, 0, 0}, {2, 1, 2},   {3, 1, 3},        {8, 1, 8},
                {9, 1, 8}, {10, 2, 10}, {CROWD, 3, CROWD}};
    static struct waiting waiting[CROWD];
    struct fixture *fixture = *state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        fake_batch.point_calls = 0;
        fake_batch.points = 0;
        fixture->asked = 0;
        for (size_t i = 0; i < rows[row].count; i++) {
            begin(&waiting[i], fixture);
            assert_int_equal(fixture->asked, 1);
        }
        assert_int_equal(agreements_waiting(fixture->agreements), rows[row].count);
        assert_int_equal(fake_batch.point_calls, 0);
        agreements_flush(fixture->agreements);
        assert_int_equal(fake_batch.point_calls, rows[row].calls);
        assert_int_equal(fake_batch.points, rows[row].points);
        for (size_t i = 0; i < rows[row].count; i++) {
            assert_int_equal(waiting[i].wakes, 1);
            end(&waiting[i]);
        }
    }
}

static void without_a_job_nothing_waits(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    prepare(&waiting, fixture);
    waiting.has_agreed =
        agreements_agree(fixture->agreements, &waiting.share, waiting.peer, waiting.secret);
    waiting.is_over = true;
    end(&waiting);
    assert_int_equal(fake_batch.point_calls, 0);
    assert_int_equal(fixture->asked, 0);
}

static void a_job_that_cannot_pause_does_without(void **state)
{
    struct fixture *fixture = *state;
    struct waiting others[2];
    begin(&others[0], fixture);
    struct waiting waiting;
    prepare(&waiting, fixture);
    waiting.is_blocked = true;
    resume(&waiting);
    assert_true(waiting.is_over);
    begin(&others[1], fixture);
    assert_int_equal(agreements_waiting(fixture->agreements), 2);
    agreements_flush(fixture->agreements);
    assert_int_equal(waiting.wakes, 0);
    end(&waiting);
    end(&others[0]);
    end(&others[1]);
}

/* Sets the bits [from, from + len) of a point. */
static void set_bits(uint8_t *point, size_t from, size_t len)
{
    for (size_t i = from; i < from + len; i++) {
        point[i / 8] |= (uint8_t)(1U << (i % 8));
    }
}

static void points_with_long_runs_of_ones_are_left_to_openssl(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    for (size_t len = 23; len <= 255; len += 29) {
        for (size_t from = 0; from + len <= 255; from += 7) {
            prepare(&waiting, fixture);
            set_bits(waiting.peer, from, len);
            resume(&waiting);
            assert_true(waiting.is_over);
            end(&waiting);
        }
    }
    assert_int_equal(fake_batch.point_calls, 0);
}

/* The unused bit of a point does not hide one of them, and a few ones are nothing special. */
static void what_counts_as_a_long_run(void **state)
{
    (void)state;
    static const struct {
        size_t from;
        size_t len;
        bool is_for_batches;
    } rows[] = {{0, 15, true},   {0, 16, false},   {5, 18, true},   {5, 19, false},
                {1, 22, true},   {1, 23, false},   {239, 15, true}, {240, 15, false},
                {240, 14, true}, {240, 16, false}, {248, 8, true},  {0, 256, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t point[X25519_BYTES] = {0};
        set_bits(point, rows[i].from, rows[i].len);
        assert_int_equal(is_for_batches(point), rows[i].is_for_batches);
    }
}

/* RFC 7748 §6.1, RFC 8446 §7.4.2. The others of the same call are not harmed. */
static void low_order_points_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static struct waiting waiting[X25519_BATCH_LANES];
    for (size_t i = 0; i < X25519_BATCH_LANES; i++) {
        prepare(&waiting[i], fixture);
        if (i % 3 == 0) {
            memset(waiting[i].peer, 0, X25519_BYTES);
            waiting[i].peer[0] = (uint8_t)(i % 2);
        }
        resume(&waiting[i]);
    }
    agreements_flush(fixture->agreements);
    assert_int_equal(fake_batch.points, X25519_BATCH_LANES);
    for (size_t i = 0; i < X25519_BATCH_LANES; i++) {
        end(&waiting[i]);
        assert_int_equal(waiting[i].has_agreed, i % 3 != 0);
    }
}

static void what_the_library_refuses_openssl_computes(void **state)
{
    struct fixture *fixture = *state;
    static struct waiting waiting[4];
    fake_batch.refused = 0x5;
    fake_batch.faulty_lane = 3; /* what is in a refused lane does not count */
    for (size_t i = 0; i < 4; i++) {
        begin(&waiting[i], fixture);
    }
    agreements_flush(fixture->agreements);
    for (size_t i = 0; i < 4; i++) {
        end(&waiting[i]);
        assert_true(waiting[i].has_agreed);
    }
}

static void a_wake_may_resume_at_once(void **state)
{
    struct fixture *fixture = *state;
    static struct waiting waiting[3];
    for (size_t i = 0; i < 3; i++) {
        begin(&waiting[i], fixture);
        waiting[i].resumes = &waiting[i];
    }
    agreements_flush(fixture->agreements);
    for (size_t i = 0; i < 3; i++) {
        assert_true(waiting[i].is_over);
        end(&waiting[i]);
    }
}

/* The second goes on by a stray call before its wake; nobody is woken for it afterwards. */
static void one_that_went_on_by_itself_is_not_woken(void **state)
{
    struct fixture *fixture = *state;
    static struct waiting waiting[3];
    for (size_t i = 0; i < 3; i++) {
        begin(&waiting[i], fixture);
    }
    waiting[0].resumes = &waiting[1];
    agreements_flush(fixture->agreements);
    assert_true(waiting[1].is_over);
    assert_int_equal(waiting[0].wakes, 1);
    assert_int_equal(waiting[1].wakes, 0);
    assert_int_equal(waiting[2].wakes, 1);
    for (size_t i = 0; i < 3; i++) {
        end(&waiting[i]);
    }
}

static void stray_calls_do_no_harm(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting[2];
    begin(&waiting[0], fixture);
    begin(&waiting[1], fixture);
    for (int i = 0; i < 5; i++) {
        resume(&waiting[0]);
        assert_false(waiting[0].is_over);
    }
    agreements_flush(fixture->agreements);
    end(&waiting[0]);
    end(&waiting[1]);
}

/* As many as come before the pool is made again; no two are alike. */
static void there_are_always_shares(void **state)
{
    enum { TAKEN = SHARE_POOL_MOST + 3 };
    struct fixture *fixture = *state;
    static struct x25519_share shares[TAKEN];
    for (size_t i = 0; i < TAKEN; i++) {
        assert_true(agreements_make_share(fixture->agreements, &shares[i]));
        struct x25519_share share = shares[i];
        assert_true(x25519_complete_share(fixture->openssl, &share));
        assert_memory_equal(share.point, shares[i].point, X25519_BYTES);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(shares[i].point, shares[j].point, X25519_BYTES);
        }
    }
    assert_int_equal(share_pool_count(&fixture->agreements->pool), 0);
    agreements_refill(fixture->agreements);
    assert_int_equal(share_pool_count(&fixture->agreements->pool), SHARE_POOL_MOST);
}

static void there_are_none_without_a_sound_library(void **state)
{
    (void)state;
    memset(&fake_batch, 0, sizeof(fake_batch));
    fake_batch.is_missing = true;
    assert_null(agreements_new(NULL));
    fake_batch.is_missing = false;
    fake_batch.faulty_lane = 4;
    assert_null(agreements_new(NULL));
    fake_batch.faulty_lane = 0;
    struct agreements *agreements = agreements_new(NULL);
    assert_int_equal(agreements_lanes(agreements), 8);
    agreements_free(agreements);
    assert_int_equal(agreements_lanes(NULL), 0);
    agreements_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_of_a_turn_are_computed_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_job_nothing_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_cannot_pause_does_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(points_with_long_runs_of_ones_are_left_to_openssl, set_up,
                                        tear_down),
        cmocka_unit_test(what_counts_as_a_long_run),
        cmocka_unit_test_setup_teardown(low_order_points_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_library_refuses_openssl_computes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_wake_may_resume_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_went_on_by_itself_is_not_woken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stray_calls_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_are_always_shares, set_up, tear_down),
        cmocka_unit_test(there_are_none_without_a_sound_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
