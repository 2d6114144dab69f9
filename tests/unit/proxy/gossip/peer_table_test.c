/* tests/unit/proxy/gossip/peer_table_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/peer_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* The state of 10,000 peers may take 50 MB; what is mapped holds more of them. */
_Static_assert(sizeof(struct peer_pages) < 4 * 1024 * 1024, "all pages of one cluster");
_Static_assert((int)PEER_TABLE_PEERS - (int)PEER_TABLE_STRANGERS > 10000, "peers beside strangers");

#define TEN(text) text text text text text text text text text text
#define KEY_A     TEN("ERER") "ERE=\n"
#define KEY_B     TEN("IiIi") "IiI=\n"
#define KEY_C     TEN("MzMz") "MzM=\n"

enum { NOW_S = 1000000, PORT = 7946 };

struct fixture {
    struct peer_pages *pages;
    struct peer_table *table;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    int descriptor = peer_pages_new();
    assert_non_null(fixture);
    assert_true(descriptor >= 0);
    fixture->pages = peer_pages_map(descriptor, true);
    (void)close(descriptor);
    assert_non_null(fixture->pages);
    fixture->table = peer_table_new(fixture->pages);
    assert_non_null(fixture->table);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    peer_table_free(fixture->table);
    peer_pages_unmap(fixture->pages);
    free(fixture);
    return 0;
}

/* The process is started again over the same pages. */
static void start_again(struct fixture *fixture)
{
    peer_table_free(fixture->table);
    fixture->table = peer_table_new(fixture->pages);
    assert_non_null(fixture->table);
}

static struct endpoint endpoint_of(uint32_t number, uint16_t port)
{
    const uint8_t ip[] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    struct endpoint endpoint;
    assert_true(endpoint_from_ip(&endpoint, ip, sizeof(ip), port));
    return endpoint;
}

static struct peer *get(struct fixture *fixture, uint32_t number, bool is_local, int64_t now_s)
{
    struct endpoint endpoint = endpoint_of(number, PORT);
    return peer_table_get(fixture->table, &endpoint, is_local, now_s);
}

static struct peer *get_by_ip(struct fixture *fixture, uint32_t number, uint16_t port)
{
    struct endpoint endpoint = endpoint_of(number, port);
    return peer_table_get_by_ip(fixture->table, &endpoint, NOW_S);
}

static bool is_placeless(const struct fixture *fixture, const struct peer *peer)
{
    return peer == &fixture->pages->peers[0];
}

/* Looks without making one. */
static const struct peer *find(const struct fixture *fixture, uint32_t number)
{
    struct endpoint endpoint = endpoint_of(number, PORT);
    for (size_t i = 1; i < fixture->pages->used; i++) {
        if (fixture->pages->peers[i].is_used != 0 &&
            endpoint_equal(&fixture->pages->peers[i].endpoint, &endpoint)) {
            return &fixture->pages->peers[i];
        }
    }
    return NULL;
}

static size_t count_strangers(const struct fixture *fixture)
{
    size_t count = 0;
    for (size_t i = 1; i < fixture->pages->used; i++) {
        count += fixture->pages->peers[i].is_stranger != 0;
    }
    return count;
}

/* ---- who is who ---- */

static void one_address_is_one_peer(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = get(fixture, 1, true, NOW_S);
    peer_count(peer, PEER_SEALED);
    assert_ptr_equal(get(fixture, 1, true, NOW_S + 1), peer);
    assert_int_equal(peer->active_s, NOW_S + 1);
    assert_int_equal(peer_counter_get(peer, PEER_SEALED), 1);
    assert_ptr_not_equal(get(fixture, 2, true, NOW_S), peer);
    struct endpoint other_port = endpoint_of(1, PORT + 1);
    assert_ptr_not_equal(peer_table_get(fixture->table, &other_port, true, NOW_S), peer);
}

static void a_family_is_a_part_of_the_address(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t IP6[16] = {[12] = 10, [15] = 1};
    struct endpoint ip6;
    assert_true(endpoint_from_ip(&ip6, IP6, sizeof(IP6), PORT));
    assert_ptr_not_equal(peer_table_get(fixture->table, &ip6, true, NOW_S),
                         get(fixture, 1, true, NOW_S));
}

static void a_conn_is_of_the_peer_with_its_ip(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = get(fixture, 1, true, NOW_S);
    (void)get(fixture, 2, true, NOW_S);
    assert_ptr_equal(get_by_ip(fixture, 1, 40000), peer);
    assert_ptr_not_equal(get_by_ip(fixture, 3, 40000), peer);
    assert_int_equal(get_by_ip(fixture, 3, 50000)->endpoint.port, 40000);
}

/* Whoever forges packets of that IP from many ports would else hide the peer from its account. */
static void a_conn_is_of_the_very_address_when_that_is_known(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = get(fixture, 1, true, NOW_S);
    for (uint16_t port = 1; port < 100; port++) {
        struct endpoint forged = endpoint_of(1, port);
        (void)peer_table_get(fixture->table, &forged, false, NOW_S);
    }
    assert_ptr_equal(get_by_ip(fixture, 1, PORT), peer);
}

static void a_stranger_is_none_once_it_has_proven_a_key(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = get(fixture, 1, false, NOW_S);
    assert_int_equal(peer->is_stranger, 1);
    assert_int_equal(peer->proven_s, 0);
    peer_table_prove(fixture->table, peer, 2, NOW_S + 5);
    assert_int_equal(peer->is_stranger, 0);
    assert_int_equal(peer->proven_s, NOW_S + 5);
    assert_int_equal(peer_counter_get(peer, PEER_OPENED), 1);
    assert_int_equal(fixture->pages->keys[2].opened, 1);
    assert_int_equal(fixture->pages->keys[2].opened_s, NOW_S + 5);
    assert_int_equal(fixture->pages->keys[0].opened, 0);
}

static void whom_our_node_speaks_to_is_no_stranger(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = get(fixture, 1, false, NOW_S);
    assert_ptr_equal(get(fixture, 1, true, NOW_S), peer);
    assert_int_equal(peer->is_stranger, 0);
    assert_ptr_equal(get(fixture, 1, false, NOW_S), peer);
    assert_int_equal(peer->is_stranger, 0);
}

/* ---- room ---- */

static void forged_sources_fill_no_more_than_the_room_of_strangers(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < 50000; number++) {
        struct peer *peer = get(fixture, number, false, NOW_S);
        assert_int_equal(is_placeless(fixture, peer), number >= PEER_TABLE_STRANGERS);
        peer_count(peer, PEER_THROTTLED);
    }
    assert_int_equal(fixture->pages->used, 1 + PEER_TABLE_STRANGERS);
    assert_int_equal(count_strangers(fixture), PEER_TABLE_STRANGERS);
    assert_int_equal(peer_counter_get(&fixture->pages->peers[0], PEER_THROTTLED),
                     50000 - PEER_TABLE_STRANGERS);
}

static void a_stranger_that_fell_silent_gives_its_place_to_another(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < PEER_TABLE_STRANGERS; number++) {
        (void)get(fixture, number, false, NOW_S);
    }
    assert_true(is_placeless(fixture, get(fixture, 5000, false, NOW_S + 59)));
    struct peer *peer = get(fixture, 5000, false, NOW_S + 61);
    assert_false(is_placeless(fixture, peer));
    assert_int_equal(count_strangers(fixture), PEER_TABLE_STRANGERS);
    assert_ptr_equal(get(fixture, 5000, false, NOW_S + 61), peer);
}

static void strangers_never_push_out_a_peer(void **state)
{
    struct fixture *fixture = *state;
    uint32_t most = PEER_TABLE_PEERS - 1;
    for (uint32_t number = 0; number < most; number++) {
        (void)get(fixture, number, true, NOW_S);
    }
    assert_int_equal(fixture->pages->used, PEER_TABLE_PEERS);
    for (uint32_t number = most; number < most + 5000; number++) {
        assert_true(is_placeless(fixture, get(fixture, number, false, NOW_S + 100000)));
    }
    for (uint32_t number = 0; number < most; number += 7) {
        assert_non_null(find(fixture, number));
    }
}

static void ten_thousand_peers_fit_beside_a_flood_of_strangers(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < 10000; number++) {
        (void)get(fixture, 100000 + number, false, NOW_S);
        peer_count(get(fixture, number, true, NOW_S), PEER_SEALED);
    }
    for (uint32_t number = 0; number < 10000; number++) {
        assert_int_equal(peer_counter_get(get(fixture, number, true, NOW_S), PEER_SEALED), 1);
    }
}

static void in_a_full_table_the_silent_give_their_place_and_the_active_keep_it(void **state)
{
    struct fixture *fixture = *state;
    uint32_t most = PEER_TABLE_PEERS - 1;
    for (uint32_t number = 0; number < most; number++) {
        (void)get(fixture, number, true, number % 32 == 0 ? NOW_S : NOW_S + 500);
    }
    for (uint32_t number = most; number < most + 64; number++) {
        struct peer *peer = get(fixture, number, true, NOW_S + 500);
        assert_int_equal(peer_counter_get(peer, PEER_SEALED), 0);
        peer_count(peer, PEER_SEALED);
        assert_ptr_equal(get(fixture, number, true, NOW_S + 500), peer);
    }
    size_t gone = 0;
    for (uint32_t number = 0; number < most; number++) {
        bool is_there = find(fixture, number) != NULL;
        assert_true(is_there || number % 32 == 0);
        gone += !is_there;
    }
    assert_int_equal(gone, 64);
    assert_int_equal(fixture->pages->used, PEER_TABLE_PEERS);
}

static void those_without_a_place_are_not_proven_by_one_of_them(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < PEER_TABLE_STRANGERS; number++) {
        (void)get(fixture, number, false, NOW_S);
    }
    struct peer *peer = get(fixture, 5000, false, NOW_S);
    assert_true(is_placeless(fixture, peer));
    peer_table_prove(fixture->table, peer, 0, NOW_S);
    assert_int_equal(peer_counter_get(peer, PEER_OPENED), 1);
    assert_int_equal(get(fixture, 5001, false, NOW_S)->proven_s, 0);
}

/* ---- started again ---- */

static void counting_goes_on_after_a_start(void **state)
{
    struct fixture *fixture = *state;
    peer_count(get(fixture, 1, true, NOW_S), PEER_SEALED);
    peer_count(get(fixture, 2, false, NOW_S), PEER_THROTTLED);
    start_again(fixture);
    assert_int_equal(peer_counter_get(get(fixture, 1, true, NOW_S), PEER_SEALED), 1);
    struct peer *stranger = get(fixture, 2, false, NOW_S);
    assert_int_equal(stranger->is_stranger, 1);
    assert_int_equal(peer_counter_get(stranger, PEER_THROTTLED), 1);
    assert_int_equal(fixture->pages->used, 3);
}

static void strangers_of_the_former_process_count_against_their_room(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t number = 0; number < PEER_TABLE_STRANGERS; number++) {
        (void)get(fixture, number, false, NOW_S);
    }
    start_again(fixture);
    assert_true(is_placeless(fixture, get(fixture, 5000, false, NOW_S)));
}

/* It has taken the place and died before it wrote who stands there. */
static void a_place_that_was_only_taken_is_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = get(fixture, 1, true, NOW_S);
    fixture->pages->used++;
    start_again(fixture);
    assert_ptr_equal(get(fixture, 1, true, NOW_S), peer);
    static const struct endpoint NOBODY;
    assert_ptr_not_equal(peer_table_get(fixture->table, &NOBODY, false, NOW_S), peer + 1);
    assert_int_equal(get(fixture, 2, true, NOW_S)->is_used, 1);
}

static void whatever_number_of_entries_the_pages_name_it_starts(void **state)
{
    static const uint32_t NAMED[] = {0, 1, PEER_TABLE_PEERS, PEER_TABLE_PEERS + 1, UINT32_MAX};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(NAMED) / sizeof(NAMED[0]); i++) {
        fixture->pages->used = NAMED[i];
        start_again(fixture);
        assert_false(is_placeless(fixture, get(fixture, 7, true, NOW_S)));
        assert_true(fixture->pages->used <= PEER_TABLE_PEERS);
    }
}

/* ---- keys ---- */

static void take_ring(struct fixture *fixture, const char *text)
{
    struct crypto_error error = {{0}};
    struct keyring *ring =
        keyring_parse((struct bytes){(const uint8_t *)text, strlen(text)}, &error);
    assert_non_null(ring);
    peer_table_set_ring(fixture->table, ring);
    keyring_free(ring);
}

static void keys_keep_their_counts_whatever_their_order(void **state)
{
    struct fixture *fixture = *state;
    struct peer_pages *pages = fixture->pages;
    take_ring(fixture, KEY_A KEY_B);
    struct peer *peer = get(fixture, 1, true, NOW_S);
    for (int i = 0; i < 3; i++) {
        peer_table_sealed(fixture->table, peer);
    }
    peer_table_prove(fixture->table, peer, 1, NOW_S);
    char id_of_a[KEYRING_ID_BYTES];
    memcpy(id_of_a, pages->keys[0].id, sizeof(id_of_a));
    assert_int_equal(peer_table_primary_sealed(fixture->table), 3);
    take_ring(fixture, KEY_B KEY_C KEY_A);
    assert_int_equal(pages->key_count, 3);
    assert_int_equal(pages->generation, 2);
    assert_string_equal(pages->keys[2].id, id_of_a);
    assert_int_equal(pages->keys[2].sealed, 3);
    assert_int_equal(pages->keys[0].opened, 1);
    assert_int_equal(pages->keys[0].opened_s, NOW_S);
    assert_int_equal(pages->keys[1].sealed + pages->keys[1].opened, 0);
    assert_int_equal(pages->keys[1].bits, 256);
    assert_int_equal(peer_table_primary_sealed(fixture->table), 0);
    take_ring(fixture, KEY_C);
    assert_int_equal(pages->key_count, 1);
    assert_string_equal(pages->keys[1].id, "");
}

static bool read_keys(const struct fixture *fixture, struct peer_table_key *keys, size_t *count)
{
    uint32_t generation = 0;
    return peer_pages_read_keys(fixture->pages, keys, count, &generation) &&
           generation == fixture->pages->generation;
}

static void a_reader_gets_no_keys_that_are_half_written(void **state)
{
    struct fixture *fixture = *state;
    struct peer_table_key keys[KEYRING_KEYS_MAX];
    size_t count = 0;
    take_ring(fixture, KEY_A KEY_B);
    assert_true(read_keys(fixture, keys, &count));
    assert_int_equal(count, 2);
    assert_memory_equal(keys, fixture->pages->keys, sizeof(keys));
    fixture->pages->is_changing |= 1U; /* the writer died in the middle */
    assert_false(read_keys(fixture, keys, &count));
    start_again(fixture);
    take_ring(fixture, KEY_B);
    assert_true(read_keys(fixture, keys, &count));
    assert_int_equal(count, 1);
}

static void a_reader_is_not_led_beyond_the_keys(void **state)
{
    struct fixture *fixture = *state;
    struct peer_table_key keys[KEYRING_KEYS_MAX];
    size_t count = 0;
    take_ring(fixture, KEY_A);
    fixture->pages->key_count = KEYRING_KEYS_MAX + 1;
    assert_false(read_keys(fixture, keys, &count));
    fixture->pages->key_count = 1;
    memset(fixture->pages->keys[0].id, 0xff, KEYRING_ID_BYTES);
    assert_true(read_keys(fixture, keys, &count));
    assert_int_equal(strlen(keys[0].id), KEYRING_ID_BYTES - 1);
    assert_int_equal(strspn(keys[0].id, "?"), KEYRING_ID_BYTES - 1); /* and prints as text */
}

/* ---- the file ---- */

static void the_file_cannot_be_made_shorter_under_its_readers(void **state)
{
    (void)state;
    int descriptor = peer_pages_new();
    assert_true(descriptor >= 0);
    assert_int_equal(ftruncate(descriptor, 4096), -1);
    assert_int_equal(errno, EPERM);
    const struct peer_pages *read_only = peer_pages_map(descriptor, false);
    assert_non_null(read_only);
    assert_int_equal(read_only->used, 0);
    peer_pages_unmap((struct peer_pages *)(uintptr_t)read_only);
    (void)close(descriptor);
}

static void a_file_of_another_size_is_not_mapped(void **state)
{
    (void)state;
    int descriptor = memfd_create("other", MFD_CLOEXEC);
    assert_int_equal(ftruncate(descriptor, sizeof(struct peer_pages) - 1), 0);
    assert_null(peer_pages_map(descriptor, false));
    (void)close(descriptor);
    assert_null(peer_pages_map(-1, false));
}

static void each_counter_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < PEER_COUNTERS; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(peer_counter_name((enum peer_counter)i),
                                    peer_counter_name((enum peer_counter)k));
        }
    }
    assert_string_equal(peer_counter_name(PEER_COUNTERS), "?");
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_address_is_one_peer),
        TEST(a_family_is_a_part_of_the_address),
        TEST(a_conn_is_of_the_peer_with_its_ip),
        TEST(a_conn_is_of_the_very_address_when_that_is_known),
        TEST(a_stranger_is_none_once_it_has_proven_a_key),
        TEST(whom_our_node_speaks_to_is_no_stranger),
        TEST(forged_sources_fill_no_more_than_the_room_of_strangers),
        TEST(a_stranger_that_fell_silent_gives_its_place_to_another),
        TEST(strangers_never_push_out_a_peer),
        TEST(ten_thousand_peers_fit_beside_a_flood_of_strangers),
        TEST(in_a_full_table_the_silent_give_their_place_and_the_active_keep_it),
        TEST(those_without_a_place_are_not_proven_by_one_of_them),
        TEST(counting_goes_on_after_a_start),
        TEST(strangers_of_the_former_process_count_against_their_room),
        TEST(a_place_that_was_only_taken_is_nobody),
        TEST(whatever_number_of_entries_the_pages_name_it_starts),
        TEST(keys_keep_their_counts_whatever_their_order),
        TEST(a_reader_gets_no_keys_that_are_half_written),
        TEST(a_reader_is_not_led_beyond_the_keys),
        cmocka_unit_test(the_file_cannot_be_made_shorter_under_its_readers),
        cmocka_unit_test(a_file_of_another_size_is_not_mapped),
        cmocka_unit_test(each_counter_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
