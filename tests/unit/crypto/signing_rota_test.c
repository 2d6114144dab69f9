/* tests/unit/crypto/signing_rota_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signing_rota.h"

#include "crypto/key_table.h"
#include "crypto/rsa_batch_fake.h"
#include "crypto/rsa_rig.h"
#include "crypto/signing_key.h"
#include "crypto/worker_channel.h"

enum {
    WORKERS = 3,
    RSA_ID = 1,
    OTHER_RSA_ID,
    LONG_RSA_ID,
    EC_ID,
    KEYS = 4,
    MOST = RSA_BATCH_LANES
};

struct fixture {
    struct key_table keys;
    struct worker_channel *workers[WORKERS];
    int far[WORKERS];
    uint16_t next_slot[WORKERS];
    struct signing_rota rota;
    struct signing_choice chosen[MOST];
};

static int set_up_keys(void **state)
{
    static struct fixture fixture;
    EVP_PKEY *keys[KEYS] = {rsa_rig_key_new(2048), rsa_rig_key_new(2048), rsa_rig_key_new(3072),
                            rig_key_new(false)};
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(key_table_put(&fixture.keys, RSA_ID + i, signing_key_new(keys[i]), KEYS));
    }
    *state = &fixture;
    return 0;
}

static int tear_down_keys(void **state)
{
    struct fixture *fixture = *state;
    key_table_fini(&fixture->keys);
    return 0;
}

static int set_up(void **state)
{
    static const uint32_t granted[KEYS] = {RSA_ID, OTHER_RSA_ID, LONG_RSA_ID, EC_ID};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < WORKERS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        fixture->workers[i] = worker_channel_open(pair[0], granted, KEYS);
        fixture->far[i] = pair[1];
        fixture->next_slot[i] = 0;
    }
    fixture->rota = (struct signing_rota){.most = MOST};
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < WORKERS; i++) {
        worker_channel_close(fixture->workers[i]);
        close(fixture->far[i]);
    }
    return 0;
}

static void ask(struct fixture *fixture, size_t worker, uint32_t key_id, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct key_message message = {.kind = KEY_MESSAGE_SIGN, .count = 1};
        message.requests[0] = (struct key_request){
            .slot = fixture->next_slot[worker]++,
            .key_id = key_id,
            .scheme = key_id == EC_ID ? KEY_SCHEME_ECDSA_SHA256 : KEY_SCHEME_RSA_PSS_SHA256};
        uint8_t packet[KEY_CHANNEL_PACKET_MAX];
        size_t len = key_message_encode(&message, packet);
        assert_int_equal(send(fixture->far[worker], packet, len, MSG_DONTWAIT), len);
        assert_int_equal(worker_channel_read(fixture->workers[worker]), WORKER_CHANNEL_OPEN);
    }
}

static size_t choose(struct fixture *fixture)
{
    return signing_rota_choose(&fixture->rota, &fixture->keys, fixture->workers, WORKERS,
                               fixture->chosen);
}

static size_t chosen_of(const struct fixture *fixture, size_t worker, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += fixture->chosen[i].worker == fixture->workers[worker] ? 1 : 0;
    }
    return found;
}

static void four_and_more_go_together_and_fewer_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    for (size_t waiting = 1; waiting <= 20; waiting++) {
        ask(fixture, 1, RSA_ID, waiting);
        for (size_t left = waiting; left > 0;) {
            size_t expected = left >= MOST ? MOST : left < SIGNING_ROTA_BATCH_MIN ? 1 : left;
            assert_int_equal(choose(fixture), expected);
            left -= expected;
        }
        assert_int_equal(choose(fixture), 0);
    }
}

static void a_batch_forms_over_workers_and_keys_of_one_length(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RSA_ID, 2);
    ask(fixture, 1, OTHER_RSA_ID, 1);
    ask(fixture, 2, RSA_ID, 1);
    assert_int_equal(choose(fixture), 4);
    assert_int_equal(chosen_of(fixture, 0, 4), 2);
    assert_int_equal(choose(fixture), 0);
}

static void other_lengths_and_kinds_are_left_for_their_turn(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RSA_ID, 1);
    ask(fixture, 0, LONG_RSA_ID, 3);
    ask(fixture, 0, EC_ID, 1);
    ask(fixture, 0, OTHER_RSA_ID, 3);
    ask(fixture, 0, LONG_RSA_ID, 1);
    assert_int_equal(choose(fixture), 4);
    static const uint16_t first[] = {0, 5, 6, 7};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fixture->chosen[i].request.slot, first[i]);
    }
    assert_int_equal(choose(fixture), 4);
    static const uint16_t second[] = {1, 2, 3, 8};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fixture->chosen[i].request.slot, second[i]);
    }
    assert_int_equal(choose(fixture), 1);
    assert_int_equal(fixture->chosen[0].request.key_id, EC_ID);
}

static void ecdsa_is_signed_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, EC_ID, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(choose(fixture), 1);
        assert_int_equal(fixture->chosen[0].request.slot, i);
    }
}

/* Three lanes each, or two: nobody has more than one above the others while all have some. */
static void lanes_are_shared_evenly(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RSA_ID, 100);
    ask(fixture, 1, RSA_ID, 12);
    ask(fixture, 2, RSA_ID, 12);
    size_t signed_for[WORKERS] = {0};
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(choose(fixture), MOST);
        for (size_t i = 0; i < WORKERS; i++) {
            size_t share = chosen_of(fixture, i, MOST);
            assert_in_range(share, 2, 3);
            signed_for[i] += share;
        }
    }
    for (size_t i = 0; i < WORKERS; i++) {
        assert_in_range(signed_for[i], 9, 12);
    }
}

/* Two workers ask for batches without pause; the third wants one signature that fits into none. */
static void batches_of_others_cost_no_worker_its_turn(void **state)
{
    struct fixture *fixture = *state;
    for (size_t first = 0; first < WORKERS; first++) {
        fixture->rota.next = first;
        ask(fixture, 2, EC_ID, 1);
        bool is_served = false;
        for (int turn = 0; turn < WORKERS && !is_served; turn++) {
            ask(fixture, 0, RSA_ID, 8);
            ask(fixture, 1, RSA_ID, 8);
            is_served = chosen_of(fixture, 2, choose(fixture)) == 1;
        }
        assert_true(is_served);
    }
}

static void what_lies_far_back_in_a_queue_waits(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RSA_ID, 1);
    ask(fixture, 0, EC_ID, SIGNING_ROTA_LOOK_AHEAD);
    ask(fixture, 0, RSA_ID, 8);
    assert_int_equal(choose(fixture), 1);
    assert_int_equal(fixture->chosen[0].request.key_id, RSA_ID);
}

static void without_batches_it_is_always_one(void **state)
{
    struct fixture *fixture = *state;
    fixture->rota.most = 1;
    ask(fixture, 0, RSA_ID, 6);
    ask(fixture, 1, RSA_ID, 6);
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(choose(fixture), 1);
        assert_ptr_equal(fixture->chosen[0].worker, fixture->workers[i % 2]);
    }
    assert_int_equal(choose(fixture), 0);
    assert_int_equal(signing_rota_choose(&fixture->rota, &fixture->keys, NULL, 0, fixture->chosen),
                     0);
}

/* Its answers are stuck: nothing more is taken for it, and the others' batch goes on. */
static void a_worker_that_does_not_read_takes_no_lane(void **state)
{
    struct fixture *fixture = *state;
    struct key_message tickets = {.kind = KEY_MESSAGE_TICKETS, .count = 1};
    while (!worker_channel_is_stuck(fixture->workers[0])) {
        assert_int_equal(worker_channel_send_tickets(fixture->workers[0], &tickets),
                         WORKER_CHANNEL_OPEN);
    }
    ask(fixture, 0, RSA_ID, 8);
    ask(fixture, 1, RSA_ID, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(choose(fixture), 1);
        assert_ptr_equal(fixture->chosen[0].worker, fixture->workers[1]);
    }
    assert_int_equal(choose(fixture), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(four_and_more_go_together_and_fewer_one_by_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_batch_forms_over_workers_and_keys_of_one_length, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_lengths_and_kinds_are_left_for_their_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ecdsa_is_signed_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lanes_are_shared_evenly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_of_others_cost_no_worker_its_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_lies_far_back_in_a_queue_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_batches_it_is_always_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_does_not_read_takes_no_lane, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_keys, tear_down_keys);
}
