/* tests/unit/crypto/key_client_test.c
 *
 * The client against a keyholder that this test plays itself, with jobs but without TLS.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_client.c"

#include "crypto/ticket_keys.h"

#include <openssl/async.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PARKED_MAX = 10, KEY_ID = 42 };

struct fixture {
    struct key_client *client;
    int far; /* the keyholder's end */
    int detached;
    int rooms;
    struct ticket_keys tickets;
    struct key_message message;
};

/* One handshake's worth: a job that asks for a signature and ends. */
struct waiting {
    struct fixture *fixture;
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *wait;
    int wakes;
    bool over;
    bool done;
    size_t signature_len;
    uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
};

static void on_detached(void *self)
{
    struct fixture *fixture = self;
    fixture->detached++;
}

static void on_tickets(void *self, const struct ticket_keys *keys)
{
    struct fixture *fixture = self;
    fixture->tickets = *keys;
}

static void attach(struct fixture *fixture)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    key_client_attach(fixture->client, pair[0]);
    fixture->far = pair[1];
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.far = -1};
    struct key_client_events events = {
        .self = &fixture, .on_tickets = on_tickets, .on_detached = on_detached};
    fixture.client = key_client_new(PARKED_MAX, &events, NULL);
    assert_non_null(fixture.client);
    attach(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    key_client_detach(fixture->client);
    assert_int_equal(key_client_waiting(fixture->client), 0);
    key_client_free(fixture->client);
    close(fixture->far);
    ASYNC_cleanup_thread();
    return 0;
}

static int on_wake(void *argument)
{
    struct waiting *waiting = argument;
    waiting->wakes++;
    return 1;
}

static int ask(void *argument)
{
    struct waiting *waiting = *(struct waiting **)argument;
    uint8_t hash[KEY_HASH_BYTES_MAX] = {1, 2, 3};
    waiting->done =
        key_client_sign(waiting->fixture->client, KEY_ID, key_scheme_facts(KEY_SCHEME_ECDSA_SHA256),
                        hash, waiting->signature, &waiting->signature_len);
    return 1;
}

static void resume(struct waiting *waiting)
{
    int result = 0;
    int how = ASYNC_start_job(&waiting->job, waiting->wait, &result, ask, &waiting,
                              sizeof(struct waiting *));
    assert_true(how == ASYNC_PAUSE || how == ASYNC_FINISH);
    waiting->over = how == ASYNC_FINISH;
}

static void begin(struct waiting *waiting, struct fixture *fixture)
{
    *waiting = (struct waiting){.fixture = fixture, .wait = ASYNC_WAIT_CTX_new()};
    assert_int_equal(ASYNC_WAIT_CTX_set_callback(waiting->wait, on_wake, waiting), 1);
    resume(waiting);
    assert_false(waiting->over);
}

/* Woken once, resumed once, over; says whether it got a signature. */
static bool finish(struct waiting *waiting)
{
    assert_int_equal(waiting->wakes, 1);
    resume(waiting);
    assert_true(waiting->over);
    ASYNC_WAIT_CTX_free(waiting->wait);
    return waiting->done;
}

/* The keyholder's next packet in `message`; false: none. */
static bool far_receive(struct fixture *fixture)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    ssize_t got = recv(fixture->far, packet, sizeof(packet), MSG_DONTWAIT);
    return got > 0 && key_message_decode(&fixture->message, packet, (size_t)got, true);
}

static void far_send(struct fixture *fixture, const struct key_message *message)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    size_t len = key_message_encode(message, packet);
    assert_true(len > 0);
    assert_int_equal(send(fixture->far, packet, len, MSG_NOSIGNAL), len);
}

static void far_answer(struct fixture *fixture, const struct key_request *request,
                       enum key_status status)
{
    static struct key_message message;
    message = (struct key_message){.kind = KEY_MESSAGE_SIGNED, .count = 1};
    message.answers[0] = (struct key_answer){.slot = request->slot,
                                             .generation = request->generation,
                                             .status = status,
                                             .signature_len = status == KEY_STATUS_DONE ? 70 : 0};
    memset(message.answers[0].signature, 's', 70);
    far_send(fixture, &message);
}

static void nothing_is_sent_before_the_flush_and_eight_go_together(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting[PARKED_MAX];
    for (size_t i = 0; i < PARKED_MAX; i++) {
        begin(&waiting[i], fixture);
    }
    assert_false(far_receive(fixture));
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    assert_int_equal(fixture->message.count, 8);
    struct key_request requests[PARKED_MAX];
    memcpy(requests, fixture->message.requests, 8 * sizeof(requests[0]));
    assert_true(far_receive(fixture));
    assert_int_equal(fixture->message.count, 2);
    memcpy(requests + 8, fixture->message.requests, 2 * sizeof(requests[0]));
    assert_false(far_receive(fixture));
    for (size_t i = PARKED_MAX; i-- > 0;) { /* any order will do */
        assert_int_equal(requests[i].key_id, KEY_ID);
        far_answer(fixture, &requests[i], KEY_STATUS_DONE);
    }
    key_client_on_readable(fixture->client);
    for (size_t i = 0; i < PARKED_MAX; i++) {
        assert_true(finish(&waiting[i]));
        assert_int_equal(waiting[i].signature_len, 70);
        assert_int_equal(waiting[i].signature[69], 's');
    }
}

static void a_refusal_fails_one_request(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting[2];
    begin(&waiting[0], fixture);
    begin(&waiting[1], fixture);
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    far_answer(fixture, &fixture->message.requests[0], KEY_STATUS_FAILED);
    far_answer(fixture, &fixture->message.requests[1], KEY_STATUS_DONE);
    key_client_on_readable(fixture->client);
    assert_false(finish(&waiting[0]));
    assert_true(finish(&waiting[1]));
    assert_int_equal(fixture->detached, 0);
}

/* The next packet asks for one signature, which is given. */
static void far_sign(struct fixture *fixture)
{
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    assert_int_equal(fixture->message.count, 1);
    far_answer(fixture, &fixture->message.requests[0], KEY_STATUS_DONE);
    key_client_on_readable(fixture->client);
}

/* What a keyholder must not say. Each closes the channel, and the next one is asked what waits. */
static void nonsense_from_the_keyholder_detaches(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        int slot;
        int generation; /* added to the right one */
        size_t garbage;
        bool empty;
        bool twice;
    } rows[] = {
        {"another slot", 1, 0, 0, false, false},
        {"a slot that does not exist", PARKED_MAX + 1, 0, 0, false, false},
        {"the last slot of the protocol", KEY_CHANNEL_SLOTS_MAX - 1, 0, 0, false, false},
        {"an older generation", 0, -1, 0, false, false},
        {"garbage", 0, 0, 7, false, false},
        {"a packet longer than any", 0, 0, KEY_CHANNEL_PACKET_MAX + 1, false, false},
        {"an empty packet", 0, 0, 0, true, false},
        {"the same answer twice", 0, 0, 0, false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct waiting waiting;
        begin(&waiting, fixture);
        key_client_flush(fixture->client);
        assert_true(far_receive(fixture));
        struct key_request request = fixture->message.requests[0];
        if (rows[i].garbage > 0 || rows[i].empty) {
            static uint8_t garbage[KEY_CHANNEL_PACKET_MAX + 1] = {KEY_MESSAGE_SIGNED, 1};
            send(fixture->far, garbage, rows[i].garbage, MSG_NOSIGNAL);
        } else {
            request.slot = (uint16_t)((request.slot + rows[i].slot) % KEY_CHANNEL_SLOTS_MAX);
            request.generation += (uint32_t)rows[i].generation;
            far_answer(fixture, &request, KEY_STATUS_DONE);
        }
        if (rows[i].twice) {
            far_answer(fixture, &request, KEY_STATUS_DONE);
        }
        key_client_on_readable(fixture->client);
        assert_int_equal(fixture->detached, i + 1);
        assert_false(key_client_is_attached(fixture->client));
        assert_int_equal(waiting.wakes, rows[i].twice);
        close(fixture->far);
        attach(fixture);
        if (!rows[i].twice) {
            far_sign(fixture);
        }
        assert_true(finish(&waiting));
    }
}

static void a_request_asks_for_the_next_generation_of_its_slot(void **state)
{
    struct fixture *fixture = *state;
    struct key_request before = {0};
    for (int i = 0; i < 3; i++) {
        struct waiting waiting;
        begin(&waiting, fixture);
        key_client_flush(fixture->client);
        assert_true(far_receive(fixture));
        const struct key_request *request = &fixture->message.requests[0];
        if (i > 0) {
            assert_int_equal(request->slot, before.slot);
            assert_int_equal(request->generation, before.generation + 1);
        }
        before = *request;
        far_answer(fixture, &before, KEY_STATUS_DONE);
        key_client_on_readable(fixture->client);
        assert_true(finish(&waiting));
    }
}

static void requests_wait_for_a_new_keyholder_but_not_for_ever(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->far);
    key_client_on_readable(fixture->client);
    struct waiting early;
    struct waiting late;
    begin(&early, fixture);
    begin(&late, fixture);
    key_client_flush(fixture->client);
    key_client_on_tick(fixture->client);
    assert_int_equal(early.wakes, 0);
    /* As if it had been asked long ago. */
    key_slots_queued_at(&fixture->client->slots, 0)->entered_ms -= KEY_CLIENT_DETACHED_MS_MAX + 10;
    key_client_on_tick(fixture->client);
    assert_false(finish(&early));
    assert_int_equal(late.wakes, 0);
    attach(fixture);
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    far_answer(fixture, &fixture->message.requests[0], KEY_STATUS_DONE);
    key_client_on_readable(fixture->client);
    assert_true(finish(&late));
}

/* As if all that waits had been asked, and sent, so long ago. */
static void age(struct fixture *fixture, uint64_t asked_ms, uint64_t sent_ms)
{
    for (size_t i = 0; i < fixture->client->slots.count; i++) {
        fixture->client->slots.slots[i].since_ms -= asked_ms;
        fixture->client->slots.slots[i].entered_ms -= sent_ms;
    }
}

static void a_silent_keyholder_is_taken_for_dead(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    begin(&waiting, fixture);
    key_client_flush(fixture->client);
    key_client_on_tick(fixture->client);
    assert_int_equal(waiting.wakes, 0);
    age(fixture, KEY_CLIENT_ANSWER_MS_MAX + 10, KEY_CLIENT_ANSWER_MS_MAX + 10);
    key_client_on_tick(fixture->client);
    assert_int_equal(fixture->detached, 1);
    assert_false(finish(&waiting));
}

static void who_waits_for_a_silent_one_in_vain_does_not_end_its_successor(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    begin(&waiting, fixture);
    key_client_flush(fixture->client);
    age(fixture, KEY_CLIENT_ANSWER_MS_MAX - 1000, KEY_CLIENT_ANSWER_MS_MAX + 10);
    key_client_on_tick(fixture->client); /* says nothing to anybody, and is left */
    assert_int_equal(fixture->detached, 1);
    close(fixture->far);
    attach(fixture);
    key_client_flush(fixture->client);
    age(fixture, 2000, 0);
    key_client_on_tick(fixture->client);
    assert_int_equal(fixture->detached, 1);
    key_client_detach(fixture->client);
    assert_false(finish(&waiting));
}

static void attaching_anew_asks_again_what_the_old_one_had(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    begin(&waiting, fixture);
    key_client_flush(fixture->client);
    close(fixture->far);
    attach(fixture);
    assert_int_equal(fixture->detached, 0);
    far_sign(fixture);
    assert_true(finish(&waiting));
}

/* Sent, answered in part, and lost: the successor is asked the rest, then what came meanwhile. */
static void a_death_costs_no_request(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting[4];
    for (size_t i = 0; i < 3; i++) {
        begin(&waiting[i], fixture);
    }
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    far_answer(fixture, &fixture->message.requests[1], KEY_STATUS_DONE);
    close(fixture->far);
    key_client_on_readable(fixture->client);
    assert_int_equal(fixture->detached, 1);
    assert_true(finish(&waiting[1]));
    begin(&waiting[3], fixture);
    attach(fixture);
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    assert_int_equal(fixture->message.count, 3);
    static struct key_message asked;
    asked = fixture->message;
    for (size_t i = 0; i < asked.count; i++) {
        far_answer(fixture, &asked.requests[i], KEY_STATUS_DONE);
    }
    key_client_on_readable(fixture->client);
    for (size_t i = 0; i < 4; i++) {
        assert_true(i == 1 || finish(&waiting[i]));
    }
}

static void a_request_that_ends_every_keyholder_ends_itself(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    begin(&waiting, fixture);
    for (int i = 0; i < KEY_CLIENT_TIMES_SENT_MAX; i++) {
        assert_int_equal(waiting.wakes, 0);
        key_client_flush(fixture->client);
        assert_true(far_receive(fixture));
        close(fixture->far);
        key_client_on_readable(fixture->client);
        attach(fixture);
    }
    assert_false(finish(&waiting));
    key_client_flush(fixture->client);
    assert_false(far_receive(fixture));
}

static void keys_are_wanted_until_the_answer(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    begin(&waiting, fixture);
    assert_true(key_client_wants_keys(fixture->client, KEY_ID, 1));
    assert_false(key_client_wants_keys(fixture->client, KEY_ID + 1, 1000));
    far_sign(fixture);
    assert_false(key_client_wants_keys(fixture->client, KEY_ID, 1));
    assert_true(finish(&waiting));
}

/* A wake that resumes at once and whose stream starts another handshake at once. */
static int on_wake_resume(void *argument)
{
    struct waiting *waiting = argument;
    waiting->wakes++;
    resume(waiting);
    begin(waiting + 1, waiting->fixture);
    key_client_flush(waiting->fixture->client);
    return 1;
}

static void a_wake_may_resume_and_begin_anew(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting[2];
    begin(&waiting[0], fixture);
    for (size_t i = 0; i < fixture->client->slots.count; i++) {
        fixture->client->slots.slots[i].job.wake = on_wake_resume;
    }
    key_client_flush(fixture->client);
    assert_true(far_receive(fixture));
    far_answer(fixture, &fixture->message.requests[0], KEY_STATUS_DONE);
    key_client_on_readable(fixture->client);
    assert_true(waiting[0].over && waiting[0].done);
    ASYNC_WAIT_CTX_free(waiting[0].wait);
    assert_true(far_receive(fixture));
    far_answer(fixture, &fixture->message.requests[0], KEY_STATUS_DONE);
    key_client_on_readable(fixture->client);
    assert_true(finish(&waiting[1]));
}

static void on_room(void *self)
{
    struct fixture *fixture = self;
    fixture->rooms++;
}

static void waiters_are_let_in_when_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting[PARKED_MAX];
    for (size_t i = 0; i < PARKED_MAX; i++) {
        begin(&waiting[i], fixture);
    }
    struct key_waiter waiters[3];
    for (size_t i = 0; i < 3; i++) {
        waiters[i] = (struct key_waiter){.on_room = on_room, .self = fixture};
        key_client_wait(fixture->client, &waiters[i]);
        key_client_wait(fixture->client, &waiters[i]);
    }
    key_client_flush(fixture->client);
    assert_int_equal(fixture->rooms, 0);
    key_client_wait_cancel(fixture->client, &waiters[1]);
    key_client_wait_cancel(fixture->client, &waiters[1]);
    assert_true(far_receive(fixture));
    far_answer(fixture, &fixture->message.requests[0], KEY_STATUS_DONE);
    key_client_on_readable(fixture->client);
    assert_true(finish(&waiting[0]));
    key_client_flush(fixture->client);
    assert_int_equal(fixture->rooms, 2);
    key_client_detach(fixture->client);
    for (size_t i = 1; i < PARKED_MAX; i++) {
        assert_false(finish(&waiting[i]));
    }
}

static void ticket_keys_arrive_and_failures_do_not(void **state)
{
    struct fixture *fixture = *state;
    assert_true(key_client_ask_tickets(fixture->client, 77));
    assert_true(far_receive(fixture));
    assert_int_equal(fixture->message.kind, KEY_MESSAGE_ASK_TICKETS);
    assert_int_equal(fixture->message.tickets.keys.epoch, 77);
    static struct key_message answer;
    answer = (struct key_message){.kind = KEY_MESSAGE_TICKETS, .count = 1};
    answer.tickets.status = KEY_STATUS_FAILED;
    answer.tickets.keys.epoch = 77;
    far_send(fixture, &answer);
    key_client_on_readable(fixture->client);
    assert_int_equal(fixture->tickets.epoch, 0);
    answer.tickets.status = KEY_STATUS_DONE;
    answer.tickets.keys.aes[31] = 9;
    far_send(fixture, &answer);
    key_client_on_readable(fixture->client);
    assert_int_equal(fixture->tickets.epoch, 77);
    assert_int_equal(fixture->tickets.aes[31], 9);
    key_client_detach(fixture->client);
    assert_false(key_client_ask_tickets(fixture->client, 77));
}

static void pool_sizes_outside_the_range_are_refused(void **state)
{
    (void)state;
    struct crypto_error error = {{0}};
    assert_null(key_client_new(0, NULL, &error));
    assert_null(key_client_new(KEY_CLIENT_PARKED_MAX + 1, NULL, &error));
    assert_non_null(strstr(error.text, "1001"));
    key_client_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_sent_before_the_flush_and_eight_go_together,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_fails_one_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_from_the_keyholder_detaches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_asks_for_the_next_generation_of_its_slot, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(requests_wait_for_a_new_keyholder_but_not_for_ever, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_silent_keyholder_is_taken_for_dead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_waits_for_a_silent_one_in_vain_does_not_end_its_successor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attaching_anew_asks_again_what_the_old_one_had, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_death_costs_no_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_request_that_ends_every_keyholder_ends_itself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(keys_are_wanted_until_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wake_may_resume_and_begin_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiters_are_let_in_when_there_is_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ticket_keys_arrive_and_failures_do_not, set_up, tear_down),
        cmocka_unit_test(pool_sizes_outside_the_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
